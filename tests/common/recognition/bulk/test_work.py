"""Rows of bulk work: one for each id, in order, whatever fails, and after a kill."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from untrained import recognizer_of

from asr.modality import ASR
from common.recognition.bulk.attempt import guarded_rows
from common.recognition.bulk.listing import Shard, key_of, names_in, parse_shard
from common.recognition.bulk.rows import RowFile, error_row
from common.recognition.bulk.work import BulkWork
from common.recognition.recognizer import Recognizer
from common.recognition.sources import Parts, sources_in
from ocr.modality import OCR


def lines(folder: Path, count: int) -> list[str]:
    """Draw images of different widths; return their names."""
    rng, names = np.random.default_rng(1), []
    for number in range(count):
        width = int(rng.integers(200, 500))
        pixels = rng.integers(0, 255, (24, width), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        names.append(str(folder / f"{number}.png"))
    return names


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return recognizer_of("ocr")


def opened(name: str) -> list[Any]:
    return sources_in(OCR, name, Parts())


def expected(recognizer: Recognizer, names: list[str]) -> dict[str, str]:
    """Return what a plain call reads."""
    return {one.source: one.text for one in recognizer.transcribe(names)}


def test_rows_have_the_texts_of_a_plain_call_and_the_order_of_the_names(recognizer, tmp_path):
    names = lines(tmp_path, 9)
    rows = list(BulkWork(recognizer, opened).rows(names))
    assert [row["id"] for row in rows] == names
    assert {row["id"]: row["text"] for row in rows} == expected(recognizer, names)
    assert any(row["text"] for row in rows)
    assert [word["text"] for word in rows[0]["words"]] == rows[0]["text"].split()


def test_a_file_that_cannot_be_read_gives_a_row_in_its_place(recognizer, tmp_path):
    names = lines(tmp_path, 5)
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "cut.png").write_bytes(Path(names[0]).read_bytes()[:200])
    mixed = [str(tmp_path / "none.png"), names[0], str(tmp_path / "cut.png"), str(tmp_path / "text.png")]
    mixed += [*names[1:], str(tmp_path / "last.png")]
    rows = list(BulkWork(recognizer, opened).rows(mixed))
    assert [row["id"] for row in rows] == mixed
    failed = {Path(row["id"]).name: row["error"] for row in rows if "error" in row}
    assert sorted(failed) == ["cut.png", "last.png", "none.png", "text.png"]
    assert all(name in sentence for name, sentence in failed.items())
    assert {row["id"]: row["text"] for row in rows if "text" in row} == expected(recognizer, names)


def test_pages_of_a_file_have_rows_of_their_own(recognizer, tmp_path):
    pages = [Image.new("L", (300, 24), shade) for shade in (200, 220, 240)]
    pages[0].save(tmp_path / "book.tif", save_all=True, append_images=pages[1:])
    names = [*lines(tmp_path, 1), str(tmp_path / "book.tif")]
    rows = list(BulkWork(recognizer, opened).rows(names))
    assert [row["id"] for row in rows] == [names[0], *(f"{names[1]}[{page}]" for page in range(3))]


@pytest.mark.parametrize("at", [0, 4, 8])
def test_a_fault_of_the_program_costs_only_the_file_that_it_is_about(recognizer, tmp_path, monkeypatch, at):
    names = lines(tmp_path, 9)
    texts = expected(recognizer, names)
    width = Image.open(names[at]).width
    compute = recognizer.compute

    def failing(signals: list[np.ndarray]) -> Any:
        if any(len(signal) == width for signal in signals):
            raise IndexError("a fault")
        return compute(signals)

    monkeypatch.setattr(recognizer, "compute", failing)
    rows = list(BulkWork(recognizer, opened, batch_budget=50).rows(names))
    assert sorted(row["id"] for row in rows) == sorted(names)
    assert {row["id"]: row["text"] for row in rows if "text" in row} == {
        name: text for name, text in texts.items() if name != names[at]
    }
    (failed,) = [row["error"] for row in rows if "error" in row]
    assert names[at] in failed and "IndexError: a fault" in failed


def test_an_error_of_the_list_is_raised_after_the_rows_before_it(recognizer, tmp_path):
    """A list that breaks off is no shorter list."""
    names, rows = lines(tmp_path, 3), list[dict[str, Any]]()

    def listed() -> Iterator[str]:
        yield from names
        raise ValueError("list.txt:4: is no name")

    with pytest.raises(ValueError, match=r"list\.txt:4"):
        rows.extend(BulkWork(recognizer, opened).rows(listed()))
    assert [row["id"] for row in rows] == names


# --- shares


@pytest.mark.parametrize("total", [1, 2, 3, 16])
def test_each_name_is_in_one_share(total):
    shares = [Shard(number, total) for number in range(1, total + 1)]
    assert all(sum(share.has(f"{name}.png") for share in shares) == 1 for name in range(200))


def test_shares_are_about_equal():
    """Of 8,000 names each of 8 shares has 1,000; five standard deviations of that are 148."""
    for pattern in ("{}.png", "page-{:06}.png", "s3://a/{}/b.png"):
        names = [pattern.format(number) for number in range(8000)]
        sizes = [sum(Shard(number, 8).has(name) for name in names) for number in range(1, 9)]
        assert all(852 < size < 1148 for size in sizes)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "3", "1/2/3", "-1/4", "a/b", ""])
def test_a_share_that_does_not_exist_is_refused(text):
    with pytest.raises(ValueError, match="is no share"):
        parse_shard(text)


def test_a_list_has_names_of_any_kind(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfa b.png\r\n\n \nb\xff.png\nc.png")
    names = list(names_in(OCR, str(tmp_path / "list.txt"), print))
    assert names == ["a b.png", "b\udcff.png", "c.png"]


def test_a_manifest_is_a_list_of_its_sources(tmp_path):
    (tmp_path / "list.jsonl").write_text(
        '{"image": "a.png", "text": "a"}\n{"text": "b"}\n{"image": "c.png"}\n'
    )
    problems = list[str]()
    names = list(names_in(OCR, str(tmp_path / "list.jsonl"), problems.append))
    assert names == [str(tmp_path / "a.png"), str(tmp_path / "c.png")]
    assert len(problems) == 1 and ":2: " in problems[0]


def test_a_row_of_a_manifest_may_be_a_part_of_a_recording(tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_text(
        '{"audio_filepath": "a.wav", "offset": 1.5, "duration": 2}\n{"audio_filepath": "b.wav"}\n'
    )
    wanted = [f"{tmp_path}/a.wav[1.5,3.5]", f"{tmp_path}/b.wav"]
    assert list(names_in(ASR, str(path), print)) == wanted


# --- the file of a share


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("torn", [b'{"id": "c", "te', b"{", b'{"id": "' + b"x" * 200_000])
def test_a_row_that_a_kill_has_torn_is_taken_out(tmp_path, torn):
    rows = RowFile(tmp_path, Shard(), "settings")
    for name in "ab":
        rows.write({"id": name, "text": name})
    rows.close()
    path = tmp_path / "part-1-of-1.jsonl"
    path.write_bytes(path.read_bytes() + torn)
    again = RowFile(tmp_path, Shard(), "settings")
    assert [key_of(name) in again.before.keys for name in "abc"] == [True, True, False]
    again.write({"id": "c", "text": "c"})
    again.close()
    assert ids(path) == ["a", "b", "c"]


def test_failed_rows_are_kept_or_taken_out(tmp_path):
    rows = RowFile(tmp_path, Shard(), "settings")
    rows.write({"id": 'a "quoted", "error": name', "text": "a"})
    rows.write(error_row("b", "b: is damaged"))
    rows.close()
    assert RowFile(tmp_path, Shard(), "settings").before.failed == 1
    again = RowFile(tmp_path, Shard(), "settings", retry_failed=True)
    assert key_of('a "quoted", "error": name') in again.before.keys and key_of("b") not in again.before.keys
    assert again.before.failed == 0
    assert ids(tmp_path / "part-1-of-1.jsonl") == ['a "quoted", "error": name']


@pytest.mark.parametrize(
    ("shard", "settings", "said"),
    [(Shard(1, 3), "settings", "in 2 shards, not 3"), (Shard(1, 2), "others", "other flags")],
)
def test_texts_of_other_settings_are_not_mixed(tmp_path, shard, settings, said):
    RowFile(tmp_path, Shard(2, 2), "settings").close()
    with pytest.raises(ValueError, match=said):
        RowFile(tmp_path, shard, settings)


@pytest.mark.parametrize("retry_failed", [False, True])
def test_two_calls_do_not_write_into_one_file(tmp_path, retry_failed):
    first = RowFile(tmp_path, Shard(), "settings", retry_failed)
    for _ in range(2):
        with pytest.raises(ValueError, match="another call"):
            RowFile(tmp_path, Shard(), "settings", retry_failed)
    first.write({"id": "a", "text": "a"})
    first.close()
    assert key_of("a") in RowFile(tmp_path, Shard(), "settings", retry_failed).before.keys


def test_a_file_of_something_else_is_not_added_to(tmp_path):
    RowFile(tmp_path, Shard(), "settings").close()
    (tmp_path / "part-1-of-1.jsonl").write_text("my notes\n")
    with pytest.raises(ValueError, match=r"part-1-of-1\.jsonl:1: is no row"):
        RowFile(tmp_path, Shard(), "settings")


# --- addresses


@pytest.fixture
def memory() -> Callable[[str, bytes], str]:
    """Return what puts a file into fsspec's memory, and returns its address."""
    fsspec = pytest.importorskip("fsspec")

    def put(name: str, content: bytes) -> str:
        with fsspec.open(f"memory://{name}", "wb") as file:
            file.write(content)
        return f"memory://{name}"

    return put


