"""ALTO as several programs write it, read into documents."""

import numpy as np
import pytest
from PIL import Image

from common.text.document import Point
from ocr.formats.alto import read_alto


def alto(blocks, unit="pixel", size='WIDTH="200" HEIGHT="100"', head="", image="scan.png", version=4):
    return (
        f'<alto xmlns="http://www.loc.gov/standards/alto/ns-v{version}#"><Description>'
        f"<MeasurementUnit>{unit}</MeasurementUnit><sourceImageInformation><fileName>{image}</fileName>"
        f'</sourceImageInformation></Description>{head}<Layout><Page ID="p" {size}>'
        f"<PrintSpace>{blocks}</PrintSpace></Page></Layout></alto>"
    )


def box(left, top, width, height):
    return f'HPOS="{left}" VPOS="{top}" WIDTH="{width}" HEIGHT="{height}"'


def block(identity, *lines, attributes=""):
    return f'<TextBlock ID="{identity}" {box(5, 5, 190, 90)} {attributes}>{"".join(lines)}</TextBlock>'


def line(identity="l1", content='<String CONTENT="words"/>', baseline="10 50 190 50", y=30):
    return f'<TextLine ID="{identity}" {box(10, y, 180, 25)} BASELINE="{baseline}">{content}</TextLine>'


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a page with an image beside it: (document, notices)."""

    def read(content, size=(200, 100), dpi=None):
        Image.new("L", size, 255).save(tmp_path / "scan.png", **({"dpi": (dpi, dpi)} if dpi else {}))
        (tmp_path / "page.xml").write_text(content, encoding="utf-8")
        notices = []
        return read_alto(tmp_path / "page.xml", notices.append), notices

    return read


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("baseline", ["10 50 190 50", "10,50 190,50", "10,50 100,50 190,50", "50", "50.0"])
def test_a_baseline_is_points_in_either_spelling_or_one_height(read, version, baseline):
    document, notices = read(alto(block("b", line(baseline=baseline)), version=version))
    (passage,) = document.passages
    assert (passage.place.baseline[0], passage.place.baseline[-1]) == (Point(10, 50), Point(190, 50))
    assert (passage.place.above, passage.place.below) == (20, 5)
    assert (passage.transcript.text, passage.name, passage.region) == ("words", "l1", "b")
    assert notices == []


def test_a_line_without_baseline_gets_one_from_its_box(read):
    document, notices = read(alto(block("b", line(baseline=""))))
    assert np.array(document.passages[0].place.baseline) == pytest.approx(np.array([[10, 50], [190, 50]]))
    assert notices == []


def test_a_polygon_goes_before_the_box(read):
    shape = '<Shape><Polygon POINTS="10 40 190 40 190 52 10 52"/></Shape><String CONTENT="a"/>'
    document, _ = read(alto(block("b", line(content=shape))))
    assert document.passages[0].place.box == (10, 40, 190, 52)
    assert (document.passages[0].place.above, document.passages[0].place.below) == (10, 2)


@pytest.mark.parametrize(
    "unit, size, image, dpi",
    [
        ("mm10", 'WIDTH="200" HEIGHT="100"', (400, 200), None),  # the image gives the scale
        ("mm10", "", (400, 200), 508),  # 508 pixels in 254 tenths of a millimetre
        ("inch1200", "", (400, 200), 2400),
        ("pixel", 'WIDTH="200" HEIGHT="100"', (400, 200), None),
    ],
)
def test_units_become_pixels_of_the_image(read, unit, size, image, dpi):
    document, _ = read(alto(block("b", line()), unit, size), image, dpi)
    x0, y0, x1, y1 = document.passages[0].place.box
    assert (x0, y0, x1, y1) == pytest.approx((20, 60, 380, 110), rel=0.001)


def test_strings_blanks_and_hyphens_are_the_text_and_words_have_places(read):
    content = (
        f'<String CONTENT="two" WC="0.5" {box(10, 30, 50, 25)}/><SP {box(60, 30, 10, 25)}/>'
        f'<String CONTENT="wo" WC="0.25" SUBS_TYPE="HypPart1" SUBS_CONTENT="words" {box(70, 30, 100, 25)}/>'
        f'<HYP CONTENT="-" {box(170, 30, 20, 25)}/>'
    )
    transcript = read(alto(block("b", line(content=content))))[0].passages[0].transcript
    assert (transcript.text, transcript.confidence) == ("two wo-", 0.375)
    assert [(word.text, word.start, word.end) for word in transcript.words] == [
        ("two", 0, 50),
        ("wo-", 60, 180),
    ]


def test_a_file_without_any_sp_has_blanks_between_its_strings(read):
    content = '<String CONTENT="no"/><String CONTENT="blanks"/>'
    document, _ = read(alto(block("b", line(content=content))))
    assert document.text == "no blanks"


def test_a_file_with_sp_says_where_blanks_are(read):
    both = line("l1", '<String CONTENT="a"/><SP/><String CONTENT="b"/>') + line(
        "l2", '<String CONTENT="1"/><String CONTENT="2"/>', "10 80 190 80", 60
    )
    assert read(alto(block("b", both)))[0].text == "a b\n12"


def test_a_string_that_holds_a_whole_line_is_no_word(read):
    content = f'<String CONTENT="a whole line" {box(10, 30, 180, 25)}/>'
    transcript = read(alto(block("b", line(content=content))))[0].passages[0].transcript
    assert (transcript.text, transcript.words) == ("a whole line", ())


def test_characters_are_read_where_every_word_has_them(read):
    glyphs = "".join(
        f'<Glyph CONTENT="{letter}" GC="0.5" {box(10 + 10 * at, 30, 10, 25)}/>'
        for at, letter in enumerate("ab")
    )
    content = f'<String CONTENT="ab" {box(10, 30, 20, 25)}>{glyphs}</String>'
    transcript = read(alto(block("b", line(content=content))))[0].passages[0].transcript
    assert [(one.text, one.start, one.end, one.confidence) for one in transcript.characters] == [
        ("a", 0, 10, 0.5),
        ("b", 10, 20, 0.5),
    ]


def test_tags_give_the_types_of_blocks(read):
    head = '<Tags><OtherTag ID="T1" LABEL="MarginTextZone"/><LayoutTag ID="T2" LABEL="x"/></Tags>'
    blocks = block("a", line(), attributes='TAGREFS="T1 T2"') + f'<Illustration ID="i" {box(1, 1, 9, 9)}/>'
    document, _ = read(alto(blocks, head=head))
    assert [(one.name, one.kind) for one in document.page.regions] == [
        ("a", "MarginTextZone"),
        ("i", "image"),
    ]


def test_the_reading_order_may_name_blocks_or_lines(read):
    blocks = block("a", line("l1"), line("l2", '<String CONTENT="two"/>', "10 80 190 80", 60)) + block(
        "b", line("l3", '<String CONTENT="three"/>')
    )
    order = "<ReadingOrder><OrderedGroup ID='o'>{}</OrderedGroup></ReadingOrder>"
    by_block = order.format('<ElementRef ID="x" REF="b"/><ElementRef ID="y" REF="a"/>')
    by_line = order.format("".join(f'<ElementRef ID="{at}" REF="{at}"/>' for at in ("l2", "l3", "l1")))
    assert read(alto(blocks, head=by_block))[0].text.split() == ["three", "words", "two"]
    assert read(alto(blocks, head=by_line))[0].text.split() == ["two", "three", "words"]


def test_blocks_within_blocks_and_in_margins_are_read(read):
    content = alto(f'<ComposedBlock ID="c" TYPE="table">{block("b", line())}</ComposedBlock>').replace(
        "<PrintSpace>", f"<TopMargin>{block('top', line('t'))}</TopMargin><PrintSpace>"
    )
    document, _ = read(content)
    assert [passage.region for passage in document.passages] == ["top", "b"]
    assert [one.kind for one in document.page.regions] == ["", "table", ""]


def test_an_image_that_is_missing_leaves_the_stated_size(tmp_path):
    (tmp_path / "page.xml").write_text(alto(block("b", line()), "mm10", 'WIDTH="254" HEIGHT="508"'))
    notices = []
    document = read_alto(tmp_path / "page.xml", notices.append)
    assert (document.page.width_px, document.page.height_px, document.page.image) == (300, 600, "")
    assert len(notices) == 1


def test_a_file_without_image_and_size_is_refused(tmp_path):
    (tmp_path / "page.xml").write_text(alto(block("b", line()), size=""))
    with pytest.raises(ValueError, match=r"was not found .*the size of the page is not stated either"):
        read_alto(tmp_path / "page.xml")


@pytest.mark.parametrize("content", ["<PcGts/>", "<alto/>", "<a/>"])
def test_xml_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "page.xml").write_text(content)
    with pytest.raises(ValueError, match="is no ALTO of a page"):
        read_alto(tmp_path / "page.xml")
