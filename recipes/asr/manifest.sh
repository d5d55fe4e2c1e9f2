#!/usr/bin/env bash
# Your own speech, as manifests of JSON lines: audio_filepath, duration (s), text.
# TRAIN and DEV may each be several manifests, joined by commas (or LibriSpeech trees, Kaldi folders, CSV files).
# Needs: 1 GPU, or two cores and patience (see recipes/README.md).  Gives: see recipes/README.md.
set -euo pipefail
train=${1:?manifests to train on} dev=${2:?manifest to measure on}; shift 2
run=${RUN:-runs/asr-manifest}
asr train "$train" "$dev" --run "$run" --epochs 15 --batch-budget 80 --channels 24 48 64 --shortcut \
    --learning-rate 1.5e-3 --seed 1 "$@"
asr evaluate "$run/best.safetensors" "$dev" --report "$run/report.html" --json "$run/report.json"
