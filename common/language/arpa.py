r"""N-gram models as ARPA files, the text format that KenLM, SRILM and others write.

    \data\
    ngram 1=4
    ngram 2=2

    \1-grams:
    -0.9    <unk>
    -99     <s>     -0.3        log10 of probability, n-gram, log10 of backoff weight if any
    ...
    \end\

https://www.speech.sri.com/projects/srilm/manpages/ngram-format.5.html
"""

import gzip
import logging
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from common.files.aside import written_aside
from common.language.arpa_parser import Section, parse_arpa
from common.language.ngram import EMPTY_CONTEXT, FLOOR, LN10, SPECIAL, UNKNOWN_ID, NGram

log = logging.getLogger(__name__)

SPACE_NAME = re.compile(r"[<\[{(]?(white)?space[>\]})]?|[<\[{(](sp|spc|ws)[>\]})]", re.IGNORECASE)
"""names that tools give the space in a character model, such as <space>, <SPACE>, [SPACE] and <sp>"""
SPACE_SIGNS = ("▁", "␣", "|", "_")
"""signs for the space; without a name, the first of them that a file has stands for the space"""
WHITE = " \t\n\r\v\f"
"""characters that separate fields"""


def read_arpa(path: str | Path) -> NGram:
    """Return the model in an ARPA file, plain or gzipped.

    If all tokens except `<unk>`, `<s>`, `</s>` and a name of the space are single characters, it is a
    character model. Its space is the token of that name (SPACE_NAME), or else one of SPACE_SIGNS. `<UNK>` is
    read as `<unk>`; a file without it is read with a warning. Some tools prune the context of an n-gram
    that they list: such a context is added with the probability that backing off gives it, which leaves all
    scores as they are. A base-10 logarithm of -inf becomes -100, which is also that of a token without a
    unigram.

    Args:
        path: a file in UTF-8, whose fields are separated by tabs or spaces.

    Raises:
        ValueError: "path:line: ..." for a line that does not follow the format.
    """
    parsed = parse_arpa(path)
    unit, names = _unit(parsed.tokens)
    if UNKNOWN_ID not in parsed.sections[0].ids:
        log.warning(
            "%s: has no <unk>, so each %s that it lacks costs %.0f (10^-100), whatever the penalty of unknown"
            " words; estimate it with <unk>, as lmplz and lm train do",
            path, unit, -FLOOR,
        )  # fmt: skip
    return _model(names, unit, parsed.sections, path)


def _unit(names: Sequence[str]) -> tuple[str, list[str]]:
    """Return the unit of the tokens `names`, and the tokens with " " in place of the name of the space."""
    ordinary = names[len(SPECIAL) :]
    named = [name for name in ordinary if len(name) > 1]
    if not ordinary or len(named) > 1 or not all(map(SPACE_NAME.fullmatch, named)):
        return "word", list(names)
    space = next((name for name in (*named, *SPACE_SIGNS) if name in ordinary), None)
    return "character", [" " if name == space else name for name in names]


# --- the tree


