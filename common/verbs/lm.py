"""The verb lm: language models of n-grams."""

import logging
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import tyro
from tyro.conf import Positional

from common.alphabet import Alphabet
from common.decoding.arpa import write_arpa
from common.decoding.kneser_ney import REPLACEMENT, count_ngrams, discounts, smooth, thresholds
from common.decoding.ngram import START_ID, UNKNOWN_ID, NGram
from common.modality import Modality
from common.model_file import read_model
from common.plain_text import read_lines
from common.preparation import corpus_paths, report_problems
from common.verbs.files import make_place, writing
from common.verbs.options import flat

log = logging.getLogger(__name__)

ORDERS = {"character": 6, "word": 3}
"""what --order is where it is not given"""
CORPUS_SUFFIXES = (".jsonl", ".json", ".ndjson", ".manifest", ".csv")
"""of files whose texts are read as those of a corpus; all other files are plain text"""
ALIKE = ("'’‘‛ʼ′`´", '"“”„‟«»″', "-‐‑‒–—―−", ".․", "/⁄∕")
"""signs that stand for each other, the first that an alphabet has for all"""
APOSTROPHES = ALIKE[0]
LIGATURES = str.maketrans({"æ": "ae", "œ": "oe", "Æ": "AE", "Œ": "OE"})
"""letters that Unicode does not take apart"""
SPOKEN = "&%@#§"
"""signs of punctuation that are read as words"""
SHOWN = 12
"""characters that are listed one by one"""


TEXTS = (
    "Plain text, UTF-8, a sentence a line (.gz, .xz and .bz2 too; - is standard input), or a corpus whose"
    f" texts are taken: a folder, or a manifest that ends in one of {' '.join(CORPUS_SUFFIXES)}."
)
PRUNE = (
    "Leave out n-grams of length 1, 2, ... that come so often or less: 0 first, and the last number holds for"
    " all that are longer. 0 0 1 leaves out the trigrams and longer that come once. (default: none)"
)
LIKE = (
    "Model file to whose alphabet the texts are brought: its Unicode form and case; bare letters where it has"
    " no accents, and a quote or dash it has for those it lacks. Other punctuation it lacks becomes a space,"
    " apostrophes vanish, and whatever else it lacks, such as digits, counts as unknown."
)


def arguments(modality: Modality) -> type:
    """Return the dataclass whose fields are the flags."""

    @dataclass(frozen=True)
    class LanguageModel:
        """`lm train TEXT... -o LM` learns which characters or words follow each other: an n-gram model."""

        action: Annotated[Positional[Literal["train"]], tyro.conf.arg(metavar="train", help_behavior_hint="")]
        """The one thing there is to do."""
        texts: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(help=TEXTS, help_behavior_hint="")]
        output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
        """File to write: .arpa or .arpa.gz for the text format that others read, else NumPy's .npz."""
        order: Annotated[
            int | None, tyro.conf.arg(help_behavior_hint="(default: 6 for characters, 3 for words)")
        ] = None
        """Length of the longest n-grams, 1 to 10."""
        unit: Literal["character", "word"] = "character"
        """What a token is."""
        prune: Annotated[tuple[int, ...], tyro.conf.arg(help=PRUNE, help_behavior_hint="")] = ()
        vocabulary: int | None = None
        """Keep so many of the most frequent tokens, the others count as unknown; without it, all are kept."""
        like: Annotated[Path | None, tyro.conf.arg(help=LIKE)] = None
        unicode_form: Annotated[
            Literal["NFC", "NFD", "NFKC", "NFKD", "none"] | None,
            tyro.conf.arg(help_behavior_hint="(default: that of --like, else NFC)"),
        ] = None
        """Form the texts are brought to."""
        held_out: str | None = None
        """Text or corpus to measure the perplexity on."""
        corpus: flat(modality.corpus_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=modality.corpus_config
        )

    return LanguageModel


def run(modality: Modality, arguments: Any) -> None:
    """Train a language model and print what it consists of."""
    if not arguments.texts:
        raise ValueError("no text to learn from; name a file, a corpus, or - for standard input")
    order = ORDERS[arguments.unit] if arguments.order is None else arguments.order
    thresholds(order, arguments.prune)
    make_place(arguments.output)
    spelling = _spelling(arguments.like, arguments.unicode_form)
    texts = _texts(modality, arguments.texts, arguments.corpus, spelling)
    held_out = []
    if arguments.held_out is not None:
        held_out = _texts(modality, [arguments.held_out], arguments.corpus, spelling)
    counts = count_ngrams(texts, order, arguments.unit, arguments.vocabulary)
    taken = [discounts(level) for level in counts.levels]
    model = smooth(counts, taken, arguments.prune)
    with writing(arguments.output):
        if arguments.output.name.endswith((".arpa", ".arpa.gz")):
            write_arpa(model, arguments.output)
        else:
            model.save(arguments.output)
    raw = counts.levels[0].raw
    total, unknown = raw.sum() - raw[START_ID], raw[UNKNOWN_ID]
    print(f"{len(texts):,} lines, {total:,} {arguments.unit}s and ends of lines, {unknown:,} of them unknown")
    for length, (level, kept, discount) in enumerate(zip(counts.levels, model.counts, taken, strict=True), 1):
        share = "" if kept == len(level.raw) else f" of {len(level.raw):,}"
        why = " (the fallback: too few n-grams to tell)" if discount.is_fallback else ""
        numbers = " ".join(f"{number:.3f}" for number in discount[:3])
        print(f"{length}-grams: {kept:,}{share}, discounts {numbers}{why}")
    if arguments.held_out is not None:
        _print_perplexity(model, arguments.held_out, held_out)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB")


