#!/usr/bin/env bash
# Handwriting: folders of NAME.png (jpg, webp, tif ...) + NAME.gt.txt; taller lines, 8 px to a step.
# Needs: 1 GPU, or two cores and two hours for 4,000 lines.  Gives: see recipes/README.md.
set -euo pipefail
train=${1:?folders to train on} dev=${2:?folders to measure on}; shift 2
run=${RUN:-runs/ocr-handwriting}
ocr train "$train" "$dev" --run "$run" --height-px 80 --stride 8 --epochs 16 --batch-budget 240 --shortcut \
    --learning-rate 2e-3 --seed 1 "$@"
for folder in ${dev//,/ }; do
    ocr evaluate "$run/best.safetensors" "$folder" --report "$run/$(basename "$(dirname "$folder")").html"
done
