from pathlib import Path

import numpy as np
import pikepdf
import pytest
from PIL import Image

from common.text.document import Document, Line, Page, Passage, Point
from common.text.transcript import Character, Transcript
from ocr.configuration import SegmentationConfig
from ocr.formats.pdf import PdfBook
from ocr.formats.pdf_pages import render
from ocr.formats.text_layer import read_layer
from ocr.segmentation.pages import segment
from ocr.signal import SignalConfig

TWO_COLUMNS = b"""BT /F 12 Tf 72 700 Td (Hello, world of text.) Tj 0 -16 Td (A second line.) Tj ET
BT /F 12 Tf 340 700 Td (Right column) Tj ET"""


def pdf_of(path: Path, *pages: bytes, rotate: int = 0, crop: tuple[int, ...] = ()) -> Path:
    """Write a PDF of pages in Helvetica with these operators."""
    with pikepdf.new() as pdf:
        font = pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
        for content in pages:
            pdf.add_blank_page(page_size=(595, 842))
            pdf.pages[-1].Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=font))
            pdf.pages[-1].Contents = pdf.make_stream(content)
            pdf.pages[-1].Rotate = rotate
            if crop:
                pdf.pages[-1].CropBox = pikepdf.Array(crop)
        pdf.save(path)
    return path


def layer(path: Path, page: int = 0) -> Document:
    found = read_layer(path, page, "a.pdf[0]")
    assert found is not None
    return found


def test_lines_end_where_the_file_ends_them_and_at_wide_gaps(tmp_path):
    document = layer(pdf_of(tmp_path / "a.pdf", TWO_COLUMNS))
    assert document.text == "Hello, world of text.\nA second line.\nRight column"
    assert [one.region for one in document.passages] == ["r1", "r1", "r2"]
    assert document.page is not None and document.page.has_text
    assert all(word.confidence == 1 for one in document.passages for word in one.transcript.words)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [(), (20, 30, 560, 800)])
def test_a_word_lies_on_its_ink_however_the_page_is_turned_and_cropped(rotate, crop, tmp_path):
    path = pdf_of(tmp_path / "a.pdf", b"BT /F 40 Tf 100 500 Td (first) Tj ET", rotate=rotate, crop=crop)
    ink = 255 - np.asarray(render(path, 0, "a.pdf").convert("L"))
    (passage,) = layer(path).passages
    place = passage.place_of(passage.transcript.words[0])
    assert isinstance(place, Line)
    left, top, right, bottom = (round(side) for side in place.box)
    assert ink[max(top - 2, 0) : bottom + 3, max(left - 2, 0) : right + 3].sum() == ink.sum()
    assert (right - left) * (bottom - top) < 1.7 * np.prod(np.ptp(np.argwhere(ink > 128), axis=0) + 1)
    start, end = place.baseline[0], place.baseline[-1]
    towards = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[rotate]
    assert np.sign(np.round([end.x - start.x, end.y - start.y])).tolist() == list(towards)


def test_what_was_written_as_a_searchable_pdf_is_read_back(tmp_path):
    Image.new("L", (800, 200), 255).save(tmp_path / "a.png")
    texts = ("Ein Wort, zwei: café 𝔘", "שלום עולם")
    passages = []
    for number, text in enumerate(texts):
        line = Line((Point(20, 50 + 60 * number), Point(620, 50 + 60 * number)), 30.0, 10.0)
        order = range(len(text)) if number == 0 else range(len(text) - 1, -1, -1)
        width = 600 / len(text)
        spans = [(sign, width * at, width * at + width) for sign, at in zip(text, order, strict=True)]
        signs = [Character(*span, 0.9) for span in spans]
        passages.append(Passage(Transcript.from_characters(signs, unit="px"), line))
    book = PdfBook(str(tmp_path / "a.png"))
    book.expect(str(tmp_path / "a.png"))
    book.add(Document(str(tmp_path / "a.png"), tuple(passages), "px", Page(800, 200)))
    book.write(tmp_path / "a.pdf")
    found = layer(tmp_path / "a.pdf")
    assert found.text.split("\n") == list(texts)
    for one, known in zip(found.passages, passages, strict=True):
        assert isinstance(one.place, Line) and isinstance(known.place, Line)
        np.testing.assert_allclose(one.place.baseline, known.place.baseline, atol=3)


