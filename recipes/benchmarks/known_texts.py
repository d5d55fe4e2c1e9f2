"""Align an hour of joined utterances with a text that lacks parts of it and has parts that are not said.

The utterances stand one after the other in a file, with pauses of 0.1 to 3 s of faint noise between them. The
text is theirs, one paragraph each, changed at even distances: a title page; paragraphs and words left out;
paragraphs and words of utterances that are not in the recording. The true place of a word is where `align`
finds it in its utterance alone, with its own text.
"""

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from long_alignment import peak_mb

from asr.modality import ASR
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.recognition.known_text.aligner import Aligner
from common.recognition.loading import load_recognizer
from common.recognition.transcriber import Transcriber
from common.text.document import Interval
from common.training.preparation import load_examples

NEAR_WORDS = 10
HELD_OUT = 300
"""words, at least, of the first utterances, which are not said: what is added to the text is theirs"""
EDITS = ("paragraphs left out", "a paragraph added", "words left out", "words added", "a paragraph replaced")


@dataclass(frozen=True)
class KnownTexts:
    """Align an hour of joined utterances with a text that lacks parts of it and has others."""

    data: Positional[str]
    """Corpus of utterances with their texts, or several with commas between."""
    model: Path | None = None
    """Model file."""
    hours: float = 1.0
    """Length of the recording, if there are as many utterances."""
    every: int = 8
    """Utterances from one change of the text to the next."""
    threads: int = 1
    """Threads that compute the network."""
    keep: Path | None = None
    """Folder in which recording.flac and text.txt are kept."""
    seed: int = 1
    """Of pauses and edits."""


class Spoken(NamedTuple):
    """A word that is said, and from when to when, in seconds."""

    text: str
    start: float
    end: float


class Written(NamedTuple):
    """A word of the changed text, and the number of the spoken word that it is; -1 if it is not said."""

    text: str
    spoken: int


def main() -> None:
    """Make the recording and its text, align them and print how well."""
    options = parse(KnownTexts)
    rng = np.random.default_rng(options.seed)
    recognizer = load_recognizer(ASR, options.model or ASR.spelling, threads=options.threads)
    with tempfile.TemporaryDirectory() as folder:
        kept = options.keep or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        examples = load_examples(ASR, options.data, ASR.corpus_config())[0]
        said = [(example.source, example.text or "") for example in examples]
        held_out: list[str] = []
        while len(held_out) < HELD_OUT:
            held_out += said.pop(0)[1].split()
        recording = kept / "recording.flac"
        utterances = list(_record(recognizer, said, recording, options.hours, rng))
        spoken = [word for utterance in utterances for word in utterance]
        paragraphs = _changed(utterances, held_out, options.every, rng)
        text = "\n\n".join(" ".join(word.text for word in one) for one in paragraphs)
        (kept / "text.txt").write_text(f"{text}\n", encoding="utf-8")
        before_mb, began = peak_mb(), time.monotonic()
        (aligned,) = Aligner(recognizer).align_recordings([recording], [text])
        print(
            f"{soundfile.info(recording).duration / 3600:.2f} hours, {len(spoken):,} words: aligned in"
            f" {time.monotonic() - began:.0f} s; peak memory {peak_mb():.0f} MB, {before_mb:.0f} MB before"
        )
    found = [
        Spoken(word.text, place.start, place.end)
        for passage in aligned.document.passages
        for word in passage.transcript.words
        for place in [passage.place_of(word)]
        if isinstance(place, Interval)
    ]
    unsaid = {one.first + n for one in aligned.left_out.unsaid for n in range(len(one.words))}
    written = [word for paragraph in paragraphs for word in paragraph]
    places = iter(found)
    placed = [None if number in unsaid else next(places) for number in range(len(written))]
    _print_shares(written, placed, spoken)
    _print_left_out(written, placed, spoken, [(one.start, one.end) for one in aligned.left_out.extra])


