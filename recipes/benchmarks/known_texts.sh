#!/usr/bin/env bash
# An hour of speech with a text that lacks parts of it and has others: share of words that are found, time, memory.
# Needs: a corpus of utterances of an hour or more with their texts, such as two manifests with a comma between.
# Gives: see recipes/README.md.
set -euo pipefail
data=${1:?corpus of utterances with texts}; shift
python "$(dirname "$0")/known_texts.py" "$data" "$@"
