"""Pages that are read, scored line by line and as wholes."""

import json
import re
from dataclasses import replace

import pytest
from PIL import Image, ImageDraw

from common.text.document import Document, Line, Page, Passage, Point
from common.text.transcript import Transcript
from ocr.comparison.pages import compare_pages
from ocr.comparison.scores import score, summed
from ocr.formats.page_xml_writer import to_page_xml


def passage(text, x0, x1, y):
    return Passage(Transcript(text, 1.0, (), ()), Line((Point(x0, y), Point(x1, y)), 20.0, 6.0))


def document(*passages, image="page.png"):
    return Document(image, passages, "px", Page(500, 300, (), image))


ONE, TWO, THREE = (passage(text, 20, 480, y) for text, y in (("one", 60), ("two", 120), ("three", 180)))


def scored(truth, found):
    return score(truth, found, lambda text: text)


def counts(one):
    return one.missed, one.invented, one.merged, one.split


def test_a_page_read_without_a_fault_has_none():
    one = scored(document(ONE, TWO, THREE), document(ONE, TWO, THREE))
    assert counts(one) == (0, 0, 0, 0)
    assert (one.lines.f, one.in_order.errors, one.free.errors, one.successors) == (1, 0, 0, (2, 2))


def test_another_order_costs_order_alone():
    one = scored(document(ONE, TWO, THREE), document(TWO, ONE, THREE))
    assert counts(one) == (0, 0, 0, 0)
    assert one.free.errors == 0
    assert one.in_order.errors > 0
    assert one.successors == (0, 2)


def test_lines_that_are_missed_or_invented_cost_their_texts():
    one = scored(document(ONE, TWO), document(ONE, passage("four", 20, 480, 280)))
    assert counts(one) == (1, 1, 0, 0)
    assert (one.free.deletions, one.free.insertions, one.free.substitutions) == (3, 4, 0)


def test_a_split_line_is_one_text_from_left_to_right():
    found = document(passage("words", 250, 480, 60), passage("two", 20, 240, 60))
    one = scored(
        document(passage("two words", 20, 480, 60), THREE), replace(found, passages=(*found.passages, THREE))
    )
    assert counts(one) == (0, 0, 0, 1)
    assert one.free.errors == 0


def test_lines_that_are_merged_are_one_text_too():
    truth = document(passage("right", 250, 480, 60), passage("left", 20, 240, 60), THREE)
    one = scored(truth, document(passage("left right", 20, 480, 60), THREE))
    assert counts(one) == (0, 0, 2, 0)
    assert one.free.errors == 0


def test_a_line_without_a_text_in_the_truth_is_a_line_and_counts_in_no_text():
    one = scored(
        document(ONE, passage("", 20, 480, 120)), document(ONE, passage("read all the same", 20, 480, 120))
    )
    assert counts(one) == (0, 0, 0, 0)
    assert (one.in_order.errors, one.free.errors, one.free.reference) == (0, 0, 3)


def test_figures_of_pages_are_summed():
    good, bad = scored(document(ONE), document(ONE)), scored(document(TWO), document())
    figures = summed([good, bad])
    assert (figures["pages"], figures["lines"], figures["missed"]) == (2, 2, 1)
    assert (figures["precision"], figures["recall"]) == (1, 0.5)
    assert figures["cer_in_order"] == figures["cer_free_of_order"] == 0.5


class Reader:
    """A recognizer that reads every image as `passages`."""

    class alphabet:  # noqa: N801
        """Texts stay as they are."""

        normalise = staticmethod(str)

    def __init__(self, passages):
        self.passages = passages

    def documents(self, sources, refuse):
        for source in sources:
            yield Document(source, self.passages, "px", Page(500, 300))


@pytest.fixture
def folder(tmp_path):
    """A page of three lines of bars that stand on their baselines, one of which is drawn too high."""
    picture = Image.new("L", (500, 300), 235)
    draw = ImageDraw.Draw(picture)
    for y in (60, 120, 180):
        for x in range(22, 478, 8):
            draw.rectangle((x, y - 14, x + 4, y), fill=20)
    picture.save(tmp_path / "page.png")
    (tmp_path / "page.xml").write_text(to_page_xml(document(ONE, TWO, THREE)))
    return tmp_path


def test_pages_are_found_compared_and_reported(folder):
    (folder / "broken.xml").write_text("<PcGts>")
    refused = []
    compared = compare_pages(Reader((ONE, TWO, passage("thre", 20, 480, 180))), [str(folder)], refused.append)
    assert len(compared) == 1 and len(refused) == 1
    assert compared.lines()[1] == "3 lines of 1 page: 0 missed, 0 invented, 0 merged, 0 split"
    figures = json.loads(json.dumps(compared.to_dict()))
    assert figures["cer_free_of_order"] == pytest.approx(1 / 11)
    assert figures["by_page"][0]["source"] == str(folder / "page.xml")
    compared.write_report(folder / "report.html", "pages <x>")
    report = (folder / "report.html").read_text()
    targets = re.findall(r'<a href="#(tp0-\d)"><polygon id="(sp0-\d)"', report)
    assert len(targets) == 3
    for text, place in targets:
        assert f'id="{text}"' in report and f'href="#{place}"' in report
    assert "<small>read</small> thre<br>" in report
    assert "pages &lt;x&gt;" in report and "data:image/jpeg;base64," in report


def test_what_is_no_page_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no folder of pages and no XML file"):
        compare_pages(Reader(()), [str(tmp_path / "a.png")], lambda _: None)
