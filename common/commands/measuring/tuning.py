"""`evaluate --tune`: weights are searched on one half of the examples and measured on the other."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from common.commands.decoding import flags_for, settings_in_use
from common.data.manifest import Example
from common.decoding.calibration import CharacterConfidences
from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.tuning import KeptClasses, ReferenceBatch, calibrate, measure, tune
from common.text.metrics import ErrorRate

log = logging.getLogger(__name__)

SIGNALS_PER_BATCH = 32
"""signals of similar length that are decoded together"""


def tuned(
    decoder: Decoder, known: Sequence[tuple[KeptClasses, Example]], trials: int, metric: Literal["cer", "wer"]
) -> tuple[Decoder, ErrorRate]:
    """Search settings of a decoder on every other signal; print the trials, and the result on the others.

    Args:
        decoder: the decoder to start from.
        known: what is kept of the log-probabilities of each signal, and the example with its text.
        trials: number of settings to try.
        metric: error rate to minimise.

    Returns:
        The tuned decoder, and its error rate on the signals that it was not tuned on.

    Raises:
        ValueError: fewer than two signals.
    """
    if len(known) < 2:
        raise ValueError(f"--tune searches on one half and measures on the other; {len(known)} is too few")
    tuning, held_out = _batches(known[::2]), _batches(known[1::2])
    names = searched_names(decoder)

    def build(config: DecodingConfig) -> Decoder:
        parts = (decoder.models, decoder.words, decoder.hot_words)
        return Decoder(decoder.alphabet, config, *parts, quiet=True, rescorer=decoder.rescorer)

    if not names and trials > 1:
        log.warning(
            "--tune %d: no language model, lexicon or hot words, so no weight to search; one setting is"
            " tried, for its confidences",
            trials,
        )
    print(f"trying {trials if names else 1} settings on {len(known[::2])}:")
    print("  ".join(["trial", *names, " CER %", " WER %"]))
    tried = []
    for trial in tune(build, decoder.config, names, tuning, trials, metric):
        tried.append(trial)
        cells = [_shown(trial.config, name).rjust(len(name)) for name in names]
        cells += [f"{100 * rate:6.2f}" for rate in (trial.cer, trial.wer)]
        print("  ".join([f"{len(tried):5d}", *cells]), flush=True)
    best = build(min(tried, key=lambda trial: getattr(trial, metric)).config)
    temperature, _, _ = calibrate(best, tuning)
    best = build(replace(best.config, temperature=temperature))
    if names:
        print(f"best: {flags_for(best.config, names)}")
    print(f"\non the other {len(known[1::2])}:")
    rate = _compare(decoder, best, held_out)
    _, _, judged = calibrate(best, held_out)
    _print_reliability(judged, temperature)
    return best, rate


def searched_names(decoder: Decoder) -> list[str]:
    """Return the settings in use, which are searched; without a penalty if unknown words are excluded."""
    unsaid = "unknown_word_penalty" if decoder.config.unknown_word_penalty is None else ""
    return [name for name in settings_in_use(decoder) if name != unsaid]


def _shown(config: DecodingConfig, name: str) -> str:
    value = getattr(config, name)
    return "-" if value is None else f"{value:g}"


def _batches(known: Sequence[tuple[KeptClasses, Example]]) -> list[ReferenceBatch]:
    """Return signals in batches of similar length, the shortest first."""
    ordered = sorted(known, key=lambda one: len(one[0].rest))
    parts = (
        ordered[first : first + SIGNALS_PER_BATCH] for first in range(0, len(ordered), SIGNALS_PER_BATCH)
    )
    return [ReferenceBatch(*zip(*part, strict=True)) for part in parts]


def _compare(before: Decoder, after: Decoder, held_out: Sequence[ReferenceBatch]) -> ErrorRate:
    """Print the error rates of greedy decoding, then of beam search before and after; return the last."""
    greedy = Decoder(before.alphabet)
    rates: dict[str, Any] = {"greedy": measure(greedy, held_out)}
    if before.config.decoder == "beam":
        rates["before tuning"] = measure(before, held_out)
        rates["tuned"] = measure(after, held_out)
    for name, rate in rates.items():
        print(f"  {name:14s} CER {100 * rate.cer:6.2f} %   WER {100 * rate.wer:6.2f} %")
    last = rates[next(reversed(rates))]
    for name in ("cer", "wer"):
        base = getattr(rates["greedy"], name)
        if base and len(rates) > 1:
            less = 100 * (1 - getattr(last, name) / base)
            print(f"  {name.upper()} {less:.1f} % lower than greedy (relative)")
    return last


def _print_reliability(judged: CharacterConfidences, temperature: float) -> None:
    print(f"\nconfidence of characters (temperature {temperature:g}):")
    print("  from  to     count  mean confidence  share right")
    for one in judged.bins():
        print(
            f"  {one.low:.1f}   {one.high:.1f}{one.characters:8d}{one.confidence:13.3f}{one.accuracy:15.3f}"
        )
    print(f"  calibration error {100 * judged.calibration_error:.2f} %, log loss {judged.log_loss:.4f}\n")


def save_tuned(recognizer: Any, decoder: Decoder, path: Path) -> None:
    """Write the model with a decoder, its language models and its lexicon inside."""
    recognizer.decoder = decoder
    recognizer.save(path)
    size = path.stat().st_size / 1e6
    log.info("%s: the model with its decoder, %.1f MB; transcribe uses it without further flags", path, size)
