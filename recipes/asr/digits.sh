#!/usr/bin/env bash
# Spoken digits, measured on the strings of a speaker who is not in training.  Three voices are few, so the training starts
# with a model of other speech (recipes/asr/manifest.sh, which has the same shape), and a wide range of speeds, which change
# the pitch as well, stands in for other voices.
# Needs: a folder with train_single.jsonl, train_string.jsonl, dev_string.jsonl; a quarter of an hour on one core.
# Gives: see recipes/README.md.
set -euo pipefail
data=${1:?folder with train_single.jsonl, train_string.jsonl and dev_string.jsonl} model=${2:?model to start from}
shift 2
run=${RUN:-runs/asr-digits}
asr train "$data/train_string.jsonl,$data/train_single.jsonl" "$data/dev_string.jsonl" --run "$run" \
    --start-from "$model" --start-symbols texts --channels 24 48 64 --shortcut --epochs 16 --patience 4 \
    --batch-budget 40 --learning-rate 1e-3 --select wer --augment.speed-probability 0.9 \
    --augment.speeds 0.8 0.85 0.9 0.95 1.05 1.1 1.15 1.2 1.25 --seed 1 "$@"
asr evaluate "$run/best.safetensors" "$data/dev_string.jsonl" --report "$run/report.html" --json "$run/report.json"
