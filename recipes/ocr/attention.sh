#!/usr/bin/env bash
# The same encoder with CTC, with an attention decoder and with both, trained in the same way on lines of typescript.
# Needs: 1 GPU, or 40 minutes on one core, and a model to start from, because the lines are few: the model of
# line_kinds.sh, whose head none of the three can use.  Gives: see recipes/README.md.
set -euo pipefail
lines=${1:?folder with train/ and dev/} start=${2:?model of line_kinds.sh}; shift 2
run=${RUN:-runs/ocr-attention}
like=("$lines/train" "$lines/dev" --start-from "$start" --epochs 3 --learning-rate 1e-3 --seed 1)
ocr train "${like[@]}" --run "$run/ctc" "$@"
ocr train "${like[@]}" --run "$run/attention" --task attention "$@"
ocr train "${like[@]}" --run "$run/hybrid" --task attention --ctc-weight 0.3 "$@"
for model in ctc attention hybrid; do
    ocr evaluate "$run/$model/best.safetensors" "$lines/dev"
done
ocr evaluate "$run/attention/best.safetensors" "$lines/dev" --decoder beam --beam-width 8 --length-penalty 0.6
ocr evaluate "$run/hybrid/best.safetensors" "$lines/dev" --decoder beam --beam-width 8 --ctc-weight 0.3
