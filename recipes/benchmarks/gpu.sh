#!/usr/bin/env bash
# What is fast on a GPU and what is not: GPU = CPU for every task, the tests that need a GPU, and tables of
# training as called, of its step alone and of a bare cuDNN step, of recurrent layers and of the beam search. Each goal has
# a line at the end that says whether it is met. Nothing is downloaded: lines are drawn, sounds are made up.
# Needs: one GPU, at most 8 minutes, 20 GB of memory. Without a GPU: --device cpu, with --quick in 3 minutes.
# On a machine without network that has torch but not our other packages, carry them along:
#   pip download --dest wheels ".[test]"                            where there is a network
#   WHEELS=wheels bash recipes/benchmarks/gpu.sh                    on the machine with the GPU
# Own data: --lines TRAIN DEV (as for `ocr train`), --speech TRAIN DEV.
# Gives: the tables and verdicts; exit status 1 if the GPU differs from the CPU or a part fails.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
path=$root
if [[ -n ${WHEELS:-} ]]; then
  packages=$(mktemp -d)
  trap 'rm -rf "$packages"' EXIT
  wheels=()
  for wheel in "$WHEELS"/*.whl; do
    case $(basename "$wheel") in
      torch-* | triton-* | nvidia_* | cuda_*) ;; # these are there
      *) wheels+=("$wheel") ;;
    esac
  done
  python -m pip install --quiet --no-index --no-deps --target "$packages" "${wheels[@]}"
  path=$root:$packages
fi
cd "$root"
PYTHONPATH=$path${PYTHONPATH:+:$PYTHONPATH} python "$here/gpu.py" "$@"
