#!/usr/bin/env bash
# LibriSpeech: mini (5 h), 100 or 960 hours of read English (V. Panayotov et al. 2015, CC BY 4.0).
# Uses a tree that exists (FOLDER/LibriSpeech/train-clean-100/...), or else fetches it from openslr.org.
# Needs: 1 GPU and a day for 100 h; mini trains on two cores in a night.  Gives: not measured yet.
set -euo pipefail
folder=${1:?folder for the corpus} size=${2:-mini}; shift $(($# > 1 ? 2 : 1))
run=${RUN:-runs/asr-librispeech-$size}
case $size in
    mini) train=train-clean-5 dev=dev-clean-2 shape=(--epochs 60) ;;
    100) train=train-clean-100 dev=dev-clean shape=(--epochs 40 --hidden-size 384 --layers 4 --residual) ;;
    960) train=train-clean-100,train-clean-360,train-other-500 dev=dev-clean
        shape=(--epochs 20 --hidden-size 512 --layers 5 --residual) ;;
    *) echo "librispeech.sh: $size is none of mini, 100, 960" >&2; exit 2 ;;
esac
paths=()
for part in ${train//,/ } $dev; do
    if [ ! -d "$folder/LibriSpeech/$part" ]; then
        site=https://www.openslr.org/resources/$([ "$size" = mini ] && echo 31 || echo 12)
        mkdir -p "$folder"
        curl --fail --location --continue-at - --output "$folder/$part.tar.gz" "$site/$part.tar.gz"
        tar -xzf "$folder/$part.tar.gz" -C "$folder"
    fi
    [ "$part" = "$dev" ] || paths+=("$folder/LibriSpeech/$part")
done
joined=$(IFS=,; echo "${paths[*]}")
asr train "$joined" "$folder/LibriSpeech/$dev" --run "$run" --subsampling 3 --shortcut --seed 1 "${shape[@]}" "$@"
asr evaluate "$run/best.safetensors" "$folder/LibriSpeech/$dev" --report "$run/report.html" --json "$run/report.json"
