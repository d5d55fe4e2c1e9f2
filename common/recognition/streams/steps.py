"""Log-probabilities of a signal in pieces: a step is computed when its whole context is there.

    signal            |----------------------------|            what has arrived
    front end    |before|  step  |  step  |after|               a step depends on some context around it
    kept              |----------------|                        the context of later steps
    encoder           its state

The front end reads the kept part and the new part together. Only those of its steps are used whose context
lies inside. So the log-probabilities equal those of the whole signal, except for rounding.
"""

from typing import Any, Protocol

import numpy as np

PIECE_STEPS = 256
"""most steps that are computed at a time; this limits the memory for long pieces"""


class StepRecognizer(Protocol):
    """A recognizer that can compute the next steps of a signal: a `Recognizer` or an `OnnxRecognizer`."""

    @property
    def stride(self) -> int:
        """Signal steps for one step of the log-probabilities."""

    @property
    def shortest(self) -> int:
        """Signal steps to which shorter signals are padded."""

    @property
    def step_shape(self) -> tuple[int, ...]:
        """The shape of one signal step: () for samples, (H,) for columns."""

    @property
    def context(self) -> tuple[int, int]:
        """How many signal steps before and after its own a step depends on; ValueError if on all."""

    def next_steps(
        self, values: np.ndarray, first: int, end: int | None, state: Any = None
    ) -> tuple[np.ndarray, Any]:
        """Return log-probabilities (S, C) of the next steps, and the state of the encoder after them.

        Args:
            values: a part (T, ...) of the signal, float32, with the context of these steps.
            first: the first step of `values` that is wanted.
            end: the step after the last one that is wanted; None for all to the end.
            state: the state after the steps before these; None at the start of the signal.
        """


class StepStream:
    """The log-probabilities of one signal that is still arriving.

    What is kept is the context of one step and the state of the encoder, however long the signal is.

    Args:
        recognizer: the model; its encoder must read in one direction.

    Attributes:
        received: number of signal steps that have arrived.
        steps: number of network steps that are computed.

    Raises:
        ValueError: the recognizer needs the whole signal; the message says how to train one that does not.
    """

    def __init__(self, recognizer: StepRecognizer) -> None:
        self._recognizer = recognizer
        self._before, self._after = recognizer.context
        self.received = self.steps = 0
        # the signal from step _first on, which is a multiple of stride
        self._kept = np.zeros((0, *recognizer.step_shape), np.float32)
        self._first = 0
        self._state: Any = None
        self._nothing = np.zeros((0, 0), np.float32)  # (0, C) as soon as C is known

    def feed(self, values: np.ndarray) -> np.ndarray:
        """Read the next piece (T, ...) of the signal, and return the steps (S, C) that are now complete.

        Pieces may have any length. Long ones cost less: of each, some context is computed again.

        Raises:
            ValueError: the values have another shape.
        """
        if values.shape[1:] != self._kept.shape[1:]:
            wanted = ", ".join(["T", *map(str, self._kept.shape[1:])])
            raise ValueError(f"a piece of shape {values.shape}, where ({wanted}) was wanted")
        self.received += len(values)
        found, most = [], PIECE_STEPS * self._recognizer.stride
        for start in range(0, len(values), most):
            self._kept = np.concatenate([self._kept, values[start : start + most]], dtype=np.float32)
            ready = (self._first + len(self._kept) - self._after) // self._recognizer.stride
            if ready > self.steps:
                found.append(self._advance(ready))
        return np.concatenate(found) if found else self._nothing

    def finish(self) -> np.ndarray:
        """End the signal here, and return its last steps (S, C)."""
        lacking = self._recognizer.shortest - self.received
        if lacking > 0:
            self._kept = np.concatenate([self._kept, np.zeros((lacking, *self._kept.shape[1:]), np.float32)])
        return self._advance(None)

    def _advance(self, end: int | None) -> np.ndarray:
        """Return the log-probabilities (S, C) of the next steps before step `end`; None for all there are."""
        stride = self._recognizer.stride
        skipped = self._first // stride
        log_probs, self._state = self._recognizer.next_steps(
            self._kept, self.steps - skipped, None if end is None else end - skipped, self._state
        )
        self.steps += len(log_probs)
        first = max(0, (self.steps * stride - self._before) // stride * stride)
        self._kept, self._first = self._kept[first - self._first :].copy(), first
        self._nothing = log_probs[:0]
        return log_probs
