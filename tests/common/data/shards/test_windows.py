"""An epoch reads each example once, those of a window together, the same whatever the ranks and workers."""

from contextlib import ExitStack, closing
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from common.data.batching import Batch, BatchLoader, ReadAhead, to_batch
from common.data.examples import Examples
from common.data.manifest import Example
from common.data.shards import windows
from common.data.shards.foreign import Kind
from common.data.shards.reading import read_tars
from common.data.shards.windows import windowed_plan
from common.data.shards.writing import write_tars
from common.data.workers import Workers
from common.files.tars.member import Member
from common.text.symbols import Alphabet
from ocr.modality import OCR
from ocr.signal import SignalConfig

BUDGET = 40.0
PIECE = 100


def listed(counts: list[int]) -> list[Example]:
    """Return examples of tars that have so many each, of 30 bytes."""
    rng = np.random.default_rng(len(counts))
    return [
        Example(Member(f"{tar}.tar::{number}.png", 30 * number, 30, "0" * 32), "a", float(rng.uniform(1, 9)))
        for tar, count in enumerate(counts)
        for number in range(count)
    ]


def piece_of(examples: list[Example]) -> dict[int, tuple[str, int]]:
    """Return tar and place of the piece of each example: three of 30 bytes are within 100."""
    return {
        index: (example.source.split("::")[0], int(example.source.split("::")[1][:-4]) // 3)
        for index, example in enumerate(examples)
    }


@pytest.mark.parametrize("counts", [[1], [40], [7, 9, 8], [3] * 20, [50, 1, 2]])
@pytest.mark.parametrize("shares", [1, 2, 3])
def test_an_epoch_has_each_example_once_and_never_more_pieces_open_than_a_window_has(
    counts: list[int], shares: int
) -> None:
    examples = listed(counts)
    plan = windowed_plan(examples, BUDGET, 5, PIECE)
    assert plan is not None
    most = windows.WINDOW_BYTES // windows.PIECE_BYTES
    pieces = piece_of(examples)
    for epoch in range(2):
        batches = plan(epoch, shares)
        assert sorted(np.concatenate(batches)) == list(range(len(examples)))
        spans: dict[tuple[str, int], list[int]] = {}
        for number, batch in enumerate(batches):
            for index in batch:
                spans.setdefault(pieces[int(index)], []).append(number)
        for number in range(len(batches)):
            assert sum(used[0] <= number <= used[-1] for used in spans.values()) <= most
        for batch in batches:
            longest = max(examples[index].length or 0.0 for index in batch)
            assert longest * -(-len(batch) // shares) <= BUDGET


def test_epochs_and_seeds_differ_and_an_epoch_is_the_same_again() -> None:
    examples = listed([40, 40])

    def order(seed: int, epoch: int) -> list[int]:
        plan = windowed_plan(examples, BUDGET, seed, PIECE)
        assert plan is not None
        return [int(index) for index in np.concatenate(plan(epoch, 1))]

    orders = [order(seed, epoch) for seed in (1, 2) for epoch in (0, 1)]
    assert all(one != other for one, other in pairwise(orders))
    assert order(2, 1) == orders[-1]


def test_files_of_their_own_are_batched_over_all_of_them() -> None:
    assert windowed_plan([Example("a.png", "a", 3.0)], BUDGET, 1) is None
    assert windowed_plan(listed([3]), BUDGET, None) is None  # dev


def test_files_beside_tars_are_read_once_an_epoch_too() -> None:
    examples = [*listed([5]), *[Example(f"{number}.png", "a", 3.0) for number in range(70)], *listed([4])]
    plan = windowed_plan(examples, BUDGET, 1, PIECE)
    assert plan is not None
    assert sorted(np.concatenate(plan(0, 2))) == list(range(79))


# --- with loaders, workers and real tars


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """23 lines in several tars of 2,000 bytes."""
    folder, rng = tmp_path_factory.mktemp("tars"), np.random.default_rng(0)
    examples = []
    for number in range(23):
        pixels = rng.integers(0, 256, (16, 40 + 5 * number), dtype=np.uint8)
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        examples.append(Example(str(path), "abc"[: 1 + number % 3]))
    written = write_tars(examples, folder, 2000, OCR.pack, OCR.measure)
    assert len(written.tars) > 3 and not written.problems
    return read_tars([str(tar) for tar in written.tars], Kind("line", OCR.suffixes, OCR.measure)).examples


def batches(examples: list[Example], rank: int, ranks: int, workers: int, start: int = 0) -> list[Batch]:
    """Return the batches of a rank in an epoch, read by so many workers."""
    plan = windowed_plan(examples, BUDGET, 1, 3000)
    seen = Examples(examples, Alphabet(("a", "b", "c")), OCR.reader(SignalConfig(height_px=16)))
    train = BatchLoader(seen, BUDGET, 1, rank, ranks, plan)
    with ExitStack() as ending:
        if workers:
            dev = BatchLoader(seen, BUDGET, None, rank, ranks)
            made = ending.enter_context(closing(Workers(workers, {"train": seen, "dev": seen}, to_batch)))
            ReadAhead(made, workers, train, dev, 1)
        return list(train.batches(0, start))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_and_workers_read_each_line_once_in_equal_steps(
    ranks: int, workers: int, tars: list[Example]
) -> None:
    shares = [batches(tars, rank, ranks, workers) for rank in range(ranks)]
    assert len({len(share) for share in shares}) == 1
    assert sorted(index for share in shares for batch in share for index in batch.indices) == list(range(23))
    assert not [sentence for share in shares for batch in share for sentence in batch.refused]
    read = OCR.reader(SignalConfig(height_px=16))
    for batch in shares[-1]:
        for row, index in enumerate(batch.indices):
            wanted = read(tars[index].source).values
            np.testing.assert_array_equal(batch.signals[row, : len(wanted)], wanted)


def test_an_epoch_goes_on_at_the_batch_where_it_was_left(tars: list[Example]) -> None:
    whole = [batch.sources for batch in batches(tars, 0, 1, 0)]
    assert [batch.sources for batch in batches(tars, 0, 1, 0, start=2)] == whole[2:]
