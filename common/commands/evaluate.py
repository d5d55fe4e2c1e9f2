"""The verb evaluate."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm
from tyro.conf import Positional

from common.commands.decoding import DecodingFlags, build_decoder
from common.commands.flags import budget, check_budget, flat
from common.commands.labels import Labelled, labelled
from common.commands.output import ItemsFailedError, make_place, writing
from common.data.manifest import Example
from common.recognition.loading import Device, load_recognizer
from common.recognition.modality import Modality
from common.recognition.reading import Computed
from common.recognition.transcriber import Transcriber
from common.text.confusion import Confusion
from common.text.metrics import ErrorRate
from common.training.preparation import load_examples, report_problems, report_unknown, with_text

log = logging.getLogger(__name__)


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
        threads: int = 0
        """Threads that compute the network; 0: one for each core."""
        corpus: flat(modality.corpus_config) = field(  # type: ignore[valid-type,name-defined]
            default_factory=modality.corpus_config
        )

    return Evaluate


def run(modality: Modality, arguments: Any) -> None:
    """Print the error rates of a model; raise ItemsFailedError if some examples could not be measured."""
    _check(arguments)
    recognizer = load_recognizer(modality, arguments.model, arguments.device, arguments.threads)
    recognizer.decoder = build_decoder(recognizer.decoder, arguments.decoding, recognizer.task)
    if arguments.tune is not None and recognizer.task == "attention":
        raise ValueError(
            "--tune: is for models of --task ctc; try --beam-width, --ctc-weight, --length-penalty"
        )
    found, problems = load_examples(modality, arguments.data, arguments.corpus)
    examples, textless = with_text(found, modality.item, label=recognizer.task == "classify")
    problems += textless
    unread: list[str] = []
    facts: dict[str, Any] = {"model": str(arguments.model), "data": arguments.data}
    if recognizer.parameter_count is not None:
        facts["parameters"] = recognizer.parameter_count
    rate: ErrorRate | Confusion
    if not recognizer.alphabet.writes_text:
        _check_labels(arguments)
        if recognizer.task == "classify":
            report_unknown(_texts(examples), recognizer.alphabet, arguments.data)
        done, rate = _confusion(recognizer, examples, arguments.batch_budget, unread)
    else:
        report_unknown(_texts(examples), recognizer.alphabet, arguments.data)
        rate = (_measure if arguments.tune is None else _tune)(recognizer, examples, arguments, unread)
        done = rate.count
    report_problems(problems)
    problems += unread
    if not done:
        raise ItemsFailedError(f"none of {len(problems)} {modality.item}s could be evaluated")
    if isinstance(rate, Confusion):
        _print_confusion(rate, done, modality.item)
    else:
        _print_rate(rate, modality.item)
    if arguments.json:
        figures = {**facts, **rate.to_dict(), "refused": problems}
        with writing(arguments.json):
            arguments.json.write_text(
                json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )
    if arguments.report:
        assert isinstance(rate, ErrorRate), "labels have no report"
        _report(modality, recognizer, arguments, rate, facts)
    if problems:
        total = done + len(problems)
        raise ItemsFailedError(f"{len(problems)} of {total} {modality.item}s could not be evaluated")


def _report(
    modality: Modality, recognizer: Transcriber, arguments: Any, rate: ErrorRate, facts: dict[str, Any]
) -> None:
    """Write the page that shows each example."""
    from common.text.report import write_report

    config = recognizer.signal_config

    def render(source: str) -> Any:
        return modality.render(modality.read(source, config).values, config)

    with writing(arguments.report):
        shown = {name: f"{fact:,}" if isinstance(fact, int) else fact for name, fact in facts.items()}
        write_report(arguments.report, f"{modality.name}: {arguments.data}", rate, render, shown)


def _texts(examples: Sequence[Example]) -> list[str]:
    return [example.text or "" for example in examples]


def _check_labels(arguments: Any) -> None:
    """Raise ValueError for what labels do not have."""
    for name in ("tune", "report"):
        if getattr(arguments, name) is not None:
            raise ValueError(f"--{name}: is for models that write texts; this one gives labels")


def _check(arguments: Any) -> None:
    check_budget(arguments.batch_budget)
    if arguments.tune is not None and arguments.tune < 1:
        raise ValueError(f"--tune is {arguments.tune}; give 1 trial or more")
    if arguments.save_tuned is not None and arguments.tune is None:
        raise ValueError("--save-tuned without --tune: nothing was tuned; say how many settings to try")
    for path in filter(None, (arguments.json, arguments.report, arguments.save_tuned)):
        make_place(path)


def _shown(
    of: Callable[..., Iterator[Any]],
    examples: Sequence[Example],
    batch_budget: float | None,
    refused: list[str],
) -> Iterator[Any]:
    """Yield what `of` finds in examples, with a progress bar; what cannot be read is added to `refused`."""

    def refuse(sentence: str) -> None:
        refused.append(sentence)
        log.warning("left out: %s", sentence)

    sources = [example.source for example in examples]
    with tqdm(total=len(examples), unit="example", disable=None) as bar:
        for found in of(sources, batch_budget=batch_budget, refuse=refuse):
            yield found
            bar.update(len(found.items) if isinstance(found, Computed) else 1)


def _measure(
    recognizer: Transcriber, examples: Sequence[Example], arguments: Any, refused: list[str]
) -> ErrorRate:
    """Return the error rate of the texts, in the order of the examples."""
    texts: dict[int, str] = {}
    of = partial(recognizer.batches, compute=recognizer.compute)
    for batch in _shown(of, examples, arguments.batch_budget, refused):
        for item, text in zip(batch.items, recognizer.texts(batch.output), strict=True):
            texts[item.place] = text
    rate = ErrorRate(recognizer.alphabet.normalise)
    for index in sorted(texts):
        rate.add(examples[index].text or "", texts[index], examples[index].source)
    return rate


def _tune(recognizer: Any, examples: Sequence[Example], arguments: Any, refused: list[str]) -> ErrorRate:
    """Return the error rate of the tuned decoder on the examples that it was not tuned on."""
    from common.commands.tuning import save_tuned, tuned

    known = {}
    of = partial(recognizer.batches, compute=recognizer.log_probs)
    for batch in _shown(of, examples, arguments.batch_budget, refused):
        for item, log_probs in zip(batch.items, batch.output.each(), strict=True):
            known[item.place] = (log_probs, examples[item.place])
    decoder, rate = tuned(
        recognizer.decoder, [known[index] for index in sorted(known)], arguments.tune, arguments.tune_metric
    )
    if arguments.save_tuned is not None:
        with writing(arguments.save_tuned):
            save_tuned(recognizer, decoder, arguments.save_tuned)
    return rate


def _confusion(
    recognizer: Transcriber, examples: Sequence[Example], batch_budget: float | None, refused: list[str]
) -> tuple[int, Confusion]:
    """Return how many examples were labelled, whole or step by step, and with what."""

    def of(_: list[str], batch_budget: float | None, refuse: Callable[[str], None]) -> Iterator[Labelled]:
        return labelled(recognizer, examples, batch_budget, refuse)

    confusion, done = Confusion(independent=recognizer.task == "classify"), 0
    for one in _shown(of, examples, batch_budget, refused):
        for (wanted, found), count in Counter(zip(one.wanted, one.found, strict=True)).items():
            confusion.add(wanted, found, count)
        done += 1
    return done, confusion


def _print_confusion(confusion: Confusion, done: int, item: str) -> None:
    low, high = confusion.interval()
    interval = f"  (95 % interval {100 * low:.2f} to {100 * high:.2f})" if confusion.independent else ""
    print(f"accuracy {100 * confusion.accuracy:.2f} %{interval}")
    wrong = round(confusion.total * (1 - confusion.accuracy))
    labels = "labels" if confusion.independent else "steps"
    print(f"{done} {item}s, {confusion.total} {labels}, {wrong} wrong")
    print(confusion.table())


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
