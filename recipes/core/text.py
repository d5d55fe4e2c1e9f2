"""Text as a third modality: characters or words become numbers, then an embedding; `common` does not change.

    python recipes/core/text.py train TRAIN DEV --run DIR --task classify --pooling attention
    python recipes/core/text.py evaluate DIR/best.safetensors DEV
    echo "what a film" | python recipes/core/text.py transcribe - --model DIR/best.safetensors

A corpus is a folder of labelled texts or a file of pairs:

    FOLDER/LABEL/*.txt     one text in each file, as in aclImdb/train/pos and neg: the label is the target
    FILE.tsv               one pair in each line, source, tab, target

`--task classify` learns a label for a text, such as its sentiment: embedding, recurrent network, pooling, and
a softmax over the labels. With two labels this equals one output with a sigmoid: softmax(a, b) = (s(a - b),
s(b - a)), its cross-entropy is the binary one, and a linear layer that gives a and b also gives a - b.

CTC cannot learn pairs whose target is longer than the source or has another order; `--task attention` can.
"""

import io
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from common import cli
from common.data.manifest import Corpus, Example
from common.data.signal import Signal, Source
from common.network.recurrent import mask_steps
from common.recognition.modality import Modality, Training
from common.text.rendering import Rendering
from common.text.symbols import Alphabet

WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
"""a word with its apostrophes, or a punctuation mark"""
LINE = re.compile(r"(?P<file>.+)::(?P<number>[1-9]\d*)$", re.DOTALL)
"""a source that is one line of a file of pairs"""
SYMBOLS_PER_CHARACTER = {"character": 1.0, "word": 0.2}
"""for words an estimate: an English word and the space after it have five or six characters"""
MOST_BUCKETS = 2**24
"""the largest number up to which float32 has all integers"""


@dataclass(frozen=True)
class SignalConfig:
    """The kind of symbols, and their numbers."""

    unit: Literal["character", "word"] = "character"
    """Kind of symbol: a character, or a word in lower case or a punctuation mark."""
    buckets: int = 4096
    """How many numbers symbols have, with 0 for padding; 4096 cover characters from Latin to Devanagari."""
    max_length: int = 20_000
    """Largest number of symbols of a text; longer texts are refused."""

    def __post_init__(self) -> None:
        if self.unit not in SYMBOLS_PER_CHARACTER:
            raise ValueError(f"unit is {self.unit!r}; it must be character or word")
        if not 2 <= self.buckets <= MOST_BUCKETS:
            raise ValueError(f"buckets is {self.buckets}; choose 2 to {MOST_BUCKETS}, such as 4096")
        if self.max_length < 1:
            raise ValueError(f"max_length is {self.max_length}; choose 1 or more symbols")


@dataclass(frozen=True)
class CorpusConfig:
    """How a corpus of texts is read."""

    labels: str = ""
    """Sub-folders that are labels, with commas between; all by default."""


@dataclass(frozen=True)
class FrontEndConfig:
    """How symbols become features."""

    embedding_size: int = 64
    """Number of values that represent a symbol."""
    symbol_dropout: float = 0.1
    """Share of the symbols whose values are all set to 0 in training."""


@dataclass(frozen=True)
class AugmentConfig:
    """Texts are not augmented, except by `symbol_dropout`."""


class SymbolEmbedding(nn.Module):
    """A learnt vector for each symbol."""

    stride = shortest = 1

    def __init__(self, config: FrontEndConfig, signal: SignalConfig) -> None:
        super().__init__()
        self.feature_size = config.embedding_size
        self.embedding = nn.Embedding(signal.buckets, config.embedding_size, padding_idx=0)
        self.dropout = nn.Dropout(config.symbol_dropout)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return `lengths` (B,), since each symbol is a step."""
        return lengths

    def forward(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, S, D) and lengths (B,) of `signals` (B, S), the numbers of symbols."""
        features = self.embedding(signals.long())  # (B, S, D)
        features = features * self.dropout(features.new_ones(*signals.shape, 1))  # (B, S, D)
        return mask_steps(features, lengths), lengths


def symbols_of(text: str, config: SignalConfig) -> np.ndarray:
    """Return the numbers (T,) of the symbols of a text, float32, from 1 upwards.

    The number of a character is its code point, reduced by modulo if it is not below `buckets`. The number of
    a word is its CRC-32, reduced in the same way: the hashing trick (Weinberger et al. 2009). No vocabulary
    is needed, and no word is unknown; the model cannot distinguish two words with the same number.
    """
    if config.unit == "character":
        numbers = [ord(character) for character in text]
    else:
        numbers = [zlib.crc32(word.encode()) for word in WORD.findall(text.lower())]
    # 1 .. buckets - 1 do not change; no symbol becomes 0, which is padding
    return np.array([1 + (number - 1) % (config.buckets - 1) for number in numbers], dtype=np.float32)


def read(source: Source, config: SignalConfig) -> Signal:
    """Return the symbols of a text.

    Args:
        source: "FILE::NUMBER" is line NUMBER (from 1) of a file of pairs, up to its tab; any other path, and
            an open binary file, is one text as a whole.
        config: kind and number of symbols.

    Raises:
        ValueError: the source cannot be read, is not UTF-8, or has no symbols or too many.
    """
    text = _text(source)
    values = symbols_of(text, config)
    if not len(values):
        raise ValueError(f"{_name(source)}: has no {config.unit} in it; write the text or drop it")
    if len(values) > config.max_length:
        raise ValueError(
            f"{_name(source)}: has {len(values)} {config.unit}s, at most {config.max_length} were wanted;"
            " split it, or raise --max-length"
        )
    return Signal(values, 1.0)


