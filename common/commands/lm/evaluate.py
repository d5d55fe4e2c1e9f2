"""`lm evaluate`: bits and perplexity of language models of either kind, on the same characters or words."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.command_line import counting
from common.commands.flags.lm import LanguageModelEvaluateFlags
from common.commands.lm.spelling import read_spelling
from common.commands.lm.texts import read_texts, require_texts
from common.language.loading import load_ngrams
from common.language.ngram import NGram
from common.language.recurrent_model import is_recurrent, read_language_model
from common.recognition.modality import Modality
from common.text.vocabulary import Vocabulary

SHOWN = 12
"""unknown characters or words that are listed one by one"""


class Row(NamedTuple):
    """The probabilities that one model gives to the texts."""

    name: str
    context: str
    """what each probability is conditioned on: "line", the line up to there, or "running", all text before"""
    log_probs: list[np.ndarray]
    """(L + 1,) natural, of the characters or words of each line, and of its end"""


def run(modality: Modality, arguments: LanguageModelEvaluateFlags) -> None:
    """Print a row for each model.

    Tokens that one of the models does not know are not counted for any of them.

    Raises:
        ValueError: models that cannot be compared, or texts that cannot be used.
    """
    require_texts(arguments.texts, "measure on")
    paths = [arguments.model, *arguments.beside]
    ngrams = {path: load_ngrams(path) for path in paths if not is_recurrent(path)}
    vocabularies = [read_language_model(path).vocabulary for path in paths if path not in ngrams]
    unit, form = _agreed(list(ngrams.values()), vocabularies)
    spelling = read_spelling(arguments.like, form)
    texts = read_texts(modality, arguments.texts, arguments.corpus, spelling)
    lines = [list(text) if unit == "character" else text.split() for text in texts]
    known = _known_to_all(list(ngrams.values()), vocabularies)
    counted = [np.array([*(token in known for token in line), True]) for line in lines]
    rows = []
    for path in paths:
        if path in ngrams:
            rows.append(Row(path.name, "line", [ngrams[path].log_probs(line) for line in lines]))
        else:
            rows += _recurrent(path, texts, arguments.label)
    total = sum(int(mask.sum()) for mask in counted)
    _print_rows(rows, counted, total, unit)
    unknown = Counter(token for line in lines for token in line if token not in known)
    left = ", ".join(f"{token!r} ({count:,})" for token, count in unknown.most_common(SHOWN))
    more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
    print(
        f"{total:,} {unit}s and ends of lines in {counting.counted(len(lines), 'line')}"
        + (f"; {unknown.total():,} not counted, unknown to a model: {left}{more}" if unknown else "")
    )


def _agreed(ngrams: Sequence[NGram], vocabularies: Sequence[Vocabulary]) -> tuple[str, str]:
    """Return the unit and the Unicode form of all models; ValueError if they differ."""
    units = {model.unit for model in ngrams} | {vocabulary.unit for vocabulary in vocabularies}
    forms = {vocabulary.unicode_form for vocabulary in vocabularies} or {"NFC"}
    for name, several in (("unit", units), ("Unicode form", forms)):
        if len(several) > 1:
            raise ValueError(f"models differ in their {name}: {' and '.join(sorted(several))}; compare alike")
    return units.pop(), forms.pop()


def _known_to_all(ngrams: Sequence[NGram], vocabularies: Sequence[Vocabulary]) -> set[str]:
    """Return the characters or words that every model knows."""
    known = [set(model.tokens) for model in ngrams]
    known += [{t for t in words.symbols if words.labels[t] != words.unknown_label} for words in vocabularies]
    return set.intersection(*known)


def _print_rows(rows: Sequence[Row], counted: Sequence[np.ndarray], total: int, unit: str) -> None:
    """Print the bits and perplexity of each row over the `total` tokens of the lines that are `counted`."""
    width = max(len("model"), *(len(row.name) for row in rows))
    print(f"{'model':{width}}  context  bits per {unit}    perplexity")
    for row in rows:
        nats = -sum(float(one[mask].sum()) for one, mask in zip(row.log_probs, counted, strict=True)) / total
        bits = f"{nats / math.log(2):{9 + len(unit)}.4f}"
        print(f"{row.name:{width}}  {row.context:7}  {bits}  {math.exp(nats):12.4f}")


def _recurrent(path: Path, texts: Sequence[str], label: str | None) -> list[Row]:
    """Return the rows of a recurrent model: each line on its own, and all lines as one running text."""
    from common.network.language_model import LanguageModel
    from common.network.scoring import label_log_probs

    model = LanguageModel.load(path)
    given = None if label is None else [label] * len(texts)
    return [
        Row(path.name, context, label_log_probs(model, texts, given, running))
        for context, running in (("line", False), ("running", True))
    ]
