#!/usr/bin/env bash
# A language model over characters from the training texts alone, tuned on every other dev line and put into the model:
# `ocr transcribe --model RUN/tuned.safetensors` then searches with it.  More text of the same kind makes it better:
# name text files (plain, .gz, .xz) among the folders.
# Needs: a model that is trained, a minute or two on one core.  Gives: see recipes/README.md.
set -euo pipefail
texts=${1:?folders and text files to learn from} dev=${2:?folder to tune and measure on} model=${3:?model}; shift 3
run=${RUN:-runs/ocr-language-model}
mkdir -p "$run"
ocr lm train ${texts//,/ } --like "$model" --order 6 -o "$run/characters.npz"
ocr evaluate "$model" "$dev" --lm "$run/characters.npz" --beam-width 50 --tune 30 \
    --save-tuned "$run/tuned.safetensors" --json "$run/report.json" --report "$run/report.html" "$@"
