import logging
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data.batch_plan import plan_batches
from common.data.batching import Batch, BatchLoader, pad, parts_of
from common.data.examples import Examples
from common.data.manifest import Example
from common.data.signal import Signal
from common.data.store import SignalStore
from common.text.symbols import Alphabet

LENGTHS = st.lists(st.floats(0.1, 50), min_size=1, max_size=40).map(np.array)
RANKS = st.integers(1, 5)
ALPHABET = Alphabet(("a", "b", "c"))


def read_named(source: str) -> Signal:
    """Return the signal that the name of the source describes: "17" is 17 steps of the value 17."""
    if source == "torn":
        raise ValueError("torn: is cut short; get the whole file")
    if source == "gone":
        raise FileNotFoundError(2, "No such file", source)
    return Signal(np.full(int(source), float(source), np.float32), 1.0)


def shaken(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return values + rng.standard_normal(len(values), dtype=np.float32)


def examples_of(sources: list[str], **settings) -> Examples:
    listed = [Example(source, "abc", 10.0 if source.isalpha() else float(source)) for source in sources]
    return Examples(listed, ALPHABET, read_named, **settings)


def loader_of(count: int = 23, seed: int | None = 5, **settings) -> BatchLoader:
    sources = [str(number) for number in np.random.default_rng(0).permutation(np.arange(3, 3 + count))]
    return BatchLoader(examples_of(sources, augment=shaken, seed=seed or 0), 60.0, seed, **settings)


def sources_of(batches: list[Batch]) -> list[str]:
    return [source for batch in batches for source in batch.sources]


def same(left: Batch, right: Batch) -> bool:
    return all(
        torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
        for one, other in zip(left, right, strict=True)
    )


# --- the plan


@given(LENGTHS, st.floats(0.1, 200), st.none() | st.integers(0, 9))
def test_every_example_is_in_exactly_one_batch(lengths, budget, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    batches = plan_batches(lengths, budget, rng)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(len(batch) for batch in batches)


@given(LENGTHS, st.floats(0.1, 200), st.none() | st.integers(0, 9), RANKS)
def test_each_share_of_a_batch_keeps_to_the_budget_unless_it_is_one_long_example(
    lengths, budget, seed, shares
):
    rng = None if seed is None else np.random.default_rng(seed)
    batches = plan_batches(lengths, budget, rng, shares)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        for share in (batch[rank::shares] for rank in range(shares)):
            assert len(share) <= 1 or lengths[batch].max() * len(share) <= budget


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 9), RANKS)
def test_several_devices_take_the_batches_of_one_with_their_budgets_together(count, budget, seed, shares):
    lengths = np.random.default_rng(seed).choice([1.0, 0.5], count)  # a device is filled without a rest
    together = plan_batches(lengths, budget * shares, np.random.default_rng(seed))
    divided = plan_batches(lengths, budget, np.random.default_rng(seed), shares)
    assert [batch.tolist() for batch in divided] == [batch.tolist() for batch in together]


@given(LENGTHS, st.floats(0.1, 200))
def test_without_a_seed_batches_go_from_long_to_short(lengths, budget):
    assert np.diff(lengths[np.concatenate(plan_batches(lengths, budget))]).max(initial=0) <= 0


def test_batches_hold_examples_of_like_length():
    lengths = np.random.default_rng(0).uniform(1, 20, 2000)
    batches = plan_batches(lengths, 200.0, np.random.default_rng(1))
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    assert padded < 1.1 * lengths.sum()
    assert len(batches) < 1.2 * lengths.sum() / 200


def test_without_examples_there_are_no_batches():
    assert plan_batches(np.zeros(0), 10.0) == []


@pytest.mark.parametrize("budget", [0, -1.0, float("nan")])
def test_a_budget_that_holds_nothing_is_refused(budget):
    with pytest.raises(ValueError, match="budget"):
        plan_batches(np.ones(3), budget)


def test_the_plan_depends_on_seed_and_epoch_and_is_the_same_on_every_rank():
    def plan(seed: int | None, epoch: int, **settings) -> list[list[int]]:
        return [batch.tolist() for batch in loader_of(60, seed, **settings).plan(epoch)]

    assert plan(5, 0) == plan(5, 0)
    assert plan(5, 0, rank=0, ranks=3) == plan(5, 0, rank=1, ranks=3)
    assert plan(5, 0) != plan(5, 1)
    assert plan(5, 0) != plan(6, 0)
    assert plan(None, 0) == plan(None, 1)
    loader = loader_of(60)
    list(loader.batches(0))
    assert [batch.tolist() for batch in loader.plan(1)] == plan(5, 1)


