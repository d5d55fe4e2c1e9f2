"""`lm evaluate`: bits and perplexity of language models of either kind, on the same characters or words."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.language.loading import load_ngrams
from common.language.recurrent_model import is_recurrent, read_language_model

SHOWN = 12
"""unknown characters or words that are listed one by one"""


class Row(NamedTuple):
    """What one model says of texts."""

    name: str
    context: str
    """what it knows of: the line, or all before"""
    log_probs: list[np.ndarray]
    """(L + 1,) natural, of the characters or words of each line, and of its end"""


def evaluate(arguments: Any, read: Callable[[str], list[str]]) -> None:
    """Print a row for each model; `read` gives the lines in a Unicode form."""
    paths = [arguments.model, *arguments.beside]
    ngrams = {path: load_ngrams(path) for path in paths if not is_recurrent(path)}
    described = {path: read_language_model(path) for path in paths if path not in ngrams}
    vocabularies = [parts.vocabulary for parts in described.values()]
    units = {model.unit for model in ngrams.values()} | {words.unit for words in vocabularies}
    forms = {vocabulary.unicode_form for vocabulary in vocabularies} or {"NFC"}
    for name, several in (("unit", units), ("Unicode form", forms)):
        if len(several) > 1:
            raise ValueError(f"models differ in their {name}: {' and '.join(sorted(several))}; compare alike")
    (unit,) = units
    texts = [line for line in read(*forms) if line.strip()]
    lines = [list(text) if unit == "character" else text.split() for text in texts]
    knows = [set(model.tokens) for model in ngrams.values()]
    knows += [{t for t in words.symbols if words.labels[t] != words.unknown_label} for words in vocabularies]
    known = set.intersection(*knows)
    unknown = Counter(token for line in lines for token in line if token not in known)
    counted = [np.array([*(token in known for token in line), True]) for line in lines]

    rows = []
    for path in paths:
        if path in ngrams:
            rows.append(Row(path.name, "line", [ngrams[path].log_probs(line) for line in lines]))
        else:
            rows += _recurrent(path, texts, arguments.label)
    total = sum(int(mask.sum()) for mask in counted)
    width = max(len("model"), *(len(row.name) for row in rows))
    print(f"{'model':{width}}  context  bits per {unit}    perplexity")
    for row in rows:
        nats = -sum(float(one[mask].sum()) for one, mask in zip(row.log_probs, counted, strict=True)) / total
        bits = f"{nats / math.log(2):{9 + len(unit)}.4f}"
        print(f"{row.name:{width}}  {row.context:7}  {bits}  {math.exp(nats):12.4f}")
    print(f"{total:,} {unit}s and ends of lines in {len(lines):,} lines", end="")
    left = ", ".join(f"{token!r} ({count:,})" for token, count in unknown.most_common(SHOWN))
    more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
    print(f"; {unknown.total():,} not counted, unknown to a model: {left}{more}" if unknown else "")


def _recurrent(path: Path, texts: Sequence[str], label: str | None) -> list[Row]:
    """Return what a recurrent model says of each line for itself, and of all as they follow each other."""
    from common.network.language_model import LanguageModel
    from common.network.scoring import label_log_probs

    model = LanguageModel.load(path)
    given = None if label is None else [label] * len(texts)
    return [
        Row(path.name, context, label_log_probs(model, texts, given, running))
        for context, running in (("line", False), ("running", True))
    ]
