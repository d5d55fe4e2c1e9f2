"""Threads that read files: a few at a time, and one that hangs keeps nobody waiting."""

import asyncio
import threading

import pytest

from common.serving.errors import RequestError
from common.serving.reading import readers
from common.serving.reading.readers import Readers


@pytest.fixture
def held():
    """Give an event for which calls wait, and let them go at the end."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_gives_what_its_function_gives_or_raises():
    async def work():
        calls = Readers()
        with pytest.raises(KeyError):
            await calls.call({}.__getitem__, "a")
        return await calls.call(sorted, [2, 1])

    assert asyncio.run(work()) == [1, 2]


def test_so_many_are_called_at_a_time_also_where_clients_have_gone(held):
    begun = threading.Semaphore(0)

    def waiting():
        begun.release()
        held.wait()

    async def work():
        calls = Readers()
        tasks = [asyncio.create_task(calls.call(waiting)) for _ in range(6)]
        for _ in range(readers.READERS):
            await asyncio.to_thread(begun.acquire)
        for task in tasks[:3]:
            task.cancel()
        await asyncio.sleep(0.05)
        assert not begun.acquire(blocking=False)
        held.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await calls.call(len, "ab") == 2

    asyncio.run(work())


def test_a_call_that_does_not_end_is_given_up_and_others_go_on(held, monkeypatch):
    monkeypatch.setattr(readers, "READING_S", 0.05)

    async def work():
        calls = Readers()
        hanging = [calls.call(held.wait) for _ in range(readers.READERS)]
        for failure in await asyncio.gather(*hanging, return_exceptions=True):
            assert isinstance(failure, RequestError)
            assert failure.code == "takes_too_long"
        assert calls.lost == readers.READERS
        assert await calls.call(len, "ab") == 2
        held.set()
        while calls.lost:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(work(), 30))


def test_when_too_many_do_not_end_new_ones_are_refused_at_once(held, monkeypatch):
    monkeypatch.setattr(readers, "READING_S", 0.02)
    monkeypatch.setattr(readers, "MOST_LOST", 3)

    async def work():
        calls = Readers()
        for _ in range(3):
            with pytest.raises(RequestError, match="takes more than"):
                await calls.call(held.wait)
        with pytest.raises(RequestError) as refused:
            await calls.call(len, "ab")
        assert refused.value.status == 503
        held.set()
        while calls.lost:
            await asyncio.sleep(0.01)
        assert await calls.call(len, "ab") == 2

    asyncio.run(asyncio.wait_for(work(), 30))
