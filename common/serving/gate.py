"""What every request passes: who may ask, how errors are answered, what is counted.

A body that is refused is not read to its end. The answer is sent at once, and what still comes is discarded
for a moment: a connection closed at once would destroy the answer on its way (RFC 9112, section 9.6).
"""

import asyncio
import hmac
import time
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.serving.errors import ClientGoneError, RequestError, as_request_error
from common.serving.service import Service

LINGERING_S = 2.0
"""how long what still comes of a refused body is discarded"""
OPEN_PATHS = frozenset({"/health/live", "/health/ready"})
"""addresses that need no key, beside those of the page"""
KEY_PREFIX = "openai-insecure-api-key."
"""beginning of the subprotocol in which pages bring a key, as OpenAI has it"""
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class Gate:
    """An ASGI application around another one.

    Args:
        application: what answers.
        service: whose limits hold, and where requests are counted.
        paths: the addresses that are counted under their own name.
        page_paths: those of the page, which holds nothing secret and asks for the key.
    """

    def __init__(
        self,
        application: ASGIApp,
        service: Service,
        paths: frozenset[str],
        page_paths: frozenset[str] = frozenset(),
    ) -> None:
        self.application, self.service, self.paths = application, service, paths
        self.open_paths = OPEN_PATHS | page_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass on that the server begins or ends."""
        if scope["type"] == "lifespan":
            await self.application(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._opened(scope, receive, send)
            return
        scope["app"] = self  # errors of routes are raised, not answered
        headers = Headers(scope=scope)
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        started_s, talk = time.perf_counter(), Talk(receive, send, has_body)
        self.service.open_requests += 1
        try:
            await self._answered(scope, talk)
        finally:
            self.service.open_requests -= 1
            metrics, path = self.service.metrics, scope["path"]
            metrics.observe("request_seconds", time.perf_counter() - started_s)
            path = path if path in self.paths else "other"
            metrics.count("requests_total", path=path, status=str(talk.status or "none"))

    async def _answered(self, scope: Scope, talk: "Talk") -> None:
        try:
            self._check(scope["path"], Headers(scope=scope))
            await self.application(scope, talk.receive, talk.send)
        except ClientGoneError:
            self.service.metrics.count("errors_total", kind="client_gone")
        except Exception as error:
            described = as_request_error(error)
            self.service.metrics.count("errors_total", kind=described.code or str(described.status))
            if talk.status is None:
                answer = JSONResponse(described.to_dict(), described.status, described.headers)
                await answer(scope, talk.receive, talk.send)
            # the connection is closed by the server, since its answer is not complete

    async def _opened(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a websocket be opened, or refuse it with an answer of HTTP."""
        metrics, path, handshake = self.service.metrics, scope["path"], Handshake(send)
        scope["app"] = self
        try:
            self._check(None, Headers(scope=scope), scope["subprotocols"])
            await self.application(scope, receive, handshake.send)
        except Exception as error:
            described = as_request_error(error)
            metrics.count("errors_total", kind=described.code or str(described.status))
            if handshake.status is None:
                answer = JSONResponse(described.to_dict(), described.status, described.headers)
                await answer(scope, receive, handshake.send)
        finally:
            path = path if path in self.paths else "other"
            metrics.count("requests_total", path=path, status=str(handshake.status or "none"))

    def _check(self, path: str | None, headers: Headers, subprotocols: Sequence[str] = ()) -> None:
        """Raise RequestError for a request that may not be asked.

        Pages of other sites may open websockets with a key. No browser sends a key unless the page has it,
        unlike a cookie; so it was given to this page. Without keys, any page that somebody looks at on this
        machine could listen to what the server hears.

        Args:
            path: the address; None for a websocket.
            headers: those of the request.
            subprotocols: what is asked for with a websocket: one may hold the key, since pages cannot send
                the header.
        """
        config, host = self.service.config, headers.get("host", "")
        if config.local_names_only and _place(f"//{host}").hostname not in LOCAL_NAMES:
            raise RequestError(403, "this server is called localhost; use that name", code="wrong_host")
        origin = headers.get("origin")
        with_key = path is None and bool(config.keys)
        if origin is not None and not with_key and _place(origin).netloc != host:
            raise RequestError(403, "pages of other sites may not ask here", code="wrong_origin")
        if not config.keys or path in self.open_paths:
            return
        scheme, _, key = headers.get("authorization", "").partition(" ")
        offered = [one.removeprefix(KEY_PREFIX) for one in subprotocols if one.startswith(KEY_PREFIX)]
        if scheme.lower() == "bearer":
            offered.append(key.strip())
        known = [hmac.compare_digest(given.encode(), one) for given in offered for one in config.keys]
        if not any(known):
            message = "no key that is known here came in the header Authorization: Bearer"
            challenge = {"www-authenticate": "Bearer"}
            raise RequestError(401, message, code="invalid_api_key", headers=challenge)


class Handshake:
    """How a websocket is answered.

    Attributes:
        status: of the answer, 101 if the websocket is opened, None before that.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Pass on a message."""
        statuses = {"websocket.accept": 101, "websocket.close": 403}
        if self.status is None:
            self.status = message.get("status", statuses.get(message["type"]))
        await self._send(message)


class Talk:
    """One request and its answer.

    Args:
        receive, send: what the server offers.
        has_body: whether the request has a body.

    Attributes:
        status: of the answer, None before it begins.
    """

    def __init__(self, receive: Receive, send: Send, has_body: bool) -> None:
        self._receive, self._send = receive, send
        self._body_ended = not has_body
        self.status: int | None = None

    async def receive(self) -> Message:
        """Return what comes next."""
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            self._body_ended = True
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer; before the last one, discard the rest of the body."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": list(message["headers"])}
            if all(name.lower() != b"cache-control" for name, _ in message["headers"]):
                message["headers"].append((b"cache-control", b"no-store"))
            if not self._body_ended:
                message["headers"].append((b"connection", b"close"))
        elif not message.get("more_body") and not self._body_ended:
            await self._send({**message, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGERING_S):
                    while not self._body_ended:
                        await self.receive()
                        await asyncio.sleep(0)  # where bytes are always there, the time would never be over
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


def _place(address: str) -> SplitResult:
    """Return the parts of an address, none of one that is malformed."""
    try:
        parts = urlsplit(address)
        return parts if parts.hostname else urlsplit("")
    except ValueError:
        return urlsplit("")
