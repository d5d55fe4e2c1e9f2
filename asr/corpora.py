"""Corpora of recorded speech, in the formats of other projects: manifests, folders and tables."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from common.data.manifest import Corpus, Example, read_manifest
from common.files.plain_text import read_line
from common.files.source import source_file

SOUND_EXTS = (".wav", ".flac", ".ogg", ".opus", ".mp3")


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
                          duration, offset and speaker
        FOLDER            a Kaldi data folder, if it has a wav.scp: text and, if present, segments, utt2spk
                          and utt2dur; plain paths, as given or relative to the folder
                          a LibriSpeech tree, if it has a *.trans.txt at any depth
                          else recordings NAME.wav (flac, ogg, opus, mp3), each with a NAME.txt of one line

    Lengths are in seconds, or None if the corpus does not give them.

    Raises:
        ValueError: the path is none of these, or its tables cannot be read.
    """
    place = Path(path)
    if place.is_dir():
        if (place / "wav.scp").exists():
            corpus = _read_kaldi(place)
        elif transcripts := sorted(place.rglob("*.trans.txt")):
            corpus = _read_librispeech(transcripts)
        else:
            corpus = _read_pairs(place, config.text_ext)
    elif place.suffix.lower() == ".csv":
        corpus = _read_csv(place)
    else:
        corpus = _read_nemo(place, config.text_key)
    return _with_files(corpus)


def _with_files(corpus: Corpus) -> Corpus:
    """Return `corpus` with a problem in place of each example whose recording does not exist."""
    missing: dict[str, bool] = {}
    examples, problems = [], list(corpus.problems)
    for example in corpus.examples:
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
    examples, problems = [], []
    offsets = _offsets(path)
    for example in read_manifest(path, ("audio_filepath", "source"), ("duration", "length"), text_key):
        if example.text is None:
            problems.append(f'{example.origin}: {example.source} has no "{text_key}"; write what is said')
        elif example.origin in offsets:
            examples.append(_segment(example, offsets[example.origin]))
        else:
            examples.append(example)
    return Corpus(examples, problems)


def _offsets(path: Path) -> dict[str, float]:
    """Return {origin: start in seconds} of the utterances of a manifest that have an "offset"."""
    if not path.is_file() or b'"offset"' not in (content := path.read_bytes()):
        return {}
    offsets = {}
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if b'"offset"' not in line:
            continue
        try:
            offset = json.loads(line).get("offset")
        except (ValueError, AttributeError):
            continue  # read_manifest reports the error
        if offset is None:
            continue
        if isinstance(offset, bool) or not isinstance(offset, int | float) or not 0 <= offset < 1e9:
            raise ValueError(f'{path}:{number}: "offset" is {offset!r}; make it a number of seconds')
        offsets[f"{path}:{number}"] = float(offset)
    return offsets


def _segment(example: Example, start_s: float, end_s: float | None = None) -> Example:
    """Return a segment of `example`, to `end_s` or else for its length, or else to the end."""
    if end_s is None and example.length is not None:
        end_s = start_s + example.length
    if start_s == 0 and end_s is None:
        return example
    end = "" if end_s is None else f"{end_s:.6f}".rstrip("0").rstrip(".")
    start = f"{start_s:.6f}".rstrip("0").rstrip(".")
    return replace(
        example,
        source=f"{example.source}[{start},{end}]",
        length=None if end_s is None else end_s - start_s,
    )


# --- tables


def _read_csv(path: Path) -> Corpus:
    import csv

    examples, problems = [], []
    rows = csv.reader(line for _, line in _lines(path))
    header = next(rows, [])
    if "wav_filename" not in header or "transcript" not in header:
        raise ValueError(f"{path}:1: the columns are {header}; name them wav_filename,transcript")
    for row in rows:
        origin = f"{path}:{rows.line_num}"
        if not row:
            continue
        if len(row) != len(header):
            problems.append(
                f"{origin}: has {len(row)} fields, {len(header)} were wanted; quote text with commas"
            )
            continue
        fields = dict(zip(header, row, strict=True))
        source = os.path.join(path.parent, fields["wav_filename"])
        examples.append(Example(source, fields["transcript"], None, fields.get("speaker", ""), origin))
    if not examples and not problems:
        raise ValueError(f"{path}: no utterances in it; write wav_filename,transcript in each row")
    return Corpus(examples, problems)


