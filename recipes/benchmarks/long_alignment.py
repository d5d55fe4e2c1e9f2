"""Measure time and memory of aligning an hour of speech: 90,000 steps, 50,000 characters, without a model."""

import resource
import sys
import time
from dataclasses import dataclass

import numpy as np

from common.command_line.parser import parse
from common.decoding.alignment import align


@dataclass(frozen=True)
class LongAlignment:
    """Align random labels with random probabilities."""

    steps: int = 90_000
    """Number of steps of the input."""
    labels: int = 50_000
    """Number of labels of the text."""
    classes: int = 30
    """Number of classes of the model."""


def peak_mb() -> float:
    """Return the peak memory of this process."""
    scale = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def main() -> None:
    """Align once and print time and memory."""
    options = parse(LongAlignment)
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((options.steps, options.classes), dtype=np.float32)
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    labels = rng.integers(1, options.classes, options.labels)
    before_mb, began = peak_mb(), time.monotonic()
    hits, score = align(log_probs, labels)
    print(
        f"{options.steps:,} steps, {len(hits):,} labels: {time.monotonic() - began:.1f} s,"
        f" {peak_mb() - before_mb:.0f} MB more than before, {peak_mb():.0f} MB in all; score {score:.2f}"
    )


if __name__ == "__main__":
    main()
