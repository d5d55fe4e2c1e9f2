"""Command lines and what they mean: listed by hand, and compared with the standard library's argparse."""

import argparse
import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.command_line.flag import Flag, Flat, Positional
from common.command_line.parser import choose, parse


@dataclass(frozen=True)
class Network:
    """Flags with a prefix."""

    share: float = 0.5
    """Share."""
    is_deep: bool = True
    """Depth."""


@dataclass(frozen=True)
class Search:
    """Flags without a prefix."""

    weight: Annotated[float | None, Flag(default="as it was")] = None
    """A weight."""
    part: Annotated[tuple[Path, ...], Flag(repeated=True)] = ()
    """A file; it can be given several times."""


@dataclass(frozen=True)
class Options:
    """Options of every kind."""

    files: Positional[tuple[str, ...]]
    """Files."""
    model: Annotated[Path | None, Flag(aliases=("-m",))] = None
    """A model."""
    format: Annotated[Literal["txt", "json"], Flag(aliases=("-f",))] = "txt"
    """A format."""
    stride: Literal[4, 8] = 4
    """A stride."""
    output_dir: Path | None = None
    """A folder."""
    name: str = "none"
    """A name."""
    threads: int = 0
    """A number."""
    budget: float | None = None
    """A length."""
    fast: bool = False
    """A switch."""
    channels: tuple[int, int, int] = (1, 2, 3)
    """Three numbers."""
    prune: tuple[int, ...] = ()
    """Any number of numbers."""
    network: Network = field(default_factory=Network)
    search: Flat[Search] = field(default_factory=Search)


@dataclass(frozen=True)
class Pair:
    """Two words and a flag that must be given."""

    train: Positional[str]
    """The first word."""
    dev: Positional[str]
    """The second word."""
    run: Path
    """A folder."""


def outcome(kind: type, arguments: list[str], subject: object = None) -> tuple[Any, str]:
    """Return what `parse` gives, or the exit status, and what it writes."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        try:
            return parse(kind, arguments, "verb", subject), out.getvalue()
        except SystemExit as ended:
            return ended.code, out.getvalue()


def options(*files: str, **values: Any) -> Options:
    return Options(files, **values)


UNDERSTOOD = {
    "": options(),
    "a b": options("a", "b"),
    "a -": options("a", "-"),
    "a -1": options("a", "-1"),
    "-f json a b": options("a", "b", format="json"),
    "a -fjson": options("a", format="json"),
    "a -f=json": options("a", format="json"),
    "a -f json -f txt": options("a"),
    "a --stride 8": options("a", stride=8),
    "a --output-dir ~/out -m x.onnx": options("a", output_dir=Path("~/out"), model=Path("x.onnx")),
    "a --output_dir=x": options("a", output_dir=Path("x")),
    "a --name=": options("a", name=""),
    "a --name=-x": options("a", name="-x"),
    "a --name -": options("a", name="-"),
    "a --name None": options("a", name="None"),
    "a --threads 1 --threads 2": options("a", threads=2),
    "a --threads -1": options("a", threads=-1),
    "a --budget -1e3": options("a", budget=-1000.0),
    "a --budget inf": options("a", budget=float("inf")),
    "a --fast": options("a", fast=True),
    "a --fast --no-fast": options("a"),
    "a --channels 4 5 6": options("a", channels=(4, 5, 6)),
    "--channels 4 5 6 a": options("a", channels=(4, 5, 6)),
    "a --prune 0 -2 3": options("a", prune=(0, -2, 3)),
    "a --prune": options("a"),
    "a --prune=1": options("a", prune=(1,)),
    "a --network.share 1 --network.no-is-deep": options("a", network=Network(1.0, False)),
    "a --weight 2 --part p --part q": options("a", search=Search(2.0, (Path("p"), Path("q")))),
    "-- -a": options("-a"),
    "a -- -b --fast": options("a", "-b", "--fast"),
}
REFUSED = {
    "a -f json b": "'b'",
    "a --fast b": "'b'",
    "a --fast True": "'True'",
    "a --fast=True": "--no-fast",
    "a --format xml": "txt, json",
    "a --stride 5": "4, 8",
    "a --threads 1.0": "a whole number",
    "a --threads": "INT",
    "a --budget None": "a number",
    "a --name -x": "--name wants STR",
    "a --model --fast": "--model wants PATH",
    "a --output-dir s3://bucket/out": "--output-dir is 's3://bucket/out'; give a path on disk",
    "a --channels 1 2": "INT INT INT, but 1 2",
    "--prune 1 2 a": "'a'",
    "a --part p q": "'q'",
    "a --output x": "did you mean --output-dir?",
    "a --treads 1": "did you mean --threads or",
    "a --share 1": "did you mean --network.share?",
    "a --no-threads": "--no-threads",
    "a --search.weight 1": "--search.weight",
    "a -x": "-x",
}


@pytest.mark.parametrize("line", UNDERSTOOD)
def test_a_command_line_means_what_is_listed(line):
    assert outcome(Options, line.split()) == (UNDERSTOOD[line], "")


@pytest.mark.parametrize("line", REFUSED)
def test_a_mistake_is_named_with_status_2(line):
    status, page = outcome(Options, line.split())
    assert status == 2
    assert page.startswith("verb: ") and REFUSED[line] in page
    assert "`verb --help`" in page


@pytest.mark.parametrize("line", ["t d --run r", "t --run r d", "--run r t d", "--run r -- t d"])
def test_words_keep_their_order_wherever_flags_stand(line):
    assert outcome(Pair, line.split()) == (Pair("t", "d", Path("r")), "")


@pytest.mark.parametrize(("line", "named"), [("t --run r", "missing: DEV"), ("", "TRAIN, DEV, --run")])
def test_what_is_missing_is_named(line, named):
    status, page = outcome(Pair, line.split())
    assert status == 2
    assert named in page
    assert outcome(Pair, ["t", "d", "e", "--run", "r"])[0] == 2


def reference() -> argparse.ArgumentParser:
    """Return a parser of the standard library for some of the options."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    parser.add_argument("files", nargs="*")
    parser.add_argument("-f", "--format", choices=["txt", "json"], default="txt")
    parser.add_argument("--name", default="none")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--fast", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--channels", type=int, nargs=3, default=[1, 2, 3])
    parser.add_argument("--prune", type=int, nargs="*", default=[])
    parser.add_argument("--part", action="append", default=[])
    return parser


