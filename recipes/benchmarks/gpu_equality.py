"""Compare a device with the CPU for every task: a step of training, evaluation, transcription, alignment.

networks    small, untrained, in float32: loss, gradients and log-probabilities of one batch
commands    `evaluate`, `transcribe` (greedy, beam) and `align` with the bundled models, as users call them
"""

import contextlib
import copy
import io
import json
import math
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from gpu_data import draw_data
from measurement import print_row
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn

from asr.modality import ASR
from common import cli
from common.command_line.parser import parse
from common.data.batching import Batch, pad
from common.language.recurrent_model import LanguageModelConfig
from common.network.language_model import LanguageModel
from common.recognition.configuration import EncoderConfig, HeadConfig, ModelConfig
from common.recognition.modality import Modality
from common.recognition.recognizer import Recognizer
from common.text.symbols import Alphabet, Names, Symbols
from common.text.vocabulary import Vocabulary
from ocr.modality import OCR

LETTERS = "abcdefghijklmnop "
LOSS, GRADIENT, LOG_PROB = 1e-5, 1e-3, 1e-3
"""largest differences that count as equal: of the loss relative to itself, of a gradient relative to the
largest one, of a log-probability"""
NUMBER, RELATIVE, SHARE, POINTS = 0.05, 0.01, 0.05, 0.5
"""of the output of a command, which computes in bfloat16 on a GPU: by how much a number may differ, or by
which share of itself; the share of values that may differ more; points of CER and WER, in per cent"""
HEADS = {
    "ctc": HeadConfig(),
    "attention": HeadConfig(task="attention", ctc_weight=0.3, decoder_size=64),
    "frames": HeadConfig(task="frames"),
    "classify": HeadConfig(task="classify"),
}
TASKS = ("ctc, ocr", "ctc, asr", "attention", "frames", "classify", "language model")


@dataclass(frozen=True)
class Equality:
    """Compare a device with the CPU."""

    device: Literal["cuda", "cpu"] = "cuda"
    """The device that is compared with the CPU."""
    quick: bool = False
    """Compare fewer files."""


class Difference(NamedTuple):
    """The largest difference of something, and the largest one that counts as equal."""

    what: str
    largest: float
    bound: float

    @property
    def equal(self) -> bool:
        """Whether the difference is within its bound; NaN is not."""
        return self.largest <= self.bound


# --- networks


def network_for(task: str) -> Any:
    """Return a small untrained network without dropout and masks for one of TASKS."""
    torch.manual_seed(1)
    if task == "language model":
        return LanguageModel(LanguageModelConfig(hidden_size=128), Vocabulary(Alphabet(tuple(LETTERS))))
    name, _, side = task.partition(", ")
    modality = ASR if side == "asr" else OCR
    still = {"feature_dropout": 0.0} | ({"mask_bands": 0, "mask_frames": 0} if side == "asr" else {})
    front_end = replace(modality.training().front_end_config(), **still)
    encoder = EncoderConfig(hidden_size=128, dropout=0.0)
    symbols: Symbols = Alphabet(tuple(LETTERS))
    if name in ("frames", "classify"):
        symbols = Names(tuple(LETTERS.strip()))
    config = ModelConfig(modality.signal_config(), front_end, encoder, HEADS[name])
    return Recognizer(modality, config, symbols)


def batch_for(task: str, network: Any) -> Batch:
    """Return a batch of three random signals of different lengths, with random targets."""
    rng = np.random.default_rng(2)
    if task == "language model":
        texts = [rng.integers(1, len(LETTERS), length) for length in (40, 33, 7)]
        targets, _ = pad([np.concatenate([[0], text, [0]]) for text in texts])
        steps = torch.tensor([len(text) + 2 for text in texts])
        nothing = torch.zeros(3, 0)
        return Batch(
            nothing, torch.zeros(3, dtype=torch.int64), targets.long(), steps, [""] * 3, [0, 1, 2], 3, []
        )
    if task.endswith("asr"):
        signals, lengths = pad([0.1 * rng.standard_normal(size) for size in (32_000, 27_000, 9_000)])
    else:
        shape = network.front_end.step_shape
        signals, lengths = pad([rng.random((width, *shape)) for width in (400, 333, 90)])
    counts = {"frames": network.front_end.output_lengths(lengths).tolist(), "classify": [1, 1, 1]}
    labels = [rng.integers(1, 12, count) for count in counts.get(task, [20, 11, 5])]
    targets, target_lengths = pad(labels)
    return Batch(signals, lengths, targets.long(), target_lengths, [""] * 3, [0, 1, 2], 3, [])


def placed(batch: Batch, device: str) -> Batch:
    """Return the batch with its tensors on a device."""
    tensors = {name: part.to(device) for name, part in batch._asdict().items() if isinstance(part, Tensor)}
    return batch._replace(**tensors)


def step_of(network: nn.Module, batch: Batch, device: str) -> tuple[float, list[Tensor]]:
    """Return the loss of a batch on a device, and the gradients of a copy of the network there."""
    there: Any = copy.deepcopy(network).to(device).train()
    total, _ = there.losses(placed(batch, device))
    total.backward()
    gradients = [one.grad.cpu() for one in there.parameters() if one.grad is not None]
    return float(total.detach()), gradients


