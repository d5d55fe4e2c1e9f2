#!/usr/bin/env bash
# Train on a cluster with SLURM: one process for each GPU. When the time is up or the machines are wanted back, the run
# writes a checkpoint, is queued again, and goes on where it was.
#     sbatch --nodes=2 --gpus-per-node=4 --ntasks-per-node=4 --time=4:00:00 recipes/scale/slurm.sh \
#         ocr lines/train lines/dev --run /shared/runs/wide
# Needs: SLURM; the extra train, the data and the run folder on each node.  Gives: the run folder.
#SBATCH --job-name=train
#SBATCH --cpus-per-task=8
#SBATCH --signal=USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
command=${1:?ocr or asr}; shift
run='' previous=''
for word in "$@"; do
    case $previous in --run) run=$word ;; esac
    previous=$word
done
resume=()
if [[ -e ${run:?say --run FOLDER}/latest.ckpt ]]; then resume=(--resume); fi
status=0
srun --kill-on-bad-exit "$command" train --nodes "$SLURM_NNODES" --devices "$SLURM_NTASKS_PER_NODE" \
    "$@" "${resume[@]}" || status=$?
if ((status == 75)); then exec scontrol requeue "$SLURM_JOB_ID"; fi  # stopped by a signal, with a checkpoint
exit "$status"
