"""Transcriptions over HTTP: every format says what `transcribe` finds, and nothing is ignored silently."""

import copy
import json
import math
import re
import threading
from dataclasses import replace

import pytest
from served import TRANSCRIPTIONS, client_of, noise
from untrained import recognizer_of

from asr.configuration import SegmentationConfig, SubtitleConfig
from asr.formats.subtitles import to_srt, to_vtt
from asr.signal import read
from common.data.signal import Segment, Segmentation, Signal
from common.recognition.passages.choosing import SecondModel
from common.text.document import Document, Interval


@pytest.fixture(scope="module")
def recognizer():
    return recognizer_of("asr", card={"languages": ["en"]})


@pytest.fixture(scope="module")
def document(recognizer) -> Document:
    (found,) = recognizer.documents([noise()])
    assert len(found.text) > 3
    return found


@pytest.fixture(scope="module")
def client(recognizer):
    with client_of(recognizer) as (client, _):
        yield client


def ask(client, content: bytes | None = None, **fields):
    data = {name: value for name, value in fields.items() if value is not None}
    return client.post(TRANSCRIPTIONS, files={"file": ("a.wav", content or noise())}, data=data)


def test_json_has_the_text(client, document):
    answer = ask(client, model="whisper-1")
    assert answer.status_code == 200
    assert answer.json() == {"text": document.text, "usage": {"type": "duration", "seconds": 1.0}}


def test_text_is_the_text_and_a_line_end(client, document):
    answer = ask(client, response_format="text")
    assert answer.text == document.text + "\n"
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(("form", "write"), [("srt", to_srt), ("vtt", to_vtt)])
def test_subtitles_are_those_of_transcribe(client, document, form, write):
    assert ask(client, response_format=form).text == write(document, SubtitleConfig())


def test_verbose_json_has_segments_and_words_where_they_are_spoken(client, document):
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
    answer = ask(client, **fields).json()
    (transcript,) = document.transcripts
    assert (answer["text"], answer["duration"], answer["language"]) == (document.text, 1.0, "en")
    assert [(word["word"], word["start"], word["end"]) for word in answer["words"]] == [
        (word.text, word.start, word.end) for word in transcript.words
    ]
    assert [word["confidence"] for word in answer["words"]] == [word.confidence for word in transcript.words]
    (segment,) = answer["segments"]
    assert (segment["start"], segment["end"], segment["text"]) == (0.0, 1.0, document.text)
    logs = [math.log(character.confidence) for character in transcript.characters]
    assert segment["avg_logprob"] == pytest.approx(sum(logs) / len(logs))
    assert 0 <= segment["no_speech_prob"] <= 1


def test_verbose_json_has_segments_alone_if_nothing_else_is_wanted(client):
    answer = ask(client, response_format="verbose_json").json()
    assert "segments" in answer
    assert "words" not in answer


def test_logprobs_spell_the_text(client, document):
    answer = ask(client, **{"include[]": ["logprobs"]}).json()
    assert "".join(one["token"] for one in answer["logprobs"]) == document.text
    assert bytes(byte for one in answer["logprobs"] for byte in one["bytes"]).decode() == document.text
    assert all(one["logprob"] <= 0 for one in answer["logprobs"])


def test_a_stream_has_the_text_in_pieces_and_as_a_whole(client, document):
    answer = ask(client, stream="true")
    assert answer.headers["content-type"].startswith("text/event-stream")
    *events, last = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert last == "[DONE]"
    *deltas, done = map(json.loads, events)
    assert "".join(one["delta"] for one in deltas) == document.text
    assert {one["type"] for one in deltas} == {"transcript.text.delta"}
    assert (done["type"], done["text"]) == ("transcript.text.done", document.text)


def test_one_answer_has_all_formats_if_that_is_wanted(client, document):
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
    answer = ask(client, **fields, **{"include[]": ["srt", "vtt"]}).json()
    for form in ("srt", "vtt"):
        assert answer.pop(form) == ask(client, response_format=form).text
    assert answer == ask(client, **fields).json()
    assert ask(client, **{"include[]": ["srt"]}).json() == {
        "text": document.text,
        "usage": {"type": "duration", "seconds": 1.0},
        "srt": to_srt(document, SubtitleConfig()),
    }


