"""Write a manifest of several corpora in which the text of each example is the label of its corpus.

python recipes/core/label.py ocr OUT.jsonl print=lines/print/train typed=lines/typed/train
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from asr.modality import ASR
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.manifest import Example, write_manifest
from ocr.modality import OCR


@dataclass(frozen=True)
class Label:
    """Write a manifest of labelled examples."""

    modality: Positional[Literal["ocr", "asr"]]
    """kind of the corpora"""
    output: Positional[Path]
    """manifest to write"""
    corpora: Positional[tuple[str, ...]]
    """one or more of LABEL=CORPUS; several corpora may have the same label"""
    count: int | None = None
    """largest number of examples of a corpus; they are chosen evenly from all of it"""


def labelled(command: Label) -> list[Example]:
    """Return the examples of all corpora with their labels as texts; print the problems of the others."""
    modality = OCR if command.modality == "ocr" else ASR
    found = []
    for pair in command.corpora:
        label, separator, path = pair.partition("=")
        if not (label and separator and path):
            raise SystemExit(f"{pair}: LABEL=CORPUS was wanted, as in typed=lines/typed/train")
        corpus = modality.examples(path, modality.corpus_config())
        for problem in corpus.problems:
            print(f"left out: {problem}")
        step = max(1.0, len(corpus.examples) / (command.count or len(corpus.examples)))
        chosen = [corpus.examples[int(step * place)] for place in range(int(len(corpus.examples) / step))]
        print(f"{label}: {len(chosen)} of {len(corpus.examples)} examples of {path}")
        found += [replace(example, text=label) for example in chosen]
    return found


def main() -> None:
    """Write the manifest."""
    command = parse(Label)
    write_manifest(command.output, labelled(command))


if __name__ == "__main__":
    main()
