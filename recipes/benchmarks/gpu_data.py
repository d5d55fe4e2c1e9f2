"""Lines of 48 x 900 px and sounds of 16 s to train on, made up in seconds.

Few are different: the others are links to them under other names, which a loader cannot tell from files of
their own.
"""

import os
from pathlib import Path

import numpy as np
from measurement import draw_lines

RATE_HZ = 16_000
LETTERS_PER_S = 12.0
DIFFERENT = 192
"""number of lines that are drawn, and of sounds that are made; the rest are links"""


def draw_data(folder: Path, train: int, dev: int, sound_s: float = 16.0, sides: str = "ocr asr") -> None:
    """Write lines/train, lines/dev, speech/train and speech/dev, with texts, into a folder.

    Args:
        folder: exists.
        train: number of examples to train on.
        dev: number of examples to measure on.
        sound_s: duration of a sound.
        sides: "ocr", "asr" or both.
    """
    for part, count, seed in (("train", train, 1), ("dev", dev, 2)):
        if "ocr" in sides:
            different = min(count, DIFFERENT)
            _link(draw_lines(folder / "lines" / part, different, seed), count, (".png", ".gt.txt"))
        if "asr" in sides:
            _make_sounds(folder / "speech" / part, count, sound_s, seed)


def _link(folder: Path, count: int, suffixes: tuple[str, ...]) -> None:
    """Link examples of a folder, 00000 and so on, until there are `count` of them."""
    different = len(list(folder.glob(f"*{suffixes[0]}")))
    for number in range(different, count):
        for suffix in suffixes:
            os.link(folder / f"{number % different:05d}{suffix}", folder / f"{number:05d}{suffix}")


def _make_sounds(folder: Path, count: int, sound_s: float, seed: int) -> None:
    """Write WAV files of tones in noise that change like syllables, each with a text of random words."""
    import soundfile

    from ocr.drawing.texts import COMMON_WORDS

    folder.mkdir(parents=True)
    rng, words = np.random.default_rng(seed), COMMON_WORDS.split()
    different = min(count, DIFFERENT)
    time_s = np.arange(round(sound_s * RATE_HZ)) / RATE_HZ
    for number in range(different):
        text = ""
        while len(text) < LETTERS_PER_S * sound_s:
            text = f"{text} {rng.choice(words)}".strip()
        syllables = np.repeat(rng.random((4, -(-len(time_s) // 2400))), 2400, axis=1)[:, : len(time_s)]
        tones = np.sin(2 * np.pi * rng.uniform(100, 3000, (4, 1)) * time_s)
        sound = 0.1 * (syllables * tones).sum(0) + 0.01 * rng.standard_normal(len(time_s))
        soundfile.write(folder / f"{number:05d}.wav", sound.astype(np.float32), RATE_HZ, subtype="PCM_16")
        (folder / f"{number:05d}.txt").write_text(f"{text.upper()}\n", encoding="utf-8")
    _link(folder, count, (".wav", ".txt"))
