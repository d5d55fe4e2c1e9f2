"""Send a recording to `asr serve` as a microphone would, or what a microphone records, and print the text.

    asr serve --port 8000 &
    python recipes/serve/live.py recipes/asr/sample.opus
    python recipes/serve/live.py recipes/asr/sample.opus --sessions 16       # how long texts take
    arecord -q -t raw -f S16_LE -r 16000 -c 1 | python recipes/serve/live.py -

Needs: nothing beside the extra `serve`. The key of --api-key-file is read from OPENAI_API_KEY.
"""

import argparse
import asyncio
import base64
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator
from typing import Any

import soundfile
import soxr
from websockets.asyncio.client import ClientConnection, connect

RATE_HZ, PIECE_S = 16_000, 0.1
PIECE_BYTES = round(2 * RATE_HZ * PIECE_S)


async def pieces(source: str, speed: float) -> AsyncIterator[bytes]:
    """Yield 16-bit samples, those of a file no faster than `speed` times real time."""
    if source == "-":
        while piece := await asyncio.to_thread(sys.stdin.buffer.read, PIECE_BYTES):
            yield piece[: len(piece) // 2 * 2]
        return
    samples, rate_hz = soundfile.read(source, always_2d=True)
    sound = (32767 * soxr.resample(samples.mean(1), rate_hz, RATE_HZ)).clip(-32768, 32767)
    content, loop = sound.astype("<i2").tobytes(), asyncio.get_running_loop()
    due_s = loop.time()
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]
        due_s += PIECE_S / speed
        await asyncio.sleep(due_s - loop.time())


async def send(connection: ClientConnection, source: str, speed: float) -> None:
    """Send the sound, and commit what is left of it; the answer to the clear comes after all of that."""
    sound = {"input": {"format": {"type": "audio/pcm", "rate": RATE_HZ}}}
    await connection.send(
        json.dumps({"type": "session.update", "session": {"type": "transcription", "audio": sound}})
    )
    async for piece in pieces(source, speed):
        audio = base64.b64encode(piece).decode()
        await connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
    await connection.send(json.dumps({"type": "input_audio_buffer.commit", "event_id": "last"}))
    await connection.send(json.dumps({"type": "input_audio_buffer.clear"}))


async def show(connection: ClientConnection, quiet: bool) -> list[float]:
    """Print texts as they come, until all that was committed is answered; return how long each took."""
    clock, waiting, delays_s, ended = (
        asyncio.get_running_loop().time,
        dict[str, float](),
        list[float](),
        False,
    )
    async for message in connection:
        event: dict[str, Any] = json.loads(message)
        kind = event["type"].rpartition(".")[2]
        if kind == "committed":
            waiting[event["item_id"]] = clock()
        elif kind == "cleared":
            ended = True
        elif kind == "delta" and not quiet:
            print(event["delta"], end="", flush=True)
        elif kind in ("completed", "failed"):
            delays_s.append(clock() - waiting.pop(event["item_id"]))
            if kind == "failed":
                print(f"({event['error']['message']})", file=sys.stderr)
            elif not quiet:
                print(flush=True)
        elif kind == "error" and event["error"]["event_id"] != "last":  # else a pause was at the end
            raise SystemExit(event["error"]["message"])
        if ended and not waiting:
            break
    return delays_s


async def talk(arguments: argparse.Namespace) -> list[float]:
    """Hold a session; return how long each text took after the end of its turn."""
    headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"}
    url = f"{arguments.url}/realtime?intent=transcription"
    async with connect(url, additional_headers=headers) as connection, asyncio.TaskGroup() as group:
        group.create_task(send(connection, arguments.source, arguments.speed))
        shown = group.create_task(show(connection, arguments.sessions > 1))
    return shown.result()


async def hold(arguments: argparse.Namespace) -> None:
    """Hold the sessions, and print how long texts took."""
    found = await asyncio.gather(*(talk(arguments) for _ in range(arguments.sessions)))
    delays_s = sorted(delay for one in found for delay in one) or [0.0]
    late_s = delays_s[int(0.95 * len(delays_s))]
    median_s = statistics.median(delays_s)
    print(
        f"{len(delays_s)} texts, {median_s:.2f} s after their turns (95 %: {late_s:.2f} s)", file=sys.stderr
    )


def main() -> None:
    """Read the command line, and print what is said."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", help="sound file, or - for 16-bit samples at 16 kHz on standard input")
    parser.add_argument("--url", default="ws://127.0.0.1:8000/v1")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than real time a file goes")
    parser.add_argument("--sessions", type=int, default=1, help="so many at once, whose texts are not shown")
    asyncio.run(hold(parser.parse_args()))


if __name__ == "__main__":
    main()