@torch.inference_mode()
def log_probs_of(task: str, network: nn.Module, batch: Batch, device: str) -> Tensor:
    """Return what the heads give for the real steps of a batch, computed on a device."""
    there: Any = copy.deepcopy(network).to(device).eval()
    here = placed(batch, device)
    if task == "language model":
        log_probs, _ = there(here.targets[:, :-1], here.target_lengths.cpu() - 1)
        lengths = batch.target_lengths - 1
    elif task == "attention":
        output = there.output(batch.signals, batch.lengths)
        log_probs, lengths = output.ctc_log_probs, output.lengths.cpu()
    else:
        log_probs, lengths = there(here.signals, here.lengths)
    return torch.cat([row[:length].cpu() for row, length in zip(log_probs, lengths.tolist(), strict=True)])


def network_differences(task: str, device: str) -> list[Difference]:
    """Return the differences between a device and the CPU in one step of training and in evaluation."""
    network = network_for(task)
    batch = batch_for(task, network)
    (loss, gradients), (wanted, truth) = (step_of(network, batch, place) for place in (device, "cpu"))
    scale = max(float(one.abs().max()) for one in truth)
    apart = max(float((one - other).abs().max()) for one, other in zip(gradients, truth, strict=True))
    found, true = (log_probs_of(task, network, batch, place) for place in (device, "cpu"))
    return [
        Difference("loss", abs(loss - wanted) / abs(wanted), LOSS),
        Difference("gradients", apart / scale, GRADIENT),
        Difference("log-probabilities", float((found - true).abs().max()), LOG_PROB),
    ]


# --- commands


def output_of(modality: Modality, *arguments: object) -> str:
    """Return what a command writes to standard output.

    Raises:
        RuntimeError: it failed; the message is what it said.
    """
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        try:
            cli.main(modality, [str(argument) for argument in arguments])
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(f"{arguments[0]}: {said.getvalue()[-300:]}") from None
    return out.getvalue()


def values_of(output: Any) -> list[Any]:
    """Return all texts and numbers in JSON, in order."""
    if isinstance(output, Mapping):
        return [value for part in output.values() for value in values_of(part)]
    if isinstance(output, list):
        return [value for part in output for value in values_of(part)]
    return [output]


def share_apart(one: Sequence[Any], other: Sequence[Any]) -> float:
    """Return the share of values that differ: texts at all, numbers by more than NUMBER and RELATIVE.

    If there are more values in one than in the other, the edits from one to the other are counted.
    """
    if len(one) != len(other):
        texts = [[value for value in values if isinstance(value, str)] for values in (one, other)]
        return max(1 / len(one), Levenshtein.normalized_distance(*texts))
    wrong = [
        not math.isclose(a, b, rel_tol=RELATIVE, abs_tol=NUMBER)
        if isinstance(a, int | float) and isinstance(b, int | float)
        else a != b
        for a, b in zip(one, other, strict=True)
    ]
    return sum(wrong) / max(1, len(wrong))


def points_apart(one: str, other: str) -> float:
    """Return the largest difference of the CER and WER, in per cent, that `evaluate` prints."""
    rates = [re.findall(r"%[CW]ER (\d+\.\d+)", output) for output in (one, other)]
    assert len(rates[0]) == len(rates[1]) > 0, f"evaluate prints its rates, and not {other!r}"
    return max(abs(float(a) - float(b)) for a, b in zip(*rates, strict=True))


def lines_apart(one: str, other: str) -> float:
    """Return `share_apart` for the values in JSON lines."""
    found, true = (values_of([json.loads(line) for line in output.splitlines()]) for output in (one, other))
    assert true, "the command prints something"
    return share_apart(found, true)


def command_differences(modality: Modality, folder: Path, device: str, quick: bool) -> Iterator[Difference]:
    """Yield the difference between a device and the CPU in the output of each command."""
    side = "lines" if modality is OCR else "speech"
    data, model = folder / side / "dev", Path(f"{modality.name}/models")
    name = model / ("printed.safetensors" if modality is OCR else "english.safetensors")
    files = sorted(file for file in data.iterdir() if file.suffix in (".png", ".wav"))[: 2 if quick else 12]
    calls: dict[str, list[object]] = {
        "evaluate": ["evaluate", name, data, "--decoder", "greedy"],
        "transcribe, greedy": ["transcribe", "-m", name, *files, "-f", "json", "--decoder", "greedy"],
        "transcribe, beam": ["transcribe", "-m", name, *files, "-f", "json", "--decoder", "beam"],
        "align": ["align", name, data, "-f", "json"],
    }
    for what, call in calls.items():
        found, true = (output_of(modality, *call, "--device", place) for place in (device, "cpu"))
        if what == "evaluate":
            yield Difference("evaluate, points of CER and WER", points_apart(found, true), POINTS)
        else:
            yield Difference(what, lines_apart(found, true), SHARE)


def main() -> None:
    """Print the differences; the exit status is 1 if one of them is too large."""
    options = parse(Equality)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    head = ["equal", "difference", "at most", "what"]
    print_row(head, head)
    wrong = 0

    def show(task: str, one: Difference) -> None:
        nonlocal wrong
        wrong += not one.equal
        print_row(
            head,
            ["yes" if one.equal else "NO", f"{one.largest:.1e}", f"{one.bound:.0e}", f"{task}: {one.what}"],
        )

    for task in TASKS:
        for one in network_differences(task, options.device):
            show(task, one)
    with tempfile.TemporaryDirectory() as folder:
        draw_data(Path(folder), 1, 4 if options.quick else 32, 4.0)
        for modality in (OCR, ASR):
            for one in command_differences(modality, Path(folder), options.device, options.quick):
                show(modality.name, one)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
