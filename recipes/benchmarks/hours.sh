#!/usr/bin/env bash
# Long recordings, made of utterances: word errors beside the utterances one by one, memory, time, places of words.
# Needs: a corpus of utterances with their texts; 10 minutes on two cores.
# Gives: see recipes/README.md.
set -euo pipefail
data=${1:?corpus of utterances with texts}; shift
python "$(dirname "$0")/hours.py" "$data" "$@"
