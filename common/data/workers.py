"""Processes that read batches for as long as a run lasts.

    this process                                    a worker
    submit(part, items) -------- items -----------> Examples.read_batch
    Future  <-- a thread <------ arrays ----------- (signals in shared memory)

A worker is given how to read, but no list of examples: each request brings its own. Where the system has a
fork server, that process imports once what reading needs, and a worker is forked from it in milliseconds; it
has no threads and has computed nothing, so that nothing in a fork of it can be locked. Elsewhere workers are
spawned.

A worker ends when this process does, however that ends: its connection is then closed.
"""

import atexit
import mmap
import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import forkserver, reduction, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import numpy as np

from common.data.examples import Arrays, Examples, Item
from common.data.store import Place

ENDED_S = 5.0
"""time in which a process that is told to end has ended"""


class _Answer(NamedTuple):
    """What a worker sends: the arrays of a batch, or the traceback of an error.

    arrays: without its signals if these follow as the descriptor of a file in memory.
    shape: of these signals.
    warnings: the sentences of warnings.
    """

    arrays: Arrays | None
    shape: tuple[int, ...] | None
    warnings: list[str]
    error: str = ""


class Received(NamedTuple):
    """What a Future gives: what `receive` made of a batch, where signals were kept, and warnings."""

    batch: Any
    places: dict[int, Place]
    warnings: list[str]


class Workers:
    """Processes that read batches.

    Args:
        count: of processes, one or more.
        parts: what is to be read, such as training and development data, by name.
        receive: makes a batch of its arrays; a thread calls it.
    """

    def __init__(
        self, count: int, parts: dict[str, Examples], receive: Callable[[Arrays], Any] = lambda arrays: arrays
    ) -> None:
        readers = {name: examples.without_list() for name, examples in parts.items()}
        context: Any = multiprocessing.get_context(_method())
        self.receive = receive
        self._processes: list[Any] = []
        self._waiting: dict[Connection, list[Future]] = {}
        with deaf_to_interrupts():
            start_fork_server(list(parts.values()))
            for _ in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, readers), daemon=True)
                process.start()
                theirs.close()
                self._processes.append(process)
                self._waiting[ours] = []
        self._lock = threading.Lock()
        self._ending, self._end = multiprocessing.Pipe(duplex=False)
        self._thread = threading.Thread(target=self._receive_all, daemon=True)
        self._thread.start()
        atexit.register(self.close)  # before multiprocessing waits for processes that heed no SIGTERM

    def submit(self, part: str, items: Sequence[Item]) -> Future:
        """Ask the worker with the fewest requests for items of a part; return their batch to be."""
        future: Future = Future()
        with self._lock:
            connection = min(self._waiting, key=lambda one: len(self._waiting[one]))
            self._waiting[connection].append(future)
        with suppress(OSError):  # a worker that has ended: the thread says so
            connection.send((part, items))
        return future

    def close(self) -> None:
        """End the processes; what they were asked for is not read."""
        atexit.unregister(self.close)
        with suppress(OSError):
            self._end.send(None)
        self._thread.join(ENDED_S)
        for process in self._processes:
            process.kill()  # a record of the store that is cut short is not used
        for process in self._processes:
            process.join(ENDED_S)
        for connection in self._waiting:
            connection.close()

    def _receive_all(self) -> None:
        """Give the answers of workers to those who wait for them, until the end."""
        listening: list[Any] = [self._ending, *self._waiting]
        while True:
            for connection in wait(listening):
                if connection is self._ending:
                    return
                try:
                    answer, descriptor = _received(connection)  # type: ignore[arg-type]
                except (EOFError, OSError):
                    listening.remove(connection)
                    self._lost(connection)  # type: ignore[arg-type]
                    continue
                with self._lock:
                    future = self._waiting[connection].pop(0)  # type: ignore[index]
                self._answer(future, answer, descriptor)

    def _answer(self, future: Future, answer: _Answer, descriptor: int | None) -> None:
        try:
            if answer.arrays is None:
                raise RuntimeError(f"a process that reads (--workers) failed:\n{answer.error}")
            arrays = answer.arrays
            if descriptor is not None:
                assert answer.shape is not None, "a shape comes with a descriptor"
                arrays = arrays._replace(signals=_mapped(descriptor, answer.shape))
            future.set_result(Received(self.receive(arrays), arrays.places, answer.warnings))
        except BaseException as error:
            future.set_exception(error)

    def _lost(self, connection: Connection) -> None:
        """Fail the requests of a worker that has ended."""
        error = ChildProcessError(
            "a process that reads (--workers) was ended from outside, perhaps for lack of memory;"
            " try fewer --workers, or go on with --resume"
        )
        with self._lock:
            waiting, self._waiting[connection] = self._waiting[connection], _Lost(error)
        for future in waiting:
            future.set_exception(error)


