"""One session: what the client sends, and what is done about it."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import numpy as np

from asr.segmentation.utterances import Listen
from asr.serving.parameters import Parameters
from asr.serving.realtime.answers import Answers, Item, seconds_of
from asr.serving.realtime.ears import BufferEar, Ear, TurnEar
from asr.serving.realtime.settings import Settings, Updates
from common.data.signal import Segment
from common.serving.connections.conversation import Conversation
from common.serving.errors import RequestError, refused
from common.serving.hot_words import decoder_with
from common.serving.service import Service

PIECE_S = 0.2
"""sound that is heard together: for shorter pieces, much of it would be computed more than once"""
SHORTEST_S = 0.1
"""the shortest buffer that is taken"""
SAMPLE_BYTES, FULL_SCALE = 2, 32768


class Session:
    """The state of a session.

    Args:
        service: what computes.
        conversation: the events from and to the client.
        listen: returns the network that judges whether somebody speaks.
    """

    def __init__(self, service: Service, conversation: Conversation, listen: Listen) -> None:
        self._service, self._conversation, self._listen = service, conversation, listen
        recognizer = service.recognizer
        self._updates, self._settings = Updates(service.name, recognizer.card), Settings()
        self._queue, self._decoder = service.queue, recognizer.decoder
        self._answers = Answers(service, conversation)
        self._unheard = bytearray()
        self._ear: Ear | None = None
        self._before_s = 0.0  # what earlier ears have heard
        self._item: Item | None = None  # the one in the making
        self._last: str | None = None  # the name of the last one

    async def run(self) -> None:
        """Answer the client until the conversation ends; ClientGoneError if the client ends it first."""
        try:
            async with asyncio.TaskGroup() as group:
                answering = group.create_task(self._answers.run())
                await self._talk()
                answering.cancel()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            self._ear = None  # its sound is let go at once

    async def _talk(self) -> None:
        """Do what the client says; if the server ends the conversation, finish what was committed."""
        await self._conversation.send("session.created", session=self._described(False))
        async with aclosing(self._conversation.events()) as events:
            async for event in events:
                try:
                    await self._handle(event)
                except RequestError as error:
                    await self._conversation.refuse(error, event.get("event_id"))
        if self._conversation.close_code is not None:
            await self._answers.answered()

    async def _handle(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind not in KINDS:
            message = f"type: {kind[:100]!r} is none of {', '.join(KINDS)}"
            raise refused("type", message, "unknown_event")
        await KINDS[kind](self, event)

    # --- events of the client

    async def _append(self, event: dict[str, Any]) -> None:
        audio = event.get("audio")
        try:
            sound = base64.b64decode(audio if isinstance(audio, str) else "?", validate=True)
        except (binascii.Error, ValueError):
            raise refused("audio", "audio: is no base64; encode 16-bit samples so") from None
        if len(sound) % SAMPLE_BYTES:
            raise refused("audio", f"audio: has {len(sound)} bytes; samples of 16 bits have two each")
        self._unheard += sound
        self._service.metrics.count("live_seconds_total", self._seconds(len(sound)))
        if self._seconds(len(self._unheard)) >= PIECE_S:
            await self._hear()

    async def _commit(self, _: dict[str, Any]) -> None:
        await self._hear()
        ear = self._ear
        held_s = 0.0 if ear is None else ear.held_s
        if ear is None or (held_s < SHORTEST_S and self._item is None):
            message = f"the buffer holds {held_s * 1000:.0f} ms; append at least {SHORTEST_S * 1000:.0f} ms"
            raise RequestError(400, message, code="input_audio_buffer_commit_empty")
        last = self._last
        await self._take(await self._service.aside(ear.end))
        if self._last == last:  # no turn has ended
            item = self._present()
            item.seconds = held_s
            await self._committed(item)
        self._leave_ear()

    async def _clear(self, _: dict[str, Any]) -> None:
        self._unheard.clear()
        self._leave_ear()
        if self._item is not None:
            await self._answers.drop(self._item)
            self._item = None
        await self._conversation.send("input_audio_buffer.cleared")

    async def _update(self, event: dict[str, Any]) -> None:
        legacy = event["type"] == "transcription_session.update"
        change = self._updates.legacy if legacy else self._updates.updated
        settings = change(self._settings, event.get("session"))
        if (settings.rate_hz, settings.turns) != (self._settings.rate_hz, self._settings.turns):
            await self._hear()
            if self._item is not None or (self._settings.turns is None and self._ear is not None):
                raise refused("session", "session: the buffer holds sound; commit or clear it first", "busy")
            self._leave_ear()
        if settings.keywords != self._settings.keywords:
            words = settings.keywords
            queue = await self._service.queue_for(words)
            decoder = queue.recognizer.decoder
            if words:
                decoder = await self._service.aside(decoder_with, queue.recognizer, words, "keywords")
            self._queue, self._decoder = queue, decoder
        self._settings = settings
        name = "transcription_session.updated" if legacy else "session.updated"
        await self._conversation.send(name, session=self._described(legacy))

    # --- sound

    async def _hear(self) -> None:
        """Hear what has been appended."""
        if not self._unheard:
            return
        await self._answers.room()
        samples = np.frombuffer(bytes(self._unheard), "<i2").astype(np.float32) / FULL_SCALE
        self._unheard.clear()
        if self._ear is None:
            self._ear = await self._service.aside(self._new_ear)
        await self._take(await self._service.aside(self._ear.hear, samples))

    def _new_ear(self) -> Ear:
        recognizer, settings = self._service.recognizer, self._settings
        if settings.turns is None:
            return BufferEar(recognizer, settings.rate_hz, self._listen)
        config = settings.turns.segmentation(recognizer.segmentation_config)
        return TurnEar(recognizer, settings.rate_hz, config, self._listen)

    def _leave_ear(self) -> None:
        """Let go of the ear; the next one hears what follows."""
        if self._ear is not None:
            self._before_s += self._ear.heard_s
            self._ear = None

    async def _take(self, found: Any) -> None:
        """Pass on what was heard."""
        for one in found:
            if isinstance(one, Segment):
                item = self._present()
                item.seconds += seconds_of(one)
                await self._answers.add(item, one)
                continue
            time_ms = round((self._before_s + one.time_s) * 1000)
            item = self._present()
            if one.begins:
                about = {"audio_start_ms": time_ms, "item_id": item.name}
                await self._conversation.send("input_audio_buffer.speech_started", **about)
            else:
                about = {"audio_end_ms": time_ms, "item_id": item.name}
                await self._conversation.send("input_audio_buffer.speech_stopped", **about)
                await self._committed(item)

    def _present(self) -> Item:
        """Return the item in the making."""
        if self._item is None:
            included = {"logprobs"} if self._settings.logprobs else set[str]()
            self._item = Item(
                f"item_{uuid4().hex}", self._queue, self._decoder, Parameters(included=frozenset(included))
            )
        return self._item

    async def _committed(self, item: Item) -> None:
        """Note that no more sound comes for an item."""
        about = {"item_id": item.name, "previous_item_id": self._last}
        self._item, self._last = None, item.name
        await self._conversation.send("input_audio_buffer.committed", **about)
        self._answers.end(item)

    # --- what is said

    def _seconds(self, count: int) -> float:
        """Return the duration of so many bytes of sound."""
        return count / SAMPLE_BYTES / self._settings.rate_hz

    def _described(self, legacy: bool) -> dict[str, Any]:
        """Return the session as JSON has it."""
        conversation, name = self._conversation, self._service.name
        described = self._settings.to_legacy_dict(name) if legacy else self._settings.to_dict(name)
        return {
            "id": f"sess_{conversation.name}",
            "object": "realtime.transcription_session",
            "expires_at": conversation.expires_at,
        } | described


KINDS: dict[str, Callable[[Session, dict[str, Any]], Awaitable[None]]] = {
    "input_audio_buffer.append": Session._append,
    "input_audio_buffer.commit": Session._commit,
    "input_audio_buffer.clear": Session._clear,
    "session.update": Session._update,
    "transcription_session.update": Session._update,
}
"""what is done about each event of the client"""
