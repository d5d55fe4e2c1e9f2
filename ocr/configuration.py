"""The settings of the front end, of augmentation and of segmentation.

They are not beside the code that they configure, because that imports torch and help must do without.
"""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from common.command_line.flag import Flag


@dataclass(frozen=True)
class SegmentationConfig:
    """How the lines of a page are found."""

    segmentation: Literal["auto", "page", "line"] = "auto"
    """What images show: pages or single lines; auto: an image many times wider than high is a line."""
    lines_model: Annotated[Path | None, Flag(default="the model that is installed")] = None
    """Model that finds the lines of pages, of `train-lines`."""
    right_to_left: bool = False
    """Read the columns of a page, and the cells of tables, from the right."""
    text_layer: bool = False
    """Take the text that pages of a PDF have themselves, and recognise only pages without any."""


@dataclass(frozen=True)
class FormatConfig:
    """How documents are written."""

    with_characters: bool = False
    """In alto and page, write the place and confidence of each character too: files ten times as large."""
    language: Annotated[str, Flag(default="that of the model, if it reads one")] = ""
    """Language of the texts, which alto, page and hocr state: a code such as fr, deu or de-CH."""

    def __post_init__(self) -> None:
        if self.language and not re.fullmatch("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", self.language):
            raise ValueError(f"--language is {self.language!r}; give a code such as fr, deu or de-CH")


@dataclass(frozen=True)
class FinderConfig:
    """The size of the network that finds lines on a page."""

    channels: tuple[int, int, int, int, int] = (16, 32, 64, 96, 128)
    """Feature maps at 1/2, 1/4 ... 1/32 of the size of the page."""


@dataclass(frozen=True)
class FrontEndConfig:
    """The shape of the convolutional network over line images."""

    channels: tuple[int, int, int, int] = (24, 48, 96, 128)
    """Feature maps of the four blocks; a GPU trains (48, 96, 192, 256) with --deep in the same time."""
    deep: bool = False
    """Add a second convolution with a shortcut to the last three blocks."""
    stride: Literal[4, 8] = 4
    """Pixels of the line in one step: 4 for print, 8 for large or wide handwriting."""
    height: Literal["fold", "pool"] = "fold"
    """Keep every height of the last feature maps as features, or only the maximum over the height."""
    feature_dropout: float = 0.1
    """Share of the feature maps of the last block that are set to 0 in training."""


@dataclass(frozen=True)
class AugmentConfig:
    """The probability of each change, and the strength of all of them."""

    strength: float = 1.0
    """factor of the extent of every change; 1 suits print, typescript and handwriting"""
    neighbour: float = 0.1
    """probability of parts of another line at the upper or lower edge"""
    stretch: float = 0.5
    """probability of a wider or narrower hand, by up to a fifth"""
    warp: float = 0.6
    """probability of rotation, slant, smaller or larger writing, shift and margins"""
    elastic: float = 0.5
    """probability of a wavy baseline and distorted letters"""
    thickness: float = 0.35
    """probability of a broader or finer pen"""
    fade: float = 0.5
    """probability of paler ink, uneven along the line, and of harder or softer edges"""
    ground: float = 0.3
    """probability of stains, shadows and ink from the other side of the sheet"""
    cut: float = 0.05
    """probability of heads or feet of letters that the outline of the line has cut off"""
    rule: float = 0.06
    """probability of a ruled line or frame across or beside the writing"""
    coarse: float = 0.15
    """probability of a scan of low resolution"""
    blur: float = 0.15
    """probability of an image out of focus"""
    noise: float = 0.35
    """probability of grain and specks"""
    binarise: float = 0.05
    """probability of a scan in black and white"""
    jpeg: float = 0.1
    """probability of artefacts of strong JPEG compression"""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= (3 if field.name == "strength" else 1):
                raise ValueError(
                    f"{field.name} is {value}; a probability from 0 to 1, or a strength up to 3, was wanted"
                )
