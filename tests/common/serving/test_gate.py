"""What every request passes: keys, names, limits while receiving, refusals, and the end of the process."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from served import TRANSCRIPTIONS, client_of, noise

import common.serving.gate
import common.serving.uploads

KEY = "a key of some length"


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with client_of("asr") as (client, _):
        yield client


def error_of(answer: Any) -> dict[str, Any]:
    """Return the error in an answer, after a look at its shape."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_without_a_known_key_only_health_is_answered():
    with client_of("asr", keys=frozenset({KEY.encode()})) as (client, _):
        for headers in ({}, {"authorization": "Bearer other"}, {"authorization": f"Basic {KEY}"}):
            for path in ("/v1/models", "/metrics", "/nowhere"):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 401
                assert error_of(answer)["type"] == "authentication_error"
            refused = client.post(TRANSCRIPTIONS, headers=headers, files={"file": noise()})
            assert refused.status_code == 401
        assert client.get("/health/live").text == "live\n"
        assert client.get("/health/ready").text == "ready\n"
        known = {"authorization": f"Bearer {KEY}"}
        assert client.get("/v1/models", headers=known).status_code == 200
        assert client.post(TRANSCRIPTIONS, headers=known, files={"file": noise()}).status_code == 200


def test_a_page_of_another_site_is_refused(client):
    for origin in ("https://evil.example", "null", "http://testserver:81", "http://[", ""):
        answer = client.get("/v1/models", headers={"origin": origin})
        assert (answer.status_code, error_of(answer)["code"]) == (403, "wrong_origin")
    assert client.get("/v1/models", headers={"origin": "http://testserver"}).status_code == 200


def test_without_keys_this_machine_answers_under_its_own_name_only():
    with client_of("asr", local_names_only=True) as (client, _):
        for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
            assert client.get("/v1/models", headers={"host": host}).status_code == 200
        for host in ("evil.example", "127.0.0.1.evil.example:8000", "", "[", "[::2]:8000"):
            answer = client.get("/v1/models", headers={"host": host})
            assert (answer.status_code, error_of(answer)["code"]) == (403, "wrong_host")


def test_errors_of_addresses_have_the_same_shape(client):
    assert error_of(client.get("/v1/audio/translations"))["code"] == "not_found"
    wrong = client.get(TRANSCRIPTIONS)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    error_of(wrong)


def test_a_mistake_of_ours_is_an_error_of_the_server_and_what_was_sent_is_not_logged(monkeypatch, caplog):
    with client_of("asr") as (client, service):

        def broken(_: Any) -> Any:
            raise KeyError("the secret text")

        monkeypatch.setattr(service.recognizer, "compute", broken)
        answer = client.post(TRANSCRIPTIONS, files={"file": noise()})
        assert (answer.status_code, error_of(answer)["type"]) == (500, "server_error")
        assert "secret" not in answer.text + caplog.text
        assert "KeyError" in caplog.text
        monkeypatch.undo()
        assert client.post(TRANSCRIPTIONS, files={"file": noise()}).status_code == 200


# --- limits while receiving


class Sender:
    """A client that sends a body in pieces, at most `most` of them, and keeps what is answered."""

    def __init__(self, piece: bytes, most: int = 10**9, headers: dict[str, str] | None = None) -> None:
        self.piece, self.most, self.sent, self.answer = piece, most, 0, list[dict[str, Any]]()
        self.sent_before_answer = 0
        self.headers = {"content-type": "multipart/form-data; boundary=b", "host": "x", **(headers or {})}

    async def receive(self) -> dict[str, Any]:
        if self.sent >= self.most:
            await asyncio.sleep(3600)
        self.sent += 1
        return {"type": "http.request", "body": self.piece, "more_body": True}

    async def send(self, message: dict[str, Any]) -> None:
        if not self.answer:
            self.sent_before_answer = self.sent
        self.answer.append(message)

    def ask(self, application: Any) -> int:
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        scope = {
            "type": "http",
            "method": "POST",
            "path": TRANSCRIPTIONS,
            "headers": headers,
            "query_string": b"",
        }

        async def whole() -> None:
            await asyncio.wait_for(application(scope, self.receive, self.send), 20)

        asyncio.run(whole())
        assert not self.answer[-1].get("more_body")
        return self.answer[0]["status"]


FILE_HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'


@pytest.fixture
def application(monkeypatch):
    monkeypatch.setattr(common.serving.gate, "LINGERING_S", 0.05)
    with client_of("asr", max_upload_bytes=1_000_000) as (client, service):
        client.service = service
        yield client


def test_a_file_whose_announced_length_is_too_large_is_refused_before_any_of_it_is_read(application):
    sender = Sender(b"x" * 65536, headers={"content-length": "30000000"})
    assert sender.ask(application.app) == 413
    assert sender.sent_before_answer == 0


def test_an_upload_without_an_end_is_refused_when_it_is_too_large(application):
    sender = Sender(b"x" * 65536, headers={"transfer-encoding": "chunked"})
    sender.piece = FILE_HEAD + sender.piece  # the boundary is data in all pieces but the first
    assert sender.ask(application.app) == 413
    assert sender.sent_before_answer * 65536 < 1_500_000
    assert application.service.uploads.held_bytes == 0


def test_a_body_that_does_not_go_on_is_given_up(application, monkeypatch):
    monkeypatch.setattr(common.serving.uploads, "STALLED_S", 0.05)
    sender = Sender(FILE_HEAD, most=1, headers={"transfer-encoding": "chunked"})
    assert sender.ask(application.app) == 408
    assert application.service.uploads.held_bytes == 0