def _name(source: Source) -> str:
    return str(source if isinstance(source, str | Path) else getattr(source, "name", "a text"))


def _text(source: Source) -> str:
    """Return the text of a source in NFC, with one space for each run of white space."""
    if not isinstance(source, str | Path):
        return _decoded(source.read(), _name(source))
    path = str(source)
    try:
        if (line := LINE.match(path)) and not os.path.exists(path):
            number, lines = int(line["number"]), _lines(line["file"], os.stat(line["file"]).st_mtime_ns)
            if number > len(lines):
                raise ValueError(f"{path}: that file has {len(lines)} lines; name one of them")
            return _decoded(lines[number - 1].partition(b"\t")[0], path)
        return _decoded(Path(path).read_bytes(), path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); name a file of text") from error


@lru_cache(maxsize=4)
def _lines(path: str, mtime_ns: int) -> list[bytes]:
    r"""Return the lines of a file, which end with \n or \r\n; `mtime_ns` renews a changed file."""
    lines = Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return [line.removesuffix(b"\r") for line in (lines if lines[-1] else lines[:-1])]


def _decoded(raw: bytes, name: str) -> str:
    try:
        return Alphabet(()).normalise(raw.decode("utf-8").removeprefix("\ufeff"))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name}: byte {raw[error.start]:#04x} at offset {error.start} is not UTF-8; convert it to UTF-8"
        ) from None


def measure(source: str) -> float:
    """Return the number of characters of a source; the number of words would need a SignalConfig."""
    return float(len(_text(source)))


def expand(file: str) -> list[str]:
    """Return a source for each line of a file of pairs, or else the file itself."""
    if not file.endswith(".tsv"):
        return [file]
    lines = _lines(file, os.stat(file).st_mtime_ns)
    return [f"{file}::{number}" for number, line in enumerate(lines, 1) if line.strip()]


def steps_per_length(config: SignalConfig) -> float:
    """Return the number of symbols for one character of text."""
    return SYMBOLS_PER_CHARACTER[config.unit]


def read_corpus(path: str, config: CorpusConfig) -> Corpus:
    """Return the texts of FOLDER/LABEL/*.txt, or the pairs of FILE.tsv, and the problems of the others.

    Raises:
        ValueError: the path is neither, or the folder does not have the labels of `config`.
    """
    if Path(path).is_dir():
        return _read_folder(Path(path), [label for label in config.labels.split(",") if label])
    return _read_pairs(path)


def _read_folder(folder: Path, wanted: list[str]) -> Corpus:
    present = sorted(entry.name for entry in folder.iterdir() if any(entry.glob("*.txt")))
    missing = sorted(set(wanted) - set(present))
    if missing or not present:
        raise ValueError(
            f"{folder}: has {', '.join(present) or 'nothing'} with *.txt in it,"
            f" {', '.join(missing) or 'LABEL/*.txt'} was wanted; name the folder above the labels"
        )
    labelled = (
        (file, label) for label in wanted or present for file in sorted((folder / label).glob("*.txt"))
    )
    return Corpus([Example(str(file), label) for file, label in labelled], [])


def _read_pairs(path: str) -> Corpus:
    try:
        lines = _lines(path, os.stat(path).st_mtime_ns)
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read ({error.strerror}); name a folder of LABEL/*.txt, or a file of pairs"
        ) from error
    examples, problems = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            examples.append(_pair(line, f"{path}::{number}", f"{path}:{number}"))
        except ValueError as error:
            problems.append(str(error))
    return Corpus(examples, problems)


def _pair(line: bytes, source: str, origin: str) -> Example:
    fields = [_decoded(field, origin) for field in line.split(b"\t")]  # no other character has this byte
    if len(fields) != 2 or not all(fields):
        raise ValueError(
            f"{origin}: has {sum(map(bool, fields))} texts with tabs between, 2 were wanted;"
            " write source, tab, target"
        )
    return Example(source, fields[1], float(len(fields[0])), origin=origin)


def render(values: np.ndarray, config: SignalConfig) -> Rendering:
    """Return a picture of the characters of a text; words, known by their hashes only, are grey."""
    across, width, height = 80, 10, 20
    rows = -(-len(values) // across)
    picture = Image.new("L", (across * width, rows * height), 255)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    for place, number in enumerate(values.astype(int).tolist()):
        x, y = place % across * width, place // across * height
        if config.unit == "character":
            shown = chr(number) if chr(number).isprintable() else "?"
            draw.text((x, y), shown, fill=0, font=font)
        else:
            draw.rectangle((x, y, x + width - 2, y + height - 4), fill=number * 97 % 240)
    picture.save(file := io.BytesIO(), format="PNG")
    return Rendering(file.getvalue())


def build_augment(
    config: AugmentConfig, signal: SignalConfig
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Return a function that returns `values` (T,) unchanged."""
    return _unchanged


def _unchanged(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return values


def training() -> Training:
    """Return the parts for training; no augmentation has to be left out for targets with positions."""
    return Training(
        AugmentConfig, build_augment, FrontEndConfig, SymbolEmbedding, evenly=lambda config: config
    )


TEXT = Modality(
    name="text",
    item="text",
    unit="symbols",
    length_unit="characters",
    batch_budget=4000.0,
    signal_config=SignalConfig,
    corpus_config=CorpusConfig,
    read=read,
    expand=expand,
    measure=measure,
    steps_per_length=steps_per_length,
    corpora=read_corpus,
    render=render,
    training=training,
)

if __name__ == "__main__":
    cli.main(TEXT)
