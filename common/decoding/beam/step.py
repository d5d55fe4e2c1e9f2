"""One step of the beam search: every prefix stays or is extended by a label, and the best are kept.

    prefixes stay       `stay`: the blank or the last label goes on, or a shorter prefix becomes this one
    prefixes grow       `common.decoding.beam.pruning`: extensions compete with the prefixes that stay
    the next beam       `extend`: the survivors, and where each came from

The arrays are NumPy's, or torch's on any device. With tensors, all shapes are fixed and nothing is read back,
so that a CUDA graph can hold the whole step.
"""

import math

from common.decoding.arrays import Array, arange, first_true, namespace
from common.decoding.beam.device_table import DeviceTable
from common.decoding.beam.fusion import Table
from common.decoding.beam.prefixes import NOTHING, Beam, Classes, Stay, Trace
from common.decoding.beam.pruning import Survivors, prune

INFINITY = math.inf
ROOT_KEY, NO_KEY, DEAD_KEY = 0, 1, -2
"""hashes of the empty prefix, of no prefix, and of the first free slot"""
PREFIX_MULTIPLIER = -7046029254386353131
"""factor in the hash of prefixes: 2 ** 64 over the golden ratio, as a signed number"""


def advance(
    old: Beam, now: Classes, blank_class: int, table: Table | DeviceTable | None = None
) -> tuple[Beam, Trace]:
    """Return the beam after one more step of all its utterances, and the trace of the step, (B, K) each.

    Args:
        old: the beam before the step; it is not changed.
        now: the classes of the step.
        blank_class: the class that is no label.
        table: of the fusion. In a `DeviceTable`, states after the step may be missing: they are negative.
    """
    stayed = stay(old, now, blank_class)
    survivors = prune(old, now, stayed, table)
    return extend(old, stayed, survivors, table) if survivors else (stayed.beam, stayed.trace)


def stay(old: Beam, now: Classes, blank_class: int) -> Stay:
    """Return the same prefixes after a step in which they were not extended.

    Either the blank or the last label goes on, or the prefix without its last label is extended to this
    one.
    """
    xp = namespace(old.blank)
    n, K = old.blank.shape
    C = now.log_probs.shape[1]
    first_slot = arange(old.blank, n)[:, None] * K
    first_class = arange(old.blank, n)[:, None] * C
    last = first_class + xp.clip(old.last, 0, None)
    log_prob = xp.take(now.log_probs, last)  # (n, K) of the last label
    total = xp.logaddexp(old.blank, old.label)
    blank = total + now.log_probs[:, blank_class, None]
    label = old.label + log_prob
    # if the prefix without its last label is in the beam, its extension by that label is this prefix
    slot = first_true(old.parent[:, :, None] == old.key[:, None, :])  # (n, K)
    origin = first_slot + slot
    found = xp.take(old.key, origin) == old.parent
    repeats = xp.take(old.last, origin) == old.last
    before = xp.where(repeats, xp.take(old.blank, origin), xp.take(total, origin))
    entering = xp.where(found, before + log_prob, -INFINITY)
    entered = entering > xp.maximum(blank, label)  # from now on the likeliest way to the prefix
    label = xp.logaddexp(label, entering)
    spoken = label >= blank
    peaked = entered | (spoken & (log_prob > old.peak_log_prob))
    step = old.steps[:, None]
    beam = Beam(
        blank, label, old.last, old.key, old.parent, old.bonus, old.state,
        peak=xp.where(peaked, step, old.peak),
        end=xp.where(spoken, step + 1, old.end),
        peak_log_prob=xp.where(peaked, log_prob, old.peak_log_prob),
        steps=old.steps + 1,
    )  # fmt: skip
    origin = xp.where(entered, origin, first_slot + arange(old.blank, K))
    trace = Trace(
        origin - first_slot,
        xp.where(entered, old.last, NOTHING),
        step + xp.zeros_like(slot),
        *(xp.take(part, origin) for part in (old.peak, old.end, old.peak_log_prob)),
    )
    rank = xp.take(now.rank, last)
    score = xp.logaddexp(blank, label) + old.bonus
    return Stay(beam, trace, score, total, log_prob, rank, slot, found)


def extend(
    old: Beam, stayed: Stay, survivors: Survivors, table: Table | DeviceTable | None
) -> tuple[Beam, Trace]:
    """Return the beam after pruning, and the trace of the step."""
    xp = namespace(old.blank)
    n, K = old.blank.shape
    slots = arange(old.blank, n * K).reshape(n, K)
    origin, extended = survivors.origin, survivors.label != NOTHING
    beam = stayed.beam.at(origin)
    ours = beam.key
    beam.blank = xp.where(extended, -INFINITY, beam.blank)
    beam.label = xp.where(extended, survivors.score, beam.label)
    beam.last = xp.where(extended, survivors.label, beam.last)
    dead = xp.maximum(beam.blank, beam.label) == -INFINITY
    beam.parent = xp.where(dead, NO_KEY, xp.where(extended, ours, beam.parent))
    extension = hash_extension(ours, survivors.label)
    beam.key = xp.where(dead, DEAD_KEY - slots, xp.where(extended, extension, ours))
    if table:
        beam.bonus = xp.where(extended, beam.bonus + survivors.gain, beam.bonus)
        beam.state = table.extend(beam.state, survivors.label, extended & ~dead)
    step = old.steps[:, None]
    beam.peak = xp.where(extended, step, beam.peak)
    beam.end = xp.where(extended, step + 1, beam.end)
    beam.peak_log_prob = xp.where(extended, survivors.log_prob, beam.peak_log_prob)
    now = (origin - slots[:, :1], survivors.label, step + 0 * slots)
    last = (xp.take(part, origin) for part in (old.peak, old.end, old.peak_log_prob))
    kept = (xp.take(part, origin) for part in stayed.trace)
    return beam, Trace(*(xp.where(extended, new, own) for new, own in zip((*now, *last), kept, strict=True)))


def hash_extension(key: Array, label: Array) -> Array:
    """Return the hash of the prefix with hash `key` extended by `label` (both int64; overflow is fine)."""
    mixed = (key + label + 1) * PREFIX_MULTIPLIER
    return mixed ^ (mixed >> 32)
