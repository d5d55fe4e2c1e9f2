"""What a folder such as `ocr` or `asr` hands over to be trained and run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.data.manifest import Corpus
from common.data.signal import Signal, Source
from common.text.rendering import Rendering


class Training(NamedTuple):
    """The parts of a modality that need torch; imported when asked for, so that the rest does without.

    augment_config, front_end_config: frozen dataclasses.
    augment: `(augment_config, signal_config) -> augment one`, where `augment one` is
        `(values, rng: np.random.Generator) -> values`.
    front_end: `(front_end_config, signal_config) -> nn.Module` as DESIGN has it: called with signals (B, T)
        or (B, T, H) and lengths (B,), it returns features (B, S, D) and lengths (B,); it has the
        integers `stride` and `feature_size`, and `output_lengths(lengths)`. Step s stands for signal steps
        from s x stride to (s + 1) x stride, plus `offset` if it has that. For streams it has `context`, how
        many signal steps a step sees before and behind those of s x stride to (s + 1) x stride; a ValueError
        if it needs all. For export it has the shape of one signal step, (H,), as `step_shape` unless that is
        (), and, if not all of its own graph can be held by ONNX, `exportable()`, which returns an equal
        module of which it can.
    evenly: `(augment_config) -> augment_config`: without the changes that move anything along the signal
        otherwise than by stretching all of it alike, for targets that have places.
    """

    augment_config: type
    # quoted, as NumPy imports np.random when it is named
    augment: Callable[[Any, Any], Callable[[np.ndarray, "np.random.Generator"], np.ndarray]]
    front_end_config: type
    front_end: Callable[[Any, Any], Any]
    evenly: Callable[[Any], Any] = lambda config: config


@dataclass(frozen=True)
class Modality:
    """A kind of signal: how it is read, found in corpora, measured, shown and trained on."""

    name: str
    """the command: "ocr" """
    item: str
    """what one example is called: "line" """
    unit: str
    """of positions in transcripts: "px" or "s" """
    length_unit: str
    """of `Example.length`: "line heights" (width over height) or "seconds" """
    batch_budget: float
    """default for the padded length of one batch, in `length_unit` """
    signal_config: type
    """frozen dataclass: the height of lines, the rate of samples"""
    corpus_config: type
    """frozen dataclass: how a corpus on disk is to be understood"""
    read: Callable[[Source, Any], Signal]
    """`(source, signal_config)`; ValueError with one clear sentence for anything that cannot be read"""
    expand: Callable[[str], list[str]]
    """the readable sources in one file: the pages of a multi-page TIFF, else the file itself"""
    measure: Callable[[str], float]
    """the length of a source in `length_unit`, from its header where that suffices"""
    steps_per_length: Callable[[Any], float]
    """signal steps for one `length_unit` under this signal configuration"""
    corpora: Callable[[str, Any], Corpus]
    """`(path, corpus_config)`: the examples of a folder, manifest or tree, and what was wrong with others"""
    render: Callable[[np.ndarray, Any], Rendering]
    """`(values, signal_config)`"""
    training: Callable[[], Training]
    bundled: Callable[[], Path] | None = None
    """the file of the model that is used where none is named"""
    stream: Callable[[BufferedIOBase, Any], Iterator[Signal]] | None = None
    """`(source, signal_config)`: the pieces of a signal whose bytes are still coming; the ValueErrors of
    `read`, which may come behind good pieces; None for a modality whose signals are there at once"""