def test_an_address_is_read_like_a_file(recognizer, tmp_path, memory):
    (name,) = lines(tmp_path, 1)
    names = [memory("a.png", Path(name).read_bytes()), "memory://none.png", "nothing://a.png"]
    rows = list(BulkWork(recognizer, opened).rows(names))
    assert [row["id"] for row in rows] == names
    assert rows[0]["text"] == expected(recognizer, [name])[name]
    assert all(row["error"].startswith(row["id"]) for row in rows[1:])


# --- what ends the process


class Ended(BaseException):
    """Stands for the end of the process: nothing is done after it."""


class Memory:
    """A note in memory, which cannot be removed once the process has ended."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.ended = False

    def read(self) -> str | None:
        return self.text

    def write(self, text: str) -> None:
        self.text = text

    def remove(self) -> None:
        if not self.ended:
            self.text = None


@pytest.mark.parametrize("at", [0, 5, 11])
def test_a_file_that_ends_the_process_is_found_within_four_calls(recognizer, tmp_path, monkeypatch, at):
    names, note, rows = lines(tmp_path, 12), Memory(), dict[str, dict[str, Any]]()
    texts, compute = expected(recognizer, names), recognizer.compute
    width = Image.open(names[at]).width

    def deadly(signals: list[np.ndarray]) -> Any:
        if any(len(signal) == width for signal in signals):
            note.ended = True
            raise Ended
        return compute(signals)

    monkeypatch.setattr(recognizer, "compute", deadly)
    for _ in range(4):
        note.ended = False
        left = iter([name for name in names if name not in rows])
        try:
            for row in guarded_rows(BulkWork(recognizer, opened, batch_budget=30), left, note, len(rows)):
                assert row["id"] not in rows
                rows[row["id"]] = row
        except Ended:
            continue
        break
    assert note.text is None
    assert {name: row["text"] for name, row in rows.items() if "text" in row} == {
        name: text for name, text in texts.items() if name != names[at]
    }
    assert "ended without a word" in rows[names[at]]["error"]


def test_a_process_that_was_stopped_goes_on_in_batches(recognizer, tmp_path, monkeypatch):
    """Only if nothing was written since the last start are names read one by one."""
    names, note, sizes = lines(tmp_path, 6), Memory(), list[int]()
    note.text = '{"progress": 3, "alone": ""}'
    compute = recognizer.compute
    monkeypatch.setattr(recognizer, "compute", lambda signals: sizes.append(len(signals)) or compute(signals))
    assert len(list(guarded_rows(BulkWork(recognizer, opened), iter(names), note, 5))) == 6
    assert max(sizes) > 1