def _read_librispeech(transcripts: Iterable[Path]) -> Corpus:
    examples: list[Example] = []
    problems: list[str] = []
    for transcript in transcripts:
        sounds = {file.stem: file for file in _sounds(transcript.parent.iterdir(), problems)}
        for origin, line in _lines(transcript):
            utterance, _, text = line.partition(" ")
            if not utterance:
                continue
            sound = sounds.pop(utterance, None)
            if sound is None:
                problems.append(
                    f"{origin}: there is no {utterance}.flac beside it; restore it or drop the line"
                )
            else:
                examples.append(Example(str(sound), text.strip(), None, utterance.split("-")[0], origin))
        problems += [f"{sound}: has no line in {transcript}; write what is said" for sound in sounds.values()]
    return Corpus(examples, problems)


def _read_kaldi(folder: Path) -> Corpus:
    recordings = _kaldi_recordings(folder)
    texts = _table(folder / "text")
    speakers = _table(folder / "utt2spk", optional=True)
    durations = _table(folder / "utt2dur", optional=True)
    segments = _table(folder / "segments", optional=True)
    examples, problems = [], []
    for utterance, (origin, segment) in (segments or recordings).items():
        if utterance not in texts:
            problems.append(f"{origin}: {utterance} has no line in {folder / 'text'}; write what is said")
            continue
        name, times = (*segment.split(maxsplit=1), "", "")[:2] if segments else (utterance, "")
        if name not in recordings:
            problems.append(f"{origin}: {name} has no line in {folder / 'wav.scp'}; add the recording")
            continue
        text_origin, text = texts[utterance]
        length = None
        if utterance in durations and not segments:
            length = _number(*durations[utterance])
        example = Example(
            recordings[name][1], text, length, speakers.get(utterance, ("", ""))[1], text_origin
        )
        examples.append(_kaldi_segment(example, origin, times) if segments else example)
    for utterance, (origin, _) in texts.items():
        if utterance not in (segments or recordings):
            missing = folder / ("segments" if segments else "wav.scp")
            problems.append(f"{origin}: {utterance} has no line in {missing}; add it or drop the text")
    return Corpus(examples, problems)


def _kaldi_recordings(folder: Path) -> dict[str, tuple[str, str]]:
    recordings = _table(folder / "wav.scp")
    for name, (origin, path) in recordings.items():
        if path.endswith("|") or path.startswith("|"):
            raise ValueError(
                f"{origin}: {path!r} is a command, a file was wanted; run it once and name what it writes"
            )
        if not os.path.isabs(path) and (folder / path).exists():
            recordings[name] = (origin, str(folder / path))  # else, as in Kaldi, to the working directory
    return recordings


def _kaldi_segment(example: Example, origin: str, times: str) -> Example:
    fields = times.split()
    if len(fields) < 2:
        raise ValueError(f"{origin}: {times!r} are no times; write UTTERANCE RECORDING START END")
    start_s, end_s = (_number(origin, field) for field in fields[:2])
    if start_s < 0 or (end_s <= start_s and end_s != -1):
        raise ValueError(f"{origin}: goes from {start_s} to {end_s} s; let it end after it starts")
    return _segment(example, start_s, None if end_s == -1 else end_s)  # -1: to the end


def _table(path: Path, optional: bool = False) -> dict[str, tuple[str, str]]:
    """Return {first field: (origin, rest of the line)} of a Kaldi table."""
    if optional and not path.exists():
        return {}
    rows: dict[str, tuple[str, str]] = {}
    for origin, line in _lines(path):
        fields = line.split(maxsplit=1)
        if not fields:
            continue
        if fields[0] in rows:
            raise ValueError(f"{origin}: {fields[0]} stands there twice; remove one of the lines")
        rows[fields[0]] = (origin, fields[1].strip() if len(fields) > 1 else "")
    if not rows:
        raise ValueError(f"{path}: has no lines; write one for each utterance")
    return rows


def _number(origin: str, field: str) -> float:
    try:
        return float(field)
    except ValueError:
        raise ValueError(f"{origin}: {field!r} is not a number of seconds; correct it") from None


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    r"""Yield ("path:line", text of the line); lines end with \n or \r\n."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); a text file was wanted") from None
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            yield f"{path}:{number}", line.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}:{number}: byte {error.start + 1} of the line is not UTF-8; convert the file to UTF-8"
            ) from None


# --- a folder of recordings, each with its text


def _read_pairs(folder: Path, text_ext: str) -> Corpus:
    problems: list[str] = []
    files = [file for file in sorted(folder.rglob("*")) if not file.name.startswith(".") and file.is_file()]
    sounds = {file.with_suffix(""): file for file in _sounds(files, problems)}
    texts = {Path(str(file).removesuffix(text_ext)): file for file in files if file.name.endswith(text_ext)}
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
        first = sounds.setdefault(file.with_suffix(""), file)
        if first != file:
            problems.append(f"{file}: has the name of {first}, which is used; rename or remove one")
    return list(sounds.values())