def test_a_hyphen_at_the_end_of_a_line_stays(tmp_path):
    content = b"BT /F 12 Tf 72 700 Td (A hyphen-) Tj 0 -14 Td (ated word) Tj ET"
    assert layer(pdf_of(tmp_path / "a.pdf", content)).text == "A hyphen-\nated word"


def test_a_page_without_text_has_no_layer(tmp_path):
    path = pdf_of(tmp_path / "a.pdf", b"0 g 100 100 50 50 re f", b"BT /F 12 Tf 72 700 Td (   ) Tj ET")
    assert read_layer(path, 0, "a.pdf") is None
    assert read_layer(path, 1, "a.pdf") is None


def test_only_pages_with_a_text_layer_are_taken_from_it_which_is_said(tmp_path, caplog):
    path = pdf_of(tmp_path / "a.pdf", TWO_COLUMNS, b"0 g 72 700 60 10 re f")
    wanted = SegmentationConfig(segmentation="line", text_layer=True)
    first = segment(f"{path}[0]", SignalConfig(), wanted)
    assert [one.known.text for one in first.segments if one.known] == [
        "Hello, world of text.",
        "A second line.",
        "Right column",
    ]
    assert not caplog.text
    segment(f"{path}[1]", SignalConfig(max_width_px=20_000), SegmentationConfig(text_layer=True))
    assert "a.pdf[1]: has no text layer, and is recognised" in caplog.text
    assert not any(one.known for one in segment(f"{path}[0]", SignalConfig(), SegmentationConfig()).segments)


def test_text_that_is_in_a_pdf_is_not_written_into_it_again(tmp_path):
    path = pdf_of(tmp_path / "a.pdf", TWO_COLUMNS)
    book = PdfBook(str(path))
    book.expect(f"{path}[0]")
    found = layer(path)
    book.add(Document(f"{path}[0]", found.passages, "px", found.page))
    book.write(tmp_path / "b.pdf")
    assert layer(tmp_path / "b.pdf").text == found.text


def test_a_line_at_the_lower_edge_of_its_page_is_read_back(tmp_path):
    """An image of a single line has its baseline there, and no page is a whole number of points high."""
    for height in (20, 22, 47, 48, 96):
        Image.new("L", (300, height), 255).save(tmp_path / "a.png", dpi=(200, 200))
        signs = [Character(sign, 30 * at, 30 * at + 30, 0.9) for at, sign in enumerate("ein-Zeile!")]
        passage = Passage(Transcript.from_characters(signs, unit="px"), Line.rectangle(300, height))
        book = PdfBook(str(tmp_path / "a.png"))
        book.expect(str(tmp_path / "a.png"))
        book.add(Document(str(tmp_path / "a.png"), (passage,), "px", Page(300, height)))
        book.write(tmp_path / "a.pdf")
        assert layer(tmp_path / "a.pdf").text == "ein-Zeile!"


def over(path: Path, text: str, pixels: tuple[float, float]) -> Path:
    """Write what a recogniser has read on the first page, a word, at a point of it, over the PDF."""
    width, height = render(path, 0, "a.pdf").size
    signs = [Character(sign, 30 * at, 30 * at + 30, 0.9) for at, sign in enumerate(text)]
    place = Line((Point(*pixels), Point(pixels[0] + 30 * len(text), pixels[1])), 40.0, 10.0)
    book = PdfBook(str(path))
    book.expect(f"{path}[0]")
    read = Passage(Transcript.from_characters(signs, unit="px"), place)
    book.add(Document(f"{path}[0]", (read,), "px", Page(width, height)))
    book.write(path.parent / "over.pdf")
    return path.parent / "over.pdf"


