import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from common.data.signal import Signal
from common.recognition import reading as module
from common.recognition.modality import whole
from common.recognition.reading import Content, Reading, Wanted


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
