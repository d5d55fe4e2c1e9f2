"""The recognizer in torch: front end, encoder, head and alphabet, trained and stored as one model."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from common.data.batch_plan import padded
from common.data.batching import Batch
from common.data.frame_targets import FrameLabels
from common.decoding.arrays import to_numpy
from common.decoding.attention.placing import placed
from common.decoding.attention.search import AttentionHypothesis, attention_search
from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.hypothesis import Hypothesis
from common.decoding.labelled import LabelDecoder
from common.decoding.storage import decoder_from, decoder_tensors, symbols_from_dict
from common.files.model_file import read_model, write_model
from common.network.attention_decoder import AttentionDecoder
from common.network.heads import AttentionHead, CTCHead, FrameHead, SequenceHead, head_outputs
from common.network.recurrent import RecurrentEncoder, reverse_within_lengths
from common.recognition.configuration import ModelConfig, model_config
from common.recognition.modality import Modality
from common.recognition.passages.margins import with_margin, without_margins
from common.recognition.transcriber import BACKWARDS, LogProbs, Transcriber
from common.text.symbols import Symbols

SHORTCUT_WEIGHT = 0.1
"""share of the loss for the second head, which sits on the front end"""
ATTENTION_WIDTH = 8
"""default width of the beam search with an attention decoder, which needs few hypotheses"""


class Encoded(NamedTuple):
    """The input of an attention decoder.

    steps: (B, S, E) output of the encoder.
    lengths: (B,) real steps.
    ctc_log_probs: (B, S, C) of the CTC head beside the decoder, if there is one.
    """

    steps: Tensor
    lengths: Tensor
    ctc_log_probs: Tensor | None


class Recognizer(nn.Module, Transcriber):
    """A model that turns signals into log-probabilities and transcripts.

    Args:
        modality: kind of signal.
        config: settings of signal, front end, encoder and head.
        alphabet: what the labels stand for.
        card: facts about the model.

    Attributes:
        modality, config, alphabet: those arguments.
        card: facts about the model (training data, metrics, licence ...), kept in its file.
        decoder: makes text of the log-probabilities; the file keeps it with its language models.
        carried: tensors that go from one training batch to the next; a recognizer has none.
        reduced: whether signals are computed in bfloat16 on CUDA, as in training there; log-probabilities
            then differ from those in float32 in the third digit. `load_recognizer` sets it.

    Raises:
        ValueError: the settings do not go together.
    """

    def __init__(
        self,
        modality: Modality,
        config: ModelConfig,
        alphabet: Symbols,
        card: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        encoder = config.encoder
        self.modality, self.config, self.alphabet = modality, config, alphabet
        self.card = dict(card or {})
        self.reduced = False
        self.front_end = modality.training().front_end(config.front_end, config.signal)
        D = self.front_end.feature_size
        self.encoder = RecurrentEncoder(
            D,
            encoder.hidden_size,
            encoder.layers,
            encoder.cell,
            encoder.bidirectional,
            encoder.dropout,
            encoder.residual,
            encoder.initialisation,
            encoder.forget_bias,
        )
        self.head = _head(config, self.encoder.output_size, alphabet)
        self.shortcut: CTCHead | None = None
        self.intermediate: CTCHead | None = None
        plain = config.head.task == "attention" and not config.head.ctc_weight and not encoder.bidirectional
        if encoder.reverse_source and not plain:
            raise ValueError("--reverse-source: is for --task attention with --no-bidirectional, without CTC")
        if encoder.shortcut:
            self.shortcut = _head_beside(self.head, "--shortcut", config, D, alphabet)
        if encoder.intermediate_weight:
            E = self.encoder.output_size
            self.intermediate = _head_beside(self.head, "--intermediate-weight", config, E, alphabet)
        self.decoder: Decoder | LabelDecoder
        if not alphabet.writes_text:
            self.decoder = LabelDecoder(alphabet, whole=config.head.task == "classify")
        else:
            wide = DecodingConfig(beam_width=ATTENTION_WIDTH) if config.head.task == "attention" else None
            self.decoder = Decoder(alphabet, wide)
        self.carried: dict[str, Tensor] = {}

    @property
    def parameter_count(self) -> int:
        """Number of trained parameters."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities (B, S, C) and lengths (B,); S is 1 if a sequence has one label.

        Args:
            signals: (B, T) or (B, T, H), padded on the right.
            lengths: (B,) real steps of T.
        """
        return head_outputs(self.head, *self._encode(signals, lengths))

    def _encode(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the encoded steps (B, S, E) of signals (B, T, ...), and their lengths (B,)."""
        encoded, lengths, _ = self.encoder(*self._features(signals, lengths))
        return encoded, lengths

    def _features(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the encoder reads of signals (B, T, ...): features (B, S, D) and lengths (B,)."""
        features, lengths = self.front_end(signals, lengths)  # (B, S, D)
        if self.config.encoder.reverse_source:
            features = reverse_within_lengths(features, lengths)
        return features, lengths

    def losses(self, batch: Batch) -> tuple[Tensor, int]:
        """Return the sum of the losses of a batch, and the number of targets that no path can spell.

        Such targets add nothing to the loss.
        """
        weight = self.config.head.consistency_weight if self.training else 0.0
        views = 2 if weight else 1
        signals = torch.cat([batch.signals] * views)  # (views B, T, ...)
        features, lengths = self._features(signals, torch.cat([batch.lengths] * views))  # (views B, S, D)
        middle = None
        if self.intermediate is None:
            encoded, _, _ = self.encoder(features, lengths)  # (views B, S, E)
        else:
            encoded, middle = self.encoder.with_middle(features, lengths)  # (views B, S, E) each
        rest = (lengths[: len(batch.lengths)], batch.targets, batch.target_lengths)  # (B, ...)

        on_host = batch.on_host
        if on_host is not None:
            on_host = on_host._replace(lengths=self.front_end.output_lengths(on_host.lengths))

        def losses_of(head: Any, steps: Tensor) -> tuple[Tensor, int]:
            if weight:
                return head.consistent_losses(steps, *rest, weight, on_host)
            return head.losses(steps, *rest, on_host)

        total, impossible = losses_of(self.head, encoded)
        share = self.config.encoder.intermediate_weight
        beside = ((self.intermediate, middle, share), (self.shortcut, features, SHORTCUT_WEIGHT))
        for head, steps, part in beside:
            if head is not None and steps is not None:
                aside, _ = losses_of(head, steps)
                total = (1 - part) * total + part * aside
        return total, impossible

    @property
    def device(self) -> torch.device:
        """The device that holds the weights."""
        return next(self.parameters()).device

    @property
    def task(self) -> str:
        """What the model has learnt."""
        return self.config.head.task

    @property
    def frame_labels(self) -> FrameLabels:
        """What a step is labelled with, for the task "frames"."""
        return self.config.head.frame_labels

    @property
    def signal_config(self) -> Any:
        """How signals are read for the model."""
        return self.config.signal

    @property
    def stride(self) -> int:
        """Signal steps for one step of the log-probabilities."""
        return self.front_end.stride

    @property
    def offset(self) -> float:
        """Start of the first step, in signal steps."""
        return getattr(self.front_end, "offset", 0)  # optional attribute, see `Training`

    @property
    def shortest(self) -> int:
        """Signal steps to which shorter signals are padded."""
        return self.front_end.shortest

    @property
    def step_shape(self) -> tuple[int, ...]:
        """The shape of one signal step."""
        return tuple(getattr(self.front_end, "step_shape", ()))  # optional attribute, see `Training`

    @property
    def reads_both_ways(self) -> bool:
        """Whether a step depends on all steps after it."""
        return bool(self.encoder.bidirectional)

    @property
    def context(self) -> tuple[int, int]:
        """How many signal steps before and after its own a step depends on.

        Raises:
            ValueError: on all of them, so that the model cannot follow a stream; or it labels no steps.
        """
        if self.task not in ("ctc", "frames"):
            raise ValueError(
                f"a model of --task {self.task} cannot follow a stream; take one of ctc or frames"
            )
        reasons, context = [], (0, 0)
        if self.alphabet.direction:
            reasons.append("a line that is read from right to left begins with its end")
        if self.encoder.bidirectional:
            reasons.append(BACKWARDS)
        if not hasattr(type(self.front_end), "context"):
            reasons.append("its front end does not say how far a step sees")
        else:
            try:
                context = self.front_end.context
            except ValueError as error:
                reasons.append(str(error))
        if reasons:
            raise ValueError(f"this model cannot follow a stream: {' and '.join(reasons)}")
        return context

    @torch.inference_mode()
    def next_steps(
        self, values: np.ndarray, first: int, end: int | None, state: Any = None
    ) -> tuple[np.ndarray, Any]:
        """Return log-probabilities (S, C) of the next steps of a stream; see `StepRecognizer`."""
        self.eval()
        signals = torch.from_numpy(values).to(self.device)[None]  # (1, T, ...)
        features, _ = self.front_end(signals, torch.tensor([len(values)], device=self.device))
        features = features[:, first:end]  # (1, S, D)
        if not features.shape[1]:
            return np.zeros((0, self.alphabet.classes), np.float32), state
        lengths = torch.tensor([features.shape[1]], device=self.device)
        encoded, _, state = self.encoder(features, lengths, state, keep_state=True)
        log_probs, _ = head_outputs(self.head, encoded, lengths)
        return log_probs[0].float().cpu().numpy(), state

    @torch.inference_mode()
    def log_probs(self, signals: Sequence[np.ndarray]) -> LogProbs:
        """Return the log-probabilities of `signals` (T, ...), computed as one batch.

        They are a tensor where the model is on CUDA: the search then runs there. On the CPU the search is
        faster without torch, and mps has no float64.

        Raises:
            ValueError: the model has only an attention decoder, which gives no such probabilities.
        """
        self.eval()
        margins = [self.margin(signal) for signal in signals]
        with self._precision():
            found = self.step_log_probs(*self._together(signals, margins))
        return LogProbs(*without_margins(*found, margins))

    @torch.inference_mode()
    def compute(self, signals: Sequence[np.ndarray]) -> LogProbs | Encoded:
        """Return the output that `hypotheses` and `texts` read, for `signals` (T, ...) as one batch."""
        self.eval()
        if self.task == "ctc":
            return self.log_probs(signals)
        with self._precision():
            return self.output(*self._together(signals))

    def output(self, signals: Tensor, lengths: Tensor) -> LogProbs | Encoded:
        """Return the same as `compute` for padded signals (B, T, ...) with `lengths` (B,) real steps."""
        if not isinstance(self.head, AttentionHead):
            return self.step_log_probs(signals, lengths)
        encoded, lengths = self._encode(signals.to(self.device), lengths.to(self.device))  # (B, S, E)
        ctc = None if self.head.ctc is None else self.head.ctc(encoded)
        return Encoded(encoded.float(), lengths, ctc)  # the search runs outside of autocast

    def hypotheses(self, output: Any, count: int = 1) -> tuple[list[list[Hypothesis]], np.ndarray]:
        """Return up to `count` hypotheses of each signal of a batch, best first, and the lengths (B,)."""
        if not isinstance(output, Encoded):
            return super().hypotheses(output, count)
        rows = zip(self._attended(output), range(len(output.steps)), strict=True)
        found = [[self._hypothesis(one, output, row) for one in best[:count]] for best, row in rows]
        return found, output.lengths.cpu().numpy()

    def texts(self, output: Any) -> list[str]:
        """Return the best text of each signal of a batch, without positions and confidences."""
        if not isinstance(output, Encoded):
            return super().texts(output)
        return [self.alphabet.decode(best[0].labels) for best in self._attended(output)]

    def _precision(self) -> AbstractContextManager[Any]:
        """Return the context in which signals are computed."""
        if not self.reduced or self.device.type != "cuda":
            return nullcontext()
        # older GPUs emulate bfloat16, which is slower than float32
        return torch.autocast("cuda", torch.bfloat16, torch.cuda.is_bf16_supported(including_emulation=False))

    def _together(
        self, signals: Sequence[np.ndarray], margins: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        each = zip(signals, margins or [0] * len(signals), strict=True)
        padding = [with_margin(signal, margin, self.stride) for signal, margin in each]
        together, lengths = padded(padding, self.front_end.shortest)
        return torch.from_numpy(together), torch.from_numpy(lengths)

    def step_log_probs(self, signals: Tensor, lengths: Tensor) -> LogProbs:
        """Return the same as `log_probs` for padded signals (B, T, ...) with `lengths` (B,) real steps."""
        log_probs, steps = self(signals.to(self.device), lengths.to(self.device))
        log_probs = log_probs.float()
        on_gpu = log_probs.device.type == "cuda"
        return LogProbs(log_probs if on_gpu else log_probs.cpu().numpy(), steps.cpu().numpy())

    def _attended(self, output: Encoded) -> list[list[AttentionHypothesis]]:
        """Return the hypotheses of the attention decoder for each signal, best first; greedy gives one."""
        assert isinstance(self.head, AttentionHead), "other heads have no decoder"
        config = self.decoder.config
        return attention_search(
            self.head.decoder,
            output.steps,
            output.lengths,
            1 if config.decoder == "greedy" else config.beam_width,
            config.length_penalty,
            output.ctc_log_probs,
            0.0 if output.ctc_log_probs is None else config.ctc_weight,
        )

    def _hypothesis(self, found: AttentionHypothesis, output: Encoded, row: int) -> Hypothesis:
        """Return a hypothesis of the signal `row` with the steps of its labels."""
        steps, ctc = int(output.lengths[row]), output.ctc_log_probs
        rows = None if ctc is None else to_numpy(ctc[row, :steps])  # (S, C)
        return placed(found, steps, rows, self.config.encoder.reverse_source)

    def described(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the header of the model file, and the tensors of the decoder.

        With the weights they are everything that rebuilds and describes the model.
        """
        decoding, tensors = decoder_tensors(self.decoder)
        header = {
            "modality": self.modality.name,
            "config": asdict(self.config),
            "alphabet": self.decoder.alphabet.to_dict(),
            "card": self.card,
            "decoding": decoding,
        }
        return header, tensors

    def save(self, path: Path) -> None:
        """Write the model file: the weights, and everything that rebuilds and describes the model."""
        tensors = {name: tensor.detach().cpu().numpy() for name, tensor in self.state_dict().items()}
        header, models = self.described()
        write_model(path, tensors | models, header)

    @classmethod
    def load(cls, modality: Modality, path: Path) -> "Recognizer":
        """Return the recognizer in a model file.

        Raises:
            ValueError: the file is no model file, is cut short, has another modality, or has an unknown
                setting.
        """
        file = read_model(path)
        came = file.header.get("modality")
        if came is None:
            raise ValueError(f"{path}: is no recognizer; name one, or a file of `{modality.name} train`")
        if came != modality.name:
            raise ValueError(
                f"{path}: a model for `{came}`, where one for `{modality.name}` was wanted; use `{came}`"
            )
        try:
            config = model_config(modality, file.header["config"])
            alphabet = symbols_from_dict(file.header["alphabet"])
            recognizer = cls(modality, config, alphabet, file.header.get("card"))
            decoder, weights = decoder_from(
                alphabet, file.header.get("decoding"), file.tensors, recognizer.task
            )
            recognizer.load_state_dict({name: torch.from_numpy(one) for name, one in weights.items()})
            recognizer.decoder = decoder
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())  # torch names the weights that differ in later lines
            raise ValueError(
                f"{path}: does not describe a model this version can build ({reason})"
            ) from error
        return recognizer.eval()


