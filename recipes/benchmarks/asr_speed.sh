#!/usr/bin/env bash
# Computing time for a second of speech and error rates of `asr transcribe` and of pocketsphinx (its own English model, the
# better of one process and two) on two cores and the same WAV files: spoken tones, whose error rates mean nothing, or a
# manifest, LibriSpeech tree ..., as in
#   recipes/benchmarks/asr_speed.sh minilibri/dev.jsonl --python ~/sphinx/bin/python
# Needs: 10 minutes of an idle machine; pocketsphinx (pip install pocketsphinx), if wanted, here or in an environment
#   of its own.
# Gives: a table, ratio first; "others" is the share of the cores that other programs used; it must be near 0.
#   Goal: 20 times faster than pocketsphinx.
set -euo pipefail
python "$(dirname "$0")/asr_speed.py" "$@"
