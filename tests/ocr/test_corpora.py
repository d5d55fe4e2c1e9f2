import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocr.corpora import (
    COMMON_WORDS,
    CorpusConfig,
    Draw,
    draw,
    draw_line,
    find_fonts,
    read_corpus,
    write_drawn_lines,
)
from ocr.signal import SignalConfig, read

CONFIG = CorpusConfig()


def put(folder: Path, **files: str | bytes | None) -> None:
    """Write files whose names have "__" for ".": text, bytes, or an image for None."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        if content is None:
            Image.new("L", (40, 10), 255).save(path)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")


def found(folder: Path, config: CorpusConfig = CONFIG) -> dict[str, str | None]:
    corpus = read_corpus(str(folder), config)
    assert corpus.problems == []
    return {str(Path(example.source).relative_to(folder)): example.text for example in corpus.examples}


def test_pairs_are_found_in_all_folders_in_order(tmp_path):
    put(tmp_path / "b", one__png=None, one__gt__txt="first")
    put(
        tmp_path / "a",
        two__jpg=None,
        two__gt__txt="zweite\n",
        ten__WEBP=None,
        ten__gt__txt="\ufeffdixième\r\n",
    )
    put(tmp_path, notes__md="not a line")
    assert list(found(tmp_path).items()) == [
        ("a/ten.WEBP", "dixième"),
        ("a/two.jpg", "zweite"),
        ("b/one.png", "first"),
    ]


def test_names_may_have_dots(tmp_path):
    put(tmp_path, page__1__2__png=None, page__1__2__gt__txt="x", page__1__bin__png=None, page__1__gt__txt="y")
    assert found(tmp_path) == {"page.1.2.png": "x", "page.1.bin.png": "y"}


@pytest.mark.parametrize("prepared", ["bin", "nrm", "dew", "raw"])
def test_prepared_images_belong_to_the_text_of_the_plain_one(tmp_path, prepared):
    put(tmp_path, **{f"line__{prepared}__png": None, "line__gt__txt": "x"})
    assert found(tmp_path) == {f"line.{prepared}.png": "x"}


def test_the_plain_image_is_taken_where_prepared_ones_lie_beside_it(tmp_path):
    put(tmp_path, line__bin__png=None, line__png=None, line__nrm__png=None, line__gt__txt="x")
    assert found(tmp_path) == {"line.png": "x"}
    (tmp_path / "line.png").unlink()
    assert found(tmp_path) == {"line.bin.png": "x"}


def test_a_prepared_image_with_a_text_of_its_own_keeps_it(tmp_path):
    put(tmp_path, line__bin__png=None, line__bin__gt__txt="a", line__png=None, line__gt__txt="b")
    assert found(tmp_path) == {"line.bin.png": "a", "line.png": "b"}


def test_another_ending_of_transcriptions_can_be_named(tmp_path):
    put(tmp_path, line__png=None, line__txt="x")
    assert found(tmp_path, CorpusConfig(gt_ext=".txt")) == {"line.png": "x"}


def test_hidden_files_are_not_lines(tmp_path):
    put(tmp_path, line__png=None, line__gt__txt="x", __line__png=None)
    put(tmp_path / ".cache", other__png=None)
    assert found(tmp_path) == {"line.png": "x"}


def test_links_are_followed_and_circles_are_not(tmp_path):
    put(tmp_path / "elsewhere", line__png=None, line__gt__txt="x")
    folder = tmp_path / "lines"
    folder.mkdir()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    assert found(folder) == {"linked/line.png": "x"}


def test_all_problems_are_told_each_in_a_sentence(tmp_path):
    put(tmp_path, good__png=None, good__gt__txt="good")
    put(tmp_path, alone__png=None, text__gt__txt="no image")
    put(tmp_path, empty__png=None, empty__gt__txt=" \n", two__png=None, two__gt__txt="a\nb\n")
    put(tmp_path, latin__png=None, latin__gt__txt="é".encode("latin-1"))
    put(tmp_path, twin__png=None, twin__jpg=None, twin__gt__txt="which?")
    corpus = read_corpus(str(tmp_path), CONFIG)
    assert [example.text for example in corpus.examples] == ["good"]
    told = [
        ("alone.png", "alone.gt.txt"),
        ("empty.gt.txt", "empty"),
        ("latin.gt.txt", "UTF-8"),
        ("text.gt.txt", "image"),
        ("twin.gt.txt", "twin.jpg and twin.png"),
        ("two.gt.txt", "2 lines"),
    ]
    assert len(corpus.problems) == len(told)
    for problem, (name, words) in zip(corpus.problems, told, strict=True):
        assert problem.startswith(str(tmp_path / name))
        assert words in problem
        assert "\n" not in problem


def test_a_manifest_names_images_beside_it(tmp_path):
    lines = [
        {"image": "a.png", "text": "one", "length": 4.5},
        {"source": "sub/b.tif[2]", "text": "two"},
        {"image_filepath": "/c.png", "text": "three"},
        {"image": "d.png", "text": " "},
        {"image": "e.png"},
    ]
    put(tmp_path, train__jsonl="\n".join(json.dumps(line) for line in lines))
    corpus = read_corpus(str(tmp_path / "train.jsonl"), CONFIG)
    assert [(example.source, example.text, example.length) for example in corpus.examples] == [
        (f"{tmp_path}/a.png", "one", 4.5),
        (f"{tmp_path}/sub/b.tif[2]", "two", None),
        ("/c.png", "three", None),
    ]
    assert [problem.split(": ")[0] for problem in corpus.problems] == [
        f"{tmp_path}/train.jsonl:4",
        f"{tmp_path}/train.jsonl:5",
    ]


def test_what_is_no_corpus_is_refused(tmp_path):
    put(tmp_path, readme__md="text")
    for path, words in (
        (tmp_path, "no images"),
        (tmp_path / "none", "does not exist"),
        (tmp_path / "readme.md", "a folder or a manifest was wanted"),
    ):
        with pytest.raises(ValueError, match=words):
            read_corpus(str(path), CONFIG)
    with pytest.raises(ValueError, match="gt_ext"):
        CorpusConfig(gt_ext="")


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


def test_the_common_words_have_every_letter():
    assert set(COMMON_WORDS) == set("abcdefghijklmnopqrstuvwxyz \n")


def test_lines_that_cannot_be_drawn_are_refused_before_any_is(tmp_path):
    with pytest.raises(ValueError, match="no font here shows all of it"):
        write_drawn_lines(tmp_path / "lines", ["fine", "\U000f0001"], count=2, seed=1)
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
    with pytest.raises(ValueError, match=r"wanted"):
        draw(Draw(tmp_path / "lines", **command))


def test_the_module_is_a_command(tmp_path):
    root = Path(__file__).parents[2]
    words = [
        sys.executable,
        "-m",
        "ocr.corpora",
        "draw",
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
