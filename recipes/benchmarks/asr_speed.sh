#!/usr/bin/env bash
# Seconds of computing for a second of speech, and error rates, of `asr transcribe` on two cores against pocketsphinx
# (its own English model, its best of one process and two) on the very same WAV files: spoken tones, on which errors
# mean nothing, or a manifest, LibriSpeech tree ..., as in
#   recipes/benchmarks/asr_speed.sh minilibri/dev.jsonl --python ~/sphinx/bin/python
# Needs: 10 minutes of an idle machine; pocketsphinx (pip install pocketsphinx), if wanted, here or in an environment
#   of its own.
# Gives: a table, ratio first; "others" is the share of the two cores that other programs took, near 0 or in vain.
#   Goal: 20 times faster than pocketsphinx.
set -euo pipefail
python "$(dirname "$0")/asr_speed.py" "$@"