# --- padding


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.sampled_from([(), (3,)]))
def test_padding_is_zeros_on_the_right_and_lengths_say_what_is_real(lengths, height):
    arrays = [np.full((length, *height), number + 1.0, np.float64) for number, length in enumerate(lengths)]
    signals, kept = pad(arrays)
    assert signals.dtype == torch.float32
    assert signals.shape == (len(lengths), max(lengths), *height)
    assert kept.tolist() == lengths
    for row, length, array in zip(signals, lengths, arrays, strict=True):
        assert torch.equal(row[:length], torch.from_numpy(array).float())
        assert not row[length:].any()


# --- batches


def test_every_example_is_read_exactly_once_in_an_epoch():
    loader = loader_of()
    for epoch in range(3):
        assert sorted(map(int, sources_of(list(loader.batches(epoch))))) == list(range(3, 26))


def test_a_batch_holds_signals_targets_and_names():
    listed = [Example("3", "ab", 3.0), Example("5", "b", 5.0), Example("4", "", 4.0)]
    (batch,) = BatchLoader(Examples(listed, ALPHABET, read_named), 100.0).batches()
    assert batch.sources == ["5", "4", "3"]
    assert batch.lengths.tolist() == [5, 4, 3]
    assert batch.signals.tolist() == [[5] * 5, [4] * 4 + [0], [3] * 3 + [0, 0]]
    assert batch.targets.tolist() == [[2, 0], [0, 0], [1, 2]]
    assert batch.target_lengths.tolist() == [1, 0, 2]
    assert batch.targets.dtype == torch.int64
    assert (batch.planned, batch.refused) == (3, [])


def test_the_same_seed_gives_the_same_batches_and_another_seed_others():
    first, again = list(loader_of().batches(2)), list(loader_of().batches(2))
    assert len(first) == len(again) > 3
    assert all(same(one, other) for one, other in zip(first, again, strict=True))
    assert sources_of(first) != sources_of(list(loader_of(seed=6).batches(2)))


@pytest.mark.parametrize("start", [0, 1, 4])
def test_starting_at_a_batch_skips_exactly_those_before_it(start):
    whole, rest = list(loader_of().batches(1)), list(loader_of().batches(1, start))
    assert len(rest) == len(whole) - start
    assert all(same(one, other) for one, other in zip(whole[start:], rest, strict=True))


def test_starting_at_the_end_gives_nothing():
    loader = loader_of()
    assert list(loader.batches(0, len(loader.plan(0)))) == []


@settings(deadline=None, max_examples=20)
@given(RANKS, st.integers(0, 2))
def test_ranks_see_together_what_one_sees(ranks, epoch):
    alone = loader_of()
    alone.shares = ranks
    whole = list(alone.batches(epoch))
    shares = [list(loader_of(rank=rank, ranks=ranks).batches(epoch)) for rank in range(ranks)]
    for number, batch in enumerate(whole):
        parts = [share[number] for share in shares]
        assert sorted(sources_of(parts)) == sorted(batch.sources)
        assert {part.planned for part in parts} == {len(batch.sources)}
        sizes = [len(part.sources) for part in parts]
        assert max(sizes) - min(sizes) <= 1
        for part in parts:
            for source, values, length in zip(part.sources, part.signals, part.lengths, strict=True):
                row = batch.sources.index(source)
                assert torch.equal(values[:length], batch.signals[row, :length])
    assert {len(share) for share in shares} == {len(whole)}


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 5), st.integers(0, 2))
def test_parts_of_a_batch_hold_its_rows_and_stay_within_the_budget_of_as_many_devices(count, epoch):
    loader = loader_of()
    loader.shares = count
    for batch in loader.batches(epoch):
        parts = parts_of(batch, count)
        assert sorted(sources_of(parts)) == sorted(batch.sources)
        for part in parts:
            assert part.signals.shape[:2] == (len(part.sources), int(part.lengths.max()))
            assert len(part.sources) == 1 or part.signals.shape[0] * part.signals.shape[1] <= loader.budget
            for row, source in enumerate(part.sources):
                there, length = batch.sources.index(source), int(part.lengths[row])
                assert torch.equal(part.signals[row, :length], batch.signals[there, :length])
                spelt = int(part.target_lengths[row])
                assert spelt == batch.target_lengths[there]
                assert torch.equal(part.targets[row, :spelt], batch.targets[there, :spelt])


