#!/usr/bin/env bash
# Models that vote: the bundled model of print learns on with two seeds, and the three models elect each text.
# LINES is a folder with print, typed and fraktur, each with train and dev.
# Needs: 20 minutes a model on one core.  Gives: see recipes/README.md.
set -euo pipefail
lines=${1:?folder with print, typed and fraktur}; shift
run=${RUN:-runs/ocr-voting} model=$(dirname "$0")/../../ocr/models/printed.safetensors
train=$lines/print/train,$lines/typed/train,$lines/fraktur/train
dev=$lines/print/dev,$lines/typed/dev,$lines/fraktur/dev
for seed in 2 3; do
    ocr train "$train" "$dev" --run "$run/$seed" --start-from "$model" --epochs 1 --learning-rate 1e-3 --seed "$seed" \
        --cache "$run/signals" "$@"
done
first=$run/2/best.safetensors second=$run/3/best.safetensors
for data in typed print fraktur; do
    for models in "$model" "$first" "$second" "$model,$first" "$first,$second" "$model,$first,$second"; do
        echo "$data $models"
        time ocr evaluate "$models" "$lines/$data/dev" --threads 1 | grep '^CER'
    done
done