PIECES = (
    *("a", "b", "-", "-1", "7", "-f json", "-ftxt", "--format=json", "--format xml", "--name x", "--name=-x"),
    *("--threads 3", "--threads=-3", "--threads", "--fast", "--no-fast", "--no", "--channels 4 5 6"),
    *("--channels 4", "--prune 1 2", "--prune", "--part p", "--part=q"),
)


def as_argparse_has_it(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@given(st.lists(st.sampled_from(PIECES), max_size=5))
def test_argparse_understands_the_same_command_lines_alike(pieces):
    arguments = [word for piece in pieces for word in piece.split()]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            wanted: Any = vars(reference().parse_args(arguments))
        except (SystemExit, argparse.ArgumentError):
            wanted = None
    found, _ = outcome(Options, arguments)
    if wanted is None:
        assert found == 2
        return
    assert isinstance(found, Options)
    ours = {**vars(found), "part": [str(part) for part in found.search.part]}
    assert {
        name: list(ours[name]) if isinstance(ours[name], tuple) else ours[name] for name in wanted
    } == wanted


class Subject(NamedTuple):
    """What a kind of signal decides."""

    config: type
    stream: str | None


def config_of(subject: Subject) -> type:
    return subject.config


@dataclass(frozen=True, kw_only=True)
class Dependent:
    """Flags that depend on the subject."""

    stream: Annotated[bool, Flag(needs="stream")] = False
    """A switch that only some subjects have."""
    config: Annotated[Any, Flag(flat=True, kind=config_of)]


def test_a_subject_decides_which_flags_there_are():
    assert outcome(Dependent, ["--stream", "--share", "1"], Subject(Network, "yes")) == (
        Dependent(stream=True, config=Network(1.0)),
        "",
    )
    assert outcome(Dependent, ["--stream"], Subject(Network, None))[0] == 2
    assert outcome(Dependent, [], Subject(Search, None))[0] == Dependent(config=Search())


def test_an_action_is_chosen_by_the_first_word():
    actions = {"draw": "Draw a picture.", "show": "Show it."}
    assert choose(actions, ["draw", "-h"], "verb") == ("draw", ["-h"])
    for arguments, status in (([], 2), (["paint"], 2), (["--help"], 0)):
        with pytest.raises(SystemExit) as ended:
            choose(actions, arguments, "verb")
        assert ended.value.code == status
