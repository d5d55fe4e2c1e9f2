"""Sessions of live sound: a commit has the text of the file, turns are where speech is, errors are events."""

import asyncio
import copy
import json
import threading

import numpy as np
import pytest
from live import REALTIME, TRANSCRIPTION, Level, appends, committed, pcm_of, until, update
from served import TRANSCRIPTIONS, client_of, noise, sound
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from untrained import recognizer_of

import asr.modality
import common.serving.connections.conversation
import common.serving.service
from asr.configuration import SegmentationConfig
from asr.serving.realtime import answers
from common.recognition.passages.choosing import SecondModel


@pytest.fixture(scope="module")
def recognizer():
    return recognizer_of("asr", card={"languages": ["en"]})


@pytest.fixture(scope="module")
def client(recognizer):
    with client_of(recognizer) as (client, service):
        client.service = service
        yield client


@pytest.fixture
def session(client):
    """Give a session without turns."""
    with client.websocket_connect(REALTIME) as socket:
        assert socket.receive_json()["type"] == "session.created"
        socket.send_json(update())
        assert socket.receive_json()["type"] == "session.updated"
        yield socket


def recording(seconds: float, rate_hz: int, seed: int = 0) -> bytes:
    """Return a 16-bit file of noise."""
    rng = np.random.default_rng(seed)
    levels = 0.3 * rng.random(int(seconds * 8) + 1).repeat(rate_hz // 8)[: round(seconds * rate_hz)]
    samples = (levels * rng.standard_normal(len(levels))).clip(-1, 1)
    return sound(samples, rate_hz, subtype="PCM_16")


def text_of(client, content: bytes) -> str:
    return client.post(TRANSCRIPTIONS, files={"file": content}).json()["text"]


# --- a buffer that is committed


@pytest.mark.parametrize("rate_hz", [24000, 16000])
@pytest.mark.parametrize("sizes", [(9600,), (2, 4802, 70000)], ids=["even", "uneven"])
def test_a_committed_buffer_has_the_text_of_the_same_file(client, session, rate_hz, sizes):
    content = recording(2.3, rate_hz)
    text = text_of(client, content)
    assert len(text) > 5
    session.send_json(update(rate_hz=rate_hz))
    session.receive_json()
    events = committed(session, pcm_of(content), *sizes)
    assert [event["type"].rpartition(".")[2] for event in events] == ["committed", "delta", "completed"]
    assert events[1]["delta"] == events[2]["transcript"] == text
    assert len({event["item_id"] for event in events}) == 1
    assert events[2]["usage"] == {"type": "duration", "seconds": pytest.approx(2.3)}


@pytest.mark.parametrize("vad", ["none", "activity"])
def test_a_long_buffer_has_the_text_of_the_same_file_and_begins_to_answer_before_the_commit(vad, monkeypatch):
    monkeypatch.setattr(asr.modality, "_listen", Level)
    recognizer = recognizer_of("asr")
    recognizer.segmentation_config = SegmentationConfig(vad=vad, vad_max_speech_duration_s=5)
    rng = np.random.default_rng(1)
    parts = [recording(7, 16000), sound(np.zeros(24000), 16000, subtype="PCM_16"), recording(9, 16000, 1)]
    pcm = b"".join(map(pcm_of, parts))
    content = sound(np.frombuffer(pcm, "<i2") / 32768, 16000, subtype="PCM_16")
    with client_of(recognizer) as (client, _), client.websocket_connect(REALTIME) as socket:
        socket.send_json(update(rate_hz=16000))
        until(socket, "session.updated")
        sizes = (2 * rng.integers(1, 20000, 7)).tolist()
        events = committed(socket, pcm, *sizes)
        text = text_of(client, content)
    kinds = [event["type"].rpartition(".")[2] for event in events]
    assert kinds.count("committed") == kinds.count("completed") == 1
    assert "".join(event.get("delta", "") for event in events) == events[-1]["transcript"] == text
    assert kinds.count("delta") > 1 or vad == "none"


def test_items_of_a_session_come_in_order_and_name_the_one_before(client, session):
    contents = [recording(0.4 + 0.3 * number, 24000, number) for number in range(4)]
    for content in contents:
        for event in appends(pcm_of(content)):
            session.send_json(event)
        session.send_json({"type": "input_audio_buffer.commit"})
    events = []
    while sum(event["type"].endswith("completed") for event in events) < 4:
        events.append(session.receive_json())
    commits = [event for event in events if event["type"].endswith("committed")]
    names = [event["item_id"] for event in commits]
    assert [event["previous_item_id"] for event in commits] == [None, *names[:-1]]
    ends = [event for event in events if event["type"].endswith("completed")]
    assert [event["item_id"] for event in ends] == names
    assert [event["transcript"] for event in ends] == [text_of(client, one) for one in contents]


def test_what_is_cleared_is_not_answered(client, session):
    first, second = recording(1, 24000), recording(1.5, 24000, 1)
    for event in appends(pcm_of(first)):
        session.send_json(event)
    session.send_json({"type": "input_audio_buffer.clear"})
    assert session.receive_json()["type"] == "input_audio_buffer.cleared"
    events = committed(session, pcm_of(second))
    assert events[-1]["transcript"] == text_of(client, second)


def test_logprobs_spell_the_text(session):
    event = update()
    event["session"]["include"] = ["item.input_audio_transcription.logprobs"]
    session.send_json(event)
    assert session.receive_json()["session"]["include"]
    *_, delta, done = committed(session, pcm_of(recording(1, 24000)))
    for one in (delta, done):
        assert "".join(token["token"] for token in one["logprobs"]) == done["transcript"]


def test_hot_words_are_those_of_the_session(client, session):
    content = recording(2, 24000)
    session.send_json(update(transcription={"model": "whisper-1", "keywords": ["fade :4", "BEAD"]}))
    session.receive_json()
    hot = client.post(TRANSCRIPTIONS, files={"file": content}, data={"keywords[]": ["fade :4", "BEAD"]})
    assert hot.json()["text"] != text_of(client, content)
    assert committed(session, pcm_of(content))[-1]["transcript"] == hot.json()["text"]


def test_a_session_with_hot_words_is_read_by_the_model_that_spells():
    """Another seed of weights stands for another model; the truth is what each of them answers alone."""
    first, other = recognizer_of("asr"), recognizer_of("asr", channels=(4, 6, 10))
    content, words = recording(2, 24000), ["fade :4", "BEAD"]
    with client_of(other) as (client, _):
        hot = client.post(TRANSCRIPTIONS, files={"file": content}, data={"keywords[]": words}).json()["text"]
    first.spelling = SecondModel("letters", lambda: other)
    with client_of(first) as (client, _), client.websocket_connect(REALTIME) as session:
        until(session, "session.created")
        for keywords in (words, []):
            session.send_json(update(transcription={"model": "whisper-1", "keywords": keywords}))
            until(session, "session.updated")
            found = committed(session, pcm_of(content))[-1]["transcript"]
            assert found == (hot if keywords else text_of(client, content))


# --- turns


@pytest.fixture
def turns(recognizer, monkeypatch):
    """Give a session with turns in which all that is not silent is speech."""
    monkeypatch.setattr(asr.modality, "_listen", Level)
    with client_of(recognizer) as (client, _), client.websocket_connect(REALTIME) as socket:
        turn = {"type": "server_vad", "prefix_padding_ms": 200, "silence_duration_ms": 600}
        socket.send_json(update(turn, rate_hz=16000))
        until(socket, "session.updated")
        yield socket


def silence(seconds: float) -> bytes:
    return bytes(2 * round(16000 * seconds))


def test_a_turn_is_where_somebody_speaks_with_its_padding(turns):
    speech = pcm_of(recording(2, 16000))
    for event in appends(silence(1) + speech + silence(2) + speech + silence(2), 5000):
        turns.send_json(event)
    events = until(turns, f"{TRANSCRIPTION}.completed")
    events += until(turns, f"{TRANSCRIPTION}.completed")
    starts = [event["audio_start_ms"] for event in events if "audio_start_ms" in event]
    ends = [event["audio_end_ms"] for event in events if "audio_end_ms" in event]
    assert starts == pytest.approx([800, 4800], abs=60)  # a step, and what the resampler smears
    assert ends == pytest.approx([3200, 7200], abs=60)
    for name in {event["item_id"] for event in events}:
        kinds = [event["type"].rpartition(".")[2] for event in events if event["item_id"] == name]
        assert kinds == ["speech_started", "speech_stopped", "committed", "delta", "completed"]


def test_a_commit_ends_a_turn_and_times_go_on(turns):
    speech = pcm_of(recording(1, 16000))
    for event in appends(silence(1) + speech):
        turns.send_json(event)
    turns.send_json({"type": "input_audio_buffer.commit"})
    first = until(turns, f"{TRANSCRIPTION}.completed")
    for event in appends(silence(1) + speech + silence(2)):
        turns.send_json(event)
    second = until(turns, f"{TRANSCRIPTION}.completed")
    assert [event["audio_end_ms"] for event in first if "audio_end_ms" in event] == [2000]
    starts = [event["audio_start_ms"] for event in second if "audio_start_ms" in event]
    assert starts == pytest.approx([2800], abs=60)


def test_a_commit_without_speech_is_an_item_without_text(turns):
    for event in appends(silence(1)):
        turns.send_json(event)
    turns.send_json({"type": "input_audio_buffer.commit"})
    *_, done = until(turns, f"{TRANSCRIPTION}.completed")
    assert done["transcript"] == ""


# --- errors


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("{", "bad_json", None),
        ("[" * 100_000, "bad_json", None),
        ("[]", "bad_event", "type"),
        ('{"type": 3}', "bad_event", "type"),
        ('{"type": "response.create"}', "unknown_event", "type"),
        ('{"type": "input_audio_buffer.append"}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": 7}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "a"}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "é==="}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "YQ=="}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty", None),
        ('{"type": "session.update"}', "invalid_value", "session"),
        (b"bytes", "bad_event", None),
    ],
)
def test_what_is_wrong_is_one_error_event_and_the_session_goes_on(client, session, message, code, param):
    if isinstance(message, bytes):
        session.send_bytes(message)
    else:
        session.send_text(message)
    error = session.receive_json()["error"]
    assert (error["code"], error["param"], error["event_id"]) == (code, param, None)
    assert error["message"]
    content = recording(0.5, 24000)
    assert committed(session, pcm_of(content))[-1]["transcript"] == text_of(client, content)