def test_a_batch_without_rows_is_its_only_part():
    (empty,) = list(BatchLoader(examples_of(["3"]), 60.0, 1, rank=1, ranks=2).batches())
    assert parts_of(empty, 3) == [empty]


def test_a_rank_without_a_share_gets_an_empty_batch_and_stays_in_step():
    settings = {"rank": 3, "ranks": 4}
    loader = BatchLoader(examples_of(["3", "40", "60"]), 60.0, 1, **settings)
    batches = list(loader.batches())
    assert [batch.planned for batch in batches] == [len(batch) for batch in loader.plan(0)]
    for batch in batches:
        assert batch.sources == batch.refused == []
        assert len(batch.signals) == len(batch.lengths) == len(batch.targets) == 0


def test_reading_batches_draws_nothing_from_the_global_generators():
    """A run that is resumed within an epoch opens the loader once more than a run without a break."""
    torch.manual_seed(0)
    np.random.seed(0)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    list(loader_of().batches())
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == numpy_before


def test_unknown_lengths_are_an_assertion_error():
    with pytest.raises(AssertionError, match="lengths must be known"):
        BatchLoader(Examples([Example("3", "a")], ALPHABET, read_named), 10.0)


# --- examples


def test_augmentation_depends_on_seed_epoch_and_index_alone():
    examples = examples_of(["5", "5", "7"], augment=shaken, seed=1)
    first = examples[1, 0][1]
    for index, epoch in [(2, 0), (0, 3), (1, 1)]:
        examples[index, epoch]
    assert np.array_equal(examples[1, 0][1], first)
    assert not np.array_equal(examples[0, 0][1], first)
    assert not np.array_equal(examples[1, 1][1], first)
    assert not np.array_equal(examples_of(["5", "5"], augment=shaken, seed=2)[1, 0][1], first)


@pytest.mark.parametrize("room", [0, 100, 10**6])
def test_the_store_changes_only_how_often_files_are_read(room, tmp_path):
    calls = []

    def read(source: str) -> Signal:
        calls.append(source)
        return read_named(Path(source).name)

    for name in "567":
        (tmp_path / name).write_bytes(b"")
    listed = [Example(str(tmp_path / name), "abc", 1.0) for name in "567"]
    store = SignalStore(tmp_path / "kept", room)
    examples = Examples(listed, ALPHABET, read, shaken, store=store)
    fresh = examples_of(["5", "6", "7"], augment=shaken)
    with warnings.catch_warnings(record=True):
        for epoch in range(3):
            for index in range(3):
                assert np.array_equal(examples[index, epoch][1], fresh[index, epoch][1])
    kept = {0: 0, 100: 1, 10**6: 3}[room]  # a header and a few bytes each
    assert len(calls) == 9 - 2 * kept


def test_a_signal_shorter_than_the_front_end_takes_is_padded_with_silence():
    _, values, _ = examples_of(["3"], shortest=5)[0, 0]
    assert values.tolist() == [3, 3, 3, 0, 0]
    columns = Examples([Example("x", "a", 1.0)], ALPHABET, lambda _: Signal(np.ones((2, 4)), 1.0), shortest=3)
    assert columns[0, 0][1].tolist() == [[1] * 4, [1] * 4, [0] * 4]


def test_without_an_alphabet_any_text_is_accepted():
    assert Examples([Example("3", "ж", 3.0)], None, read_named)[0, 0][2] == []


def test_an_unreadable_example_is_reported_by_name_and_not_replaced(caplog):
    loader = BatchLoader(examples_of(["5", "torn", "6", "gone"]), 100.0)
    with caplog.at_level(logging.WARNING):
        (batch,) = loader.batches()
    assert sorted(batch.sources) == ["5", "6"]
    assert batch.planned == 4
    assert len(batch.signals) == len(batch.targets) == 2
    assert len(batch.refused) == 2
    for name in ("torn", "gone"):
        assert sum(name in sentence for sentence in batch.refused) == 1
        assert sum(name in record.getMessage() for record in caplog.records) == 1


def test_a_text_that_cannot_be_spelled_is_reported_with_its_origin():
    example = Example("3", "abz", 3.0, origin="train.jsonl:7")
    sentence = Examples([example], ALPHABET, read_named)[0, 0]
    assert sentence.startswith("train.jsonl:7: ")
    assert "'z'" in sentence


def test_a_batch_of_unreadable_examples_only_is_empty_and_says_why():
    (batch,) = BatchLoader(examples_of(["torn"]), 100.0).batches()
    assert batch.sources == []
    assert len(batch.signals) == 0
    assert len(batch.refused) == 1
