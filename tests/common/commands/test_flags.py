"""What is read here must be what tyro says; tyro is the truth."""

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from common.commands import flags
from common.commands.flags import Flag, parse, read_plain

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Inner:
    """What has no prefix."""

    weight: Annotated[float | None, Flag(hint="(default: as it was)")] = None
    """A weight."""
    part: Annotated[tuple[Path, ...], Flag(repeated=True)] = ()
    """Said several times."""


@dataclass(frozen=True)
class Options:
    """Of a verb."""

    files: Annotated[tuple[str, ...], Flag(positional=True)]
    """What to read."""
    model: Annotated[Path | None, Flag(aliases=("-m",), hint="(default: ours)")] = None
    """A model."""
    format: Annotated[Literal["txt", "json"], Flag(aliases=("-f",))] = "txt"
    """How to write."""
    output_dir: Path | None = None
    """Where to."""
    name: str = "none"
    """Of it."""
    threads: int = 0
    """How many."""
    budget: Annotated[float | None, Flag(help="Length of a batch.")] = None
    fast: bool = False
    """Whether."""
    inner: Annotated[Inner, Flag(name="")] = field(default_factory=Inner)


def outcome(arguments: list[str]) -> tuple[Any, str]:
    """Return what `parse` gives, or the exit status, and what it writes."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        try:
            return parse(Options, arguments, "verb"), out.getvalue()
        except SystemExit as ended:
            return ended.code, out.getvalue()


PLAIN = [
    ["a.png"],
    ["a.png", "-", "b c.png", ""],
    ["a", "-m", "x.onnx", "--format", "json"],
    ["-f", "json", "--output-dir", "~/out", "a", "b"],
    ["a", "--threads", " 1_0", "--budget", "1e2", "--name", "None"],
    ["a", "--threads", "1", "--threads", "2"],
    ["a", "--budget", "inf", "--model", ""],
]
OTHER = [
    [],
    ["-f", "json"],
    ["a", "-f", "json", "b"],
    ["a", "--format", "xml"],
    ["a", "--threads", "2.0"],
    ["a", "--threads", "-1"],
    ["a", "--budget", "None"],
    ["a", "--model=x"],
    ["a", "--output_dir", "x"],
    ["a", "--model"],
    ["a", "--fast"],
    ["a", "--weight", "2", "--part", "p", "--part", "q"],
    ["a", "--unknown", "x"],
    ["--", "-a"],
    ["--help"],
]


@pytest.mark.parametrize("arguments", PLAIN)
def test_a_plain_call_says_what_tyro_says(arguments, monkeypatch):
    plain = read_plain(Options, arguments)
    assert isinstance(plain, Options)
    monkeypatch.setattr(flags, "read_plain", lambda kind, arguments: None)
    assert outcome(arguments) == (plain, "")


@pytest.mark.parametrize("arguments", OTHER)
def test_whatever_else_there_is_is_left_to_tyro(arguments):
    assert read_plain(Options, arguments) is None


def test_flags_look_as_they_are_told():
    status, page = outcome(["--help"])
    words = " ".join(page.replace("│", " ").split())
    assert status == 0
    for look in (
        "usage: verb [-h] [OPTIONS] [FILES", "-m PATH, --model PATH A model. (default: ours)",
        "-f {txt,json}, --format {txt,json} How to write. (default: txt)", "Length of a batch.",
        "--weight FLOAT A weight. (default: as it was)",
    ):  # fmt: skip
        assert look in words, page
    assert outcome(["a", "--weight", "2", "--part", "p", "--part", "q"]) == (
        Options(("a",), inner=Inner(2.0, (Path("p"), Path("q")))),
        "",
    )
    assert outcome(["--help"]) == (status, page)  # what was told once is not told twice


def test_a_mistake_is_named_with_status_2():
    for arguments, name in ((["a", "--threads", "2.0"], "--threads"), (["a", "--unknown", "x"], "--unknown")):
        status, page = outcome(arguments)
        assert status == 2
        assert name in page


@pytest.mark.parametrize("side", ["ocr", "asr"])
def test_transcribing_a_file_imports_nothing_that_only_other_calls_need(side):
    """The model must be missing, so that what is imported does not depend on it."""
    heavy = [
        "tyro",
        "tqdm",
        "rapidfuzz",
        "common.decoding.beam.search",
        "PIL.TiffImagePlugin",
        "hashlib",
        "csv",
    ]
    code = f"""
import sys
from common import cli
from {side}.modality import {side.upper()} as modality
try:
    cli.main(modality, ["transcribe", "none", "-m", "none.onnx", "--format", "json"])
except SystemExit as ended:
    assert ended.code == 1
print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"
    assert "none.onnx: no such file" in done.stderr
