import errno
import re
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text.metrics import ErrorRate, edits
from common.text.rendering import Rendering
from common.text.report import aligned, visible, write_report

PNG = b"\x89PNG the picture of "
MP3 = b"ID3 the sound of "
VOID = {"meta", "img", "input"}


class Page(HTMLParser):
    """The tags, attributes and text of a page, of which every tag must be closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def all(self, tag, attribute):
        return [
            attributes[attribute] for name, attributes in self.tags if name == tag and attribute in attributes
        ]


def shown(source: str) -> Rendering:
    if source.endswith("gone"):
        raise ValueError(f"{source}: no such file; restore it")
    return Rendering(PNG + source.encode(), MP3 + source.encode() if source.endswith(".wav") else None)


def report(folder: Path, pairs: dict[str, tuple[str, str]], facts: dict[str, str] | None = None) -> Page:
    rate = ErrorRate()
    for source, (reference, hypothesis) in pairs.items():
        rate.add(reference, hypothesis, source)
    write_report(folder / "r.html", "A <title> & more", rate, shown, facts or {})
    assert list(folder.iterdir()) == [folder / "r.html"]
    return Page(folder / "r.html")


def test_items_stand_worst_first(tmp_path):
    pairs = {
        "right": ("abcd", "abcd"),
        "half": ("ab", "ax"),
        "also half, more errors": ("abcd", "xxcd"),
        "infinite": ("", "ghost"),
        "quarter": ("abcd", "abcx"),
    }
    page = report(tmp_path, pairs)
    sources = [text.split("\n")[0] for text in page.all("article", "data-text")]
    assert sources == ["infinite", "also half, more errors", "half", "quarter", "right"]
    assert [attributes["class"] for tag, attributes in page.tags if tag == "article"] == ["wrong"] * 4 + [
        "right"
    ]


def test_the_page_holds_its_pictures_and_sounds_and_asks_for_nothing_else(tmp_path):
    page = report(tmp_path, {"a.png": ("a", "a"), "b.wav": ("b", "c")})
    pictures, sounds = page.all("img", "src"), page.all("audio", "src")
    assert [b64decode(url.removeprefix("data:image/png;base64,")) for url in pictures] == [
        PNG + b"b.wav",
        PNG + b"a.png",
    ]
    assert [b64decode(url.removeprefix("data:audio/mpeg;base64,")) for url in sounds] == [MP3 + b"b.wav"]
    assert not re.search(r"https?://|@import|url\(", (tmp_path / "r.html").read_text())


def test_texts_names_and_facts_are_shown_and_not_interpreted(tmp_path):
    evil = "<script>alert('1')</script>&amp;\""
    page = report(tmp_path, {evil: (evil, evil)}, {evil: evil})
    assert page.text.count(evil) >= 2 + 1  # the facts, the source
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "A <title> & more" in page.text


def test_the_scores_and_facts_stand_at_the_top(tmp_path):
    page = report(tmp_path, {"a": ("abcd efgh", "abcd efgx"), "b": ("i", "i")}, {"model": "best.safetensors"})
    assert "10.00 %" in page.text  # 1 of 10 characters
    assert "33.33 %" in page.text  # 1 of 3 words
    assert "50.00 %" in page.text  # 1 of 2 texts
    assert "best.safetensors" in page.text
    assert page.text.index("best.safetensors") < page.text.index("h → x")


def test_what_cannot_be_shown_says_why_and_the_others_are_shown(tmp_path):
    page = report(tmp_path, {"gone": ("a", "b"), "a.png": ("a", "a")})
    assert "not shown: gone: no such file; restore it" in page.text
    assert len(page.all("img", "src")) == 1


def test_confusions_make_spaces_and_nothing_visible(tmp_path):
    page = report(tmp_path, {"a": ("a b", "ab"), "b": ("c", "c\u0301"), "c": ("d", "d\u200b")})
    assert "␣ → ∅" in page.text
    assert "∅ → ◌\u0301" in page.text
    assert "∅ → ⟨U+200B⟩" in page.text
    assert "nothing → U+0301 COMBINING ACUTE ACCENT" in page.all("li", "title")


def test_a_page_without_items_is_a_page(tmp_path):
    assert "no texts" in report(tmp_path, {}).text


def test_a_file_name_that_is_not_utf8_does_not_stop_the_page(tmp_path):
    rate = ErrorRate()
    rate.add("a", "b", "caf\udce9.png")
    write_report(tmp_path / "r.html", "t", rate, lambda source: Rendering(PNG), {})
    assert r"caf\udce9.png" in Page(tmp_path / "r.html").text


def test_an_error_on_the_way_leaves_the_old_page_and_no_half_one(tmp_path):
    (tmp_path / "r.html").write_text("old")
    rate = ErrorRate()
    rate.add("a", "b", "a.png")

    def broken(source: str) -> Rendering:
        raise MemoryError

    with pytest.raises(MemoryError):
        write_report(tmp_path / "r.html", "t", rate, broken, {})
    assert (tmp_path / "r.html").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "r.html"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_is_an_error():
    with pytest.raises(OSError) as error:
        write_report("/dev/full", "t", ErrorRate(), shown, {})
    assert error.value.errno == errno.ENOSPC


TEXT = st.text("ab c\u0301é", max_size=12)


@given(TEXT, TEXT)
def test_an_alignment_holds_both_texts_and_the_fewest_edits(reference, hypothesis):
    cells = [cell for group in aligned(reference, hypothesis) for cell in group]
    assert "".join(cell.reference for cell in cells) == reference
    assert "".join(cell.hypothesis for cell in cells) == hypothesis
    differing = (max(len(cell.reference), len(cell.hypothesis)) for cell in cells if cell.kind != "equal")
    assert sum(differing) == edits(reference, hypothesis).errors
    assert all((cell.kind == "equal") == (cell.reference == cell.hypothesis) for cell in cells)


def test_an_alignment_breaks_after_spaces_and_pairs_what_was_substituted():
    groups = aligned("to be cold", "to ba col")
    assert [[tuple(cell) for cell in group] for group in groups] == [
        [("equal", "to ", "to ")],
        [("equal", "b", "b"), ("replace", "e", "a"), ("equal", " ", " ")],
        [("equal", "col", "col"), ("delete", "d", "")],
    ]


def test_what_would_not_be_seen_is_made_visible():
    assert visible("a b") == "a␣b"
    assert visible("\u00a0\t") == "⟨U+00A0⟩⟨U+0009⟩"
    assert visible("\u0301") == "◌\u0301"
    assert visible("") == ""
