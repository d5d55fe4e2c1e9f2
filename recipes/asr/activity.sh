#!/usr/bin/env bash
# The bundled model asr/models/activity: does somebody speak?  A label for each step of 40 ms, for streams, too.
# The words of readings are aligned, the readings are put together with pauses, noises, music and rooms, and a small
# network learns where the words are.  Two readers of LibriSpeech choose the best epoch; noise5 is left for measuring.
# The first run of the bundled file was planned with 32 epochs and stopped after 18; the second has other noises,
# and was stopped in its last epoch (the best is the tenth).
# SPEECH is a folder with minilibri, librispeech26, ljspeech, speechocean, synthetic, digits and noise, as manifests.
# Needs: an hour on one core, 1 GB of disk.  Gives: see recipes/README.md and asr/models/README.md.
set -euo pipefail
speech=${1:?folder of corpora}; shift
run=${RUN:-runs/asr-activity} here=$(dirname "$0")
mkdir -p "$run"
for name in minilibri librispeech26 ljspeech speechocean synthetic; do
    asr align english "$speech/$name/train.jsonl" --threads 1 > "$run/$name.jsonl"
done
aligned=$(printf "$run/%s.jsonl," minilibri ljspeech speechocean synthetic)$speech/digits/train_string.jsonl
sounds=(--noises "$speech"/noise/noise/noise[1-4].wav --rooms "$speech/noise/rir.jsonl")
conversations=(python "$here/conversations.py")
"${conversations[@]}" "$aligned" "$run/train-1" "${sounds[@]}" --hours 4 --seed 1
"${conversations[@]}" "$run/librispeech26.jsonl" "$run/dev-1" "${sounds[@]}" --hours 0.3 --seed 2
"${conversations[@]}" "$aligned" "$run/train-2" "${sounds[@]}" --alter --hours 4 --seed 3
"${conversations[@]}" "$run/librispeech26.jsonl" "$run/dev-2" "${sounds[@]}" --alter --hours 0.3 --seed 4
network=(--task frames --frame-labels activity --no-bidirectional --normalise global --mels 40 --window-ms 20
    --subsampling 4 --channels 16 24 32 --cell gru --hidden-size 64 --layers 1 --mask-bands 6 --mask-frames 0
    --batch-budget 160 --ema 0.99 --seed 1 --augment.speed-probability 0.5 --augment.room-probability 0
    --augment.noise-probability 0.15 --augment.tilt-probability 0.3 --augment.tilt-db -20 10)
asr train "$run/train-1/conversations.jsonl" "$run/dev-1/conversations.jsonl" --run "$run/first" "${network[@]}" \
    --epochs 18 --learning-rate 3e-3 "$@"
asr train "$run/train-2/conversations.jsonl" "$run/dev-2/conversations.jsonl" --run "$run/second" "${network[@]}" \
    --start-from "$run/first/best.safetensors" --epochs 12 --learning-rate 2e-3 --warmup-steps 50 "$@"
asr export "$run/second/best.safetensors" "$run/activity.onnx"
