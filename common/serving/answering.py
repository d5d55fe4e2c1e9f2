"""Answers that take a while: dropped when nobody waits for them any more, or sent in pieces."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common.serving.errors import ClientGoneError, RequestError, as_request_error
from common.serving.service import Service

WORKING_S = 3600.0
"""the longest time for answering a request"""
T = TypeVar("T")


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Return what `work` returns; it is cancelled when the client closes the connection, or takes too long.

    The body of the request must have been received.

    Raises:
        ClientGoneError: nobody waits for the answer any more.
        RequestError: the time is over.
    """
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, timeout=WORKING_S, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise ClientGoneError
        raise RequestError(503, f"this took more than {WORKING_S:g} s", code="timeout")
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> Any:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """An answer of server-sent events, each of them JSON, and `[DONE]` at the end.

    What goes wrong before the first event is an error of the request; later it is an event.

    Args:
        events: the events.
        service: where errors are counted.
        resources: is left when the answer has ended, however it ends.
        headers: of the answer.
    """

    def __init__(
        self,
        events: AsyncGenerator[dict[str, Any], None],
        service: Service,
        resources: AsyncExitStack,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(headers=headers, media_type="text/event-stream")
        del self.headers["content-length"]
        self.events, self.service, self.resources = events, service, resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events, and leave the resources."""
        async with self.resources:
            await unless_gone(Request(scope, receive), self._sent(send))

    async def _sent(self, send: Send) -> None:
        begun = False
        async with aclosing(self.events) as events:
            try:
                async for event in events:
                    if not begun:
                        begun = True
                        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                        await send(start)
                    await _send_event(send, json.dumps(event, ensure_ascii=False))
            except Exception as error:
                if not begun:
                    raise
                described = as_request_error(error)
                self.service.metrics.count("errors_total", kind=described.code or str(described.status))
                await _send_event(send, json.dumps(described.to_dict()))
        await _send_event(send, "[DONE]")
        await send({"type": "http.response.body", "body": b""})


async def _send_event(send: Send, data: str) -> None:
    body = f"data: {data}\n\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})
