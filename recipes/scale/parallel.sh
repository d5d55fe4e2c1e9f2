#!/usr/bin/env bash
# Transcribe the files of a list in shares, several at a time on this machine, or on others that see the same folders.
# What is done is left when it is called again.  With GNU parallel the same on machines A and B:
#     seq 16 | parallel -S A,B --workdir . ocr transcribe --list LIST --shard {}/16 -f jsonl -o OUT
# Needs: ocr or asr, and the files.  Gives: OUT/part-1-of-16.jsonl ..., one row for each file.
set -euo pipefail
command=${1:?ocr or asr} list=${2:?a text with the name of a file on each line} out=${3:?folder for the rows}; shift 3
shares=${SHARES:-16} at_a_time=${AT_A_TIME:-$(nproc)}
seq "$shares" | xargs -P "$at_a_time" -I{} \
    "$command" transcribe --list "$list" --shard "{}/$shares" --format jsonl --output-dir "$out" --threads 1 "$@"
