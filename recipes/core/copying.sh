#!/usr/bin/env bash
# The copy problem: which cells can repeat ten symbols after 50, 100, 200 and 500 blanks, after training on 7 million steps.
# Needs: half an hour on one core.  Gives: a table with the share of symbols that are repeated correctly (chance: 12.5 %).
set -euo pipefail
run=${RUN:-runs/copying}
here=$(dirname "$0")
for blanks in ${BLANKS:-50 100 200 500}; do
    steps=$((blanks + 20))
    # four epochs of 1.75 million steps: 25,000 short sequences or 3,365 long ones
    python "$here/copying_corpus.py" "$run/$blanks" --blanks "$blanks" --train $((1750000 / steps))
    for cell in ${CELLS:-rnn_tanh rnn_relu gru lstm}; do
        case $cell in
        rnn_tanh) first=(--initialisation orthogonal --learning-rate 3e-4) ;;
        rnn_relu) first=(--initialisation identity --learning-rate 5e-4) ;;
        gru) first=(--initialisation orthogonal --learning-rate 5e-3) ;;
        lstm) first=(--initialisation orthogonal --forget-bias 5 --learning-rate 5e-3) ;;
        esac
        python "$here/copying.py" train "$run/$blanks/train.jsonl" "$run/$blanks/dev.jsonl" --run "$run/$blanks/$cell" \
            --task frames --frame-labels characters --cell "$cell" "${first[@]}" --no-bidirectional --layers 1 \
            --hidden-size 64 --dropout 0 --ema 0 --clip-norm 1 --precision 32-true --batch-budget $((16 * steps)) \
            --epochs 4 --seed 1 "$@"
        python "$here/copying.py" evaluate "$run/$blanks/$cell/best.safetensors" "$run/$blanks/dev.jsonl" \
            --json "$run/$cell-$blanks.json"
    done
done
python "$here/copying_table.py" "$run"
