"""The expected windows are counted off by hand in texts of consecutive numbers."""

from itertools import pairwise

import numpy as np
import pytest

from common.data.batching import BatchLoader
from common.data.text_streams import Lines, Streams, join

TEXT = np.arange(100, 130, dtype=np.int32)


def rows_of(data: Streams, epoch: int = 0) -> list[list[list[int]]]:
    """Return the labels of each stream's windows, in the order of the batches."""
    rows: list[list[list[int]]] = [[] for _ in range(data.streams)]
    for batch in BatchLoader(data, plan=data.plan).batches(epoch):
        for row, (labels, length) in enumerate(zip(batch.targets, batch.target_lengths, strict=True)):
            assert batch.indices[row] % data.streams == row
            rows[row].append(labels[:length].tolist())
    return rows


def test_documents_are_joined_with_the_end_label_after_each():
    assert join([[1, 2], [], [3]]).tolist() == [1, 2, 0, 0, 3, 0]


@pytest.mark.parametrize("streams", [1, 2, 3, 7])
@pytest.mark.parametrize("k1", [1, 4, 5, 100])
def test_for_measuring_each_label_is_predicted_once_and_in_order(streams, k1):
    data = Streams([TEXT], streams, k1)
    predicted = []
    for windows in rows_of(data):
        whole = windows[0][:1] + [label for window in windows for label in window[1:]]
        for window, after in pairwise(windows):
            assert after[0] == window[-1]
            assert len(window) == k1 + 1
        before = (whole[1] - 101) % 30 + 100  # the text's last stands before its first
        assert whole == [before, *range(whole[1], whole[1] + len(whole) - 1)]
        predicted += whole[1:]
    assert sorted(predicted) == TEXT.tolist()


@pytest.mark.parametrize(("k1", "k2"), [(3, 3), (2, 6), (4, 8)])
def test_windows_step_by_k1_and_reach_back_k2_as_far_as_the_stream_goes(k1, k2):
    data = Streams([TEXT], 3, k1, k2, seed=0)
    for windows in rows_of(data):
        assert len(windows) == -(-10 // k1)
        first = windows[0][1]
        for number, window in enumerate(windows):
            steps = min(k2, (number + 1) * k1)
            end = first + (number + 1) * k1  # after the window
            assert window == [(label - 100) % 30 + 100 for label in range(end - steps - 1, end)]


def test_each_epoch_enters_the_circle_elsewhere_and_is_the_same_each_time():
    data, again = (Streams([TEXT], 2, 5, seed=3) for _ in range(2))
    begins = {rows_of(data, epoch)[0][0][0] for epoch in range(8)}
    assert len(begins) > 4
    assert rows_of(data, 5) == rows_of(again, 5)
    assert {label for windows in rows_of(data) for window in windows for label in window[1:]} == {
        *TEXT.tolist()
    }


def test_texts_share_the_streams_by_their_size_and_bring_their_values():
    values = [np.array([0.0], np.float32), np.array([1.0], np.float32)]
    for seed in (None, 0):
        data = Streams([TEXT, TEXT[:8] + 100], 5, 4, values=values, seed=seed)
        assert sorted(data.text.tolist()) == [0, 0, 0, 0, 1]
        for batch in BatchLoader(data, plan=data.plan).batches():
            assert ((batch.targets[:, 1] >= 200) == (batch.signals[:, 0] == 1)).all()


def test_the_shares_of_ranks_are_streams_of_their_own():
    data = Streams([TEXT], 5, 4, seed=0)
    whole = rows_of(data)
    for rank in range(2):
        for number, batch in enumerate(BatchLoader(data, plan=data.plan, rank=rank, ranks=2).batches()):
            assert batch.planned == 5
            assert batch.targets.tolist() == [windows[number] for windows in whole[rank::2]]
            assert (batch.indices[0] < batch.planned) == (number == 0)


def test_lines_stand_between_end_symbols_in_batches_of_like_length():
    lines = [[1], [2, 3], [4, 5, 6], [7]]
    data = Lines(lines, budget=6)
    batches = list(BatchLoader(data, plan=data.plan).batches())
    assert [batch.indices for batch in batches] == [[2], [1, 0], [3]]
    assert batches[1].targets.tolist() == [[0, 2, 3, 0], [0, 1, 0, 0]]
    assert batches[1].target_lengths.tolist() == [4, 3]
    orders = [[*map(list, Lines(lines, budget=2, seed=1).plan(epoch))] for epoch in range(6)]
    assert any(order != orders[0] for order in orders)


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"k1": 0}, "k1 is 0"), ({"k1": 4, "k2": 6}, "k2 6"), ({"k1": 4, "k2": 2}, "multiple")],
)
def test_steps_that_do_not_go_together_are_refused(settings, named):
    with pytest.raises(ValueError, match=named):
        Streams([TEXT], seed=0, **settings)


def test_no_text_and_too_few_streams_are_refused():
    for texts in ([], [TEXT, TEXT[:0]]):
        with pytest.raises(ValueError, match="no text"):
            Streams(texts)
    with pytest.raises(ValueError, match="no text"):
        Lines([])
    with pytest.raises(ValueError, match="1 streams for 2 texts"):
        Streams([TEXT, TEXT], 1)