def test_an_error_names_the_event_that_it_is_about(session):
    session.send_json({"type": "input_audio_buffer.commit", "event_id": "mine"})
    assert session.receive_json()["error"]["event_id"] == "mine"
    session.send_json({"type": "input_audio_buffer.commit", "event_id": 5})
    assert session.receive_json()["error"]["param"] == "event_id"


def test_the_form_of_sound_cannot_change_while_some_is_held(session):
    for event in appends(pcm_of(recording(1, 24000))):
        session.send_json(event)
    session.send_json(update(rate_hz=16000))
    assert session.receive_json()["error"]["code"] == "busy"
    session.send_json({"type": "input_audio_buffer.clear"})
    session.receive_json()
    session.send_json(update(rate_hz=16000))
    assert session.receive_json()["session"]["audio"]["input"]["format"]["rate"] == 16000


def test_an_item_fails_alone_where_the_network_fails(client, session, monkeypatch, caplog):
    def broken(_):
        raise KeyError("the secret text")

    content = pcm_of(recording(1, 24000))
    monkeypatch.setattr(client.service.recognizer, "compute", broken, raising=False)
    for event in appends(content):
        session.send_json(event)
    session.send_json({"type": "input_audio_buffer.commit"})
    failed = until(session, f"{TRANSCRIPTION}.failed")[-1]
    assert failed["error"]["type"] == "server_error"
    assert "secret" not in json.dumps(failed) + caplog.text
    monkeypatch.undo()
    assert committed(session, content)[-1]["transcript"]