def _model(names: Sequence[str], unit: str, sections: list[Section], path: str | Path) -> NGram:
    """Return the model whose nodes are the n-grams of `sections` and all their prefixes."""
    # the node of the first 0, 1, ... tokens of each n-gram
    begins = [np.full(len(section.ids), EMPTY_CONTEXT) for section in sections]
    token, log_prob, backoff, children = [np.zeros(1, np.int32)], [np.zeros(1)], [np.zeros(1)], []
    total, before = 1, 1  # number of nodes, in all and in the level before
    for length, section in enumerate(sections, 1):
        longer = range(length - 1, len(sections))
        keys = [begins[place] * len(names) + sections[place].ids[:, length - 1] for place in longer]
        level, nodes = np.unique(np.concatenate(keys), return_inverse=True)
        begins[length - 1 :] = np.split(total + nodes, np.cumsum([len(one) for one in keys])[:-1])
        own = begins[length - 1] - total
        listed, times = np.unique(own, return_counts=True)
        if len(listed) < len(own):
            twice = np.flatnonzero(own == listed[times > 1][0])[1]
            raise ValueError(f"{path}:{section.line + twice}: this n-gram stands here a second time; drop it")
        numbers = np.full((2, len(level)), [[np.nan], [0]])
        numbers[0, own] = section.log_prob
        if length < len(sections):
            numbers[1, own] = section.backoff
        parent, last = np.divmod(level, len(names))
        token.append(last.astype(np.int32))
        log_prob.append(numbers[0])
        backoff.append(numbers[1])
        children.append(np.bincount(parent - (total - before), minlength=before))
        total, before = total + len(level), len(level)
    children.append(np.zeros(before, np.int64))
    first_child = 1 + np.concatenate([[0], np.cumsum(np.concatenate(children))])
    model = NGram(
        names,
        unit,
        len(sections),
        np.concatenate(token),
        np.concatenate(log_prob),
        np.concatenate(backoff),
        first_child,
    )
    _fill(model, path)
    return model


def _fill(model: NGram, path: str | Path) -> None:
    """Set the probabilities of nodes that the file does not list to those that backing off gives."""
    added = np.flatnonzero(np.isnan(model.log_prob))
    if not len(added):
        return
    log.info("%s: lists n-grams without their contexts; added %d of these", path, len(added))
    parents = model.parents()
    for start, end in pairwise(model.levels[1:]):
        nodes = added[(added >= start) & (added < end)]
        if start == model.levels[1]:
            model.log_prob[nodes] = FLOOR  # a mark such as <s>; all other tokens are unigrams
            continue
        shorter, _ = model.score(model.suffixes(parents[nodes]), model.token[nodes])
        model.log_prob[nodes] = model.backoff[parents[nodes]] + shorter


# --- writing


def write_arpa(model: NGram, path: str | Path) -> None:
    r"""Write a model as an ARPA file, gzipped if `path` ends with .gz.

    After an error there is no partial file. `read_arpa` gives back the same numbers to the last bit. The
    space of a character model is written `<space>`. A character model that has no space but one of
    SPACE_SIGNS is read back with a space in its place.

    Raises:
        ValueError: a token contains white space, which the format cannot represent.
        OSError: the file cannot be written.
    """
    names = ["<space>" if token == " " else token for token in model.tokens]
    for name in names:
        if not name or set(name) & set(WHITE):
            raise ValueError(f"{path}: an ARPA file cannot hold the token {name!r}; write .npz, or drop it")
    with written_aside(path) as file:
        if str(path).endswith(".gz"):
            with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
                packed.writelines(_written(model, names))
        else:
            file.writelines(_written(model, names))


def _written(model: NGram, names: Sequence[str]) -> Iterator[bytes]:
    counts = "".join(f"ngram {length}={count}\n" for length, count in enumerate(model.counts, 1))
    yield f"\\data\\\n{counts}".encode()
    parents = model.parents()
    before = [""]  # the n-grams of the level before
    for length, (start, end) in enumerate(pairwise(model.levels[1:].tolist()), 1):
        yield f"\n\\{length}-grams:\n".encode()
        last = [names[token] for token in model.token[start:end].tolist()]
        contexts = (parents[start:end] - model.levels[length - 1]).tolist()
        if length == 1:
            ngrams = last
        else:
            ngrams = [f"{before[context]} {name}" for context, name in zip(contexts, last, strict=True)]
        log_probs, backoffs = (  # float64: 9 digits of it give the same float32 when read
            (numbers[start:end].astype(np.float64) / LN10).tolist()
            for numbers in (model.log_prob, model.backoff)
        )
        for ngram, log_prob, backoff in zip(ngrams, log_probs, backoffs, strict=True):
            weight = f"\t{backoff:.9g}" if length < model.order else ""
            yield f"{log_prob:.9g}\t{ngram}{weight}\n".encode()
        before = ngrams
    yield b"\n\\end\\\n"
