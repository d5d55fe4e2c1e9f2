#!/usr/bin/env bash
# The core alone: recurrent encoder and CTC on the cepstra of CMU's AN4 (948 spoken addresses, 0.7 hours).
# Needs: a folder with train.npz (arrays by utterance id) and train.jsonl (id, frames, text, speaker); 10 minutes
# on one core.  Gives: see recipes/README.md.
set -euo pipefail
data=${1:?folder with train.npz and train.jsonl}; shift
run=${RUN:-runs/an4}
here=$(dirname "$0")
mkdir -p "$run.data"
# a tenth of the speakers goes to dev: those with the smallest hashes
python "$here/hold_out.py" "$data/train.jsonl" "$run.data" --share 0.1
python "$here/features.py" train "$run.data/train.jsonl" "$run.data/dev.jsonl" --archive "$data/train.npz" --run "$run" \
    --epochs 60 --learning-rate 3e-3 --hidden-size 160 --dropout 0.4 --batch-budget 6000 --seed 1 "$@"
python "$here/features.py" evaluate "$run/best.safetensors" "$run.data/dev.jsonl" --archive "$data/train.npz" \
    --report "$run/report.html"
