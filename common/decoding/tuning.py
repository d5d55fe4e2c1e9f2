"""Tuning of decoding: the weights and the temperature that fit signals with known texts best."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from common.data.batch_plan import padded
from common.data.manifest import Example
from common.decoding.calibration import TEMPERATURES, CharacterConfidences, character_confidences
from common.decoding.decoder import Decoder, DecodingConfig
from common.text.metrics import ErrorRate

RANGES = {
    "lm_weight": (0.0, 1.5),
    "label_bonus": (0.0, 2.5),
    "word_lm_weight": (0.0, 1.5),
    "word_bonus": (-2.0, 4.0),
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
KEPT_CLASSES = 128
"""number of classes of a step that are kept while settings are tried"""


class Trial(NamedTuple):
    """Settings that were tried, and their error rates."""

    config: DecodingConfig
    cer: float
    wer: float


class KeptClasses(NamedTuple):
    """Log-probabilities (S, C) of a signal, of which a step keeps at most KEPT_CLASSES.

    classes: (S, K) the likeliest classes of each step; all C, in their order, if there are no more.
    log_probs: (S, K) float32, their log-probabilities.
    rest: (S,) float32, the log-probability of each other class: what is left, in equal shares.
    size: C.
    """

    classes: np.ndarray
    log_probs: np.ndarray
    rest: np.ndarray
    size: int

    def all(self) -> np.ndarray:
        """Return log-probabilities (S, C), float32."""
        log_probs = np.repeat(self.rest[:, None], self.size, 1)  # (S, C)
        np.put_along_axis(log_probs, self.classes.astype(np.int64), self.log_probs, 1)
        return log_probs


def kept_classes(log_probs: np.ndarray) -> KeptClasses:
    """Return what is kept of log-probabilities (S, C): all of a small alphabet, else the likeliest.

    A corpus of lines with 7,000 classes would fill the memory: a step of all classes has 28 kB, of these 0.8.
    """
    S, C = log_probs.shape
    kind = np.uint16 if C <= 1 << 16 else np.uint32
    if C <= KEPT_CLASSES:
        every = np.broadcast_to(np.arange(C, dtype=kind), (S, C))
        return KeptClasses(every, log_probs.astype(np.float32), np.zeros(S, np.float32), C)
    chosen = np.argpartition(-log_probs, KEPT_CLASSES - 1, 1)[:, :KEPT_CLASSES]  # (S, K)
    others = log_probs.astype(np.float64)
    np.put_along_axis(others, chosen, -np.inf, 1)
    with np.errstate(divide="ignore"):  # nothing is left: the other classes are impossible
        rest = np.log(np.exp(others).sum(1) / (C - KEPT_CLASSES))
    best = np.take_along_axis(log_probs, chosen, 1).astype(np.float32)
    return KeptClasses(chosen.astype(kind), best, rest.astype(np.float32), C)


class ReferenceBatch(NamedTuple):
    """Signals with known texts: what is kept of B of them, and their B examples."""

    signals: Sequence[KeptClasses]
    examples: Sequence[Example]

    def padded(self) -> tuple[np.ndarray, np.ndarray]:
        """Return log-probabilities (B, S, C), and the lengths (B,) of the signals."""
        return padded([signal.all() for signal in self.signals])


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
        texts = decoder.texts(*batch.padded())
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
        at = decoder.decode_at_any_temperature(*batch.padded())
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
