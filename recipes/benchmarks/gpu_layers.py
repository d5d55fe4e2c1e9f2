"""Time of one recurrent layer by hidden size: the type that cuDNN computes in, and our layer beside it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from measurement import print_row
from torch import Tensor, nn

from common.command_line.parser import parse
from common.network.recurrent import RecurrentEncoder


@dataclass(frozen=True)
class Layers:
    """Measure recurrent layers: forward and backward."""

    device: Literal["cuda", "cpu"] = "cuda"
    """The device."""
    batch: int = 64
    """B, sequences."""
    steps: int = 400
    """S, steps of each, which are all real."""
    sizes: tuple[int, ...] = (192, 256, 384, 512)
    """Hidden sizes."""
    repeats: int = 10
    """Repeats of each measurement after one that does not count; the fastest counts."""


def milliseconds(work: Callable[[], Tensor], device: str, repeats: int) -> float:
    """Return the time of `work` and of the backward pass of its result."""
    taken = []
    for _ in range(repeats + 1):
        _wait(device)
        began = time.perf_counter()
        work().float().square().mean().backward()
        _wait(device)
        taken.append(1000 * (time.perf_counter() - began))
    return min(taken[1:])


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def measure(options: Layers, size: int) -> list[str]:
    """Return the cells of a row for one hidden size."""
    B, S, device = options.batch, options.steps, options.device
    signals = torch.randn(B, S, size, device=device)
    lengths = torch.full((B,), S, device=device)
    one = nn.LSTM(size, size, batch_first=True).to(device)
    two = nn.LSTM(size, size, batch_first=True, bidirectional=True).to(device)
    ours: Any = RecurrentEncoder(size, size, 1).to(device).train()
    cells = [str(size)]
    kinds = (torch.bfloat16, torch.float16) if device == "cuda" else (None,)
    for kind in kinds:
        with torch.autocast(device, kind, enabled=kind is not None):
            cells.append(str(one(signals)[0].dtype).removeprefix("torch."))
            cells.append(f"{milliseconds(lambda: one(signals)[0], device, options.repeats):.1f}")
            both = milliseconds(lambda: two(signals)[0], device, options.repeats)
            own = milliseconds(lambda: ours(signals, lengths)[0], device, options.repeats)
            cells += [f"{both:.1f}", f"{own:.1f}", f"{both / own:.2f}"]
    return cells


def main() -> None:
    """Print a table."""
    options = parse(Layers)
    kinds = ("bfloat16", "float16") if options.device == "cuda" else ("float32",)
    head = ["hidden"]
    for kind in kinds:
        head += [f"{kind}: its type", "one way ms", "both ways ms", "ours ms", "times faster"]
    print(f"one LSTM layer, B {options.batch}, S {options.steps}, forward and backward, under autocast")
    print_row([*head, ""], [*head, ""])
    for size in options.sizes:
        print_row([*head, ""], [*measure(options, size), ""])


if __name__ == "__main__":
    main()
