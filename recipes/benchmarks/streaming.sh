#!/usr/bin/env bash
# Streams with torch and with ONNX: the share of one core in pieces of 30, 100 and 300 ms; with --data MANIFEST, whose words have
# times, the delay from the end of a word to its text; and memory after an hour. Without a model, an untrained one of the
# default size reads noise.
# Needs: 5 minutes on one core.  Gives: seconds of computing for a second of sound, delays, megabytes; see recipes/README.md.
set -euo pipefail
OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES= python "$(dirname "$0")/streaming.py" "$@"
