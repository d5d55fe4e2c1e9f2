"""What a GPU need not wait for, in fake mode, which needs no GPU: reading a number back is an error there.

So is an operation on tensors of the GPU and the host together.
"""

from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from untrained import ALPHABET, HEIGHT_PX, KINDS

from common.data.batching import Batch, HostSizes
from common.network import heads
from common.recognition.configuration import EncoderConfig, HeadConfig, ModelConfig
from common.recognition.recognizer import Recognizer

B, SIGNAL_STEPS = 3, {"ocr": 200, "asr": 2000}
TASKS: dict[str, dict[str, Any]] = {
    "ctc": {},
    "two views": {"consistency_weight": 0.2},
    "frames": {"task": "frames"},
    "classify": {"task": "classify"},
    "attention": {"task": "attention", "ctc_weight": 0.3},
    "sampling": {"task": "attention", "ctc_weight": 0.0, "scheduled_sampling": 0.5},
}


def move_to_fake_gpu(module: nn.Module) -> None:
    """Replace all tensors of a module by ones on the GPU; in fake mode only."""
    for part in module.modules():
        for name, value in list(part._parameters.items()):
            if value is not None:
                setattr(part, name, nn.Parameter(torch.empty(value.shape, device="cuda")))
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.empty(buffer.shape, device="cuda")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("side", KINDS)
def test_the_losses_of_a_batch_on_a_gpu_are_computed_without_reading_anything_back(side, task, monkeypatch):
    kind, asked = KINDS[side], []

    def ctc_losses(log_probs, lengths, targets, target_lengths):
        """Stands for torch's loss, which has no fake: it reads lengths back unless they are on the host."""
        asked.append((lengths.device.type, target_lengths.device.type))
        return log_probs.sum((1, 2))

    def count_impossible(*sizes):
        """Stands for a count that the host makes of its own tensors, which fake mode forbids too."""
        asked.append(tuple(part.device.type for part in sizes))
        return 0

    monkeypatch.setattr(heads, "ctc_losses", ctc_losses)
    monkeypatch.setattr(heads, "count_impossible", count_impossible)
    monkeypatch.setattr(torch.backends.cudnn, "enabled", False)  # cuDNN's LSTM has no fake
    config = ModelConfig(kind.signal, kind.front_end, EncoderConfig(hidden_size=8), HeadConfig(**TASKS[task]))
    recognizer = Recognizer(kind.modality, config, ALPHABET).train()
    T = SIGNAL_STEPS[side]
    lengths = torch.tensor([T, T - 40, T // 2])
    steps = recognizer.front_end.output_lengths(lengths)
    L = {"frames": int(steps.max()), "classify": 1}.get(task, 4)
    targets = torch.ones(B, L, dtype=torch.int64)
    target_lengths = steps if task == "frames" else torch.full((B,), L)
    with FakeTensorMode(allow_non_fake_inputs=True):
        move_to_fake_gpu(recognizer)
        signals = torch.zeros((B, T, HEIGHT_PX) if side == "ocr" else (B, T), device="cuda")
        placed = [
            torch.empty(part.shape, dtype=torch.int64, device="cuda")
            for part in (lengths, targets, target_lengths)
        ]
        host = HostSizes(lengths, targets, target_lengths)
        loss, impossible = recognizer.losses(Batch(signals, *placed, [], list(range(B)), B, [], host))
    assert (loss.device.type, loss.shape, impossible) == ("cuda", (), 0)
    assert {device for devices in asked for device in devices} <= {"cpu"}
    assert bool(asked) == (task in ("ctc", "two views", "attention"))
