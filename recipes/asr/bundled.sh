#!/usr/bin/env bash
# The bundled model asr/models/english with its language models: read English, with many errors (see asr/models/README.md).
# SPEECH is a folder with minilibri, ljspeech, digits and noise, as manifests. recipes/asr/librispeech.sh trains a good
# model.
# Needs: 1 GPU, or four hours on one core.  Gives: see recipes/README.md and asr/models/README.md.
set -euo pipefail
speech=${1:?folder with minilibri, ljspeech, digits and noise} text=${2:?english.txt.xz}; shift 2
run=${RUN:-runs/asr-bundled}
network=(--batch-budget 80 --channels 24 48 64 --shortcut --augment.noises "$speech/noise/noise.jsonl"
    --augment.rooms "$speech/noise/rir.jsonl")
asr train "$speech/minilibri/train.jsonl" "$speech/minilibri/dev.jsonl" --run "$run/first" --epochs 15 \
    --learning-rate 1.5e-3 --seed 1 "${network[@]}" "$@"
train=$speech/minilibri/train.jsonl,$speech/ljspeech/train.jsonl,$speech/digits/train_string.jsonl
dev=$speech/minilibri/dev.jsonl,$speech/ljspeech/dev.jsonl,$speech/digits/dev_string.jsonl
asr train "$train" "$dev" --run "$run/second" --start-from "$run/first/best.safetensors" --epochs 10 \
    --learning-rate 1e-3 --seed 2 "${network[@]}" "$@"
asr train "$train" "$dev" --run "$run/third" --start-from "$run/second/best.safetensors" --epochs 6 \
    --learning-rate 7e-4 --seed 3 "${network[@]}" "$@"
model=$run/third/best.safetensors
known=("$text" "$speech/minilibri/train.jsonl" "$speech/ljspeech/train.jsonl" --like "$model")
asr lm train "${known[@]}" --order 6 --prune 0 0 0 0 1 2 -o "$run/characters.npz"
asr lm train "${known[@]}" --unit word --order 3 --prune 0 1 2 --vocabulary 30000 -o "$run/words.npz"
asr evaluate "$model" "$speech/minilibri/dev.jsonl" --beam-width 30 \
    --lm "$run/characters.npz" --lm "$run/words.npz" --lm-weight 0.5 --label-bonus 0.8 --word-lm-weight 0.3 \
    --word-bonus 0 --unknown-word-penalty 6 --tune 24 --tune-metric wer --save-tuned "$run/english.safetensors"
asr export "$run/english.safetensors" "$run/english.onnx" --int8 --data "$speech/minilibri/dev.jsonl"
