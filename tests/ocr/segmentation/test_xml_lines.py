"""Lines that XML files describe, as sources and as corpora."""

import json
import logging

import numpy as np
import pytest
from command import call
from PIL import Image, ImageDraw

from ocr.configuration import SegmentationConfig
from ocr.corpora import CorpusConfig, read_corpus
from ocr.modality import OCR
from ocr.segmentation import xml_lines
from ocr.segmentation.cutting import cut_line
from ocr.segmentation.xml_lines import Images, expand, measure, read, segment
from ocr.signal import SignalConfig, read_page_image

CONFIG = SignalConfig()
PAGE = (
    '<PcGts><Page imageFilename="{image}" imageWidth="400" imageHeight="200"><TextRegion id="r">'
    '<Coords points="0,0 400,0 400,200"/>{lines}</TextRegion></Page></PcGts>'
)
LINE = (
    '<TextLine id="{name}"><Coords points="20,{top} 380,{top} 380,{bottom} 20,{bottom}"/>'
    '<Baseline points="20,{base} 380,{base}"/><TextEquiv><Unicode>{text}</Unicode></TextEquiv></TextLine>'
)


def line(name, base, text):
    return LINE.format(name=name, base=base, top=base - 30, bottom=base + 10, text=text)


def put_page(folder, stem="page", lines=None, image=True):
    """Write a page with its image: bars of 20, 40, 60 ... pixels stand on the baselines 50, 100 and 150."""
    folder.mkdir(parents=True, exist_ok=True)
    if image:
        picture = Image.new("L", (400, 200), 230)
        draw = ImageDraw.Draw(picture)
        for at, base in enumerate((50, 100, 150)):
            draw.rectangle((30, base - 20, 50 + 20 * at, base), fill=20)
        picture.save(folder / f"{stem}.png")
    lines = line("a", 50, "one ") + line("b", 100, "") + line("c", 150, "three") if lines is None else lines
    file = folder / f"{stem}.xml"
    file.write_text(PAGE.format(image=f"{stem}.png", lines=lines), encoding="utf-8")
    return str(file)


def corpus(path):
    return read_corpus(str(path), CorpusConfig())


def test_a_line_is_cut_as_transcription_cuts_it(tmp_path):
    file = put_page(tmp_path)
    wanted = segment(file, CONFIG, SegmentationConfig())
    page = read_page_image(tmp_path / "page.png")
    assert [one.name for one in wanted.segments] == ["a", "b", "c"]
    for one in wanted.segments:
        found = read(f"{file}::{one.name}", CONFIG)
        assert np.array_equal(found.values, one.signal.values)
        assert np.array_equal(found.values, cut_line(page, one.place, CONFIG).values)
        assert found.unit_per_step == one.signal.unit_per_step
    assert (wanted.page.width_px, wanted.page.image) == (400, str(tmp_path / "page.png"))


def test_the_ink_of_a_line_is_where_it_is_on_the_page(tmp_path):
    signal = read(f"{put_page(tmp_path)}::c", CONFIG)
    inked = np.flatnonzero(signal.values.max(axis=1) > 0.5) * signal.unit_per_step
    assert inked[0] == pytest.approx(10, abs=2)  # the bar starts 10 px after the baseline
    assert inked[-1] == pytest.approx(70, abs=2)


def test_the_length_of_a_line_is_width_over_height(tmp_path):
    assert measure(f"{put_page(tmp_path)}::a") == pytest.approx(360 / 40)


@pytest.mark.parametrize("name", ["nothing", "a::b"])
def test_a_line_that_is_not_there_is_named(tmp_path, name):
    file = put_page(tmp_path)
    with pytest.raises(ValueError, match=f"has no line '{name}'"):
        measure(f"{file}::{name}")
    with pytest.raises(ValueError, match=f"has no line '{name}'"):
        read(f"{file}::{name}", CONFIG)


def test_a_page_without_its_image_cannot_be_read(tmp_path):
    file = put_page(tmp_path, image=False)
    for source in (file, f"{file}::a"):
        with pytest.raises(ValueError, match="its image was not found; put it beside the file"):
            if "::" in source:
                read(source, CONFIG)
            else:
                segment(source, CONFIG, SegmentationConfig())


def test_a_line_that_cannot_be_cut_is_left_out_and_said_and_the_others_are_done(tmp_path, caplog):
    thin = line("thin", 100, "x").replace("380", "21")
    file = put_page(tmp_path, lines=line("a", 50, "one") + thin)
    found = segment(file, CONFIG, SegmentationConfig())
    assert [one.name for one in found.segments] == ["a"]
    assert "::thin" in caplog.text


def test_other_sources_are_read_as_before(tmp_path):
    Image.new("L", (90, 30), 255).save(tmp_path / "line.png")
    assert len(read(str(tmp_path / "line.png"), CONFIG).values) == 144
    assert expand(str(tmp_path / "line.png")) == [str(tmp_path / "line.png")]
    assert measure(str(tmp_path / "line.png")) == 3


def test_a_page_is_decoded_once_for_all_its_lines(tmp_path, monkeypatch):
    file, read_once = put_page(tmp_path), []

    def counted(path):
        read_once.append(path)
        return read_page_image(path)

    xml_lines.kept_images.cache_clear()
    monkeypatch.setattr(xml_lines, "read_page_image", counted)
    for name in "abcabc":
        read(f"{file}::{name}", CONFIG)
    assert len(read_once) == 1


