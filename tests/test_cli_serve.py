"""The verb serve: who may be answered, and a whole process that the `openai` package asks."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import openai
import pytest
from command import call
from live import appends, pcm_of
from served import noise, process
from untrained import recognizer_of
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

import asr as speech
from asr.configuration import SubtitleConfig
from asr.formats.subtitles import to_srt, to_vtt
from asr.modality import ASR
from common.serving.application import build
from common.serving.server import Server, bound_socket
from common.serving.service import ServingConfig
from common.text.document import Document
from ocr.modality import OCR

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "recipes" / "asr" / "sample.opus"
KEY = "a key of some length"


# --- who may be answered


@pytest.mark.parametrize("modality", [ASR, OCR], ids=["asr", "ocr"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "nowhere.invalid"])
def test_an_address_that_others_reach_needs_keys_or_a_word(modality, host):
    outcome = call(modality, "serve", "--host", host)
    assert outcome.status == 2
    assert "--no-key" in outcome.about(host)


def test_a_file_of_keys_has_keys_that_cannot_be_guessed(tmp_path):
    for content, problem in (("\n \n", "has no key"), ("short\n", "shorter than 16")):
        (tmp_path / "keys").write_text(content)
        outcome = call(ASR, "serve", "--api-key-file", tmp_path / "keys")
        assert outcome.status == 1
        assert problem in outcome.about("keys")
    assert call(ASR, "serve", "--api-key-file", tmp_path / "none").status == 1


def test_keys_and_no_key_contradict_each_other(tmp_path):
    (tmp_path / "keys").write_text(KEY)
    assert call(ASR, "serve", "--api-key-file", tmp_path / "keys", "--no-key").status == 2


def test_an_address_that_is_taken_is_named():
    with closing(bound_socket("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
        outcome = call(ASR, "serve", "--port", port)
    assert outcome.status == 1
    assert "choose another --port" in outcome.about(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    "flags",
    [("--port", "70000"), ("--max-upload-mb", "0"), ("--queue-seconds", "-1"), ("--threads", "-1")],
)
def test_numbers_out_of_range_are_bad_usage(flags):
    outcome = call(ASR, "serve", *flags)
    assert outcome.status == 2
    assert flags[0] in outcome.err


@pytest.mark.slow
@pytest.mark.parametrize("package", ["starlette", "websockets"])
def test_without_the_extra_a_sentence_says_what_to_install(package):
    code = f"import sys; sys.modules['{package}'] = None\nfrom asr.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1
    assert "pip install 'amanuensis[serve]'" in done.stderr
    assert "Traceback" not in done.stderr


# --- a process


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[openai.OpenAI]:
    """Give the client of a process with the bundled model."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"another key of some length\n{KEY}\n")
    with process("asr", "--api-key-file", keys) as (_, port):
        yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY, max_retries=0)


@pytest.fixture(scope="module")
def document() -> Document:
    (found,) = speech.load(threads=1).documents([SAMPLE])
    return found


def ask(client: openai.OpenAI, **parameters):
    return client.audio.transcriptions.create(file=SAMPLE, model="whisper-1", **parameters)


@pytest.mark.slow
def test_the_openai_package_gets_every_format(client, document):
    text = " ".join(one.text for one in document.transcripts)
    assert ask(client).text == text
    assert ask(client, response_format="text") == text + "\n"
    assert ask(client, response_format="srt") == to_srt(document, SubtitleConfig())
    assert ask(client, response_format="vtt") == to_vtt(document, SubtitleConfig())
    verbose = ask(client, response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert (verbose.text, verbose.language) == (text, "en")
    assert [word.word for word in verbose.words] == text.split()
    assert all(before.end <= after.end for before, after in pairwise(verbose.words))
    assert " ".join(segment.text for segment in verbose.segments) == text
    assert verbose.duration == pytest.approx(9.74, abs=0.01)
    logprobs = ask(client, include=["logprobs"]).logprobs
    assert "".join(one.token for one in logprobs) == text
    assert [model.id for model in client.models.list()] == ["english-words"]


@pytest.mark.slow
def test_the_openai_package_gets_a_stream(client, document):
    text = " ".join(one.text for one in document.transcripts)
    *deltas, done = ask(client, stream=True)
    assert "".join(one.delta for one in deltas) == text
    assert (done.type, done.text) == ("transcript.text.done", text)


@pytest.mark.slow
def test_the_openai_package_raises_its_errors(client):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, language="de")
    assert refused.value.param == "language"
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.transcriptions.create(file=b"no sound", model="whisper-1")
    assert refused.value.code == "invalid_file"
    with pytest.raises(openai.NotFoundError):
        client.audio.transcriptions.create(file=SAMPLE, model="large")
    with pytest.raises(openai.AuthenticationError):
        ask(client.with_options(api_key="some other key, not known"))
    with pytest.raises(openai.APIStatusError) as large:
        client.audio.transcriptions.create(file=bytes(30_000_000), model="whisper-1")
    assert large.value.status_code == 413