def test_a_full_queue_fails_the_item_and_refuses_new_sessions(recognizer, monkeypatch):
    with client_of(recognizer) as (client, service), client.websocket_connect(REALTIME) as socket:
        socket.send_json(update())
        until(socket, "session.updated")
        monkeypatch.setattr(service.queue.backlog, "units", 1e9)
        for event in appends(pcm_of(recording(1, 24000))):
            socket.send_json(event)
        socket.send_json({"type": "input_audio_buffer.commit"})
        failed = until(socket, f"{TRANSCRIPTION}.failed")[-1]
        assert failed["error"]["code"] == "rate_limit_exceeded"
        with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(REALTIME):
            pass
        assert refused.value.status_code == 429
        assert int(refused.value.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("query", "status"),
    [("?intent=conversation", 400), ("?model=large", 404), ("?model=gpt-4o-transcribe", 101), ("", 101)],
)
def test_a_session_that_cannot_be_is_refused_before_it_begins(client, query, status):
    if status == 101:
        with client.websocket_connect("/v1/realtime" + query) as socket:
            assert socket.receive_json()["type"] == "session.created"
        return
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/v1/realtime" + query):
        pass
    assert refused.value.status_code == status
    assert refused.value.json()["error"]["message"]


def test_a_model_that_writes_no_text_has_no_sessions(recognizer, monkeypatch):
    copied = copy.copy(recognizer)
    monkeypatch.setattr(type(copied), "task", property(lambda _: "frames"))
    with (
        client_of(copied) as (client, _),
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(REALTIME),
    ):
        pass
    assert refused.value.status_code == 400


