"""Send what should be refused to `asr serve` and `ocr serve`, and see whether they live on.

    python recipes/serve/attack.py asr
    python recipes/serve/attack.py ocr --slow-clients 1000

A row for each attack: the status (or "closed"), the seconds until then, the memory of the server after it,
and the beginning of the answer. After each one a real file has to be read as before. The server is started
here, and reached over this machine alone. The exit status is 1 if something was not refused, or the server
did not live on.
"""

import argparse
import base64
import gzip
import io
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from serving import PATHS, RECIPES, Times, memory_mb, server

ANSWER_S, SLOW_S = 60.0, 20.0
SAMPLES = {"asr": RECIPES / "asr" / "sample.opus", "ocr": RECIPES / "ocr" / "sample.png"}
MEGA = 1_000_000


class Attack(NamedTuple):
    """Bytes that are sent over one connection.

    refused: whether an answer of 2xx is a failure; some attacks are harmless if they are ignored.
    """

    name: str
    content: bytes
    refused: bool = True


# --- requests


def request(path: str, body: bytes, kind: str = "multipart/form-data; boundary=b", more: str = "") -> bytes:
    """Return a request with a body."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body


def form(content: bytes, name: str = "a", fields: str = "") -> bytes:
    """Return a form with a file."""
    head = f'{fields}--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode("latin-1") + content + b"\r\n--b--\r\n"


def field(name: str, value: str) -> str:
    """Return a field of a form."""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


def of_forms(path: str, sample: bytes) -> Iterator[Attack]:
    """Yield attacks on the reader of requests."""
    yield Attack("40 MB that are announced", request(path, form(b"x" * 40 * MEGA)))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(block), block) for block in [b"x" * MEGA] * 40)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    yield Attack("chunks without end", f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks)
    yield Attack("a length of 10^18", f"{head}Content-Length: {10**18}\r\n\r\n".encode() + form(sample))
    yield Attack("two lengths", request(path, form(sample), more="Content-Length: 3\r\n"))
    yield Attack("a wrong boundary", request(path, form(sample).replace(b"--b", b"--c")))
    yield Attack("no boundary", request(path, form(sample), "multipart/form-data"))
    yield Attack("another content type", request(path, sample, "application/octet-stream"))
    yield Attack("JSON in place of a form", request(path, b'{"file": [' * 9999, "application/json"))
    yield Attack("1 MB of fields", request(path, form(sample, fields=field("prompt", "x" * MEGA))))
    yield Attack("20,000 fields", request(path, form(sample, fields=field("a", "") * 20_000)))
    yield Attack("two files", request(path, form(sample, fields=form(sample).decode("latin-1")[:-7])))
    yield Attack("a path as name", request(path, form(sample, "../../../etc/passwd")), refused=False)
    yield Attack(
        "line breaks in a field", request(path, form(sample, fields=field("model", "a\r\nSet-Cookie: b")))
    )
    yield Attack("10,000 headers", request(path, form(sample), more="X-A: b\r\n" * 10_000), refused=False)
    yield Attack("a header of 1 MB", request(path, form(sample), more=f"X-A: {'b' * MEGA}\r\n"))
    yield Attack("another host", request(path, form(sample)).replace(b"127.0.0.1", b"evil.example.org"))
    yield Attack("another origin", request(path, form(sample), more="Origin: https://evil.example.org\r\n"))
    yield Attack("no HTTP", b"\x16\x03\x01" + b"\xff" * 5000)


def websocket(origin: str) -> bytes:
    """Return the handshake of a websocket from a page of another origin."""
    key = base64.b64encode(b"0123456789abcdef").decode()
    return (
        "GET /v1/realtime?intent=transcription HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        f"Origin: {origin}\r\n\r\n"
    ).encode()


# --- files


def png_bomb(side: int) -> bytes:
    """Return a PNG of `side` x `side` black pixels."""
    rows = zlib.compressobj(9)
    line = b"\0" * (side + 1)
    packed = b"".join(rows.compress(line) for _ in range(side)) + rows.flush()

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def sound(samples: np.ndarray, rate_hz: int, form: str, subtype: str | None = None) -> bytes:
    """Return samples as a file."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=form, subtype=subtype)
    return file.getvalue()


def pdf(pages: int, side: int) -> bytes:
    """Return a PDF of empty pages of `side` points."""
    import pikepdf

    document, file = pikepdf.new(), io.BytesIO()
    for _ in range(pages):
        document.add_blank_page(page_size=(side, side))
    document.save(file)
    return file.getvalue()


