"""Transcribe the files of a list on a Ray cluster: `transcribe --format jsonl` in a pool of actors.

    python recipes/scale/ray_transcribe.py ocr files.txt /shared/rows --actors 32
    python recipes/scale/ray_transcribe.py asr files.txt s3://bucket/rows --actors 8 --gpus 1 --model m.onnx

The list, its files and the folder of the rows may have addresses that fsspec knows. Each block of names gives
one file of rows, which appears whole or not at all; a second call does what is left. Ray gives the block of
an actor that has ended to another one; if it ends again, its names are read one by one, and the one that ends
an actor has an error for a row.

RAY_ADDRESS names the cluster ("auto" on one of its nodes). Without it, Ray is started on this machine.

Needs: pip install ".[scale]" and the model on each node, and what fsspec needs for addresses.
"""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import fsspec
import numpy as np
import pyarrow
import ray

from asr.modality import ASR
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.files.aside import written_aside
from common.files.plain_text import json_text
from common.files.standard import ANY_NAME
from common.files.tars.address import is_address
from common.recognition.bulk.attempt import guarded_rows
from common.recognition.bulk.keys import Keys
from common.recognition.bulk.listing import key_of, names_in
from common.recognition.bulk.remote import remote_content
from common.recognition.bulk.rows import id_and_failure
from common.recognition.bulk.work import BulkWork
from common.recognition.loading import Device, load_recognizer, model_path
from common.recognition.modality import Modality
from common.recognition.sources import Parts, sources_in
from ocr.modality import OCR

log = logging.getLogger(__name__)

PAGE = re.compile(r"\[[0-9]+\]$")
MODALITIES = {"ocr": OCR, "asr": ASR}


@dataclass(frozen=True)
class RayTranscribe:
    """Transcribe the files of a list on a Ray cluster."""

    command: Positional[Literal["ocr", "asr"]]
    """What reads the files."""
    list: Positional[str]
    """Text with the name or address of a file on each line, or a manifest (.jsonl, .csv)."""
    output_dir: Positional[str]
    """Folder for the rows, or its address; all nodes must see the same."""
    model: str | None = None
    """Model file on each node, or the name of a bundled model."""
    actors: int = 2
    """Actors, each with a recognizer of its own."""
    cpus: int = 1
    """Cores of an actor, which are also the threads of its network."""
    gpus: float = 0
    """GPUs of an actor; a part of one if several share it."""
    block: int = 1000
    """Names of a block, which has one file of rows."""
    retry_failed: bool = False
    """Take those files again that failed in an earlier call."""


