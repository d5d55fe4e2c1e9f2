"""The verb evaluate."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from common.metrics import ErrorRate
from common.modality import Modality
from common.preparation import load_examples, report_problems, report_unknown, untranscribed
from common.verbs.decoding import DecodingFlags, build_decoder
from common.verbs.files import ItemsFailedError, make_place, writing
from common.verbs.options import Device, budget, check_budget, flat, load_recognizer


def arguments(modality: Modality) -> type:
    """Return the dataclass whose fields are the flags."""

    @dataclass(frozen=True)
    class Evaluate:
        """Error rates of a model on transcribed examples."""

        model: Positional[Path]
        """Model file."""
        data: Positional[str]
        """A folder or manifest, or several with commas between."""
        report: Path | None = None
        """Write a page that shows each example with its reference and hypothesis, worst first."""
        json: Path | None = None
        """Write all figures as JSON."""
        tune: int | None = None
        """Try so many settings of the decoder on every other example, and measure on the others."""
        tune_metric: Literal["cer", "wer"] = "cer"
        """What tuning makes small."""
        save_tuned: Path | None = None
        """Write the model there with the tuned settings, the language model and the lexicon inside."""
        decoding: flat(DecodingFlags) = field(default_factory=DecodingFlags)  # type: ignore[valid-type]
        batch_budget: budget(modality) = None  # type: ignore[valid-type]
        device: Device = "auto"
        """Where to compute."""
        corpus: flat(modality.corpus_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=modality.corpus_config
        )

    return Evaluate


def run(modality: Modality, arguments: Any) -> None:
    """Print the error rates of a model; raise ItemsFailedError if some examples could not be measured."""
    from common.batching import BatchLoader, Examples
    from common.evaluation import evaluate

    _check(arguments)
    recognizer = load_recognizer(modality, arguments.model, arguments.device)
    recognizer.decoder = build_decoder(recognizer.decoder, arguments.decoding)
    found, problems = load_examples(modality, arguments.data, arguments.corpus)
    examples, textless = untranscribed(found, modality.item)
    problems += textless
    report_unknown(examples, recognizer.alphabet, arguments.data)
    config = recognizer.config.signal
    items = Examples(
        examples, None, lambda source: modality.read(source, config), shortest=recognizer.front_end.shortest
    )
    budget = modality.batch_budget if arguments.batch_budget is None else arguments.batch_budget
    loader = BatchLoader(items, budget)
    unread: list[str] = []
    if arguments.tune is None:
        rate = evaluate(recognizer, loader, progress=True, refused=unread)
    else:
        rate = _tune(recognizer, loader, arguments, unread)
    report_problems(problems)
    problems += unread
    if not rate.count:
        raise ItemsFailedError(f"none of {len(problems)} {modality.item}s could be evaluated")
    _print_rate(rate, modality.item)
    facts = {
        "model": str(arguments.model),
        "data": arguments.data,
        "parameters": f"{recognizer.parameter_count:,}",
    }
    if arguments.json:
        figures = {**facts, "parameters": recognizer.parameter_count, **rate.to_dict(), "refused": problems}
        with writing(arguments.json):
            arguments.json.write_text(
                json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )
    if arguments.report:
        from common.report import write_report

        def render(source: str) -> Any:
            return modality.render(modality.read(source, config).values, config)

        with writing(arguments.report):
            write_report(arguments.report, f"{modality.name}: {arguments.data}", rate, render, facts)
    if problems:
        total = rate.count + len(problems)
        raise ItemsFailedError(f"{len(problems)} of {total} {modality.item}s could not be evaluated")


def _check(arguments: Any) -> None:
    check_budget(arguments.batch_budget)
    if arguments.tune is not None and arguments.tune < 1:
        raise ValueError(f"--tune is {arguments.tune}; give 1 trial or more")
    if arguments.save_tuned is not None and arguments.tune is None:
        raise ValueError("--save-tuned without --tune: nothing was tuned; say how many settings to try")
    for path in filter(None, (arguments.json, arguments.report, arguments.save_tuned)):
        make_place(path)


def _tune(recognizer: Any, loader: Any, arguments: Any, refused: list[str]) -> ErrorRate:
    """Return the error rate of the tuned decoder on the examples that it was not tuned on."""
    from common.evaluation import log_probabilities
    from common.verbs.tuning import save_tuned, tuned

    known = {}
    for indices, log_probs, steps in log_probabilities(recognizer, loader, refused=refused):
        for index, one, length in zip(indices, log_probs, steps, strict=True):
            known[index] = (one[:length], loader.examples.examples[index])
    decoder, rate = tuned(
        recognizer.decoder, [known[index] for index in sorted(known)], arguments.tune, arguments.tune_metric
    )
    if arguments.save_tuned is not None:
        with writing(arguments.save_tuned):
            save_tuned(recognizer, decoder, arguments.save_tuned)
    return rate


def _print_rate(rate: ErrorRate, item: str) -> None:
    print(rate.kaldi("WER"))
    print(rate.kaldi("CER"))
    for name in ("cer", "wer"):
        low, high = rate.interval(name)
        value = getattr(rate, name)
        print(f"{name.upper()} {100 * value:.2f} %  (95 % interval {100 * low:.2f} to {100 * high:.2f})")
    print(f"{rate.count} {item}s, {rate.sentences_wrong} with an error")
    for (reference, hypothesis), count in rate.confusions.most_common(10):
        print(f"  {count:5d}  {reference or 'nothing'!r} read as {hypothesis or 'nothing'!r}")
