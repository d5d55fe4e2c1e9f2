#!/usr/bin/env bash
# The opinion of a text: embedding, recurrent network, one label. For the IMDB reviews, or for texts in the same layout.
# Needs: a folder with train/pos, train/neg, test/pos and test/neg, one text in each file, as in aclImdb_v1.tar.gz of
# https://ai.stanford.edu/~amaas/data/sentiment (Maas et al. 2011); words, or UNIT=character.
set -euo pipefail
data=$(realpath "${1:?folder with train/ and test/, each with pos/ and neg/}"); shift
run=${RUN:-runs/sentiment}
text="python $(dirname "$0")/text.py"
# every tenth text of train is for the choice of the epoch; test is used for the final measurement only
for label in pos neg; do
    mkdir -p "$run.data/train/$label" "$run.data/dev/$label"
    find "$data/train/$label" -name '*.txt' | sort | awk 'NR % 10' | xargs ln -sft "$run.data/train/$label"
    find "$data/train/$label" -name '*.txt' | sort | awk 'NR % 10 == 0' | xargs ln -sft "$run.data/dev/$label"
done
# a softmax over two labels is a sigmoid of the difference of their outputs; see text.py
$text train "$run.data/train" "$run.data/dev" --run "$run" --task classify --pooling attention \
    --unit "${UNIT:-word}" --buckets 30000 --embedding-size 64 --symbol-dropout 0.2 --hidden-size 64 --layers 1 \
    --dropout 0.5 --epochs 6 --batch-budget 40000 --learning-rate 3e-3 --warmup-steps 100 --seed 1 "$@"
$text evaluate "$run/best.safetensors" "$data/test" --labels pos,neg
