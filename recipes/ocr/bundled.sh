#!/usr/bin/env bash
# The bundled model ocr/models/printed: print, typescript and Fraktur in English, German and French, old and on screens.
# It learns from real lines, twice in each epoch, together with lines that are drawn in the fonts of a folder: on paper, on
# screens and in scans; with catalogues and footnotes, in several types; and letters of other languages in no order.
# FONTS, from Debian: fonts-dejavu, liberation, croscore, crosextra-carlito, crosextra-caladea, freefont-ttf, urw-base35,
# ebgaramond, sil-gentiumplus, sil-gentiumplus-compact, sil-charis, sil-andika, lato, roboto-unhinted, open-sans, inter,
# hack, inconsolata, courier-prime, cmu, lmodern, oldstandard, linuxlibertine, vollkorn, cantarell, jetbrains-mono, junicode,
# texgyre, stix, cardo, gfs-didot, gfs-artemisia, gfs-neohellenic, gfs-baskerville, gfs-bodoni-classic, goudybookletter,
# sortsmillgoudy, prociono, fanwood, lindenhill, essays1743, century-catalogue, adf-accanthis, adf-baskervald, adf-berenis,
# adf-irianis, adf-romande, noto-core (Serif, Sans and Mono of it); without small capitals, display and blackletter cuts.
# Needs: 1 GPU, or two hours on one core.  Gives: see recipes/README.md and ocr/models/README.md.
set -euo pipefail
texts=${1:?folder with english.txt.xz, german.txt.xz and french.txt.xz} fonts=${4:?folder of fonts}
lines=${2:?folder with print, typed and fraktur, each with train and dev} pages=${3:?folder of pages with PAGE XML}; shift 4
run=${RUN:-runs/ocr-bundled} here=$(dirname "$0") start=ocr/models/printed.safetensors
drawn=$run.data
like=(--mixed 0.5 --clean 0.25 --scanned 0.4 --font-folder "$fonts")
books=(--length 10 75 --figures 0.07 --notes 0.05 --entries 0.2 "${like[@]}")
letters=abcdefghijklmnopqrstuvwxyzÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝŒàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿœßŠšŽžČčŘřĚěŮůłŁĄąĘęŚśŹźŻżŃńĆćŐőŰű
python -m ocr.synthesis lines "$drawn/english" --text "$texts/english.txt.xz" --count 5500 --seed 1 "${books[@]}"
python -m ocr.synthesis lines "$drawn/german" --text "$texts/german.txt.xz" --count 5500 --seed 2 "${books[@]}"
python -m ocr.synthesis lines "$drawn/french" --text "$texts/french.txt.xz" --count 3500 --seed 3 "${books[@]}"
python -m ocr.synthesis lines "$drawn/letters" --letters "$letters" --count 700 --seed 4 --length 20 60 "${like[@]}"
screens=(--length 10 70 --figures 0.12 --clean 1 --font-folder "$fonts")
python -m ocr.synthesis lines "$drawn/screens" --text "$texts/german.txt.xz" --count 150 --seed 12 "${screens[@]}"
scans=(--length 20 70 --notes 0.1 --mixed 0.5 --scanned 1 --font-folder "$fonts")
python -m ocr.synthesis lines "$drawn/scans" --text "$texts/english.txt.xz" --count 150 --seed 13 "${scans[@]}"
old=("$pages/htr-imprime-17e-siecle" "$pages/htr-incunable-15e-siecle" "$pages/tnah-2021-expositions_universelles")
old+=("$pages/tapuscorpus")
python "$here/select_lines.py" "$drawn/pages" "${old[@]/%//train}"
python "$here/select_lines.py" "$drawn/pages-dev" "${old[2]}/dev"
blank=("${old[@]}" "$pages/ehri-dataset" "$pages/fondue-mlt-art")
python "$here/blanks.py" "$drawn/blank" --count 500 --pages "${blank[@]/%//train}"
real=$lines/print/train,$lines/typed/train,$lines/fraktur/train dev=$lines/print/dev,$lines/typed/dev,$lines/fraktur/dev
train=$real,$real,$drawn/english,$drawn/german,$drawn/french,$drawn/letters,$drawn/pages,$drawn/blank/blanks.jsonl
ocr train "$train" "$dev,$drawn/screens,$drawn/scans,$drawn/pages-dev" --run "$run" --start-from "$start" \
    --start-symbols texts --epochs 5 --learning-rate 1e-3 --ema 0.998 --augment.binarise 0.08 --augment.cut 0.1 --seed 1 "$@"
model=$run/best.safetensors
# n-grams over characters: novels, these once more as Fraktur spells them, and the lines
python "$here/fraktur.py" "$texts/german.txt.xz" > "$drawn/fraktur.txt"
written=("$lines/print/train" "$lines/typed/train" "$lines/fraktur/train")
other=("$drawn/english" "$drawn/german" "$drawn/french" "$drawn/letters" "$drawn/pages" "$drawn/fraktur.txt")
ocr lm train "$texts"/{english,german,french}.txt.xz "${other[@]}" "${written[@]}" "${written[@]}" "${written[@]}" \
    "${written[@]}" --like "$model" --order 6 --prune 0 0 1 3 6 10 -o "$run/characters.npz"
python "$here/../core/round_ngrams.py" "$run/characters.npz" "$run/rounded.npz"
python "$here/../core/label_prior.py" ocr "$model" "$run/flat.safetensors" \
    "$real,$drawn/english,$drawn/german,$drawn/french,$drawn/letters,$drawn/pages" --weight 0.2 --count 1500
ocr evaluate "$run/flat.safetensors" "$dev" --lm "$run/rounded.npz" --beam-width 8 --lm-weight 0.3 --label-bonus 0.3 \
    --tune 6 --save-tuned "$run/printed.safetensors"
ocr export "$run/printed.safetensors" "$run/printed.onnx" --int8 --data "$dev" --calibration "$real"
for data in "$lines/print/dev" "$lines/typed/dev" "$lines/fraktur/dev" "$drawn/screens" "$drawn/scans" "$drawn/pages-dev"; do
    ocr evaluate "$run/printed.onnx" "$data"
done
python "$here/../core/eight_bits.py" "$model" "$run/printed-network.safetensors"
