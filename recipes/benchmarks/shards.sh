#!/usr/bin/env bash
# 100,000 lines as files of a folder and in tars: seconds from the start of `ocr train` to its first update, peak
# memory, and the lines that the loader reads in a second, with the files in memory and after they were dropped from it.
# Needs: a quarter of an hour of an idle machine, 3 GB on disk.
# Gives: two tables, ratio first; "others" is the share of the cores that other programs used; it must be near 0.
set -euo pipefail
python "$(dirname "$0")/shards.py" "$@"
