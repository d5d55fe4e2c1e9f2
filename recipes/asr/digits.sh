#!/usr/bin/env bash
# Spoken digits at 8 kHz from three speakers, measured on the strings of a fourth who was never heard.
# Needs: a folder with train_single.jsonl, train_string.jsonl, dev_string.jsonl; half an hour on one core.
# Gives: see recipes/README.md.
set -euo pipefail
data=${1:?folder with train_single.jsonl, train_string.jsonl and dev_string.jsonl}; shift
run=${RUN:-runs/asr-digits}
# three voices are few: a wide range of speeds, which change the pitch as well, stands for others
asr train "$data/train_string.jsonl,$data/train_single.jsonl" "$data/dev_string.jsonl" --run "$run" \
    --sample-rate-hz 8000 --mels 40 --channels 16 32 48 --hidden-size 128 --dropout 0.25 --batch-budget 24 \
    --epochs 50 --learning-rate 3e-3 --mask-bands 8 --select wer \
    --augment.speeds 0.75 0.8 0.85 0.9 0.95 1.05 1.1 1.15 1.2 1.3 --augment.speed-probability 0.9 --seed 1 "$@"
asr evaluate "$run/best.safetensors" "$data/dev_string.jsonl" --report "$run/report.html" --json "$run/report.json"
