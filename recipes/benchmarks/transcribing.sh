#!/usr/bin/env bash
# What `ocr transcribe` and `asr transcribe` need: memory and cores for one file and for 10,000 lines or 1,000 utterances
# (200 drawn lines, 200 spoken tones, repeated under new names), the slowest imports of a start, whether torch is imported,
# and the sizes of installed environments, as in
#   recipes/benchmarks/transcribing.sh --environment ~/base --environment ~/full
# Needs: 5 minutes of an idle machine.
# Gives: tables, ratio first; "others" is the share of the cores that other programs used; it must be near 0.
set -euo pipefail
python "$(dirname "$0")/transcribing.py" "$@"