@pytest.mark.slow
def test_the_openai_package_tries_again_when_there_is_too_much_work():
    """The first request is held until the second has been refused once."""
    application, service = build(recognizer_of("asr"), "tiny", ServingConfig(queue_s=0.001))
    with closing(bound_socket("127.0.0.1", 0)) as place:
        gate, begun, refusals = threading.Event(), threading.Event(), list[int]()
        compute, admit = service.recognizer.compute, service.admit

        def waiting(signals):
            begun.set()
            assert gate.wait(60)
            return compute(signals)

        def counted() -> None:
            try:
                admit()
            except Exception:
                refusals.append(1)
                gate.set()
                raise

        service.recognizer.compute, service.admit = waiting, counted
        server = Server(application, service)
        serving = threading.Thread(target=server.listen, args=(place,))
        serving.start()
        url = f"http://127.0.0.1:{place.getsockname()[1]}/v1"
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=5)
        first = threading.Thread(
            target=lambda: client.audio.transcriptions.create(file=noise(), model="whisper-1")
        )
        first.start()
        assert begun.wait(60)
        answer = client.audio.transcriptions.create(file=noise(), model="whisper-1")
        first.join()
        server.should_exit = True
        serving.join()
    assert answer.text
    assert refusals


@pytest.mark.slow
@pytest.mark.parametrize("name", ["asr", "ocr"])
def test_a_process_that_is_told_to_end_answers_what_it_has_taken_and_ends_well(name):
    path, content = {
        "asr": ("/v1/audio/transcriptions", noise(20)),
        "ocr": ("/v1/ocr/transcriptions", (ROOT / "recipes" / "ocr" / "sample.png").read_bytes()),
    }[name]
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head + content + b"\r\n--b--\r\n"
    request = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nConnection: close\r\n\r\n"
    )
    with process(name) as (running, port), socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(request.encode() + body)
        while b"requests_open 2" not in fetched(port, "/metrics") and not readable(connection):
            pass
        running.send_signal(signal.SIGTERM)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert running.wait(60) == 0
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()


@pytest.mark.slow
def test_a_decoder_that_hangs_keeps_neither_the_client_nor_the_end_waiting():
    """The process is another program, in which nothing is ever decoded."""
    code = (
        "import sys, time, asr.serving.routes, common.serving.reading.readers as readers\n"
        "readers.READING_S, asr.serving.routes.sound_of = 0.2, lambda content: time.sleep(3600)\n"
        "from asr.__main__ import main\nsys.argv = ['asr', 'serve', '--port', '0', '--threads', '1']\nmain()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stderr is not None
            url = f"{running.stderr.readline().split()[-1]}/v1"
            client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
            with pytest.raises(openai.BadRequestError, match="takes more than"):
                client.audio.transcriptions.create(file=noise(), model="whisper-1")
            running.send_signal(signal.SIGTERM)
            assert running.wait(60) == 0
        finally:
            running.kill()


def fetched(port: int, path: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def readable(connection: socket.socket) -> bool:
    """Return whether an answer has come already."""
    import select

    return bool(select.select([connection], [], [], 0.01)[0])


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_closed_connections_and_a_free_address(tmp_path, monkeypatch):
    """One connection waits for an answer, and over the other live sound is sent."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = part + noise(60) + b"\r\n--b--\r\n"
    request = (
        f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    with (
        process("asr") as (running, port),
        socket.create_connection(("127.0.0.1", port), 60) as connection,
        connect(f"ws://127.0.0.1:{port}/v1/realtime") as live,
    ):
        before = set(tmp_path.iterdir())
        for event in appends(pcm_of(noise(2, subtype="PCM_16"))):
            live.send(json.dumps(event))
        connection.sendall(request.encode() + body)
        while b"requests_open 2" not in fetched(port, "/metrics") and not readable(connection):
            pass
        running.kill()
        running.wait()
        with suppress(ConnectionResetError):
            assert not connection.recv(65536).endswith(b"}")
        with pytest.raises(ConnectionClosedError):
            while True:
                live.recv(60)
    assert set(tmp_path.iterdir()) == before
    with process("asr", "--port", port) as (_, again):
        assert again == port
        assert b"200 OK" in fetched(port, "/health/ready")
