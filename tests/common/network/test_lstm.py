from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from common.network import lstm
from common.network.lstm import LSTM
from common.network.recurrent import RecurrentEncoder

S = 3
SHAPES = {
    "rows": (3, 128, 256),
    "inputs": (8, 130, 256),
    "units": (8, 128, 193),
    "all, in two pieces": (130, 5, 200),
    "few units": (5, 7, 9),
    "nothing": (8, 128, 256),
}
"""B, D and H, by what has to be filled up"""


def results(layer: LSTM, compute: Any, steps: Tensor, state: Any, weights: Tensor) -> list[Tensor]:
    """Return the output, the last state, and the gradients of all that they depend on."""
    encoded, last = compute(steps, state)
    parts = [encoded, *last]
    total = sum((part * weights[: part.numel()].view_as(part)).sum() for part in parts)
    sources = [*layer.parameters(), steps, *(state or ())]
    return [*parts, *torch.autograd.grad(total, sources)]


@pytest.mark.parametrize("with_state", [False, True], ids=["from 0", "from a state"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_lstm_of_filled_sizes_is_that_of_torch_with_equal_gradients(shape, with_state):
    torch.manual_seed(1)
    B, D, H = shape
    layer = LSTM(D, H, batch_first=True).double()
    steps = torch.randn(B, S, D, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn(1, B, H, dtype=torch.float64, requires_grad=True) for _ in range(2))
    weights = torch.randn(B * S * H, dtype=torch.float64)
    given = state if with_state else None
    wanted = results(layer, lambda *arguments: nn.LSTM.forward(layer, *arguments), steps, given, weights)
    found = results(layer, layer.filled, steps, given, weights)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_filled_sizes_are_those_that_torch_computes_with_the_persistent_kernel(shape, monkeypatch):
    """The conditions are those of `use_persist_common_heuristics` and `use_persist_device_heuristics`."""
    B, D, H = shape
    layer, sizes, compute = LSTM(D, H, batch_first=True), [], torch.lstm

    def noted(steps, state, weights, *rest):
        sizes.append((len(steps), steps.shape[2], state[0].shape[2]))
        return compute(steps, state, weights, *rest)

    monkeypatch.setattr(torch, "lstm", noted)
    layer.filled(torch.zeros(B, S, D))
    assert sum(rows for rows, *_ in sizes) == -(-B // 8) * 8
    for rows, inputs, units in sizes:
        assert rows % 8 == 0
        assert rows <= 128
        assert inputs % 128 == 0
        assert units % 128 == 0 or units == H <= 192


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_sizes_are_filled_under_autocast_on_cuda_and_nowhere_else(monkeypatch):
    layer, calls = LSTM(4, 5, batch_first=True), []
    monkeypatch.setattr(LSTM, "filled", lambda _, steps, first: calls.append(steps.device.type))
    monkeypatch.setattr(nn.LSTM, "forward", lambda *_: None)
    layer(torch.zeros(2, S, 4))
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.zeros(2, S, 4))
    with FakeTensorMode():
        steps = torch.zeros(2, S, 4, device="cuda")
    layer(steps)
    assert calls == []
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: kind == "cuda")
    layer(steps)
    assert calls == ["cuda"]


# --- on CPUs


@pytest.mark.parametrize("bidirectional", [True, False])
def test_under_autocast_an_lstm_is_computed_in_float32_where_the_cpu_has_no_other(bidirectional, monkeypatch):
    monkeypatch.setattr(lstm, "has_half_lstm", lambda: False)
    encoder = RecurrentEncoder(5, 7, layers=2, bidirectional=bidirectional).eval()
    features, lengths = torch.randn(3, 6, 5), torch.tensor([6, 4, 1])
    expected, _, last = encoder(features, lengths, keep_state=not bidirectional)
    with torch.autocast("cpu", torch.bfloat16):
        found, _, state = encoder(features, lengths, keep_state=not bidirectional)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    if last is not None:
        torch.testing.assert_close(state, last, rtol=0, atol=0)


def test_under_autocast_an_lstm_runs_on_any_cpu():
    encoder = RecurrentEncoder(5, 7).eval()
    features, lengths = torch.randn(3, 6, 5), torch.tensor([6, 4, 1])
    expected, _, _ = encoder(features, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        found, _, _ = encoder(features, lengths)
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)
