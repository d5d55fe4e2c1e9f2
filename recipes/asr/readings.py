"""Readings whose words have known places: their runs of words, and the pauses between these."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sounds import RATE_HZ

from asr.signal import SignalConfig, read
from common.data.manifest import Example, Part

FRAME = RATE_HZ // 100
CLOSED_S = 0.2
"""shorter gaps between words belong to speech"""
QUIET_DB = 35.0
"""A frame that is this far under the loud ones of its reading is not speech."""
FLOOR_DB = 6.0
"""A frame that is less than this above the quietest ones of its reading is not speech."""
MOVED_S = 0.15
"""how far the edge of a run of words is moved by the energy at most"""
SHORTEST_PAUSE_S = 0.12
BEFORE_S, AFTER_S = 0.05, 0.1
"""what is left out of a pause at the run after it, and at the run before it, where a room resounds"""


class Reading(NamedTuple):
    """A reading, the runs of words in it, and what lies between them."""

    samples: np.ndarray
    runs: list[Part]
    pauses: list[np.ndarray]


def reading_of(example: Example) -> Reading:
    """Return a reading with its runs of words and its pauses, each long enough."""
    samples = read(example.source, SignalConfig(sample_rate_hz=RATE_HZ)).values
    runs = runs_of(example.words, loudness(samples))
    ends = [-AFTER_S, *(run.end for run in runs)]
    starts = [*(run.start for run in runs), len(samples) / RATE_HZ + BEFORE_S]
    places = [(end + AFTER_S, start - BEFORE_S) for end, start in zip(ends, starts, strict=True)]
    pauses = [within(samples, *place) for place in places if place[1] - place[0] >= SHORTEST_PAUSE_S]
    return Reading(samples, runs, pauses)


def within(samples: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """Return the samples (N,) between two times, at least one."""
    start = int(start_s * RATE_HZ)
    return samples[start : max(int(end_s * RATE_HZ), start + 1)]


def loudness(samples: np.ndarray) -> np.ndarray:
    """Return the level in dB of each frame of 10 ms of samples (N,)."""
    count = len(samples) // FRAME
    return 10 * np.log10(np.square(samples[: count * FRAME].reshape(count, FRAME)).mean(1) + 1e-10)


def runs_of(words: tuple[Part, ...], levels: np.ndarray) -> list[Part]:
    """Return the runs of words without a pause between them; `levels` in dB (frames,) correct their edges.

    An edge moves outwards over frames with speech, or inwards over frames without, 0.15 s at most.
    """
    if not len(levels):
        return []
    limit = max(float(np.quantile(levels, 0.95)) - QUIET_DB, float(np.quantile(levels, 0.05)) + FLOOR_DB)
    spoken = levels > limit
    moved = []
    for text, start, end in _closed(words):
        first = _start_near(spoken, round(start * 100))
        last = len(spoken) - _start_near(spoken[::-1], len(spoken) - round(end * 100))
        if last > first:
            moved.append(Part(text, first / 100, last / 100))
    return _closed(moved)


def _closed(parts: tuple[Part, ...] | list[Part]) -> list[Part]:
    """Return the parts, in which those with a short gap between them are one."""
    found = list(parts[:1])
    for before, part in pairwise(parts):
        if part.start - before.end < CLOSED_S:
            last = found[-1]
            found[-1] = Part(f"{last.text} {part.text}", last.start, max(last.end, part.end))
        else:
            found.append(part)
    return found


def _start_near(spoken: np.ndarray, edge: int) -> int:
    """Return the frame near the frame `edge` where speech begins, of `spoken` (frames,)."""
    edge, most = min(max(edge, 0), len(spoken)), round(MOVED_S * 100)
    before, after = spoken[max(0, edge - most) : edge][::-1], spoken[edge : edge + most]
    if len(before) and before[0]:
        return edge - int(np.argmin(np.append(before, False)))
    return edge + int(np.argmax(np.append(after, True)))
