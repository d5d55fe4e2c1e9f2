#!/usr/bin/env bash
# Lines/s in training, on two cores: our default network in bfloat16 and float32, and kraken's, on the same lines (48 x
# 900 px, drawn; or those of a folder, named first).  Goals: 20 times kraken, and 50 lines/s.
# Needs: 4 minutes of an idle machine; kraken in an environment of its own (pip install kraken), as in
#   recipes/benchmarks/training_speed.sh --ketos ~/kraken/bin/ketos
# Gives: a table, ratio first; "others" is the share of the cores that other programs used; it must be near 0.
set -euo pipefail
python "$(dirname "$0")/training_speed.py" "$@"
