"""Who may open a websocket: keys, names of this machine, and pages of other sites."""

import pytest
from live import REALTIME
from served import client_of
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

KEY = "a key of some length"
PREFIX = "openai-insecure-api-key."


def refusal(client, path=REALTIME, **options):
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(path, **options):
        pass
    return refused.value.status_code, refused.value.json()["error"]["code"]


def test_without_keys_a_page_of_another_site_may_not_listen():
    with client_of("asr") as (client, _):
        for origin in ("https://evil.example", "null", "http://testserver:81", "http://["):
            assert refusal(client, headers={"origin": origin}) == (403, "wrong_origin")
        for headers in ({}, {"origin": "http://testserver"}):
            with client.websocket_connect(REALTIME, headers=headers) as socket:
                assert socket.receive_json()["type"] == "session.created"


def test_without_keys_this_machine_is_called_by_its_own_name():
    with client_of("asr", local_names_only=True) as (client, _):
        assert refusal(client, headers={"host": "evil.example"}) == (403, "wrong_host")
        with client.websocket_connect(REALTIME, headers={"host": "localhost:8000"}) as socket:
            assert socket.receive_json()["type"] == "session.created"


def test_a_key_comes_in_the_header_or_from_a_page_of_any_site_in_a_subprotocol():
    with client_of("asr", keys=frozenset({KEY.encode()})) as (client, _):
        for headers in ({}, {"authorization": "Bearer other"}, {"authorization": f"Basic {KEY}"}):
            assert refusal(client, headers=headers) == (401, "invalid_api_key")
        others = ["realtime", f"{PREFIX}other", KEY]
        assert refusal(client, subprotocols=others) == (401, "invalid_api_key")
        with client.websocket_connect(REALTIME, headers={"authorization": f"Bearer {KEY}"}) as socket:
            assert socket.receive_json()["type"] == "session.created"
            assert socket.accepted_subprotocol is None
        offered = ["realtime", f"{PREFIX}{KEY}"]
        page = {"origin": "https://page.example"}
        with client.websocket_connect(REALTIME, headers=page, subprotocols=offered) as socket:
            assert socket.receive_json()["type"] == "session.created"
            assert socket.accepted_subprotocol == "realtime"  # the key is not sent back


@pytest.mark.parametrize("kind", ["asr", "ocr"])
def test_no_other_address_takes_websockets(kind):
    with client_of(kind) as (client, _):
        for path in ("/nowhere", "/metrics", "/", *([REALTIME] if kind == "ocr" else [])):
            with pytest.raises(WebSocketDisconnect), client.websocket_connect(path):
                pass
        assert 'status="403"' in client.get("/metrics").text
