#!/usr/bin/env bash
# How `ocr train` starts on manifests of 1,000, 10,000 and 100,000 lines: seconds to the first update and peak
# memory; with lengths in the manifest, and without, where the first start measures every file and stores the lengths.
# Needs: 4 minutes of an idle machine, room for 100,000 symbolic links.
# Gives: a table, ratio first; "others" is the share of the cores that other programs used; it must be near 0.
set -euo pipefail
python "$(dirname "$0")/manifest.py" "$@"
