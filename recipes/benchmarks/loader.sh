#!/usr/bin/env bash
# What loading costs in training, on two cores: lines/s of `ocr train` reading inline, and with 1 and 2 workers,
# against the same loop with the same batches ready in memory; and peak memory.  Goal: under 10 %.
# Needs: 2 minutes of an idle machine.
# Gives: a table, ratio first; "others" is the share of the two cores that other programs took, near 0 or in vain.
set -euo pipefail
python "$(dirname "$0")/loader.py" "$@"
