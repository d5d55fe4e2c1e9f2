"""Workers read the batches that this process would read, live as long as the run, and end with it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.forkserver import ForkServer
from pathlib import Path

import numpy as np
import pytest
import torch
from fork_server import forked_from
from PIL import Image
from worker_signals import (
    read_number,
    read_process,
    read_whether_interrupts_are_blocked,
    shaken,
    warn_or_fail,
)

from common.data.batching import Batch, BatchLoader, ReadAhead, to_batch
from common.data.examples import Examples
from common.data.manifest import Example
from common.data.store import SignalStore
from common.data.workers import Workers, deaf_to_interrupts
from common.text.symbols import Alphabet
from ocr.augment import AugmentConfig, build_augment
from ocr.modality import OCR
from ocr.signal import SignalConfig

ALPHABET = Alphabet(("a", "b", "c"))


@pytest.fixture(scope="module", autouse=True)
def own_fork_server() -> Iterator[None]:
    with forked_from(ForkServer()):
        yield


def same(left: list[Batch], right: list[Batch]) -> bool:
    return len(left) == len(right) and all(
        torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
        for pair in zip(left, right, strict=True)
        for one, other in zip(*pair, strict=True)
    )


def numbers(seed: int = 0) -> Examples:
    listed = [Example(str(number), "abc", float(number)) for number in range(3, 20)]
    return Examples(listed, ALPHABET, read_number, shaken, seed)


@contextmanager
def read_ahead(seen: Examples, unseen: Examples, count: int, epochs: int = 3) -> Iterator[ReadAhead]:
    """Give the loaders of a run, `train` and `dev`, whose batches workers read."""
    train, dev = BatchLoader(seen, 40.0, seed=3), BatchLoader(unseen, 40.0)
    with closing(Workers(count, {"train": seen, "dev": unseen}, to_batch)) as workers:
        yield ReadAhead(workers, count, train, dev, epochs)


# --- the same batches


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_workers_read_the_batches_of_a_run_that_one_process_would_read(count, tmp_path):
    """The examples are line images, of which one is torn; the store fills up in the first epoch."""
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = rng.integers(0, 256, (16, 40 + 5 * number), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    torn = tmp_path / "3.png"
    torn.write_bytes(torn.read_bytes()[:200])
    listed = [Example(str(tmp_path / f"{number}.png"), "abc", 3.0 + number) for number in range(8)]
    config = SignalConfig(height_px=16)
    read, augment = OCR.reader(config), build_augment(AugmentConfig(), config)
    store = SignalStore(tmp_path / "kept", 10**6)
    seen = Examples(listed, ALPHABET, read, augment, seed=3, shortest=4, store=store)
    unseen = Examples(listed[:3], None, read, None, seed=3, shortest=4, store=store)
    inline = [
        BatchLoader(Examples(listed, ALPHABET, read, augment, seed=3, shortest=4), 40.0, seed=3),
        BatchLoader(Examples(listed[:3], None, read, None, shortest=4), 40.0),
    ]
    with read_ahead(seen, unseen, count) as ahead:
        for epoch in range(3):
            assert same(list(ahead.train.batches(epoch)), list(inline[0].batches(epoch)))
            assert same(list(ahead.dev.batches()), list(inline[1].batches()))
    assert sum(len(batch.refused) for batch in inline[0].batches()) == 1
    kept = [store.place(example.source) is not None for example in listed]
    assert kept == [number != 3 for number in range(8)]


@pytest.mark.slow
def test_a_run_may_begin_anywhere_and_leave_the_order_that_was_read_ahead():
    whole = BatchLoader(numbers(), 40.0, seed=3)
    with read_ahead(numbers(), numbers(), 2) as ahead:
        assert same(list(ahead.train.batches(1, 2)), list(whole.batches(1))[2:])
        assert same(list(ahead.train.batches(0)), list(whole.batches(0)))  # dev was read ahead
        broken_off = ahead.train.batches(2)
        next(broken_off)
        assert same(list(ahead.train.batches(2)), list(whole.batches(2)))


def test_the_next_epoch_is_read_while_dev_is_measured_and_nothing_after_the_last():
    asked: list[tuple[str, int, int]] = []
    examples = numbers()
    train, dev = BatchLoader(examples, 60.0, seed=3), BatchLoader(examples, 60.0)
    counts = [len(train.plan(0)), len(dev.plan(0)), len(train.plan(1))]

    class Asked:
        """Notes what is asked for, and reads it at once."""

        def submit(self, part, items):
            asked.append((part, items[0].epoch, len(items)))
            done = threading.Event()

            class Future:
                def result(self):
                    done.set()
                    arrays = examples.read_batch(items)
                    from common.data.workers import Received

                    return Received(to_batch(arrays), arrays.places, [])

            return Future()

    ahead = ReadAhead(Asked(), 1, train, dev, epochs=2)
    for _ in train.batches(0):
        pass
    assert [part for part, _, _ in asked].count("dev") == min(counts[1], ahead.depth)
    for _ in dev.batches():
        pass
    assert ("train", 1) in {(part, epoch) for part, epoch, _ in asked}
    for _ in train.batches(1):
        pass
    for _ in dev.batches():
        pass
    assert len(asked) == counts[0] + 2 * counts[1] + counts[2]


# --- as long as the run


@pytest.mark.slow
def test_the_same_processes_read_every_epoch_of_train_and_dev():
    listed = [Example("x", "", 1.0)] * 12
    seen, unseen = (Examples(listed, None, read_process) for _ in range(2))
    train, dev = BatchLoader(seen, 2.0, seed=1), BatchLoader(unseen, 2.0)
    with closing(Workers(2, {"train": seen, "dev": unseen}, to_batch)) as workers:
        ahead = ReadAhead(workers, 2, train, dev, 3)
        readers = set()
        for epoch in range(3):
            for batch in [*ahead.train.batches(epoch), *ahead.dev.batches()]:
                readers |= set(batch.signals.flatten().tolist())
    assert len(readers) == 2
    assert os.getpid() not in readers


@pytest.mark.slow
def test_warnings_and_mistakes_in_a_worker_come_to_this_process():
    listed = [Example(name, "", 1.0) for name in ("warn", "mistake")]
    examples = Examples(listed, None, warn_or_fail)
    with closing(Workers(1, {"train": examples})) as workers:
        answer = workers.submit("train", [examples.item(0, 0)]).result()
        assert answer.warnings == ["warn: is silent"]
        assert answer.batch.indices == [0]
        with pytest.raises(RuntimeError, match="a mistake of ours"):
            workers.submit("train", [examples.item(1, 0)]).result()
        assert workers.submit("train", [examples.item(0, 0)]).result().batch.indices == [0]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
@pytest.mark.slow
def test_a_worker_that_is_killed_is_said_in_a_sentence_and_not_waited_for():
    examples = Examples([Example("end", "", 1.0)], None, warn_or_fail)
    with closing(Workers(1, {"train": examples})) as workers:
        asked = [workers.submit("train", [examples.item(0, 0)]) for _ in range(2)]
        asked.append(workers.submit("train", [examples.item(0, 0)]))
        for future in asked:
            with pytest.raises(ChildProcessError, match="--workers"):
                future.result(timeout=30)


WAITS_WITH_WORKERS = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored if the tests run in the background
sys.path[:0] = sys.argv[1:]
from worker_signals import read_process
from common.data.examples import Examples
from common.data.manifest import Example
from common.data.workers import Workers

if __name__ == "__main__":
    examples = Examples([Example("x", "", 1.0)], None, read_process)
    workers = Workers(2, {"train": examples})
    asked = [workers.submit("train", [examples.item(0, 0)]) for _ in range(2)]
    print(*[int(one.result().batch.signals[0, 0]) for one in asked], flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_no_worker_is_left_however_the_run_ends(number, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(WAITS_WITH_WORKERS, encoding="utf-8")
    command = [sys.executable, str(program), str(Path(__file__).parents[2] / "support"), *sys.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        assert run.stdout is not None
        workers = {int(word) for word in run.stdout.readline().split()}
        assert len(workers) == 2
        run.send_signal(getattr(signal, number))
        run.wait(timeout=20)
    for _ in range(100):
        left = {process for process in workers if is_running(process)}
        if not left:
            break
        time.sleep(0.1)
    assert not left


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


# --- interrupts


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signal masks")
@pytest.mark.slow
def test_only_worker_processes_ignore_an_interrupt():
    """A terminal sends Ctrl-C to all processes of a command; the first one answers for all."""
    examples = Examples([Example("a", "", 1.0)], None, read_whether_interrupts_are_blocked)
    assert examples[0, 0][1].tolist() == [0]
    with closing(Workers(1, {"train": examples})) as workers:
        answer = workers.submit("train", [examples.item(0, 0)]).result()
    assert answer.batch.signals.tolist() == [[1]]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signal masks")
def test_an_interrupt_while_workers_start_waits_until_they_have():
    # a process that was started in the background ignores interrupts
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    started, waiting = [], threading.Event()
    other = threading.Thread(target=waiting.wait)  # the system may choose it to take the signal
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt), deaf_to_interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            started += [1, 2]
    finally:
        waiting.set()
        signal.signal(signal.SIGINT, before)
    assert started == [1, 2]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signal masks")
def test_after_workers_have_started_an_interrupt_is_heard_at_once():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with deaf_to_interrupts():
            pass
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