class Folder:
    """A folder that may have an address; its files appear whole or not at all."""

    def __init__(self, address: str) -> None:
        self.files, self.path = fsspec.core.url_to_fs(address)
        self.files.makedirs(self.path, exist_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """Write a file."""
        path = f"{self.path}/{name}"
        if "file" in self.files.protocol:
            with written_aside(path) as file:
                file.write(content)
        else:
            self.files.pipe_file(path, content)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, None if there is none."""
        try:
            return bytes(self.files.cat_file(f"{self.path}/{name}"))
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        if self.files.exists(f"{self.path}/{name}"):
            self.files.rm_file(f"{self.path}/{name}")

    def names(self, ending: str) -> list[str]:
        """Return the names of the files that end so."""
        self.files.invalidate_cache()
        found = (path.rpartition("/")[2] for path in self.files.ls(self.path, detail=False))
        return sorted(name for name in found if name.endswith(ending))


class BlockNote:
    """The note of a block: see `common.recognition.bulk.attempt`."""

    def __init__(self, folder: Folder, name: str) -> None:
        self.folder, self.name = folder, name

    def read(self) -> str | None:
        """Return the text, or None if there is none."""
        content = self.folder.read(self.name)
        return None if content is None else content.decode()

    def write(self, text: str) -> None:
        """Write the text."""
        self.folder.write(self.name, text.encode())

    def remove(self) -> None:
        """Remove the text."""
        self.folder.remove(self.name)


class Transcribing:
    """An actor: it writes the rows of blocks, and returns how many there are."""

    def __init__(self, options: RayTranscribe) -> None:
        modality = MODALITIES[options.command]
        device: Device = "cuda" if options.gpus else "cpu"
        recognizer = load_recognizer(modality, options.model, device, options.cpus)
        self.work = BulkWork(recognizer, partial(sources_in, modality, wanted=Parts()))
        self.folder = Folder(options.output_dir)

    def __call__(self, block: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Write the rows of a block of names; return the numbers of texts and of failures."""
        names = block["name"].tolist()
        key = block_name(names)
        note = BlockNote(self.folder, f"{key}.attempt")
        rows = list(guarded_rows(self.work, iter(names), note, 0))
        lines = "".join(json_text(row, allow_nan=False) + "\n" for row in rows)
        self.folder.write(f"{key}.jsonl", lines.encode("utf-8", errors=ANY_NAME))
        failed = sum("error" in row for row in rows)
        return {"done": np.array([len(rows) - failed]), "failed": np.array([failed])}


def listed(modality: Modality, path: str) -> Iterator[str]:
    """Yield the names of a list, which may have an address."""
    if not is_address(path):
        return names_in(modality, path, log.error)
    return (line.decode() for line in remote_content(path).read().splitlines() if line.strip())


def block_name(names: Sequence[str]) -> str:
    """Return the name of the rows of a block: no block of other names, as of a later call, has the same."""
    return f"{key_of(chr(10).join(names)):016x}"


def whole_of(row_id: str) -> str:
    """Return the file of a row that is one of its pages; its block has the rows of all of them."""
    return PAGE.sub("", row_id)


def known(folder: Folder, retry_failed: bool) -> Keys:
    """Return the keys of the names that have rows; rows that failed are taken out if they are retried."""
    keys = Keys()
    for name in folder.names(".jsonl"):
        lines = (folder.read(name) or b"").splitlines(keepends=True)
        rows = [id_and_failure(line) for line in lines]
        again = {whole_of(one) for one, failed in rows if failed and retry_failed}
        kept = [line for line, (one, _) in zip(lines, rows, strict=True) if whole_of(one) not in again]
        if again:
            folder.write(name, b"".join(kept))
        for one, _ in rows:
            if whole_of(one) not in again:
                keys.add(key_of(one))
                keys.add(key_of(whole_of(one)))
    return keys


def check_settings(folder: Folder, options: RayTranscribe) -> None:
    """Note what the rows depend on, or check that it is the same.

    Raises:
        ValueError: the folder holds rows of another command or model.
    """
    path = model_path(MODALITIES[options.command], options.model)
    ours = json.dumps({"command": options.command, "model": path.name, "bytes": path.stat().st_size}).encode()
    theirs = folder.read("transcription.json")
    if theirs not in (None, ours):
        raise ValueError(f"{options.output_dir}: holds rows of another model; choose another folder")
    folder.write("transcription.json", ours)


def blocks(names: Iterator[str], seen: Keys, size: int) -> Iterator[Sequence[str]]:
    """Yield the names that are not `seen`, as many at a time as a block has, each once."""
    block = list[str]()
    for name in names:
        if (key := key_of(name)) not in seen:
            seen.add(key)
            block.append(name)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def transcribe(options: RayTranscribe) -> dict[str, int]:
    """Transcribe; return how many files have texts now, and how many failed.

    Raises:
        ValueError: the list cannot be read, or the folder holds something else.
    """
    folder = Folder(options.output_dir)
    check_settings(folder, options)
    for name in folder.names(".attempt"):
        folder.remove(name)  # of an earlier call, whose blocks were others
    names = listed(MODALITIES[options.command], options.list)
    before = known(folder, options.retry_failed)
    tables = [pyarrow.table({"name": block}) for block in blocks(names, before, options.block)]
    counts, began = {"done": 0, "failed": 0}, time.monotonic()
    if tables:
        results = ray.data.from_arrow(tables).map_batches(
            Transcribing,
            fn_constructor_args=(options,),
            batch_size=None,  # a batch is a block
            compute=ray.data.ActorPoolStrategy(size=options.actors),
            num_cpus=options.cpus,
            num_gpus=options.gpus,
        )
        for block in results.iter_batches(batch_size=None):
            for name in counts:
                counts[name] += int(block[name].sum())
            rate = counts["done"] / (time.monotonic() - began)
            log.info("%d transcribed (%.1f a second), %d failed", counts["done"], rate, counts["failed"])
    return counts


def main() -> None:
    """Transcribe the files of a list on the cluster of RAY_ADDRESS, or on this machine."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = parse(RayTranscribe)
    ray.init(
        os.environ.get("RAY_ADDRESS", "local")
    )  # without an address, Ray waits for a cluster that has ended
    try:
        counts = transcribe(options)
    except ValueError as error:
        sys.exit(str(error))
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
