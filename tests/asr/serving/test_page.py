"""The page of `asr serve`, visited with a browser: what its user does, and what goes wrong."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import soundfile
from browser import chromium, drop, visit
from served import ROOT, TRANSCRIPTIONS, process, sound

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SAMPLE = ROOT / "recipes" / "asr" / "sample.opus"
KEY = "a-key-of-some-length"
TONE_HZ, MICROPHONE_HZ = 440, 48_000
VERBOSE = {"response_format": "verbose_json", "timestamp_granularities[]": ["segment", "word"]}


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """Give the address of a process with the bundled model, which wants a key."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(KEY)
    with process("asr", "--api-key-file", keys) as (_, port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator["Browser"]:
    """Give a browser whose microphone hears a tone."""
    times = np.arange(MICROPHONE_HZ) / MICROPHONE_HZ
    tone = tmp_path_factory.mktemp("microphone") / "tone.wav"
    tone.write_bytes(sound(0.3 * np.sin(2 * np.pi * TONE_HZ * times), MICROPHONE_HZ))
    with chromium(f"--use-file-for-fake-audio-capture={tone}") as browser:
        yield browser


@contextmanager
def opened(browser: "Browser", address: str, **context: Any) -> Iterator["Page"]:
    """Give the page after the key was given."""
    with visit(browser, address, **context) as page:
        page.get_by_label("Key", exact=True).fill(KEY)
        page.keyboard.press("Enter")
        page.get_by_text("Model: english").wait_for()
        yield page


def answered(address: str, **fields: Any) -> httpx.Response:
    """Return what the server answers to a program that sends the sample."""
    head = {"authorization": f"Bearer {KEY}"}
    sent = {"file": SAMPLE.read_bytes()}
    return httpx.post(address + TRANSCRIPTIONS, headers=head, files=sent, data=fields, timeout=60)


def saved(page: "Page", label: str) -> Path:
    """Return the file that a button saves."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label, exact=True).click()
    return Path(waiting.value.path())


def test_a_dropped_recording_becomes_text_that_is_saved_as_the_server_writes_it(browser, address):
    verbose = answered(address, **VERBOSE).json()
    with opened(browser, address) as page:
        drop(page, [SAMPLE])
        page.get_by_role("button", name="JSON").wait_for()
        assert page.locator(".text p").inner_text() == verbose["text"]
        words = page.locator("[data-word]")
        assert words.all_inner_texts() == [word["word"] for word in verbose["words"]]
        shown = words.evaluate_all(
            "all => all.map(one => [one.title.split(',')[0], getComputedStyle(one).textDecorationLine])"
        )
        sure = [word["confidence"] for word in verbose["words"]]
        assert [title for title, _ in shown] == [f"{int(100 * one)} % sure" for one in sure]
        assert [line == "none" for _, line in shown] == [one >= 0.8 for one in sure]
        for label, form in (("Text", "text"), ("SRT", "srt"), ("VTT", "vtt")):
            assert saved(page, label).read_text() == answered(address, response_format=form).text
        assert json.loads(saved(page, "JSON").read_text()) == verbose


def test_a_word_plays_from_its_start_by_a_click_and_by_keys(browser, address):
    starts = [word["start"] for word in answered(address, **VERBOSE).json()["words"]]
    with opened(browser, address) as page:
        drop(page, [SAMPLE])
        page.get_by_role("button", name="JSON").wait_for()
        page.evaluate(
            """() => {
                window.places = [];
                const audio = document.querySelector("audio");
                audio.addEventListener("seeking", () => {
                    audio.dataset.places = window.places.push(audio.currentTime);
                });
            }"""
        )
        page.locator("[data-word]").nth(6).click()
        page.get_by_role("button", name="Pause").wait_for()
        page.locator(".current").wait_for()
        for key in ("ArrowRight", "ArrowRight", "Enter"):
            page.keyboard.press(key)
        page.locator("audio[data-places='2']").wait_for(state="attached")
        assert page.evaluate("places") == pytest.approx([starts[6], starts[8]], abs=0.001)


def test_on_a_phone_files_that_are_no_sound_or_cannot_be_played_get_a_sentence(browser, address):
    phone = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "has_touch": True}
    samples, rate_hz = soundfile.read(SAMPLE)
    unplayable = sound(samples, rate_hz, "AIFF")
    with opened(browser, address, **phone) as page:
        drop(page, [("notes.txt", b"no sound"), ("talk.aiff", unplayable)])
        page.get_by_role("button", name="JSON").wait_for()
        assert page.locator(".error").inner_text().startswith("notes.txt: cannot be read as sound")
        page.get_by_text("This browser cannot play this kind of file").wait_for()
        assert page.locator("[data-word]").count() > 20
        page.get_by_label("Names and words to expect").fill("Łódź")
        page.get_by_role("button", name="Transcribe again").click()
        page.locator(".error").get_by_text("'Łódź' has Ł, ó, ź, which the model cannot write").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_server_that_is_busy_is_asked_again_and_a_request_can_be_cancelled(browser, address):
    with opened(browser, address) as page:
        page.route("**" + TRANSCRIPTIONS, lambda route: None)  # nobody answers
        drop(page, [SAMPLE])
        page.get_by_role("button", name="Cancel").click()
        page.locator(".recording").get_by_text("Cancelled.").wait_for()
        page.unroute("**" + TRANSCRIPTIONS)
        page.route("**" + TRANSCRIPTIONS, lambda route: route.abort())
        # the button that replaces the other has the focus
        page.get_by_role("button", name="Try again").and_(page.locator(":focus")).wait_for()
        page.keyboard.press("Enter")
        page.locator(".error").get_by_text("sample.opus: the ").wait_for()
        page.unroute("**" + TRANSCRIPTIONS)
        busy = {"status": 429, "headers": {"retry-after": "0.1"}, "body": "{}"}
        page.route("**" + TRANSCRIPTIONS, lambda route: route.fulfill(**busy), times=1)
        page.get_by_role("button", name="Try again").click()
        page.get_by_role("button", name="JSON").wait_for()
        assert page.locator(".error").count() == 0


def test_a_wrong_key_is_asked_for_again_and_nothing_is_shown_without_one(browser, address):
    with visit(browser, address) as page:
        field = page.get_by_label("Key", exact=True)
        field.fill("a key that nobody knows")
        page.keyboard.press("Enter")
        page.get_by_text("The server does not know this key.").wait_for()
        page.keyboard.press("Escape")
        page.locator("#errors").get_by_text("wants a key").wait_for()
        assert page.locator("#model").inner_text() == ""


def test_what_is_said_is_shown_while_it_is_recorded(browser, address):
    kind = "conversation.item.input_audio_transcription.delta"
    heard = list[dict[str, Any]]()

    def answer(route: Any, message: str) -> None:
        heard.append(json.loads(message))
        if len(heard) == 3:  # the session, and two pieces of sound
            for item, delta in (("one", "LIVE"), ("one", " TEXT"), ("two", "COMES")):
                route.send(json.dumps({"type": kind, "item_id": item, "delta": delta}))

    with opened(browser, address, permissions=["microphone"]) as page:
        page.route_web_socket("**/v1/realtime*", lambda route: route.on_message(partial(answer, route)))
        page.get_by_role("button", name="Record").click()
        page.get_by_text("LIVE TEXT COMES").wait_for()
        page.get_by_role("button", name="Discard").click()
        page.get_by_text("LIVE TEXT COMES").wait_for(state="detached")
        assert page.locator(".recording").count() == 0
    assert [one["type"] for one in heard[:2]] == ["session.update", "input_audio_buffer.append"]


def test_a_recording_that_grows_too_large_for_the_server_goes_on_in_another_file(browser, address):
    models = {"data": [{"id": "english", "max_upload_bytes": 20_000}]}
    with opened(browser, address, permissions=["microphone"]) as page:
        page.route("**/v1/models", lambda route: route.fulfill(json=models))
        page.reload()
        page.get_by_text("Model: english").wait_for()
        page.get_by_role("button", name="Record").click()
        page.locator(".recording").nth(1).wait_for()
        page.get_by_role("button", name="Stop").click()
        page.locator(".recording").nth(2).get_by_role("button", name="JSON").wait_for()
        sizes = []
        for number in range(2):
            with page.expect_download() as waiting:
                page.get_by_role("button", name="Sound").nth(number).click()
            sizes.append(Path(waiting.value.path()).stat().st_size)
    assert all(19_000 < size < 23_000 for size in sizes)  # a piece has 3200 bytes


def test_the_microphone_is_recorded_with_16000_samples_a_second(browser, address):
    with opened(browser, address, permissions=["microphone"]) as page:
        frames = list[str]()

        def keep(frame: str) -> None:
            frames.append(frame)

        page.on("websocket", lambda socket: socket.on("framereceived", keep))
        page.get_by_role("button", name="Record").click()
        page.get_by_role("timer").get_by_text("0:01").wait_for()
        while not any('"session.updated"' in frame for frame in frames):
            page.wait_for_timeout(50)  # the server has taken the sound for live text, too
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="JSON").wait_for()
        recorded = saved(page, "Sound").read_bytes()
    samples, rate_hz = soundfile.read(io.BytesIO(recorded))
    assert (recorded[:4], rate_hz, samples.ndim) == (b"RIFF", 16_000, 1)
    assert len(samples) >= rate_hz
    heard = samples[-rate_hz:]  # a whole second: one bin of the spectrum is one hertz
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(rate_hz)))
    assert abs(int(spectrum.argmax()) - TONE_HZ) <= 1
