"""From corpora on disk to examples that can be trained on.

corpus -> load_examples -> with_text -> with_places -> with_enough_steps -> examples to train on
|                |             |                 |
+----------------+-------------+-----------------+----------> one sentence for each example
that is left out
"""

import hashlib
import json
import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from common.command_line.counting import counted, first_of
from common.data.frame_targets import FrameLabels, frame_names, parts_of
from common.data.lengths import length_cache, with_lengths
from common.data.manifest import Example
from common.data.shards.naming import split_paths
from common.recognition.configuration import HeadConfig
from common.recognition.modality import Modality
from common.text.direction import direction_of
from common.text.symbols import Alphabet, Names, Symbols

log = logging.getLogger(__name__)

PROBLEMS_SHOWN = 20
"""number of problems that are logged one by one; the others are only counted, but refused.txt has them all"""


# --- corpora


def load_examples(modality: Modality, paths: str, corpus_config: Any) -> tuple[list[Example], list[str]]:
    """Return the examples of one or more corpora, and one sentence for each that cannot be used.

    Args:
        modality: its functions read the corpora and measure the examples.
        paths: the path of a corpus or of tars, or several with commas between them.
        corpus_config: the modality's configuration of corpora.

    Raises:
        ValueError: a path cannot be understood, or a corpus has no usable example.
    """
    examples, problems = [], []
    for path in corpus_paths(paths):
        corpus = modality.examples(path, corpus_config)
        measured, unmeasured = with_lengths(corpus.examples, modality.measure, length_cache(path))
        problems += corpus.problems + unmeasured
        if not measured:
            raise ValueError(f"{path}: holds no usable {modality.item}{first_of(problems)}")
        examples += measured
    if not examples:
        raise ValueError(f"no corpus was named by {paths!r}; give a folder or a manifest")
    return examples, problems


def corpus_paths(paths: str) -> list[str]:
    """Return the paths in `paths`: all of it if such a file exists, else the parts between its commas.

    Commas within braces, as in "{a,b}.tar", separate no paths.
    """
    return [paths] if os.path.exists(paths) else split_paths(paths)


def usable_examples(
    modality: Modality, paths: str, corpus_config: Any, head: HeadConfig
) -> tuple[list[Example], list[str]]:
    """Return the examples that have the targets of the task, and one sentence for each other example.

    Args:
        modality: as for `load_examples`.
        paths: as for `load_examples`.
        corpus_config: as for `load_examples`.
        head: its task says which targets are needed.

    Raises:
        ValueError: a path cannot be understood, or no example can be used.
    """
    found, problems = load_examples(modality, paths, corpus_config)
    examples, textless = with_text(found, modality.item, label=head.task == "classify")
    placeless: list[str] = []
    if head.task == "frames":
        examples, placeless = with_places(examples, head.frame_labels)
    problems += textless + placeless
    if not examples:
        report_problems(problems)
        raise ValueError(f"{paths}: none of its {modality.item}s can be used for --task {head.task}")
    return examples, problems


# --- examples that can be used


def with_text(examples: Sequence[Example], item: str, label: bool = False) -> tuple[list[Example], list[str]]:
    """Return the examples that have a text, and one sentence for each that has none.

    Args:
        examples: to choose from.
        item: what the modality calls an example, such as "line".
        label: whether the text is the label of the example, which cannot be empty.
    """
    good, problems = [], []
    for example in examples:
        if example.text is None:
            problems.append(f"{_name(example)}: this {item} has no text; write it down or drop it")
        elif label and not example.text.strip():
            problems.append(f"{_name(example)}: the label of this {item} is empty; write it down or drop it")
        else:
            good.append(example)
    return good, problems


def with_places(examples: Sequence[Example], level: FrameLabels) -> tuple[list[Example], list[str]]:
    """Return the examples that have the places of their words or characters, and a sentence for each other.

    Args:
        examples: to choose from.
        level: whether words or characters are needed.
    """
    good, problems = [], []
    for example in examples:
        try:
            parts_of(example, level)
            good.append(example)
        except ValueError as error:
            problems.append(str(error))
    return good, problems


def with_enough_steps(
    examples: Sequence[Example], alphabet: Symbols, front_end: Any, steps_per_length: float
) -> tuple[list[Example], list[str]]:
    """Return the examples with enough steps for CTC to spell their text, and a sentence for each other.

    Args:
        examples: to choose from; their texts and lengths are known.
        alphabet: gives the labels of the texts.
        front_end: its `output_lengths` turns signal steps into steps of the network.
        steps_per_length: signal steps for one unit of `Example.length`.

    Raises:
        ValueError: a text has characters that are not in the alphabet.
    """
    import torch

    from common.network.ctc import required_steps

    lengths = np.array([example.length for example in examples]) * steps_per_length
    signal_steps = torch.from_numpy(np.maximum(np.round(lengths), front_end.shortest).astype(np.int64))
    available = front_end.output_lengths(signal_steps).tolist()
    good, problems = [], []
    for example, steps in zip(examples, available, strict=True):
        required = required_steps(alphabet.encode(example.text or ""))
        if required <= steps:
            good.append(example)
        else:
            problems.append(
                f"{_name(example)}: the text needs {required} steps and the signal gives {steps};"
                " correct the text, or train with a smaller stride"
            )
    return good, problems


