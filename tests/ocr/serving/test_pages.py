"""Pages over HTTP: every format says what `transcribe` finds; files that unpack to too much are refused."""

import base64
import io
import zlib

import numpy as np
import pikepdf
import pypdfium2
import pytest
from PIL import Image
from served import ROOT, client_of
from untrained import recognizer_of

import ocr
from common.recognition.passages.choosing import SecondModel
from common.serving import service
from ocr.configuration import SegmentationConfig
from ocr.formats.alto_writer import to_alto
from ocr.formats.hocr import to_hocr
from ocr.serving.pages import page_numbers
from ocr.serving.responses import to_markdown

FORM, JSON = "/v1/ocr/transcriptions", "/v1/ocr"


def line(width: int = 600, seed: int = 0) -> Image.Image:
    """Return an image of the shape of a line, with strokes at random."""
    rng = np.random.default_rng(seed)
    columns = np.where(rng.random(width // 8) < 0.5, 40, 255).astype(np.uint8).repeat(8)
    values = np.full((60, len(columns)), 255, np.uint8)
    values[15:45] = columns
    return Image.fromarray(values)


def file_of(*images: Image.Image, format: str = "PNG", **settings) -> bytes:
    file = io.BytesIO()
    several = {"save_all": True, "append_images": images[1:]} if len(images) > 1 else {}
    images[0].save(file, format, **several, **settings)
    return file.getvalue()


@pytest.fixture(scope="module")
def recognizer():
    return recognizer_of("ocr")


@pytest.fixture(scope="module")
def client(recognizer):
    with client_of(recognizer) as (client, _):
        yield client


@pytest.fixture(scope="module")
def document(recognizer):
    (found,) = recognizer.documents([file_of(line())])
    assert len(found.text) > 3
    return found


def ask(client, content: bytes, name: str = "a.png", **fields):
    return client.post(FORM, files={"file": (name, content)}, data=fields)


def as_json(content: bytes, kind: str = "image_url", mime: str = "image/png", **others):
    url = f"data:{mime};base64,{base64.b64encode(content).decode()}"
    return {"document": {"type": kind, kind: url}, **others}


# --- answers


def test_json_has_text_lines_boxes_and_words(client, document):
    answer = ask(client, file_of(line())).json()
    assert (answer["model"], answer["text"]) == ("tiny", document.text + "\n")
    (page,) = answer["pages"]
    assert (page["index"], page["text"]) == (0, document.text)
    assert page["dimensions"] == {"dpi": 300, "width": 600, "height": 60}
    (found,) = page["lines"]
    (transcript,) = document.transcripts
    assert (found["text"], found["box"]) == (document.text, [0.0, 0.0, 600.0, 60.0])
    assert found["confidence"] == pytest.approx(transcript.confidence, abs=1e-6)
    assert [word["text"] for word in found["words"]] == [word.text for word in transcript.words]


def test_text_has_a_form_feed_between_pages(client, recognizer):
    content = file_of(line(), line(400, 1), format="TIFF")
    first, second = (document.text for document in recognizer.documents(map(file_of, (line(), line(400, 1)))))
    assert ask(client, content, response_format="text").text == f"{first}\n\f{second}\n"
    assert ask(client, content, response_format="text", pages="1").text == f"{second}\n"


@pytest.mark.parametrize(("form", "write"), [("alto", to_alto), ("hocr", to_hocr)])
def test_files_of_one_page_have_the_lines_and_the_name_of_the_image(client, document, form, write):
    answer = ask(client, file_of(line()), "../scans/page 7.png", response_format=form)
    assert answer.status_code == 200
    assert "page 7.png" in answer.text
    assert "scans" not in answer.text
    assert document.transcripts[0].words[0].text in answer.text


def test_the_language_of_the_model_stands_in_the_files():
    with client_of(recognizer_of("ocr", card={"languages": ["fr"]})) as (french, _):
        assert 'LANG="fr"' in ask(french, file_of(line()), response_format="alto").text


def test_page_xml_is_read_back_as_the_same_line(client, document, tmp_path):
    from ocr.formats.xml.pages import read_page

    content = file_of(line())
    (tmp_path / "a.png").write_bytes(content)
    path = tmp_path / "a.page.xml"
    path.write_text(ask(client, content, response_format="page").text, encoding="utf-8")
    read = read_page(str(path), pytest.fail)
    assert read.text == document.text


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "PDF"])
def test_a_searchable_pdf_has_the_pages_and_their_texts(client, format):
    images = [line().convert("RGB"), line(400, 1).convert("RGB")][: 1 if format in ("PNG", "JPEG") else 2]
    content = file_of(*images, format=format)
    texts = [page["text"] for page in ask(client, content).json()["pages"]]
    answer = ask(client, content, response_format="pdf")
    assert answer.headers["content-type"] == "application/pdf"
    with pypdfium2.PdfDocument(answer.content) as pdf:
        found = [page.get_textpage().get_text_range() for page in pdf]
    assert ["".join(one.split()) for one in found] == ["".join(one.split()) for one in texts]


