"""Load for a server: clients that ask again as soon as they are answered, in threads of this process."""

import argparse
import http.client
import io
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

RECIPES = Path(__file__).parents[1]
UTTERANCE_S = 5
PATHS = {"asr": "/v1/audio/transcriptions", "ocr": "/v1/ocr/transcriptions"}
BOUNDARY = "7d9f"


class Times(NamedTuple):
    """The seconds that requests took, and how long all of them took together."""

    seconds: list[float]
    wall_s: float

    def row(self) -> str:
        """Return requests/s, median and 99th percentile."""
        middle, high = np.quantile(self.seconds, [0.5, 0.99])
        return f"{len(self.seconds) / self.wall_s:8.1f} {middle:8.3f} {high:8.3f} {len(self.seconds):8d}"


@contextmanager
def server(name: str, *flags: str) -> Iterator[tuple[int, int]]:
    """Give the port and the process id of a server."""
    command = [sys.executable, "-m", name, "serve", "--port", "0", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        port = re.search(r":(\d+)$", said.strip())
        assert port, said
        try:
            yield int(port[1]), process.pid
        finally:
            process.terminate()


def ask(connection: http.client.HTTPConnection, name: str, content: bytes) -> None:
    """Send one file, and read the answer; a refusal is an error."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request("POST", PATHS[name], body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {text.decode()}")


def load(port: int, name: str, contents: list[bytes], clients: int, duration_s: float) -> Times:
    """Let clients ask for a while, each with one file after the other."""
    seconds, failures, lock = list[float](), list[str](), threading.Lock()
    end_s = time.perf_counter() + duration_s

    def client(number: int) -> None:
        connection, place = http.client.HTTPConnection("127.0.0.1", port, timeout=120), number
        while (started_s := time.perf_counter()) < end_s:
            try:
                ask(connection, name, contents[place % len(contents)])
            except (RuntimeError, OSError, http.client.HTTPException) as error:
                failures.append(str(error))
                return
            with lock:
                seconds.append(time.perf_counter() - started_s)
            place += 1

    started_s = time.perf_counter()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"{len(failures)} clients failed, the first one with {failures[0]}")
    return Times(seconds, time.perf_counter() - started_s)


def memory_over(port: int, process: int, name: str, contents: list[bytes], requests: int) -> None:
    """Let eight clients send many requests, and print the memory of the server on the way."""
    done, told = 0, 0
    while done < requests:
        done += len(load(port, name, contents, 8, 5).seconds)
        if done - told >= requests / 10 or done >= requests:
            told = done
            print(f"  after {done:6,d} requests {memory_mb(process):6.0f} MB", flush=True)


def file_by_file(recognizer: Any, contents: list[bytes], duration_s: float) -> Times:
    """Read one file after the other in this process."""
    seconds, started_s, place = list[float](), time.perf_counter(), 0
    while time.perf_counter() - started_s < duration_s:
        before_s = time.perf_counter()
        list(recognizer.documents(contents[place % len(contents)]))
        seconds.append(time.perf_counter() - before_s)
        place += 1
    return Times(seconds, time.perf_counter() - started_s)


def utterances() -> tuple[list[bytes], np.ndarray, int]:
    """Return pieces of 5 s of the sample as WAV, and all its samples and their rate."""
    samples, rate_hz = soundfile.read(RECIPES / "asr" / "sample.opus", dtype="float32")
    size, step = UTTERANCE_S * rate_hz, rate_hz // 4
    starts = range(0, len(samples) - size, step)
    return [wav(samples[start : start + size], rate_hz) for start in starts], samples, rate_hz


def wav(samples: np.ndarray, rate_hz: int) -> bytes:
    """Return samples as a WAV file of 16 bits."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="WAV", subtype="PCM_16")
    return file.getvalue()


def memory_mb(process: int) -> float:
    """Return the resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found, "Linux has it"
    return int(found[1]) / 1000


def long_recording(port: int, content: bytes, done: threading.Event) -> None:
    """Transcribe a long recording, and note when that is done."""
    ask(http.client.HTTPConnection("127.0.0.1", port, timeout=3600), "asr", content)
    done.set()


def beside_a_long_one(port: int, contents: list[bytes], long: bytes, duration_s: float) -> None:
    """Print how long 8 clients wait while a long recording is transcribed, until it is done."""
    done, seconds, started_s = threading.Event(), list[float](), time.perf_counter()
    thread = threading.Thread(target=long_recording, args=(port, long, done))
    thread.start()
    while not done.is_set():
        seconds += load(port, "asr", contents, 8, min(2.0, duration_s)).seconds
    thread.join()
    print(f"{'8, and a long one':20} {Times(seconds, time.perf_counter() - started_s).row()}")


def main() -> None:
    """Measure both servers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="how long clients of each number ask")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--only", choices=["asr", "ocr"])
    parser.add_argument("--long-minutes", type=float, default=60)
    parser.add_argument("--requests", type=int, default=0, help="also print the memory over so many requests")
    parser.add_argument("--flags", nargs="*", default=[], help="flags of the verb serve, without --")
    arguments = parser.parse_args()
    spoken, samples, rate_hz = utterances()
    material = {"asr": spoken, "ocr": [(RECIPES / "ocr" / "sample.png").read_bytes()]}
    for name in [arguments.only] if arguments.only else ["asr", "ocr"]:
        print(f"{name + ', clients':20} {'req/s':>8} {'p50 s':>8} {'p99 s':>8} {'requests':>8}")
        recognizer = import_module(name).load()
        list(recognizer.documents(material[name][0]))
        print(f"{'file by file':20} {file_by_file(recognizer, material[name], arguments.seconds).row()}")
        with server(name, *(f"--{flag}" for flag in arguments.flags), "--max-upload-mb", "200") as (
            port,
            process,
        ):
            load(port, name, material[name], 1, 2)
            before_mb = memory_mb(process)
            for clients in arguments.clients:
                times = load(port, name, material[name], clients, arguments.seconds)
                print(f"{clients:<20} {times.row()}", flush=True)
            if name == "asr" and arguments.long_minutes:
                repeats = int(60 * arguments.long_minutes * rate_hz / len(samples))
                beside_a_long_one(port, spoken, wav(np.tile(samples, repeats), rate_hz), arguments.seconds)
            if arguments.requests:
                memory_over(port, process, name, material[name], arguments.requests)
            print(f"memory of the server: {before_mb:.0f} MB before, {memory_mb(process):.0f} MB after\n")


if __name__ == "__main__":
    main()
