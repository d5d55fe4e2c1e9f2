#!/usr/bin/env bash
# The bundled model ocr/models/handwriting: French handwriting, an n-gram over characters inside.
# Handwriting, print and typescript together first, handwriting alone after that.  The bundled file comes from one run in
# which both parts share one cosine of 30 epochs; these two runs are what comes nearest to it in flags.
# After that a short training on lines and images without writing, of which the model has three quarters of its weights.
# LINES is a folder with handwriting-fr, handwriting-peraire, typed and print, each with train, and dev of the first two;
# PAGES one with copiste-d-un-jour, cremma-medieval, lectaurep-repertoires and tapuscorpus, each with train (PAGE XML).
# Needs: 1 GPU and a quarter of an hour.  Gives: see recipes/README.md and ocr/models/README.md.
set -euo pipefail
lines=${1:?folder with handwriting-fr, handwriting-peraire, typed and print} text=${2:?french.txt.xz}
pages=${3:?folder of pages with PAGE XML}; shift 3
run=${RUN:-runs/ocr-handwriting} here=$(dirname "$0")
hands=$lines/handwriting-fr/train,$lines/handwriting-peraire/train
dev=$lines/handwriting-fr/dev,$lines/handwriting-peraire/dev
network=(--height-px 64 --channels 32 64 128 192 --deep --hidden-size 256 --layers 3 --residual --dropout 0.35
    --feature-dropout 0.15 --consistency-weight 0.2 --clip-norm 20 --ema 0.998 --workers 7
    --cache "$run/signals")  # the second run finds what the first has read
ocr train "$hands,$lines/typed/train,$lines/print/train" "$dev" --run "$run/first" --epochs 10 --learning-rate 2e-3 \
    --warmup-steps 300 --batch-budget 1100 --seed 1 "${network[@]}" "$@"
ocr train "$hands" "$dev" --run "$run/second" --start-from "$run/first/best.safetensors" --epochs 20 \
    --learning-rate 1.2e-3 --warmup-steps 50 --batch-budget 550 --seed 2 "${network[@]}" "$@"
sources=(copiste-d-un-jour cremma-medieval lectaurep-repertoires tapuscorpus)
sources=("${sources[@]/#/$pages/}")
python "$here/blanks.py" "$run/blank" --count 240 --pages "${sources[@]/%//train}"
ocr train "$hands,$run/blank/blanks.jsonl" "$dev" --run "$run/third" --start-from "$run/second/best.safetensors" \
    --epochs 1 --learning-rate 1.5e-4 --seed 1 "${network[@]}" --ema 0.99 "$@"
model=$run/model.safetensors
python "$here/../core/average_weights.py" "$run/second/best.safetensors" "$run/third/best.safetensors" "$model" 0.75
written=("$lines/handwriting-fr/train" "$lines/handwriting-peraire/train")  # four times, beside novels
ocr lm train "${written[@]}" "${written[@]}" "${written[@]}" "${written[@]}" "$text" --like "$model" --order 6 \
    --prune 0 0 0 1 1 4 -o "$run/characters.npz"
ocr evaluate "$model" "$lines/handwriting-fr/dev" --beam-width 50 --lm "$run/characters.npz" --lm-weight 0.6 \
    --label-bonus 0.8 --tune 24 --save-tuned "$run/handwriting.safetensors"
ocr export "$run/handwriting.safetensors" "$run/handwriting.onnx" --int8 --calibration "$hands"
for folder in ${dev//,/ }; do ocr evaluate "$run/handwriting.onnx" "$folder"; done
python "$here/../core/eight_bits.py" "$model" "$run/handwriting-network.safetensors"
