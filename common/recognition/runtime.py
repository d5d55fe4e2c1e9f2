"""The recognizer on onnxruntime: it transcribes like the one in torch, and does not need torch.

    signal (T, ...)  ->  .onnx: front end, encoder, head  ->  log-probabilities (S, C)

Each thread computes one signal at a time, and there are as many threads as cores. On two cores this is faster
than batches with two threads for each operation (measured: lines in float32, 74 a second instead of 64;
utterances in int8, 53 instead of 44). Nothing is padded, and no result depends on the other signals of a
batch: in int8 the inputs of an LSTM are rounded by the range of the whole batch.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from common.data.batch_plan import padded
from common.data.frame_targets import FrameLabels
from common.decoding.decoder import Decoder
from common.decoding.labelled import LabelDecoder
from common.decoding.storage import decoder_from, symbols_from_dict
from common.files.onnx_file import read_onnx
from common.recognition.modality import Modality
from common.recognition.passages.margins import with_margin, without_margins
from common.recognition.transcriber import BACKWARDS, LogProbs, Transcriber

ERRORS_ONLY = 3
"""the lowest severity that onnxruntime logs; its notes about graph optimisations are not useful here"""
TO_THE_END = 2**62
"""more steps than any signal has"""


class OnnxRecognizer(Transcriber):
    """A model that `export_onnx` wrote. It transcribes and aligns, and cannot be trained.

    Args:
        modality: modality of the model.
        header: header of its file.
        decoder: decoder in the file.
        graph: content of the file.
        session: session of onnxruntime with the graph.
        threads: number of threads, each of which computes one signal at a time.

    Attributes:
        header: what the file says about the model: config, card, opset, precision ...
        The others are those of a Transcriber.

    Raises:
        KeyError, TypeError, ValueError: the header does not describe a model that this version can build.
    """

    def __init__(
        self,
        modality: Modality,
        header: Mapping[str, Any],
        decoder: Decoder | LabelDecoder,
        graph: bytes,
        session: onnxruntime.InferenceSession,
        threads: int = 1,
    ) -> None:
        self.modality, self.header = modality, dict(header)
        self._graph, self._session, self._threads = graph, session, threads
        self._pool, self._process = ThreadPoolExecutor(threads), os.getpid()
        self.alphabet, self.decoder = decoder.alphabet, decoder
        self._head: dict[str, Any] = header["config"].get("head", {})
        self.card = dict(header.get("card") or {})
        self._signal_config = modality.signal_config(**header["config"]["signal"])
        self._stride, self._offset = int(header["stride"]), float(header["offset"])
        self._shortest = int(header["shortest"])

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how a copy is made, in another process, too: its session and its threads are its own."""
        return _restored, (self.modality, self.header, self.decoder, self._graph, self._threads, self.card)

    @property
    def task(self) -> str:
        """What the model has learnt."""
        return self._head.get("task", "ctc")

    @property
    def frame_labels(self) -> FrameLabels:
        """What a step is labelled with, for the task "frames"."""
        return self._head.get("frame_labels", "words")

    @property
    def signal_config(self) -> Any:
        """How signals are read for the model."""
        return self._signal_config

    @property
    def stride(self) -> int:
        """Signal steps for one step of the log-probabilities."""
        return self._stride

    @property
    def offset(self) -> float:
        """Start of the first step, in signal steps."""
        return self._offset

    @property
    def workers(self) -> int:
        """How many batches are computed at a time: two, so that no thread waits at the end of one."""
        return 2

    @property
    def parameter_count(self) -> int | None:
        """Number of trained parameters."""
        return self.header.get("parameters")

    @property
    def computes_alone(self) -> bool:
        """Whether the network computes each signal of a batch by itself."""
        return True

    @property
    def reads_both_ways(self) -> bool:
        """Whether a step depends on all steps after it."""
        return bool(self.header["config"].get("encoder", {}).get("bidirectional", True))

    @property
    def shortest(self) -> int:
        """Signal steps to which shorter signals are padded."""
        return self._shortest

    @property
    def step_shape(self) -> tuple[int, ...]:
        """The shape of one signal step."""
        (signals,) = (one for one in self._session.get_inputs() if one.name == "signals")
        return tuple(signals.shape[2:])

    @property
    def context(self) -> tuple[int, int]:
        """How many signal steps before and after its own a step depends on.

        Raises:
            ValueError: the model cannot follow a stream, or was exported by a version without streams.
        """
        found = self.header.get("stream")
        if found is None and self.reads_both_ways:
            raise ValueError(f"this model cannot follow a stream: {BACKWARDS}")
        if found is None:
            raise ValueError(
                "this model was exported by a version that wrote nothing for streams; export its .safetensors"
                " again"
            )
        if "refused" in found:
            raise ValueError(found["refused"])
        before, after = found["context"]
        return int(before), int(after)

    def next_steps(
        self, values: np.ndarray, first: int, end: int | None, state: Any = None
    ) -> tuple[np.ndarray, Any]:
        """Return log-probabilities (S, C) of the next steps of a stream; see `StepRecognizer`.

        In int8 the inputs of an LSTM are rounded by their range in the piece, so the results differ from
        those of the whole as much as from those in float32.
        """
        part = np.array([first, TO_THE_END if end is None else end])
        feeds = {"signals": values[None], "lengths": np.array([len(values)]), "part": part}
        if state is not None:
            feeds["state"] = state
        log_probs, steps, after = self._session.run(["log_probs", "steps", "state_after"], feeds)
        return log_probs[0, : steps[0]], after

    def log_probs(self, signals: Sequence[np.ndarray]) -> LogProbs:
        """Return the log-probabilities of `signals` (T, ...), each computed alone."""
        if len(signals) == 1:
            return LogProbs(*padded([self._one(signals[0])]))
        if self._process != os.getpid():  # a forked process has the pool of its parent without its threads
            self._pool, self._process = ThreadPoolExecutor(self._threads), os.getpid()
        return LogProbs(*padded(list(self._pool.map(self._one, signals))))

    def _one(self, signal: np.ndarray) -> np.ndarray:
        """Return log-probabilities (S, C) of a signal (T, ...)."""
        margin = self.margin(signal)
        values, lengths = padded([with_margin(signal, margin, self._stride)], self._shortest)
        log_probs, steps = self._session.run(["log_probs", "steps"], {"signals": values, "lengths": lengths})
        (found,), (count,) = without_margins(log_probs, steps, [margin])
        return found[:count]

    @classmethod
    def load(cls, modality: Modality, path: str | Path, threads: int = 0) -> "OnnxRecognizer":
        """Return the recognizer in an ONNX file.

        Args:
            modality: modality that the model must have.
            path: the file.
            threads: number of threads, each of which computes one signal at a time; 0 for one for each core
                that this process may use.

        Raises:
            ValueError: the number of threads is negative, or the file is not ours, is cut short, has another
                modality, is newer than this version, or has an unknown setting.
        """
        if threads < 0:
            raise ValueError(f"threads is {threads}; give 1 or more, or 0 for one for each core")
        file = read_onnx(path)
        came = file.header.get("modality")
        if came is None:
            raise ValueError(f"{path}: is no recognizer; name one, or a file of `{modality.name} train`")
        if came != modality.name:
            raise ValueError(
                f"{path}: a model for `{came}`, where one for `{modality.name}` was wanted; use `{came}`"
            )
        with ThreadPoolExecutor(1) as aside:  # onnxruntime loads the graph while the decoder is built
            session = aside.submit(_session, path, file.raw)
            tensors = file.tensors()
            with _describing(path):
                alphabet = symbols_from_dict(file.header["alphabet"])
                task = file.header["config"].get("head", {}).get("task", "ctc")
                decoder, _ = decoder_from(alphabet, file.header.get("decoding"), tensors, task)
        ready = session.result()
        with _describing(path):
            return cls(modality, file.header, decoder, file.raw, ready, threads or _cores())


