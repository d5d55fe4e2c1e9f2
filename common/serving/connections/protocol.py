"""The websockets of the server: when the process is told to end, what was begun is finished first."""

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MESSAGE_BYTES = 4 * 1024 * 1024
"""the largest message of a client; a larger one closes the connection with code 1009"""
PING_S, PONG_S = 30.0, 60.0
"""how often a client is asked whether it is there, and how long its answer may take"""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A connection that the application closes itself when the process is told to end."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = logging.Logger("websocket", logging.CRITICAL)  # a broken message is no news

    def shutdown(self) -> None:
        """Leave an open connection to the application, which is told as well; end one in the making."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
