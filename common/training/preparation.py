"""From a corpus on disk to examples that can be trained on: found, measured, spelled and fitting."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from common.data.lengths import length_cache, with_lengths
from common.data.manifest import Example
from common.recognition.modality import Modality
from common.text.symbols import Symbols

log = logging.getLogger(__name__)

PROBLEMS_SHOWN = 20
"""Problems that are printed one by one; the others are counted; refused.txt has all of a run."""


def load_examples(modality: Modality, paths: str, corpus_config: Any) -> tuple[list[Example], list[str]]:
    """Return the examples of one corpus or of several, and one sentence for each that cannot be used.

    Args:
        modality: which reads the corpora.
        paths: of a corpus, or of several with commas between.
        corpus_config: of the modality.

    Raises:
        ValueError: a path that cannot be understood, or nothing usable in it.
    """
    examples, problems = [], []
    for path in corpus_paths(paths):
        corpus = modality.corpora(path, corpus_config)
        measured, unmeasured = with_lengths(corpus.examples, modality.measure, length_cache(path))
        problems += corpus.problems + unmeasured
        if not measured:
            reason = f"; the first of {len(problems)} problems: {problems[0]}" if problems else ""
            raise ValueError(f"{path}: holds no usable {modality.item}{reason}")
        examples += measured
    if not examples:
        raise ValueError(f"no corpus was named by {paths!r}; give a folder or a manifest")
    return examples, problems


def corpus_paths(paths: str) -> list[str]:
    """Return the corpora in `paths`: the one of that name, if there is one, or those between its commas."""
    return [paths] if os.path.exists(paths) else [path for path in paths.split(",") if path]


def untranscribed(
    examples: Sequence[Example], item: str, label: bool = False
) -> tuple[list[Example], list[str]]:
    """Return the examples that have a text, and one sentence for each that has none.

    Args:
        examples: of a corpus.
        item: what one is called.
        label: whether the text is to be a label, which cannot be empty.
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


def fitting(
    examples: Sequence[Example], alphabet: Symbols, front_end: Any, steps_per_length: float
) -> tuple[list[Example], list[str]]:
    """Return the examples whose text fits into the steps of their length, and a sentence for each other.

    Args:
        examples: with text and length.
        alphabet: in which the text is spelled.
        front_end: whose `output_lengths` turns signal steps into frames.
        steps_per_length: signal steps for one unit of length.

    Raises:
        ValueError: a text with characters that are not in the alphabet.
    """
    import torch

    from common.network.ctc import required_steps

    lengths = np.array([example.length for example in examples]) * steps_per_length
    signal_steps = torch.from_numpy(np.maximum(np.round(lengths), front_end.shortest).astype(np.int64))
    available = front_end.output_lengths(signal_steps).tolist()
    good, problems = [], []
    for example, frames in zip(examples, available, strict=True):
        wanted = required_steps(alphabet.encode(example.text or ""))
        if wanted <= frames:
            good.append(example)
        else:
            problems.append(
                f"{_name(example)}: the text needs {wanted} steps and the signal gives {frames};"
                " correct the text, or train with a smaller stride"
            )
    return good, problems


def _name(example: Example) -> str:
    return f"{example.origin}: {example.source}" if example.origin else example.source


def report_problems(problems: Sequence[str]) -> None:
    """Log what was left out and why: the first few one by one."""
    for sentence in problems[:PROBLEMS_SHOWN]:
        log.warning("left out: %s", sentence)
    if len(problems) > PROBLEMS_SHOWN:
        log.warning("left out: %d more of the same kinds", len(problems) - PROBLEMS_SHOWN)


def report_unknown(texts: Iterable[str], alphabet: Symbols, what: str) -> None:
    """Log which characters or names of these texts a model with this alphabet can never write."""
    counts = Counter(symbol for text in texts for symbol in alphabet.unknown(text))
    if counts:
        listed = ", ".join(f"{symbol!r} (in {count})" for symbol, count in counts.most_common(12))
        log.warning(
            "%s: %d %s are not in the alphabet of %d symbols and will count as errors: %s",
            what, len(counts), alphabet.noun,
            len(alphabet.symbols), listed,
        )  # fmt: skip


def fingerprint(examples: Sequence[Example]) -> str:
    """Return a hash of the texts and lengths of `examples`: whether two models saw the same data."""
    digest = hashlib.sha256()
    for example in sorted(examples, key=lambda one: (one.text or "", one.length or 0.0)):
        digest.update(f"{example.text}\t{example.length:.3f}\n".encode())
    return digest.hexdigest()[:16]
