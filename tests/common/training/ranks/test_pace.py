"""The ranks that let others wait are named."""

import csv
import time
from pathlib import Path

import pytest

from common.training.ranks.pace import Clock, Pace, name_slow_readers, paces_line, write_paces


def paces(*waited_s: float) -> list[Pace]:
    return [Pace(rank, f"node{rank}", 50 + rank, 10.0, waited) for rank, waited in enumerate(waited_s)]


@pytest.mark.parametrize(
    ("waited_s", "named"),
    [
        ((0.0,), []),
        ((0.1, 0.2, 0.3), []),
        ((0.1, 4.0, 0.1), [1]),
        ((4.0, 4.1, 4.0), []),  # all wait alike: each line says so
        ((0.0, 3.0, 5.0, 0.0, 0.0), [1, 2]),
    ],
)
def test_a_rank_that_waits_for_data_longer_than_the_others_is_named(waited_s, named, caplog):
    name_slow_readers(paces(*waited_s))
    assert [record.args[:2] for record in caplog.records] == [(rank, f"node{rank}") for rank in named]


def test_rates_and_waits_of_all_ranks_are_said():
    assert paces_line(paces(1.0, 0.0, 2.5)) == (
        "  ranks 5.0 to 5.2 examples/s, waiting for data 0 to 25 % of the time"
    )


def test_the_table_has_a_row_for_each_rank_and_epoch(tmp_path: Path):
    for epoch in (1, 2):
        write_paces(tmp_path, epoch, paces(1.0, 0.5))
    with (tmp_path / "ranks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["rank"], row["host"]) for row in rows] == [
        ("1", "0", "node0"), ("1", "1", "node1"), ("2", "0", "node0"), ("2", "1", "node1"),
    ]  # fmt: skip
    assert [float(row["waited_for_data_s"]) for row in rows] == [1.0, 0.5, 1.0, 0.5]


def test_only_the_time_until_a_batch_comes_counts_as_waiting():
    def slow():
        for _ in range(2):
            time.sleep(0.02)
            yield 1

    clock = Clock()
    for _ in clock.timed(slow()):
        time.sleep(0.05)
    pace = clock.pace(0, 2)
    assert 0.04 <= pace.waited_s <= pace.seconds - 0.1
