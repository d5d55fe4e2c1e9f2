"""The steps of a beam search on a GPU: fixed buffers that one CUDA graph advances, without the host.

Launching the many small operations of a step takes longer than computing them. So the step is captured once
as a graph that reads and writes the same buffers, and replayed for each step:

    log-probabilities of 64 steps  --+
    beam, and the step of each row --+--> graph: one step --+--> beam, steps
    table of the fusion            --+                      +--> trace of 64 steps

Each utterance has its own row and its own step. Where a language model has not met a state that an utterance
needs, its row waits and asks, while others go on; the host looks every few replays, computes what is asked,
and the row goes on. Rows without an utterance, and rows at their end, wait too. On the CPU, tensors are
searched by the same steps without a graph.
"""

import logging
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch

from common.decoding.arrays import Array, to_numpy
from common.decoding.beam.device_table import DeviceTable, unseen_places
from common.decoding.beam.fusion import Fusion
from common.decoding.beam.prefixes import NOTHING, STATE, Beam, Classes, Trace
from common.decoding.beam.step import advance

log = logging.getLogger(__name__)
BUFFERED_STEPS = 64
"""steps whose log-probabilities the buffers hold"""
ROWS = 32
"""the number of rows is a multiple of this, or below it a power of 2: few sizes need a graph of their own"""
LONGEST_RUN = 32
"""replays after which the host looks, at the latest, what rows ask"""


class Size(NamedTuple):
    """What is fixed in the buffers: rows R, width of the beam K, classes C, columns M + 1, and the device."""

    rows: int
    width: int
    classes: int
    columns: int
    history: bool
    """whether the hashes of prefixes are recorded"""
    device: torch.device