@pytest.fixture
def in_pieces(recognizer):
    """Give clients of a recognizer that hears a recording in two pieces; the second may be broken."""

    def cut(broken: bool):
        def segment(source, config, *_):
            signal = read(source, config)
            half, unit = len(signal.values) // 2, signal.unit_per_step

            def segments():
                yield Segment(Signal(signal.values[:half], unit), Interval(0.0, half * unit))
                if broken:
                    raise ValueError("file: is damaged after 0.5 s")
                yield Segment(Signal(signal.values[half:], unit), Interval(half * unit, signal.length))

            return Segmentation(segments())

        copied = copy.copy(recognizer)
        copied.modality = replace(recognizer.modality, segment=segment)
        return client_of(copied)

    return cut


def events_of(answer) -> list:
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_a_recording_in_pieces_comes_in_pieces(in_pieces):
    with in_pieces(False) as (client, _):
        *deltas, done = events_of(ask(client, stream="true"))
        verbose = ask(client, response_format="verbose_json").json()
        fields = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
        *timed, whole = events_of(ask(client, stream="true", **fields))
        assert whole == {"type": "transcript.text.done"} | ask(client, **fields).json()
    assert [word for one in timed for word in one["words"]] == whole["words"]
    assert [(one["start"], one["end"], one["duration"]) for one in timed] == [(0, 0.5, 1), (0.5, 1, 1)]
    assert len(deltas) == 2
    assert "".join(one["delta"] for one in deltas) == done["text"] == verbose["text"]
    assert [(one["start"], one["end"], one["id"]) for one in verbose["segments"]] == [
        (0, 0.5, 0),
        (0.5, 1, 1),
    ]


def test_what_breaks_off_is_an_error_and_in_a_stream_an_event_after_the_good_part(in_pieces):
    with in_pieces(True) as (client, service):
        answer = ask(client)
        first, error = events_of(ask(client, stream="true"))
        assert service.queue.backlog.units == 0
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_file")
    assert first["type"] == "transcript.text.delta"
    assert error == answer.json()


def test_speech_without_a_pause_has_the_text_of_transcribe_whose_windows_overlap():
    recognizer = recognizer_of("asr")
    recognizer.segmentation_config = SegmentationConfig(vad="none", vad_max_speech_duration_s=5)
    content = noise(23)
    (document,) = recognizer.documents([content])
    with client_of(recognizer) as (client, service):
        *deltas, done = events_of(ask(client, content, stream="true"))
        verbose = ask(client, content, response_format="verbose_json").json()
        assert service.queue.backlog.units == 0
        figures = client.get("/metrics").text
    computed = int(re.search(r"^amanuensis_segments_total (\d+)$", figures, re.M)[1])
    assert computed > 2 * len(document.passages)  # both answers together
    assert "".join(one["delta"] for one in deltas) == done["text"] == verbose["text"]
    assert done["text"] == " ".join(one.text for one in document.transcripts)
    assert [(one["start"], one["end"]) for one in verbose["segments"]] == [
        (one.place.start, one.place.end) for one in document.passages
    ]


def test_hot_words_are_those_of_this_request_alone(client, recognizer, document):
    """A boosted letter is written more often; the next request has the text without it."""
    hot = ask(client, **{"keywords[]": ["fade :4", "BEAD"]}).json()["text"]
    assert hot != document.text
    assert ask(client).json()["text"] == document.text
    assert recognizer.decoder.hot_words == ()


def test_hot_words_are_read_by_the_model_that_spells_which_is_loaded_once(document):
    """Another seed of weights stands for another model; the truth is what each of them answers alone."""
    other, fields = recognizer_of("asr", channels=(4, 6, 10)), {"keywords[]": ["fade :4", "BEAD"]}
    with client_of(other) as (client, _):
        wanted = ask(client, **fields).json()["text"]
    first, loaded = recognizer_of("asr"), []

    def load():
        loaded.append(other)
        return other

    first.spelling = SecondModel("letters", load)
    with client_of(first) as (client, service):
        assert ask(client).json()["text"] == document.text
        assert not loaded
        for _ in range(2):
            assert ask(client, **fields).json()["text"] == wanted
        assert ask(client).json()["text"] == document.text
        assert ask(client, **{"keywords[]": ["xyz"]}).status_code == 400
        assert service.queue_s == pytest.approx(0, abs=1e-6)
    assert wanted != document.text and len(loaded) == 1