def test_uploads_of_all_requests_together_have_a_limit(application, monkeypatch):
    monkeypatch.setattr(common.serving.uploads, "HELD_UPLOADS", 1)
    application.service.uploads.held_bytes = 999_000
    answer = application.post(TRANSCRIPTIONS, files={"file": noise()})
    assert (answer.status_code, error_of(answer)["code"]) == (429, "busy")
    assert application.service.uploads.held_bytes == 999_000


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("multipart/form-data; boundary=other", FILE_HEAD + b"x\r\n--b--\r\n", 400),
        ("multipart/form-data; boundary=b", FILE_HEAD + b"cut short", 400),
        ("multipart/form-data; boundary=b", b"", 400),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nno head\r\n--b--\r\n", 400),
        ("multipart/form-data; boundary=b", FILE_HEAD + b"x\r\n" + FILE_HEAD + b"y\r\n--b--\r\n", 400),
        ("multipart/form-data; boundary=" + "b" * 1000, FILE_HEAD + b"x\r\n--b--\r\n", 400),
        ("multipart/form-data", FILE_HEAD, 415),
        ("application/x-www-form-urlencoded", b"file=x", 415),
        ("application/json", b"{}", 415),
        ("text/plain", b"x", 415),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff\xfe\r\n--b--\r\n',
            400,
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nnot a file\r\n--b--\r\n',
            400,
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="x"; filename="y"\r\n\r\nz\r\n--b--\r\n',
            400,
        ),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nX: " + b"y" * 100_000 + b"\r\n\r\nz\r\n--b--\r\n",
            400,
        ),
    ],
)
def test_damaged_forms_and_other_bodies_are_refused(client, content_type, body, status):
    answer = client.post(TRANSCRIPTIONS, content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    error_of(answer)
    assert client.post(TRANSCRIPTIONS, files={"file": noise()}).status_code == 200


@pytest.mark.parametrize(
    "fields", [{"prompt": "x" * 1_000_000}, {f"keywords{i}[]": "x" for i in range(300)}], ids=["long", "many"]
)
def test_a_megabyte_of_fields_or_hundreds_of_them_are_refused(client, fields):
    answer = client.post(TRANSCRIPTIONS, data=fields, files={"file": noise()})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "bad_form")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..\\x.wav", "/dev/zero", "-", "a\x00b.wav", "x" * 5000]
)
def test_the_name_of_a_file_means_nothing(client, name):
    text = client.post(TRANSCRIPTIONS, files={"file": ("a.wav", noise())}).json()["text"]
    answer = client.post(TRANSCRIPTIONS, files={"file": (name, noise())})
    if len(name) < 1000:
        assert answer.json()["text"] == text
    else:
        assert answer.status_code == 400


# --- too much work, and the end


def test_more_work_than_is_allowed_is_refused_with_the_time_to_wait_and_later_accepted():
    with client_of("asr", queue_s=0.001) as (client, service):
        gate, begun = threading.Event(), threading.Event()
        compute = service.recognizer.compute

        def waiting(signals: Any) -> Any:
            begun.set()
            assert gate.wait(20)
            return compute(signals)

        service.recognizer.compute = waiting
        answers = list[Any]()
        first = threading.Thread(
            target=lambda: answers.append(client.post(TRANSCRIPTIONS, files={"file": noise()}))
        )
        first.start()
        assert begun.wait(20)
        refused = client.post(TRANSCRIPTIONS, files={"file": noise()})
        assert refused.status_code == 429
        assert error_of(refused)["type"] == "rate_limit_error"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        gate.set()
        first.join()
        assert answers[0].status_code == 200
        while service.queue.backlog.units:
            pass
        assert client.post(TRANSCRIPTIONS, files={"file": noise()}).status_code == 200


def test_a_process_that_ends_is_not_ready_and_takes_no_new_work():
    with client_of("asr") as (client, service):
        service.ending = True
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503
        answer = client.post(TRANSCRIPTIONS, files={"file": noise()})
        assert (answer.status_code, error_of(answer)["code"]) == (503, "not_ready")


def test_the_work_of_a_client_that_went_away_is_dropped():
    with client_of("asr") as (client, service):
        gate, begun = threading.Event(), threading.Event()
        compute = service.recognizer.compute

        def waiting(signals: Any) -> Any:
            begun.set()
            assert gate.wait(20)
            return compute(signals)

        service.recognizer.compute = waiting
        body = FILE_HEAD + noise() + b"\r\n--b--\r\n"
        portal = client.portal

        async def ask_and_go() -> list[Any]:
            gone, answer = asyncio.Event(), list[Any]()
            messages = [{"type": "http.request", "body": body, "more_body": False}]

            async def receive() -> dict[str, Any]:
                if messages:
                    return messages.pop()
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(message: dict[str, Any]) -> None:
                answer.append(message)

            headers = [(b"content-type", b"multipart/form-data; boundary=b"), (b"content-length", b"9")]
            scope = {"type": "http", "method": "POST", "path": TRANSCRIPTIONS, "headers": headers}
            task = asyncio.create_task(client.app({**scope, "query_string": b""}, receive, send))
            while not begun.is_set():
                await asyncio.sleep(0.01)
            assert service.queue.backlog.units > 0
            gone.set()
            await asyncio.wait_for(task, 20)
            return answer

        assert portal.call(ask_and_go) == []
        assert service.queue.backlog.units == 0
        assert service.uploads.held_bytes == 0
        gate.set()
        assert client.post(TRANSCRIPTIONS, files={"file": noise()}).status_code == 200
        assert 'errors_total{kind="client_gone"} 1' in client.get("/metrics").text
