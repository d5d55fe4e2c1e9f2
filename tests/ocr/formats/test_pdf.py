from pathlib import Path

import numpy as np
import pikepdf
import pypdfium2
import pytest
from PIL import Image

from common.text.document import Document, Line, Page, Passage, Point
from common.text.transcript import Character, Transcript
from ocr.formats.pdf import PdfBook
from ocr.formats.pdf_pages import render

RNG_SEED = 7


def picture(width: int, height: int, mode: str = "L") -> Image.Image:
    values = np.random.default_rng(RNG_SEED).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def passage(text: str, line: Line, rtl: bool = False) -> Passage:
    """Return a line whose characters share its length evenly."""
    each = line.length / len(text)
    order = range(len(text) - 1, -1, -1) if rtl else range(len(text))
    characters = [Character(one, each * i, each * i + each, 0.9) for one, i in zip(text, order, strict=True)]
    return Passage(Transcript.from_characters(characters, unit="px"), line)


def level(text: str, left: float, baseline: float) -> Passage:
    return passage(text, Line((Point(left, baseline), Point(left + 12 * len(text), baseline)), 15.0, 5.0))


def book(path: Path, documents: dict[str, Document | None]) -> Path:
    """Write a book of pages, of which some have no document, beside `path`."""
    made = PdfBook(str(path))
    for name in documents:
        made.expect(name)
    for document in filter(None, documents.values()):
        made.add(document)
    made.write(path.parent / "made.pdf")
    return path.parent / "made.pdf"


def texts(path: Path) -> list[str]:
    """Return the text of each page as PDFium extracts it."""
    with pypdfium2.PdfDocument(path) as pdf:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in pdf]


def test_the_text_can_be_extracted_in_order(tmp_path):
    picture(400, 200).save(tmp_path / "a.png")
    lines = (level("Ein Wort, zwei", 20, 50), level("Ωmega café 𝔘", 30, 100), level("1881.", 10, 150))
    document = Document(str(tmp_path / "a.png"), lines, "px", Page(400, 200))
    made = book(tmp_path / "a.png", {document.source: document})
    assert texts(made) == ["Ein Wort, zwei Ωmega café 𝔘 1881."]


def test_scripts_read_from_right_to_left_are_extracted_in_the_order_of_reading(tmp_path):
    picture(400, 200).save(tmp_path / "a.png")
    line = Line((Point(20, 50), Point(220, 50)), 15.0, 5.0)
    document = Document(
        str(tmp_path / "a.png"), (passage("שלום עולם", line, rtl=True),), "px", Page(400, 200)
    )
    assert texts(book(tmp_path / "a.png", {document.source: document})) == ["שלום עולם"]


def test_a_book_has_more_characters_than_one_font(tmp_path):
    picture(3000, 400).save(tmp_path / "a.png")
    alphabet = [chr(0x4E00 + i) for i in range(600)]
    lines = tuple(level("".join(alphabet[i : i + 100]), 10, 40 + i / 2) for i in range(0, 600, 100))
    document = Document(str(tmp_path / "a.png"), lines, "px", Page(3000, 400))
    (text,) = texts(book(tmp_path / "a.png", {document.source: document}))
    assert text.replace(" ", "") == "".join(alphabet)


def test_a_word_lies_where_it_was_found(tmp_path):
    picture(600, 300).save(tmp_path / "a.png", dpi=(150, 150))
    document = Document(str(tmp_path / "a.png"), (level("abcd", 60, 200),), "px", Page(600, 300))
    made = book(tmp_path / "a.png", {document.source: document})
    with pypdfium2.PdfDocument(made) as pdf:
        page = pdf[0]
        assert page.get_size() == pytest.approx((600 * 72 / 150, 300 * 72 / 150), abs=0.05)
        first, last = (page.get_textpage().get_charbox(i, loose=True) for i in (0, 3))
    assert first[0] == pytest.approx(60 * 0.48, abs=0.5)
    assert last[2] == pytest.approx((60 + 48) * 0.48, abs=0.5)
    assert first[1] < (300 - 200) * 0.48 < first[3]  # the baseline crosses its box


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_is_passed_through_byte_by_byte(mode, tmp_path):
    picture(64, 48, mode).save(tmp_path / "a.jpg")
    document = Document(str(tmp_path / "a.jpg"), (level("ab", 5, 20),), "px", Page(64, 48))
    made = book(tmp_path / "a.jpg", {document.source: document})
    with pikepdf.open(made) as pdf:
        (image,) = pdf.pages[0].Resources.XObject.values()
        assert image.read_raw_bytes() == (tmp_path / "a.jpg").read_bytes()


