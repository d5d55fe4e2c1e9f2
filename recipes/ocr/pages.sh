#!/usr/bin/env bash
# The model that finds the lines of pages: 200 pages of ten sources in PAGE XML, and drawn pages.
# Needs: 70 minutes on one core, or a GPU.  Gives: see recipes/README.md.
set -euo pipefail
data=${1:?folder of sources, each with train/ and dev/ of PAGE XML or ALTO beside the images}; shift
run=${RUN:-runs/ocr-lines}
train=$(printf '%s,' "$data"/*/train) dev=$(printf '%s,' "$data"/*/dev)
ocr train-lines "$train" "$dev" --run "$run" --epochs 12 --squares 800 --squares-per-batch 4 --seed 1 "$@"
ocr transcribe "$data"/*/dev/*.webp --lines-model "$run/lines.onnx" -f page -o "$run/pages"
