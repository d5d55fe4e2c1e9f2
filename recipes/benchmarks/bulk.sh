#!/usr/bin/env bash
# Bulk transcription: one plain call beside shards of the same list, and beside actors of Ray: rate, memory, and whether
# each line has one row with the same text; the same after kill -9, after the end of an actor, and with a file that
# ends its process.
# Needs: pip install -e ".[scale]"; for 100,000 lines more than an hour of an idle machine with two cores; --count 2000
# is a small run.
# Gives: tables, ratio first; "others" is the share of the cores that other programs used; it must be near 0.
set -euo pipefail
python "$(dirname "$0")/bulk.py" "$@"
