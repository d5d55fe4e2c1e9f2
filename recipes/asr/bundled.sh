#!/usr/bin/env bash
# The bundled model asr/models/english with its language models inside: read English (see asr/models/README.md).
# Real and synthetic speech first, real speech alone at the end.  The bundled file comes from one run in which both
# parts share one cosine of 52 epochs; these two runs are what comes nearest to it in flags.
# SPEECH is a folder with minilibri, librispeech26, ljspeech, speechocean, synthetic, digits and noise, as manifests;
# TEXT one with english.txt.xz and english-more.txt.xz.
# Needs: 1 GPU and a quarter of an hour (hours on a CPU, where --batch-budget 80 is better).
# Gives: see recipes/README.md and asr/models/README.md.
set -euo pipefail
speech=${1:?folder of corpora} text=${2:?folder with english.txt.xz and english-more.txt.xz}; shift 2
run=${RUN:-runs/asr-bundled} dev=$speech/minilibri/dev.jsonl
network=(--channels 32 64 96 --deep --hidden-size 256 --layers 5 --residual --dropout 0.3 --shortcut
    --consistency-weight 0.2 --mask-share 0.375 --batch-budget 600 --clip-norm 20 --ema 0.998 --workers 7 --select wer
    --cache "$run/signals" --cache-gb 8  # the second run finds what the first has read
    --augment.noises "$speech/noise/noise.jsonl" --augment.rooms "$speech/noise/rir.jsonl")
real=()
for name in minilibri librispeech26 ljspeech speechocean; do real+=("$speech/$name/train.jsonl"); done
spoken=$(IFS=,; echo "${real[*]}"),$speech/digits/train_string.jsonl
asr train "$spoken,$speech/synthetic/train.jsonl" "$dev" --run "$run/first" --epochs 41 --learning-rate 2e-3 \
    --warmup-steps 300 --seed 1 "${network[@]}" "$@"
asr train "$spoken" "$dev" --run "$run/second" --start-from "$run/first/best.safetensors" --epochs 11 \
    --learning-rate 2e-4 --warmup-steps 50 --seed 2 "${network[@]}" "$@"
# The head learns the blank on silence, noises and pauses, and the floor of the spectrogram becomes relative.
python "$(dirname "$0")/silence.py" "$speech/minilibri/train.jsonl" "$run/silence" --noises "$speech/noise/noise.jsonl" \
    --model "$run/second/best.safetensors" --read 150
model=$run/quiet.safetensors
python "$(dirname "$0")/../core/refit_head.py" asr "$run/second/best.safetensors" "$model" "$spoken" \
    "$run/silence/silence.jsonl" --floor relative
known=("$text/english.txt.xz" "$text/english-more.txt.xz" "${real[@]}" "$speech/synthetic/train.jsonl" --like "$model")
asr lm train "${known[@]}" --order 7 --prune 0 0 0 1 4 6 8 -o "$run/characters.npz"
asr lm train "${known[@]}" --unit word --order 3 --prune 0 1 2 --vocabulary 40000 -o "$run/words.npz"
for unit in characters words; do
    python "$(dirname "$0")/../core/round_ngrams.py" "$run/$unit.npz" "$run/$unit-rounded.npz"
done
asr evaluate "$model" "$dev" --beam-width 60 --lm "$run/characters-rounded.npz" --lm "$run/words-rounded.npz" \
    --lm-weight 0.5 --label-bonus 0.8 --word-lm-weight 0.3 --word-bonus 0 --unknown-word-penalty 6 --tune 30 --tune-metric wer \
    --save-tuned "$run/english.safetensors"
asr export "$run/english.safetensors" "$run/english.onnx" --int8 --data "$dev"
python "$(dirname "$0")/../core/eight_bits.py" "$model" "$run/english-network.safetensors"