def _restored(
    modality: Modality,
    header: Mapping[str, Any],
    decoder: Decoder | LabelDecoder,
    graph: bytes,
    threads: int,
    card: dict[str, Any],
) -> OnnxRecognizer:
    """Return the recognizer that `OnnxRecognizer.__reduce__` describes."""
    session = _session("a copy of an exported model", graph)
    recognizer = OnnxRecognizer(modality, header, decoder, graph, session, threads)
    recognizer.card = card
    return recognizer


@contextmanager
def _describing(path: str | Path) -> Iterator[None]:
    """Turn errors about an unknown header into a ValueError that names the file."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: does not describe a model this version can build ({error})") from error


def _session(path: str | Path, raw: bytes) -> onnxruntime.InferenceSession:
    try:
        # without a fallback: onnxruntime would announce it on standard output
        return onnxruntime.InferenceSession(
            raw, _options(), providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # the exceptions of onnxruntime have no other common base
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path}: onnxruntime {onnxruntime.__version__} cannot run it ({reason}); export the model"
            " again, or install a newer onnxruntime"
        ) from error


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # this module has threads of its own
    # onnxruntime would keep a memory plan for each length of a signal, without limit
    options.enable_mem_pattern = False
    options.log_severity_level = ERRORS_ONLY
    return options


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
