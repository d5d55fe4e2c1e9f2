#!/usr/bin/env bash
# The cost of loading in training, on two cores: lines/s and peak memory of `ocr train` with reading inline and with 1 and
# 2 workers, and of the same training with all batches ready in memory.  Goal: under 10 %.
# Needs: 2 minutes of an idle machine.  With --epochs 10, the peak memory of each epoch shows whether it grows.
# Gives: a table, ratio first; "others" is the share of the cores that other programs used; it must be near 0 in the rows
# without workers (the time of workers is counted there, too).
set -euo pipefail
python "$(dirname "$0")/loader.py" "$@"
