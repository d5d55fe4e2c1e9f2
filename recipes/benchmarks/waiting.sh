#!/usr/bin/env bash
# The loader alone, on two cores: how much of the time of a run is steps of 20 ms that only wait, when batches of lines and
# of speech are read from the store, augmented and padded by two processes.  Goal: 90 % from the second epoch on.
# Needs: 3 minutes of an idle machine; for speech a manifest to train on and one to measure on, named first.
# Gives: a table with the share of each epoch, and the time until the first batch of the last one.
set -euo pipefail
python "$(dirname "$0")/waiting.py" "$@"
