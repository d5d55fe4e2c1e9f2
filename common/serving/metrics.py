"""Figures of a running server as Prometheus reads them (text format 0.0.4)."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

PREFIX = "amanuensis_"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
COUNTERS = {
    "requests_total": "Requests that were answered, by path and status.",
    "errors_total": "Requests that were not served, by kind.",
    "segments_total": "Segments that were computed: utterances or lines.",
    "length_total": "Length of these segments, in the unit of real_time_factor.",
    "sessions_total": "Conversations over a websocket that began.",
    "live_seconds_total": "Seconds of sound that came in conversations.",
    "network_seconds_total": "Seconds in which batches were computed, summed over those side by side.",
}
HISTOGRAMS: dict[str, tuple[str, tuple[float, ...]]] = {
    "queue_wait_seconds": ("Seconds from when a segment is put into the queue until it is taken.", SECONDS),
    "batch_size": ("Segments that are computed together.", (1, 2, 4, 8, 16, 32, 64, 128)),
    "request_seconds": ("Seconds from the head of a request to the end of its answer.", SECONDS),
    "real_time_factor": (
        "Seconds of a request for each unit of what it was about: a second of sound, or a line height.",
        (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0),
    ),
}
GAUGES = {
    "queue_seconds": "Estimated seconds of work that waits or is under way.",
    "queue_segments": "Segments that wait.",
    "requests_open": "Requests that are being received or answered.",
    "sessions_open": "Conversations that are open.",
    "upload_bytes": "Bytes of files that are held for open requests.",
    "readers_lost": "Threads that read a file for too long, and were given up.",
    "ready": "1 if new requests are taken.",
}
Labels = tuple[tuple[str, str], ...]


class Histogram:
    """How often values up to each of several limits were seen."""

    def __init__(self, limits: tuple[float, ...]) -> None:
        self.limits, self.total = limits, 0.0
        self.counts = [0] * (len(limits) + 1)

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.limits, value)] += 1
        self.total += value

    def lines(self, name: str) -> list[str]:
        """Return its lines."""
        found, reached = [], 0
        for limit, count in zip((*map(_number, self.limits), "+Inf"), self.counts, strict=True):
            reached += count
            found.append(f'{name}_bucket{{le="{limit}"}} {reached}')
        return [*found, f"{name}_sum {_number(self.total)}", f"{name}_count {reached}"]


class Metrics:
    """Counters and histograms of one server; only the thread of its event loop uses them."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter[Labels]] = {name: Counter() for name in COUNTERS}
        self._histograms = {name: Histogram(limits) for name, (_, limits) in HISTOGRAMS.items()}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter of COUNTERS."""
        self._counters[name][tuple(sorted(labels.items()))] += amount  # type: ignore[assignment]

    def observe(self, name: str, value: float) -> None:
        """Count a value in a histogram of HISTOGRAMS."""
        self._histograms[name].observe(value)

    def text(self, gauges: Mapping[str, float]) -> str:
        """Return all figures; `gauges` are those of GAUGES."""
        lines = list[str]()
        for name, what in COUNTERS.items():
            lines += _head(name, what, "counter")
            found = self._counters[name] or {(): 0}
            lines += [f"{PREFIX}{name}{_labelled(labels)} {_number(n)}" for labels, n in found.items()]
        for name, (what, _) in HISTOGRAMS.items():
            lines += _head(name, what, "histogram") + self._histograms[name].lines(PREFIX + name)
        for name, what in GAUGES.items():
            lines += [*_head(name, what, "gauge"), f"{PREFIX}{name} {_number(gauges[name])}"]
        return "\n".join(lines) + "\n"


def _head(name: str, what: str, kind: str) -> list[str]:
    return [f"# HELP {PREFIX}{name} {what}", f"# TYPE {PREFIX}{name} {kind}"]


def _labelled(labels: Labels) -> str:
    inner = ",".join(f'{name}="{value}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _number(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e5 else repr(value)
