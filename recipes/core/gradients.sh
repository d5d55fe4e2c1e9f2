#!/usr/bin/env bash
# Vanishing, exploding and clipped gradients of each cell, measured in float64 and drawn.
# Needs: matplotlib (pip install "amanuensis[test]" brings it); 1 minute on one core.  Gives: a table and a PNG.
set -euo pipefail
python "$(dirname "$0")/gradients.py" --picture "${RUN:-runs}/gradients.png" "$@"
