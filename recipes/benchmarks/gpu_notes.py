"""The notes of gpu_training.py, read as rates of the second epoch."""

import json
from pathlib import Path
from typing import Any, NamedTuple

WAIT_S = 0.020
"""wait for each batch in place of a step, where only the loader is measured"""


class Notes(NamedTuple):
    """The figures of a run; those that were not noted are 0.

    rate: examples/s of the last epoch that began.
    rate_text: the same for people; it says if that epoch is not the second, or did not end.
    batches, examples, seconds: of that epoch.
    dev_share: time of the last dev evaluation, as a share of the training before it.
    bare_rate, bare_loss: of the second epoch of the bare network.
    host_bytes, device_bytes: peak memory.
    """

    rate: float
    rate_text: str
    batches: int
    examples: int
    seconds: float
    dev_share: float
    bare_rate: float
    bare_loss: float
    host_bytes: int
    device_bytes: int


def read_notes(path: Path) -> Notes:
    """Return the figures in the notes of a run, which may have been stopped at any time."""
    notes = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    epoch = max((note["epoch"] for note in notes if note["event"] == "start"), default=0)
    own = [note for note in notes if note.get("epoch") == epoch]
    start, end = _last(own, "start"), _last(own, "end")
    batches = [note for note in own if note["event"] == "batch"]
    examples = sum(note["examples"] for note in batches)
    until = end["at"] if end else max((note["at"] for note in batches), default=0.0)
    seconds = until - start["at"] if start and batches else 0.0
    rate = examples / seconds if seconds else 0.0
    text = f"{rate:.1f}" + ("" if epoch == 1 else " in epoch 1") + ("" if end else ", cut")
    dev_start, dev_end = _last(notes, "dev start"), _last(notes, "dev end")
    dev_s = dev_end["at"] - dev_start["at"] if dev_start and dev_end else 0.0
    bare_start, bare_end = _last(notes, "bare start"), _last(notes, "bare end")
    bare = bool(bare_start and bare_end and bare_end["epoch"] == 1)
    memory = _last(notes, "memory") or {"host": 0, "device": 0}
    return Notes(
        rate,
        text if rate else "-",
        len(batches),
        examples,
        seconds,
        dev_s / seconds if end and epoch == 1 and seconds else 0.0,
        bare_end["examples"] / (bare_end["at"] - bare_start["at"])
        if bare and bare_start and bare_end
        else 0.0,
        bare_end["loss"] if bare and bare_end else 0.0,
        memory["host"],
        memory["device"],
    )


def _last(notes: list[dict[str, Any]], event: str) -> dict[str, Any] | None:
    """Return the last note of an event."""
    return next((note for note in reversed(notes) if note["event"] == event), None)
