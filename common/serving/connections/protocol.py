"""How the server speaks HTTP and websockets, with limits that uvicorn lacks.

The head of a request has to come within HEAD_S, however slowly its bytes drip. A client that takes nothing of
what is sent to it is given up by the system (`give_up_on_silent_peers`). Bodies have limits in `uploads`.
"""

import asyncio
import logging
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_S = 20.0
"""the longest time for the head of a request"""
SILENT_S = 60.0
"""how long a client may take nothing of what is sent to it"""
MESSAGE_BYTES = 4 * 1024 * 1024
"""the largest message of a websocket; a larger one closes the connection with code 1009"""
PING_S, PONG_S = 30.0, 60.0
"""how often the client of a websocket is asked whether it is there, and how long its answer may take"""


class HttpProtocol(H11Protocol):
    """A connection that is closed when the head of a request takes too long."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._time_head()

    def data_received(self, data: bytes) -> None:
        """Read what has come; if it is a part of a head, the rest has to come in the same time."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._time_head()
        else:
            self._stop_timing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        self._stop_timing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, such as a broken chunk of a body; the application has nothing more to say.

        uvicorn would let it answer as well, and write a trace to the log.
        """
        started = False
        if self.cycle is not None and not self.cycle.response_complete:
            started = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if started:
            self.transport.close()
        else:
            super().send_400_response(msg)

    def _time_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._give_up)

    def _stop_timing(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A connection that the application closes itself when the process is told to end."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = logging.Logger("websocket", logging.CRITICAL)  # a broken message is no news

    def shutdown(self) -> None:
        """Leave an open connection to the application, which is told as well; end one in the making."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()


def give_up_on_silent_peers(place: socket.socket) -> None:
    """Let the system end connections that a socket accepts, when what is sent is not taken for SILENT_S.

    Without it, a client that never reads its answer would keep it in memory for ever: asyncio closes a
    connection only after all has been sent (tcp(7), TCP_USER_TIMEOUT; only Linux has it).
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        place.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * SILENT_S))
