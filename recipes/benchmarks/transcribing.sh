#!/usr/bin/env bash
# What `ocr transcribe` and `asr transcribe` take: memory and cores for one file and for 10,000 lines or 1,000
# utterances (200 drawn lines, 200 spoken tones, again and again under new names), the slowest imports of a start,
# whether torch is among them, and what installed environments weigh, as in
#   recipes/benchmarks/transcribing.sh --environment ~/base --environment ~/full
# Needs: 5 minutes of an idle machine.
# Gives: tables, ratio first; "others" is the share of the two cores that other programs took, near 0 or in vain.
set -euo pipefail
python "$(dirname "$0")/transcribing.py" "$@"
