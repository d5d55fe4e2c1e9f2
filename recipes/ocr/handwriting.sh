#!/usr/bin/env bash
# Handwriting: folders of NAME.png (jpg, webp, tif ...) + NAME.gt.txt.  Starts with a model of printed lines
# (recipes/ocr/lines.sh), which saves most of the time.
# Needs: 1 GPU, or half an hour on one core for 4,000 lines.  Gives: see recipes/README.md.
set -euo pipefail
train=${1:?folders to train on} dev=${2:?folders to measure on} model=${3:?model to start from}; shift 3
run=${RUN:-runs/ocr-handwriting}
ocr train "$train" "$dev" --run "$run" --start-from "$model" --start-symbols texts --epochs 12 \
    --batch-budget 240 --seed 1 "$@"
for folder in ${dev//,/ }; do
    ocr evaluate "$run/best.safetensors" "$folder" --report "$run/$(basename "$(dirname "$folder")").html"
done
