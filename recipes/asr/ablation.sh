#!/usr/bin/env bash
# What each part of the training of phones brings: a small network learns minilibri from nothing, each row with one part more.
#   plain   nothing is changed                      band    telephone bands on three in ten utterances
#   masks   SpecAugment, speeds, levels             middle  intermediate CTC
#   rooms   noise and rooms                         views   CR-CTC with wider masks, for half of the epochs
# SPEECH is a folder with minilibri, speechocean and noise, TEXT one with english.txt.xz; WORDS are pronunciations of all
# words of minilibri, as phones.sh makes them.  RUN=folder, EPOCHS=12 (an even number), ROWS="band views" for these rows alone.
# Needs: 25 minutes of one core for each of six rows.  Gives: see recipes/README.md.
set -euo pipefail
speech=${1:?folder of corpora} text=${2:?folder with english.txt.xz} words=${3:?file of pronunciations}; shift 3
run=${RUN:-runs/asr-ablation} dev=$speech/minilibri/dev.jsonl here=$(dirname "$0") epochs=${EPOCHS:-12}
mkdir -p "$run/noises"
cp "$speech"/noise/noise/noise[1-4].wav "$run/noises"
python "$here/conditions.py" "$dev" "$run/dev" --noises "$speech/noise/noise/noise5.wav"
asr lm train "$text/english.txt.xz" "$speech/minilibri/train.jsonl" --unit word --order 3 --prune 0 1 2 --vocabulary 40000 \
    --like "$here/../../asr/models/english.safetensors" -o "$run/words.npz"

train() {
    asr train "$speech/minilibri/train.jsonl" "$dev" --pronunciations "$words" --subsampling 4 --channels 16 32 64 \
        --hidden-size 160 --layers 4 --residual --shortcut --batch-budget 60 --clip-norm 20 --ema 0.99 --schedule one-cycle \
        --learning-rate 2e-3 --cache "$run/signals" "$@"
}
quiet=(--augment.noise-probability 0 --augment.room-probability 0)
still=(--mask-bands 0 --mask-frames 0 --augment.speed-probability 0 --augment.gain-probability 0)
rooms=(--augment.noises "$run/noises" --augment.rooms "$speech/noise/rir.jsonl")
band=("${rooms[@]}" --augment.band-probability 0.3)
middle=("${band[@]}" --intermediate-weight 0.3)
views=("${middle[@]}" --consistency-weight 0.2 --mask-share 0.375)
for row in ${ROWS:-plain masks rooms band middle views}; do
    case $row in
        plain) part=("${quiet[@]}" "${still[@]}") ;;
        masks) part=("${quiet[@]}") ;;
        rooms) part=("${rooms[@]}") ;;
        band) part=("${band[@]}") ;;
        middle) part=("${middle[@]}") ;;
        views) part=("${views[@]}" --epochs "$((epochs / 2))") ;;
    esac
    train --run "$run/$row" --epochs "$epochs" "${part[@]}" "$@"
    for data in "$dev" "$run/dev/noise.jsonl" "$run/dev/telephone.jsonl" "$speech/speechocean/dev.jsonl"; do
        echo "$row $data"
        asr evaluate "$run/$row/best.safetensors" "$data" --pronunciations "$words" --lm "$run/words.npz" --beam-width 100 \
            --lm-weight 0.7 --word-bonus=-0.9 --unknown-word-penalty 8
    done
done
