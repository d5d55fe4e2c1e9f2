"""The flags of the verb transcribe."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from common.command_line.flag import Flag, Flat, Positional
from common.commands.flags.decoding import DecodingFlags
from common.commands.flags.shared import BatchBudget, FormatSettings, Segmentation
from common.recognition.loading import Device
from common.recognition.modality import Modality
from common.text.formats import FORMATS

STREAM_HELP = (
    "Transcribe WAV while it arrives, as from a microphone through - (standard input), and show the text so"
    " far on standard error. The model must be trained with --no-bidirectional --normalise global."
)

SILENCE_HELP = (
    "Silence after which an utterance of a stream ends and its text is written, in seconds; 0: only at the"
    " end of the stream, which needs memory for all of it."
)

JSON_LINES = "jsonl"
"""the format that has the rows of many files in one"""

TRACK_HELP = "Audio track of each file to transcribe, counted from 1, such as the second language of a film."

RAW_HELP = (
    "Form of files that are samples without a header, and of a stream of those: encoding as FFmpeg names it,"
    " samples per second, channels, such as s16le,16000,1."
)

FORMAT_HELP = (
    "txt: the text, or a label and its probability; json: words and characters with positions and"
    " confidences; tsv: one row for each word; ctm: NIST's rows of words, with source, start and duration;"
    " jsonl: a row of JSON for each file, with its name as id, and the error in place of a text; all rows go"
    " into one file of --output-dir, where a second call goes on;{formats_help} all: each of these but jsonl,"
    " in a file of its own."
)

LIST_HELP = (
    "Take the names of the files from this text, one a line, from a manifest (.jsonl, .csv) or from a tar, on"
    " disk or at an address; - is standard input."
)

SHARD_HELP = (
    "Take one of several shares of the files, such as 3/16, counted from 1: for one of 16 machines. The hash"
    " of a name says which share it is in."
)

CHANNEL_HELP = (
    "Channel of each file to transcribe: left, right, its number counted from 1, or each for a text of every"
    " channel, such as those of two callers."
)


def _formats(modality: Modality) -> Any:
    return Literal[(*FORMATS, JSON_LINES, *modality.formats, "all")]


@dataclass(frozen=True)
class TranscribeFlags:
    """Write the text of files, in the order in which they are named."""

    files: Positional[tuple[str, ...]]
    """Files to transcribe; - is standard input."""
    list: Annotated[str | None, Flag(help=LIST_HELP, default="none")] = None
    shard: Annotated[str | None, Flag(help=SHARD_HELP, default="all files")] = None
    retry_failed: bool = False
    """With --format jsonl: take those files again that failed in an earlier call."""
    recursive: Annotated[bool, Flag(aliases=("-r",))] = False
    """Take each folder as the files in it at any depth; in --output-dir they keep their folders."""
    model: Annotated[Path | None, Flag(aliases=("-m",), default="the model that is installed")] = None
    """Model file, .onnx (runs without torch) or .safetensors, or the name of a bundled model. Several, with
    commas between, vote on each text. Without it, flags that work on letters may choose the model."""
    format: Annotated[str, Flag(aliases=("-f",), help=FORMAT_HELP, kind=_formats)] = "txt"
    output_dir: Annotated[Path | None, Flag(aliases=("-o",))] = None
    """Write one file STEM.FORMAT for each input into this folder, instead of standard output."""
    resume: bool = False
    """Leave what an earlier call has written into --output-dir, and go on within the file where it ended."""
    alternatives: int = 0
    """How many other readings json gives in addition to the best one; for the beam search."""
    decoding: Flat[DecodingFlags] = field(default_factory=DecodingFlags)
    stream: Annotated[bool, Flag(help=STREAM_HELP, needs="stream")] = False
    endpoint_silence_s: Annotated[float, Flag(help=SILENCE_HELP, needs="stream")] = 1.0
    channel: Annotated[str | None, Flag(help=CHANNEL_HELP, default="their mean", needs="channels")] = None
    segmentation: Segmentation = None
    format_settings: FormatSettings = None
    audio_track: Annotated[int | None, Flag(help=TRACK_HELP, default="the first", needs="track")] = None
    raw: Annotated[str | None, Flag(help=RAW_HELP, default="files have headers", needs="raw")] = None
    batch_budget: BatchBudget = None
    device: Device = "auto"
    """Where the network is computed."""
    threads: int = 0
    """Threads that compute the network; 0: one for each core."""
