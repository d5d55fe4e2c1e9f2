#!/usr/bin/env bash
# The bundled model asr/models/activity: does somebody speak?  A label for each step of 40 ms, for streams, too.
# The words of readings are aligned, the readings are put together with pauses, noises, music and rooms, and a small
# network learns where the words are.  Two readers of LibriSpeech choose the best epoch; noise5 is left for measuring.
# SPEECH is a folder with minilibri, librispeech26, ljspeech, speechocean, synthetic, digits and noise, as manifests.
# Needs: 50 minutes on one core, 700 MB of disk.  Gives: see recipes/README.md and asr/models/README.md.
set -euo pipefail
speech=${1:?folder of corpora}; shift
run=${RUN:-runs/asr-activity} here=$(dirname "$0")
sounds=(--noises "$speech"/noise/noise/noise[1-4].wav --rooms "$speech/noise/rir.jsonl")
mkdir -p "$run"
for name in minilibri librispeech26 ljspeech speechocean synthetic; do
    asr align english "$speech/$name/train.jsonl" --threads 1 > "$run/$name.jsonl"
done
aligned=$(printf "$run/%s.jsonl," minilibri ljspeech speechocean synthetic)$speech/digits/train_string.jsonl
python "$here/conversations.py" "$aligned" "$run/train" "${sounds[@]}" --hours 4 --seed 1
python "$here/conversations.py" "$run/librispeech26.jsonl" "$run/dev" "${sounds[@]}" --hours 0.3 --seed 2
asr train "$run/train/conversations.jsonl" "$run/dev/conversations.jsonl" --run "$run/model" \
    --task frames --frame-labels activity --no-bidirectional --normalise global --mels 40 --window-ms 20 --subsampling 4 --channels 16 24 32 --cell gru \
    --hidden-size 64 --layers 1 --mask-bands 6 --mask-frames 0 --epochs 32 --batch-budget 160 --learning-rate 3e-3 \
    --ema 0.99 --seed 1 --augment.speed-probability 0.5 --augment.room-probability 0 --augment.noise-probability 0.15 \
    --augment.tilt-probability 0.3 --augment.tilt-db -20 10 "$@"
asr export "$run/model/best.safetensors" "$run/activity.onnx"