IN_A_FORM = b"q 3 Tr /Form Do Q BT /F 12 Tf 72 100 Td (stays) Tj ET"


@pytest.mark.parametrize("content", [
    b"BT 3 Tr /F 12 Tf 72 700 Td (old) Tj 0 Tr 72 100 Td (stays) Tj ET",
    b"q 3 Tr BT /F 12 Tf 12 TL 72 700 Td (old) ' 1 2 (old) \" [(o) 3 (ld)] TJ ET Q "
    b"BT /F 12 Tf 72 100 Td (stays) Tj ET",
    IN_A_FORM,
])  # fmt: skip
def test_new_text_takes_the_place_of_invisible_text(content, tmp_path):
    path = pdf_of(tmp_path / "plain.pdf", content, content)
    with pikepdf.open(path) as pdf:
        form = pdf.make_stream(
            b"BT /F 12 Tf 72 700 Td (old) Tj ET", Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Form
        )
        form.BBox, form.Resources = pikepdf.Array([0, 0, 595, 842]), pdf.pages[0].Resources
        for page in pdf.pages:
            page.add_resource(form, pikepdf.Name.XObject, pikepdf.Name.Form)
        pdf.save(tmp_path / "a.pdf")
    assert "old" in layer(tmp_path / "a.pdf").text
    before = np.asarray(render(tmp_path / "a.pdf", 0, "a.pdf"))
    book = over(tmp_path / "a.pdf", "new", (900, 600))
    assert layer(book).text.split() == ["stays", "new"]
    np.testing.assert_array_equal(np.asarray(render(book, 0, "over.pdf")), before)


def test_a_page_that_was_not_recognised_keeps_its_invisible_text(tmp_path):
    content = b"BT 3 Tr /F 12 Tf 72 700 Td (old) Tj ET"
    path = pdf_of(tmp_path / "a.pdf", content, content)
    book = PdfBook(str(path))
    for page in (0, 1):
        book.expect(f"{path}[{page}]")
    word = Transcript.from_characters([Character("x", 0, 30, 0.9)], unit="px")
    place = Line((Point(900, 600), Point(930, 600)), 40.0, 10.0)
    book.add(Document(f"{path}[0]", (Passage(word, place),), "px", Page(2480, 3509)))
    book.write(tmp_path / "b.pdf")
    assert [layer(tmp_path / "b.pdf", page).text for page in (0, 1)] == ["x", "old"]


def test_text_that_a_page_shows_is_not_written_a_second_time_which_is_said(tmp_path, caplog):
    path = pdf_of(tmp_path / "a.pdf", b"BT /F 12 Tf 72 700 Td (old) Tj ET")
    scale = 300 / 72
    book = over(path, "o1d", (72 * scale - 5, (842 - 699) * scale))
    assert layer(book).text == "old"
    assert "a.pdf[0]: lines whose text the PDF has stay as they are: 1 of 1;" in caplog.text


def test_a_scan_that_was_made_searchable_twice_has_its_text_once(tmp_path):
    Image.new("L", (800, 200), 255).save(tmp_path / "a.jpg")
    signs = [Character(sign, 30 * at, 30 * at + 30, 0.9) for at, sign in enumerate("first")]
    passage = Passage(
        Transcript.from_characters(signs, unit="px"), Line((Point(20, 60), Point(170, 60)), 30.0, 10.0)
    )
    book = PdfBook(str(tmp_path / "a.jpg"))
    book.expect(str(tmp_path / "a.jpg"))
    book.add(Document(str(tmp_path / "a.jpg"), (passage,), "px", Page(800, 200)))
    book.write(tmp_path / "a.pdf")
    assert layer(over(tmp_path / "a.pdf", "second", (300, 150))).text == "second"
    with pikepdf.open(tmp_path / "over.pdf") as pdf:
        image = pdf.pages[0].Resources.XObject.Image
        assert image.read_raw_bytes() == (tmp_path / "a.jpg").read_bytes()
