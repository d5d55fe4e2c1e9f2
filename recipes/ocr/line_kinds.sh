#!/usr/bin/env bash
# One label for a line: print, typescript, Fraktur or handwriting.
# Needs: 1 GPU, or 15 minutes on one core.  Gives: see recipes/README.md.
set -euo pipefail
lines=${1:?folder with print, typed, fraktur, handwriting-fr and handwriting-peraire, each with train and dev}; shift
run=${RUN:-runs/line-kinds} here=$(dirname "$0")
mkdir -p "$run.data"
for part in train dev; do
    python "$here/../core/label.py" ocr "$run.data/$part.jsonl" "print=$lines/print/$part" "typed=$lines/typed/$part" \
        "fraktur=$lines/fraktur/$part" "handwriting=$lines/handwriting-fr/$part" \
        "handwriting=$lines/handwriting-peraire/$part" --count 400
done
ocr train "$run.data/train.jsonl" "$run.data/dev.jsonl" --run "$run" --task classify --start-from \
    ocr/models/printed.safetensors --epochs 3 --learning-rate 1e-3 --ema 0.99 --seed 1 "$@"
ocr evaluate "$run/best.safetensors" "$run.data/dev.jsonl"