def test_kept_pages_stay_under_the_limit_and_the_oldest_go_first(tmp_path):
    paths = [put_page(tmp_path, f"p{at}").replace("xml", "png") for at in range(4)]
    images = Images(2 * 400 * 200)
    first = images.read(paths[0])
    assert images.read(paths[0]) is first
    for path in paths[1:]:
        images.read(path)
    assert images.read(paths[0]) is not first
    assert np.array_equal(images.read(paths[0]), first)


# --- corpora


def test_a_folder_of_pages_gives_its_lines_that_have_a_text(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    first, second = put_page(tmp_path, "p1"), put_page(tmp_path / "deep", "p2")
    found = corpus(tmp_path)
    assert [(one.source, one.text) for one in found.examples] == [
        (f"{first}::a", "one"), (f"{first}::c", "three"), (f"{second}::a", "one"), (f"{second}::c", "three"),
    ]  # fmt: skip
    assert found.problems == []  # images of pages are not lines without a text
    assert "2 of 6 lines of pages have no text and are left out" in caplog.text


def test_a_single_page_is_a_corpus(tmp_path):
    assert [one.text for one in corpus(put_page(tmp_path)).examples] == ["one", "three"]


def test_pages_and_lines_may_stand_in_one_folder_and_it_is_said(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    put_page(tmp_path)
    Image.new("L", (90, 30), 255).save(tmp_path / "line.png")
    (tmp_path / "line.gt.txt").write_text("a line")
    assert [one.text for one in corpus(tmp_path).examples] == ["one", "three", "a line"]
    assert "1 line image, and 2 lines of 1 page" in caplog.text


def test_files_that_cannot_be_used_are_problems_and_the_others_are_read(tmp_path):
    put_page(tmp_path, "good")
    put_page(tmp_path, "imageless", image=False)
    (tmp_path / "broken.xml").write_text("<PcGts>")
    (tmp_path / "other.xml").write_text("<TEI/>")
    (tmp_path / "bomb.xml").write_text("<!DOCTYPE a [<!ENTITY b 'c'>]><PcGts>&b;</PcGts>")
    (tmp_path / "mets.xml").write_text("<mets/>")
    twin = put_page(tmp_path / "page", "twin", image=False)
    (tmp_path / "page" / "twin.xml").write_text(PAGE.format(image="../good.png", lines=line("x", 50, "x")))
    found = corpus(tmp_path)
    assert [one.text for one in found.examples] == ["one", "three"]
    said = "\n".join(found.problems)
    assert len(found.problems) == 5
    for part in (
        "broken.xml: is not well-formed",
        "other.xml: is no PAGE",
        "bomb.xml: declares a document type",
        "imageless.xml: its image was not found",
        f"{twin}: is about the same image as",
    ):
        assert part in said


def test_a_folder_without_a_usable_page_is_refused_with_the_first_reason(tmp_path):
    put_page(tmp_path, image=False)
    with pytest.raises(ValueError, match=r"holds no images .* its image was not found"):
        corpus(tmp_path)


def test_mets_lists_pages_and_the_last_group_is_taken(tmp_path):
    put_page(tmp_path, "first")
    last = put_page(tmp_path / "last", "page 2")
    group = '<fileGrp USE="{}"><file ID="{}"><FLocat xlink:href="{}"/></file></fileGrp>'
    (tmp_path / "mets.xml").write_text(
        '<mets:mets xmlns:mets="m" xmlns:xlink="x">'
        + (group.format("A", "a", "first.xml") + group.format("B", "b", "last/page%202.xml")).replace(
            "<", "<mets:").replace("<mets:/", "</mets:")
        + group.format("IMG", "c", "first.png").replace("<", "<mets:").replace("<mets:/", "</mets:")
        + "</mets:mets>"
    )  # fmt: skip
    assert expand(str(tmp_path / "mets.xml")) == [last]
    assert [one.text for one in corpus(tmp_path / "mets.xml").examples] == ["one", "three"]


def test_a_bad_file_is_one_sentence_and_the_others_are_transcribed(tmp_path):
    good, bad = put_page(tmp_path), tmp_path / "bad.xml"
    bad.write_text("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><alto>&b;</alto>")
    missing = put_page(tmp_path / "none", image=False)
    done = call(OCR, "transcribe", str(bad), missing, good, "-f", "json")
    assert done.status == 1
    assert [one["source"] for one in map(json.loads, done.out.splitlines())] == [good]
    said = [sentence for sentence in done.err.splitlines() if ".xml: " in sentence]
    assert sum(str(bad) in sentence for sentence in said) == 1
    assert sum(missing in sentence for sentence in said) == 1
    assert "2 of 3 images could not be transcribed" in done.err and "root:" not in done.out + done.err


def test_all_formats_are_written_of_a_page_that_is_xml(tmp_path):
    done = call(OCR, "transcribe", put_page(tmp_path), "-f", "all", "-o", tmp_path / "out")
    assert done.status == 0, done.err
    written = {file.name for file in (tmp_path / "out").iterdir()}
    assert written >= {"page.txt", "page.alto.xml", "page.page.xml", "page.hocr", "page.pdf"}