class _Lost(list):
    """The requests of a worker that has ended: they fail at once."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def append(self, future: Future) -> None:
        """Fail a request."""
        future.set_exception(self.error)


# --- the start


def _method() -> str:
    """Return the fastest safe way to start a process: a fork of this one, which has threads, may block."""
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def start_fork_server(parts: Sequence[Examples]) -> None:
    """Begin to start the process that workers are forked from, if it is not there; do not wait for it.

    Args:
        parts: what it imports: the modules that read and augment these.
    """
    if _method() != "forkserver":
        return
    functions = [function for part in parts for function in (part.read, part.augment, part.steps)]
    wanted = {name for function in functions for name in _modules(function)} - {"__main__", "builtins"}
    multiprocessing.set_forkserver_preload([__name__, *sorted(wanted)])
    with deaf_to_interrupts():
        forkserver.ensure_running()


def _modules(function: Any) -> set[str]:
    """Return the names of the modules of a function, and of those that a partial one is made of."""
    if isinstance(function, partial):
        return {name for part in (function.func, *function.args) for name in _modules(part)}
    return {getattr(function, "__module__", "builtins")}


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Let processes that are started here ignore Ctrl-C, which a terminal sends to every process.

    Workers end with this process, without a traceback of their own. In this process, a Ctrl-C meanwhile has
    its effect at the end: the start of a worker that is cut in two leaves errors of both halves. Windows has
    no signal masks, and only the main thread handles signals.
    """
    masks = hasattr(signal, "pthread_sigmask")
    if not masks or threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # multiprocessing would start it below, and unblock the signal then
    came: list[Any] = []
    handler = signal.signal(signal.SIGINT, lambda *arguments: came.append(arguments))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # processes inherit this
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if came and callable(handler):  # another thread took the signal, for the mask is of this one alone
        handler(*came[0])


# --- in a worker


def _serve(connection: Connection, readers: dict[str, Examples]) -> None:
    """Read what is asked for until the connection is closed."""
    if hasattr(signal, "pthread_sigmask"):  # a fork server that was there before may hear interrupts
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    for name in ("SIGTERM", "SIGUSR1"):  # a scheduler tells all processes; the run then ends in good order
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    torch = sys.modules.get("torch")  # it is there if reading or augmenting imports it
    if torch is not None:
        torch.set_num_threads(1)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            part, items = connection.recv()
            _send(connection, readers[part], items)


def _send(connection: Connection, examples: Examples, items: Sequence[Item]) -> None:
    """Read items and send their batch, with the signals in memory that both processes share."""
    memory: list[int] = []

    def shared_zeros(shape: tuple[int, ...]) -> np.ndarray:
        size = 4 * int(np.prod(shape))
        if not size or not hasattr(os, "memfd_create"):
            return np.zeros(shape, np.float32)
        memory.append(os.memfd_create("batch"))  # /dev/shm may be small; this is not, and goes with its users
        os.ftruncate(memory[0], size)
        return np.frombuffer(mmap.mmap(memory[0], size), np.float32).reshape(shape)

    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            try:
                arrays = examples.read_batch(items, shared_zeros)
                answer = _Answer(arrays, None, [str(one.message) for one in heard])
            except Exception:  # said where the batch is wanted
                answer = _Answer(None, None, [], traceback.format_exc())
        if memory and answer.arrays is not None:
            nothing = np.zeros((0, 0), np.float32)
            answer = answer._replace(
                arrays=answer.arrays._replace(signals=nothing), shape=answer.arrays.signals.shape
            )
        connection.send(answer)
        if answer.shape is not None:
            reduction.send_handle(connection, memory[0], None)
    finally:
        for descriptor in memory:
            os.close(descriptor)


def _received(connection: Connection) -> tuple[_Answer, int | None]:
    """Return an answer, and the descriptor of the memory of its signals, if they are in such."""
    answer: _Answer = connection.recv()
    return answer, reduction.recv_handle(connection) if answer.shape is not None else None


def _mapped(descriptor: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return the array, of `shape`, in shared memory; it is freed with the array."""
    try:
        return np.frombuffer(mmap.mmap(descriptor, 4 * int(np.prod(shape))), np.float32).reshape(shape)
    finally:
        os.close(descriptor)
