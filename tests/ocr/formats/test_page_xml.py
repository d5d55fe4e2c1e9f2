"""PAGE XML as several programs write it, read into documents."""

import math

import numpy as np
import pytest
from PIL import Image

from common.text.document import Point
from ocr.formats.page_xml import read_page_xml

NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/{}"


def page(body, version="2019-07-15", image="scan.png", size=(200, 100)):
    return (
        f'<PcGts xmlns="{NAMESPACE.format(version)}"><Metadata/><Page imageFilename="{image}" '
        f'imageWidth="{size[0]}" imageHeight="{size[1]}">{body}</Page></PcGts>'
    )


def line(identity="l1", y=50, text="words", custom="", baseline=None, coords=None):
    coords = f"10,{y - 20} 190,{y - 20} 190,{y + 5} 10,{y + 5}" if coords is None else coords
    baseline = f"10,{y} 190,{y}" if baseline is None else baseline
    return (
        f'<TextLine id="{identity}" custom="{custom}"><Coords points="{coords}"/>'
        f'<Baseline points="{baseline}"/><TextEquiv><Unicode>{text}</Unicode></TextEquiv></TextLine>'
    )


def region(identity, *lines, attributes="", inner=""):
    return (
        f'<TextRegion id="{identity}" {attributes}><Coords points="5,5 195,5 195,95 5,95"/>'
        f"{inner}{''.join(lines)}</TextRegion>"
    )


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a page with an image beside it: (document, notices)."""

    def read(content, size=(200, 100), name="page.xml"):
        Image.new("L", size, 255).save(tmp_path / "scan.png")
        (tmp_path / name).write_text(content, encoding="utf-8")
        notices = []
        return read_page_xml(tmp_path / name, notices.append), notices

    return read


@pytest.mark.parametrize("version", ["2013-07-15", "2016-07-15", "2017-07-15", "2018-07-15", "2019-07-15"])
def test_a_line_has_its_text_its_place_and_its_names(read, version, tmp_path):
    document, notices = read(page(region("r1", line(), attributes='type="heading"'), version))
    (passage,) = document.passages
    assert (passage.transcript.text, passage.name, passage.region) == ("words", "l1", "r1")
    assert passage.place.baseline == (Point(10, 50), Point(190, 50))
    assert (passage.place.above, passage.place.below) == (20, 5)
    assert len(passage.place.outline) == 4
    assert (document.unit, document.page.width_px, document.page.height_px) == ("px", 200, 100)
    assert document.page.image == str(tmp_path / "scan.png")
    assert [(one.name, one.kind) for one in document.page.regions] == [("r1", "heading")]
    assert notices == []


def test_the_type_in_custom_goes_before_the_type_of_page(read):
    attributes = 'type="paragraph" custom="readingOrder {index:0;} structure {score:1; type:marginalia;}"'
    document, _ = read(page(region("r1", line(), attributes=attributes)))
    assert document.page.regions[0].kind == "marginalia"


def test_points_before_2013_are_elements(read):
    corners = "".join(f'<Point x="{x}" y="{y}"/>' for x, y in ((10, 30), (190, 30), (190, 55), (10, 55)))
    body = (
        f'<TextRegion id="r"><Coords>{corners}</Coords><TextLine id="l"><Coords>{corners}</Coords>'
        "<TextEquiv><Unicode>old</Unicode></TextEquiv></TextLine></TextRegion>"
    )
    document, _ = read(page(body, "2010-03-19"))
    (passage,) = document.passages
    assert passage.place.box == (10, 30, 190, 55)
    # the baseline is a fifth of the height from below
    assert np.array(passage.place.baseline) == pytest.approx(np.array([[10, 50], [190, 50]]))


def test_coordinates_are_scaled_to_the_image(read):
    document, notices = read(page(region("r1", line())), size=(400, 200))
    place = document.passages[0].place
    assert place.baseline == (Point(20, 100), Point(380, 100))
    assert (place.above, place.below) == (40, 10)
    assert notices == []


def test_an_image_of_another_shape_is_said(read):
    _, (notice,) = read(page(region("r1", line())), size=(400, 100))
    assert "another shape" in notice


def test_the_reading_order_has_groups_within_groups(read):
    order = (
        '<ReadingOrder><OrderedGroup id="g"><RegionRefIndexed index="2" regionRef="a"/>'
        '<OrderedGroupIndexed id="h" index="1"><RegionRefIndexed index="1" regionRef="b"/>'
        '<RegionRefIndexed index="0" regionRef="c"/></OrderedGroupIndexed>'
        '<UnorderedGroupIndexed id="i" index="0"><RegionRef regionRef="d"/></UnorderedGroupIndexed>'
        "</OrderedGroup></ReadingOrder>"
    )
    body = "".join(region(one, line(f"l{one}", text=one)) for one in "abecd")
    document, _ = read(page(order + body))
    assert document.text.split() == ["d", "c", "b", "a", "e"]
    assert [one.name for one in document.page.regions] == ["d", "c", "b", "a", "e"]


def test_the_order_that_transkribus_keeps_in_custom_is_used(read):
    lines = [line(f"l{at}", text=str(at), custom=f"readingOrder {{index:{2 - at};}}") for at in range(3)]
    second = region("r1", *lines, attributes='custom="readingOrder {index:1;}"')
    first = region("r2", line("x", text="first"), attributes='custom="readingOrder {index:0;}"')
    document, _ = read(page(second + first))
    assert document.text.split() == ["first", "2", "1", "0"]


def test_cells_of_tables_and_regions_in_regions_are_read_in_place(read):
    cell = '<TableCell id="{0}" row="0" col="0"><Coords points="5,5 9,5 9,9"/>{1}</TableCell>'
    table = (
        '<TableRegion id="t"><Coords points="5,5 195,5 195,95"/>'
        + cell.format("c1", line("a", text="one"))
        + cell.format("c2", line("b", text="two"))
        + "</TableRegion>"
    )
    inner = region("inner", line("c", text="three"))
    document, _ = read(page(table + region("outer", line("d", text="four"), inner=inner)))
    assert {passage.region: passage.transcript.text for passage in document.passages} == {
        "c1": "one", "c2": "two", "inner": "three", "outer": "four",
    }  # fmt: skip
    kinds = {one.name: one.kind for one in document.page.regions}
    assert (kinds["t"], kinds["c1"]) == ("table", "cell")


def test_the_text_of_the_lowest_index_is_read_and_its_confidence(read):
    texts = (
        '<TextEquiv index="1" conf="0.9"><Unicode>second</Unicode></TextEquiv>'
        '<TextEquiv index="0" conf="0.5"><Unicode>first</Unicode></TextEquiv>'
    )
    body = line().replace("<TextEquiv><Unicode>words</Unicode></TextEquiv>", texts)
    transcript = read(page(region("r", body)))[0].passages[0].transcript
    assert (transcript.text, transcript.confidence) == ("first", 0.5)


def test_words_give_the_text_of_a_line_and_have_places_along_it(read):
    word = (
        '<Word id="w{0}"><Coords points="{0},30 {1},30 {1},55 {0},55"/>'
        '<TextEquiv conf="0.75"><Unicode>{2}</Unicode></TextEquiv></Word>'
    )
    words = word.format(10, 60, "two") + word.format(70, 190, "words")
    body = line().replace("<TextEquiv><Unicode>words</Unicode></TextEquiv>", words)
    transcript = read(page(region("r", body)))[0].passages[0].transcript
    assert transcript.text == "two words"
    assert [(one.text, one.start, one.end, one.confidence) for one in transcript.words] == [
        ("two", 0.0, 50.0, 0.75),
        ("words", 60.0, 180.0, 0.75),
    ]


def test_entities_of_xml_and_other_scripts_are_texts(read):
    document, _ = read(page(region("r", line(text="A &amp; B &lt; &#x5D0;"))))
    assert document.text == "A & B < א"


# --- what is wrong in files


def test_points_outside_of_the_image_are_moved_to_its_edge_and_said(read):
    body = line(coords="-40,30 900,30 900,55 -40,55", baseline="-40,50 900,50")
    document, (notice,) = read(page(region("r", body)))
    assert "outside of the image" in notice and notice.endswith(": l1")
    assert document.passages[0].place.box == (0, 30, 200, 55)


@pytest.mark.parametrize("baseline", ["", "10,50", "10,50 10,50", "10"])
def test_a_line_without_a_usable_baseline_takes_one_from_its_outline(read, baseline):
    document, notices = read(page(region("r", line(baseline=baseline))))
    (passage,) = document.passages
    assert np.array(passage.place.baseline) == pytest.approx(np.array([[10, 50], [190, 50]]))
    assert len(notices) == (baseline not in ("", "10"))


def test_a_line_of_one_point_is_left_out_and_said_and_the_others_are_read(read):
    body = line("bad", coords="", baseline="10,50") + line("good", y=80)
    document, (notice,) = read(page(region("r", body)))
    assert [passage.name for passage in document.passages] == ["good"]
    assert "left out: bad" in notice


def test_an_outline_that_crosses_itself_becomes_one_that_does_not(read):
    body = line(coords="10,30 190,55 190,30 10,55")
    document, (notice,) = read(page(region("r", body)))
    place = document.passages[0].place
    assert "cross themselves" in notice
    assert place.box == pytest.approx((10, 30, 190, 55))
    assert math.isclose(place.above, 20) and math.isclose(place.below, 5)
    area = 0.5 * abs(
        sum(
            a.x * b.y - b.x * a.y
            for a, b in zip(place.outline, (*place.outline[1:], place.outline[0]), strict=True)
        )
    )
    assert 0 < area < 180 * 25  # the two triangles, not the box; a crossing polygon would have area 0


def test_ids_that_stand_twice_are_told_apart_and_said(read):
    document, (notice,) = read(page(region("r", line("l"), line("l", y=80))))
    assert [passage.name for passage in document.passages] == ["l", "l-2"]
    assert "more than once" in notice


def test_a_page_without_its_image_is_read_in_the_stated_size(tmp_path):
    (tmp_path / "page.xml").write_text(page(region("r", line()), image="gone.png"))
    notices = []
    document = read_page_xml(tmp_path / "page.xml", notices.append)
    assert (document.page.image, document.page.width_px, document.page.height_px) == ("", 200, 100)
    assert len(notices) == 1 and "'gone.png' was not found" in notices[0]


@pytest.mark.parametrize("content", ["<alto/>", "<PcGts/>", "<html/>"])
def test_xml_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "page.xml").write_text(content)
    with pytest.raises(ValueError, match="is no PAGE XML of a page"):
        read_page_xml(tmp_path / "page.xml")


def test_a_line_without_outline_has_the_heights_of_the_others(read):
    bare = line("bare", y=80, coords="")
    document, notices = read(page(region("r", line(), bare)))
    assert (document.passages[1].place.above, document.passages[1].place.below) == (20, 5)
    assert notices == []


def test_an_outline_much_flatter_than_the_others_is_not_used_and_said(read):
    flat = line("flat", y=80, coords="10,79 190,79 190,81 10,81")
    document, (notice,) = read(page(region("r", line(), line("m", y=60), flat)))
    assert (document.passages[2].place.above, document.passages[2].place.below) == (20, 5)
    assert notice.endswith("not used: flat")


def test_a_baseline_that_turns_back_ends_where_it_turns_and_it_is_said(read):
    document, (notice,) = read(page(region("r", line(baseline="10,50 190,50 150,48"))))
    place = document.passages[0].place
    assert place.baseline == (Point(10, 50), Point(190, 50))
    assert (place.above, place.below) == (20, 5)
    assert "turn back" in notice and notice.endswith(": l1")


def test_a_baseline_drawn_from_right_to_left_is_turned(read):
    document, _ = read(page(region("r", line(baseline="190,50 10,50"))))
    place = document.passages[0].place
    assert place.baseline == (Point(10, 50), Point(190, 50))
    assert (place.above, place.below) == (20, 5)
