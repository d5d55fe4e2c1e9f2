#!/usr/bin/env bash
# How soon after a sound its step is decoded, and how much of one core streams take, in pieces of 30, 100 and 300 ms.
# A model of the default size, untrained, unless one that can follow a stream is named.
# Needs: a minute on one core.  Gives: milliseconds, and seconds of computing for a second of sound.
set -euo pipefail
OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES= python "$(dirname "$0")/streaming.py" "$@"