def test_a_model_that_cannot_be_loaded_now_is_tried_again(document):
    other, fields, loads = recognizer_of("asr", channels=(4, 6, 10)), {"keywords[]": ["fade"]}, []

    def load():
        loads.append(1)
        if len(loads) == 1:
            raise MemoryError
        return other

    first = recognizer_of("asr")
    first.spelling = SecondModel("letters", load)
    with client_of(first) as (client, _):
        answer = ask(client, **fields)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert answer.json()["error"]["message"] == "the model letters cannot be loaded (MemoryError)"
        assert ask(client).json()["text"] == document.text
        assert ask(client, **fields).status_code == 200
    assert len(loads) == 2


def test_a_prompt_is_accepted_and_the_answer_says_that_it_has_no_effect(client, document):
    answer = ask(client, prompt="Names: Ada.")
    assert answer.json()["text"] == document.text
    assert answer.headers["x-unused-parameters"] == "prompt"
    assert "x-unused-parameters" not in ask(client).headers


def test_a_language_of_the_model_is_accepted_with_its_country(client):
    assert ask(client, language="en-GB", response_format="verbose_json").json()["language"] == "en-GB"
    assert ask(client, **{"languages[]": ["de", "en"]}).status_code == 200


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "diarized_json"}, "response_format"),
        ({"response_format": "yaml"}, "response_format"),
        ({"language": "de"}, "language"),
        ({"languages[]": ["de", "fr"]}, "languages"),
        ({"temperature": "0.7"}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"timestamp_granularities[]": ["word"]}, "timestamp_granularities"),
        (
            {"timestamp_granularities[]": ["line"], "response_format": "verbose_json"},
            "timestamp_granularities",
        ),
        ({"include[]": ["logprobs"], "response_format": "text"}, "include"),
        ({"include[]": ["thoughts"]}, "include"),
        ({"include[]": ["srt"], "response_format": "text"}, "include"),
        ({"stream": "true", "response_format": "srt"}, "stream"),
        ({"stream": "perhaps"}, "stream"),
        ({"chunking_strategy": "server_vad"}, "chunking_strategy"),
        ({"known_speaker_names[]": ["Ada"]}, "known_speaker_names"),
        ({"keywords[]": ["xyz"]}, "keywords"),
        ({"keywords[]": ["a" * 101]}, "keywords"),
        ({"keywords[]": ["abc"] * 101}, "keywords"),
        ({"keywords[]": ["abc :99"]}, "keywords"),
        ({"language": ["en", "en"]}, "language"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_its_name(client, fields, param):
    answer = ask(client, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith(param)


def test_another_model_is_not_found_and_the_one_that_is_served_is_listed(client):
    assert ask(client, model="tiny").status_code == 200
    answer = ask(client, model="large")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert [one["id"] for one in client.get("/v1/models").json()["data"]] == ["tiny"]
    assert client.get("/v1/models/tiny").json()["id"] == "tiny"
    assert client.get("/v1/models/large").status_code == 404


def test_requests_at_once_get_the_texts_that_they_get_alone(client, recognizer):
    recordings = [noise(0.3 + 0.2 * number, number) for number in range(8)]
    alone = [document.text for document in recognizer.documents(recordings)]
    found: dict[int, str] = {}

    def one(number: int) -> None:
        found[number] = ask(client, recordings[number]).json()["text"]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(8)] == alone


def test_figures_count_requests_errors_and_segments():
    with client_of("asr") as (client, _):
        ask(client)
        ask(client, stream="perhaps")
        client.get("/nowhere")
        figures = client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in figures.splitlines() if not line.startswith("#"))
    path = f'path="{TRANSCRIPTIONS}"'
    assert lines[f'amanuensis_requests_total{{{path},status="200"}}'] == "1"
    assert lines[f'amanuensis_requests_total{{{path},status="400"}}'] == "1"
    assert lines['amanuensis_requests_total{path="other",status="404"}'] == "1"
    assert lines['amanuensis_errors_total{kind="invalid_value"}'] == "1"
    assert lines["amanuensis_segments_total"] == "1"
    assert float(lines["amanuensis_length_total"]) == 1.0
    assert lines["amanuensis_batch_size_count"] == "1"
    assert lines["amanuensis_real_time_factor_count"] == "1"
    assert float(lines["amanuensis_queue_seconds"]) == 0
    assert lines["amanuensis_upload_bytes"] == "0"
    assert lines["amanuensis_ready"] == "1"