@pytest.mark.parametrize(("mode", "ending"), [
    ("L", "png"), ("RGB", "png"), ("1", "png"), ("P", "gif"), ("CMYK", "tif"), ("RGBA", "png"),
])  # fmt: skip
def test_other_images_keep_every_pixel(mode, ending, tmp_path):
    path = tmp_path / f"a.{ending}"
    picture(50, 30, "L" if mode == "P" else mode).save(path)
    document = Document(str(path), (level("ab", 5, 20),), "px", Page(50, 30))
    with pikepdf.open(book(path, {document.source: document})) as pdf:
        (image,) = pdf.pages[0].Resources.XObject.values()
        shown = pikepdf.PdfImage(image).as_pil_image()
    with Image.open(path) as original:
        np.testing.assert_array_equal(np.asarray(shown.convert("RGB")), np.asarray(original.convert("RGB")))


def test_sixteen_bits_stay_sixteen(tmp_path):
    values = np.random.default_rng(RNG_SEED).integers(0, 65536, (20, 30), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    document = Document(str(tmp_path / "a.png"), (level("a", 5, 15),), "px", Page(30, 20))
    with pikepdf.open(book(tmp_path / "a.png", {document.source: document})) as pdf:
        (image,) = pdf.pages[0].Resources.XObject.values()
        assert image.read_bytes() == values.astype(">u2").tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_shown_as_it_is_viewed(orientation, tmp_path):
    """The page is compared with what Pillow makes of the orientation."""
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.new("RGB", (60, 40), "white")
    stored.paste("red", (0, 0, 30, 10))
    stored.paste("blue", (0, 10, 10, 40))
    stored.save(tmp_path / "a.jpg", exif=exif, quality=95, dpi=(72, 72))
    with Image.open(tmp_path / "a.jpg") as opened:
        viewed = ImageOps.exif_transpose(opened).convert("RGB")
    document = Document(str(tmp_path / "a.jpg"), (level("a", 5, 15),), "px", Page(*viewed.size))
    made = book(tmp_path / "a.jpg", {document.source: document})
    shown = render(made, 0, "made").resize(viewed.size)
    difference = np.abs(np.asarray(shown, dtype=float) - np.asarray(viewed, dtype=float))
    assert difference.mean() < 12


def scanned_pdf(path: Path, pages: int = 3, rotation: int = 0) -> None:
    with pikepdf.new() as pdf:
        for number in range(pages):
            pdf.add_blank_page(page_size=(200, 100))
            pdf.pages[-1].Contents = pdf.make_stream(f"0.{number} g 10 10 50 20 re f".encode())
            pdf.pages[-1].Rotate = rotation
        pdf.save(path)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_the_pages_of_a_pdf_stay_and_the_text_lies_where_it_was_seen(rotation, tmp_path):
    scanned_pdf(tmp_path / "book.pdf", 1, rotation)
    before = render(tmp_path / "book.pdf", 0, "book")
    source = str(tmp_path / "book.pdf")
    width, height = before.size
    line = Line((Point(0.2 * width, 0.6 * height), Point(0.7 * width, 0.6 * height)), 40.0, 10.0)
    document = Document(source, (passage("abcde fgh", line),), "px", Page(width, height))
    made = book(tmp_path / "book.pdf", {source: document})
    np.testing.assert_array_equal(np.asarray(render(made, 0, "made")), np.asarray(before))
    with pypdfium2.PdfDocument(made) as pdf:
        page = pdf[0]
        textpage = page.get_textpage()
        assert textpage.get_text_range().split() == ["abcde", "fgh"]
        left, bottom, right, top = textpage.get_charbox(0)
    x, y = (left + right) / 2, (bottom + top) / 2
    scale = 72 / before.info["dpi"][0]
    u, v = 0.22 * width * scale, 0.6 * height * scale  # the first letter as it is seen
    seen = {0: (u, 100 - v), 90: (v, u), 180: (200 - u, v), 270: (200 - v, 100 - u)}[rotation]
    assert (x, y) == pytest.approx(seen, abs=8)


def test_pages_that_failed_stay_and_pages_that_were_not_asked_for_go(tmp_path):
    scanned_pdf(tmp_path / "book.pdf", 5)
    names = [f"{tmp_path / 'book.pdf'}[{number}]" for number in (1, 2, 3)]
    lines = (level("here", 100, 100),)
    documents = {name: Document(name, lines, "px", Page(833, 417)) for name in names}
    made = book(tmp_path / "book.pdf", {**documents, names[1]: None})
    assert texts(made) == ["here", "", "here"]


def test_no_book_is_written_over_its_source_or_of_nothing_or_of_a_pipe(tmp_path):
    scanned_pdf(tmp_path / "book.pdf", 1)
    source = str(tmp_path / "book.pdf")
    made = PdfBook(source)
    made.expect(source)
    with pytest.raises(ValueError, match=r"out\.pdf: is not written, since no page of .*book.pdf could be"):
        made.write(tmp_path / "out.pdf")
    made.add(Document(source, (level("x", 10, 50),), "px", Page(833, 417)))
    with pytest.raises(ValueError, match=r"book\.pdf: is the file that is read; name another --output-dir"):
        made.write(tmp_path / "book.pdf")
    with pytest.raises(ValueError, match="-: is no file, and a PDF needs its image again"):
        PdfBook("-")
