"""What several verbs ask for in the same words: a place to compute, a budget, a model."""

from typing import Annotated, Any

from common.flags import Flag
from common.modality import Modality


def flat(kind: Any) -> Any:
    """Return `kind` such that its fields become flags without a prefix."""
    return Annotated[kind, Flag(name="")]


def budget(modality: Modality) -> Any:
    """Return the type of the flag --batch-budget."""
    what = f"Padded length of one batch, in {modality.length_unit}: lower it if memory is short."
    hint = f"(default: {modality.batch_budget:g})"
    return Annotated[float | None, Flag(help=what, hint=hint)]


def check_budget(batch_budget: float | None) -> None:
    """Raise ValueError for a budget nothing fits into."""
    if batch_budget is not None and not batch_budget > 0:
        raise ValueError(f"--batch-budget is {batch_budget:g}; give a length above 0")
