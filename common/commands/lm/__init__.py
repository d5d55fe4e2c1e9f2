"""The verb lm: language models, of n-grams or recurrent, from text; what they say of other text."""

import logging
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import tyro
from tyro.conf import Positional, UseAppendAction

from common.commands.flags import flat
from common.commands.output import make_place, writing
from common.files.model_file import read_model
from common.files.plain_text import read_lines
from common.language.arpa import write_arpa
from common.language.kneser_ney import discounts, smooth, thresholds
from common.language.ngram import START_ID, UNKNOWN_ID, NGram
from common.language.ngram_counts import count_ngrams
from common.language.perplexity import perplexity
from common.language.recurrent_model import LanguageModelConfig
from common.recognition.modality import Modality
from common.text.symbols import Alphabet
from common.text.vocabulary import REPLACEMENT
from common.training.preparation import corpus_paths, report_problems

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
    " For a recurrent model each may have a label that it is told: LABEL=FILE."
)
PRUNE = (
    "Leave out n-grams of length 1, 2, ... that come so often or less: 0 first, and the last number holds for"
    " all that are longer. 0 0 1 leaves out the trigrams and longer that come once. (default: none)"
)
HELD_OUT = (
    "Text or corpus to measure on; without it a recurrent model keeps every 50th line for that. LABEL=FILE,"
    " with commas between, where texts have labels."
)
LIKE = (
    "Model file to whose alphabet the texts are brought: its Unicode form and case; bare letters where it has"
    " no accents, and a quote or dash it has for those it lacks. Other punctuation it lacks becomes a space,"
    " apostrophes vanish, and whatever else it lacks, such as digits, counts as unknown."
)


@dataclass(frozen=True)
class Network(LanguageModelConfig):
    """The network, with the settings that flags can say."""

    condition_size: Annotated[int, tyro.conf.Suppress] = 0


@dataclass(frozen=True)
class RecurrentSettings:
    """How a recurrent model is trained."""

    run: Path | None = None
    """Folder for the model (best.safetensors), checkpoints and logs of a recurrent one."""
    resume: bool = False
    """Go on with the run in that folder, exactly where its last checkpoint was written."""
    network: Annotated[Network, tyro.conf.arg(name="")] = field(default_factory=Network)
    streams: int = 64
    """Places at which the text is read at a time, side by side."""
    k1: int = 64
    """Steps from one update to the next; 0: whole lines are read, each from a fresh state."""
    k2: Annotated[int | None, tyro.conf.arg(help_behavior_hint="(default: k1)")] = None
    """Steps that errors go back, a multiple of k1."""
    batch_budget: float = 4096
    """With --k1 0: characters or words of a batch, with padding."""
    epochs: int = 5
    """Passes over the text."""
    learning_rate: float = 2e-3
    """Of AdamW, at its peak; it rises for 200 updates, and then falls along a cosine."""
    clip_norm: float = 1.0
    """Longest gradient allowed; a longer one is scaled down (Pascanu et al. 2013)."""
    ema: float = 0.998
    """Decay of the averaged weights, which are measured and saved; 0 for none."""
    patience: int = 0
    """Stop after this many epochs without better bits; 0 never."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """auto: bfloat16 where the machine computes it faster."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train."""
    seed: int = 1
    """Of weights, order and dropout."""
    checkpoint_minutes: float = 5.0
    """How often, beside each epoch's end, latest.ckpt is written."""


def arguments(modality: Modality) -> Any:
    """Return the dataclasses whose fields are the flags, one for each action."""

    @dataclass(frozen=True)
    class Train:
        """Learn which characters or words follow each other: an n-gram model, or a recurrent one."""

        texts: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(help=TEXTS, help_behavior_hint="")]
        output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], help_behavior_hint="")] = None
        """File to write n-grams to: .arpa or .arpa.gz for the text format that others read, else .npz."""
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
        held_out: Annotated[str | None, tyro.conf.arg(help=HELD_OUT)] = None
        recurrent: bool = False
        """Train a recurrent network in --run; the flags below are for it."""
        settings: Annotated[RecurrentSettings, tyro.conf.arg(name="")] = field(
            default_factory=RecurrentSettings
        )
        corpus: flat(modality.corpus_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=modality.corpus_config
        )

    @dataclass(frozen=True)
    class Evaluate:
        """Bits and perplexity of other text, of one model or of several on the same characters or words."""

        model: Positional[Path]
        """Language model, of either kind."""
        texts: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(help=TEXTS, help_behavior_hint="")]
        beside: UseAppendAction[tuple[Path, ...]] = ()
        """Another model, to be measured on the same; may be said several times."""
        like: Annotated[Path | None, tyro.conf.arg(help=LIKE)] = None
        label: str | None = None
        """What the texts are, for a recurrent model that was trained with labels."""
        corpus: flat(modality.corpus_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=modality.corpus_config
        )

    return (
        Annotated[Train, tyro.conf.subcommand("train", prefix_name=False)]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate", prefix_name=False)]
        | Annotated[Sample, tyro.conf.subcommand("sample", prefix_name=False)]
    )


