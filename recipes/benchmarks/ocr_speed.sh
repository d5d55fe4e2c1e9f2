#!/usr/bin/env bash
# Lines/s, start and error rate of `ocr transcribe`, on two cores, against tesseract (its best of one process with its
# own threads, one without, and two) and kraken on the very same PNG files: drawn lines, or folders, as in
#   recipes/benchmarks/ocr_speed.sh typed/dev=deu+eng print/dev=deu fraktur/dev=Fraktur --kraken ~/kraken/bin/kraken
# Needs: 5 minutes of an idle machine; Debian's tesseract-ocr, for these folders tesseract-ocr-deu and
#   tesseract-ocr-script-frak, too; kraken, if wanted, in an environment of its own (pip install kraken).
# Gives: a table for each folder, ratios to tesseract's best first; "others" is the share of the two cores that other
#   programs took, near 0 or in vain.  Goals: 5 times its lines/s, a start no slower, half its CER.
set -euo pipefail
python "$(dirname "$0")/ocr_speed.py" "$@"
