"""A line between two ranks: a connection that shows within a second that the other end is gone."""

import contextlib
import hmac
import json
import os
import secrets
import socket
import threading
import time
from typing import Any

ROUND_S = 1.0
"""time between two signs of life"""
SILENT_ROUNDS = 30
"""a rank that gives no sign of life in so many rounds is lost"""
CONNECT_S = 60.0
"""how long rank 0 waits for the other ranks"""
LOCAL = ("127.0.0.1", "localhost")


class Line:
    """A connection over which messages go in both directions, each a dict that JSON can hold.

    Args:
        connection: a connected TCP socket.
        name: what the other end is called in messages to people.
    """

    def __init__(self, connection: socket.socket, name: str) -> None:
        connection.settimeout(ROUND_S)
        self.name = name
        self._connection, self._lock, self._read = connection, threading.Lock(), b""

    def send(self, **message: Any) -> None:
        """Send a message, or without arguments a sign of life; an end that is gone shows in `receive`."""
        with self._lock, contextlib.suppress(OSError):
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any] | None:
        """Return the next message that is more than a sign of life; None: the other end is closed.

        Rounds are counted, and time is not measured: a process that was stopped for an hour together with the
        other one has waited for one round.

        Raises:
            TimeoutError: SILENT_ROUNDS rounds without a sign of life.
        """
        silent = 0
        while True:
            while b"\n" in self._read:
                line, _, self._read = self._read.partition(b"\n")
                if message := json.loads(line):
                    return message
            try:
                piece = self._connection.recv(2**16)
            except TimeoutError:
                silent += 1
                if silent >= SILENT_ROUNDS:
                    raise
                continue
            except OSError:
                return None
            if not piece:
                return None
            self._read, silent = self._read + piece, 0


class Switchboard:
    """Rank 0 waits here for the lines of the other ranks.

    Attributes:
        port: where it listens.
        key: what those who call have to know.
    """

    def __init__(self) -> None:
        if os.environ["MASTER_ADDR"] in LOCAL:
            self._server = socket.create_server((LOCAL[0], 0))
        elif socket.has_dualstack_ipv6():
            self._server = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        else:
            self._server = socket.create_server(("", 0))
        self.port: int = self._server.getsockname()[1]
        self.key = secrets.token_hex(16)

    def lines(self, ranks: int) -> dict[int, Line]:
        """Return the lines to ranks 1 to `ranks` - 1, by rank.

        Raises:
            ValueError: a rank does not call within CONNECT_S.
        """
        lines: dict[int, Line] = {}
        deadline = time.monotonic() + CONNECT_S
        with self._server:
            while missing := set(range(1, ranks)) - lines.keys():
                self._server.settimeout(max(0.01, deadline - time.monotonic()))
                try:
                    line = Line(self._server.accept()[0], "a process that has not said its name")
                    hello = line.receive() or {}
                except (TimeoutError, ValueError):
                    hello = {}
                if hmac.compare_digest(str(hello.get("key")), self.key):
                    line.name = f"rank {hello['rank']} of {ranks} ({hello['host']})"
                    lines[hello["rank"]] = line
                elif time.monotonic() > deadline:
                    raise ValueError(
                        f"rank {min(missing)} of {ranks} did not connect to port {self.port} of rank 0"
                        f" ({socket.gethostname()}) within {CONNECT_S:.0f} s; let the machines of a run"
                        " connect to each other at every port"
                    )
        return lines


def call_rank_zero(rank: int, port: int, key: str, name: str) -> Line:
    """Return the line of `rank` to rank 0, which listens at `port` and is called `name` in messages.

    Raises:
        ValueError: rank 0 cannot be reached.
    """
    address = (os.environ["MASTER_ADDR"], port)
    try:
        line = Line(socket.create_connection(address, timeout=CONNECT_S), name)
    except OSError as error:
        raise ValueError(
            f"rank {rank} ({socket.gethostname()}) cannot connect to rank 0 at {address[0]}, port {port}"
            f" ({error}); let the machines of a run connect to each other at every port"
        ) from error
    line.send(key=key, rank=rank, host=socket.gethostname())
    return line
