"""The examples in tars: from the index beside each, or from what the tar holds.

    000.tar     00000000.flac  00000000.json  00000001.flac  00000001.json ...
    000.jsonl   a manifest: source, text, length, first byte and number of bytes, hash

With its index, no tar is opened. A tar of another program is read through once, and what was found is kept in
the user's cache folder under the size and time of the tar and of the texts beside it.
"""

import json
import logging
from dataclasses import replace
from pathlib import Path

from common.command_line.counting import first_of
from common.data.lengths import cache_folder
from common.data.manifest import Corpus, Example, read_manifest, write_manifest
from common.data.shards.foreign import Kind, scan_tar, texts_beside
from common.data.shards.naming import TAR
from common.files.aside import written_aside
from common.files.source import absolute
from common.files.standard import ANY_NAME
from common.files.tars.address import exists, version_of
from common.files.tars.member import Member, tar_of

log = logging.getLogger(__name__)

INDEX = ".jsonl"
"""ending of the index of a tar"""
PROBLEMS = ".problems"
"""ending of the file beside a kept index: a list of sentences"""


def read_tars(tars: list[str], kind: Kind) -> Corpus:
    """Return the examples of tars in their order, with their lengths, and a sentence for each other one.

    A tar that is missing or damaged costs its own examples only.

    Args:
        tars: paths or addresses.
        kind: what is looked for in tars without an index.

    Raises:
        ValueError: none of the tars has an example.
    """
    examples, problems = list[Example](), list[str]()
    for tar in tars:
        try:
            corpus = _read_tar(tar, kind)
        except OSError as error:
            problems.append(f"{tar}: cannot be read ({error.strerror}); restore it or do not name it")
        except ValueError as error:
            problems.append(str(error))
        else:
            examples += corpus.examples
            problems += corpus.problems
    if not examples:
        named = tars[0] if len(tars) == 1 else f"{tars[0]} and {len(tars) - 1:,} more"
        raise ValueError(f"{named}: holds no usable {kind.item}{first_of(problems)}")
    return Corpus(examples, problems)


def index_of(tar: str) -> str:
    """Return the path of the index beside a tar."""
    return tar[: -len(TAR)] + INDEX


def _read_tar(tar: str, kind: Kind) -> Corpus:
    size, version = version_of(tar)
    index = index_of(tar)
    if exists(index):
        return _indexed(tar, size, index)
    versions = [version, *(version_of(path)[1] for path in texts_beside(tar))]
    kept = cache_folder() / f"tar-{_key(tar, versions, kind)}{INDEX}"
    try:
        return Corpus(read_manifest(kept).examples, json.loads(kept.with_suffix(PROBLEMS).read_bytes()))
    except (ValueError, OSError):  # it is not there yet
        corpus = scan_tar(tar, kind)
        _keep(kept, corpus)
        return corpus


def _indexed(tar: str, size: int, index: str) -> Corpus:
    """Return the examples of an index that are in its tar, whatever the tar was called at first."""
    corpus = read_manifest(index)
    examples, problems, behind, placeless = list[Example](), list(corpus.problems), 0, 0
    for example in corpus.examples:
        source = example.source
        if not isinstance(source, Member) or example.length is None:
            placeless += 1
        elif source.offset + source.size > size:
            behind += 1
        else:
            named = f"{tar}{source[len(tar_of(source)) :]}"
            examples.append(replace(example, source=source.moved(named)))
    if placeless:
        problems.append(
            f'{index}: has no "span" or no "length" in {placeless:,} of its {len(corpus.examples):,} rows, as'
            f" `shard` writes them; remove it to have {tar} read through"
        )
    if behind:
        total = behind + len(examples)
        problems.append(
            f"{tar}: is cut short, which loses {behind:,} of its {total:,} examples; get the whole tar"
        )
    return Corpus(examples, problems)


def _key(tar: str, versions: list[str], kind: Kind) -> str:
    """Return a name for what is known of a tar."""
    import hashlib

    return hashlib.sha256(repr((absolute(tar), versions, kind.item)).encode(errors=ANY_NAME)).hexdigest()[:32]


def _keep(kept: Path, corpus: Corpus) -> None:
    """Write what was found in a tar; the index comes last, since it is looked for."""
    if not corpus.examples:
        return
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(kept.with_suffix(PROBLEMS)) as file:
            file.write(json.dumps(corpus.problems).encode())
        write_manifest(kept, corpus.examples)
    except OSError as error:
        log.warning("%s: is not kept (%s); the tar will be read through again", kept, error.strerror)
