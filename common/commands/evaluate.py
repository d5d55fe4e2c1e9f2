"""The verb evaluate: error rates of texts, accuracy of labels."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from common.command_line.counting import counted
from common.command_line.parser import UsageError
from common.commands.decoding import set_decoder
from common.commands.flags.evaluate import EvaluateFlags
from common.commands.flags.shared import check_budget, check_threads
from common.commands.measuring.labels import Labelled, labelled
from common.commands.output import ItemsFailedError, make_place, writing
from common.data.manifest import Example
from common.files.plain_text import json_text
from common.recognition.modality import Modality
from common.recognition.reading import Computed
from common.recognition.transcriber import Transcriber
from common.recognition.voting.loading import load_models, model_paths
from common.text.confusion import Confusion
from common.text.metrics import ErrorRate
from common.training.preparation import (
    corpus_paths,
    load_examples,
    report_problems,
    report_unknown,
    with_text,
)

log = logging.getLogger(__name__)


def run(modality: Modality, arguments: EvaluateFlags) -> None:
    """Print the error rates of a model, or of several that vote, and write them as the flags say.

    Raises:
        ItemsFailedError: some examples could not be measured; each has been named.
    """
    _check(modality, arguments)
    recognizer = load_models(modality, arguments.model, arguments.device, arguments.threads)
    set_decoder(recognizer, arguments.decoding)
    _check_task(arguments, recognizer)
    if arguments.whole_pages:
        _compare_pages(modality, recognizer, arguments)
        return
    found, problems = load_examples(modality, arguments.data, arguments.corpus)
    examples, textless = with_text(found, modality.item, label=recognizer.task == "classify")
    problems += textless
    unread: list[str] = []
    if recognizer.task != "frames":
        texts = [example.text or "" for example in examples]
        report_unknown(texts, recognizer.decoder.alphabet, arguments.data)
    rate: ErrorRate | Confusion
    if not recognizer.alphabet.writes_text:
        done, rate = _confusion(recognizer, examples, arguments.batch_budget, unread)
    else:
        rate = _error_rate(recognizer, examples, arguments, unread)
        done = rate.count
    report_problems(problems)
    problems += unread
    if not done:
        raise ItemsFailedError(f"none of {len(problems)} {modality.item}s could be evaluated")
    if isinstance(rate, Confusion):
        _print_confusion(rate, done, modality.item)
    else:
        _print_rate(rate, modality.item)
    facts: dict[str, Any] = {"model": str(arguments.model), "data": arguments.data}
    if recognizer.parameter_count is not None:
        facts["parameters"] = recognizer.parameter_count
    if arguments.json is not None:
        _write_json(arguments.json, {**facts, **rate.to_dict(), "refused": problems})
    if arguments.report is not None:
        assert isinstance(rate, ErrorRate), "labels have no report"
        _write_report(arguments.report, recognizer, f"{modality.name}: {arguments.data}", rate, facts)
    if problems:
        total = done + len(problems)
        raise ItemsFailedError(f"{len(problems)} of {total} {modality.item}s could not be evaluated")


def _compare_pages(modality: Modality, recognizer: Transcriber, arguments: EvaluateFlags) -> None:
    """Print how whole pages are read, and write it as the flags say."""
    assert modality.compare_pages is not None, "the flag is only there for a modality that compares pages"
    if arguments.tune is not None:
        raise UsageError("--tune: is for lines whose places are known; leave out --whole-pages")
    problems: list[str] = []
    recognizer.segmentation_config = arguments.segmentation
    compared = modality.compare_pages(recognizer, corpus_paths(arguments.data), problems.append)
    report_problems(problems)
    if not len(compared):
        raise ItemsFailedError(f"none of {len(problems)} pages could be evaluated")
    for line in compared.lines():
        print(line)
    if arguments.json is not None:
        facts = {"model": str(arguments.model), "data": arguments.data}
        _write_json(arguments.json, {**facts, **compared.to_dict(), "refused": problems})
    if arguments.report is not None:
        with writing(arguments.report):
            compared.write_report(arguments.report, f"{modality.name}: {arguments.data}")
    if problems:
        total = len(compared) + len(problems)
        raise ItemsFailedError(f"{len(problems)} of {total} pages could not be evaluated")


def _check(modality: Modality, arguments: EvaluateFlags) -> None:
    """Raise UsageError for flags that contradict each other, and make the folders of files to be written."""
    check_budget(arguments.batch_budget)
    check_threads(arguments.threads)
    if arguments.tune is not None and arguments.tune < 1:
        raise UsageError(f"--tune is {arguments.tune}; give 1 trial or more")
    if arguments.save_tuned is not None and arguments.tune is None:
        raise UsageError("--save-tuned without --tune: nothing was tuned; say how many settings to try")
    if arguments.tune is not None and len(model_paths(modality, arguments.model)) > 1:
        raise UsageError("--tune: is for one model; tune each with --save-tuned, and let those files vote")
    if arguments.save_tuned is not None:
        (model,) = model_paths(modality, arguments.model)
        _check_saving(model, arguments.save_tuned)
    for path in filter(None, (arguments.json, arguments.report, arguments.save_tuned)):
        make_place(path)


def _check_saving(model: Path, output: Path) -> None:
    """Raise UsageError if --save-tuned can read its model, but not write it again."""
    if model.suffix == ".onnx":
        raise UsageError(
            f"--save-tuned: {model} is exported and cannot be saved again;"
            " name the .safetensors it was made of"
        )
    if output.suffix != ".safetensors" and not output.is_dir():
        raise UsageError(f"--save-tuned: {output} is to hold a .safetensors model; let its name end so")


def _check_task(arguments: EvaluateFlags, recognizer: Transcriber) -> None:
    """Raise UsageError for flags that do not go with the task of the model."""
    if arguments.tune is not None and recognizer.task == "attention":
        raise UsageError(
            "--tune: is for models of --task ctc; try --beam-width, --ctc-weight, --length-penalty"
        )
    if not recognizer.alphabet.writes_text:
        for name in ("tune", "report"):
            if getattr(arguments, name) is not None:
                raise UsageError(f"--{name}: is for models that write texts; this one gives labels")


def _with_progress(
    find: Callable[..., Iterator[Any]],
    examples: Sequence[Example],
    batch_budget: float | None,
    refused: list[str],
) -> Iterator[Any]:
    """Yield what `find` finds in examples, with a progress bar.

    Args:
        find: takes sources, `batch_budget` and `refuse`, and yields batches or single results.
        examples: their sources are given to `find`.
        batch_budget: padded length of one batch.
        refused: is given a sentence, which is also logged, for each example that cannot be read.
    """

    def refuse(sentence: str) -> None:
        refused.append(sentence)
        log.warning("left out: %s", sentence)

    sources = [example.source for example in examples]
    with tqdm(total=len(examples), unit="example", disable=None) as bar:
        for found in find(sources, batch_budget=batch_budget, refuse=refuse):
            yield found
            bar.update(len(found.items) if isinstance(found, Computed) else 1)


def _error_rate(
    recognizer: Transcriber, examples: Sequence[Example], arguments: EvaluateFlags, refused: list[str]
) -> ErrorRate:
    """Return the error rate of the texts, those of the tuned decoder with --tune."""
    if arguments.tune is not None:
        return _tune(recognizer, examples, arguments, arguments.tune, refused)
    texts: dict[int, str] = {}
    find = partial(recognizer.batches, compute=recognizer.compute)
    for batch in _with_progress(find, examples, arguments.batch_budget, refused):
        for item, text in zip(batch.items, recognizer.texts(batch.output), strict=True):
            texts[item.place] = text
    rate = ErrorRate(recognizer.alphabet.normalise)
    for index in sorted(texts):
        rate.add(examples[index].text or "", texts[index], examples[index].source)
    return rate


def _tune(
    recognizer: Any, examples: Sequence[Example], arguments: EvaluateFlags, trials: int, refused: list[str]
) -> ErrorRate:
    """Return the error rate of the tuned decoder on the examples that it was not tuned on."""
    from common.commands.measuring.tuning import save_tuned, tuned
    from common.decoding.tuning import kept_classes

    known = {}
    find = partial(recognizer.batches, compute=recognizer.log_probs)
    for batch in _with_progress(find, examples, arguments.batch_budget, refused):
        for item, log_probs in zip(batch.items, batch.output.each(), strict=True):
            known[item.place] = (kept_classes(log_probs), examples[item.place])
    decoder, rate = tuned(
        recognizer.decoder, [known[index] for index in sorted(known)], trials, arguments.tune_metric
    )
    if arguments.save_tuned is not None:
        with writing(arguments.save_tuned):
            save_tuned(recognizer, decoder, arguments.save_tuned)
    return rate


def _confusion(
    recognizer: Transcriber, examples: Sequence[Example], batch_budget: float | None, refused: list[str]
) -> tuple[int, Confusion]:
    """Return the number of examples that were labelled, as wholes or step by step, and their confusions."""

    def find(_: list[str], batch_budget: float | None, refuse: Callable[[str], None]) -> Iterator[Labelled]:
        return labelled(recognizer, examples, batch_budget, refuse)

    confusion, done = Confusion(independent=recognizer.task == "classify"), 0
    for one in _with_progress(find, examples, batch_budget, refused):
        for (wanted, found), count in Counter(zip(one.wanted, one.found, strict=True)).items():
            confusion.add(wanted, found, count)
        done += 1
    return done, confusion


def _write_json(path: Path, figures: dict[str, Any]) -> None:
    with writing(path):
        path.write_text(json_text(figures, indent=2) + "\n", encoding="utf-8")


def _write_report(
    path: Path, recognizer: Transcriber, title: str, rate: ErrorRate, facts: dict[str, Any]
) -> None:
    """Write the page that shows each example with its reference and hypothesis."""
    from common.text.report import write_report

    modality, config = recognizer.modality, recognizer.signal_config

    def render(source: str) -> Any:
        return modality.render(modality.read(source, config).values, config)

    with writing(path):
        shown = {name: f"{fact:,}" if isinstance(fact, int) else fact for name, fact in facts.items()}
        write_report(path, title, rate, render, shown)


def _print_confusion(confusion: Confusion, done: int, item: str) -> None:
    low, high = confusion.interval()
    interval = f"  (95 % interval {100 * low:.2f} to {100 * high:.2f})" if confusion.independent else ""
    print(f"accuracy {100 * confusion.accuracy:.2f} %{interval}")
    wrong = round(confusion.total * (1 - confusion.accuracy))
    label = "label" if confusion.independent else "step"
    print(f"{counted(done, item)}, {counted(confusion.total, label)}, {wrong:,} wrong")
    print(confusion.table())


def _print_rate(rate: ErrorRate, item: str) -> None:
    print(rate.kaldi("WER"))
    print(rate.kaldi("CER"))
    for name in ("cer", "wer"):
        low, high = rate.interval(name)
        value = getattr(rate, name)
        print(f"{name.upper()} {100 * value:.2f} %  (95 % interval {100 * low:.2f} to {100 * high:.2f})")
    print(f"{counted(rate.count, item)}, {rate.sentences_wrong:,} with an error")
    for (reference, hypothesis), count in rate.confusions.most_common(10):
        print(f"  {count:5d}  {reference or 'nothing'!r} read as {hypothesis or 'nothing'!r}")
