"""Examples a second on 1 to 1,024 GPUs: a simulation from measured costs, in place of a claim.

    python recipes/scale/simulate.py --step-ms 180 --step-deviation-ms 9 --parameters 8600000
    python recipes/scale/simulate.py --measure   # costs of two processes here, and how well it fits

A step of n GPUs takes as long as the slowest of n draws of a step, or as loading its data if that takes
longer, and the part of the all-reduce that the backward pass does not hide.
"""

import math
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from common.command_line.parser import parse

BYTES = 4
"""of a gradient"""
DRAWS = 4000
"""simulated steps of each number of GPUs"""
MEASURED_STEPS, WARM_STEPS = 60, 10


@dataclass(frozen=True)
class Cluster:
    """Simulate training on 1 to 1,024 GPUs; the defaults are assumptions, not measurements."""

    step_ms: float = 180.0
    """Mean duration of a step on one GPU, forward and backward."""
    step_deviation_ms: float = 9.0
    """Standard deviation of that duration, for batches of other lengths and for other disturbances."""
    examples_per_step: float = 120.0
    """Examples of a batch of one GPU."""
    parameters: float = 8.6e6
    """Parameters of the model, whose gradients are added over all GPUs."""
    loaded_per_s: float = 20_000.0
    """Examples that the workers of a node read and augment in a second."""
    gpus_per_node: int = 8
    """GPUs of a node."""
    inside_gb_s: float = 200.0
    """Bandwidth between the GPUs of a node, in 10^9 bytes a second."""
    inside_us: float = 10.0
    """Latency of a message between them, in microseconds."""
    between_gb_s: float = 12.0
    """Bandwidth between nodes."""
    between_us: float = 30.0
    """Latency of a message between nodes."""
    hidden: float = 0.5
    """Share of the all-reduce that runs beside the backward pass."""
    measure: bool = False
    """Measure a small model with two processes on this machine, and compare."""


def ring_s(members: int, size: float, bytes_per_s: float, latency_s: float) -> float:
    """Return the seconds of an all-reduce of `size` bytes in a ring (Patarasuk and Yuan 2009)."""
    if members == 1:
        return 0.0
    steps = 2 * (members - 1)
    return steps / members * size / bytes_per_s + steps * latency_s


def all_reduce_s(cluster: Cluster, gpus: int) -> float:
    """Return the seconds of an all-reduce: in rings within the nodes, and in rings of one GPU of each node.

    Each of the GPUs of a node adds up one share of the gradients over the nodes, at the same time as the
    others, which share the connection of the node.
    """
    size = BYTES * cluster.parameters
    inside = min(gpus, cluster.gpus_per_node)
    nodes = math.ceil(gpus / cluster.gpus_per_node)
    within = ring_s(inside, size, cluster.inside_gb_s * 1e9, cluster.inside_us * 1e-6)
    return within + ring_s(nodes, size, cluster.between_gb_s * 1e9, cluster.between_us * 1e-6)


def step_s(cluster: Cluster, gpus: int, rng: np.random.Generator) -> float:
    """Return the mean seconds of a step of `gpus` GPUs; steps of one have a gamma distribution."""
    mean, deviation = cluster.step_ms / 1000, cluster.step_deviation_ms / 1000
    if deviation:
        shape = (mean / deviation) ** 2
        slowest = float(rng.gamma(shape, mean / shape, (DRAWS, gpus)).max(axis=1).mean())
    else:
        slowest = mean
    loading = min(gpus, cluster.gpus_per_node) * cluster.examples_per_step / cluster.loaded_per_s
    return max(slowest, loading) + (1 - cluster.hidden) * all_reduce_s(cluster, gpus)


def efficiency(cluster: Cluster, gpus: int, seed: int = 1) -> float:
    """Return the examples a second of `gpus` GPUs as a share of `gpus` times those of one computing alone."""
    return cluster.step_ms / 1000 / step_s(cluster, gpus, np.random.default_rng(seed))


