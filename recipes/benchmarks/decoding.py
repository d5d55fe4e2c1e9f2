"""Compare time and memory of the beam search and of torchaudio's flashlight decoder on the same input."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measurement import print_row, use_cores

from common.command_line.parser import parse
from common.decoding.decoder import Decoder, DecodingConfig
from common.language.arpa import write_arpa
from common.language.kneser_ney import estimate
from common.language.ngram import NGram
from common.text.metrics import ErrorRate
from common.text.symbols import Alphabet
from ocr.drawing.texts import COMMON_WORDS

LETTERS = "abcdefghijklmnopqrstuvwxyz "
LM_WEIGHT = 0.5


@dataclass(frozen=True)
class Decoding:
    """Measure the beam search."""

    utterances: int = 32
    """Number of utterances in one batch."""
    repeats: int = 3
    """Repeats of each measurement; the fastest counts."""
    cores: int = 2
    """Number of cores of the machine that are used."""
    gpu_utterances: int = 256
    """Number of utterances in one batch on a GPU."""


class Case(NamedTuple):
    """A case to measure: size of the input, width of the beam, and what is added to the search."""

    steps: int
    classes: int
    width: int
    extra: str
    """"", "6-gram" or "hot words" """


class Result(NamedTuple):
    """Milliseconds for an utterance, peak memory that decoding adds, and the character error rate."""

    ms: float
    mb: float
    cer: float


def texts(count: int, words: int, seed: int) -> list[str]:
    """Return lines of random common words."""
    rng, known = np.random.default_rng(seed), COMMON_WORDS.split()
    return [" ".join(rng.choice(known, words)) for _ in range(count)]


def posteriors(case: Case, count: int) -> tuple[np.ndarray, list[str]]:
    """Return log-probabilities (B, S, C) with peaks between blanks, like those of a model, and the texts."""
    rng = np.random.default_rng(case.steps)
    C, lines = case.classes, []
    scores = rng.normal(0, 1.5, (count, case.steps, C))
    scores[..., 0] += 8
    for row, line in zip(scores, texts(count, case.steps // 15, seed=2), strict=True):
        places = np.sort(rng.choice(np.arange(1, case.steps - 1, 2), len(line), replace=False))
        for place, letter in zip(places, line, strict=False):
            label = 1 + LETTERS.index(letter)
            row[place, label] += rng.normal(11, 1.5)
            row[place, rng.integers(1, C)] += rng.normal(8, 2)  # a likely confusion
            if rng.random() < 0.3:
                row[place + 1, label] += rng.normal(8, 2)
        lines.append(line)
    scores -= np.log(np.exp(scores).sum(-1, keepdims=True))
    return scores.astype(np.float32), lines


def symbols(case: Case) -> list[str]:
    """Return the symbols of all labels except the blank: letters, the space, and symbols that no text has."""
    return [*LETTERS, *(chr(0x3B1 + number) for number in range(case.classes - 1 - len(LETTERS)))]


def ours(case: Case, model: NGram, device: str = "cpu") -> Callable[[np.ndarray], list[str]]:
    """Return a function that decodes with our beam search."""
    alphabet = Alphabet(tuple(symbols(case)))
    config = DecodingConfig(
        "beam", case.width, lm_weight=LM_WEIGHT, label_bonus=0.0
    )  # flashlight has no bonus
    hot = sorted(set(COMMON_WORDS.split()))[:200] if case.extra == "hot words" else []
    decoder = Decoder(alphabet, config, [model] if case.extra == "6-gram" else [], hot_words=hot, quiet=True)

    def decode(log_probs: np.ndarray) -> list[str]:
        lengths = np.full(len(log_probs), log_probs.shape[1])
        array: Any = log_probs
        if device != "cpu":
            import torch

            array = torch.from_numpy(log_probs).to(device)
        return decoder.texts(array, lengths)

    return decode


def flashlight(case: Case, model: NGram) -> Callable[[np.ndarray], list[str]]:
    """Return a function that decodes with torchaudio's decoder, with the same width, weight and bonus."""
    import torch
    from torchaudio.models.decoder import ctc_decoder

    names = ["<blank>", *(symbol if symbol != " " else "<space>" for symbol in symbols(case))]
    with tempfile.TemporaryDirectory() as folder:
        arpa, tokens = Path(folder, "lm.arpa"), Path(folder, "tokens.txt")
        write_arpa(model, arpa)
        tokens.write_text("\n".join([*names, "<unk>"]), encoding="utf-8")
        decoder = ctc_decoder(
            lexicon=None,
            tokens=names,
            lm=str(arpa) if case.extra == "6-gram" else None,
            lm_dict=str(tokens) if case.extra == "6-gram" else None,  # without it torchaudio confuses tokens
            beam_size=case.width,
            lm_weight=LM_WEIGHT * math.log(10),  # its log-probabilities are decimal
            log_add=True,
            blank_token="<blank>",
            sil_token="<space>",
            beam_threshold=1e9,
        )

    def decode(log_probs: np.ndarray) -> list[str]:
        found = decoder(torch.from_numpy(log_probs))
        spelled = [[names[token] for token in one[0].tokens.tolist() if token] for one in found]
        return ["".join(one).replace("<space>", " ").strip() for one in spelled]

    return decode


