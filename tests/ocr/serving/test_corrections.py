"""Corrected pages over HTTP: as if they had been read so, and where the words of a corrected text stand."""

import base64
import copy
import io
import json
import re

import numpy as np
import pypdfium2
import pytest
from PIL import Image
from served import client_of
from untrained import recognizer_of

from common.text.document import Document, Line, Page, Passage, Point, Region
from common.text.transcript import Character, Transcript, Word
from ocr.formats.alto_writer import to_alto
from ocr.formats.hocr import to_hocr
from ocr.formats.page_xml import read_page_xml
from ocr.formats.page_xml_writer import to_page_xml
from ocr.serving.corrections import words_of
from ocr.serving.pages import Pages
from ocr.serving.responses import to_json

CORRECTIONS, TRANSCRIPTIONS = "/v1/ocr/corrections", "/v1/ocr/transcriptions"
SIZE = (400, 300)


def passage(text: str, y: int, name: str) -> Passage:
    characters = [Character(one, 10.0 * at, 10.0 * at + 10, 0.5) for at, one in enumerate(text)]
    place = Line((Point(20, y), Point(20 + 10 * len(text), y)), 20, 5)
    return Passage(Transcript.from_characters(characters, unit="px"), place, False, "r1", name)


def document() -> Document:
    outline = (Point(10, 10), Point(390, 10), Point(390, 290))
    page = Page(*SIZE, (Region("r1", outline, "heading"),), "a.png")
    lines = passage("teh quick fxo", 60, "l1"), passage("jumps", 120, "l2"), passage("over", 180, "l3")
    return Document("a.png", lines, "px", page, language="en")


def answered() -> dict:
    (page,) = to_json([document()], Pages([], [0], 1), "tiny")["pages"]
    return page


@pytest.fixture(scope="module")
def client():
    with client_of(recognizer_of("ocr")) as (client, _):
        yield client


def written(client, form: str, *pages: dict, **others):
    body = {"response_format": form, "file_name": "a.png", "pages": list(pages), **others}
    return client.post(CORRECTIONS, json=body)


def without_times(text: str) -> str:
    return re.sub("<(Created|LastChange)>[^<]*", "", text)


@pytest.mark.parametrize(("form", "write"), [("page", to_page_xml), ("alto", to_alto), ("hocr", to_hocr)])
def test_what_is_not_corrected_is_written_as_it_was_read(client, form, write):
    answer = written(client, form, answered())
    assert answer.status_code == 200
    assert without_times(answer.text) == without_times(write(document()))


def test_a_corrected_line_is_read_back_with_its_words_and_is_said_to_be_checked(client, tmp_path):
    page = answered()
    page["lines"][0] |= {"text": "the quick brown fox", "checked": True}
    page["lines"][1]["text"] = ""
    Image.new("L", SIZE).save(tmp_path / "a.png")
    (tmp_path / "a.page.xml").write_text(written(client, "page", page).text, encoding="utf-8")
    back = read_page_xml(tmp_path / "a.page.xml", pytest.fail)
    assert [one.text for one in back.transcripts] == ["the quick brown fox", "", "over"]
    first, _, last = back.transcripts
    assert [word.text for word in first.words] == ["the", "quick", "brown", "fox"]
    assert {word.confidence for word in first.words} == {first.confidence} == {1.0}
    assert last.confidence == 0.5
    xml = (tmp_path / "a.page.xml").read_text()
    assert xml.count('comments="checked and corrected by a person"') == 1
    assert written(client, "alto", page).text.count('CS="true"') == 1
    assert written(client, "text", page).text == "the quick brown fox\n\nover\n"


def test_a_searchable_pdf_says_the_corrected_text(client):
    file = io.BytesIO()
    images = [Image.new("L", SIZE, 255), Image.new("L", SIZE, 128)]
    images[0].save(file, "PDF", save_all=True, append_images=images[1:])
    page = answered() | {"index": 1}
    page["lines"][0]["text"] = "the quick fox"
    url = f"data:application/pdf;base64,{base64.b64encode(file.getvalue()).decode()}"
    answer = written(client, "pdf", page, document={"document_url": url})
    with pypdfium2.PdfDocument(answer.content) as pdf:
        (found,) = [one.get_textpage().get_text_range() for one in pdf]
    assert found.split() == ["the", "quick", "fox", "jumps", "over"]


# --- places of corrected words


def known(text: str) -> list[Word]:
    """Return words of a line that is written from left to right, ten pixels a character."""
    found = re.finditer(r"\S+", text)
    return [Word(one[0], 10.0 * one.start(), 10.0 * one.end(), 0.5) for one in found]


@pytest.mark.parametrize(
    ("before", "after", "places"),
    [
        ("teh cat", "the cat", [("the", 0, 30, 1.0), ("cat", 40, 70, 0.5)]),
        ("bcde f", "bc de f", [("bc", 0, 16, 1.0), ("de", 24, 40, 1.0), ("f", 50, 60, 0.5)]),
        ("foot ball x", "football x", [("football", 0, 90, 1.0), ("x", 100, 110, 0.5)]),
        ("one two three", "one three", [("one", 0, 30, 0.5), ("three", 80, 130, 0.5)]),
        ("one three", "one two three", [("one", 0, 30, 0.5), ("two", 30, 40, 1.0), ("three", 40, 90, 0.5)]),
        ("", "new", [("new", 0, 200, 1.0)]),
        ("gone", "", []),
    ],
)  # fmt: skip
def test_words_that_stayed_keep_their_places_and_others_share_those_before(before, after, places):
    found = [
        (word.text, word.start, word.end, word.confidence) for word in words_of(after, known(before), 200)
    ]
    assert found == [pytest.approx(place) for place in places]


