import os
import signal

import pytest

from common.training.ranks import notice
from common.training.ranks.notice import SAME_NOTICE_S, Notice, heeded

KILL = [("handler", signal.SIGTERM, signal.SIG_DFL), ("kill", os.getpid(), signal.SIGTERM)]


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(notice, "time", clock)
    return clock


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, object]]:
    """What would have been done to this process."""
    calls = list[tuple[str, int, object]]()
    monkeypatch.setattr(notice.signal, "signal", lambda number, how: calls.append(("handler", number, how)))
    monkeypatch.setattr(notice.os, "kill", lambda process, number: calls.append(("kill", process, number)))
    return calls


def test_no_signal_is_no_notice() -> None:
    assert not Notice().came


@pytest.mark.parametrize("after_s", [0.0, 0.002, SAME_NOTICE_S - 0.001])
def test_signals_soon_after_the_first_do_not_kill(clock: Clock, done: list[object], after_s: float) -> None:
    told = Notice()
    told(signal.SIGTERM)
    clock.now_s += after_s
    told(signal.SIGUSR1)
    told(signal.SIGTERM)
    assert told.came and not done


@pytest.mark.parametrize("after_s", [SAME_NOTICE_S, 3600.0])
def test_a_second_signal_later_kills(clock: Clock, done: list[object], after_s: float) -> None:
    told = Notice()
    told(signal.SIGUSR1)
    clock.now_s += after_s
    told(signal.SIGTERM)
    assert done == KILL


def test_the_time_counts_from_the_first_signal(clock: Clock, done: list[object]) -> None:
    told = Notice()
    for _ in range(2):
        told(signal.SIGTERM)
        clock.now_s += SAME_NOTICE_S / 2
    assert not done
    told(signal.SIGTERM)
    assert done == KILL


def test_two_signals_at_once_are_heeded_and_handlers_are_put_back() -> None:
    before, told = signal.getsignal(signal.SIGTERM), Notice()
    with heeded(told):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert told.came
    assert signal.getsignal(signal.SIGTERM) is before
