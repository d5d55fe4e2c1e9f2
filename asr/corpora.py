"""Corpora of recorded speech, in the formats of other projects: manifests, folders and tables."""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr.source import part_name
from common.command_line.counting import counted, first_of
from common.data.manifest import Corpus, Example, is_length, manifest_rows, read_manifest
from common.files.plain_text import read_line
from common.files.source import name_key, present, source_file
from common.files.standard import ANY_NAME

SOUND_EXTS = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"),
    *(".m4a", ".mp4", ".aac", ".webm", ".mkv", ".mka", ".mov", ".wma", ".3gp", ".amr", ".mp2", ".spx", ".wv"),
)

SOURCE_KEYS, LENGTH_KEYS = ("audio_filepath", "source"), ("duration", "length")
"""keys of a row of a manifest"""


@dataclass(frozen=True)
class CorpusConfig:
    """How a corpus of speech is read."""

    text_ext: str = ".txt"
    """suffix of transcripts in a folder of recordings: NAME.wav has its text in NAME plus this"""
    text_key: str = "text"
    """key of the text in a manifest"""


def read_corpus(path: str, config: CorpusConfig) -> Corpus:
    """Return the examples of the corpus at `path`, and one sentence for each example that cannot be used.

    The format is recognised by the path and by the files in a folder:

        FILE.csv          a table with wav_filename,transcript[,speaker]; paths are relative to the table
        any other FILE    a NeMo manifest: JSON lines with audio_filepath (or source), text and, if known,
                          duration and speaker; with an offset, the duration from there on is the utterance,
                          without one it is the whole recording
        FOLDER            a Kaldi data folder, if it has a wav.scp: text and, if present, segments, utt2spk
                          and utt2dur; plain paths, as given or relative to the folder
                          a LibriSpeech tree, if it has a *.trans.txt at any depth
                          else recordings NAME.wav (flac, ogg, opus, mp3), each with a NAME.txt of one line

    Lengths are in seconds, or None if the corpus does not give them. A row that cannot be understood is a
    problem, and the other rows are read all the same.

    Raises:
        ValueError: the path is none of these, or it has no row that can be understood.
    """
    place = Path(path)
    if place.is_dir():
        if (place / "wav.scp").exists():
            corpus = _read_kaldi(place)
        elif transcripts := sorted(place.rglob("*.trans.txt")):
            corpus = _read_librispeech(place, transcripts)
        else:
            corpus = _read_pairs(place, config.text_ext)
    elif place.suffix.lower() == ".csv":
        corpus = _read_csv(place)
    elif place.suffix.lower() in SOUND_EXTS:
        raise ValueError(
            f"{path}: is sound, not a corpus; name a manifest or a folder of recordings (for `align`, a sound"
            " file needs --text or --text-file)"
        )
    else:
        corpus = _read_nemo(place, config.text_key)
    return _with_files(corpus)


def _with_files(corpus: Corpus) -> Corpus:
    """Return `corpus` with a problem in place of each example whose recording does not exist."""
    missing: dict[str, bool] = {}
    examples, problems = [], list(corpus.problems)
    for stated in corpus.examples:
        example = replace(stated, source=present(stated.source))
        file = source_file(example.source)
        if file not in missing:
            missing[file] = not os.path.isfile(file)
        if missing[file]:
            problems.append(f"{example.origin}: {file} is not there; restore it or drop the utterance")
        else:
            examples.append(example)
    return Corpus(examples, problems)


# --- NeMo


def _read_nemo(path: Path, text_key: str) -> Corpus:
    read = read_manifest(path, SOURCE_KEYS, LENGTH_KEYS, text_key, _from_offset)
    examples, problems = [], list(read.problems)
    for example in read.examples:
        if example.text is None:
            problems.append(f'{example.origin}: {example.source} has no "{text_key}"; write what is said')
        else:
            examples.append(example)
    return Corpus(examples, problems)


def read_rows(path: str) -> Iterator[Example | str]:
    """Yield the utterance of each row of a NeMo manifest, or a sentence about a row that cannot be used.

    The texts may be missing, and so may the recordings.
    """
    return manifest_rows(path, SOURCE_KEYS, LENGTH_KEYS, adapt=_from_offset)


def _from_offset(example: Example, fields: dict[str, Any]) -> Example:
    """Return the segment of `example` that begins at the "offset" of its row, if it has one.

    Raises:
        ValueError: the offset is not a number of seconds, 0 or more.
    """
    offset = fields.get("offset")
    if offset is None:
        return example
    if not is_length(offset):
        raise ValueError(f'"offset" is {offset!r}; make it a number of seconds, 0 or more')
    return _segment(example, float(offset) + 0.0)  # + 0.0: -0.0 is 0


def _segment(example: Example, start_s: float, end_s: float | None = None, channel: str = "") -> Example:
    """Return a segment of `example`, to `end_s` or else for its length, or else to the end."""
    if end_s is None and example.length is not None:
        end_s = start_s + example.length
    if start_s == 0 and end_s is None and not channel:
        return example
    source = f"{example.source}{part_name(start_s, end_s, channel)}"
    return replace(example, source=source, length=None if end_s is None else end_s - start_s)


