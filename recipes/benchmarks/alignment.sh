#!/usr/bin/env bash
# The distance of forced alignment from the truth, on drawn lines and spoken tones, whose positions are known, with the
# models of the toy recipes; and, if named, on real speech with known positions and a model for it, as in
#   recipes/benchmarks/alignment.sh digits.safetensors digits/dev.jsonl
# Needs: 5 minutes on two cores.  Gives: mean and median distance of a boundary, in pixels or seconds and in strides;
# time and memory of aligning an hour.  Goals: under one stride on drawn lines and spoken tones; well under 1 GB.
set -euo pipefail
here=$(dirname "$0")
RUN=${RUN:-runs/alignment}-ocr bash "$here/../ocr/toy.sh"
RUN=${RUN:-runs/alignment}-asr bash "$here/../asr/toy.sh"
python "$here/alignment.py" ocr "${RUN:-runs/alignment}-ocr/best.safetensors" "${RUN:-runs/alignment}-ocr.data/dev/places.jsonl"
python "$here/alignment.py" asr "${RUN:-runs/alignment}-asr/best.safetensors" "${RUN:-runs/alignment}-asr.data/dev.jsonl"
python "$here/long_alignment.py"
if [ $# -gt 0 ]; then python "$here/alignment.py" asr "$@"; fi
