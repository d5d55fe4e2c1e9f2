#!/usr/bin/env bash
# The bundled model ocr/models/printed: print, typescript and Fraktur in English, German and French, old and on screens.
# It learns from real lines together with lines that are drawn in the fonts of a folder (from Debian: fonts-dejavu,
# liberation, croscore, crosextra-carlito, crosextra-caladea, freefont-ttf, urw-base35, ebgaramond, sil-gentiumplus,
# sil-charis, lato, roboto-unhinted, open-sans, inter, hack, inconsolata, courier-prime, cmu, oldstandard,
# linuxlibertine, vollkorn, cantarell, jetbrains-mono, junicode, texgyre; without small capitals and display cuts).
# Needs: 1 GPU, or an hour on one core.  Gives: see recipes/README.md and ocr/models/README.md.
set -euo pipefail
texts=${1:?folder with english.txt.xz, german.txt.xz and french.txt.xz} fonts=${3:?folder of fonts}
lines=${2:?folder with print, typed and fraktur, each with train and dev}; shift 3
run=${RUN:-runs/ocr-bundled}
like=(--length 10 70 --figures 0.12 --clean 0.45 --font-folder "$fonts")
python -m ocr.synthesis lines "$run.data/english" --text "$texts/english.txt.xz" --count 5000 --seed 1 "${like[@]}"
python -m ocr.synthesis lines "$run.data/german" --text "$texts/german.txt.xz" --count 4000 --seed 2 "${like[@]}"
python -m ocr.synthesis lines "$run.data/french" --text "$texts/french.txt.xz" --count 3000 --seed 3 "${like[@]}"
python -m ocr.synthesis lines "$run.data/dev-english" --text "$texts/english.txt.xz" --count 150 --seed 11 "${like[@]}"
python -m ocr.synthesis lines "$run.data/dev-german" --text "$texts/german.txt.xz" --count 100 --seed 12 "${like[@]}"
python -m ocr.synthesis lines "$run.data/dev-french" --text "$texts/french.txt.xz" --count 100 --seed 13 "${like[@]}"
train=$lines/print/train,$lines/typed/train,$lines/fraktur/train,$run.data/english,$run.data/german,$run.data/french
drawn=$run.data/dev-english,$run.data/dev-german,$run.data/dev-french
dev=$lines/print/dev,$lines/typed/dev,$lines/fraktur/dev,$drawn
ocr train "$train" "$dev" --run "$run" --start-from ocr/models/printed.safetensors --start-symbols texts \
    --epochs 4 --learning-rate 1e-3 --seed 1 "$@"
for data in "$lines/print/dev" "$lines/typed/dev" "$lines/fraktur/dev" "$drawn"; do
    ocr evaluate "$run/best.safetensors" "$data"
done
ocr export "$run/best.safetensors" "$run/printed.onnx" --int8 --data "$dev" \
    --calibration "$lines/print/train,$lines/typed/train,$lines/fraktur/train"
