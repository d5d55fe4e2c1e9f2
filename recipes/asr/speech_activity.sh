#!/usr/bin/env bash
# A label for each step: whether somebody speaks, and which word it is.  The data are strings of digits whose words have
# known positions; `asr align` can write such positions.
# Needs: 1 GPU, or 10 minutes on one core.  Gives: see recipes/README.md.
set -euo pipefail
digits=${1:?folder with train_string.jsonl and dev_string.jsonl}; shift
run=${RUN:-runs/speech-activity}
for level in activity words; do
    asr train "$digits/train_string.jsonl" "$digits/dev_string.jsonl" --run "$run/$level" --task frames \
        --frame-labels "$level" --sample-rate-hz 8000 --hidden-size 96 --epochs 10 --batch-budget 60 \
        --learning-rate 2e-3 --ema 0.99 --seed 1 --augment.gain-db -30 3 "$@"
    asr evaluate "$run/$level/best.safetensors" "$digits/dev_string.jsonl"
done
