"""Runs of several processes, as torchrun and srun start them: each is forked from a process that has torch.

So torch is imported once for all runs of a test process. What goes wrong on a rank is a function of FAULTS.
"""

import errno
import multiprocessing
import os
import signal
import socket
import sys
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NamedTuple

from fork_server import forked_from

from common.recognition.modality import Modality

TIMEOUT_S = 100.0
"""a run that has not ended by then hangs"""
PRELOADED = ["ranks", "common.training.run", "common.commands.lm.recurrent", "torch.utils.tensorboard"]
PRELOADED += ["ocr.modality", "ocr.augment", "ocr.front_end"]
SERVER = forkserver.ForkServer()
SERVER.set_forkserver_preload(PRELOADED)


def _of_torchrun(rank: int, ranks: int) -> dict[str, str]:
    """Return what torchrun tells a process about its place."""
    named = {
        "TORCHELASTIC_RUN_ID": "test",
        "GROUP_RANK": 0,
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": ranks,
    }
    return {name: str(value) for name, value in named.items()}


def _of_srun(rank: int, ranks: int) -> dict[str, str]:
    """Return what srun tells a process about its place, as its manual lists it."""
    counts = {"NTASKS": ranks, "STEP_NUM_TASKS": ranks, "NTASKS_PER_NODE": ranks, "NNODES": 1}
    named = {**counts, "PROCID": rank, "LOCALID": rank, "NODEID": 0, "JOB_ID": 1234, "JOB_NAME": "train"}
    return {f"SLURM_{name}": str(value) for name, value in named.items()}


STARTERS = {"torchrun": _of_torchrun, "srun": _of_srun}


class Rank(NamedTuple):
    """How one rank ended."""

    status: int
    """exit status; minus the number of a signal"""
    err: str
    """what it wrote to standard error"""


def run_ranks(
    modality: Modality,
    ranks: int,
    arguments: Sequence[object],
    folder: Path,
    faults: Mapping[int, str | Path] | None = None,
    starter: str = "torchrun",
) -> list[Rank]:
    """Run a command on several ranks, and return how each rank ended.

    Args:
        modality: whose command it is.
        ranks: their number.
        arguments: the words of the command, without --devices.
        folder: for the standard errors of the ranks.
        faults: what goes wrong, by rank: a name in FAULTS, or the folder in which the rank runs.
        starter: one of STARTERS: the program that starts the ranks.
    """
    context = multiprocessing.get_context("forkserver")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    words = [*map(str, arguments), "--devices", str(ranks)]
    errors = [folder / f"rank{rank}.err" for rank in range(ranks)]
    processes = []
    for rank in range(ranks):
        own = {**place, **STARTERS[starter](rank, ranks)}
        given = (modality, words, own, errors[rank], (faults or {}).get(rank))
        processes.append(context.Process(target=_run, args=given))
    with forked_from(SERVER):
        for process in processes:
            process.start()
    awaited = [process for rank, process in enumerate(processes) if (faults or {}).get(rank) != "stopped"]
    try:
        for process in awaited:
            process.join(TIMEOUT_S)
        assert None not in [process.exitcode for process in awaited], "a rank hangs"
    finally:
        for process in processes:
            process.kill()
            process.join()
    return [
        Rank(process.exitcode, path.read_text(encoding="utf-8"))
        for process, path in zip(processes, errors, strict=True)
    ]


def run_alone(modality: Modality, words: list[str], folder: Path, fault: str, threads: int) -> Rank:
    """Run a command in one process that is no rank, and return how it ended.

    Args:
        modality: whose command it is.
        words: of the command.
        folder: for the standard error.
        fault: what goes wrong: a name in FAULTS.
        threads: with which it computes.
    """
    error = folder / "alone.err"
    given = (modality, words, {}, error, fault, threads)
    process = multiprocessing.get_context("forkserver").Process(target=_run, args=given)
    with forked_from(SERVER):
        process.start()
    try:
        process.join(TIMEOUT_S)
        assert process.exitcode is not None, "it hangs"
    finally:
        process.kill()
        process.join()
    return Rank(process.exitcode, error.read_text(encoding="utf-8"))


def _run(
    modality: Modality,
    words: list[str],
    environment: dict[str, str],
    error: Path,
    fault: str | Path | None,
    threads: int = 1,
) -> None:
    """Be a rank, or a process alone: the body of it."""
    import torch
    from tqdm import tqdm

    from common import cli

    torch.set_num_threads(threads)
    tqdm.set_lock(threading.RLock())  # its own is a semaphore, which a killed process leaves behind
    os.environ.update(environment)
    sys.stderr = error.open("w", encoding="utf-8", buffering=1)  # open to the end, for a traceback
    os.dup2(sys.stderr.fileno(), 2)
    if isinstance(fault, Path):
        os.chdir(fault)
    elif fault:
        FAULTS[fault]()
    cli.main(modality, words)


# --- what goes wrong


def _after_a_checkpoint(act: Callable[[Any], None]) -> None:
    """Let something happen right after the checkpoint of the second update of the second epoch."""
    from common.training.loop import Trainer

    save = Trainer.save_checkpoint

    def save_and_act(self: Trainer) -> None:
        save(self)
        if (self.progress.epoch, self.progress.batch) == (1, 2):
            act(self)

    Trainer.save_checkpoint = save_and_act  # type: ignore[method-assign]


def _fast_clock() -> None:
    """On this rank the clock is two minutes ahead, and each second takes a minute."""
    from time import monotonic

    from common.training import loop

    loop.time = types.SimpleNamespace(monotonic=lambda: 120 + 60 * monotonic())  # type: ignore[assignment]


def _killed() -> None:
    _after_a_checkpoint(lambda _: os.kill(os.getpid(), signal.SIGKILL))


def _killed_while_it_keeps_a_signal() -> None:
    """Half of the thirtieth record is in the store then."""
    from common.data import store

    whole, written = store._record, list[bytes]()

    class Torn(bytes):
        """A record of which half is written."""

    def record(*arguments: Any) -> bytes:
        written.append(whole(*arguments))
        return written[-1] if len(written) < 30 else Torn(written[-1])

    class File:
        """A file of a store, whose process ends within a torn record."""

        def __init__(self, file: Any) -> None:
            self.file, self.name, self.tell = file, file.name, file.tell

        def write(self, content: bytes) -> int:
            if isinstance(content, Torn):
                self.file.write(content[: len(content) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return self.file.write(content)

    new = store.SignalStore._new_file
    store._record = record  # type: ignore[assignment]
    store.SignalStore._new_file = lambda self: File(new(self))  # type: ignore[assignment, method-assign]


def _preempted() -> None:
    """A scheduler gives notice of the end."""
    _after_a_checkpoint(lambda _: os.kill(os.getpid(), signal.SIGUSR1))


def _stopped() -> None:
    """The process answers no more, as if its machine were off; signs of life are missed after two rounds."""
    _after_a_checkpoint(lambda _: os.kill(os.getpid(), signal.SIGSTOP))


def _failing() -> None:
    def fail(_: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "lines/7.png")

    _after_a_checkpoint(fail)


def _out_of_memory() -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation")

    _after_a_checkpoint(fail)


def _impatient() -> None:
    from common.training.ranks import line

    line.SILENT_ROUNDS = 2


FAULTS: dict[str, Callable[[], None]] = {
    "fast clock": _fast_clock,
    "killed": _killed,
    "killed while it keeps a signal": _killed_while_it_keeps_a_signal,
    "stopped": _stopped,
    "preempted": _preempted,
    "failing": _failing,
    "out of memory": _out_of_memory,
    "impatient": _impatient,
}
