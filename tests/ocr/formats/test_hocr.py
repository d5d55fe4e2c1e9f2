from xml.etree import ElementTree

from common.text.document import Document, Line, Page, Passage, Point, Region
from common.text.transcript import Character, Transcript
from ocr.formats.hocr import to_hocr

NAMESPACE = "{http://www.w3.org/1999/xhtml}"


def passage(text: str, left: float, baseline: float, **settings: str) -> Passage:
    """Return a line whose characters are 10 px wide, 20 px above its baseline and 5 px below it."""
    characters = [Character(one, 10.0 * i, 10.0 * i + 10, 0.5) for i, one in enumerate(text)]
    line = Line((Point(left, baseline), Point(left + 10 * len(text), baseline)), 20.0, 5.0)
    return Passage(Transcript.from_characters(characters, unit="px"), line, **settings)


def elements(document: Document) -> list[tuple[str, str, str]]:
    """Return class, title and text of every element with a class, in order."""
    root = ElementTree.fromstring(to_hocr(document).split("\n", 2)[2])  # without the DOCTYPE
    found = [one for one in root.iter() if one.get("class")]
    return [(one.get("class", ""), one.get("title", ""), (one.text or "").strip()) for one in found]


def test_lines_and_words_have_the_boxes_of_their_places():
    page = Page(300, 200, image='a "b".png', dpi=150.0)
    document = Document("a.png", (passage("ab cd", 30.5, 100.0),), "px", page)
    assert elements(document) == [
        ("ocr_page", 'image "a \\"b\\".png"; bbox 0 0 300 200; ppageno 0; scan_res 150 150', ""),
        ("ocr_carea", "bbox 30 80 81 105", ""),
        ("ocr_line", "bbox 30 80 81 105; baseline 0.000 -5", ""),
        ("ocrx_word", "bbox 30 80 51 105; x_wconf 25", "ab"),
        ("ocrx_word", "bbox 60 80 81 105; x_wconf 25", "cd"),
    ]


def test_passages_of_a_region_are_in_its_area():
    outline = (Point(5, 5), Point(200, 5), Point(200, 120), Point(5, 120))
    page = Page(300, 200, (Region("r1", outline),))
    passages = (passage("a", 10, 50, region="r1"), passage("b", 10, 90, region="r1"), passage("c", 9, 180))
    areas = [title for kind, title, _ in elements(Document("a", passages, "px", page)) if kind == "ocr_carea"]
    assert areas == ["bbox 5 5 200 120", "bbox 9 160 19 185"]


def test_a_slanted_line_has_a_slope_and_an_offset_from_its_corner():
    line = Line((Point(100, 100), Point(200, 110)), 20.0, 5.0)
    document = Document("a", (Passage(Transcript("x", 1.0, (), ()), line),), "px", Page(400, 400))
    (title,) = [title for kind, title, _ in elements(document) if kind == "ocr_line"]
    left, bottom = line.box[0], line.box[3]
    slope, offset = (float(number) for number in title.split("baseline ")[1].split())
    assert slope == 0.1
    assert abs(bottom + offset - (100 + 0.1 * (left - 100))) < 1  # the baseline at the left edge of the box


def test_a_page_without_writing_is_a_page():
    assert elements(Document("a.png", (), "px", Page(30, 20))) == [
        ("ocr_page", 'image "a.png"; bbox 0 0 30 20; ppageno 0', "")
    ]


def test_text_and_names_of_any_kind_leave_xml_that_can_be_read():
    document = Document("<&\x01>.png", (passage("a<b&\x02'\"", 0, 50),), "px", Page(100, 60))
    assert elements(document)[-1][2] == "a<b& '\""


def test_a_line_that_is_read_from_right_to_left_says_so():
    assert 'class="ocr_line" id="line_1_1" dir="rtl"' in to_hocr(
        Document("a", (passage("שלום", 0, 50),), "px", Page(100, 60))
    )


def test_the_head_has_what_the_specification_recommends():
    """hOCR 1.2, section "Metadata": the system, its capabilities, the languages and the number of pages."""
    written = to_hocr(Document("a.png", (), "px", Page(30, 20), language="de"))
    root = ElementTree.fromstring(written.split("\n", 2)[2])
    found = {one.get("name"): one.get("content") for one in root.iter(NAMESPACE + "meta") if one.get("name")}
    assert found.keys() == {"ocr-system", "ocr-capabilities", "ocr-langs", "ocr-number-of-pages"}
    assert (found["ocr-langs"], found["ocr-number-of-pages"]) == ("de", "1")
