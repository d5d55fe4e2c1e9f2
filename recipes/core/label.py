"""Give all examples of a corpus one label, as the text that `--task classify` learns: a manifest of several.

python recipes/core/label.py ocr OUT.jsonl print=lines/print/train typed=lines/typed/train
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro
from tyro.conf import Positional

from asr.modality import ASR
from common.data.manifest import Example, write_manifest
from ocr.modality import OCR


@dataclass(frozen=True)
class Label:
    """Write a manifest of labelled examples."""

    modality: Positional[Literal["ocr", "asr"]]
    """whose corpora are read"""
    output: Positional[Path]
    """manifest to write"""
    corpora: Positional[tuple[str, ...]]
    """LABEL=CORPUS, one or more; a label may stand several times"""
    count: int | None = None
    """at most so many of each corpus, evenly from all of it"""


def labelled(command: Label) -> list[Example]:
    """Return the examples of all corpora, the text of each its label; print what is wrong with others."""
    modality = OCR if command.modality == "ocr" else ASR
    found = []
    for pair in command.corpora:
        label, separator, path = pair.partition("=")
        if not (label and separator and path):
            raise SystemExit(f"{pair}: LABEL=CORPUS was wanted, as in typed=lines/typed/train")
        corpus = modality.corpora(path, modality.corpus_config())
        for problem in corpus.problems:
            print(f"left out: {problem}")
        step = max(1.0, len(corpus.examples) / (command.count or len(corpus.examples)))
        chosen = [corpus.examples[int(step * place)] for place in range(int(len(corpus.examples) / step))]
        print(f"{label}: {len(chosen)} of {len(corpus.examples)} examples of {path}")
        found += [replace(example, text=label) for example in chosen]
    return found


def main() -> None:
    """Write the manifest."""
    command = tyro.cli(Label, config=(tyro.conf.PositionalRequiredArgs,))
    write_manifest(command.output, labelled(command))


if __name__ == "__main__":
    main()
