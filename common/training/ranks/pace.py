"""How fast each rank computes and how long it waits for data: the slowest sets the pace of all."""

import csv
import logging
import socket
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from lightning.fabric import Fabric

log = logging.getLogger(__name__)
T = TypeVar("T")

PACES_NAME = "ranks.csv"
MOST_WAITING = 0.1
"""share of its time for which a rank may wait for data without a word"""


class Pace(NamedTuple):
    """What one rank did in an epoch.

    examples: that it has computed.
    seconds: of the epoch.
    waited_s: of these, the seconds in which it had no batch to compute.
    """

    rank: int
    host: str
    examples: int
    seconds: float
    waited_s: float

    @property
    def waited(self) -> float:
        """The share of its time for which it waited for data."""
        return self.waited_s / max(1e-9, self.seconds)

    @property
    def rate(self) -> float:
        """Examples in a second."""
        return self.examples / max(1e-9, self.seconds)


class Clock:
    """Measures how long a rank waits for its batches.

    Attributes:
        waited_s: seconds since the start.
    """

    def __init__(self) -> None:
        self.waited_s, self._began = 0.0, time.monotonic()

    def timed(self, batches: Iterable[T]) -> Iterator[T]:
        """Yield batches, and measure how long each one lets this rank wait."""
        coming = iter(batches)
        while True:
            began = time.monotonic()
            batch = next(coming, None)
            self.waited_s += time.monotonic() - began
            if batch is None:
                return
            yield batch

    def pace(self, rank: int, examples: int) -> Pace:
        """Return what this rank did since the start."""
        return Pace(rank, socket.gethostname(), examples, time.monotonic() - self._began, self.waited_s)


def paces_of_all(fabric: Fabric, own: Pace) -> list[Pace]:
    """Return the paces of all ranks, by rank; every rank must call this."""
    if fabric.world_size == 1:
        return [own]
    paces: list[Pace] = [own] * fabric.world_size
    torch.distributed.all_gather_object(paces, own)
    return paces


def write_paces(run: Path, epoch: int, paces: Sequence[Pace]) -> None:
    """Append a row for each rank to ranks.csv of the run folder."""
    path = run / PACES_NAME
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        if fresh:
            table.writerow(["epoch", "rank", "host", "examples_per_s", "seconds", "waited_for_data_s"])
        for one in paces:
            numbers = [f"{one.rate:.2f}", f"{one.seconds:.2f}", f"{one.waited_s:.2f}"]
            table.writerow([epoch, one.rank, one.host, *numbers])


def paces_line(paces: Sequence[Pace]) -> str:
    """Return the paces as a part of the line for people."""
    rates, waits = [one.rate for one in paces], [100 * one.waited for one in paces]
    return (
        f"  ranks {min(rates):.1f} to {max(rates):.1f} examples/s,"
        f" waiting for data {min(waits):.0f} to {max(waits):.0f} % of the time"
    )


def name_slow_readers(paces: Sequence[Pace]) -> None:
    """Name the ranks that wait for data longer than the others do, and so let these wait."""
    usual = statistics.median(one.waited for one in paces)
    for one in paces:
        if one.waited > max(MOST_WAITING, 2 * usual):
            log.warning(
                "rank %d (%s) waits for data %.0f %% of the time, the median rank %.0f %%;"
                " give it more --workers or a faster disk",
                one.rank, one.host, 100 * one.waited, 100 * usual,
            )  # fmt: skip
