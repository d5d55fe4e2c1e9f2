"""Tuning of decoding: the weights and the temperature that fit signals with known texts best."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from common.data.manifest import Example
from common.decoding.calibration import TEMPERATURES, CharacterConfidences, character_confidences
from common.decoding.decoder import Decoder, DecodingConfig
from common.text.metrics import ErrorRate

RANGES = {
    "lm_weight": (0.0, 1.5),
    "label_bonus": (0.0, 2.5),
    "word_lm_weight": (0.0, 1.5),
    "word_bonus": (0.0, 4.0),
    "hot_word_boost": (0.0, 4.0),
    "unknown_word_penalty": (0.0, 12.0),
    "rescore_weight": (0.0, 1.5),
    "rescore_bonus": (0.0, 2.5),
}
"""lowest and highest value of each setting"""
EXPLORATION_SHARE = 0.4
"""share of trials that are drawn from the whole ranges; the others are drawn near the best trial so far"""
SPREAD = 0.15
"""standard deviation of draws near the best trial, as a share of the range"""


class Trial(NamedTuple):
    """Settings that were tried, and their error rates."""

    config: DecodingConfig
    cer: float
    wer: float


class ReferenceBatch(NamedTuple):
    """Signals with known texts: log-probabilities (B, S, C), lengths (B,), and B examples."""

    log_probs: np.ndarray
    lengths: np.ndarray
    examples: Sequence[Example]


def tune(
    build: Callable[[DecodingConfig], Decoder],
    start: DecodingConfig,
    names: Sequence[str],
    batches: Sequence[ReferenceBatch],
    trials: int,
    metric: Literal["cer", "wer"] = "cer",
    seed: int = 0,
) -> Iterator[Trial]:
    """Yield the trials of a random search; the first one has the settings as they are.

    The search draws from the whole ranges (Bergstra and Bengio 2012), and in part near the best trial so far.

    Args:
        build: returns the decoder with given settings.
        start: the settings as they are.
        names: the settings to tune, keys of `RANGES`.
        batches: the signals to measure error rates on.
        trials: number of trials.
        metric: the error rate to minimise.
        seed: seed of the draws.

    Raises:
        ValueError: `trials` is less than 1.
    """
    if trials < 1:
        raise ValueError(f"{trials} trials; give 1 or more")
    rng = np.random.default_rng(seed)
    best: Trial | None = None
    for _ in range(trials if names else 1):
        config = start
        if best is not None:
            near = best.config if rng.random() >= EXPLORATION_SHARE else None
            drawn: dict[str, Any] = {name: _draw(rng, name, near) for name in names}
            config = replace(start, **drawn)
        rate = measure(build(config), batches)
        trial = Trial(config, rate.cer, rate.wer)
        if best is None or getattr(trial, metric) < getattr(best, metric):
            best = trial
        yield trial


def measure(decoder: Decoder, batches: Sequence[ReferenceBatch]) -> ErrorRate:
    """Return the error rate of `decoder` on `batches`."""
    rate = ErrorRate(decoder.alphabet.normalise)
    for batch in batches:
        texts = decoder.texts(batch.log_probs, batch.lengths)
        for example, text in zip(batch.examples, texts, strict=True):
            rate.add(example.text or "", text, example.source)
    return rate


def _draw(rng: np.random.Generator, name: str, near: DecodingConfig | None) -> float:
    """Return a random value for a setting, from its whole range or near its value in `near`."""
    low, high = RANGES[name]
    value = rng.uniform(low, high)
    if near is not None:
        known = getattr(near, name)
        known = near.lm_weight if known is None else known  # a word_lm_weight of None means lm_weight
        value = float(np.clip(rng.normal(known, SPREAD * (high - low)), low, high))
    return round(value, 3)


class Calibration(NamedTuple):
    """The best temperature, and the confidences of characters at it and at the decoder's own temperature."""

    temperature: float
    best: CharacterConfidences
    own: CharacterConfidences


def calibrate(decoder: Decoder, batches: Sequence[ReferenceBatch]) -> Calibration:
    """Return the temperature whose confidences have the smallest log loss (Guo et al. 2017).

    Of equal log losses, the temperature that is nearest to the decoder's own is taken.
    """
    own = decoder.config.temperature
    pairs: dict[float, list[tuple[str, str, list[float]]]] = {one: [] for one in {*TEMPERATURES, own}}
    for batch in batches:
        at = decoder.decode_at_any_temperature(batch.log_probs, batch.lengths)
        for temperature, known in pairs.items():
            for example, (best, *_) in zip(batch.examples, at(temperature), strict=True):
                texts = decoder.alphabet.pieces(hit.label for hit in best.hits)
                sure = [
                    hit.confidence ** (1 / len(text))
                    for hit, text in zip(best.hits, texts, strict=True)
                    for _ in text
                ]
                known.append((decoder.alphabet.spell(example.text or ""), "".join(texts), sure))
    judged = {temperature: character_confidences(known) for temperature, known in pairs.items()}
    best_one = min(TEMPERATURES, key=lambda one: (judged[one].log_loss, abs(np.log(one / own))))
    return Calibration(best_one, judged[best_one], judged[own])
