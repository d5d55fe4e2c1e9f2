#!/usr/bin/env bash
# Encoder-decoders on random pairs (pairs.py): dates in words to ISO 8601, or with KIND=numbers, words to digits.
# In the first two models a summary of the source, read forwards or backwards, is all that the decoder gets; the third has
# attention.
# Needs: some minutes on one core for each model.  Gives: CER, and how many of 1,000 have an error.
set -euo pipefail
kind=${KIND:-dates}
run=${RUN:-runs/translation-$kind}
here=$(dirname "$0")
text="python $here/text.py"
python "$here/pairs.py" "$kind" "$run.data" --count 20000 --dev 1000 --seed 1
data="$run.data/train.tsv $run.data/dev.tsv"
size="--buckets 400 --embedding-size 48 --symbol-dropout 0 --hidden-size 96 --layers 1 --decoder-size 96 --dropout 0.1"
pace="--batch-budget 1200 --learning-rate 5e-3 --warmup-steps 100 --ema 0.99 --seed 1"
# open forget gates at the start let a summary keep what was read first (Jozefowicz et al. 2015)
plain="--arrangement first --no-bidirectional --forget-bias 1 --epochs 20"
# shellcheck disable=SC2086  # several words each
{
    $text train $data --run "$run/first" --task attention $plain $size $pace "$@"
    $text train $data --run "$run/backwards" --task attention $plain --reverse-source \
        $size $pace "$@"
    $text train $data --run "$run/attention" --task attention --arrangement dot --epochs 3 $size $pace "$@"
}
for model in first backwards attention; do
    echo "$model"
    $text evaluate "$run/$model/best.safetensors" "$run.data/dev.tsv"
done
