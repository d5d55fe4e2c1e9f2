#!/usr/bin/env bash
# The loss curve of two processes, and of the same run stopped in the middle and resumed with one and with three.
# Needs: the extra train, two minutes on two cores.  Gives: the loss of each epoch and the largest difference; see
#   recipes/README.md.  Without dropout, whose draws differ from process to process, sums differ only in their order.
set -euo pipefail
run=${RUN:-runs/resume-ranks} here=$(dirname "$0") count=${COUNT:-240} epochs=${EPOCHS:-6}
export OMP_NUM_THREADS=1
python -m ocr.synthesis lines "$run/data/train" --count "$count" --seed 1
python -m ocr.synthesis lines "$run/data/dev" --count 20 --seed 2
train() {  # processes, run folder, flags
    DEVICES=$1 "$here/torchrun.sh" ocr "$run/data/train" "$run/data/dev" --run "$run/$2" --device cpu \
        --precision 32-true --height-px 32 --channels 8 16 24 32 --hidden-size 32 --layers 1 --dropout 0 \
        --feature-dropout 0 --batch-budget 100 --learning-rate 3e-3 --schedule constant --warmup-steps 0 --seed 1 "${@:3}"
}
train 2 whole --epochs "$epochs" "$@"
for processes in 1 3; do
    train 2 "then-$processes" --epochs $((epochs / 2)) "$@"
    train "$processes" "then-$processes" --epochs "$epochs" --resume "$@"
done
python - "$run" <<'PYTHON'
import csv
import sys

def losses(name):
    with open(f"{sys.argv[1]}/{name}/log.csv", encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]

curves = {name: losses(name) for name in ("whole", "then-1", "then-3")}
for name, curve in curves.items():
    print(f"{name:8}", *(f"{loss:9.5f}" for loss in curve))
for name in ("then-1", "then-3"):
    pairs = zip(curves[name], curves["whole"], strict=True)
    print(f"{name}: largest relative difference {max(abs(a - b) / b for a, b in pairs):.1e}")
PYTHON
