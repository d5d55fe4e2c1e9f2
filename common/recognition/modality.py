"""What a front end such as `ocr` or `asr` provides, so that the core can train and run its models."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from common.data.manifest import Corpus, Example
from common.data.shards.foreign import Kind
from common.data.shards.naming import tars_of
from common.data.shards.reading import read_tars
from common.data.signal import Segment, Segmentation, Signal, Source
from common.files.tars.address import is_address
from common.text.document import Document, Interval
from common.text.rendering import Rendering

# quoted: NumPy imports np.random when the name is evaluated
AugmentOne = Callable[[np.ndarray, "np.random.Generator"], np.ndarray]


class Training(NamedTuple):
    """What a modality needs for training; only the functions import torch, when they are called.

    augment_config, front_end_config: frozen dataclasses.
    augment: `(augment_config, signal_config) -> augment_one`, and
        `augment_one(values, rng: np.random.Generator) -> values`.
    front_end: `(front_end_config, signal_config) -> nn.Module`. The module is called with signals (B, T) or
        (B, T, H) and lengths (B,), and returns features (B, S, D) and lengths (B,). Its attributes are:

        stride        integer; step s covers the signal steps from s x stride to (s + 1) x stride
        offset        optional; a shift of these limits, in signal steps
        feature_size  integer, D
        shortest      integer; shorter signals are padded with zeros to this length
        output_lengths(lengths)  the lengths (B,) in steps
        context       for streams: how many signal steps before and after its own a step depends on;
                      a ValueError if it depends on the whole signal
        step_shape    optional, for export: the shape of one signal step, (H,); () by default
        exportable()  optional, for export: an equal module whose graph ONNX can hold

    evenly: `(augment_config) -> augment_config`: the same without changes that move anything along the
        signal, except by stretching the whole signal evenly. It serves targets that have positions.
    """

    augment_config: type
    augment: Callable[[Any, Any], AugmentOne]
    front_end_config: type
    front_end: Callable[[Any, Any], Any]
    evenly: Callable[[Any], Any] = lambda config: config


class Book(Protocol):
    """A file in the making that holds all pages of one source, such as a PDF."""

    def expect(self, source: str) -> None:
        """Note that the file is to have this page, in this order, also if its text cannot be found."""

    def add(self, document: Document) -> None:
        """Add the text of a page."""

    def write(self, path: Path) -> None:
        """Write the file; ValueError if it cannot be made."""


class Verb(NamedTuple):
    """A verb that only one modality has.

    module: its module, whose `run` is like that of a module of `common.commands`.
    usage, what: how it is called, and what it does, for the overview.
    """

    module: str
    usage: str
    what: str


class PageComparison(Protocol):
    """Whole sources that were read, beside those of transcribers."""

    def __len__(self) -> int:
        """The number of sources."""

    def lines(self) -> list[str]:
        """What is printed."""

    def to_dict(self) -> dict[str, Any]:
        """All figures, as JSON keeps them."""

    def write_report(self, path: Path, title: str) -> None:
        """Write an HTML page that shows them."""


class ModelSteps(NamedTuple):
    """What cutting a source depends on in the model that reads the segments.

    task: what the model has learnt.
    stride: signal steps of one step of the network. None if steps cannot be joined, so that each passage has
        to be one segment.
    """

    task: str
    stride: int | None


@dataclass(frozen=True)
class NoSettings:
    """There is nothing to set."""


@dataclass(frozen=True)
class Modality:
    """A kind of signal: how it is read, cut, found in corpora, measured, shown and trained on."""

    name: str
    """name of the command: "ocr" """
    item: str
    """what one example is called: "line" """
    unit: str
    """unit of positions in transcripts: "px" or "s" """
    length_unit: str
    """unit of `Example.length`: "line heights" (width over height) or "seconds" """
    batch_budget: float
    """default for the padded length of one batch, in `length_unit` """
    signal_config: type
    """frozen dataclass, such as the height of lines or the sample rate"""
    corpus_config: type
    """frozen dataclass: how to read a corpus on disk"""
    read: Callable[[Source, Any], Signal]
    """`(source, signal_config)`; ValueError with one clear sentence if the source cannot be read"""
    expand: Callable[[Source], list[Source]]
    """the readable sources in one file or stream: the pages of a multi-page TIFF, or else the file itself"""
    measure: Callable[[Source], float]
    """length of a source in `length_unit`, from its header where that is enough"""
    steps_per_length: Callable[[Any], float]
    """signal steps for one `length_unit` under this signal configuration"""
    corpora: Callable[[str, Any], Corpus]
    """`(path, corpus_config)`: the examples of a folder, manifest or tree, and the problems of the others"""
    render: Callable[[np.ndarray, Any], Rendering]
    """`(values, signal_config)`: a picture, and a sound if there is one"""
    training: Callable[[], Training]
    """returns the parts that only training needs"""
    gpu_batches: float = 4.0
    """how many times larger batches are in training on a GPU, which takes no longer for them"""
    search_batches: float = 1.0
    """how many times larger batches are that are searched on a CPU, where a step of a search takes hardly
    longer for more signals"""
    listed: Callable[[str], Iterator[Example | str]] | None = None
    """`(path)`: the example of each row of a manifest, whose text may be missing, or a sentence about a row
    that cannot be used. None: the rows are those of `corpora`."""
    pack: Callable[[str], tuple[str, bytes]] | None = None
    """`(source)`: the ending and the content of a file that holds a part of a file, such as a segment, alone,
    as it is read; the ValueErrors of `read`. None: sources are whole files."""
    source: str = "file"
    """what one source that is transcribed is called: "image" """
    on_paper: bool = False
    """whether signals run from left to right on paper, so that right-to-left scripts run against them"""
    segmentation_config: type = NoSettings
    """frozen dataclass: how sources are cut into segments"""
    segment: Callable[[Source, Any, Any, ModelSteps], Segmentation] | None = None
    """`(source, signal_config, segmentation_config, model_steps)`: the lines of a page, or the utterances of
    a recording, in reading order; the ValueErrors of `read`. None: each source is one segment."""
    formats: Mapping[str, str] = field(default_factory=dict)
    """formats of documents beside those of `common.text.formats`: the ending of their files, and what they
    are in a few words for the help"""
    endings: Mapping[str, str] = field(default_factory=dict)
    """the ending of files of those formats that have another name"""
    format_config: type = NoSettings
    """frozen dataclass: the settings of these formats"""
    writer: Callable[[str, Any, Sequence[str]], Callable[[Document], str | bytes]] | None = None
    """`(format, format_config, phrases)` returns the function that gives one document in that format; phrases
    are names of several words, such as hot words"""
    book: Callable[[str, str], Book] | None = None
    """`(format, file)` returns the book of a file in one of `book_formats`; ValueError if it has none"""
    book_formats: frozenset[str] = frozenset()
    """the formats of which one file holds all pages of a source"""
    verbs: Mapping[str, Verb] = field(default_factory=dict)
    """verbs beside those of `common.commands`, by their names"""
    compare_pages: Callable[[Any, list[str], Callable[[str], None]], PageComparison] | None = None
    """`(recognizer, paths of corpora, refuse)`: whole sources, cut and read by the recognizer, beside those
    of transcribers; `refuse` takes a sentence for each that cannot be compared. None: it has no pages."""
    suffixes: frozenset[str] = frozenset()
    """endings of the files that are transcribed of a folder, in lower case"""
    bundled: Callable[[], Path] | None = None
    """file of the model that is used by default"""
    short_length: float = 0.0
    """in `length_unit`: signals shorter than this are computed with silence at both ends, if a model reads
    them both ways"""
    second: str | None = None
    """the bundled model that reads what the default one is unsure of"""
    spelling: str | None = None
    """the bundled model that writes letters, for hot words, lexicons, language models and known texts, where
    the default one finds words by their sound"""
    channels: Callable[[str, str], list[str]] | None = None
    """`(source, wanted)`: the sources of the wanted channels: "left", "right", a number from 1, or "each";
    the ValueErrors of `measure`. None: signals of this kind have no channels."""
    track: Callable[[str, int], str] | None = None
    """`(source, number)`: the source of a track, counted from 1, of a file that may have several. None: files
    of this kind have no tracks."""
    raw: Callable[[Source | BufferedIOBase, str], Source] | None = None
    """`(source, form)`: the source of raw values in a file, a pipe or a stream without a header, such as
    ("call.raw", "s16le,16000,1"); ValueError if there is no such form. None: values always have headers."""
    stream: Callable[[BufferedIOBase, Any], Iterator[Signal]] | None = None
    """`(source, signal_config)`: the pieces of a signal whose bytes are still arriving; the ValueErrors of
    `read`, possibly after good pieces. None: signals of this kind do not arrive over time."""
    serving: Callable[[Any], Sequence[Any]] | None = None
    """`(service)`, a `common.serving.service.Service`: its routes. None: this modality is not served."""
    page: Callable[[], Path] | None = None
    """folder of the files of the page that the server shows in a browser, `index.html` first. None: none"""

    @property
    def model_names(self) -> Sequence[str]:
        """The names of the bundled recognizers, the default first."""
        default = [] if self.bundled is None else [self.bundled().stem]
        return [*default, *filter(None, (self.second, self.spelling))]

    def model_file(self, name: str) -> Path:
        """Return the file of the bundled recognizer `name`, one of `model_names`."""
        assert self.bundled is not None, "a modality with names of models has files of them"
        return self.bundled().with_name(f"{name}.onnx")

    @property
    def gpu_batch_budget(self) -> float:
        """Default for the padded length of one batch in training on a GPU, in `length_unit`."""
        return self.gpu_batches * self.batch_budget

    @property
    def formats_help(self) -> str:
        """The formats of this modality and what they are, as a part of a sentence of the help."""
        return "".join(f" {name}: {what};" for name, what in self.formats.items())

    @property
    def timed_formats(self) -> Mapping[str, str]:
        """The formats of this modality that need only the times of words, which a known text has, too."""
        return {} if self.on_paper else self.formats

    @property
    def timed_formats_help(self) -> str:
        """These formats and what they are, as a part of a sentence of the help."""
        return "".join(f" {name}: {what};" for name, what in self.timed_formats.items())

    def examples(self, path: str, corpus_config: Any) -> Corpus:
        """Return the examples of a folder, manifest or tree, or of tars, and the problems of the others.

        Args:
            path: a tar, a pattern such as "shards/{000..127}.tar", a folder of tars, or what `corpora` takes.
            corpus_config: how a corpus is read.

        Raises:
            ValueError: the path cannot be understood, has no example, or is an address without tars.
        """
        if tars := tars_of(path):
            return read_tars(tars, Kind(self.item, self.suffixes, self.measure))
        if is_address(path):
            raise ValueError(
                f"{path}: is no tar and no folder of tars, as `{self.name} shard` writes them; copy any other"
                " corpus from its address to disk"
            )
        return self.corpora(path, corpus_config)

    def reader(self, signal_config: Any) -> Callable[[Source], Signal]:
        """Return `read` under a configuration, as a function that can be sent to another process."""
        return partial(_read, self.read, signal_config)

    def segmentation(
        self, source: Source, signal_config: Any, segmentation_config: Any, model_steps: ModelSteps
    ) -> Segmentation:
        """Return the segments of `source` in reading order, each with its place.

        Raises:
            ValueError: the source cannot be read.
        """
        if self.segment is not None:
            return self.segment(source, signal_config, segmentation_config, model_steps)
        return Segmentation([whole(self.read(source, signal_config))])


def _read(read: Callable[[Source, Any], Signal], signal_config: Any, source: Source) -> Signal:
    return read(source, signal_config)


def whole(signal: Signal) -> Segment:
    """Return the one segment of a source that is not cut."""
    return Segment(signal, Interval(0.0, signal.length), whole=True)
