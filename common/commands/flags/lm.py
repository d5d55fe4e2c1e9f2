"""The flags of the verb lm: LanguageModelTrainFlags, LanguageModelEvaluateFlags, SampleFlags."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from common.command_line.flag import Flag, Flat, Positional
from common.commands.flags.shared import Corpus, UnicodeForm
from common.language.recurrent_model import LanguageModelConfig

CORPUS_SUFFIXES = (".jsonl", ".json", ".ndjson", ".manifest", ".csv")
"""files whose texts are read as those of a corpus; all other files are plain text"""

TEXTS_HELP = (
    "Plain text, UTF-8, one sentence a line (.gz, .xz and .bz2 too; - is standard input), or a corpus, of"
    f" which the texts are taken: a folder, or a manifest that ends in one of {' '.join(CORPUS_SUFFIXES)}."
    " For a recurrent model each can have a label that the model is told: LABEL=FILE."
)
PRUNE_HELP = (
    "Leave out n-grams of length 1, 2, ... that occur this often or less. The first number must be 0, and the"
    " last one holds for all longer n-grams: 0 0 1 leaves out trigrams and longer ones that occur once."
)
HELD_OUT_HELP = (
    "Text or corpus to measure on. Without it a recurrent model keeps every 50th line for that. LABEL=FILE,"
    " with commas between, if texts have labels."
)
LIKE_HELP = (
    "Model file whose alphabet the texts are brought to: its Unicode form and case; letters without accents"
    " if it has no accents, and a similar quote or dash for those it lacks. Other punctuation that it lacks"
    " becomes a space, apostrophes are left out, and all else that it lacks, such as digits, counts as"
    " unknown."
)

Texts = Annotated[tuple[str, ...], Flag(positional=True, help=TEXTS_HELP)]
Like = Annotated[Path | None, Flag(help=LIKE_HELP)]


@dataclass(frozen=True)
class NetworkConfig(LanguageModelConfig):
    """The network of a recurrent model."""

    condition_size: Annotated[int, Flag(hidden=True)] = 0


@dataclass(frozen=True)
class RecurrentSettings:
    """How a recurrent model is trained."""

    run: Path | None = None
    """Folder for the recurrent model (best.safetensors), checkpoints and logs."""
    resume: bool = False
    """Continue the run in that folder exactly where its last checkpoint was written."""
    network: Flat[NetworkConfig] = field(default_factory=NetworkConfig)
    streams: int = 64
    """Places in the text that are read side by side, on all devices together."""
    k1: int = 64
    """Steps from one update to the next; 0: whole lines are read, each from a fresh state."""
    k2: Annotated[int | None, Flag(default="k1")] = None
    """Steps that errors are propagated back; a multiple of k1."""
    batch_budget: float = 4096
    """With --k1 0: characters or words of a batch on each device, padding included."""
    epochs: int = 5
    """Passes over the text."""
    learning_rate: float = 2e-3
    """Peak learning rate of AdamW: it rises for 200 updates, then falls along a cosine."""
    clip_norm: float = 1.0
    """Longest gradient allowed; a longer one is scaled down (Pascanu et al. 2013)."""
    ema: float = 0.998
    """Decay of the averaged weights, which are measured and saved; 0: no average."""
    patience: int = 0
    """Stop after this many epochs without fewer bits; 0: never."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """auto: bfloat16 where the machine computes it faster."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the network is trained."""
    devices: int = 1
    """Processes, one per GPU (or CPU share); under torchrun the number per node."""
    nodes: int = 1
    """Machines, under torchrun."""
    seed: int = 1
    """Seed of weights, order and dropout."""
    checkpoint_minutes: float = 5.0
    """Minutes after which latest.ckpt is written again; it is also written after each epoch."""


@dataclass(frozen=True, kw_only=True)
class LanguageModelTrainFlags:
    """Learn which characters or words follow each other: train an n-gram model, or a recurrent one."""

    texts: Texts
    output: Annotated[Path | None, Flag(aliases=("-o",))] = None
    """File to write n-grams to: .arpa or .arpa.gz for the text format of other programs, else .npz."""
    order: Annotated[int | None, Flag(default="6 for characters, 3 for words")] = None
    """Length of the longest n-grams, 1 to 10."""
    unit: Literal["character", "word"] = "character"
    """What a token is."""
    prune: Annotated[tuple[int, ...], Flag(help=PRUNE_HELP, default="none")] = ()
    vocabulary: int | None = None
    """Keep this many of the most frequent tokens; the others count as unknown. Without it all are kept."""
    like: Like = None
    unicode_form: Annotated[UnicodeForm | None, Flag(default="that of --like, else NFC")] = None
    """Unicode form that the texts are brought to."""
    held_out: Annotated[str | None, Flag(help=HELD_OUT_HELP)] = None
    recurrent: bool = False
    """Train a recurrent network in --run; the flags of a recurrent model are for it."""
    settings: Flat[RecurrentSettings] = field(default_factory=RecurrentSettings)
    corpus: Corpus


@dataclass(frozen=True, kw_only=True)
class LanguageModelEvaluateFlags:
    """Measure bits and perplexity of a text with one model, or with several on the same tokens."""

    model: Positional[Path]
    """Language model, of either kind."""
    texts: Texts
    beside: Annotated[tuple[Path, ...], Flag(repeated=True)] = ()
    """Another model to measure on the same text; it can be given several times."""
    like: Like = None
    label: str | None = None
    """Label of the texts, for a recurrent model that was trained with labels."""
    corpus: Corpus


@dataclass(frozen=True)
class SampleFlags:
    """Draw texts from a recurrent model, one a line."""

    model: Positional[Path]
    """Recurrent language model."""
    prompt: str = ""
    """Beginning of each text."""
    count: int = 1
    """Number of texts."""
    length: int = 200
    """Characters or words of a text at most."""
    temperature: float = 1.0
    """A value below 1 makes probable tokens more probable."""
    top_k: int | None = None
    """Draw only from this many of the most probable tokens."""
    top_p: float = 1.0
    """Draw only from the fewest tokens that together have this probability."""
    seed: int = 1
    """Seed of the draws."""
    label: str | None = None
    """Label of the text, for a model that was trained with labels."""
