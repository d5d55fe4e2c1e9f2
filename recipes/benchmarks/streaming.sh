#!/usr/bin/env bash
# The delay from a sound to its decoded step, and the share of one core that streams use, in pieces of 30, 100 and 300 ms.
# The model is untrained and has the default size, unless a model that can follow a stream is named.
# Needs: a minute on one core.  Gives: milliseconds, and seconds of computing for a second of sound.
set -euo pipefail
OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES= python "$(dirname "$0")/streaming.py" "$@"
