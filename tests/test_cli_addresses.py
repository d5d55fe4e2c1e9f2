"""Corpora and lists at addresses: what the verbs do with them, beside the same files on disk."""

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from command import call
from fsspec.implementations.memory import MemoryFileSystem
from run_log import MEMORISED, losses_of

from common.data.shards.writing import write_tars
from ocr.drawing.lines import write_drawn_lines
from ocr.modality import OCR

TARS = "memory://bucket/shards/{000..005}.tar"


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryFileSystem]:
    """Write six tars of a drawn line each to shards/ and to memory://bucket/shards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    system.store.clear()
    write_drawn_lines(Path("lines"), ("one two", "three", "four five six"), 6, seed=1)
    examples = OCR.examples("lines", OCR.corpus_config()).examples
    Path("shards").mkdir()
    write_tars(examples, Path("shards"), 1, OCR.pack, OCR.measure)
    for folder in ("lines", "shards"):
        system.put(folder, "/bucket/", recursive=True)
    yield system
    system.store.clear()


def rows_of(written: str) -> list[dict]:
    return [json.loads(row) for row in written.splitlines()]


def test_tars_at_addresses_hold_the_examples_of_those_on_disk(memory):
    written = {"of-disk": "shards", "of-address": TARS, "of-folder": "memory://bucket/shards"}
    for folder, paths in written.items():
        assert call(OCR, "shard", paths, "-o", folder, "--keep-order").status == 0
    indices = [Path(folder, "000.jsonl").read_text().splitlines() for folder in written]
    held = [[(row["text"], row["blake2b"]) for row in map(json.loads, index)] for index in indices]
    assert len(held[0]) == 6 and held[0] == held[1] == held[2]


def test_tars_at_addresses_are_transcribed_as_those_on_disk(memory):
    paths = ("shards/{001..003}.tar", TARS)
    rows = [rows_of(call(OCR, "transcribe", "--list", path, "-f", "jsonl").out) for path in paths]
    assert rows[1][0]["id"] == "memory://bucket/shards/000.tar::00000000.png"
    without_id = [[{**row, "id": ""} for row in some] for some in rows]
    assert without_id[0] == without_id[1][1:4]


def test_a_tar_without_an_index_is_read_through_once(memory, monkeypatch):
    for name in memory.glob("/bucket/shards/*.jsonl"):
        memory.rm(name)
    monkeypatch.setattr(MemoryFileSystem, "cat_file", None)  # no request for each of its files
    first = OCR.examples(TARS, OCR.corpus_config())
    monkeypatch.setattr(MemoryFileSystem, "open", None)
    again = OCR.examples(TARS, OCR.corpus_config())
    assert [example.source for example in again.examples] == [example.source for example in first.examples]
    assert again.examples[3].source == "memory://bucket/shards/003.tar::00000003.png"


def test_a_tar_with_an_index_is_not_read_through(memory, monkeypatch):
    opened, open_any = [], MemoryFileSystem.open
    monkeypatch.setattr(
        MemoryFileSystem, "open", lambda self, name, *more: opened.append(name) or open_any(self, name, *more)
    )
    assert len(OCR.examples(TARS, OCR.corpus_config()).examples) == 6
    assert opened == [f"/bucket/shards/00{number}.jsonl" for number in range(6)]


def test_lists_at_addresses_give_the_rows_of_lists_on_disk(memory):
    names = sorted(path.name for path in Path("lines").glob("*.png"))
    text = "".join(f"memory://bucket/lines/{name}\n" for name in names)
    manifest = "".join(json.dumps({"image": f"lines/{name}", "text": ""}) + "\n" for name in names)
    Path("list.txt").write_text(text)
    memory.pipe("/bucket/list.txt", text.encode())
    memory.pipe("/bucket/list.jsonl", manifest.encode())
    lists = ("list.txt", "memory://bucket/list.txt", "memory://bucket/list.jsonl")
    rows = [call(OCR, "transcribe", "--list", name, "-f", "jsonl").out for name in lists]
    assert len(rows[0].splitlines()) == 6 and rows[0] == rows[1] == rows[2]


def test_what_is_at_an_address_and_no_tar_is_refused_as_a_corpus(memory):
    memory.pipe("/bucket/list.jsonl", b'{"image": "lines/0.png", "text": "one"}\n')
    for address in ("memory://bucket/list.jsonl", "memory://bucket/lines", "memory://none"):
        outcome = call(OCR, "evaluate", "printed", address)
        assert outcome.status == 1
        assert outcome.err.startswith(f"ocr: {address}: is no tar and no folder of tars")


def test_tars_that_cannot_be_read_do_not_keep_others_from_being_transcribed(memory):
    Path("packed.tar.gz").write_bytes(b"")
    Path("empty.tar").write_bytes(b"")
    names = ("packed.tar.gz", "shards/{.tar", "shards/{1}.tar", "empty.tar", "memory://none.tar")
    outcome = call(OCR, "transcribe", *names, "shards/000.tar")
    assert outcome.status == 1 and outcome.out == call(OCR, "transcribe", "lines/00000.png").out
    assert "packed.tar.gz: is compressed" in outcome.err and "empty.tar: is no tar" in outcome.err
    assert "{1} stands for nothing" in outcome.err and "memory://none.tar: does not exist" in outcome.err


def test_tars_are_not_written_to_addresses(memory):
    outcome = call(OCR, "shard", "lines", "-o", "s3://bucket/shards")
    assert outcome.status == 2 and "--output-dir is 's3://bucket/shards'; give a path on disk" in outcome.err
    assert not Path("s3:").exists()


@pytest.mark.slow
@pytest.mark.training
def test_training_from_an_address_is_training_from_disk(memory):
    small = ("--channels", 4, 4, 4, 4, "--epochs", 2)
    for paths, run in (("shards", "of-disk"), (TARS, "of-address")):
        assert call(OCR, "train", paths, paths, "--run", run, *MEMORISED, *small).status == 0
    assert losses_of(Path("of-disk")) == losses_of(Path("of-address"))
