import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from common.data.signal import Signal
from common.recognition import reading as module
from common.recognition.modality import whole
from common.recognition.reading import Content, Reading, Wanted
from common.text.transcript import Character, Transcript


def test_after_an_early_stop_no_further_source_is_read(monkeypatch):
    stopped, window, read = threading.Event(), 40, []

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            stopped.set()
            super().shutdown(wait=True)

    def content(source: str, text: str | None) -> Content:
        if int(source) >= window:
            assert stopped.wait(60)
        read.append(int(source))
        return Content([whole(Signal(np.zeros(1, np.float32), 1.0))], [])

    monkeypatch.setattr(module, "ThreadPoolExecutor", Pool)
    windows = Reading(content, 1e9, window, 1, None).windows(Wanted(str(n)) for n in range(1000))
    assert [item.place for item in next(windows)] == list(range(window))
    windows.close()
    assert set(range(window)) <= set(read)
    assert len(read) <= window + module.READERS


def test_what_needs_no_network_is_passed_on_while_later_sources_are_read():
    known = Transcript.from_characters([Character("a", 0.0, 1.0, 1.0)])
    read = []

    def content(source: str, text: str | None) -> Content:
        read.append(int(source))
        segment = whole(Signal(np.zeros(1, np.float32), 1.0))._replace(known=known)
        return Content([segment], [])

    wanted = (Wanted(str(number)) for number in range(200))
    results = Reading(content, 1e9, 10, 1, None).results(wanted, pytest.fail, lambda batch: [])
    assert [next(results)[0].place for _ in range(10)] == list(range(10))
    assert len(read) < 100
    assert [item.place for item, _ in results] == list(range(10, 200))
