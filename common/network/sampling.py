"""Drawing texts from a recurrent language model."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from common.network.language_model import LanguageModel
from common.text.vocabulary import END_LABEL


def restrict(
    log_probs: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0
) -> Tensor:
    """Return the probabilities (B, C), in float64, from which labels are drawn.

    Args:
        log_probs: (B, C) natural log-probabilities of the model.
        temperature: divides `log_probs`; below 1, probable labels become more probable.
        top_k: the number of most probable labels that are kept; None keeps all.
        top_p: the fewest most probable of these labels are kept that together have this probability or more:
            the nucleus of Holtzman et al. (2020), "The Curious Case of Neural Text Degeneration".

    Raises:
        ValueError: a number is out of range.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature is {temperature:g}; give a number above 0")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k is {top_k}; give 1 or more, or leave it out")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p:g}; give a probability above 0, at most 1")
    ordered, order = (log_probs.double() / temperature).sort(stable=True, dim=-1, descending=True)  # (B, C)
    if top_k is not None:
        ordered[:, top_k:] = -math.inf
    probabilities = ordered.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities  # of all more probable labels
    probabilities = probabilities.masked_fill(before >= top_p, 0.0)
    probabilities /= probabilities.sum(-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter_(1, order, probabilities)


@torch.inference_mode()
def sample(
    model: LanguageModel,
    count: int = 1,
    length: int = 200,
    prompt: str = "",
    condition: Sequence[Any] | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> list[str]:
    """Return `count` texts, each drawn until its end or until it has `length` characters or words.

    The label for unknown characters or words is never drawn.

    Args:
        model: the language model.
        count: number of texts, which are drawn side by side.
        length: most characters or words of a text, without the prompt.
        prompt: the start of every text.
        condition: the condition of each text; None for a model that takes none.
        temperature: as for `restrict`.
        top_k: as for `restrict`.
        top_p: as for `restrict`.
        generator: a random generator on the CPU; None for torch's global one.

    Raises:
        ValueError: a number is out of range, or a condition is missing or unknown.
    """
    if count < 1 or length < 1:
        raise ValueError(f"{count} texts of length {length}; give 1 or more of each")
    model.eval()
    given = None
    if condition is not None:
        values = torch.stack([torch.from_numpy(model.as_values(one)) for one in condition])
        given = model.as_condition(values.to(model.device))
    prompted = [END_LABEL, *model.vocabulary.encode(prompt)]
    labels = torch.tensor([prompted] * count, device=model.device)  # (B, T)
    drawn, state = [], None
    alive = torch.ones(count, dtype=torch.bool)
    for _ in range(length):
        lengths = torch.full((count,), labels.shape[1])
        log_probs, state = model(labels, lengths, state, given)
        last = log_probs[:, -1].cpu()  # (B, C)
        if model.vocabulary.unknown_label is not None:
            last[:, model.vocabulary.unknown_label] = -math.inf
        label = torch.multinomial(restrict(last, temperature, top_k, top_p), 1, generator=generator)  # (B, 1)
        alive &= label[:, 0] != END_LABEL
        label[~alive] = END_LABEL
        if not alive.any():
            break
        drawn.append(label)
        labels = label.to(model.device)
    written = torch.cat(drawn, 1).tolist() if drawn else [[]] * count
    start = prompted[1:]
    return [
        model.vocabulary.decode([*start, *(label for label in row if label != END_LABEL)]) for row in written
    ]
