#!/usr/bin/env bash
# One page of a new hand: the bundled model of handwriting learns it from some 30 lines.
# PAGE and DEV are folders of pages with PAGE or ALTO files; BASE is a corpus of the hands that the model knows, on which
# it is measured before and after, since what it learns replaces some of what it knew.
# Needs: a quarter of an hour on one core.  Gives: see recipes/README.md.
set -euo pipefail
page=${1:?folder with a page} dev=${2:?folder with other pages of that hand} base=${3:?corpus of other hands}; shift 3
run=${RUN:-runs/ocr-hand} model=$(dirname "$0")/../../ocr/models/handwriting.safetensors
network=(--height-px 64 --channels 32 64 128 192 --deep --hidden-size 256 --layers 3 --residual --dropout 0.35
    --feature-dropout 0.15 --clip-norm 20)  # those of the model
for data in "$dev" "$base"; do ocr evaluate "$model" "$data"; done
ocr train "$page" "$dev" --run "$run" --start-from "$model" --epochs 25 --freeze-epochs 8 --learning-rate 3e-4 \
    --warmup-steps 20 --batch-budget 60 --ema 0.98 --seed 1 "${network[@]}" "$@"
for data in "$dev" "$base"; do ocr evaluate "$run/best.safetensors" "$data"; done
