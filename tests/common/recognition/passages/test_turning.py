import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ocr
from common.data.signal import Segment, Signal
from common.recognition.passages.turning import is_surer, may_be_upside_down, upside_down
from common.text.document import Interval, Line, Point
from common.text.transcript import Character, Transcript

pytestmark = pytest.mark.turning

SAMPLE = Path(__file__).parents[4] / "recipes" / "ocr" / "sample.png"
TEXT = "An amanuensis takes dictation and copies manuscripts."


def reading(text: str, confidence: float) -> Transcript:
    return Transcript.from_characters([Character(one, 0, 1, confidence) for one in text], unit="px")


def test_a_line_after_half_a_turn_has_its_image_turned_and_covers_the_same_place():
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    turned = upside_down(Segment(Signal(values, 2.0), Line.rectangle(6, 4), whole=True))
    np.testing.assert_array_equal(turned.signal.values, [[5, 4], [3, 2], [1, 0]])
    place = turned.place
    assert isinstance(place, Line)
    assert place.box == Line.rectangle(6, 4).box
    assert place.part(0, 2).box == (4, 0, 6, 4)  # the first letter is at the right of the image
    assert place.baseline == (Point(6, 0), Point(0, 0))


@pytest.mark.parametrize(("segment", "confidence", "tried"), [
    (Segment(Signal(np.zeros((3, 2), np.float32), 1.0), Line.rectangle(3, 2), whole=True), 0.5, True),
    (Segment(Signal(np.zeros((3, 2), np.float32), 1.0), Line.rectangle(3, 2), whole=True), 0.95, False),
    (Segment(Signal(np.zeros((3, 2), np.float32), 1.0), Line.rectangle(3, 2)), 0.5, False),
    (Segment(Signal(np.zeros((3, 2), np.float32), 1.0), Interval(0, 3), whole=True), 0.5, False),
])  # fmt: skip
def test_only_the_image_of_a_line_that_is_read_unsurely_is_read_the_other_way(segment, confidence, tried):
    assert may_be_upside_down(segment, reading("text", confidence)) == tried


def test_the_other_way_has_to_be_clearly_surer_and_longer_than_a_number():
    assert is_surer(reading("line", 0.9), reading("euli", 0.7))
    assert not is_surer(reading("line", 0.75), reading("euli", 0.7))
    assert not is_surer(reading("96", 0.99), reading("69", 0.5))


def test_a_line_upside_down_is_read_which_is_said_and_its_words_have_their_places(caplog):
    upright, turned = ocr.load(), io.BytesIO()
    with Image.open(SAMPLE) as image:
        width, height = image.size
        image.rotate(180).save(turned, "PNG")
    turned.name = "turned.png"
    turned.seek(0)
    (here,), (there,) = (next(upright.documents([one])).passages for one in (SAMPLE, turned))
    assert there.transcript.text == here.transcript.text == TEXT
    assert "turned.png: is upside down, and is read so" in caplog.text and "sample" not in caplog.text
    one, other = here.place_of(here.transcript.words[0]), there.place_of(there.transcript.words[0])
    assert isinstance(one, Line) and isinstance(other, Line)
    left, top, right, bottom = one.box
    assert other.box == pytest.approx((width - right, height - bottom, width - left, height - top), abs=6)
