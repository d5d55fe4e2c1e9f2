#!/usr/bin/env bash
# Lines of print or typescript: folders of NAME.png (jpg, webp, tif ...) + NAME.gt.txt.
# TRAIN and DEV may each be several folders, joined by commas.
# Needs: 1 GPU, or two cores and two hours for 7,000 lines.  Gives: see recipes/README.md.
# A GPU trains the deeper network in less time: add --deep --channels 48 96 192 256 --hidden-size 256 --workers 8
set -euo pipefail
train=${1:?folders to train on} dev=${2:?folders to measure on}; shift 2
run=${RUN:-runs/ocr-lines}
ocr train "$train" "$dev" --run "$run" --epochs 13 --seed 1 "$@"
for folder in ${dev//,/ }; do
    ocr evaluate "$run/best.safetensors" "$folder" --report "$run/$(basename "$(dirname "$folder")").html"
done
