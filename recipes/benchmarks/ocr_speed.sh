#!/usr/bin/env bash
# Lines/s, start and error rate of `ocr transcribe`, tesseract (the best of one process with its own threads, one without,
# and two) and kraken, on two cores and the same PNG files: drawn lines, or folders, as in
#   recipes/benchmarks/ocr_speed.sh typed/dev=deu+eng print/dev=deu fraktur/dev=Fraktur --kraken ~/kraken/bin/kraken
# Needs: 5 minutes of an idle machine; Debian's tesseract-ocr, for these folders tesseract-ocr-deu and
#   tesseract-ocr-script-frak, too; kraken, if wanted, in an environment of its own (pip install kraken).
# Gives: a table for each folder, ratios to tesseract's best first; "others" is the share of the cores that other
#   programs used; it must be near 0.  Goals: 5 times its lines/s, a start no slower, half its CER.
set -euo pipefail
python "$(dirname "$0")/ocr_speed.py" "$@"