def measure(case: Case, name: str, options: Decoding, count: int, device: str, answer: Any) -> None:
    """Decode in this new process, and send a Result or an error message to the other one."""
    try:
        model = estimate(texts(3000, 12, seed=1), 6)
        log_probs, truth = posteriors(case, count)
        decode = ours(case, model, device) if name != "flashlight" else flashlight(case, model)
        decode(log_probs[:2])  # the first call loads and allocates
        before = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak: man 5 proc
        taken = []
        for _ in range(options.repeats):
            began = time.perf_counter()
            found = decode(log_probs)
            taken.append(time.perf_counter() - began)
        added = _memory("VmHWM") - before
        rate = ErrorRate()
        for reference, text in zip(truth, found, strict=True):
            rate.add(reference, text)
        answer.send(Result(1000 * min(taken) / count, added / 1024, rate.cer))
    except Exception as error:  # the other process prints it
        answer.send(f"{type(error).__name__}: {error}")


def _memory(field: str) -> int:
    """Return a size of this process in kB (Linux only)."""
    rows = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(rows[field].split()[0])


def run(case: Case, name: str, options: Decoding, count: int, device: str = "cpu") -> Result | str:
    """Return the result of `measure` in a process of its own."""
    context = get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(case, name, options, count, device, send))
    process.start()
    send.close()
    try:
        return receive.recv()
    except EOFError:
        return "ended without an answer"
    finally:
        process.join()


def cases() -> Iterator[Case]:
    """Yield the cases to measure."""
    for steps, classes in ((400, 32), (250, 120)):
        for width in (20, 100):
            for extra in ("", "6-gram", "hot words"):
                yield Case(steps, classes, width, extra)


def compare(options: Decoding) -> None:
    """Print a table of ours and flashlight for each case."""
    head = [
        "steps",
        "classes",
        "width",
        "times faster",
        "ours ms",
        "MB",
        "CER %",
        "flashlight ms",
        "MB",
        "CER %",
    ]
    head.append("with")
    print_row(head, head)
    for case in cases():
        cells = [str(case.steps), str(case.classes), str(case.width)]
        own = run(case, "ours", options, options.utterances)
        theirs: Result | str = "no hot words" if case.extra == "hot words" else "not installed"
        if find_spec("flashlight") and case.extra != "hot words":
            theirs = run(case, "flashlight", options, options.utterances)
        if isinstance(own, str):
            raise SystemExit(own)
        row = [*cells, "-", *_figures(own), "-", "-", "-", case.extra or "nothing"]
        if isinstance(theirs, Result):
            row = [*cells, f"{theirs.ms / own.ms:.1f}", *_figures(own), *_figures(theirs), row[-1]]
        else:
            row[-1] += f" (flashlight: {theirs})"
        print_row(head, row)


def _figures(result: Result) -> list[str]:
    return [f"{result.ms:.1f}", f"{result.mb:.0f}", f"{100 * result.cer:.2f}"]


def compare_gpu(options: Decoding) -> None:
    """Print a table of GPU and CPU for each case."""
    head = ["steps", "classes", "width", "times faster", "GPU ms", "CPU ms", "with"]
    print_row(head, head)
    for case in cases():
        gpu, cpu = (run(case, "ours", options, options.gpu_utterances, device) for device in ("cuda", "cpu"))
        if isinstance(gpu, str) or isinstance(cpu, str):
            raise SystemExit(f"{gpu} {cpu}")
        figures = [f"{cpu.ms / gpu.ms:.1f}", f"{gpu.ms:.2f}", f"{cpu.ms:.2f}", case.extra or "nothing"]
        print_row(head, [str(case.steps), str(case.classes), str(case.width), *figures])


def main() -> None:
    """Measure all cases and print tables."""
    import torch

    options = parse(Decoding)
    use_cores(options.cores)
    compare(options)
    if torch.cuda.is_available():
        compare_gpu(options)


if __name__ == "__main__":
    main()
