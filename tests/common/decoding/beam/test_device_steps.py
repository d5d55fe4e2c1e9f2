"""The steps on a GPU, checked without one: a recording of a step is replayed as a CUDA graph would be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from common.decoding.beam import device_steps
from common.decoding.beam.device_steps import DeviceSteps, Size, capture
from common.decoding.beam.device_table import DeviceTable
from common.decoding.beam.fusion import Fusion
from common.decoding.beam.prefixes import STATE, Hypotheses
from common.decoding.beam.search import BeamSearch

CLASSES = 5


class Automaton:
    """A scorer whose states are sums, of which a search meets new ones at every step."""

    start = 0

    def rows(self, states: np.ndarray) -> np.ndarray:
        return np.sin(states[:, None] + 10 * np.arange(CLASSES))

    def advance(self, states: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return (CLASSES * states + labels + 1) % 10**6

    def final(self, states: np.ndarray) -> np.ndarray:
        return np.cos(states)


class Recording(TorchDispatchMode):
    """A record of every operation with its very tensors: what a CUDA graph keeps of a step."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Tensor]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if not getattr(func, "is_view", False):
            self.calls.append((func, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        """Compute everything again from what is in the tensors now, into the same tensors."""
        for func, args, kwargs, out in self.calls:
            again = func(*args, **kwargs)
            outs = out if isinstance(out, tuple) else (out,)
            agains = again if isinstance(again, tuple) else (again,)
            for old, new in zip(outs, agains, strict=True):
                if isinstance(old, Tensor) and old is not new:
                    old.copy_(new)


def recorded(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Return the replay of a recording of `step`, after which the buffers are as they were before."""
    steps = step.__self__  # type: ignore[attr-defined]
    buffers = [getattr(steps.beam, name) for name in STATE]
    buffers += [steps.step, steps.asked, steps.trace, steps.trace_log_probs]
    before = [buffer.clone() for buffer in buffers]
    with Recording() as recording:
        step()
    for buffer, old in zip(buffers, before, strict=True):
        buffer.copy_(old)
    return recording.replay


def random_log_probs(seed: int, B: int, S: int) -> np.ndarray:
    scores = 2 * np.random.default_rng(seed).standard_normal((B, S, CLASSES))
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def assert_same(got: Hypotheses, wanted: Hypotheses) -> None:
    for name, ours, theirs in zip(wanted._fields, got, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("scorers", [[], [Automaton()]], ids=["network", "fused"])
@pytest.mark.parametrize("setting", [{}, {"cutoff_top_n": 2, "cutoff_prob": 0.9}], ids=["all", "cut off"])
def test_a_step_replayed_on_its_buffers_gives_the_search(monkeypatch, scorers, setting):
    """A number of the host that changed between steps would stay as it was when the step was recorded."""
    monkeypatch.setattr(device_steps, "replayable", recorded)
    monkeypatch.setattr(device_steps, "BUFFERED_STEPS", 8)

    def new() -> BeamSearch:
        return BeamSearch(6, **setting, fusion=Fusion(scorers, CLASSES) if scorers else None)

    search = new()
    for seed, (B, S) in enumerate([(3, 21), (5, 9), (2, 8), (40, 3)]):  # the last is another size
        log_probs, lengths = random_log_probs(seed, B, S), np.arange(S, S - B, -1).clip(1)
        got = search.search(torch.from_numpy(log_probs), lengths, 4)
        assert_same(got, new().search(log_probs, lengths, 4))


def test_buffers_that_were_made_in_inference_mode_serve_outside_it():
    search = BeamSearch(6, fusion=Fusion([Automaton()], CLASSES))
    first, second = (torch.from_numpy(random_log_probs(seed, 2, 9)) for seed in range(2))
    with torch.inference_mode():
        search.search(first + 0, np.full(2, 9))
    second.requires_grad_()
    wanted = BeamSearch(6, fusion=Fusion([Automaton()], CLASSES)).search(
        second.detach().numpy(), np.full(2, 9)
    )
    assert_same(search.search(second, np.full(2, 9)), wanted)


def test_a_row_that_waits_for_the_language_model_does_not_hold_up_the_others():
    """One utterance needs states that no other needs; the rest, whose states are known, read on."""
    search = BeamSearch(6, fusion=Fusion([Automaton()], CLASSES))
    known = torch.from_numpy(random_log_probs(0, 7, 30))
    search.search(known, np.full(7, 30))
    mixed = torch.cat([known, torch.from_numpy(random_log_probs(1, 1, 30))])
    seen = []
    asked = DeviceSteps._use

    def noted(self, table):
        asked(self, table)
        seen.append(self.step[:8].tolist())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeviceSteps, "_use", noted)
        search.search(mixed, np.full(8, 30))
    assert any(rows[0] == 30 and rows[7] < 15 for rows in seen)
    assert all(rows[0] >= rows[7] for rows in seen)


@pytest.mark.parametrize("fused", [False, True], ids=["network", "fused"])
def test_a_step_on_a_gpu_reads_nothing_back_and_takes_nothing_from_the_host(fused):
    """In fake mode, which needs no GPU, a read-back is an error, and so is a tensor of the wrong device."""
    with FakeTensorMode():
        device = torch.device("cuda")
        steps = DeviceSteps(Size(32, 10, CLASSES, CLASSES, True, device), 0)
        if fused:
            steps._use(DeviceTable(CLASSES, 1, device))
        with Recording() as recording:
            steps._advance()
    made = [out.device.type for *_, out in recording.calls if isinstance(out, Tensor)]
    assert len(made) > 50
    assert set(made) == {"cuda"}


@pytest.mark.parametrize("setting", [{}, {"cutoff_top_n": 3, "cutoff_prob": 0.9}], ids=["all", "cut off"])
def test_a_search_of_pieces_on_a_gpu_stays_there(setting, monkeypatch):
    """In fake mode, which needs no GPU, operations on tensors of the host and the GPU together are errors."""
    monkeypatch.setattr(device_steps, "replayable", lambda step, device: step)
    monkeypatch.setattr(device_steps, "BUFFERED_STEPS", 4)
    monkeypatch.setattr("common.decoding.beam.search._checked", lambda *arguments: arguments[1])  # reads back
    search = BeamSearch(6, **setting)
    with FakeTensorMode(allow_non_fake_inputs=True):
        log_probs = torch.zeros(5, 6, CLASSES, device="cuda")
        beam = search.start(log_probs)
        beam.history = []
        for lengths in ([6, 4, 3, 0, 6], [2, 0, 1, 0, 2]):
            search.feed(beam, log_probs, np.array(lengths))
    states = [getattr(beam, name) for name in STATE]
    parts = [part for kept in (beam.traces, beam.history) for piece in kept for part in piece]
    assert len(parts) == 2 * (6 + 3)
    assert {part.device.type for part in (*states, *parts)} == {"cuda"}
    assert [trace.origin.shape for trace in beam.traces] == [(6, 5, 6), (2, 5, 6)]


def test_a_graph_that_cannot_be_captured_leaves_the_step_itself_and_a_warning(monkeypatch, caplog):
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    streams = []
    for name, value in {
        "CUDAGraph": lambda: None,
        "Stream": lambda device: "side",
        "graph": refuse,
        "current_stream": lambda device: "before",
        "set_stream": streams.append,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)

    def step() -> None:
        raise AssertionError("a capture runs nothing")

    assert capture(step, torch.device("cuda")) is step
    assert "without a CUDA graph" in caplog.text
    assert streams == ["before"]


@pytest.mark.gpu
@pytest.mark.parametrize("fused", [False, True], ids=["network", "fused"])
def test_a_search_on_a_gpu_replays_a_graph(fused, caplog):
    """Without the graph the results would be the same, at the speed of launching each operation."""
    fusion = Fusion([Automaton()], CLASSES) if fused else None
    search, log_probs = BeamSearch(6, fusion=fusion), random_log_probs(0, 40, 20)
    wanted = search.search(log_probs, np.full(40, 20), 6)
    assert_same(search.search(torch.from_numpy(log_probs).cuda(), np.full(40, 20), 6), wanted)
    (steps,) = search._spares.values()
    assert steps._replay is not None and steps._replay.__name__ == "replay"
    assert "CUDA graph" not in caplog.text


def test_buffers_are_kept_for_batches_of_a_size_and_are_not_copied_with_the_search():
    search = BeamSearch(3)
    for B, kept in [
        (5, [8]),
        (8, [8]),
        (1, [8, 1]),
        (6, [1, 8]),
        (33, [8, 64]),
        (64, [8, 64]),
        (65, [64, 96]),
    ]:
        search.search(torch.from_numpy(random_log_probs(0, B, 2)), np.full(B, 2))
        assert [size.rows for size in search._spares] == kept
    assert not search.__getstate__()["_spares"]