def _record(
    recognizer: Transcriber,
    said: Sequence[tuple[str, str]],
    path: Path,
    hours: float,
    rng: np.random.Generator,
) -> Iterator[list[Spoken]]:
    """Write utterances one after the other, and yield the words of each with their places."""
    rate_hz = recognizer.signal_config.sample_rate_hz
    done = 0
    with soundfile.SoundFile(path, "w", rate_hz, 1) as file:
        for source, text in said:
            if done > 3600 * hours * rate_hz:
                return
            pause = 1e-4 * rng.standard_normal(int(rate_hz * rng.uniform(0.1, 3.0)))
            file.write(pause)
            start_s = (done + len(pause)) / rate_hz
            signal = ASR.read(source, recognizer.signal_config)
            file.write(signal.values)
            done += len(pause) + len(signal.values)
            (alone,) = Aligner(recognizer).align([signal], [text])
            yield [Spoken(word.text, start_s + word.start, start_s + word.end) for word in alone.words]


def _changed(
    utterances: Sequence[Sequence[Spoken]], other: Sequence[str], every: int, rng: np.random.Generator
) -> list[list[Written]]:
    """Return the paragraphs of the text: of a title page, and of each utterance that it still has."""

    def added(count: int) -> list[Written]:
        first = int(rng.integers(len(other) - count))
        return [Written(word, -1) for word in other[first : first + count]]

    paragraphs, first, left = [added(30)], 0, 0
    for number, utterance in enumerate(utterances, start=1):
        words = [Written(word.text, first + place) for place, word in enumerate(utterance)]
        first += len(words)
        if left:  # of several utterances that the text lacks
            left -= 1
            continue
        if number % every == 0:
            edit, middle = EDITS[number // every % len(EDITS)], len(words) // 2
            count = int(rng.choice([1, 3, 6]))
            if edit == "paragraphs left out":
                left, words = count - 1, []
            elif edit == "a paragraph added":
                paragraphs.append(added(25 * count))
            elif edit == "words left out":
                del words[middle : middle + count]
            elif edit == "words added":
                words[middle:middle] = added(count)
            else:
                words = added(40)
        paragraphs.append(words)
    return [paragraph for paragraph in paragraphs if paragraph]


def _print_shares(
    written: Sequence[Written], placed: Sequence[Spoken | None], spoken: Sequence[Spoken]
) -> None:
    """Print the share of words whose start was found, of all and of those near a change."""
    numbers = np.array([word.spoken for word in written])
    breaks = np.flatnonzero(np.diff(numbers, prepend=-1) != 1)  # places before which the text was changed
    distances = np.abs(np.arange(len(written))[:, None] - breaks[None]).min(1)
    errors = np.array(
        [
            math.inf if place is None else abs(place.start - spoken[number].start)
            for number, place in zip(numbers.tolist(), placed, strict=True)
        ]
    )
    for name, chosen in (("all words", numbers >= 0), ("near a change", distances <= NEAR_WORDS)):
        some = errors[chosen & (numbers >= 0)]
        shares = ", ".join(f"{100 * (some < limit).mean():.2f} % within {limit} s" for limit in (0.1, 0.2))
        lost = int(np.isinf(some).sum())
        print(
            f"{name}: {len(some):,}, {shares}; {lost} without a place, {int((some > 1).sum()) - lost} far off"
        )


def _print_left_out(
    written: Sequence[Written],
    placed: Sequence[Spoken | None],
    spoken: Sequence[Spoken],
    extra: Sequence[tuple[float, float]],
) -> None:
    """Print how many words that are not said have no place, and how much sound is rightly named as extra."""
    unsaid = [place is None for word, place in zip(written, placed, strict=True) if word.spoken < 0]
    print(f"words that are not said: {sum(unsaid):,} of {len(unsaid):,} have no place")
    unwritten = set(range(len(spoken))) - {word.spoken for word in written}
    middles = [(spoken[number].start + spoken[number].end) / 2 for number in unwritten]
    named = sum(any(start <= middle <= end for start, end in extra) for middle in middles)
    right = [any(start <= middle <= end for middle in middles) for start, end in extra]
    false = sum(end - start for (start, end), good in zip(extra, right, strict=True) if not good)
    print(
        f"words that are not in the text: {named:,} of {len(middles):,} are in a sound that is named as such;"
        f" {right.count(False)} other sounds are, {false:.1f} s in all"
    )


if __name__ == "__main__":
    main()