def _name(example: Example) -> str:
    return f"{example.origin}: {example.source}" if example.origin else example.source


# --- their labels


def find_labels(
    examples: Sequence[Example], head: HeadConfig, unicode_form: str, paths: str, on_paper: bool = False
) -> Symbols:
    """Return the alphabet or the names that the targets of `examples` are made of.

    Args:
        examples: to train on.
        head: its task says what a label is: a character, the name of a part, or the name of an example.
        unicode_form: of the texts.
        paths: of the examples, for messages.
        on_paper: as of `Modality`: labels have the order on the line if a text is read from right to left.

    Raises:
        ValueError: there is no part to label, or all examples have the same label.
    """
    if head.task == "frames":
        names = frame_names(examples, head.frame_labels, unicode_form)
        if not names.symbols:
            raise ValueError(f"{paths}: no example has anything in it to be labelled")
        return names
    texts = [example.text or "" for example in examples]
    if head.task in ("ctc", "attention"):
        return Alphabet.from_texts(texts, unicode_form, direction=direction_of(texts) if on_paper else None)
    names = Names.from_texts(texts, unicode_form)
    if len(names.symbols) < 2:
        raise ValueError(
            f"{paths}: all examples have the label {names.symbols[0]!r}; two labels or more are"
            " wanted to be told apart"
        )
    return names


def report_unknown_labels(
    examples: Sequence[Example], alphabet: Symbols, head: HeadConfig, paths: str
) -> None:
    """Log which labels of the development examples the model cannot give.

    Args:
        examples: to measure on.
        alphabet: of the model.
        head: its task says what a label is.
        paths: of the examples, for the message.
    """
    texts = [example.text or "" for example in examples]
    if head.task == "frames":
        texts = [part.text for example in examples for part in parts_of(example, head.frame_labels)]
        alphabet = Names(alphabet.symbols, None, alphabet.unicode_form)  # no separator: a part has one name
    report_unknown(texts, alphabet, paths)


def report_unknown(texts: Iterable[str], alphabet: Symbols, what: str) -> None:
    """Log which characters or names of `texts` are not in `alphabet`; `what` names the texts."""
    counts = Counter(symbol for text in texts for symbol in alphabet.unknown(text))
    if counts:
        listed = ", ".join(f"{symbol!r} (in {count})" for symbol, count in counts.most_common(12))
        log.warning(
            "%s: what is not in the alphabet of %d symbols will count as errors: %d %s: %s",
            what, len(alphabet.symbols), len(counts), alphabet.noun, listed,
        )  # fmt: skip


def report_invisible(symbols: Symbols, what: str) -> None:
    """Log the symbols of texts that cannot be seen: controls, format characters, private use (Cc, Cf, Co)."""
    hidden = [one for one in symbols.symbols if unicodedata.category(one[-1]) in ("Cc", "Cf", "Co")]
    if hidden:
        named = ", ".join(
            f"U+{ord(one[-1]):04X} {unicodedata.name(one[-1], '')}".strip() for one in hidden[:12]
        )
        sentence = "%s: %s invisible or of private use, which will be learnt; remove what is not meant: %s"
        log.warning(sentence, what, counted(len(hidden), "symbol"), named)


# --- what is recorded


def report_problems(problems: Sequence[str]) -> None:
    """Log why examples were left out: the first PROBLEMS_SHOWN one by one, and the number of the others."""
    for sentence in problems[:PROBLEMS_SHOWN]:
        log.warning("left out: %s", sentence)
    if len(problems) > PROBLEMS_SHOWN:
        log.warning("left out: %d more of the same kinds", len(problems) - PROBLEMS_SHOWN)


def described(examples: Sequence[Example], item: str) -> str:
    """Return the number of examples and a hash of what batches and losses depend on, their order included.

    Files may move: their names are not part of it.
    """
    digest = hashlib.sha256()
    for one in examples:
        digest.update(repr((one.text, f"{one.length:.3f}", one.words, one.characters)).encode())
    return f"{len(examples)} {item}s, {digest.hexdigest()[:16]}"


def described_symbols(symbols: Symbols) -> str:
    """Return the number of symbols and a hash of all that says which label stands for what."""
    digest = hashlib.sha256(json.dumps(symbols.to_dict()).encode())
    return f"{len(symbols.symbols)} of them, {digest.hexdigest()[:16]}"


def fingerprint(examples: Sequence[Example]) -> str:
    """Return a hash of the texts and lengths of `examples`: models with the same hash saw the same data."""
    digest = hashlib.sha256()
    for example in sorted(examples, key=lambda one: (one.text or "", one.length or 0.0)):
        digest.update(f"{example.text}\t{example.length:.3f}\n".encode())
    return digest.hexdigest()[:16]
