"""Send damaged requests and events to `asr serve` or `ocr serve`, and name what a server must not do then.

    python recipes/serve/fuzz.py asr --seconds 120 --seed 1 --keep findings
    python recipes/serve/fuzz.py ocr --seconds 120 --seed 1

The server is started here, and reached over this machine alone. Real requests (forms, JSON, websockets and
their events) are damaged at random: bytes flipped, left out, doubled, cut off, numbers and texts exchanged.
It is a finding if the server ends, answers 500, writes to standard error, does not answer a whole request
afterwards, or holds something for clients that have gone. Prints what was sent and found; the exit status
is 1 if there is a finding, whose bytes are kept.
"""

import argparse
import base64
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

RECIPES = Path(__file__).resolve().parents[1]
SAMPLES = {"asr": RECIPES / "asr" / "sample.opus", "ocr": RECIPES / "ocr" / "sample.png"}
PATHS = {"asr": b"/v1/audio/transcriptions", "ocr": b"/v1/ocr/transcriptions"}
WORKERS, ANSWER_S, QUIET_S = 4, 60.0, 2.0
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
WORDS = [
    b"\r\n",
    b"\r\n\r\n",
    b"--b",
    b"--b--",
    b"\0",
    b"\xff\xfe",
    b"%00",
    b"chunked",
    b"-1",
    b"99999999999999999999",
]
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    10**30,
    "",
    "x" * 5000,
    "\0\ud800",
    [],
    {},
    [[]],
    {"a": 1},
    24000,
    0.5,
]
Random = random.Random


class Case(NamedTuple):
    """Bytes that are sent over one connection."""

    kind: str
    content: bytes


# --- what is sent


def damaged(content: bytes, rng: Random, most: int = 6) -> bytes:
    """Return bytes of which some are changed, left out, doubled or new."""
    found = bytearray(content)
    for _ in range(rng.randint(1, most)):
        place, size = rng.randrange(len(found) + 1), rng.choice([1, 1, 2, 8, 100])
        how = rng.randrange(6)
        if how == 0 and place < len(found):
            found[place] ^= 1 << rng.randrange(8)
        elif how == 1:
            del found[place : place + size]
        elif how == 2:
            found[place:place] = found[place : place + size]
        elif how == 3:
            found[place:place] = rng.choice(WORDS)
        elif how == 4:
            found[place : place + size] = rng.randbytes(size)
        elif rng.random() < 0.3:
            del found[place:]
    return bytes(found)


def form(rng: Random, sample: bytes) -> tuple[bytes, bytes]:
    """Return head and body of a form with a file and some fields."""
    fields = {"response_format": ["json", "verbose_json", "srt", "page", "text"], "stream": ["true", "no"]}
    fields |= {"temperature": ["0", "1"], "pages": ["0", "0-3", "9"], "keywords[]": ["ADA", ""], "x": ["y"]}
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{rng.choice(values)}\r\n'.encode()
        for name, values in fields.items()
        if rng.random() < 0.2
    ]
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    content = damaged(sample, rng) if rng.random() < 0.3 else sample[: rng.choice([0, 50, 4000, len(sample)])]
    parts.insert(rng.randint(0, len(parts)), file + content + b"\r\n")
    return b"multipart/form-data; boundary=b", b"".join(parts) + b"--b--\r\n"


def mistaken(value: Any, rng: Random) -> Any:
    """Return JSON in which some values are others."""
    if rng.random() < 0.1:
        return rng.choice(VALUES)
    if isinstance(value, dict):
        found = {name: mistaken(one, rng) for name, one in value.items() if rng.random() > 0.03}
        return found | (
            {rng.choice(["x", "type", "audio"]): rng.choice(VALUES)} if rng.random() < 0.05 else {}
        )
    return [mistaken(one, rng) for one in value] if isinstance(value, list) else value


def request(rng: Random, modality: str, sample: bytes) -> Case:
    """Return a request, damaged somewhere or in one of its parts."""
    path, (media, body) = PATHS[modality], form(rng, sample)
    if modality == "ocr" and rng.random() < 0.3:
        address = "data:image/png;base64," + base64.b64encode(sample).decode()
        asked = {"document": {"type": "document_url", "document_url": address}, "pages": [0]}
        path, media = rng.choice([b"/v1/ocr", b"/v1/ocr/corrections"]), b"application/json"
        body = json.dumps(mistaken(asked, rng)).encode()
    if rng.random() < 0.5:
        body = damaged(body, rng)
    if rng.random() < 0.3:
        cut = rng.randrange(len(body) + 1)
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in (body[:cut], body[cut:]) if one)
        length, body = b"Transfer-Encoding: chunked", chunks + b"0\r\n\r\n"
    else:
        length = b"Content-Length: %d" % (
            len(body) if rng.random() < 0.9 else rng.randrange(2 * len(body) + 2)
        )
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: localhost", b"Content-Type: " + media, length]
    head = b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n"
    return Case("request", (damaged(head, rng, 2) if rng.random() < 0.2 else head) + body)


