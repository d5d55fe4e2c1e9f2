#!/usr/bin/env bash
# Time and memory of the beam search and of torchaudio's flashlight decoder with the same width (pip install
# flashlight-text kenlm; without it, ours alone): 32 utterances of 400 steps and 32 classes, and of 250
# steps and 120 classes; width 20 and 100; without and with a character 6-gram, and with 200 hot words. With a GPU, also
# 256 utterances there and on the CPU.
# Needs: 5 minutes of an idle machine.  Gives: a table, ratio first.  Goal: faster than flashlight throughout.
set -euo pipefail
python "$(dirname "$0")/decoding.py" "$@"
