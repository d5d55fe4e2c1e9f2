#!/usr/bin/env bash
# Train on several GPUs of this machine, or of several machines; without GPUs, on its cores.
#     recipes/scale/torchrun.sh ocr lines/train lines/dev --run runs/wide
#     NODES=2 FIRST=alpha:29500 recipes/scale/torchrun.sh ocr ...      # the same on both machines; alpha is one of them
# The batches are those of all devices together. With --resume a run goes on, also on another number of devices.
# Needs: the extra train; the data under the same names on each machine.  Gives: the run folder on the first machine,
#   with ranks.csv: how fast each process was, and how long it waited for data.
set -euo pipefail
command=${1:?ocr or asr}; shift
nodes=${NODES:-1}
devices=${DEVICES:-$(python -c 'import torch; print(torch.cuda.device_count() or 2)')}  # of each machine
start=(--standalone)
if ((nodes > 1)); then
    start=(--nnodes "$nodes" --rdzv-backend c10d --rdzv-endpoint "${FIRST:?HOST:PORT of one of the machines}")
fi
exec torchrun "${start[@]}" --nproc-per-node "$devices" -m -- \
    "$command" train --devices "$devices" --nodes "$nodes" "$@"
