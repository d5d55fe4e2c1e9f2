"""Corpora of recorded speech: manifests, trees and tables that others have made; and spoken tones."""

import csv
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from tqdm import tqdm

from common.manifest import Corpus, Example, read_manifest, read_text, source_file, written_aside

SOUND_EXTS = (".wav", ".flac", ".ogg", ".opus", ".mp3")


@dataclass(frozen=True)
class CorpusConfig:
    """How a corpus of speech is to be understood."""

    text_ext: str = ".txt"
    """in a folder of recordings, what NAME.wav says is in NAME plus this"""
    text_key: str = "text"
    """in a manifest, the key of what is said"""


def read_corpus(path: str, config: CorpusConfig) -> Corpus:
    """Return the examples of the corpus at `path`, and one sentence for each that cannot be used.

    What it is shows by itself:

        FILE.csv          a table with wav_filename,transcript[,speaker], paths relative to it
        FILE, any other   a NeMo manifest: JSON lines with audio_filepath (or source), text, and where known
                          duration, offset, speaker
        FOLDER            a Kaldi data folder, if it has a wav.scp: text, and where present segments,
                          utt2spk, utt2dur; plain paths, as given or relative to the folder
                          a LibriSpeech tree, if there is any *.trans.txt below it
                          else recordings NAME.wav (flac, ogg, opus, mp3), each with its NAME.txt, of one line

    Lengths are seconds, None where the corpus does not say.

    Raises:
        ValueError: if it is none of these, or its tables cannot be understood.
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
    """Move the examples whose recording is not there to the problems."""
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
    """Return where in their recording the utterances of a manifest start, for those that have "offset"."""
    if not path.is_file() or b'"offset"' not in (content := path.read_bytes()):
        return {}
    offsets = {}
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if b'"offset"' not in line:
            continue
        try:
            offset = json.loads(line).get("offset")
        except (ValueError, AttributeError):
            continue  # read_manifest says what is wrong with it
        if offset is None:
            continue
        if isinstance(offset, bool) or not isinstance(offset, int | float) or not 0 <= offset < 1e9:
            raise ValueError(f'{path}:{number}: "offset" is {offset!r}; make it a number of seconds')
        offsets[f"{path}:{number}"] = float(offset)
    return offsets


def _segment(example: Example, start_s: float, end_s: float | None = None) -> Example:
    """Return the part of a recording from `start_s` to `end_s`, or of its known length, or to the end."""
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
            recordings[name] = (origin, str(folder / path))  # else, as for Kaldi, from the working directory
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
    """Return {key: (origin, rest of the line)}."""
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
    r"""Yield ("path:line", line without its line break); lines end with \n or \r\n."""
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
            examples.append(Example(str(sound), read_text(texts[name]), origin=str(texts[name])))
        except ValueError as error:
            problems.append(str(error))
    problems += [
        f"{text}: there is no recording {name.name}.wav beside it; restore it or remove the text"
        for name, text in texts.items()
        if name not in sounds
    ]
    return Corpus(examples, problems)


def _sounds(files: Iterable[Path], problems: list[str]) -> list[Path]:
    """Return the recordings among `files`, sorted; the second of one name (a.wav, a.mp3) is a problem."""
    sounds: dict[Path, Path] = {}
    order = {ext: rank for rank, ext in enumerate(SOUND_EXTS)}
    found = [file for file in files if file.suffix.lower() in order]
    for file in sorted(found, key=lambda file: (str(file.with_suffix("")), order[file.suffix.lower()])):
        first = sounds.setdefault(file.with_suffix(""), file)
        if first != file:
            problems.append(f"{file}: has the name of {first}, which is used; rename or remove one")
    return list(sounds.values())


# --- spoken tones: a corpus made here, so that a whole training can be tried anywhere


TONES_RATE_HZ = 16_000
TONES_LETTERS = "abcdefghijklmnopqrst"
LOW_HZ = (300.0, 390.0, 510.0, 660.0, 860.0)
HIGH_HZ = (1150.0, 1480.0, 1900.0, 2440.0)
"""a letter is a pair of them, as a vowel is a pair of formants; 28 % apart, while speakers differ by 10 %"""
TONES_WORDS = 80


class Speaker(NamedTuple):
    """Who says tones: everything that one may hear besides the letters."""

    name: str
    pitch: float
    """factor on all frequencies"""
    letter_s: float
    """mean duration of a letter"""
    buzz_hz: float
    brightness: float
    """level of the high tone, the low one being 1"""


class Tones(NamedTuple):
    """Samples (N,) at `TONES_RATE_HZ`, and where in them each word starts and ends, in seconds."""

    samples: np.ndarray
    words: list[tuple[str, float, float]]


def draw_speaker(name: str, rng: np.random.Generator) -> Speaker:
    """Return a speaker called `name`."""
    return Speaker(
        name, rng.uniform(0.91, 1.1), rng.uniform(0.07, 0.105), rng.uniform(90, 220), rng.uniform(0.4, 1.2)
    )


def say_tones(text: str, speaker: Speaker, rng: np.random.Generator) -> Tones:
    r"""Return `text`, words of `TONES_LETTERS` with spaces between them, in tones, with some noise.

    Each letter is a low and a high tone. Within a word they glide from letter to letter, and the level
    dips, so that "ll" is not "l"; between words and at both ends it is quiet.

        level   ____/--v--v--\_____/--v--\____
                     b  a  d         a  d

    Raises:
        ValueError: for a letter that has no sound.
    """
    if unknown := sorted(set(text) - set(TONES_LETTERS) - {" "}):
        raise ValueError(f"{text!r} has {unknown}, which have no sound; use the letters {TONES_LETTERS}")
    if not text.split():
        raise ValueError(f"{text!r} has no words; write one at least")
    pieces = [np.zeros(int(rng.uniform(0.06, 0.15) * TONES_RATE_HZ))]
    words = []
    for word in text.split():
        start = sum(map(len, pieces))
        pieces.append(_say_word(word, speaker, rng))
        words.append((word, start / TONES_RATE_HZ, (start + len(pieces[-1])) / TONES_RATE_HZ))
        pieces.append(np.zeros(int(rng.uniform(0.08, 0.16) * TONES_RATE_HZ)))
    samples = np.concatenate(pieces)
    noise = rng.standard_normal(len(samples)) * samples.std() * 10 ** (-rng.uniform(12, 35) / 20)
    samples += noise
    samples *= 10 ** (rng.uniform(-20, -2) / 20) / np.abs(samples).max()
    return Tones(samples.astype(np.float32), words)


def _say_word(word: str, speaker: Speaker, rng: np.random.Generator) -> np.ndarray:
    durations = speaker.letter_s * rng.uniform(0.8, 1.25, len(word))
    ends = np.round(np.cumsum(durations) * TONES_RATE_HZ).astype(int)
    letter = np.searchsorted(ends, np.arange(ends[-1]), side="right")  # which one sounds, sample by sample
    glide = np.hanning(int(0.025 * TONES_RATE_HZ))
    glide /= glide.sum()
    sound = np.zeros(ends[-1])
    places = [divmod(TONES_LETTERS.index(symbol), len(LOW_HZ)) for symbol in word]
    for tones_hz, strength in (
        ([LOW_HZ[low] for _, low in places], 1.0),
        ([HIGH_HZ[high] for high, _ in places], speaker.brightness),
    ):
        pitches = np.log(np.array(tones_hz) * speaker.pitch * rng.uniform(0.98, 1.02, len(word)))[letter]
        smooth = np.convolve(np.pad(pitches, len(glide), mode="edge"), glide, "same")[
            len(glide) : -len(glide)
        ]
        phase = np.cumsum(np.exp(smooth)) * 2 * np.pi / TONES_RATE_HZ
        sound += strength * (np.sin(phase) + 0.2 * np.sin(2 * phase))
    times = np.arange(ends[-1]) / TONES_RATE_HZ
    sound *= 1 + 0.4 * np.sin(2 * np.pi * speaker.buzz_hz * times)
    level = np.ones(ends[-1])
    for end in ends[:-1]:
        dip = np.arange(max(end - len(glide), 0), min(end + len(glide), ends[-1]))
        level[dip] *= 1 - 0.8 * np.cos((dip - end) / len(glide) * np.pi / 2) ** 2
    fade = np.minimum(1, np.minimum(times, times[::-1]) / 0.01)
    return sound * level * fade


def write_spoken_tones(folder: Path, count: int, seed: int) -> None:
    """Write a made corpus: `count` utterances in `folder`/train.jsonl, a sixth as many in dev.jsonl.

    An utterance is one to four words out of eighty, the same for every seed, or, one time in three, made
    up; it takes 1 to 2.5 seconds. The speakers of dev are not those of train.

    Raises:
        ValueError: for a count below 1.
        OSError: if it cannot be written.
    """
    if count < 1:
        raise ValueError(f"count is {count}; ask for one utterance at least")
    vocabulary = [_make_word(np.random.default_rng(index)) for index in range(TONES_WORDS)]
    for number, (split, size, speakers) in enumerate(
        (("train", count, 24), ("dev", math.ceil(count / 6), 6))
    ):
        rng = np.random.default_rng((seed, number))
        voices = [draw_speaker(f"{split}{index:02d}", rng) for index in range(speakers)]
        (folder / split).mkdir(parents=True, exist_ok=True)
        with written_aside(folder / f"{split}.jsonl") as manifest:
            for index in tqdm(range(size), desc=split, unit=" files", disable=None):
                voice = voices[rng.integers(speakers)]
                tones = _say_something(voice, vocabulary, rng)
                source = f"{split}/{voice.name}_{index:05d}.flac"
                soundfile.write(folder / source, tones.samples, TONES_RATE_HZ, subtype="PCM_16")
                fields = {
                    "audio_filepath": source,
                    "duration": round(len(tones.samples) / TONES_RATE_HZ, 4),
                    "text": " ".join(word for word, _, _ in tones.words),
                    "speaker": voice.name,
                    "words": [(word, round(start, 4), round(end, 4)) for word, start, end in tones.words],
                }
                manifest.write(json.dumps(fields).encode() + b"\n")


def _say_something(speaker: Speaker, vocabulary: list[str], rng: np.random.Generator) -> Tones:
    """Return words of 1 to 2.5 s."""
    while True:
        words = [
            _make_word(rng) if rng.random() < 1 / 3 else vocabulary[rng.integers(len(vocabulary))]
            for _ in range(rng.integers(1, 5))
        ]
        tones = say_tones(" ".join(words), speaker, rng)
        if 1 <= len(tones.samples) / TONES_RATE_HZ <= 2.5:
            return tones


def _make_word(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list(TONES_LETTERS), rng.integers(2, 7)))


@dataclass(frozen=True)
class TonesCommand:
    """Write a corpus of spoken tones."""

    folder: Path
    """where to: train.jsonl, dev.jsonl and their sounds"""
    count: int = 600
    """utterances to train on; a sixth as many are written for dev"""
    seed: int = 1
    """another seed, other speakers and sentences"""


def main() -> None:
    """Run the command line: `tones FOLDER` with its flags."""
    import tyro

    command = tyro.extras.subcommand_cli_from_dict(
        {"tones": TonesCommand}, prog="python -m asr.corpora", config=(tyro.conf.PositionalRequiredArgs,)
    )
    try:
        write_spoken_tones(command.folder, command.count, command.seed)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
