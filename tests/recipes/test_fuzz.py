"""recipes/serve/fuzz.py: a server stands some damaged requests, and what it must not do would be named."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "recipes" / "serve" / "fuzz.py"


def test_a_mistake_of_the_server_is_told_from_an_error_of_the_client():
    spec = importlib.util.spec_from_file_location("fuzz", SCRIPT)
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    assert fuzz.is_mistake(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")
    assert fuzz.is_mistake(b'HTTP/1.1 101\r\n\r\n\x81{"error": {"type": "server_error"}}')
    assert not fuzz.is_mistake(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
    assert not fuzz.is_mistake(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.slow
def test_nothing_is_found_in_a_few_cases():
    command = [sys.executable, SCRIPT, "ocr", "--count", "60", "--seed", "5"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPT.parents[2], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\n0 findings\n")