def test_the_shape_of_mistral_has_markdown_and_dimensions(client, document):
    content = file_of(line())
    answer = client.post(JSON, json=as_json(content, model="mistral-ocr-latest")).json()
    (page,) = answer["pages"]
    assert page["markdown"] == to_markdown(document)
    assert (page["images"], page["index"]) == ([], 0)
    assert page["lines"][0]["text"] == document.text
    assert answer["usage_info"] == {"pages_processed": 1, "doc_size_bytes": len(content)}


def test_pages_of_a_document_are_chosen_by_number(client):
    content = file_of(line(), line(400, 1), line(320, 2), format="PDF")
    body = as_json(content, "document_url", "application/pdf", pages=[2, 0])
    pages = client.post(JSON, json=body).json()["pages"]
    assert [page["index"] for page in pages] == [2, 0]
    everything = ask(client, content).json()["pages"]
    found, wanted = ([page["lines"][0] for page in some] for some in (pages, [everything[2], everything[0]]))
    assert [(one["text"], one["box"]) for one in found] == [(one["text"], one["box"]) for one in wanted]


@pytest.mark.parametrize(
    ("given", "numbers"),
    [(None, None), (3, [3]), ([0, 2], [0, 2]), ("0-2,5", [0, 1, 2, 5]), ("4", [4]), (["1-2", 0], [1, 2, 0])],
)
def test_page_numbers_are_lists_and_ranges(given, numbers):
    assert page_numbers(given) == numbers


def test_a_page_with_a_text_layer_has_that_text_where_the_server_is_to_take_it():
    font = pikepdf.Dictionary(
        Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
    )
    pdf = pikepdf.new()
    pdf.add_blank_page(page_size=(300, 200))
    pdf.pages[0].Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=font))
    pdf.pages[0].Contents = pdf.make_stream(b"BT /F 24 Tf 20 100 Td (Taken from it) Tj ET")
    file = io.BytesIO()
    pdf.save(file)
    recognizer = recognizer_of("ocr")
    recognizer.segmentation_config = SegmentationConfig(text_layer=True)
    with client_of(recognizer) as (client, _):
        (page,) = ask(client, file.getvalue()).json()["pages"]
    assert page["text"] == "Taken from it"
    assert [word["text"] for word in page["lines"][0]["words"]] == ["Taken", "from", "it"]


# --- refusals


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.pdf",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "/etc/passwd",
        "ftp://x/y",
    ],
)
def test_no_address_is_ever_fetched(client, url):
    answer = client.post(JSON, json={"document": {"type": "document_url", "document_url": url}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "address_not_fetched")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "document"),
        ({"document": "x"}, "document"),
        ({"document": {"type": "file", "file_id": "x"}}, "document"),
        ({"document": {"image_url": "data:image/png,x"}}, "document"),
        ({"document": {"image_url": "data:image/png;base64,%%%"}}, "document"),
        (as_json(b"x", include_image_base64=True), "include_image_base64"),
        (as_json(b"x", table_format="html"), "table_format"),
        (as_json(b"x", colour="red"), "colour"),
        (as_json(b"x", pages=[-1]), "pages"),
        (as_json(b"x", pages=[0.5]), "pages"),
        (as_json(b"x", pages=[True]), "pages"),
        (as_json(b"x", pages={}), "pages"),
        (as_json(b"x", pages=[0, 0]), "pages"),
        (as_json(b"x", pages="0-999999"), "pages"),
        (as_json(b"x"), "file"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_its_name(client, body, param):
    answer = client.post(JSON, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 100_000, b'"x"', b"\xff"])
