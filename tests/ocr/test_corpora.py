import json
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from ocr.corpora import CorpusConfig, read_corpus
from ocr.signal import IMAGE_SUFFIXES, SignalConfig, read

CONFIG = CorpusConfig()


def put(folder: Path, **files: str | bytes | None) -> None:
    """Write files with text, bytes, or an image for None; "__" in a name stands for "."."""
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


@pytest.mark.parametrize(("image_form", "text_form"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_are_paired_in_whichever_unicode_form_they_are(tmp_path, image_form, text_form):
    """Some systems store the é of a name as e and an accent, others as one character."""
    image = unicodedata.normalize(image_form, "Séance") + ".png"
    put(tmp_path, **{image: None, unicodedata.normalize(text_form, "Séance") + ".gt.txt": "one two\n"})
    assert found(tmp_path) == {image: "one two"}
    manifest = {"image": unicodedata.normalize(text_form, image), "text": "one two"}
    put(tmp_path, **{"all.jsonl": json.dumps(manifest)})
    (example,) = read_corpus(str(tmp_path / "all.jsonl"), CONFIG).examples
    assert example.source == str(tmp_path / image)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Pillow, for formats that it will drop
def test_every_format_that_is_read_is_found_in_a_folder(tmp_path):
    """A line is saved under every suffix that Pillow both reads and writes, and read again."""
    line = Image.new("L", (64, 16), 255)
    line.paste(0, (8, 4, 40, 12))
    Image.init()
    read_again = set()
    for suffix, form in Image.registered_extensions().items():
        try:
            line.convert("1" if form in ("XBM", "MSP") else "L").save(tmp_path / f"line{suffix}", form)
            read(str(tmp_path / f"line{suffix}"), SignalConfig())
        except (KeyError, ValueError, OSError):
            continue
        read_again.add(suffix)
    drawings = {".eps", ".ps"}  # which Pillow reads only where Ghostscript is installed
    assert {".png", ".jpe", ".jfif"} <= read_again - drawings <= IMAGE_SUFFIXES


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
        {"image": "d.png", "text": "two\nlines"},
        {"image": "e.png"},
        {"image": "blank.png", "text": ""},
    ]
    put(tmp_path, train__jsonl="\n".join(json.dumps(line) for line in lines))
    corpus = read_corpus(str(tmp_path / "train.jsonl"), CONFIG)
    assert [(example.source, example.text, example.length) for example in corpus.examples] == [
        (f"{tmp_path}/a.png", "one", 4.5),
        (f"{tmp_path}/sub/b.tif[2]", "two", None),
        ("/c.png", "three", None),
        (f"{tmp_path}/blank.png", "", None),
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


def test_a_file_of_the_modality_is_no_corpus(tmp_path):
    (tmp_path / "line.png").write_bytes(b"\0\xff")
    with pytest.raises(ValueError, match=r"line.png: is an image, not a corpus; name a manifest or a folder"):
        read_corpus(f"{tmp_path}/line.png", CorpusConfig())
