"""The progress bar of transcribe: documents, or minutes of sound."""

import sys
from pathlib import Path
from typing import Any

from common.data.signal import Source
from common.recognition.modality import Modality
from common.text.document import Interval, Passage

MINUTE_S = 60.0


class Progress:
    """A progress bar on a terminal, if texts go into files there; else nothing, which starts faster.

    Signals that have a duration are counted by minutes, so that the bar moves within a long recording; others
    by documents.

    Args:
        modality: the kind of the sources.
        output_dir: where texts are written; None for standard output.
    """

    def __init__(self, modality: Modality, output_dir: Path | None) -> None:
        self._modality, self._at = modality, 0.0
        self._bar: Any = None
        self._timed = modality.unit == "s"
        self._left: dict[str, float] = {}
        if output_dir is None or not sys.stderr.isatty():
            return
        from tqdm import tqdm

        form = "{desc}{percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} min [{elapsed}<{remaining}]"
        self._bar = tqdm(total=0, bar_format=form) if self._timed else tqdm(total=0, unit=" documents")

    def expect(self, source: Source) -> None:
        """Note that a source will come."""
        if self._bar is None:
            return
        amount = 1.0
        if self._timed:
            try:
                amount = self._modality.measure(source) / MINUTE_S if isinstance(source, str) else 0.0
            except (ValueError, OSError):
                amount = 0.0
        self._left[str(source)] = amount
        self._bar.total += amount
        self._bar.refresh()

    def arrive(self, source: str, passage: Passage | None, last: bool) -> None:
        """Note that a passage of a source has come, and whether it was its last."""
        if self._bar is None:
            return
        left = self._left.get(source, 0.0)
        if last:
            self._bar.update(self._left.pop(source, 0.0))
            self._at = 0.0
        elif self._timed and passage is not None and isinstance(passage.place, Interval):
            step = min(left, passage.place.end / MINUTE_S - self._at)
            self._at += step
            self._left[source] = left - step
            self._bar.update(step)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