def test_what_is_no_json_object_is_refused(client, body):
    answer = client.post(JSON, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_json")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "docx"}, "response_format"),
        ({"pages": "x"}, "pages"),
        ({"pages": "7"}, "pages"),
        ({"language": "de"}, "language"),
    ],
)
def test_fields_that_cannot_be_honoured_are_refused(client, fields, param):
    answer = ask(client, file_of(line()), **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("form", ["alto", "page", "hocr"])
def test_a_format_of_one_page_refuses_several(client, form):
    content = file_of(line(), line(400, 1), format="TIFF")
    assert ask(client, content, response_format=form).status_code == 400
    assert ask(client, content, response_format=form, pages="0").status_code == 200


def png_of(side: int) -> bytes:
    """Return a white image of `side` x `side` pixels with one bit each, which is a small file."""
    return file_of(Image.new("1", (side, side), 1))


def packed_spaces(mebibytes: int) -> bytes:
    """Return a zlib stream of spaces, each mebibyte the same packed block: none refers to another one."""
    mebibyte, packer, checksum = b" " * 2**20, zlib.compressobj(9, wbits=-15), 1
    block = packer.compress(mebibyte) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(mebibytes):
        checksum = zlib.adler32(mebibyte, checksum)
    return b"\x78\xda" + block * mebibytes + packer.flush() + checksum.to_bytes(4)


def pdf_with(packed: bytes) -> bytes:
    """Return a PDF whose page unpacks a zlib stream."""
    pdf = pikepdf.new()
    pdf.add_blank_page(page_size=(200, 200))
    stream = pikepdf.Stream(pdf, packed)
    stream.Filter = pikepdf.Name.FlateDecode
    pdf.pages[0].Contents = pdf.make_indirect(stream)
    file = io.BytesIO()
    pdf.save(file, compress_streams=False)
    return file.getvalue()


BROKEN = {
    "empty": lambda: b"",
    "text": lambda: b"no image at all",
    "xml": lambda: (
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><PcGts>&b;</PcGts>'
    ),
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) (r) file\n",
    "half a picture": lambda: file_of(line())[:200],
    "a bomb of 400 million pixels": lambda: png_of(20_000),
    "a page of 100 million pixels": lambda: png_of(10_000),
    "half a pdf": lambda: pdf_with(zlib.compress(b"q Q"))[:100],
    "a pdf without objects": lambda: b"%PDF-1.7\n%%EOF",
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")
def test_what_is_no_page_is_refused_with_a_sentence(client, name):
    answer = ask(client, BROKEN[name]())
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "file", "invalid_file")
    assert error["message"].startswith("file: ")
    assert "root:" not in answer.text


@pytest.mark.slow
def test_a_pdf_that_unpacks_to_gigabytes_is_refused_by_another_process(client):
    answer = ask(client, pdf_with(packed_spaces(1024)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_file")
    assert "memory" in answer.json()["error"]["message"]
    assert ask(client, file_of(line())).status_code == 200


def test_too_many_pages_are_refused_before_any_is_read(client):
    content = file_of(*[Image.new("1", (8, 8), 1)] * 501, format="TIFF")
    answer = ask(client, content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "file_too_long")


def test_markdown_shows_the_text_as_it_is():
    from common.text.document import Document, Line, Passage
    from common.text.transcript import Character, Transcript

    def passage(text: str, region: str) -> Passage:
        characters = [Character(one, i, i + 1, 0.9) for i, one in enumerate(text)]
        return Passage(Transcript.from_characters(characters, unit="px"), Line.rectangle(9, 9), region=region)

    lines = [("# 1 *x*", "a"), ("b_c", "a"), ("- d", "b"), ("1. e", "b"), ("3.5 [f] <g>", "b")]
    document = Document("", tuple(passage(*one) for one in lines), "px")
    assert to_markdown(document) == "\\# 1 \\*x\\*\nb\\_c\n\n\\- d\n1\\. e\n3.5 \\[f\\] \\<g>"


@pytest.mark.turning
def test_a_line_upside_down_is_answered_as_transcribe_reads_it():
    model = ocr.load()
    with Image.open(ROOT / "recipes" / "ocr" / "sample.png") as image:
        content = file_of(image.rotate(180))
    with client_of(model) as (turned, _):
        answer = ask(turned, content, response_format="alto").text
    assert 'CONTENT="amanuensis"' in answer and 'BASELINE="872 0 0 0"' in answer


@pytest.mark.parametrize("surer", [True, False])
def test_a_page_that_the_model_is_unsure_of_is_read_by_the_second_one_too(document, monkeypatch, surer):
    """Another seed of weights stands for another model; the truth is what each of them reads alone."""
    other = recognizer_of("ocr", channels=(4, 6, 8, 12))
    (found,) = other.documents([file_of(line())])
    assert found.text != document.text
    monkeypatch.setattr(service, "SURE", 2.0)
    monkeypatch.setattr(service, "is_surer_reading", lambda others, _: surer)
    first, loaded = recognizer_of("ocr"), []

    def load():
        loaded.append(other)
        return other

    first.second = SecondModel("other", load)
    with client_of(first) as (client, _):
        for _ in range(2):
            assert ask(client, file_of(line())).json()["text"] == (found if surer else document).text + "\n"
    assert len(loaded) == 1
