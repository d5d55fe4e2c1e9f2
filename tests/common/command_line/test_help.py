"""Help pages of dataclasses."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import pytest

from common.command_line.flag import Flag, Flat, Positional
from common.command_line.help import field_texts, help_page
from common.command_line.options import read_section

LONG = "A text in {unit} that is so long that it does not fit on one line of any terminal, or of paper."


@dataclass(frozen=True)
class Network:
    """The network."""

    layers: int = 2
    """Layers."""
    sizes: tuple[int, int] = (3, 4)
    """Sizes."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Do
    something."""

    data: Positional[Path]
    """Data."""
    files: Positional[tuple[str, ...]]
    """Files."""
    run: Path
    """A folder."""
    format: Annotated[Literal["txt", "json"], Flag(aliases=("-f",))] = "txt"
    """A format;
    it is written."""
    fast: bool = False
    """A switch."""
    model: Annotated[Path | None, Flag(default="the {unit} one")] = None
    """A model."""
    seed: int | None = None
    """A seed."""
    budget: Annotated[float, Flag(help=LONG)] = 1.5
    network: Flat[Network] = field(default_factory=Network)


class Subject:
    """What the texts of flags ask."""

    def __init__(self) -> None:
        self.unit = "px"


PAGE = """\
usage: verb [OPTIONS] DATA [FILES ...]

Do something.

  DATA                    Data. (required)
  FILES ...               Files.

options:
  -h, --help              Show this page and exit.
  --run PATH              A folder. (required)
  -f {txt,json}, --format {txt,json}
                          A format; it is written. (default: txt)
  --fast, --no-fast       A switch. (default: --no-fast)
  --model PATH            A model. (default: the px one)
  --seed INT              A seed.
  --budget FLOAT          A text in px that is so long that it does not fit on
                          one line of any terminal, or of paper. (default: 1.5)

The network:
  --layers INT            Layers. (default: 2)
  --sizes INT INT         Sizes. (default: 3 4)"""


def test_a_page_has_all_flags_by_section_with_their_defaults(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert help_page(read_section(Options), "verb", Subject()) == PAGE


def test_a_field_keeps_the_text_of_the_class_that_it_is_from():
    @dataclass(frozen=True)
    class Smaller(Network):
        """A smaller network."""

        layers: int = 1
        width: int = 1
        """Width."""

    assert field_texts(Smaller) == {"layers": "Layers.", "sizes": "Sizes.", "width": "Width."}


class Pair(NamedTuple):
    """No type for a flag."""

    first: int
    second: int


def test_a_type_that_no_flag_can_be_made_of_is_named():
    @dataclass(frozen=True)
    class Wrong:
        """One field of a type that is not supported."""

        pair: Pair = Pair(1, 2)  # noqa: RUF009

    with pytest.raises(AssertionError, match=r"Wrong\.pair: no flag can be made"):
        read_section(Wrong)
