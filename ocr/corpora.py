"""Corpora of text lines: folders of images and transcriptions, pages with their XML files, and manifests."""

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from common.command_line.counting import counted, first_of
from common.data.manifest import Corpus, Example, manifest_rows, read_manifest
from common.files.folder import files_below
from common.files.plain_text import read_line
from common.files.source import name_key
from ocr.formats.xml.pages import is_xml, page_files
from ocr.segmentation.xml_corpus import read_pages
from ocr.signal import IMAGE_SUFFIXES

log = logging.getLogger(__name__)

MANIFEST_SUFFIXES = (".jsonl", ".json", ".ndjson", ".manifest")
PREPARED = (".bin", ".nrm", ".dew", ".raw")
"""processed images of OCRopus and kraken: NAME.bin.png and the others share NAME.gt.txt"""
LINE_BREAK = re.compile(r"[\n\r]")
SOURCE_KEYS = ("image", "source", "image_filepath")


@dataclass(frozen=True)
class CorpusConfig:
    """How a folder of lines is read."""

    gt_ext: str = ".gt.txt"
    """suffix of transcriptions: the line NAME.png has its text in NAME plus this"""

    def __post_init__(self) -> None:
        if not self.gt_ext or "/" in self.gt_ext:
            raise ValueError(f"gt_ext is {self.gt_ext!r}; the end of a file name was wanted, such as .gt.txt")


def read_corpus(path: str, config: CorpusConfig) -> Corpus:
    """Return the lines of a folder or manifest, and one sentence for each line that cannot be used.

        FOLDER            images NAME.png (jpg, webp, tif ...), each with a NAME.gt.txt, at any depth; hidden
                          files are left out. A processed image (NAME.bin.png, NAME.nrm.png, NAME.dew.png,
                          NAME.raw.png) is used if there is no NAME.png; of several, the first by name.
                          Pages with PAGE or ALTO files give their lines that have a text, as
                          PAGE.xml::ID; both kinds may stand in one folder.
        PAGE.xml          the lines of one page, or of the pages that a METS file lists
        FILE.jsonl        a manifest: JSON lines with image (or source, or image_filepath), text and, if
                          known, length (width over height). The text "" is meant: a line without writing.
                          An empty NAME.gt.txt is refused, since it is mostly a text that is not written yet.

    Raises:
        ValueError: the path does not exist, is not a manifest, or has neither images nor transcriptions.
    """
    place = Path(path)
    if place.is_dir():
        return _read_folder(place, config)
    if not place.is_file():
        raise ValueError(
            f"{path}: does not exist; a folder of NAME.png and NAME{config.gt_ext} or a manifest was wanted"
        )
    if is_xml(place):
        return read_pages(page_files(place)).corpus
    if place.suffix.lower() in IMAGE_SUFFIXES:
        raise ValueError(
            f"{path}: is an image, not a corpus; name a manifest or a folder of images (for `align`, an image"
            " needs --text or --text-file)"
        )
    if place.suffix.lower() not in MANIFEST_SUFFIXES:
        raise ValueError(
            f"{path}: ends in none of {' '.join(MANIFEST_SUFFIXES)}; a folder or a manifest was wanted"
        )
    return _read_lines(place)


def read_rows(path: str) -> Iterator[Example | str]:
    """Yield the line of each row of a manifest, or a sentence about a row that cannot be used.

    The texts may be missing, and so may the images.
    """
    return manifest_rows(path, SOURCE_KEYS)


def _read_lines(path: Path) -> Corpus:
    read = read_manifest(path, source_keys=SOURCE_KEYS)
    examples, problems = [], list(read.problems)
    for example in read.examples:
        if example.text is None:
            problems.append(
                f'{example.origin}: {example.source} has no text; write it ("" for a line without writing)'
            )
        elif len(lines := [part for part in LINE_BREAK.split(example.text) if part.strip()]) > 1:
            problems.append(
                f"{example.origin}: {example.source} has {len(lines)} lines of text, one was wanted; split it"
            )
        else:
            examples.append(example)
    return Corpus(examples, problems)


def _read_folder(folder: Path, config: CorpusConfig) -> Corpus:
    images: dict[str, list[str]] = defaultdict(list)
    transcriptions: dict[str, str] = {}
    files = list(files_below(folder))
    pages = read_pages([file for file in files if is_xml(file)])
    problems = list(pages.corpus.problems)
    for file in files:
        stem, suffix = os.path.splitext(file)
        if file.endswith(config.gt_ext):
            first = transcriptions.setdefault(name_key(file.removesuffix(config.gt_ext)), file)
            if first != file:
                problems.append(
                    f"{file}: there is a second file of this name in another Unicode form; keep one"
                )
        elif suffix.lower() in IMAGE_SUFFIXES and os.path.realpath(file) not in pages.images:
            images[name_key(stem)].append(file)
    if not images and not transcriptions and not pages.found:
        raise ValueError(
            f"{folder}: holds no images and no *{config.gt_ext}; a folder of line pairs, or of pages with"
            f" PAGE or ALTO files, was wanted{first_of(problems)}"
        )
    lines: dict[str, list[str]] = defaultdict(list)  # line -> its images, unprocessed ones first
    for stem in sorted(images, key=lambda stem: stem not in transcriptions):
        name, ending = os.path.splitext(stem)
        plain = stem in transcriptions or ending not in PREPARED
        lines[stem if plain else name] += images[stem]
    paired = _paired(lines, images, transcriptions, config)
    if pages.found and paired.examples:
        log.info("%s: %s, and %s of %s", folder, counted(len(paired.examples), "line image"),
                 counted(len(pages.corpus.examples), "line"), counted(pages.found, "page"))  # fmt: skip
    return Corpus(pages.corpus.examples + paired.examples, problems + paired.problems)


def _paired(
    lines: dict[str, list[str]],
    images: dict[str, list[str]],
    transcriptions: dict[str, str],
    config: CorpusConfig,
) -> Corpus:
    """Return an example for each transcription with an image, sorted by name.

    Args:
        lines: the images of each line, unprocessed ones first.
        images: the images with each path without suffix; more than one is a problem.
        transcriptions: the transcription of each line that has one.
        config: gives the suffix of transcriptions.
    """
    examples, problems = [], []
    for name in sorted(lines.keys() | transcriptions.keys()):
        wanted = transcriptions.get(name, name + config.gt_ext)
        if name not in transcriptions:
            problems += [
                f"{image}: has no {os.path.basename(wanted)} beside it; write what it says there"
                for image in lines[name]
            ]
        elif name not in lines:
            problems.append(f"{wanted}: has no image beside it, such as {os.path.basename(name)}.png; add it")
        else:
            image, twins = lines[name][0], images[name_key(os.path.splitext(lines[name][0])[0])]
            if len(twins) > 1:
                others = " and ".join(os.path.basename(twin) for twin in twins)
                problems.append(f"{wanted}: belongs to {others}; keep one of these images")
                continue
            try:
                examples.append(Example(image, read_line(wanted)))
            except ValueError as error:
                problems.append(str(error))
    return Corpus(examples, problems)