# --- limits


def test_there_are_so_many_sessions_at_a_time(client, monkeypatch):
    monkeypatch.setattr(common.serving.service, "MOST_SESSIONS", 1)
    with client.websocket_connect(REALTIME):
        with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(REALTIME):
            pass
        assert refused.value.status_code == 429
    with client.websocket_connect(REALTIME) as socket:
        assert socket.receive_json()["type"] == "session.created"


@pytest.mark.parametrize(("limit", "code"), [("IDLE_S", "idle_timeout"), ("SESSION_S", "session_expired")])
def test_a_session_ends_with_a_sentence_when_its_time_is_over(client, monkeypatch, limit, code):
    monkeypatch.setattr(common.serving.connections.conversation, limit, 0.05)
    with client.websocket_connect(REALTIME) as socket:
        socket.receive_json()
        assert socket.receive_json()["error"]["code"] == code
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 1000


def test_no_more_sound_is_read_while_much_of_it_waits(recognizer, monkeypatch):
    """The network is held: what was put into the queue stays below the limit and one piece."""
    monkeypatch.setattr(answers, "AHEAD_S", 2.0)
    monkeypatch.setattr(asr.modality, "_listen", Level)
    held, copied = threading.Event(), copy.copy(recognizer)
    copied.segmentation_config = SegmentationConfig(vad="none", vad_max_speech_duration_s=5)
    compute = copied.compute

    def waiting(signals):
        assert held.wait(60)
        return compute(signals)

    copied.compute = waiting
    pcm = pcm_of(recording(60, 16000))
    with client_of(copied) as (client, service), client.websocket_connect(REALTIME) as socket:
        socket.send_json(update(rate_hz=16000))
        until(socket, "session.updated")
        for event in appends(pcm, 32000):
            socket.send_json(event)
        client.portal.call(asyncio.sleep, 0.3)
        assert service.queue.backlog.units < 4000 * 20
        socket.send_json({"type": "input_audio_buffer.commit"})
        held.set()
        until(socket, f"{TRANSCRIPTION}.completed")


def test_work_of_a_client_that_has_gone_is_dropped(recognizer):
    held, begun, copied = threading.Event(), threading.Event(), copy.copy(recognizer)
    compute = copied.compute

    def waiting(signals):
        begun.set()
        assert held.wait(60)
        return compute(signals)

    copied.compute = waiting
    with client_of(copied) as (client, service):
        with client.websocket_connect(REALTIME) as socket:
            socket.send_json(update())
            for _ in range(3):
                for event in appends(pcm_of(recording(1, 24000))):
                    socket.send_json(event)
                socket.send_json({"type": "input_audio_buffer.commit"})
            assert begun.wait(60)
        assert (service.sessions, service.queue.waiting, service.queue.backlog.units) == (0, 0, 0)
        held.set()


def test_when_the_process_ends_what_was_committed_is_answered(client, session):
    content = recording(1, 24000)
    text = text_of(client, content)
    for event in appends(pcm_of(content)):
        session.send_json(event)
    session.send_json({"type": "input_audio_buffer.commit"})
    until(session, "input_audio_buffer.committed")
    client.portal.call(client.service.ended.set)
    try:
        assert until(session, f"{TRANSCRIPTION}.completed")[-1]["transcript"] == text
        with pytest.raises(WebSocketDisconnect) as closed:
            session.receive_json()
        assert closed.value.code == 1001
    finally:
        client.portal.call(client.service.ended.clear)


def test_figures_count_sessions_and_seconds():
    with client_of("asr") as (client, _):
        with client.websocket_connect(REALTIME) as socket:
            socket.send_json(update())
            until(socket, "session.updated")
            committed(socket, pcm_of(noise(3, subtype="PCM_16")))
            during = client.get("/metrics").text
        figures = client.get("/metrics").text
    assert "amanuensis_sessions_open 1\n" in during
    assert "amanuensis_sessions_open 0\n" in figures
    assert "amanuensis_sessions_total 1\n" in figures
    assert "amanuensis_live_seconds_total 0.5\n" in figures  # 4000 samples a second, taken for 24000
    assert 'requests_total{path="/v1/realtime",status="101"} 1\n' in figures
    assert "amanuensis_real_time_factor_count 0\n" in figures
