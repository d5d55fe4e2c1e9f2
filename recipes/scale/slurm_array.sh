#!/usr/bin/env bash
# Transcribe the files of a list on a cluster: one task of a SLURM array for each share.
#     sbatch --array=1-64 recipes/scale/slurm_array.sh ocr files.txt /shared/out
# A task that was ended and is queued again goes on where it was, and so does the whole call.
# Needs: SLURM; ocr or asr, the list and the files on each node.  Gives: OUT/part-1-of-64.jsonl ...
#SBATCH --job-name=transcribe
#SBATCH --cpus-per-task=2
#SBATCH --mem=3G
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
command=${1:?ocr or asr} list=${2:?a text with the name of a file on each line} out=${3:?folder for the rows}; shift 3
first=${SLURM_ARRAY_TASK_MIN:?start this with sbatch --array=1-N}
share=$((SLURM_ARRAY_TASK_ID - first + 1))/$((SLURM_ARRAY_TASK_MAX - first + 1))
exec "$command" transcribe --list "$list" --shard "$share" --format jsonl --output-dir "$out" \
    --threads "${SLURM_CPUS_PER_TASK:-1}" "$@"