class DeviceSteps:
    """Buffers for the steps of R utterances, and the graph of a step.

    Args:
        size: of the buffers.
        blank_class: the class that is no label.
    """

    @torch.inference_mode(False)  # a tensor that is made in inference mode could not be changed outside it
    def __init__(self, size: Size, blank_class: int) -> None:
        self.size, self.blank_class = size, blank_class
        self.table: DeviceTable | None = None
        R, K, S, device = size.rows, size.width, BUFFERED_STEPS, size.device

        def zeros(*shape: int, kind: torch.dtype = torch.int64) -> torch.Tensor:
            return torch.zeros(shape, dtype=kind, device=device)

        scores = ("blank", "label", "bonus", "peak_log_prob")
        kinds = {name: torch.float64 if name in scores else torch.int64 for name in STATE}
        shapes = {name: (R,) if name == "steps" else (R, K) for name in STATE}
        arrays: dict[str, Any] = {name: zeros(*shapes[name], kind=kinds[name]) for name in STATE}
        self.beam = Beam(**arrays)
        self.classes = Classes(
            zeros(R, S, size.classes, kind=torch.float64),
            zeros(R, S, size.columns),
            zeros(R, S, size.columns, kind=torch.float64),
            zeros(R, S, size.classes),
        )
        self.classes.label_log_probs[..., -1] = -np.inf  # the column of no label
        self.row, self.step, self.end = torch.arange(R, device=device), zeros(R), zeros(R)
        self.asked = zeros(R, K)
        # the last step is where rows that wait write
        self.trace = zeros(S + 1, R, 5, K, kind=torch.int32)
        self.trace_log_probs = zeros(S + 1, R, K, kind=torch.float32)
        self.hashes = zeros(S + 1, R, 2, K) if size.history else None
        self._replay: Callable[[], None] | None = None

    @torch.no_grad()
    def read(
        self, beam: Beam, classes: Classes, counts: np.ndarray, fusion: Fusion | None
    ) -> tuple[Trace, Array | None]:
        """Advance a beam of B <= R utterances by S steps.

        Args:
            beam: (B, K); it is changed.
            classes: (S, B, C) of the steps, and (S, B, M) of their labels.
            counts: (B,) number of steps of each utterance.
            fusion: the one that the beam's table is of.

        Returns:
            The trace (S, B, K), and the hashes (S, B, 2, K) of prefixes before each step and of the same
            without their last label, or None.
        """
        B = len(counts)
        for name in STATE:
            own = getattr(self.beam, name)
            own[:B] = getattr(beam, name)
            own[B:] = 0
        traces, hashes = [], []
        for first in range(0, len(classes.log_probs), BUFFERED_STEPS):
            piece = Classes(*(part[first : first + BUFFERED_STEPS] for part in classes))
            steps = len(piece.log_probs)
            self._load(piece, np.clip(counts - first, 0, steps))
            self._run(beam, steps, fusion)
            whole = self.trace[:steps, :B].unbind(2)
            traces.append(Trace(*(part.clone() for part in (*whole, self.trace_log_probs[:steps, :B]))))
            if self.hashes is not None:
                hashes.append(self.hashes[:steps, :B].clone())
        for name in STATE:
            setattr(beam, name, getattr(self.beam, name)[:B].clone())
        trace = Trace(*(torch.cat(parts) for parts in zip(*traces, strict=True)))
        return trace, torch.cat(hashes) if hashes else None

    def _load(self, piece: Classes, counts: np.ndarray) -> None:
        """Put the classes of up to 64 steps into the buffers, and an empty trace of them."""
        steps, B = piece.log_probs.shape[:2]
        M = self.size.columns - 1
        for mine, theirs, columns in zip(self.classes, piece, (None, M, M, None), strict=True):
            mine[:B, :steps, :columns] = theirs.transpose(0, 1)
        self.step.zero_()
        self.end.zero_()
        self.end[:B] = torch.from_numpy(counts).to(self.size.device)
        origin, appended, *rest = self.trace.unbind(2)  # every prefix stays
        origin.copy_(torch.arange(self.size.width, device=self.size.device))
        appended.fill_(NOTHING)
        for part in rest:
            part.zero_()
        self.trace_log_probs.fill_(-np.inf)
        if self.hashes is not None:
            self.hashes.zero_()

    def _run(self, beam: Beam, steps: int, fusion: Fusion | None) -> None:
        """Advance all rows to their ends, which are at most `steps`."""
        if fusion is None or beam.table is None:
            for _ in range(steps):
                self._step()
            return
        ahead, left = 1, steps
        B = len(beam.blank)
        while left:
            if beam.table.full:
                beam.table, self.beam.state[:B] = fusion.move(beam.table, self.beam.state[:B])
            self._use(beam.table.on(self.size.device))
            for _ in range(min(ahead, left)):
                self._step()
            left = int((self.end - self.step).max())
            places = unseen_places(to_numpy(self.asked))
            ahead = 1 if len(places) else min(2 * ahead, LONGEST_RUN)
            if len(places):
                beam.table.explore(places)

    def _use(self, table: DeviceTable) -> None:
        if table is not self.table:
            self.table, self._replay = table, None

    def _step(self) -> None:
        """Advance every row that does not wait by a step."""
        if self._replay:
            self._replay()
            return
        self._advance()  # this also loads the kernels, which a capture must not do
        self._replay = replayable(self._advance, self.size.device)

    def _advance(self) -> None:
        """Advance every row that does not wait by a step; nothing here is read by the host."""
        old, at = self.beam, self.step.clamp(max=BUFFERED_STEPS - 1)
        now = Classes(*(part[self.row, at] for part in self.classes))
        new, how = advance(old, now, self.blank_class, self.table)
        moves = self.step < self.end
        if self.table is not None:
            self.asked.copy_(new.state.masked_fill(~moves[:, None], 0))
            moves = moves & (new.state >= 0).all(1)
        at = at.masked_fill(~moves, BUFFERED_STEPS)
        self.trace[at, self.row] = torch.stack([part.int() for part in how[:5]], 1)
        self.trace_log_probs[at, self.row] = how.peak_log_prob.float()
        if self.hashes is not None:
            self.hashes[at, self.row] = torch.stack([old.key, old.parent], 1)
        for name in STATE:
            part = getattr(old, name)
            these = moves if part.ndim == 1 else moves[:, None]
            torch.where(these, getattr(new, name), part, out=part)
        self.step += moves


def size_for(beam: Beam, classes: Classes) -> Size:
    """Return the size of the buffers for a beam and the classes of its steps."""
    B, K = beam.blank.shape
    columns = classes.labels.shape[2] + 1
    rows = -(-B // ROWS) * ROWS if B > ROWS else 1 << (B - 1).bit_length()
    history = beam.history is not None
    return Size(rows, K, classes.log_probs.shape[2], columns, history, beam.blank.device)


def replayable(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Return a function that does what `step` does: on a GPU the replay of its graph, else `step` itself."""
    return capture(step, device) if device.type == "cuda" else step


def capture(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Return a function that replays the graph of `step` on a GPU; `step` itself is only recorded here.

    If the graph cannot be captured, the search goes on without it, and a warning says so.
    """
    before = torch.cuda.current_stream(device)
    try:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(device)
        # other threads may use the GPU meanwhile: only this one is checked
        with _capturing(), torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            step()
    except RuntimeError as error:
        torch.cuda.set_stream(before)  # an end of the capture that fails leaves the other stream in use
        log.warning("the beam search runs without a CUDA graph and is slower: %s", error)
        return step
    return graph.replay


@cache
def _capturing() -> Lock:
    """Return the lock that a capture holds: torch.cuda.graph allows one at a time in a process."""
    return Lock()
