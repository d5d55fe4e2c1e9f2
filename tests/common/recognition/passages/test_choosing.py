"""The truth of these tests is what each of the models reads alone."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ocr
from common.commands.decoding import set_decoder
from common.commands.flags.decoding import DecodingFlags
from common.recognition.passages import choosing
from common.recognition.passages.choosing import SecondModel, certainty, of_each_source
from common.recognition.passages.joining import Arrival
from common.text.document import Line, Passage
from common.text.transcript import Character, Transcript

SAMPLE = Path(__file__).parents[4] / "recipes" / "ocr" / "sample.png"


def arrival(text: str, confidence: float, last: bool = True, number: int = 0) -> Arrival:
    characters = [Character(one, 0, 1, confidence) for one in text]
    transcript = Transcript.from_characters(characters, unit="px", source="a")
    return Arrival("a", Passage(transcript, Line.rectangle(9, 5)), last, number=number)


def chosen(first: list[Arrival], others: list[Arrival], source="a.png") -> list[Arrival]:
    second = SecondModel("other", lambda: None)
    return list(second.surer(source, first, lambda *_: iter(others)))


def test_the_certainty_of_a_page_is_the_share_of_right_characters_in_all_its_lines():
    lines = [arrival("ab", 0.5).passage, arrival("abcdef", 0.9).passage]
    assert certainty(lines) == pytest.approx((2 * 0.5 + 6 * 0.9) / 8)
    assert certainty([]) == 1


@pytest.mark.parametrize(("first", "other", "taken"), [
    (0.95, 0.99, "first"), (0.7, 0.9, "other"), (0.7, 0.81, "other"), (0.7, 0.79, "first"),
    (0.7, 0.6, "first"),
])  # fmt: skip
def test_the_surer_reading_is_taken_where_the_first_is_unsure(first, other, taken, caplog):
    caplog.set_level(logging.INFO)
    one, two = [arrival("first", first)], [arrival("other", other)]
    found = chosen(one, two)
    assert found == (one if taken == "first" else two)
    said = ["a: is read by the model other, which is surer of it"]
    assert caplog.messages == (said if taken == "other" else [])


def test_a_reading_without_text_is_never_taken():
    one, empty = [arrival("first", 0.2)], [arrival("", 1.0)]
    assert chosen(one, empty) == chosen(one, [Arrival("a", None, True)]) == chosen(one, []) == one


def test_a_stream_that_cannot_be_read_again_stays_as_it_is():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    one, two = [arrival("first", 0.5)], [arrival("other", 0.9)]
    assert chosen(one, two, Pipe()) == one
    again = io.BytesIO(b"image")
    again.read()
    assert chosen(one, two, again) == two and again.tell() == 0


def test_arrivals_of_a_source_come_together():
    parts = [arrival("a", 1, last=False), arrival("b", 1), arrival("c", 1, number=2)]
    assert list(of_each_source(parts)) == [parts[:2], parts[2:]]


def texts(recognizer, sources):
    return [transcript.text for transcript in recognizer.transcribe(sources)]


def test_the_model_of_a_file_is_not_loaded_for_what_the_first_is_sure_of(caplog):
    caplog.set_level(logging.INFO)
    recognizer = ocr.load()
    assert recognizer.second is not None and recognizer.second.name == "handwriting"
    recognizer.second.prepare(lambda _: pytest.fail("is loaded"))
    assert texts(recognizer, SAMPLE) == texts(ocr.load("printed"), SAMPLE)
    assert not caplog.messages
    assert ocr.load("printed").second is None


def test_what_the_second_model_reads_is_what_it_reads_alone(monkeypatch):
    """Each source is decided by itself, and one that cannot be read is named once."""
    file = io.BytesIO()
    with Image.open(SAMPLE) as image:
        Image.fromarray(255 - np.asarray(image.convert("L"))).save(file, "PNG")

    def read(recognizer, refuse=None):
        sources = [SAMPLE, file.getvalue(), io.BytesIO(file.getvalue())]
        if refuse is not None:
            sources.insert(1, SAMPLE.parent / "missing.png")
        return [one.confidence for one in recognizer.transcribe(sources, refuse=refuse)]

    alone = {name: read(ocr.load(name)) for name in ("printed", "handwriting")}
    certain = {"printed": 0.5, "handwriting": 0.7}

    def certainty_of(found):
        confidence = next(iter(found)).transcript.confidence
        return certain["handwriting" if confidence in alone["handwriting"] else "printed"]

    monkeypatch.setattr(choosing, "certainty", certainty_of)
    assert not set(alone["printed"]) & set(alone["handwriting"])
    refused = list[str]()
    assert read(ocr.load(), refused.append) == alone["handwriting"]
    assert len(refused) == 1 and "missing.png" in refused[0]
    certain["handwriting"] = 0.4
    assert read(ocr.load()) == alone["printed"]


def test_flags_of_the_search_hold_for_both_and_files_of_the_search_for_one():
    recognizer = ocr.load()
    set_decoder(recognizer, DecodingFlags(decoder="greedy"))
    assert recognizer.decoder.config.decoder == "greedy"
    assert recognizer.second is not None
    assert recognizer.second.loaded().decoder.config.decoder == "greedy"
    assert ocr.load("handwriting").decoder.config.decoder == "beam"
    words = SAMPLE.parent / "sample.txt"
    with pytest.raises(ValueError, match=r"sample\.txt"):
        set_decoder(recognizer, DecodingFlags(decoder="beam", lexicon=words))
