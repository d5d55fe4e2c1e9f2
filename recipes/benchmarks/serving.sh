#!/usr/bin/env bash
# What `asr serve` and `ocr serve` answer when 1, 8 and 64 clients ask at once, with utterances of 5 s and with lines,
# beside one process that reads file by file; and how long short requests take while a long recording is transcribed.
# Needs: 10 minutes of an idle machine, and memory for the long recording (--long-minutes 0 leaves it out); for the
#   memory over many requests, --requests 10000, and --clients without numbers for that alone.
# Gives: requests/s, median and 99th percentile of their seconds, and the memory of the server.
set -euo pipefail
python "$(dirname "$0")/serving.py" "$@"
