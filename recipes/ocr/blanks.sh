#!/usr/bin/env bash
# Teach a model of lines that an image without writing has no text: a short training on lines with 4 % of blank images,
# and the average of its weights with those before.  The bundled printed model had this step on half of the lines twice.
# Needs: 1 GPU, or 20 minutes on one core.  Gives: see ocr/models/README.md.
set -euo pipefail
lines=${1:?folder with print, typed and fraktur, each with train and dev} pages=${2:?folder of pages with PAGE XML}; shift 2
run=${RUN:-runs/ocr-blanks} here=$(dirname "$0")
sources=(tapuscorpus ehri-dataset fondue-mlt-art htr-imprime-17e-siecle tnah-2021-expositions_universelles
    htr-incunable-15e-siecle copiste-d-un-jour)
python "$here/blanks.py" "$run/blank" --count 300 --pages "${sources[@]/#/$pages/}"
python "$here/blanks.py" "$run/blank-dev" --count 200 --seed 2 --pages "${sources[@]/#/$pages/}"
ocr train "$lines/print/train,$lines/typed/train,$lines/fraktur/train,$run/blank/blanks.jsonl" \
    "$lines/print/dev,$lines/typed/dev,$run/blank-dev/blanks.jsonl" --run "$run/model" \
    --start-from ocr/models/printed.safetensors --epochs 1 --learning-rate 2.5e-4 --ema 0.99 --seed 1 "$@"
python "$here/../core/average_weights.py" ocr/models/printed.safetensors "$run/model/best.safetensors" \
    "$run/printed.safetensors" 0.75
for data in print typed fraktur; do ocr evaluate "$run/printed.safetensors" "$lines/$data/dev"; done