def test_a_word_added_to_a_line_that_is_read_from_the_right_stands_on_the_left_of_the_one_before():
    first, second = Word("אבג", 160, 190, 0.5), Word("דה", 10, 30, 0.5)
    found = words_of("אבג חדש דה", [first, second], 200)
    assert [(word.text, word.start, word.end) for word in found] == [
        ("אבג", 160, 190),
        ("חדש", 30, 160),
        ("דה", 10, 30),
    ]


# --- refusals


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["dimensions"], None, "pages[0].dimensions"),
        (["dimensions", "width"], 1e400, "pages[0].dimensions.width"),
        (["lines"], {}, "pages[0].lines"),
        (["lines", 0], 7, "pages[0].lines[0]"),
        (["lines", 0, "baseline"], [[1, 2]], "pages[0].lines[0].baseline"),
        (["lines", 0, "baseline"], [[1, 2], [3]], "pages[0].lines[0].baseline[1]"),
        (["lines", 0, "polygon"], [[1, float("nan")]], "pages[0].lines[0].polygon[0]"),
        (["lines", 0, "above"], -1, "pages[0].lines[0].above"),
        (["lines", 0, "text"], "x" * 20_000, "pages[0].lines[0].text"),
        (["lines", 0, "text"], "\ud800", "pages[0].lines[0].text"),
        (["lines", 0, "checked"], "yes", "pages[0].lines[0].checked"),
        (["lines", 0, "words", 0, "confidence"], 2, "pages[0].lines[0].words[0].confidence"),
        (["lines", 0, "words"], [{}] * 3000, "pages[0].lines[0].words"),
    ],
)  # fmt: skip
def test_a_page_that_is_described_in_another_way_is_refused_with_the_place(client, path, value, said):
    page = copy.deepcopy(answered())
    *way, last = path
    inside = page
    for key in way:
        inside = inside[key]
    inside[last] = value
    body = json.dumps({"response_format": "page", "pages": [page]})
    answer = client.post(CORRECTIONS, content=body, headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "pages")
    assert error["message"].startswith(f"{said}: ")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"pages": [{}]}, "response_format"),
        ({"response_format": "json", "pages": [{}]}, "response_format"),
        ({"response_format": "page"}, "pages"),
        ({"response_format": "page", "pages": [{}, {}]}, "response_format"),
        ({"response_format": "page", "pages": [{}], "colour": 1}, "colour"),
        ({"response_format": "page", "pages": [{}], "file_name": 1}, "file_name"),
        ({"response_format": "pdf", "pages": [{}]}, "document"),
    ],
)
def test_what_cannot_be_written_is_refused_with_its_name(client, body, param):
    answer = client.post(CORRECTIONS, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


# --- pictures


def picture(client, content: bytes, page: int = 0) -> tuple[Image.Image, dict]:
    asked = {"pages": str(page), "include[]": "picture"}
    answer = client.post(TRANSCRIPTIONS, files={"file": ("a", content)}, data=asked).json()
    (found,) = answer["pages"]
    head, _, data = found["picture"].partition(",")
    assert head in ("data:image/jpeg;base64", "data:image/png;base64")
    assert answer["page_count"] > page
    return Image.open(io.BytesIO(base64.b64decode(data))), found["dimensions"]


def quarter(side: str) -> Image.Image:
    """Return an image 600 x 120 that is dark in one half."""
    image = Image.new("RGB", (600, 120), "white")
    image.paste("navy", (0, 0, 300, 120) if side == "left" else (300, 0, 600, 120))
    return image


def halves(image: Image.Image) -> tuple[bool, bool]:
    """Return whether the left and the right half are dark."""
    small = image.convert("L").resize((600, 120))
    return small.getpixel((100, 60)) < 150, small.getpixel((500, 60)) < 150


def saved(image: Image.Image, form: str, *others: Image.Image, **settings) -> bytes:
    file = io.BytesIO()
    more = {"save_all": True, "append_images": others} if others else {}
    image.save(file, form, **more, **settings)
    return file.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_a_picture_is_turned_as_its_file_says_and_has_the_size_of_the_places(client, form):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    shown, sides = picture(client, saved(quarter("left"), form, exif=exif))
    assert shown.size == (sides["width"], sides["height"]) == (600, 120)
    assert halves(shown) == (False, True)


@pytest.mark.parametrize("form", ["TIFF", "PDF"])
def test_each_page_has_its_own_picture(client, form):
    content = saved(quarter("left"), form, quarter("right"))
    for page, dark in enumerate([(True, False), (False, True)]):
        shown, sides = picture(client, content, page)
        assert shown.size == (sides["width"], sides["height"])
        assert halves(shown) == dark


@pytest.mark.parametrize("mode", ["1", "P", "RGBA", "LA", "CMYK", "I;16"])
def test_every_kind_of_image_has_a_picture(client, mode):
    grey = quarter("left").convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    image = deep if mode == "I;16" else grey.convert(mode)
    shown, _ = picture(client, saved(image, "TIFF"))
    assert halves(shown) == (True, False)


def test_pictures_are_answered_a_few_at_a_time_and_in_json_alone(client):
    content = saved(quarter("left"), "TIFF", *[quarter("right")] * 8)
    for fields in ({}, {"response_format": "text", "pages": "0"}):
        asked = {"include[]": "picture", **fields}
        answer = client.post(TRANSCRIPTIONS, files={"file": ("a", content)}, data=asked)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "include")
