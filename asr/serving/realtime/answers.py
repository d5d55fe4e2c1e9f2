"""Items of live sound, and what is answered about them: their text as it becomes known, in their order."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from asr.serving import responses
from asr.serving.parameters import Parameters
from common.data.signal import Segment
from common.decoding.decoder import Decoder
from common.decoding.labelled import LabelDecoder
from common.serving.connections.conversation import Conversation
from common.serving.errors import ClientGoneError, RequestError, as_request_error
from common.serving.queue import Found, WorkQueue
from common.serving.service import Service, Work
from common.text.document import Interval, Passage

AHEAD_S = 30.0
"""sound of a session that is in the queue; while there is more, no further sound is read"""
TRANSCRIPTION = "conversation.item.input_audio_transcription"


@dataclass
class Item:
    """What is said in one turn, or until a commit.

    Attributes:
        name: what the client knows it by.
        queue, decoder: what computes it, and what searches for its text.
        asked: what its answers are to have.
        seconds: duration of its sound.
        dropped: whether nobody wants its text any more.
        failure: why there is no text, if there is none.
    """

    name: str
    queue: WorkQueue
    decoder: Decoder | LabelDecoder
    asked: Parameters
    seconds: float = 0.0
    dropped: bool = False
    failure: RequestError | None = None
    parts: list[tuple[Segment, Found]] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    work: Work | None = None
    resources: AsyncExitStack = field(default_factory=AsyncExitStack)


class Answers:
    """Answers the items of a session.

    Args:
        service: what computes.
        conversation: where the answers go.
    """

    def __init__(self, service: Service, conversation: Conversation) -> None:
        self._service, self._conversation = service, conversation
        self._coming = asyncio.Queue[tuple[Item, Segment | None, asyncio.Future[Found] | None]]()
        self._items = dict[str, Item]()
        self._ahead_s, self._room = 0.0, asyncio.Condition()

    async def run(self) -> None:
        """Answer until this task is cancelled."""
        try:
            while True:
                item, segment, future = await self._coming.get()
                if not item.dropped and item.failure is None:
                    try:
                        await self._answer(item, segment, future)
                    except ClientGoneError:
                        raise
                    except Exception as error:
                        item.failure = as_request_error(error)
                if segment is None:
                    await self._end(item)
                else:
                    async with self._room:
                        self._ahead_s -= segment.signal.length
                        self._room.notify_all()
                self._coming.task_done()
        finally:
            for item in list(self._items.values()):
                await self._leave(item)

    async def room(self) -> None:
        """Wait until little enough sound is in the queue."""
        async with self._room:
            await self._room.wait_for(lambda: self._ahead_s <= AHEAD_S)

    async def answered(self) -> None:
        """Wait until all is answered."""
        await self._coming.join()

    async def add(self, item: Item, segment: Segment) -> None:
        """Add a segment to an item; if there is too much work, the item fails."""
        if item.failure is None and item.work is None:
            self._items[item.name] = item
            try:
                work = self._service.work(item.queue, measured=False)
                item.work = await item.resources.enter_async_context(work)
            except RequestError as error:
                item.failure = error
            else:
                item.work.decoder = item.decoder
        future = None if item.failure is not None or item.work is None else item.work.found(segment)
        self._ahead_s += segment.signal.length
        self._coming.put_nowait((item, segment, future))

    def end(self, item: Item) -> None:
        """Note that an item has no further segment."""
        self._coming.put_nowait((item, None, None))

    async def drop(self, item: Item) -> None:
        """Answer nothing more about an item."""
        item.dropped = True
        await self._leave(item)

    async def _leave(self, item: Item) -> None:
        self._items.pop(item.name, None)
        await item.resources.aclose()

    async def _answer(
        self, item: Item, segment: Segment | None, future: "asyncio.Future[Found] | None"
    ) -> None:
        if segment is not None and future is not None:
            await asyncio.wait({future})
            if item.dropped:  # meanwhile
                return
            item.parts.append((segment, future.result()))
        if not item.parts or (segment is not None and segment.goes_on):
            return
        assert item.work is not None, "something was found"
        passage = await item.work.passage(item.parts)
        item.parts = []
        if passage.transcript.text and not item.dropped:
            event = responses.delta(passage, not item.passages, item.seconds, item.asked)
            item.passages.append(passage)
            about = {name: event[name] for name in ("delta", "logprobs") if name in event}
            await self._send("delta", item, **about)

    async def _end(self, item: Item) -> None:
        """Answer the end of an item."""
        await self._leave(item)
        if item.dropped:
            return
        if item.failure is not None:
            self._service.metrics.count("errors_total", kind=item.failure.code or str(item.failure.status))
            await self._send("failed", item, error=item.failure.to_dict()["error"])
            return
        found = responses.to_json(item.passages, item.seconds)
        found |= responses.included(item.passages, item.asked)
        await self._send("completed", item, transcript=found.pop("text"), **found)

    async def _send(self, kind: str, item: Item, **fields: Any) -> None:
        await self._conversation.send(f"{TRANSCRIPTION}.{kind}", item_id=item.name, content_index=0, **fields)


def seconds_of(segment: Segment) -> float:
    """Return the duration of what a segment has of its own."""
    assert isinstance(segment.place, Interval), "speech has times"
    return segment.place.end - segment.place.start