def _print_perplexity(model: NGram, name: str, texts: Sequence[str]) -> None:
    found = model.perplexity(texts)
    print(
        f"{name}: perplexity {found.perplexity:.3f}, {found.perplexity_known:.3f} without the {found.oovs:,}"
        f" unknown of {found.tokens:,} {model.unit}s and ends, {found.bits_per_token:.3f} bits each"
    )


# --- texts


def _texts(modality: Modality, names: Sequence[str], config: Any, spelling: "_Spelling") -> list[str]:
    """Return the lines of texts and corpora that are not empty, as they are to be spelled."""
    texts = []
    for name in names:
        for path in corpus_paths(name):
            is_corpus = Path(path).is_dir() or path.lower().endswith(CORPUS_SUFFIXES)
            lines = _corpus(modality, path, config) if is_corpus else read_lines(path)
            found = [text for text in map(spelling.normalise, lines) if text.strip()]
            if not found:
                raise ValueError(f"{path}: holds no text; name one with a sentence a line")
            spelling.report(path)
            texts += found
    return texts


def _corpus(modality: Modality, path: str, config: Any) -> list[str]:
    corpus = modality.corpora(path, config)
    report_problems(corpus.problems)
    return [example.text for example in corpus.examples if example.text is not None]


# --- spelling


class _Spelled(NamedTuple):
    text: str
    why: Literal["kept", "case", "respelled", "left out", "unknown"]


class _Spelling(dict[int, str]):
    """What each character is written as, worked out when it first comes: a table for `str.translate`."""

    def __init__(self, alphabet: Alphabet, is_limit: bool) -> None:
        super().__init__()
        self.alphabet, self.is_limit = alphabet, is_limit
        self.symbols = set(alphabet.symbols)
        self.seen: Counter[str] = Counter()  # since the last report

    def __missing__(self, code: int) -> str:
        self[code] = spelled(chr(code), self.symbols).text
        return self[code]

    def normalise(self, text: str) -> str:
        """Return `text` as the alphabet spells it."""
        text = self.alphabet.normalise(text)
        if not self.is_limit:
            return text
        self.seen.update(text)
        return self.alphabet.normalise(text.translate(self))

    def report(self, path: str) -> None:
        """Log what was not in the alphabet, and what became of it."""
        kinds: dict[str, list[tuple[str, int]]] = {"respelled": [], "left out": [], "unknown": []}
        for character, count in self.seen.most_common():
            text, why = spelled(character, self.symbols)
            if why in kinds:
                shown = f"{character!r} as {text!r}" if why == "respelled" else repr(character)
                kinds[why].append((shown, count))
        self.seen.clear()
        for kind, found in kinds.items():
            if found:
                total = sum(count for _, count in found)
                listed = ", ".join(f"{shown} ({count:,})" for shown, count in found[:SHOWN])
                more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
                log.info(
                    "%s: not in the alphabet, %s: %s times, %s%s", path, kind, f"{total:,}", listed, more
                )


def _spelling(like: Path | None, unicode_form: str | None) -> _Spelling:
    if like is None:
        return _Spelling(Alphabet((), unicode_form or "NFC"), is_limit=False)
    described = read_model(like).header.get("alphabet")
    if not isinstance(described, dict):
        raise ValueError(f"{like}: has no alphabet; name a model that transcribes")
    try:
        alphabet = Alphabet.from_dict(described)
    except ValueError as error:
        raise ValueError(f"{like}: {error}") from None
    if unicode_form not in (None, alphabet.unicode_form):
        raise ValueError(
            f"--unicode-form {unicode_form}: {like} wants {alphabet.unicode_form}; leave the flag out"
        )
    return _Spelling(alphabet, is_limit=True)


def spelled(character: str, symbols: set[str]) -> _Spelled:
    """Return how an alphabet of `symbols` writes a character, and what that does to it.

    In this order: as it is; by a sign like it; in the other case; as its compatible or bare letters, in
    either case; punctuation as a space, apostrophes and invisible characters as nothing; else it is unknown.
    """
    if character in symbols:
        return _Spelled(character, "kept")
    for group in ALIKE:
        if character in group and (likeness := next((sign for sign in group if sign in symbols), "")):
            return _Spelled(likeness, "respelled")
    bare = _bare(character)
    for text in (character.upper(), character.lower(), bare, bare.upper(), bare.lower()):
        if text and symbols.issuperset(text):
            return _Spelled(text, "case" if text in (character.upper(), character.lower()) else "respelled")
    kind = unicodedata.category(character)
    if character in APOSTROPHES or kind in ("Cf", "Mn", "Me", "Lm"):
        return _Spelled("", "left out")
    if (kind[0] in "PZC" or kind == "Sk") and character not in SPOKEN:
        return _Spelled(" " if " " in symbols else "", "left out")
    return _Spelled(REPLACEMENT, "unknown")


def _bare(character: str) -> str:
    """Return the letters of a character without accents: "e" for "é", "ae" for "æ"."""
    parts = unicodedata.normalize("NFKD", character).translate(LIGATURES)
    return "".join(part for part in parts if not unicodedata.combining(part))
