#!/usr/bin/env bash
# Language models over characters and over words, learnt from text and transcripts, tuned on every other dev utterance and
# stored in the model: `asr transcribe --model RUN/tuned.safetensors` searches with both.  Words that are not in the
# lexicon are possible at a price, which is tuned, too.
# Needs: a trained model, text (plain, .gz, .xz) and manifests, half an hour on one core.
# Gives: see recipes/README.md.
set -euo pipefail
texts=${1:?text files and manifests to learn from} dev=${2:?manifest to tune and measure on} model=${3:?model}; shift 3
run=${RUN:-runs/asr-language-model}
mkdir -p "$run"
asr lm train ${texts//,/ } --like "$model" --order 6 --prune 0 0 0 0 1 1 -o "$run/characters.npz"
asr lm train ${texts//,/ } --like "$model" --unit word --order 3 --prune 0 0 1 --vocabulary 40000 -o "$run/words.npz"
asr evaluate "$model" "$dev" --lm "$run/characters.npz" --lm "$run/words.npz" --beam-width 100 --lm-weight 0.5 \
    --label-bonus 0.5 --word-bonus 1 --unknown-word-penalty 5 --tune 40 --tune-metric wer \
    --save-tuned "$run/tuned.safetensors" --json "$run/report.json" --report "$run/report.html" "$@"
