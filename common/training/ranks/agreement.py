"""The ranks of a run agree on it before it starts: on its settings, its software, its files and its batches.

Ranks that do not would still add their gradients, and train a model of which nobody knows what it learnt.
"""

import hashlib
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from common.data.batching import BatchLoader
from common.data.manifest import Example
from common.training.folder import changed_settings, provenance
from common.training.ranks.group import Group

OWN_SETTINGS = {"run", "workers", "cache_gb", "cache"}
"""settings in which machines may differ"""
FILES_COMPARED = 32
"""number of examples whose files are measured on every machine"""


def agree_on_settings(group: Group, settings: Mapping[str, Any]) -> None:
    """Check that all ranks were started with the same flags and run the same software.

    Args:
        group: the ranks.
        settings: as `as_json` returns them.

    Raises:
        ValueError: a rank differs from rank 0; it is raised on every rank.
    """
    software = {name: provenance()[name] for name in ("software", "torch")}
    described = group.gather((socket.gethostname(), {**settings, **software}))
    first = described[0][1]
    for rank, (host, theirs) in enumerate(described):
        changes = [
            f"{name} is {there} and {here} on rank 0"
            for name, (here, there) in sorted(changed_settings(first, theirs).items())
            if name.rpartition(".")[2] not in OWN_SETTINGS
        ]
        if changes:
            raise ValueError(
                f"rank {rank} of {group.ranks} ({host}): {', '.join(changes)};"
                " start the same software with the same flags on every machine"
            )


def agree_on_files(group: Group, examples: Sequence[Example], measure: Callable[[str], float]) -> None:
    """Check that the files of all machines have the same lengths; some are measured, evenly spread.

    Args:
        group: the ranks.
        examples: those of rank 0, on every rank.
        measure: returns the length of a source, or raises ValueError or OSError.

    Raises:
        ValueError: a file is missing or another one on a rank; it is raised on every rank.
    """
    if group.ranks == 1:
        return
    chosen = [examples[index].source for index in _spread(len(examples), FILES_COMPARED)]
    found = group.gather((socket.gethostname(), [_measured(source, measure) for source in chosen]))
    here = found[0][1]
    for rank, (host, there) in enumerate(found):
        for source, mine, theirs in zip(chosen, here, there, strict=True):
            if mine != theirs:
                raise ValueError(
                    f"rank {rank} of {group.ranks} ({host}): {source} {theirs}, and {mine} on rank 0;"
                    " every machine wants the same data under the same path"
                )


def agree_on_batches(group: Group, loaders: Sequence[BatchLoader], epoch: int) -> None:
    """Check that all ranks have planned the same batches.

    Args:
        group: the ranks.
        loaders: of training and development data.
        epoch: whose plans are compared.

    Raises:
        ValueError: a rank has other batches; it is raised on every rank.
    """
    digest = hashlib.sha256()
    for loader in loaders:
        for batch in loader.plan(epoch):
            digest.update(np.asarray(batch, np.int64).tobytes() + b"|")
    plans = group.gather((socket.gethostname(), digest.hexdigest()))
    for rank, (host, plan) in enumerate(plans):
        if plan != plans[0][1]:
            raise ValueError(
                f"rank {rank} of {group.ranks} ({host}) has planned other batches than rank 0;"
                " install the same versions of Python, NumPy and this program on every machine"
            )


def _spread(count: int, wanted: int) -> list[int]:
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int)).tolist()


def _measured(source: str, measure: Callable[[str], float]) -> str:
    """Return what a file is, as a part of a sentence."""
    try:
        return f"has the length {measure(source):.3f}"
    except (ValueError, OSError) as error:
        return f"cannot be read ({getattr(error, 'strerror', None) or error})"
