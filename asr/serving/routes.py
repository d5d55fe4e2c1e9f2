"""The addresses of `asr serve`."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, closing
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from asr.media.ffmpeg import delete_leftovers
from asr.segmentation.utterances import Listen
from asr.serving import responses
from asr.serving.parameters import SUBTITLES, Parameters, parameters_of
from asr.serving.realtime.endpoint import realtime_route
from asr.serving.sound import Sound, sound_of
from common.recognition.transcriber import Transcriber
from common.serving.answering import EventStream, unless_gone
from common.serving.errors import refused
from common.serving.hot_words import decoder_with
from common.serving.service import Service, Work
from common.text.document import Passage

UNUSED = "x-unused-parameters"
"""header of the answer that names parameters without effect"""
MEDIA_TYPES = {"srt": "application/x-subrip", "vtt": "text/vtt"}


def routes(service: Service, listen: Listen) -> list[BaseRoute]:
    """Return the addresses of a service; `listen` returns what judges whether somebody speaks."""
    delete_leftovers()
    return [
        Route("/v1/audio/transcriptions", partial(transcribe, service), methods=["POST"]),
        realtime_route(service, listen),
    ]


async def transcribe(service: Service, request: Request) -> Response:
    """Transcribe the recording of a form."""
    service.admit()
    async with AsyncExitStack() as stack:
        held = stack.enter_context(service.uploads.holding())
        form = await held.form(request)
        asked = parameters_of(form.fields, service.name, service.recognizer.card)
        if form.file is None:
            raise refused("file", "file: is missing; send the recording as `file`", "missing_parameter")
        queue = await service.queue_for(asked.keywords)
        work = await stack.enter_async_context(service.work(queue))
        headers = {UNUSED: ", ".join(asked.unused)} if asked.unused else {}
        if asked.stream:
            events = _events(service, work, asked, form.file)
            return EventStream(events, service, stack.pop_all(), headers)
        answer = await unless_gone(request, _answer(service, work, asked, form.file))
        answer.headers.update(headers)
        return answer
    raise AssertionError("the block returns")


async def _passages(work: Work, asked: Parameters, sound: Sound) -> AsyncGenerator[Passage, None]:
    """Yield what is said in a recording, as soon as it is known."""
    if asked.keywords:
        work.decoder = await work.service.read(decoder_with, work.recognizer, asked.keywords, "keywords")
    opened = await work.open(sound.source)
    async with aclosing(work.passages(opened)) as passages:
        async for passage in passages:
            yield passage


async def _events(
    service: Service, work: Work, asked: Parameters, content: bytes
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the events of a streamed answer; the last one has the whole of it."""
    sound, found = await service.read(sound_of, content), list[Passage]()
    with closing(sound):
        async with aclosing(_passages(work, asked, sound)) as passages:
            async for passage in passages:
                if passage.transcript.text:
                    yield responses.delta(passage, not found, sound.duration_s, asked)
                    found.append(passage)
    whole = await service.read(_object, work.recognizer, asked, found, sound.duration_s)
    yield {"type": "transcript.text.done"} | whole


async def _answer(service: Service, work: Work, asked: Parameters, content: bytes) -> Response:
    """Return the whole answer."""
    sound, form = await service.read(sound_of, content), asked.response_format
    with closing(sound):
        async with aclosing(_passages(work, asked, sound)) as passages:
            found = [passage async for passage in passages]
    if form == "text":
        return PlainTextResponse(responses.plain_text(found) + "\n")
    if form in SUBTITLES:
        written = await service.read(responses.subtitles, form, found, asked)
        return PlainTextResponse(written, media_type=MEDIA_TYPES[form])
    return JSONResponse(await service.read(_object, work.recognizer, asked, found, sound.duration_s))


def _object(
    recognizer: Transcriber, asked: Parameters, found: Sequence[Passage], duration_s: float
) -> dict[str, Any]:
    """Return the answer of json or verbose_json. That of hours takes a while, in a thread that reads."""
    if asked.response_format == "verbose_json":
        languages = recognizer.card.get("languages") or ()
        answer = responses.to_verbose_json(found, duration_s, asked, languages, recognizer.alphabet)
    else:
        answer = responses.to_json(found, duration_s)
    return answer | responses.included(found, asked)
