"""Live sound in a whole process, with the clients `websockets` and `openai`."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import soundfile
import soxr
from live import TRANSCRIPTION, appends, pcm_of, update
from served import process, sound
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "recipes" / "asr" / "sample.opus"
KEY = "a key of some length"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def port(tmp_path_factory) -> Iterator[int]:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"{KEY}\n")
    with process("asr", "--api-key-file", keys) as (_, port):
        yield port


@pytest.fixture(scope="module")
def recording() -> bytes:
    """Return the sample as a 16-bit file at 24 kHz."""
    samples, rate_hz = soundfile.read(SAMPLE)
    return sound(soxr.resample(samples, rate_hz, 24000).clip(-1, 1), 24000, subtype="PCM_16")


@pytest.fixture(scope="module")
def text(port, recording) -> str:
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY)
    return client.audio.transcriptions.create(file=("a.wav", recording), model="whisper-1").text


async def talking(port: int, **options: Any) -> ClientConnection:
    url = f"ws://127.0.0.1:{port}/v1/realtime?intent=transcription"
    return await connect(url, additional_headers={"Authorization": f"Bearer {KEY}"}, **options)


async def say(connection: ClientConnection, *events: dict[str, Any]) -> None:
    for event in events:
        await connection.send(json.dumps(event))


async def until(connection: ClientConnection, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(await connection.recv())]
    while found[-1]["type"] != kind:
        assert found[-1]["type"] != "error", found[-1]
        found.append(json.loads(await connection.recv()))
    return found


def run(work: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work, 60))


def test_a_committed_buffer_has_the_text_of_the_file(port, recording, text):
    async def talk() -> list[dict[str, Any]]:
        async with await talking(port) as connection:
            await say(connection, update(), *appends(pcm_of(recording), 4800))
            await say(connection, {"type": "input_audio_buffer.commit"})
            return await until(connection, f"{TRANSCRIPTION}.completed")

    events = run(talk())
    assert len(text.split()) > 10
    assert events[-1]["transcript"] == text
    assert "".join(event.get("delta", "") for event in events) == text


def test_the_network_hears_two_turns_around_a_long_pause(port, recording, text):
    turn = {"type": "server_vad", "silence_duration_ms": 1500}

    async def talk() -> list[dict[str, Any]]:
        async with await talking(port) as connection:
            spoken, pause = pcm_of(recording), bytes(2 * 24000 * 3)
            await say(connection, update(turn), *appends(pause + spoken + pause + spoken + pause, 9600))
            found = await until(connection, f"{TRANSCRIPTION}.completed")
            return found + await until(connection, f"{TRANSCRIPTION}.completed")

    events = run(talk())
    starts = [event["audio_start_ms"] for event in events if "audio_start_ms" in event]
    length_ms = 1000 * soundfile.info(SAMPLE).duration
    assert starts == pytest.approx([3000, 6000 + length_ms], abs=1000)
    transcripts = [event["transcript"] for event in events if "transcript" in event]
    for transcript in transcripts:  # padding differs, and with it what is faint
        assert len(set(transcript.split()) & set(text.split())) > 0.8 * len(set(text.split()))


def test_the_openai_package_holds_a_session(port, recording, text):
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY)
    with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        assert connection.recv().session.type == "transcription"
        connection.session.update(session=update()["session"])
        assert connection.recv().type == "session.updated"
        pcm = pcm_of(recording)
        for start in range(0, len(pcm), 48000):
            connection.input_audio_buffer.append(audio=base64.b64encode(pcm[start : start + 48000]).decode())
        connection.input_audio_buffer.commit()
        transcripts = []
        for event in connection:
            if event.type == f"{TRANSCRIPTION}.completed":
                transcripts.append(event.transcript)
                break
    assert transcripts == [text]
    with (
        pytest.raises(Exception, match="401"),
        client.with_options(api_key="some other key, not known").realtime.connect(model="gpt-realtime"),
    ):
        pass


def test_the_recipe_prints_what_is_said_and_how_long_texts_take(port, text):
    command = [sys.executable, ROOT / "recipes" / "serve" / "live.py", SAMPLE, "--speed", "20"]
    command += ["--url", f"ws://127.0.0.1:{port}/v1"]
    environment = os.environ | {"OPENAI_API_KEY": KEY}
    for sessions in (1, 3):
        flags = ["--sessions", str(sessions)]
        done = subprocess.run(
            [*command, *flags], capture_output=True, text=True, env=environment, check=True, timeout=100
        )
        words = done.stdout.split()
        assert len(words) == (0 if sessions > 1 else pytest.approx(len(text.split()), abs=3))
        assert " texts, " in done.stderr


def test_a_message_that_is_too_large_closes_its_connection_and_others_go_on(port, recording, text):
    async def talk() -> tuple[int, str]:
        async with await talking(port) as other, await talking(port) as connection:
            try:
                await connection.send("x" * 5_000_000)
                await until(connection, "never")
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 0
            await say(other, update(), *appends(pcm_of(recording), 48000))
            await say(other, {"type": "input_audio_buffer.commit"})
            return code, (await until(other, f"{TRANSCRIPTION}.completed"))[-1]["transcript"]

    assert run(talk()) == (1009, text)


def test_a_process_that_is_told_to_end_answers_what_was_committed_and_says_that_it_goes_away(recording):
    async def talk() -> tuple[str, int]:
        with process("asr") as (running, port):
            url = f"ws://127.0.0.1:{port}/v1/realtime"
            async with connect(url) as idle, connect(url) as connection:
                await say(connection, update(), *appends(pcm_of(recording), 48000))
                await say(connection, {"type": "input_audio_buffer.commit"})
                await until(connection, "input_audio_buffer.committed")
                running.send_signal(signal.SIGTERM)
                done = (await until(connection, f"{TRANSCRIPTION}.completed"))[-1]["transcript"]
                for one in (idle, connection):
                    with pytest.raises(ConnectionClosed) as closed:
                        await until(one, "never")
                    assert closed.value.rcvd.code == 1001
                status = await asyncio.to_thread(running.wait, 60)
            assert running.stderr is not None
            assert "Traceback" not in running.stderr.read()
            return done, status

    transcript, status = run(talk())
    assert len(transcript.split()) > 10
    assert status == 0


def test_nothing_that_is_sent_is_written_down(recording, tmp_path, monkeypatch):
    """Broken and whole messages leave nothing on standard error, and no file."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    async def talk(port: int) -> None:
        async with await talking(port) as connection:
            await say(connection, *appends(pcm_of(recording)), {"type": "secret"})
            await connection.send(b"secret")
        async with await talking(port) as connection:
            await connection.send(b"\xff\xfe secret", text=True)
            with pytest.raises(ConnectionClosed):
                await until(connection, "never")

    with process("asr") as (running, port):
        before = set(tmp_path.iterdir())
        run(talk(port))
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
        assert running.stderr is not None
        assert running.stderr.read() == ""
    assert set(tmp_path.iterdir()) == before
