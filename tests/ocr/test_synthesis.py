"""Drawn lines look like lines, are a corpus, and depend only on the seed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocr.corpora import CorpusConfig, read_corpus
from ocr.drawing.fonts import families, find_fonts, shows
from ocr.drawing.lines import draw_line, draw_placed_line, write_drawn_lines
from ocr.drawing.texts import COMMON_WORDS, Mixture, draw_texts
from ocr.drawing.typesetting import Run, in_several_types
from ocr.signal import SignalConfig, read
from ocr.synthesis import Draw, draw

CONFIG = CorpusConfig()


@pytest.mark.parametrize("height", [32, 64])
def test_a_drawn_line_shows_its_text_on_paper(height):
    rng = np.random.default_rng(0)
    for font in [None, *find_fonts()[:4]]:
        image = draw_line("Zwei Wörter", font, rng, height)
        assert image.mode == "L"
        assert image.height == height
        grey = np.asarray(image, dtype=float)
        middle, paper = grey[height // 4 : -height // 4], np.median(grey)
        assert middle.min() < paper - 60
        assert (middle < paper - 40).mean() < 0.5
        assert grey[:, -2:].mean() == pytest.approx(paper, abs=25)  # a margin: no letter is cut off


def test_more_text_is_a_longer_line():
    short, long = (draw_line(text, None, np.random.default_rng(1)) for text in ("word", "word word word"))
    assert long.width > 1.8 * short.width


def test_an_invisible_text_is_refused():
    for text in ("", " "):
        with pytest.raises(ValueError, match="write letters"):
            draw_line(text, None, np.random.default_rng(0))


def test_drawn_lines_are_a_corpus_that_is_read(tmp_path):
    texts = ["one two", "drei", "quatre œufs"]
    write_drawn_lines(tmp_path / "lines", texts, count=7, seed=1)
    corpus = read_corpus(str(tmp_path / "lines"), CONFIG)
    assert corpus.problems == []
    assert [example.text for example in corpus.examples] == [texts[i % 3] for i in range(7)]
    for example in corpus.examples:
        values = read(example.source, SignalConfig(detect_inverted=True)).values
        assert np.median(values) < 0.15
        assert values.max() == 1


@pytest.mark.parametrize("height", [32, 64])
def test_the_ink_is_where_it_is_said_to_be(height):
    for seed, font in enumerate([None, *find_fonts()[:4]]):
        line = draw_placed_line([Run("lo it", font)], np.random.default_rng(seed), height)
        grey = np.asarray(line.image, dtype=float)
        paper = np.median(grey)
        dark = (grey < paper - 0.45 * (paper - grey.min())).sum(axis=0) > 1
        said = np.zeros(len(dark), bool)
        for _, start, end in line.characters:
            said[round(start) : round(end)] = True
        lean = 0.12 * height + 1
        assert [character for character, _, _ in line.characters] == list("loit")
        assert np.flatnonzero(dark)[[0, -1]] == pytest.approx(np.flatnonzero(said)[[0, -1]], abs=lean)
        first, last = line.characters[1][2], line.characters[2][1]
        assert not dark[round(first + lean) : round(last - lean)].any()


def test_a_manifest_says_where_words_and_characters_are(tmp_path):
    write_drawn_lines(tmp_path, ["ab c"], count=2, seed=1)
    corpus = read_corpus(str(tmp_path / "places.jsonl"), CONFIG)
    assert [(Path(example.source).name, example.text) for example in corpus.examples] == [
        ("00000.png", "ab c"),
        ("00001.png", "ab c"),
    ]
    for line in (tmp_path / "places.jsonl").read_text().splitlines():
        fields = json.loads(line)
        (a, b, c), words = fields["characters"], fields["words"]
        assert [a[0], b[0], c[0]] == ["a", "b", "c"]
        assert words == [["ab", a[1], b[2]], ["c", c[1], c[2]]]
        assert 0 < a[1] < a[2] < b[2] < c[1] < c[2]


def test_the_seed_decides_every_pixel(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        draw(Draw(tmp_path / name, count=5, seed=seed))
    a, b, c = ([path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in "abc")
    assert a == b
    assert all(one != other for one, other in zip(a, c, strict=True))


def test_drawn_words_come_from_the_list_the_file_or_the_letters(tmp_path):
    (tmp_path / "words.txt").write_text("Ein Text\nmit Zeilen", encoding="utf-8")
    cases = {
        "list": (Draw(tmp_path / "list", 20), set(COMMON_WORDS.split())),
        "file": (Draw(tmp_path / "file", 20, text=tmp_path / "words.txt"), {"Ein", "Text", "mit", "Zeilen"}),
    }
    for command, words in cases.values():
        draw(command)
        texts = [example.text or "" for example in read_corpus(str(command.folder), CONFIG).examples]
        assert len(texts) == 20
        assert all(1 <= len(text.split()) <= 4 and set(text.split()) <= words for text in texts)
    draw(Draw(tmp_path / "letters", 20, letters="abc"))
    texts = [example.text or "" for example in read_corpus(str(tmp_path / "letters"), CONFIG).examples]
    assert set("".join(texts)) == set("abc ")


def test_figures_stand_for_their_share_of_the_words(tmp_path):
    draw(Draw(tmp_path / "lines", 20, length=(40, 60), figures=0.5))
    texts = [example.text or "" for example in read_corpus(str(tmp_path / "lines"), CONFIG).examples]
    words = [word for text in texts for word in text.split()]
    share = sum(word not in COMMON_WORDS.split() for word in words) / len(words)
    assert 0.3 < share < 0.75
    assert 30 < np.mean([len(text) for text in texts]) < 70


def test_clean_lines_are_even_and_of_many_heights(tmp_path):
    draw(Draw(tmp_path / "lines", 12, clean=1.0))
    images = [Image.open(path).convert("L") for path in sorted((tmp_path / "lines").glob("*.png"))]
    assert len({image.height for image in images}) > 4
    assert all(20 <= image.height <= 64 for image in images)
    for image in images:
        corner = np.asarray(image)[:2, :2]
        assert corner.min() == corner.max() == np.asarray(image).max()  # no grain on the ground


def test_fonts_are_those_of_the_folder_that_is_named(tmp_path):
    with pytest.raises(ValueError, match="no font in it"):
        find_fonts(tmp_path)
    (tmp_path / "a.ttf").touch()
    assert find_fonts(tmp_path) == [tmp_path / "a.ttf"]


def test_the_common_words_have_every_letter():
    assert set(COMMON_WORDS) == set("abcdefghijklmnopqrstuvwxyz \n")


def test_lines_that_cannot_be_drawn_are_refused_before_any_is(tmp_path):
    with pytest.raises(ValueError, match="no font here has all its characters"):
        write_drawn_lines(tmp_path / "lines", ["fine", "\u0378"], count=2, seed=1)
    assert list((tmp_path / "lines").iterdir()) == []


def test_other_files_are_not_mixed_with_drawn_lines(tmp_path):
    write_drawn_lines(tmp_path, ["x"], count=3, seed=1)
    write_drawn_lines(tmp_path, ["y"], count=3, seed=1)  # the same names: written anew
    with pytest.raises(ValueError, match=r"00002\.gt\.txt"):
        write_drawn_lines(tmp_path, ["x"], count=2, seed=1)


@pytest.mark.parametrize(
    "command", [{"text": "missing.txt"}, {"text": "empty.txt"}, {"count": 0}, {"text": "a", "letters": "b"}]
)
def test_commands_that_make_no_sense_are_refused(tmp_path, command):
    (tmp_path / "empty.txt").write_text(" \n")
    if "text" in command:
        command = {**command, "text": tmp_path / command["text"]}
    with pytest.raises(ValueError, match=r"wanted|name a text file"):
        draw(Draw(tmp_path / "lines", **command))


def test_the_module_is_a_command(tmp_path):
    root = Path(__file__).parents[2]
    words = [
        sys.executable,
        "-m",
        "ocr.synthesis",
        "lines",
        str(tmp_path / "lines"),
        "--count",
        "2",
        "--seed",
        "7",
    ]
    subprocess.run(words, check=True, cwd=root, capture_output=True)
    assert len(list((tmp_path / "lines").glob("*.png"))) == 2
    again = subprocess.run([*words[:-3], "1"], check=False, cwd=root, capture_output=True, text=True)
    assert again.returncode == 1
    assert again.stderr.startswith(f"error: {tmp_path / 'lines'}: already holds 00001.gt.txt")


def texts_of(folder: Path) -> list[str]:
    return [example.text or "" for example in read_corpus(str(folder), CONFIG).examples]


def test_entries_are_lines_of_a_catalogue(tmp_path):
    draw(Draw(tmp_path / "lines", 40, entries=1.0))
    texts = texts_of(tmp_path / "lines")
    assert sum(bool(re.match(r"\*?[0-9]+[.)]? [a-z]", text)) for text in texts) > 20
    assert sum(bool(re.search(r"[(\[][0-9]+[)\]]", text)) for text in texts) > 12
    assert sum(text.endswith(("–", "—")) for text in texts) > 5
    assert all(set(re.findall("[a-z]+", text)) & set(COMMON_WORDS.split()) for text in texts)


def test_an_entry_of_signs_alone_is_not_empty():
    texts = list(draw_texts(["-"] * 9, 3000, np.random.default_rng(0), Mixture((10, 20), entries=1.0)))
    assert len(texts) == 3000 and all(texts)


def test_notes_stand_for_their_share_of_the_words(tmp_path):
    draw(Draw(tmp_path / "lines", 30, length=(40, 60), notes=0.5))
    texts = texts_of(tmp_path / "lines")
    assert any("ibid." in text.lower() or "cf." in text for text in texts)
    assert any(re.search(r"\b[XVI]{2,}\b", text) for text in texts)


@pytest.mark.parametrize(
    ("shares", "named"),
    [({"clean": 0.6, "scanned": 0.5}, "--clean 0.6 and --scanned 0.5"), ({"mixed": -0.1}, "--mixed -0.1")],
)
def test_shares_that_are_none_are_refused(tmp_path, shares, named):
    with pytest.raises(ValueError, match=f"{named}: shares are from 0 to 1"):
        Draw(tmp_path, **shares)


def test_scans_are_black_and_white_or_of_16_levels(tmp_path):
    draw(Draw(tmp_path / "lines", 20, scanned=1.0))
    images = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "lines").glob("*.png"))]
    assert len({image.shape[0] for image in images}) > 8
    levels = [len(np.unique(image)) for image in images]
    assert max(levels) <= 16 and 2 in levels and max(levels) > 8
    assert all(np.median(image) == 255 and image.min() < 60 for image in images)


@pytest.mark.parametrize("look", ["paper", "scan"])
def test_a_run_stands_where_it_is_said_to_be(look):
    font = find_fonts()[0]
    for seed in range(6):
        runs = [Run("mm ", font), Run("oo", font, size=0.6, gap=3.0), Run("nn", font, spacing=0.3)]
        line = draw_placed_line(runs, np.random.default_rng(seed), 64, look)
        assert [character for character, _, _ in line.characters] == list("mmoonn")
        grey = np.asarray(line.image, dtype=float)
        paper = np.median(grey)
        dark = (grey < paper - 0.45 * (paper - grey.min())).sum(axis=0) > 1
        for character, start, end in line.characters:
            assert dark[round(start) : round(end) + 1].mean() > 0.5, character
        (_, _, gap), (_, after, _) = line.characters[1:3]
        assert after - gap > 64 and not dark[round(gap) + 5 : round(after) - 5].any()
        first, second = line.characters[4:]
        assert 0.3 * 64 * 0.5 * 0.8 < second[1] - first[2] < 0.3 * 64 * 0.75 + 12
        inked = ((grey < paper - 60)[:, round(a) : round(b)] for _, a, b in line.characters)
        rows = [np.flatnonzero(ink.sum(axis=1) > 1) for ink in inked]  # without specks
        small, large = np.ptp(rows[2]), np.ptp(rows[4])
        assert 0.4 < small / large < 0.85


def test_runs_keep_every_letter_and_right_to_left_is_not_divided():
    fonts = find_fonts()
    rng = np.random.default_rng(0)
    for text in ("52. Am See (48) 350", "a", "one two three (4) – 12", "a  b"):
        seen = set()
        for _ in range(60):
            runs = in_several_types(text, fonts[0], fonts[1:3], rng)
            assert "".join(run.text for run in runs) == text
            seen.add(tuple(run._replace(text="") for run in runs))
        assert (len(seen) > 5) == (" " in text)
    assert in_several_types("אב גד (12)", fonts[0], fonts[1:], rng) == [Run("אב גד (12)", fonts[0])]


def test_a_cut_that_lacks_a_letter_is_not_used_for_its_word():
    mono = next(font for font in find_fonts() if "Mono" in font.name)
    rng = np.random.default_rng(1)
    missing = next(letter for letter in "\u0531\u0561\u10d0\u2c00" if not shows(mono, letter))
    for _ in range(40):
        runs = in_several_types(f"one {missing} two", find_fonts()[0], [mono], rng)
        assert all(run.font != mono for run in runs if missing in run.text)


def test_families_share_a_folder_and_the_start_of_a_name():
    named = [Path("a/One-Bold.ttf"), Path("a/One-Italic.ttf"), Path("b/One-Bold.ttf"), Path("a/Two.ttf")]
    assert families(named) == {named[0]: [named[1]], named[1]: [named[0]], named[2]: [], named[3]: []}
