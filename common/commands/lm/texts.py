"""The texts of `lm`: lines of plain files and of corpora, in the spelling that is asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.command_line.parser import UsageError
from common.commands.flags.lm import CORPUS_SUFFIXES
from common.commands.lm.spelling import Spelling
from common.data.shards.naming import TAR
from common.files.plain_text import read_lines
from common.recognition.modality import Modality
from common.training.preparation import corpus_paths, report_problems


def require_texts(names: Sequence[str], purpose: str) -> None:
    """Raise ValueError if no text is named."""
    if not names:
        raise UsageError(f"no text to {purpose}; name a file, a corpus, or - for standard input")


def read_texts(modality: Modality, names: Sequence[str], config: Any, spelling: Spelling) -> list[str]:
    """Return the lines of texts and corpora that are not empty.

    Args:
        modality: reads the corpora.
        names: of files, folders and manifests; each may be several with commas between.
        config: the modality's settings for reading a corpus.
        spelling: how the lines are written.

    Raises:
        ValueError: a text that holds no line, or a file that cannot be read.
    """
    texts = []
    for name in names:
        for path in corpus_paths(name):
            is_corpus = Path(path).is_dir() or path.lower().endswith((*CORPUS_SUFFIXES, TAR))
            lines = _read_corpus(modality, path, config) if is_corpus else read_lines(path)
            found = [text for text in map(spelling.normalise, lines) if text.strip()]
            if not found:
                raise ValueError(f"{path}: holds no text; name one with a sentence a line")
            spelling.report(path)
            texts += found
    return texts


def read_labelled_texts(
    modality: Modality, names: Sequence[str], config: Any, spelling: Spelling
) -> dict[str, list[str]]:
    """Return the lines of texts by their labels, under "" if none has a label.

    Args:
        modality: reads the corpora.
        names: of files, folders and manifests, each as LABEL=NAME if it has a label.
        config: the modality's settings for reading a corpus.
        spelling: how the lines are written.

    Raises:
        ValueError: some texts have a label and some have none, or one cannot be used.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        label, separator, path = name.partition("=")
        if not separator or Path(name).exists():
            label, path = "", name
        found.setdefault(label, []).extend(read_texts(modality, [path], config, spelling))
    if "" in found and len(found) > 1:
        raise UsageError("some texts have a label and some have none; give each one, as in english=FILE")
    return found


def _read_corpus(modality: Modality, path: str, config: Any) -> list[str]:
    corpus = modality.examples(path, config)
    report_problems(corpus.problems)
    return [example.text for example in corpus.examples if example.text is not None]
