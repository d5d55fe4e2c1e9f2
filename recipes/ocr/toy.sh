#!/usr/bin/env bash
# Lines drawn with the fonts of this machine: shows that everything works, without any data.
# Needs: a few minutes on two cores.  Gives: CER under 5 %; see recipes/README.md.
set -euo pipefail
run=${RUN:-runs/ocr-toy}
count=${COUNT:-2000}
python -m ocr.synthesis lines "$run.data/train" --count "$count" --seed 1
python -m ocr.synthesis lines "$run.data/dev" --count $((count / 10)) --seed 2
ocr train "$run.data/train" "$run.data/dev" --run "$run" --epochs 5 --seed 1 \
    --height-px 32 --channels 16 32 48 64 --hidden-size 96 --layers 1 --dropout 0.1 --feature-dropout 0 \
    --batch-budget 50 --learning-rate 3e-3 --warmup-steps 60 --ema 0.99 --augment.strength 0.4 "$@"
ocr evaluate "$run/best.safetensors" "$run.data/dev" --report "$run/report.html"
ocr transcribe "$run.data/dev/00000.png" --model "$run/best.safetensors"
