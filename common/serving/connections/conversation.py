"""JSON events to and from a client, over a websocket."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

from starlette.websockets import WebSocket, WebSocketDisconnect

from common.serving.errors import ClientGoneError, RequestError, as_request_error

IDLE_S = 600.0
"""the longest time without any event of the client"""
SESSION_S = 4 * 3600.0
"""the longest conversation"""
SENDING_S = 30.0
"""how long a client may take to receive what is sent to it"""
MOST_ID = 512
"""characters of the id that a client gives an event"""
NORMAL, GOING_AWAY, BROKEN = 1000, 1001, 1011
"""codes of a close (RFC 6455, section 7.4.1)"""


class Conversation:
    """The events of one connection.

    Args:
        websocket: the connection.
        ending: is set when the process is told to end.

    Attributes:
        name: what tells it from all others.
        expires_at: when it is closed at the latest, in seconds since 1970.
        close_code: how it is to be closed, once `events` has ended; None if the client has closed it.
    """

    def __init__(self, websocket: WebSocket, ending: asyncio.Event) -> None:
        self._websocket, self._ending = websocket, ending
        self.name, self._sent = uuid4().hex, 0
        self.expires_at = int(time.time() + SESSION_S)
        self.close_code: int | None = None

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event; ClientGoneError if the client does not receive it."""
        self._sent += 1
        event = {"type": kind, "event_id": f"event_{self.name}_{self._sent}", **fields}
        try:
            async with asyncio.timeout(SENDING_S):
                await self._websocket.send_text(json.dumps(event, ensure_ascii=False))
        except (TimeoutError, WebSocketDisconnect, RuntimeError):  # RuntimeError: it is closed already
            raise ClientGoneError from None

    async def refuse(self, error: Exception, event_id: str | None = None) -> RequestError:
        """Send an error event about an event of the client, and return what it says."""
        described = as_request_error(error)
        await self.send("error", error=described.to_dict()["error"] | {"event_id": event_id})
        return described

    async def close(self, code: int) -> None:
        """Close the connection."""
        try:
            async with asyncio.timeout(SENDING_S):
                await self._websocket.close(code)
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            raise ClientGoneError from None

    async def events(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the events of the client, until it closes the connection, or the server is to close it.

        What is no event is answered by an error event.
        """
        clock = asyncio.get_running_loop().time
        end_s, told = clock() + SESSION_S, asyncio.create_task(self._ending.wait())
        try:
            while True:
                left_s = end_s - clock()
                receiving = asyncio.create_task(self._websocket.receive())
                waited = {receiving, told}
                await asyncio.wait(waited, timeout=min(IDLE_S, left_s), return_when=asyncio.FIRST_COMPLETED)
                if told.done() or not receiving.done():
                    receiving.cancel()
                    await asyncio.gather(receiving, return_exceptions=True)
                    await self._end(told.done(), left_s <= IDLE_S)
                    return
                message = receiving.result()
                if message["type"] == "websocket.disconnect":
                    return
                try:
                    event = _event_of(message)
                except RequestError as error:
                    await self.refuse(error)
                else:
                    yield event
        finally:
            told.cancel()

    async def _end(self, told: bool, expired: bool) -> None:
        """Note how the connection is to be closed by the server, and say why."""
        if told:
            self.close_code = GOING_AWAY
            return
        self.close_code = NORMAL
        if expired:
            message, code = f"a session has {SESSION_S / 3600:g} h at most; begin another", "session_expired"
        else:
            message, code = f"no event came for {IDLE_S:g} s", "idle_timeout"
        await self.refuse(RequestError(408, message, code=code))


def _event_of(message: Any) -> dict[str, Any]:
    """Return the event of a message; RequestError if there is none in it."""
    text = message.get("text")
    if text is None:
        raise RequestError(400, "a binary message is no event; send JSON as text", code="bad_event")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise RequestError(400, "the message is not valid JSON", code="bad_json") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise RequestError(400, "the message is no JSON object with a type", "type", "bad_event")
    name = found.get("event_id")
    if name is not None and not (isinstance(name, str) and len(name) <= MOST_ID):
        message = f"event_id: a text of at most {MOST_ID} characters is wanted"
        raise RequestError(400, message, "event_id", "bad_event")
    return found
