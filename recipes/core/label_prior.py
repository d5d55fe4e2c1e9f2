"""Take a share of the labels' prior out of a CTC model: label_prior.py asr MODEL OUT CORPUS --weight 0.4.

The network gives p(label | signal), and a language model wants p(signal | label), which is that divided by
p(label) (Bourlard and Morgan 1994; for CTC Miao, Gowayyed and Metze 2015, arXiv:1507.08240). The prior of a
label is its mean probability over the steps of examples of CORPUS, and its logarithm times the weight is
taken off the bias of the head. What the softmax then adds to all labels of a step is the same for each text,
so that a search finds what it would with divided probabilities. Greedy decoding and confidences change, too:
tune afterwards.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from asr.modality import ASR
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.recognition.recognizer import Recognizer
from common.training.preparation import load_examples, report_problems
from ocr.modality import OCR

SMALLEST = 1e-4
"""a label that is rarer than this counts as if it were as frequent"""


@dataclass(frozen=True)
class Prior:
    """Take a share of the labels' prior out of a model."""

    modality: Positional[Literal["asr", "ocr"]]
    """kind of model"""
    model: Positional[Path]
    """model file (.safetensors) of --task ctc"""
    output: Positional[Path]
    """model file to write"""
    corpus: Positional[str]
    """corpora, with commas between them, such as the training data"""
    weight: float = 0.4
    """share of the logarithm of the prior"""
    count: int = 400
    """how many examples are read, drawn at random"""
    seed: int = 1
    """seed of the draw"""


def prior_of(recognizer: Recognizer, corpus: str, count: int, seed: int) -> np.ndarray:
    """Return the mean probability (C,) of each label over the steps of examples of a corpus."""
    examples, problems = load_examples(recognizer.modality, corpus, recognizer.modality.corpus_config())
    report_problems(problems)
    places = np.random.default_rng(seed).permutation(len(examples))[:count]
    total, steps = np.zeros(recognizer.alphabet.classes), 0
    sources = [examples[place].source for place in places]
    for batch in recognizer.batches(sources, recognizer.log_probs):
        for rows in batch.output.each():
            total += np.exp(rows.astype(np.float64)).sum(0)
            steps += len(rows)
    return total / max(steps, 1)


def take_out(head: Any, prior: np.ndarray, weight: float) -> None:
    """Take `weight` times the logarithm of the prior (C,) off the bias of a head for CTC."""
    log_prior = np.log(np.maximum(prior, SMALLEST))
    with torch.no_grad():
        head.linear.bias -= torch.from_numpy(weight * log_prior).to(head.linear.bias)


def main() -> None:
    """Write the model without a share of its prior."""
    command = parse(Prior)
    recognizer = Recognizer.load({"asr": ASR, "ocr": OCR}[command.modality], command.model)
    if recognizer.task != "ctc":
        raise ValueError(f"{command.model}: a model of --task {recognizer.task}; name one of --task ctc")
    prior = prior_of(recognizer, command.corpus, command.count, command.seed)
    take_out(recognizer.head, prior, command.weight)
    print(f"the blank has {prior[0]:.1%} of the steps; {command.weight:g} of the prior is taken out")
    recognizer.save(command.output)


if __name__ == "__main__":
    main()
