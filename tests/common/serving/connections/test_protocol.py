"""Connections of a real server whose clients are slow, silent or gone."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from served import TRANSCRIPTIONS, noise
from untrained import recognizer_of

from common.serving.application import build
from common.serving.connections import protocol
from common.serving.server import Server, bound_socket
from common.serving.service import Service, ServingConfig

pytestmark = pytest.mark.slow
HEAD = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def place(monkeypatch) -> Iterator[tuple[str, int]]:
    """Give the address of a server that has little patience."""
    monkeypatch.setattr(protocol, "HEAD_S", 0.5)
    monkeypatch.setattr(protocol, "SILENT_S", 0.5)
    with serving() as (address, _):
        yield address


class serving:  # noqa: N801
    """Serves an untrained recognizer in a thread."""

    def __enter__(self) -> tuple[tuple[str, int], Service]:
        application, service = build(recognizer_of("asr"), "tiny", ServingConfig())
        self.place = bound_socket("127.0.0.1", 0)
        self.server = Server(application, service)
        self.thread = threading.Thread(target=self.server.listen, args=(self.place,))
        self.thread.start()
        return self.place.getsockname(), service

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(60)
        assert not self.thread.is_alive()


def received(connection: socket.socket) -> bytes:
    """Return all that comes until the connection is closed."""
    try:
        return b"".join(iter(lambda: connection.recv(65536), b""))
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("head", [b"", HEAD, b"GET"])
def test_a_head_that_does_not_end_closes_its_connection(place, head):
    with closing(socket.create_connection(place, 30)) as connection:
        connection.sendall(head)
        assert received(connection) == b""


def test_a_head_that_drips_closes_its_connection_also_after_an_answer(place):
    with closing(socket.create_connection(place, 30)) as connection:
        connection.sendall(HEAD + b"\r\n")
        answer = connection.recv(65536)
        while not answer.endswith(b"live\n"):
            answer += connection.recv(65536)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            dripped(connection)


def dripped(connection: socket.socket) -> None:
    """Send the letters of a head without an end, so that something comes all the time."""
    connection.settimeout(0.05)
    connection.sendall(HEAD + b"X: ")
    while True:
        connection.sendall(b"x")
        try:
            if not connection.recv(1):
                raise ConnectionResetError
        except TimeoutError:
            pass


def test_a_request_whose_answer_takes_longer_than_a_head_may_is_answered(monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_S", 0.5)
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = part + noise() + b"\r\n--b--\r\n"
    head = (
        f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with serving() as (address, service):
        compute, never = service.recognizer.compute, threading.Event()

        def slow(signals):
            never.wait(1)
            return compute(signals)

        service.recognizer.compute = slow
        with closing(socket.create_connection(address, 30)) as connection:
            connection.sendall(head.encode() + body)
            assert received(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/nowhere"])
def test_a_body_that_breaks_off_in_no_http_is_answered_once_and_not_logged(place, path, caplog):
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    for first in (b"", b"4\r\n--b\r\r\n"):
        with closing(socket.create_connection(place, 30)) as connection:
            connection.sendall(head.encode() + first + b"no chunk\r\n")
            answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 4")
        assert answer.count(b"HTTP/1.1") == 1
    assert caplog.text == ""


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such limit")
def test_a_client_that_takes_nothing_of_its_answers_is_given_up(place):
    """Requests for the metrics, one after the other, whose answers are never read: the buffers fill up."""
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect(place)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
