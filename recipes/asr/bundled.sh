#!/usr/bin/env bash
# The bundled model asr/models/english with its language models inside: read English, modest (see asr/models/README.md).
# SPEECH is a folder with minilibri, ljspeech and noise, as manifests; recipes/asr/librispeech.sh is the way to a good one.
# Needs: 1 GPU, or two hours on one core.  Gives: see recipes/README.md and asr/models/README.md.
set -euo pipefail
speech=${1:?folder with minilibri, ljspeech and noise} text=${2:?english.txt.xz}; shift 2
run=${RUN:-runs/asr-bundled}
asr train "$speech/minilibri/train.jsonl" "$speech/minilibri/dev.jsonl" --run "$run" --epochs 15 --batch-budget 80 \
    --channels 24 48 64 --shortcut --learning-rate 1.5e-3 --seed 1 \
    --augment.noises "$speech/noise/noise.jsonl" --augment.rooms "$speech/noise/rir.jsonl" "$@"
known=("$text" "$speech/minilibri/train.jsonl" "$speech/ljspeech/train.jsonl" --like "$run/best.safetensors")
asr lm train "${known[@]}" --order 6 --prune 0 0 0 0 1 2 -o "$run/characters.npz"
asr lm train "${known[@]}" --unit word --order 3 --prune 0 1 2 --vocabulary 30000 -o "$run/words.npz"
asr evaluate "$run/best.safetensors" "$speech/minilibri/dev.jsonl" --beam-width 50 \
    --lm "$run/characters.npz" --lm "$run/words.npz" --lm-weight 0.5 --label-bonus 0.8 --word-lm-weight 0.3 \
    --word-bonus 0 --unknown-word-penalty 6 --tune 24 --tune-metric wer --save-tuned "$run/english.safetensors"
asr export "$run/english.safetensors" "$run/english.onnx" --int8 --data "$speech/minilibri/dev.jsonl"
