"""Results are compared with a dictionary of keys, and with automata whose states are short sums."""

import copy
import os
import pickle
import sys
import threading
import time

import numpy as np
import pytest
import torch

from common.decoding.beam import device_table
from common.decoding.beam import fusion as module
from common.decoding.beam.device_table import unseen_places
from common.decoding.beam.fusion import Fusion, Index, Table
from common.decoding.beam.prefixes import Hypotheses
from common.decoding.beam.search import BeamSearch

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.gpu),
]
CLASSES = 5


class Automaton:
    """An automaton with states below `size`; next states are arithmetic, gains are sines or forbidden."""

    def __init__(self, size: int, start: int = 0, forbids: bool = False) -> None:
        self.size, self.start, self.forbids = size, start, forbids
        self.asked: list[int] = []

    def gain(self, state: int, label: int) -> float:
        return -np.inf if self.forbids and (state + label) % 7 == 0 else float(np.sin(state + 10 * label))

    def after(self, state: int, label: int) -> int:
        return (CLASSES * state + label + 1) % self.size

    def rows(self, states: np.ndarray) -> np.ndarray:
        self.asked += states.tolist()
        return np.array([[self.gain(state, label) for label in range(CLASSES)] for state in states.tolist()])

    def advance(self, states: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return (CLASSES * states + labels + 1) % self.size

    def final(self, states: np.ndarray) -> np.ndarray:
        return np.cos(states)


def random_log_probs(rng: np.random.Generator, B: int, S: int) -> np.ndarray:
    scores = 2 * rng.standard_normal((B, S, CLASSES))
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def grow(table: Table, rng: np.random.Generator, steps: int, texts: int = 50) -> np.ndarray:
    """Advance `texts` random texts through the table and return their states (texts,)."""
    states = np.zeros(texts, np.int64)
    for _ in range(steps):
        states = table.advance(states, rng.integers(0, CLASSES, texts))
    return states


def assert_same(got: Hypotheses, wanted: Hypotheses) -> None:
    for name, ours, theirs in zip(wanted._fields, got, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, err_msg=name)


# --- numbers for keys


def test_keys_are_numbered_in_the_order_of_arrival_and_keep_their_numbers():
    rng = np.random.default_rng(0)
    index, truth = Index(), {}
    for size in [1, 10, 1000, 3000, 5, 20_000, 0, 700]:
        keys = np.where(
            rng.random(size) < 0.3, rng.integers(0, 50, size), rng.integers(-(2**63), 2**63 - 1, size)
        )
        known = len(truth)
        numbers, fresh = index.add(keys)
        assert keys[fresh].tolist() == sorted(set(keys.tolist()) - truth.keys())
        assert numbers[fresh].tolist() == list(range(known, known + len(fresh)))
        first = dict(zip(keys[::-1].tolist(), range(size)[::-1], strict=True))
        assert fresh.tolist() == [first[key] for key in keys[fresh].tolist()]
        truth |= dict(zip(keys[fresh].tolist(), numbers[fresh].tolist(), strict=True))
        assert numbers.tolist() == [truth[key] for key in keys.tolist()]
    everything = np.array(list(truth))
    numbers, fresh = index.add(everything)
    assert numbers.tolist() == list(truth.values())
    assert sorted(truth.values()) == list(range(len(truth)))
    assert len(fresh) == 0


@pytest.mark.parametrize("size", [2048, 2049, 4096, 8192, 16_400, 36_000, 70_000])
def test_many_keys_may_come_at_once(size):
    """36,000 keys once filled all reachable places of a table of 9 * 16,384, and the search never ended."""
    index = Index()
    keys = np.random.default_rng(size).permutation(size) * 3
    for _ in range(2):
        numbers, _ = index.add(keys)
        assert np.array_equal(numbers, keys // 3)  # numbered in sorted order within a batch
    assert index.add(np.array([1, 2, 1]))[0].tolist() == [size, size + 1, size]


def test_keys_that_all_belong_in_one_place_are_told_apart(monkeypatch):
    monkeypatch.setattr(module, "_mixed", lambda keys: np.full(len(keys), -1))
    index = Index()
    assert index.add(np.arange(100, 300))[0].tolist() == list(range(200))
    keys = np.concatenate([np.arange(300, 311), np.arange(100, 300), np.arange(91, 100)])
    assert index.add(keys)[0].tolist() == [*range(209, 220), *range(200), *range(200, 209)]


# --- the table


def test_a_table_gives_the_sum_of_its_scorers_over_any_text():
    rng = np.random.default_rng(1)
    scorers = (Automaton(10**6, start=3), Automaton(1009, start=7, forbids=True), Automaton(2))
    table = Table(scorers, CLASSES)
    texts = rng.integers(0, CLASSES, (60, 40))
    states, truth = np.zeros(len(texts), np.int64), [[scorer.start for scorer in scorers] for _ in texts]
    for labels in texts.T:
        gains = table.gains(states[:, None], np.arange(CLASSES)[None])
        wanted = [
            [sum(scorer.gain(state, c) for scorer, state in zip(scorers, row, strict=True)) for c in range(5)]
            for row in truth
        ]
        assert gains.dtype == np.float64
        np.testing.assert_allclose(gains, wanted, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(table.best(states), gains.max(axis=1))
        np.testing.assert_allclose(table.final(states), np.cos(truth).sum(axis=1))
        states = table.advance(states, labels)
        truth = [
            [scorer.after(state, label) for scorer, state in zip(scorers, row, strict=True)]
            for row, label in zip(truth, labels.tolist(), strict=True)
        ]
    assert table.count > 1024  # it has grown


def test_equal_states_have_one_number_and_are_asked_for_gains_once():
    scorer = Automaton(50)
    table = Table((scorer,), CLASSES)
    seen = {0: 0}
    rng = np.random.default_rng(2)
    states, truth = np.zeros(20, np.int64), np.zeros(20, np.int64)
    for _ in range(60):
        labels = rng.integers(0, CLASSES, 20)
        states, truth = table.advance(states, labels), scorer.advance(truth, labels)
        for number, state in zip(states.tolist(), truth.tolist(), strict=True):
            assert seen.setdefault(state, number) == number
    assert sorted(seen.values()) == list(range(table.count))
    assert sorted(scorer.asked) == sorted(seen)


def test_states_that_agree_in_one_scorer_only_are_different():
    table = Table((Automaton(1), Automaton(10**6), Automaton(1)), CLASSES)
    after = table.advance(np.zeros(CLASSES, np.int64), np.arange(CLASSES))
    assert sorted(after.tolist()) == [1, 2, 3, 4, 5]


def test_gains_of_ends_have_the_shape_of_their_states():
    table = Table((Automaton(10**6),), CLASSES)
    states = grow(table, np.random.default_rng(0), 5, 12)
    for shape in [(12,), (3, 4), (2, 3, 2)]:
        assert np.array_equal(table.final(states.reshape(shape)), table.final(states).reshape(shape))
    assert table.final(np.zeros((0, 7), np.int64)).shape == (0, 7)


@pytest.mark.parametrize("device", DEVICES)
def test_a_copy_on_a_device_knows_what_the_table_knows_and_names_what_it_does_not(device, monkeypatch):
    monkeypatch.setattr(device_table, "LEAST_BYTES", 1)  # so that the table outgrows its copies
    device = torch.device(device)
    table, rng = Table((Automaton(10**6), Automaton(13, forbids=True)), CLASSES), np.random.default_rng(3)
    copies = {id(table.on(device))}
    for steps in [0, 1, 2, 30, 1, 60, 2]:
        states = rng.permutation(np.append(grow(table, rng, steps), np.arange(table.count)))
        labels = rng.integers(0, CLASSES, len(states))
        there, letters = torch.from_numpy(states).to(device), torch.from_numpy(labels).to(device)
        copy = table.on(device)
        copies.add(id(copy))
        gains = copy.gains(there[:, None], torch.arange(CLASSES, device=device)[None])
        assert (gains.dtype, gains.device) == (torch.float64, there.device)
        assert np.array_equal(gains.cpu().numpy(), table.gains(states[:, None], np.arange(CLASSES)[None]))
        grown = rng.random(len(states)) < 0.7
        after = copy.extend(there, letters, torch.from_numpy(grown).to(device)).cpu().numpy()
        unseen = unseen_places(after)
        assert set(unseen) <= set((states * CLASSES + labels)[grown])
        assert (steps == 0) or 0 < len(unseen) < grown.sum()
        assert np.array_equal(after[~grown], states[~grown])
        table.explore(unseen)
        after = table.on(device).extend(there, letters, torch.from_numpy(grown).to(device)).cpu().numpy()
        assert np.array_equal(after, table.extend(states, labels, grown))
        assert np.array_equal(after[grown], table.advance(states[grown], labels[grown]))
    assert table.count > 4096
    assert 1 < len(copies) < 8  # some were large enough for a while


# --- tables that are kept, and that are not


def test_a_used_table_gives_the_same_as_a_new_one():
    rng = np.random.default_rng(4)
    scorers = [Automaton(10**6), Automaton(997, forbids=True)]
    warm = BeamSearch(6, fusion=Fusion(scorers, CLASSES))
    for _ in range(20):
        log_probs, lengths = random_log_probs(rng, 4, 12), rng.integers(0, 13, 4)
        fresh = BeamSearch(6, fusion=Fusion(scorers, CLASSES))
        assert_same(warm.search(log_probs, lengths, 6), fresh.search(log_probs, lengths, 6))
    assert warm.fusion.table().count > 2 * fresh.fusion.table().count


def test_a_table_is_kept_until_it_is_too_large(monkeypatch):
    fusion = Fusion([Automaton(10**6)], CLASSES)
    first = fusion.table()
    grow(first, np.random.default_rng(0), 10)
    assert fusion.table() is first
    monkeypatch.setattr(module, "TABLE_BYTES", first.size)
    assert fusion.table() is first
    monkeypatch.setattr(module, "TABLE_BYTES", first.size - 1)
    second = fusion.table()
    assert second is not first
    assert fusion.table() is second
    assert (second.count, second.size) == (1, first.size // first.count)


def searches() -> tuple[np.ndarray, np.ndarray, list[Automaton]]:
    log_probs = random_log_probs(np.random.default_rng(5), 3, 20)
    return log_probs, np.array([20, 15, 18]), [Automaton(10**6), Automaton(31, forbids=True)]


def test_beams_go_on_in_another_table_with_the_same_result(monkeypatch):
    log_probs, lengths, scorers = searches()
    search = BeamSearch(5, fusion=Fusion(scorers, CLASSES))
    wanted = search.search(log_probs, lengths, 5)
    beam = search.start(log_probs)
    first = beam.table
    search.feed(beam, log_probs[:, :9], np.array([9, 9, 9]))
    monkeypatch.setattr(module, "TABLE_BYTES", 0)
    later = search.start(log_probs)
    search.feed(later, log_probs, lengths)
    search.feed(beam, log_probs[:, 9:], lengths - 9)
    assert first not in (beam.table, later.table)
    assert_same(search.best(beam, 5), wanted)
    assert_same(search.best(later, 5), wanted)


@pytest.mark.parametrize("device", DEVICES)
def test_one_long_search_uses_bounded_memory_and_finds_the_same(monkeypatch, device):
    log_probs = random_log_probs(np.random.default_rng(6), 2, 80)
    lengths, scorers = np.array([80, 70]), [Automaton(10**9), Automaton(31, forbids=True)]
    unbounded = BeamSearch(4, fusion=Fusion(scorers, CLASSES))
    wanted = unbounded.search(log_probs, lengths, 4)
    assert unbounded.fusion.table().count > 150
    monkeypatch.setattr(module, "TABLE_BYTES", 40 * Table(tuple(scorers), CLASSES).size)
    tables, search = [], BeamSearch(4, fusion=Fusion(scorers, CLASSES))
    move = search.fusion.move

    def noted(table, states):
        tables.append(table)
        return move(table, states)

    search.fusion.move = noted
    there = torch.from_numpy(log_probs).to(device)
    for array in (log_probs, there):
        tables.clear()
        assert_same(search.search(array, lengths, 4), wanted)
        assert len(tables) > 3
        # at each step no more than each prefix of the beam is new
        assert max(table.count for table in tables) <= 40 + 2 * 4


# --- several threads and processes


class Slow(Automaton):
    """An automaton that lets other threads run, and notes whether two of them were in it at once."""

    inside = 0
    crowded = False

    def rows(self, states: np.ndarray) -> np.ndarray:
        self.inside += 1
        time.sleep(1e-4)
        self.crowded |= self.inside > 1
        self.inside -= 1
        return super().rows(states)


@pytest.mark.parametrize("table_bytes", [module.TABLE_BYTES, 5000])
def test_searches_in_several_threads_find_what_each_finds_alone(monkeypatch, table_bytes):
    monkeypatch.setattr(module, "TABLE_BYTES", table_bytes)
    inputs = [random_log_probs(np.random.default_rng(seed), 2, 20) for seed in range(8)]
    lengths = np.array([20, 15])
    alone = BeamSearch(6, fusion=Fusion([Automaton(10**6), Automaton(31, forbids=True)], CLASSES))
    wanted = [alone.search(one, lengths, 6) for one in inputs]
    slow = Slow(10**6)
    search = BeamSearch(6, fusion=Fusion([slow, Automaton(31, forbids=True)], CLASSES))
    got: dict[int, Hypotheses] = {}
    together = threading.Barrier(4)

    def work(number: int) -> None:
        together.wait()
        for place in range(number, 8, 4):
            got[place] = search.search(inputs[place], lengths, 6)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    for place, one in enumerate(wanted):
        assert_same(got[place], one)
    assert table_bytes == 5000 or not slow.crowded  # two tables may ask a scorer without memory at once


@pytest.mark.parametrize("again", [copy.deepcopy, lambda search: pickle.loads(pickle.dumps(search))])
def test_a_copy_of_a_used_search_finds_the_same(again):
    log_probs, lengths, scorers = searches()
    search = BeamSearch(5, fusion=Fusion(scorers, CLASSES))
    wanted = search.search(log_probs, lengths, 5)
    other = again(search)
    assert other.fusion.table().count == 1
    assert_same(other.search(log_probs, lengths, 5), wanted)


def test_a_forked_process_does_not_wait_for_threads_of_its_parent(monkeypatch):
    log_probs, lengths, scorers = searches()
    search = BeamSearch(5, fusion=Fusion(scorers, CLASSES))
    wanted = search.search(log_probs, lengths, 5)
    table, parent = search.fusion.table(), os.getpid()
    with search.fusion._lock, table._lock:  # as a thread of the parent holds them, which the child lacks
        monkeypatch.setattr(os, "getpid", lambda: parent + 1)
        assert_same(search.search(log_probs, lengths, 5), wanted)
    assert search.fusion.table() is not table
