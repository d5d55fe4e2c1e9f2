r"""The ranks of a run, which end together: if one fails or is lost, all end, and rank 0 says which it was.

    rank 1 ----\               each line carries a sign of life a second in both directions
    rank 2 -----+---- rank 0    a rank that fails says why before it ends; that of a killed one closes
    rank 3 ----/                rank 0 tells people, and tells the other ranks to end

Collective operations do not do this: where a rank is gone, NCCL waits for ten minutes and names no rank.
"""

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import torch
from lightning.fabric import Fabric

from common.files.failure import ReportedError, is_lack_of_memory, sentence
from common.training.ranks.line import ROUND_S, Line, Switchboard, call_rank_zero
from common.training.ranks.notice import StoppedError

log = logging.getLogger(__name__)

T = TypeVar("T")
GRACE_S = 1.0
"""how long a process may take to say its own error, before it ends for that of another rank"""
NEWS_S = 5.0
"""how long news of another rank may take that explain an error of a collective operation"""
KILLED = "ended without a word: it was killed, perhaps for lack of memory, or its machine failed"
SILENT = "gives no sign of life: it hangs, or its machine failed or cannot be reached"
GO_ON = "all ranks end; go on with --resume"


class Group:
    """The ranks of a run, seen from one of them.

    Args:
        fabric: a launched Fabric.
        lines: to the other ranks on rank 0, to rank 0 on the others; empty if there is one rank.
    """

    def __init__(self, fabric: Fabric, lines: Mapping[int, Line]) -> None:
        self.fabric, self.rank, self.ranks = fabric, fabric.global_rank, fabric.world_size
        self._lines = lines
        self._failing, self._finished = threading.Event(), threading.Event()
        self._news, self._heard, self._speaking = threading.Event(), threading.Event(), threading.Lock()
        self._ready = threading.Semaphore(0)
        for line in lines.values():
            threading.Thread(target=self._watch, args=(line,), daemon=True).start()
        if lines:
            threading.Thread(target=self._live, daemon=True).start()

    def from_rank_zero(self, work: Callable[[], T]) -> T:
        """Return on every rank what `work` returns on rank 0, which may take any time."""
        value: Any = None
        if self.rank == 0:
            value = work()
            self._send(ready=True)
        else:
            self._ready.acquire()  # not in a collective operation, whose time is limited
        return self.fabric.broadcast(value) if self.ranks > 1 else value

    def gather(self, value: T) -> list[T]:
        """Return the values of all ranks, by rank; all ranks must call this."""
        if self.ranks == 1:
            return [value]
        values: list[Any] = [None] * self.ranks
        torch.distributed.all_gather_object(values, value)
        return values

    # --- the end

    def finish(self) -> None:
        """Note that this rank has done its work: from now on it may be missing."""
        self._finished.set()
        self._send(finished=True)

    def fail(self, error: BaseException) -> None:
        """Tell the other ranks that this one ends because of `error`.

        If it is the consequence of another rank's end, this process ends here.

        Raises:
            ReportedError: rank 0 has told the user of the error of this rank.
            SystemExit: rank 0 has told the user that this rank was interrupted.
        """
        if not self._lines:
            return
        collective = isinstance(error, RuntimeError) and not is_lack_of_memory(error)
        if collective and self._news.wait(NEWS_S):
            threading.Event().wait()  # until another thread ends this process
        self._failing.set()
        if self.rank == 0:
            self._send(end=True)
            return
        if isinstance(error, SystemExit):  # rank 0 has failed, and has its word before `torchrun` acts
            time.sleep(GRACE_S)
            return
        interrupted = isinstance(error, KeyboardInterrupt)
        self._send(failed=_told(error), status=130 if interrupted else 1)
        if not self._heard.wait(NEWS_S):
            return
        time.sleep(GRACE_S)  # rank 0 ends before whoever started the ranks sees this one end
        if interrupted:
            raise SystemExit(130) from error
        if isinstance(error, Exception):
            raise ReportedError(error) from error

    # --- the lines

    def _send(self, **message: Any) -> None:
        for line in self._lines.values():
            line.send(**message)

    def _live(self) -> None:
        """Give signs of life."""
        while True:
            self._send()
            time.sleep(ROUND_S)

    def _watch(self, line: Line) -> None:
        """Read what another rank says, until it has finished; end this process if the other one is lost."""
        try:
            while (message := line.receive()) is not None:
                if "ready" in message:
                    self._ready.release()
                elif "heard" in message:
                    self._heard.set()
                elif "failed" in message:
                    self._failing.wait(GRACE_S)  # this rank too, perhaps, and for the same reason
                    self._end(f"{line.name}: {message['failed']}", message["status"], line)
                elif "end" in message:
                    self._leave()
                elif "finished" in message:
                    return
            self._end(f"{line.name} {KILLED}; {GO_ON}")
        except TimeoutError:
            self._end(f"{line.name} {SILENT}; {GO_ON}")

    def _end(self, reason: str, status: int = 1, told_by: Line | None = None) -> None:
        """Say why the ranks end, and end them all, unless this one fails itself and says why.

        Args:
            reason: a sentence.
            status: with which this process exits.
            told_by: the line of the rank that has failed and waits for an answer.
        """
        if self._finished.is_set():
            return
        with self._speaking:  # a second thread waits here until the process ends
            self._news.set()
            failing = self._failing.is_set()
            if not failing:
                log.error(reason)
                sys.stderr.flush()
            if told_by is not None:
                told_by.send(heard=True)
            if not failing:
                self._send(end=True)
                time.sleep(GRACE_S / 4)  # a closed socket may take what is not yet read with it
                os._exit(status)

    def _leave(self) -> NoReturn:
        """End this process, because rank 0 says so."""
        self._news.set()
        time.sleep(GRACE_S)  # an error of this rank has its traceback, and rank 0 its word before `srun` acts
        os._exit(1)


@contextmanager
def group_of(fabric: Fabric) -> Iterator[Group]:
    """Give the group of the ranks of `fabric`, which end together if the block fails on one of them.

    Raises:
        ValueError: the ranks cannot connect to each other.
    """
    if fabric.global_rank:
        _speak_less(fabric)
    group = Group(fabric, _connected(fabric))
    try:
        yield group
    except StoppedError:  # all ranks have agreed on it
        group.finish()
        raise
    except BaseException as error:
        group.fail(error)
        raise
    group.finish()


def _speak_less(fabric: Fabric) -> None:
    """Leave the log to rank 0, except for errors and for examples that cannot be read on this machine."""
    root = logging.getLogger()
    root.setLevel(logging.ERROR)
    logging.getLogger("common.data.batching").setLevel(logging.WARNING)
    name = f"rank {fabric.global_rank} of {fabric.world_size} ({socket.gethostname()})"
    for handler in root.handlers:
        handler.setFormatter(logging.Formatter(f"{name}: %(message)s"))


def _connected(fabric: Fabric) -> Mapping[int, Line]:
    """Return the lines of this rank: to all others on rank 0, to rank 0 on the others."""
    rank, ranks = fabric.global_rank, fabric.world_size
    if ranks == 1:
        return {}
    board = Switchboard() if rank == 0 else None
    here = (board.port, board.key, f"rank 0 of {ranks} ({socket.gethostname()})") if board else None
    there = fabric.broadcast(here)
    if board is not None:
        return board.lines(ranks)
    assert there is not None, "rank 0 has a switchboard"
    return {0: call_rank_zero(rank, *there)}


def _told(error: BaseException) -> str:
    """Return the sentence with which a rank reports an error."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, ValueError | OSError | ImportError) or is_lack_of_memory(error):
        return sentence(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
