#!/usr/bin/env bash
# A language model over characters, learnt from the training texts alone, tuned on every other dev line and stored in the
# model: `ocr transcribe --model RUN/tuned.safetensors` searches with it.  More text of the same kind makes it better: add
# text files (plain, .gz, .xz) to the folders.
# Needs: a trained model, one or two minutes on one core.  Gives: see recipes/README.md.
set -euo pipefail
texts=${1:?folders and text files to learn from} dev=${2:?folder to tune and measure on} model=${3:?model}; shift 3
run=${RUN:-runs/ocr-language-model}
mkdir -p "$run"
ocr lm train ${texts//,/ } --like "$model" --order 6 -o "$run/characters.npz"
ocr evaluate "$model" "$dev" --lm "$run/characters.npz" --beam-width 50 --tune 30 \
    --save-tuned "$run/tuned.safetensors" --json "$run/report.json" --report "$run/report.html" "$@"
