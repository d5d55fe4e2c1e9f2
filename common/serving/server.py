"""The process: it listens until it is told to end, and then finishes what it has begun."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from common.serving.connections.protocol import (
    MESSAGE_BYTES,
    PING_S,
    PONG_S,
    HttpProtocol,
    WebSocketProtocol,
    give_up_on_silent_peers,
)
from common.serving.service import Service

log = logging.getLogger(__name__)

FINISHING_S = 60
"""how long requests may take that are under way when the process is told to end"""
BACKLOG = 512
"""connections that wait to be accepted"""


class Server(uvicorn.Server):
    """A server that ends with status 0 after SIGTERM, when all requests have been answered."""

    def __init__(self, application: ASGIApp, service: Service) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http=HttpProtocol,
                ws=WebSocketProtocol,
                ws_max_size=MESSAGE_BYTES,
                ws_ping_interval=PING_S,
                ws_ping_timeout=PONG_S,
                ws_per_message_deflate=False,  # it would cost memory, and sound in base64 gains little
                lifespan="on",
                log_config=None,
                log_level=logging.ERROR,
                access_log=False,  # who asked, and for what, is nobody's business
                server_header=False,
                timeout_graceful_shutdown=FINISHING_S,
                backlog=BACKLOG,
            )
        )
        self.service = service

    def listen(self, place: socket.socket) -> None:
        """Serve on a socket until SIGTERM or SIGINT; a second one ends at once."""
        asyncio.run(self.serve([place]))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell what is open that the process ends, and wait until it is finished."""
        self.service.ended.set()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals within this block; uvicorn would raise them once more at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may
            return
        names = (signal.SIGINT, signal.SIGTERM)
        before = {name: signal.signal(name, self.handle_exit) for name in names}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take no more requests, and end when those that were taken are answered."""
        self.force_exit = self.should_exit
        self.service.ending = self.should_exit = True


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address.

    Raises:
        ValueError: the name is unknown, or the address is taken or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        place = socket.socket(family, kind, protocol)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        give_up_on_silent_peers(place)
        place.bind(address)
        place.listen(BACKLOG)
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{host}:{port}: cannot listen there ({reason}); choose another --port") from None
    return place


def raise_file_limit() -> None:
    """Allow as many open connections as the system lets this process have."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
