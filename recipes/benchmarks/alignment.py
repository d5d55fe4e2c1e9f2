"""Measure the distance of aligned words and characters from their known positions.

    python recipes/benchmarks/alignment.py asr MODEL dev.jsonl

The lines of the manifest have "audio_filepath" or "image", "text", and "words", a list of [word, start, end]
in seconds or pixels. If they have "characters" in the same form, without spaces, these are measured, too.
`python -m ocr.synthesis lines` writes such a manifest as places.jsonl, `python -m asr.synthesis tones` as
dev.jsonl. The rule that turns labels into positions is compared with two other rules.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import numpy as np

from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.decoding.alignment import widen
from common.decoding.greedy import Hit
from common.recognition.known_text.aligner import Aligner
from common.recognition.recognizer import Recognizer
from common.text.transcript import Character, Transcript, Word

SOURCE_KEYS = ("audio_filepath", "image")
Rule = Callable[[Sequence[Hit], Sequence[bool], int], np.ndarray]


@dataclass(frozen=True)
class Alignment:
    """Measure the alignment of a model against known positions."""

    modality: Positional[Literal["ocr", "asr"]]
    """Command of the model."""
    model: Positional[Path]
    """Model file."""
    manifest: Positional[Path]
    """JSON lines with known positions."""


def own_steps(hits: Sequence[Hit], spaces: Sequence[bool], steps: int) -> np.ndarray:
    """A rule: return the steps (L, 2) in which the best path is at each label."""
    return np.array([(hit.start, hit.end) for hit in hits], dtype=np.float64).reshape(-1, 2)


def half_way(hits: Sequence[Hit], spaces: Sequence[bool], steps: int) -> np.ndarray:
    """A rule: return edges (L, 2) that meet in the middle of the blanks."""
    edges = own_steps(hits, spaces, steps)
    edges[1:, 0] = edges[:-1, 1] = (edges[1:, 0] + edges[:-1, 1]) / 2
    return edges


def load(modality: str, model: Path) -> Recognizer:
    """Return the recognizer in a file."""
    if modality == "ocr":
        import ocr

        return ocr.load(str(model))
    import asr

    return asr.load(str(model))


def align(
    recognizer: Recognizer, manifest: Path, rule: Rule
) -> Iterator[tuple[dict[str, Any], Transcript, float]]:
    """Yield each line of the manifest, its alignment, and the length of a step in seconds or pixels."""
    for line in manifest.read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        (source,) = [fields[key] for key in SOURCE_KEYS if key in fields]
        signal = recognizer.modality.read(manifest.parent / source, recognizer.config.signal)
        with patch("common.recognition.placing.widen", rule):
            (transcript,) = Aligner(recognizer).align([signal], [fields["text"]])
        yield fields, transcript, recognizer.front_end.stride * signal.unit_per_step


def places(parts: tuple[Word, ...] | tuple[Character, ...], known: list[list[Any]]) -> np.ndarray:
    """Return the aligned start and end and the known start and end (n, 4) of each part with ink or sound."""
    visible = [part for part in parts if not part.text.isspace()]
    pairs = zip(visible, known, strict=True)
    return np.array([(part.start, part.end, start, end) for part, (_, start, end) in pairs]).reshape(-1, 4)


def describe(name: str, unit: str, spans: np.ndarray, steps: np.ndarray) -> None:
    """Print the distances of `spans` (n, 4) from the truth, in units and in steps of length `steps` (n,)."""
    start, end, true_start, true_end = spans.T
    errors = np.stack([start - true_start, end - true_end], axis=1)  # (n, 2)
    strides = errors / steps[:, None]
    off, distance, middle = np.abs(errors), np.abs(strides), (start + end) / 2
    overlap = np.clip(np.minimum(end, true_end) - np.maximum(start, true_start), 0, None)
    union = np.maximum(end, true_end) - np.minimum(start, true_start)
    centred = np.mean((middle > true_start) & (middle < true_end))
    print(
        f"    {len(spans)} {name}: a boundary is off by {off.mean():.4g} {unit}"
        f" (median {np.median(off):.4g}), {distance.mean():.3f} strides (median {np.median(distance):.3f});"
        f" starts {strides[:, 0].mean():+.2f}, ends {strides[:, 1].mean():+.2f};"
        f" {(distance < 1).mean():.1%} by less than a stride\n"
        f"      {centred:.2%} have their centre in the true span, {(overlap > 0).mean():.2%} overlap it;"
        f" intersection over union {np.mean(overlap / union):.3f}"
    )


def measure(recognizer: Recognizer, manifest: Path, rule: Rule) -> None:
    """Align all lines by `rule` and print the distances."""
    found: dict[str, list[np.ndarray]] = {"words": [], "characters": []}
    lengths: dict[str, list[float]] = {"words": [], "characters": []}
    for fields, transcript, step in align(recognizer, manifest, rule):
        for name, parts in (("words", transcript.words), ("characters", transcript.characters)):
            if name in fields:
                found[name].append(places(parts, fields[name]))
                lengths[name] += [step] * len(fields[name])
    for name, spans in found.items():
        if spans:
            describe(name, recognizer.modality.unit, np.concatenate(spans), np.array(lengths[name]))


def main() -> None:
    """Measure the distances with each rule."""
    options = parse(Alignment)
    recognizer = load(options.modality, options.model)
    print(f"{options.modality}, {options.model}, {options.manifest}")
    for name, rule in (
        ("as `align` has it", widen),
        ("labels' own steps", own_steps),
        ("half-way", half_way),
    ):
        print(f"  {name}")
        measure(recognizer, options.manifest, rule)


if __name__ == "__main__":
    main()