# --- tables


def _read_csv(path: Path) -> Corpus:
    examples, problems = [], list[str]()
    rows = _csv_rows(path, problems)
    origin, header = next(rows, (f"{path}:1", []))
    if "wav_filename" not in header or "transcript" not in header:
        raise ValueError(f"{origin}: the columns are {header}; name them wav_filename,transcript")
    for origin, row in rows:
        if len(row) != len(header):
            came = counted(len(row), "field")
            problems.append(f"{origin}: has {came}, {len(header)} were wanted; quote text with commas")
            continue
        fields = dict(zip(header, row, strict=True))
        source = os.path.join(path.parent, fields["wav_filename"])
        examples.append(Example(source, fields["transcript"], None, fields.get("speaker", ""), origin))
    if not examples and not problems:
        raise ValueError(f"{path}: no utterances in it; write wav_filename,transcript in each row")
    return Corpus(examples, problems)


def _csv_rows(path: Path, problems: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield ("path:line", fields) of each row that is not blank; a quoted field may have line breaks.

    After a line that is not CSV, such as one with a quote that is never closed, the next line begins a row.
    """
    import csv

    lines = list(_lines(path, problems))
    first = 0
    while first < len(lines):
        start, rows = first, csv.reader((f"{line}\n" for _, line in lines[first:]), strict=True)
        try:
            for row in rows:
                if row:
                    yield lines[first][0], row
                first = start + rows.line_num
        except csv.Error as error:
            open_quote = "unexpected end of data" in str(error)
            reason = "its quote is never closed" if open_quote else f"is not a row of CSV ({error})"
            problems.append(f"{lines[first][0]}: {reason}; correct the quotes")
            first += 1


def _read_librispeech(folder: Path, transcripts: Iterable[Path]) -> Corpus:
    examples: list[Example] = []
    problems: list[str] = []
    rows: dict[Path, dict[str, tuple[str, str]]] = {}  # chapter -> utterance -> origin, text
    for transcript in transcripts:
        rows.setdefault(transcript.parent, {}).update(_table(transcript, problems))
    files = [file for file in sorted(folder.rglob("*")) if not file.name.startswith(".") and file.is_file()]
    sounds = {(file.parent, name_key(file.stem)): file for file in _sounds(files, problems)}
    for chapter, utterances in rows.items():
        for utterance, (origin, text) in utterances.items():
            sound = sounds.pop((chapter, name_key(utterance)), None)
            if sound is None:
                problems.append(
                    f"{origin}: there is no {utterance}.flac beside it; restore it or drop the line"
                )
            else:
                examples.append(Example(str(sound), text, None, utterance.split("-")[0], origin))
    for (chapter, _), sound in sounds.items():
        missing = "has no line in the transcript of its folder" if chapter in rows else "has no transcript"
        problems.append(f"{sound}: {missing}; write what is said")
    return Corpus(examples, problems)


def _read_kaldi(folder: Path) -> Corpus:
    problems: list[str] = []
    recordings = _kaldi_recordings(folder, problems)
    texts = _table(folder / "text", problems)
    speakers = _table(folder / "utt2spk", problems, optional=True)
    durations = _table(folder / "utt2dur", problems, optional=True)
    segments = _table(folder / "segments", problems, optional=True)
    examples = []
    for utterance, (origin, segment) in (segments or recordings).items():
        if utterance not in texts:
            problems.append(f"{origin}: {utterance} has no line in {folder / 'text'}; write what is said")
            continue
        name, times = (*segment.split(maxsplit=1), "", "")[:2] if segments else (utterance, "")
        if name not in recordings:
            problems.append(f"{origin}: {name} has no line in {folder / 'wav.scp'}; add the recording")
            continue
        text_origin, text = texts[utterance]
        example = Example(recordings[name][1], text, None, speakers.get(utterance, ("", ""))[1], text_origin)
        try:
            if segments:
                example = _kaldi_segment(example, origin, times)
            elif utterance in durations:
                example = replace(example, length=_seconds(*durations[utterance]))
        except ValueError as error:
            problems.append(str(error))
            continue
        examples.append(example)
    for utterance, (origin, _) in texts.items():
        if utterance not in (segments or recordings):
            missing = folder / ("segments" if segments else "wav.scp")
            problems.append(f"{origin}: {utterance} has no line in {missing}; add it or drop the text")
    return Corpus(examples, problems)


def _kaldi_recordings(folder: Path, problems: list[str]) -> dict[str, tuple[str, str]]:
    recordings = _table(folder / "wav.scp", problems)
    for name, (origin, path) in list(recordings.items()):
        if path.endswith("|") or path.startswith("|"):
            problems.append(
                f"{origin}: {path!r} is a command, a file was wanted; run it once and name what it writes"
            )
            del recordings[name]
        elif not os.path.isabs(path) and (folder / path).exists():
            recordings[name] = (origin, str(folder / path))  # else, as in Kaldi, to the working directory
    return recordings


def _kaldi_segment(example: Example, origin: str, times: str) -> Example:
    """Return the segment of a line `UTTERANCE RECORDING START END [CHANNEL]`; channels count from 0."""
    fields = times.split()
    if len(fields) not in (2, 3):
        raise ValueError(f"{origin}: {times!r} are no times; write UTTERANCE RECORDING START END [CHANNEL]")
    start_s = _seconds(origin, fields[0])
    end_s = None if fields[1] in ("-1", "-1.0") else _seconds(origin, fields[1])  # -1: to the end
    if end_s is not None and end_s <= start_s:
        raise ValueError(f"{origin}: goes from {start_s:g} to {end_s:g} s; let it end after it starts")
    channel = ""
    if len(fields) == 3:
        if not (fields[2].isascii() and fields[2].isdigit()):
            raise ValueError(f"{origin}: {fields[2]!r} is no channel; write its number, counted from 0")
        channel = str(int(fields[2]) + 1)
    return _segment(example, start_s, end_s, channel)


def _table(path: Path, problems: list[str], optional: bool = False) -> dict[str, tuple[str, str]]:
    """Return {first field: (origin, rest of the line)} of a table of names.

    A line whose name stands in an earlier line is a problem, and the earlier line is used.
    """
    if optional and not path.exists():
        return {}
    rows: dict[str, tuple[str, str]] = {}
    first = len(problems)
    names_files = path.name == "wav.scp"  # such a name may be any bytes
    for origin, line in _lines(path, problems, ANY_NAME if names_files else "strict"):
        fields = line.split(maxsplit=1)
        if not fields:
            continue
        if fields[0] in rows:
            problems.append(f"{origin}: {fields[0]} has a line above; remove one of the two")
            continue
        rows[fields[0]] = (origin, fields[1].strip() if len(fields) > 1 else "")
    if not rows and not optional:
        if problems[first:]:
            raise ValueError(f"{path}: has no line that can be used{first_of(problems[first:])}")
        raise ValueError(f"{path}: has no lines; write one for each utterance")
    return rows


def _seconds(origin: str, field: str) -> float:
    """Return the number of seconds, 0 or more, that a field of a table names."""
    try:
        seconds = float(field) + 0.0  # + 0.0: -0.0 is 0
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{origin}: {field!r} is not a number of seconds, 0 or more; correct it")
    return seconds


def _lines(path: Path, problems: list[str], encoding_errors: str = "strict") -> Iterator[tuple[str, str]]:
    r"""Yield ("path:line", text of the line); lines end with \n or \r\n.

    A line that is not UTF-8 is a problem, unless `encoding_errors` allows it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); a text file was wanted") from None
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            yield f"{path}:{number}", line.decode("utf-8", encoding_errors).removesuffix("\r")
        except UnicodeDecodeError as error:
            problems.append(
                f"{path}:{number}: byte {error.start + 1} of the line is not UTF-8; convert the file to UTF-8"
            )