def _head(config: ModelConfig, E: int, alphabet: Symbols) -> CTCHead | SequenceHead | AttentionHead:
    """Return the head for the configured task, on an encoder of width E."""
    head, encoder = config.head, config.encoder
    if head.task == "attention":
        decoder = AttentionDecoder(
            E,
            alphabet.classes,
            head.decoder_size,
            arrangement=head.arrangement,
            dropout=encoder.dropout,
            bidirectional=encoder.bidirectional,
        )
        ctc = CTCHead(E, alphabet.classes, encoder.dropout) if head.ctc_weight else None
        return AttentionHead(decoder, ctc, head.ctc_weight, head.label_smoothing, head.scheduled_sampling)
    if head.task == "classify":
        return SequenceHead(
            E, len(alphabet.symbols), head.pooling, encoder.bidirectional, dropout=encoder.dropout
        )
    kind = FrameHead if head.task == "frames" else CTCHead
    return kind(E, alphabet.classes, encoder.dropout)


def _head_beside(head: nn.Module, flag: str, config: ModelConfig, size: int, alphabet: Symbols) -> CTCHead:
    """Return another head of the kind of `head`, on steps of `size` features, as `flag` asks for."""
    if not isinstance(head, CTCHead):
        raise ValueError(f"{flag}: is for --task ctc and frames; leave it out with {config.head.task}")
    return type(head)(size, alphabet.classes)