def table(cluster: Cluster) -> str:
    """Return the assumptions and a row for each number of GPUs."""
    rows = ["assumed or measured:"]
    rows += [f"  {name} {value:g}" for name, value in vars(cluster).items() if name != "measure"]
    rows.append(f"{'GPUs':>5} {'step ms':>9} {'all-reduce ms':>14} {'examples/s':>12} {'efficiency':>11}")
    for gpus in (2**power for power in range(11)):
        seconds = step_s(cluster, gpus, np.random.default_rng(1))
        rate = gpus * cluster.examples_per_step / seconds
        reducing = 1000 * all_reduce_s(cluster, gpus)
        share = f"{100 * efficiency(cluster, gpus):.1f} %"
        rows.append(f"{gpus:>5} {1000 * seconds:>9.1f} {reducing:>14.2f} {rate:>12,.0f} {share:>11}")
    return "\n".join(rows)


# --- measured on this machine


def measured(width: int = 256, batch: int = 8, steps: int = 100) -> tuple[Cluster, float]:
    """Return the costs of a recurrent encoder on this machine, and the seconds of a step of two processes."""
    alone = _times(1, partial(_train, width, batch, steps))
    reduced = _times(2, partial(_reduce, width))
    together = _times(2, partial(_train, width, batch, steps))
    size = BYTES * _parameters(width)
    cluster = replace(
        Cluster(),
        step_ms=1000 * float(np.mean(alone)),
        step_deviation_ms=1000 * float(np.std(alone)),
        examples_per_step=batch,
        parameters=size / BYTES,
        loaded_per_s=1e9,  # the data are in memory
        inside_gb_s=size / float(np.mean(reduced)) / 1e9,
        inside_us=0.0,  # part of the above
        hidden=0.0,
    )
    return cluster, float(np.mean(together))


def _times(processes: int, work: Callable[[int], list[float]]) -> np.ndarray:
    """Return the seconds of each step of `work`, on the first of some processes that run it together."""
    from torch import multiprocessing

    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(_process, (processes, folder, work), nprocs=processes)
        return np.load(Path(folder) / "times.npy")


def _process(rank: int, processes: int, folder: str, work: Callable[[int], list[float]]) -> None:
    import torch

    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=processes
    )
    times = work(processes)[WARM_STEPS:]
    if rank == 0:
        np.save(Path(folder) / "times.npy", times)
    torch.distributed.destroy_process_group()


def _model(width: int) -> "torch.nn.Module":  # noqa: F821
    import torch

    torch.manual_seed(1)
    return torch.nn.LSTM(width, width, 2, bidirectional=True, batch_first=True)


def _parameters(width: int) -> int:
    return sum(parameter.numel() for parameter in _model(width).parameters())


def _train(width: int, batch: int, steps: int, processes: int) -> list[float]:
    """Return the seconds of updates of an LSTM, whose gradients are added over the processes."""
    import torch

    model = _model(width)
    if processes > 1:
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer, signals = torch.optim.AdamW(model.parameters()), torch.randn(batch, steps, width)
    times = []
    for _ in range(WARM_STEPS + MEASURED_STEPS):
        began = time.perf_counter()
        optimizer.zero_grad()
        model(signals)[0].square().mean().backward()
        optimizer.step()
        times.append(time.perf_counter() - began)
    return times


def _reduce(width: int, processes: int) -> list[float]:
    """Return the seconds of all-reduces of as many numbers as the model has parameters."""
    import torch

    gradients, times = torch.randn(_parameters(width)), []
    for _ in range(WARM_STEPS + MEASURED_STEPS):
        began = time.perf_counter()
        torch.distributed.all_reduce(gradients)
        gradients /= processes
        times.append(time.perf_counter() - began)
    return times


def main() -> None:
    """Print the table, and with --measure how well the simulation fits two processes."""
    cluster = parse(Cluster)
    for name, value in vars(cluster).items():
        if value < 0 or (value == 0 and name in ("step_ms", "loaded_per_s", "inside_gb_s", "between_gb_s")):
            sys.exit(f"--{name.replace('_', '-')} is {value:g}; give a number above 0")
    if cluster.measure:
        cluster, together = measured()
        foretold = step_s(cluster, 2, np.random.default_rng(1))
        print(
            f"two processes here: a step takes {1000 * together:.1f} ms,"
            f" the simulation says {1000 * foretold:.1f} ms\n"
        )
    print(table(cluster))


if __name__ == "__main__":
    main()