# --- a folder of recordings, each with its text


def _read_pairs(folder: Path, text_ext: str) -> Corpus:
    problems: list[str] = []
    files = [file for file in sorted(folder.rglob("*")) if not file.name.startswith(".") and file.is_file()]
    sounds = {_key(file.with_suffix("")): file for file in _sounds(files, problems)}
    texts = {
        _key(Path(str(file).removesuffix(text_ext))): file for file in files if file.name.endswith(text_ext)
    }
    if not sounds:
        raise ValueError(
            f"{folder}: has no wav.scp, no *.trans.txt and no recordings; "
            f"put NAME.wav and NAME{text_ext} into it, or name a manifest"
        )
    examples = []
    for name, sound in sounds.items():
        if name not in texts:
            problems.append(f"{sound}: there is no {name.name}{text_ext} beside it; write what is said")
            continue
        try:
            examples.append(Example(str(sound), read_line(texts[name]), origin=str(texts[name])))
        except ValueError as error:
            problems.append(str(error))
    problems += [
        f"{text}: there is no recording {name.name}.wav beside it; restore it or remove the text"
        for name, text in texts.items()
        if name not in sounds
    ]
    return Corpus(examples, problems)


def _sounds(files: Iterable[Path], problems: list[str]) -> list[Path]:
    """Return the recordings in `files`, sorted; a second one of a name (a.wav, a.mp3) is a problem."""
    sounds: dict[Path, Path] = {}
    order = {ext: rank for rank, ext in enumerate(SOUND_EXTS)}
    found = [file for file in files if file.suffix.lower() in order]
    for file in sorted(found, key=lambda file: (str(file.with_suffix("")), order[file.suffix.lower()])):
        first = sounds.setdefault(_key(file.with_suffix("")), file)
        if first != file:
            problems.append(f"{file}: has the name of {first}, which is used; rename or remove one")
    return list(sounds.values())


def _key(path: Path) -> Path:
    """Return the path by which a recording and its text are paired."""
    return Path(name_key(str(path)))
