"""What answers requests: small untrained recognizers in this process, or processes with bundled models."""

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from starlette.testclient import TestClient
from untrained import RATE_HZ, recognizer_of

from common.recognition.transcriber import Transcriber
from common.serving.application import build
from common.serving.service import Service, ServingConfig

ROOT = Path(__file__).parents[2]
TRANSCRIPTIONS = "/v1/audio/transcriptions"


@contextmanager
def client_of(recognizer: Transcriber | str, **config: Any) -> Iterator[tuple[TestClient, Service]]:
    """Give a client of an application, and its service; a name stands for an untrained recognizer."""
    served = recognizer_of(recognizer) if isinstance(recognizer, str) else recognizer
    application, service = build(served, "tiny", ServingConfig(**config))
    with TestClient(application) as client:
        yield client, service


@contextmanager
def process(name: str, *flags: object) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Give a process that serves, and its port."""
    command = [sys.executable, "-m", name, "serve", "--port", "0", "--threads", "1", *map(str, flags)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            said = running.stderr.readline()
            address = re.search(r"http://127\.0\.0\.1:(\d+)", said)
            assert address, said + running.stderr.read()
            yield running, int(address[1])
        finally:
            running.kill()


def noise(seconds: float = 1.0, seed: int = 0, format: str = "WAV", subtype: str | None = None) -> bytes:
    """Return a recording of noise that grows louder and softer."""
    rng = np.random.default_rng(seed)
    levels = 0.2 * rng.random(int(seconds * 8) + 1).repeat(RATE_HZ // 8)[: int(seconds * RATE_HZ)]
    return sound(levels * rng.standard_normal(len(levels)), format=format, subtype=subtype)


def sound(
    samples: np.ndarray, rate_hz: int = RATE_HZ, format: str = "WAV", subtype: str | None = None
) -> bytes:
    """Return samples as a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=format, subtype=subtype)
    return file.getvalue()
