#!/usr/bin/env bash
# A model that can follow a stream: its encoder has one direction, and its bands have a fixed normalisation. The data are
# strings of digits.
# Needs: 1 GPU, or 20 minutes on one core.  Gives: see recipes/README.md.
set -euo pipefail
digits=${1:?folder with train_string.jsonl, dev_string.jsonl and dev/}; shift
run=${RUN:-runs/stream}
asr train "$digits/train_single.jsonl,$digits/train_string.jsonl" "$digits/dev_string.jsonl" --run "$run" \
    --no-bidirectional --normalise global --sample-rate-hz 8000 --hidden-size 192 --epochs 25 --batch-budget 60 \
    --learning-rate 2e-3 --ema 0.99 --seed 1 --augment.gain-db -30 3 \
    --augment.speeds 0.8 0.85 0.9 0.95 1.05 1.1 1.15 1.2 "$@"
asr evaluate "$run/best.safetensors" "$digits/dev_string.jsonl"
sound=$(find "$digits/dev" -name '*_s*.flac' | sort | head -1)
python -c 'import io, sys, soundfile
samples, rate = soundfile.read(sys.argv[1])
soundfile.write(wav := io.BytesIO(), samples, rate, format="WAV")
sys.stdout.buffer.write(wav.getvalue())' "$sound" > "$run/sound.wav"
asr export "$run/best.safetensors" "$run/best.onnx"
asr transcribe --stream - --model "$run/best.safetensors" < "$run/sound.wav"
asr transcribe --stream - --model "$run/best.onnx" --endpoint-silence-s 0.8 < "$run/sound.wav"