@dataclass(frozen=True)
class Sample:
    """Text drawn from a recurrent model, one a line."""

    model: Positional[Path]
    """Recurrent language model."""
    prompt: str = ""
    """How the texts begin."""
    count: int = 1
    """How many texts."""
    length: int = 200
    """Characters or words of a text at most."""
    temperature: float = 1.0
    """Below 1 what is likely becomes likelier."""
    top_k: int | None = None
    """Draw among so many of the likeliest only."""
    top_p: float = 1.0
    """Draw among the fewest that have together this probability."""
    seed: int = 1
    """Of the draws."""
    label: str | None = None
    """What kind of text, for a model that was trained with labels."""


def run(modality: Modality, arguments: Any) -> None:
    """Train, evaluate or sample a language model."""
    action = type(arguments).__name__
    if action == "Sample":
        _sample(arguments)
    elif not arguments.texts:
        purpose = "measure on" if action == "Evaluate" else "learn from"
        raise ValueError(f"no text to {purpose}; name a file, a corpus, or - for standard input")
    elif action == "Evaluate":
        from common.commands.lm.evaluate import evaluate

        def read(form: str) -> list[str]:
            spelling = _spelling(arguments.like, form)
            return _texts(modality, arguments.texts, arguments.corpus, spelling)

        evaluate(arguments, read)
    elif arguments.recurrent:
        _train_recurrent(modality, arguments)
    else:
        _train_ngrams(modality, arguments)


def _sample(arguments: Any) -> None:
    import torch

    from common.network.language_model import LanguageModel
    from common.network.sampling import sample

    model = LanguageModel.load(arguments.model)
    given = None if arguments.label is None else [arguments.label] * arguments.count
    generator = torch.Generator().manual_seed(arguments.seed)
    texts = sample(
        model, arguments.count, arguments.length, arguments.prompt, given,
        arguments.temperature, arguments.top_k, arguments.top_p, generator,
    )  # fmt: skip
    print("\n".join(texts))


def _train_recurrent(modality: Modality, arguments: Any) -> None:
    useless = [f"--{name}" for name in ("order", "prune", "output") if getattr(arguments, name)]
    if useless:
        raise ValueError(f"{', '.join(useless)}: of no use to a recurrent model; leave it out")
    if arguments.settings.run is None:
        raise ValueError("--recurrent: trains in a folder of its own; name it with --run")
    from common.commands.lm.recurrent import train

    spelling = _spelling(arguments.like, arguments.unicode_form)
    texts = _labelled(modality, arguments.texts, arguments.corpus, spelling)
    held_out = {}
    if arguments.held_out is not None:
        held_out = _labelled(modality, corpus_paths(arguments.held_out), arguments.corpus, spelling)
    train(arguments, texts, held_out, spelling.alphabet.unicode_form)


def _labelled(
    modality: Modality, names: Sequence[str], config: Any, spelling: "_Spelling"
) -> dict[str, list[str]]:
    """Return the lines of texts under their labels, "" where none are given."""
    found: dict[str, list[str]] = {}
    for name in names:
        label, separator, path = name.partition("=")
        if not separator or Path(name).exists():
            label, path = "", name
        found.setdefault(label, []).extend(_texts(modality, [path], config, spelling))
    if "" in found and len(found) > 1:
        raise ValueError("some texts have a label and some have none; give each one, as in english=FILE")
    return found


def _train_ngrams(modality: Modality, arguments: Any) -> None:
    """Train a model of n-grams and print what it consists of."""
    if arguments.output is None:
        raise ValueError("no file to write the model to; name it with --output, or say --recurrent")
    if arguments.settings != RecurrentSettings():
        raise ValueError("flags of recurrent models were given; say --recurrent, too")
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
    found = perplexity(model, texts)
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
