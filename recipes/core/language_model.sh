#!/usr/bin/env bash
# A recurrent language model and a 6-gram: bits per character of held-out text, and error rates of a search with each.
# Needs: 1 GPU, or 30 minutes on one core; text, a recognizer, and transcribed recordings.  Gives: see recipes/README.md.
set -euo pipefail
text=${1:?plain text, .xz} model=${2:?model of asr} dev=${3:?transcribed recordings}; shift 3
run=${RUN:-runs/language-model}
mkdir -p "$run.data"
xzcat "$text" | awk 'NR % 50' > "$run.data/train.txt"
xzcat "$text" | awk 'NR % 50 == 0' > "$run.data/held-out.txt"
asr lm train "$run.data/train.txt" --like "$model" --recurrent --run "$run" --held-out "$run.data/held-out.txt" \
    --hidden-size 512 --epochs 2 --k1 64 --k2 64 "$@"
asr lm train "$run.data/train.txt" --like "$model" --order 6 --prune 0 0 0 0 1 2 -o "$run/6-gram.npz"
asr lm evaluate "$run/best.safetensors" "$run.data/held-out.txt" --like "$model" --beside "$run/6-gram.npz"
asr evaluate "$model" "$dev"
asr evaluate "$model" "$dev" --lm "$run/6-gram.npz" --beam-width 20 --lm-weight 0.8 --label-bonus 1 --tune 12 --tune-metric wer
asr evaluate "$model" "$dev" --lm "$run/best.safetensors" --beam-width 20 --lm-weight 0.8 --label-bonus 1 --tune 4 \
    --tune-metric wer
asr evaluate "$model" "$dev" --lm "$run/6-gram.npz" --rescore "$run/best.safetensors" --beam-width 20 --lm-weight 0.8 \
    --label-bonus 1 --tune 12 --tune-metric wer
