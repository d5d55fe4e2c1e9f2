#!/usr/bin/env bash
# Characters from one label: a language model that is given a language and writes in it.
# Needs: 1 GPU, or 5 minutes on one core; a folder with english, german and french .txt.xz.  Gives: see recipes/README.md.
set -euo pipefail
texts=${1:?folder with english.txt.xz, german.txt.xz and french.txt.xz}; shift
run=${RUN:-runs/generation}
mkdir -p "$run.data"
for language in english german french; do
    xzcat "$texts/$language.txt.xz" | awk 'NR <= 4000' > "$run.data/$language.txt"
done
data=("english=$run.data/english.txt" "german=$run.data/german.txt" "french=$run.data/french.txt")
ocr lm train "${data[@]}" --recurrent --run "$run" --condition every --hidden-size 256 --epochs 3 "$@"
for language in english german french; do
    ocr lm sample "$run/best.safetensors" --label "$language" --temperature 0.7 --length 120 --count 2
done