def event(rng: Random) -> Any:
    """Return an event of live sound, mostly a right one."""
    sound = {"type": "audio/pcm", "rate": rng.choice([16000, 24000])}
    turn = {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 200, "prefix_padding_ms": 100}
    heard = {"format": sound, "turn_detection": rng.choice([None, turn])}
    heard |= {"transcription": {"model": "whisper-1", "language": "en", "keywords": ["ADA"]}}
    pcm = rng.randbytes(2 * rng.choice([0, 1, 2400, 24000])) if rng.random() < 0.5 else bytes(24000)
    events: list[Any] = [
        {"type": "session.update", "session": {"type": "transcription", "audio": {"input": heard}}},
        {
            "type": "transcription_session.update",
            "session": {"input_audio_format": "pcm16", "turn_detection": turn},
        },
        *[{"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()}] * 4,
        {"type": "input_audio_buffer.commit", "event_id": "e"},
        {"type": "input_audio_buffer.clear"},
    ]
    found = rng.choice(events)
    return mistaken(found, rng) if rng.random() < 0.4 else found


def frame(rng: Random, payload: bytes, opcode: int) -> bytes:
    """Return a frame of a client (RFC 6455, section 5.2), sometimes a wrong one."""
    final, masked = rng.random() > 0.05, rng.random() > 0.02
    size = len(payload) if rng.random() > 0.02 else rng.choice([0, 2**40, len(payload) + 5])
    head = bytes([(final << 7) | (rng.choice([0, 0x40]) if rng.random() < 0.02 else 0) | opcode])
    marks = masked << 7
    if size < 126:
        head += bytes([marks | size])
    elif size < 65536:
        head += bytes([marks | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([marks | 127]) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = rng.randbytes(4)
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def conversation(rng: Random, modality: str, _: bytes) -> Case:
    """Return a handshake and frames, damaged somewhere."""
    lines = [b"GET /v1/realtime?intent=transcription HTTP/1.1", b"Host: localhost", b"Upgrade: websocket"]
    lines += [b"Connection: Upgrade", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + KEY.encode()]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    if rng.random() < 0.1:
        head = damaged(head, rng, 2)
    frames = []
    for _ in range(rng.randint(1, 12)):
        payload = json.dumps(event(rng)).encode("utf-8", "replace")
        if rng.random() < 0.1:
            payload = damaged(payload, rng)
        opcode = 1 if rng.random() < 0.93 else rng.choice([0, 2, 3, 8, 9, 10, 15])
        frames.append(frame(rng, payload[:125] if opcode >= 8 else payload, opcode))
    if rng.random() < 0.9:
        frames.append(frame(rng, b"\x03\xe8", 8))  # a close, so that the server need not be waited for
    body = b"".join(frames)
    return Case("websocket", head + (damaged(body, rng, 2) if rng.random() < 0.2 else body))


# --- what comes back


def exchanged(port: int, case: Case, rng: Random) -> bytes:
    """Send a case, and return what is answered until it is closed, or nothing comes for a while."""
    answer = list[bytes]()
    with socket.create_connection(("127.0.0.1", port), ANSWER_S) as connection, suppress(OSError):
        cut = rng.randrange(len(case.content) + 1) if rng.random() < 0.3 else len(case.content)
        connection.sendall(case.content[:cut])
        connection.sendall(case.content[cut:])
        if rng.random() < 0.2:
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(QUIET_S)
        while piece := connection.recv(65536):
            answer.append(piece)
    return b"".join(answer)


def is_mistake(answer: bytes) -> bool:
    """Return whether an answer says that the server made a mistake; 503 may be right."""
    return bool(re.match(rb"HTTP/1\.1 5(?!03)", answer)) or b'"server_error"' in answer


def answers(port: int, modality: str) -> bool:
    """Return whether a whole request is answered."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = part + SAMPLES[modality].read_bytes() + b"\r\n--b--\r\n"
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n"
    head = head % (PATHS[modality], len(body)) + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), ANSWER_S) as connection:
        connection.sendall(head + body)
        return b"".join(iter(lambda: connection.recv(65536), b"")).startswith(b"HTTP/1.1 200 ")


def figures(port: int) -> dict[str, float]:
    """Return the metrics of the server."""
    ask = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), ANSWER_S) as connection:
        connection.sendall(ask)
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode().partition("\r\n\r\n")[2]
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name.removeprefix("amanuensis_"): float(value) for name, value in lines}


def held(port: int) -> str | None:
    """Return what the server still holds, a while after all clients have gone."""
    names = {
        "requests_open": 1,
        "sessions_open": 0,
        "upload_bytes": 0,
        "queue_segments": 0,
        "readers_lost": 0,
    }
    for _ in range(120):
        found = figures(port)
        wrong = [f"{name} is {found[name]:g}" for name, wanted in names.items() if found[name] != wanted]
        if not wrong:
            return None
        time.sleep(0.5)
    return ", ".join(wrong)


def memory_mb(process: int) -> float:
    """Return the memory of a process, where the system tells it."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


class Fuzzer:
    """Sends cases to one server until its time is over."""

    def __init__(self, arguments: argparse.Namespace, port: int) -> None:
        self.arguments, self.port = arguments, port
        self.sample = SAMPLES[arguments.modality].read_bytes()
        self.end_s = time.monotonic() + arguments.seconds
        self.counts, self.findings, self.lock = Counter[str](), list[str](), threading.Lock()

    def run(self, worker: int) -> None:
        """Send cases; each has its own seed, so that it can be sent again."""
        makers: list[Callable[..., Case]] = [request]
        if self.arguments.modality == "asr":
            makers.append(conversation)
        number = worker
        while time.monotonic() < self.end_s and number < self.arguments.count:
            rng = Random(f"{self.arguments.seed} {number}")
            case = rng.choice(makers)(rng, self.arguments.modality, self.sample)
            try:
                answer = exchanged(self.port, case, rng)
            except OSError as error:
                self.find(f"case {number}: cannot connect ({error})", case, number)
                return
            status = re.match(rb"HTTP/1\.1 (\d+)", answer)
            with self.lock:
                self.counts[f"{case.kind} {status[1].decode() if status else 'closed'}"] += 1
            if is_mistake(answer):
                self.find(f"case {number}: a mistake of the server: {answer[:300]!r}", case, number)
            number += WORKERS

    def find(self, what: str, case: Case, number: int) -> None:
        """Note a finding, and keep its bytes."""
        with self.lock:
            self.findings.append(what)
        if self.arguments.keep is not None:
            self.arguments.keep.mkdir(parents=True, exist_ok=True)
            (self.arguments.keep / f"case-{number}").write_bytes(case.content)


def fuzz(arguments: argparse.Namespace) -> list[str]:
    """Start a server, send cases to it, and return the findings."""
    command = [sys.executable, "-m", arguments.modality, "serve", "--port", "0", "--threads", "1"]
    with tempfile.TemporaryFile("w+") as errors:
        running = subprocess.Popen(command, stderr=errors)
        try:
            fuzzer = Fuzzer(arguments, _port(running, errors))
            before_mb = memory_mb(running.pid)
            workers = [threading.Thread(target=fuzzer.run, args=(number,)) for number in range(WORKERS)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            findings = fuzzer.findings
            if running.poll() is not None:
                findings.append(f"the server has ended with status {running.returncode}")
            elif not answers(fuzzer.port, arguments.modality):
                findings.append("a whole request is not answered any more")
            elif what := held(fuzzer.port):
                findings.append(f"the server holds something for clients that have gone: {what}")
            for what, count in sorted(fuzzer.counts.items()):
                print(f"{count:7} {what}")
            print(f"{before_mb:.0f} MB before, {memory_mb(running.pid):.0f} MB after")
            running.terminate()
            if (status := running.wait(120)) != 0:
                findings.append(f"told to end, the server ended with status {status}")
        finally:
            running.kill()
        errors.seek(0)
        said = errors.read().splitlines()[1:]
    return findings + ([f"standard error: {line}" for line in said[:60]])


def _port(running: subprocess.Popen[bytes], errors: Any) -> int:
    """Return the port of a server as soon as it listens."""
    while running.poll() is None:
        errors.seek(0)
        if found := re.search(r"http://127\.0\.0\.1:(\d+)\n", errors.read()):
            port = int(found[1])
            figures(port)
            return port
        time.sleep(0.1)
    raise SystemExit("the server does not start")


def main() -> None:
    """Read the command line, and print what was sent and found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("modality", choices=["asr", "ocr"])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int, default=1_000_000, help="cases at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the bytes of findings")
    findings = fuzz(parser.parse_args())
    print(f"{len(findings)} findings")
    for finding in findings:
        print(finding)
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
