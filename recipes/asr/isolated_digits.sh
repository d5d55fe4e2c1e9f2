#!/usr/bin/env bash
# One label for a recording: which digit it is, spoken by people who are not in training.  The training data are single
# recordings, and words that are cut out of strings of digits and, by alignment, out of read speech.
# SPEECH is a folder with digits, minilibri, ljspeech and noise, as manifests.
# Needs: 1 GPU, or half an hour on one core.  Gives: see recipes/README.md.
set -euo pipefail
speech=${1:?folder with digits, minilibri, ljspeech and noise}; shift
run=${RUN:-runs/isolated-digits} here=$(dirname "$0")
digits="ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE"
mkdir -p "$run.data"
# shellcheck disable=SC2086  # one word each
python "$here/cut_words.py" "$speech/digits/train_string.jsonl" "$run.data/strings.jsonl" --words $digits --copies 2 \
    --margin-s -0.15 0.05
asr align asr/models/english.safetensors "$speech/minilibri/train.jsonl,$speech/ljspeech/train.jsonl" \
    > "$run.data/aligned.jsonl"
# shellcheck disable=SC2086
python "$here/cut_words.py" "$run.data/aligned.jsonl" "$run.data/read.jsonl" --words $digits --copies 2 --margin-s 0 0.05
# the dev speaker is 20 dB quieter than the others, with hardly any noise, and his recordings are cut closely
python "$here/cut_words.py" "$speech/digits/train_single.jsonl" "$run.data/close.jsonl" --copies 3 --margin-s -0.15 0.05
asr train "$speech/digits/train_single.jsonl,$run.data/close.jsonl,$run.data/strings.jsonl,$run.data/read.jsonl" \
    "$speech/digits/dev_single.jsonl" --run "$run" --task classify --start-from asr/models/english.safetensors \
    --channels 32 64 96 --deep --hidden-size 256 --layers 5 --residual \
    --epochs 8 --batch-budget 20 --learning-rate 1e-3 --ema 0.99 --seed 1 \
    --augment.noises "$speech/noise/noise.jsonl" --augment.rooms "$speech/noise/rir.jsonl" \
    --augment.speed-probability 0.9 --augment.speeds 0.8 0.85 0.9 0.95 1.05 1.1 1.15 1.2 1.25 \
    --augment.gain-probability 0.9 --augment.gain-db -36 3 --augment.noise-probability 0.3 \
    --augment.tilt-probability 0.8 "$@"
asr evaluate "$run/best.safetensors" "$speech/digits/dev_single.jsonl"