def of_files(name: str) -> Iterator[tuple[str, bytes, bool]]:
    """Yield files by what they are, and whether they must be refused."""
    yield "nothing", b"", True
    yield "a text", b"hello" * 100, True
    yield "50 MB of zeros in gzip", gzip.compress(bytes(50 * MEGA)), True
    if name == "asr":
        yield "10 hours of silence in FLAC", sound(np.zeros(36_000 * 8000, np.int16), 8000, "FLAC"), True
        yield (
            "sound that is no number",
            sound(np.full(16_000, np.nan, np.float32), 16_000, "WAV", "FLOAT"),
            True,
        )
        yield "infinite sound", sound(np.full(16_000, np.inf, np.float32), 16_000, "WAV", "FLOAT"), True
        return
    yield "a PNG of 900 megapixels", png_bomb(30_000), True
    yield "a PDF of 3,000 pages", pdf(3000, 100), True
    yield "a PDF page of 200 x 200 inches", pdf(1, 14_400), False
    entity = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><alto>&b;</alto>'
    yield "XML with an external entity", entity, True
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    yield (
        "XML with a billion laughs",
        b'<!DOCTYPE a [<!ENTITY l0 "x">' + laughs + b"]><alto>&l9;</alto>",
        True,
    )


# --- sending


def answer_of(port: int, content: bytes) -> str:
    """Send bytes; return the beginning of what comes back, "" if the connection is closed without a word."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as connection:
        with suppress(OSError):  # refused before all was sent
            connection.sendall(content)
        received = b""
        with suppress(OSError):
            while block := connection.recv(65536):
                received += block
                if received.partition(b"\r\n\r\n")[2].endswith((b"}", b"\n")):
                    break
        return received.decode("utf-8", errors="replace")


def said(answer: str) -> tuple[str, str]:
    """Return the status of an answer, and its text in one line."""
    if not answer.startswith("HTTP/1.1 "):
        return ("closed", "") if not answer else ("?", answer[:100])
    body = answer.partition("\r\n\r\n")[2]
    return answer[9:12], " ".join(body.split())[:110]


def slow(port: int, path: str, count: int, ask: Callable[[], str]) -> tuple[Times, int]:
    """Let clients send a byte a second; return how long a normal one waits, and how many were left."""
    head = request(path, form(b"x" * 1000))
    connections = []
    for _ in range(count):
        try:
            connections.append(socket.create_connection(("127.0.0.1", port), timeout=5))
        except OSError:
            break
    ending, left = threading.Event(), [len(connections)]

    def trickle() -> None:
        place = 0
        while not ending.wait(1.0):
            alive = 0
            for connection in connections:
                try:
                    connection.sendall(head[place : place + 1])
                    alive += 1
                except OSError:
                    continue
            place, left[0] = place + 1, alive

    thread = threading.Thread(target=trickle)
    thread.start()
    seconds, began = list[float](), time.perf_counter()
    while time.perf_counter() - began < SLOW_S:
        before = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - before)
    ending.set()
    thread.join()
    for connection in connections:
        connection.close()
    return Times(seconds, time.perf_counter() - began), left[0]


def main() -> None:
    """Attack one server."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=sorted(SAMPLES))
    parser.add_argument("--slow-clients", type=int, default=1000)
    arguments = parser.parse_args()
    name, path = arguments.command, PATHS[arguments.command]
    sample, failures = SAMPLES[name].read_bytes(), 0
    with server(name, "--threads", "1") as (port, process):
        whole = request(
            path, form(sample, fields=field("response_format", "text")), more="Connection: close\r\n"
        )

        def ask() -> str:
            return said(answer_of(port, whole))[1]

        text = ask()
        attacks = list(of_forms(path, sample))
        attacks.append(Attack("a websocket of another origin", websocket("https://evil.example.org")))
        for what, content, refused in of_files(name):
            attacks.append(Attack(what, request(path, form(content), more="Connection: close\r\n"), refused))
        print(f"{'attack':32} {'status':>7} {'s':>6} {'MB':>6}  answer")
        for attack in attacks:
            began = time.perf_counter()
            status, answer = said(answer_of(port, attack.content))
            seconds = time.perf_counter() - began
            lives = ask() == text
            good = lives and (status.startswith(("4", "closed")) or (not attack.refused and status == "200"))
            failures += not good
            mark = "" if good else "  <-- " + ("not refused" if lives else "the server does not live on")
            row = f"{attack.name:32} {status:>7} {seconds:6.2f} {memory_mb(process):6.0f}  {answer}{mark}"
            print(row, flush=True)
        before_mb = memory_mb(process)
        times, left = slow(port, path, arguments.slow_clients, ask)
        print(
            f"\nbeside {arguments.slow_clients} clients of a byte a second, of which {left} were left after"
            f" {SLOW_S:.0f} s:\n  requests/s, median s, 99 % s, requests: {times.row()}\n"
            f"  memory {before_mb:.0f} MB before, {memory_mb(process):.0f} MB after"
        )
        failures += ask() != text
    print(f"{failures} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
