"""Vanishing, exploding and clipped gradients, for every cell and for several initial weights.

The loss is at the last step T, and the norm of d loss_T / d x_t is measured at every step t, in untrained
networks. The loss is u . h_T with a random unit vector u, so that the norm is the part of a gradient of norm
1 at h_T that reaches x_t. A second measurement trains a network whose gradient explodes, with and without
clipping.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from common.command_line.parser import parse
from common.network.choices import Cell, Initialisation
from common.network.recurrent import RecurrentEncoder

INPUT_SIZE, HIDDEN_SIZE = 16, 64
STEPS, SHOWN = 150, 100
"""Length of a sequence, and the largest distance that is shown; the first steps depend on the zero state."""
TABLE_DISTANCES = (1, 10, 50, 100)
SMALLEST_FLOAT32 = 1.2e-38


class Case(NamedTuple):
    """A cell and its initial weights; `scale` multiplies the recurrent matrix."""

    cell: Cell
    initialisation: Initialisation = "uniform"
    forget_bias: float | None = None
    scale: float = 1.0

    @property
    def name(self) -> str:
        """The name in tables and pictures."""
        bias = "" if self.forget_bias is None else f", forget bias {self.forget_bias:g}"
        return f"{self.cell} {self.initialisation}{bias}{'' if self.scale == 1 else f' × {self.scale:g}'}"


VANISHING = (Case("rnn_relu"), Case("rnn_tanh"), Case("gru"), Case("lstm"))
KEPT = (
    *(Case("lstm", forget_bias=bias) for bias in (0.0, 1.0, 2.0, 3.0)),
    Case("rnn_tanh", "orthogonal"),
    Case("rnn_relu", "identity"),
)
EXPLODING = (
    *(Case("rnn_tanh", "orthogonal", scale=scale) for scale in (1.0, 1.5, 2.0, 3.0)),
    Case("rnn_relu", "orthogonal", scale=1.5),
)
OTHERS = (
    *(Case(cell, "xavier") for cell in ("rnn_relu", "rnn_tanh", "gru", "lstm")),
    *(Case(cell, "orthogonal") for cell in ("rnn_relu", "gru", "lstm")),
)
CLIPPED = Case("rnn_relu", "orthogonal", scale=1.5)


def build_encoder(case: Case, seed: int) -> RecurrentEncoder:
    """Return an encoder of one unidirectional layer, in float64."""
    torch.manual_seed(seed)
    encoder = RecurrentEncoder(
        INPUT_SIZE,
        HIDDEN_SIZE,
        layers=1,
        cell=case.cell,
        bidirectional=False,
        initialisation=case.initialisation,
        forget_bias=case.forget_bias,
    ).double()
    with torch.no_grad():
        encoder.forwards[0].weight_hh_l0.mul_(case.scale)
    return encoder


def gradient_norms(encoder: RecurrentEncoder, sequences: Tensor, directions: Tensor) -> Tensor:
    """Return the norms (B, S) of d (u . h_S) / d x_t, by the distance S - t, the last step first.

    Args:
        encoder: a unidirectional encoder.
        sequences: x (B, S, D), float64.
        directions: u (B, E), the gradient of each sequence's loss with respect to h_S.
    """
    sequences = sequences.detach().requires_grad_()
    encoded, _, _ = encoder(sequences, torch.full((len(sequences),), sequences.shape[1]))  # (B, S, E)
    (gradient,) = torch.autograd.grad((encoded[:, -1] * directions).sum(), sequences)  # (B, S, D)
    return gradient.norm(dim=2).flip(1)  # (B, S)


def mean_norms(case: Case, networks: int, sequences: int, seed: int) -> Tensor:
    """Return the mean norm (STEPS,) by distance, over `networks` initial weights with `sequences` each."""
    norms = []
    for number in range(networks):
        encoder = build_encoder(case, seed + number)
        random = torch.Generator().manual_seed(seed + number)
        x = torch.randn(sequences, STEPS, INPUT_SIZE, dtype=torch.float64, generator=random)
        u = torch.randn(sequences, HIDDEN_SIZE, dtype=torch.float64, generator=random)
        norms.append(gradient_norms(encoder, x, u / u.norm(dim=1, keepdim=True)))
    return torch.cat(norms).mean(0)


class Course(NamedTuple):
    """The course of a training: for each update, the norm before clipping, the norm applied, and the loss."""

    norms: list[float]
    applied: list[float]
    losses: list[float]


def train(case: Case, clip_norm: float, updates: int, seed: int, rate: float = 0.05) -> Course:
    """Train by gradient descent to predict the sum of the first input over the last 5 of 100 random steps.

    The sums have variance 1, so the best constant has a loss of 1. A gradient whose norm is above `clip_norm`
    is scaled down to it (Pascanu, Mikolov and Bengio 2013). The training ends early if a number overflows.
    """
    encoder, readout = build_encoder(case, seed), nn.Linear(HIDDEN_SIZE, 1).double()
    random = torch.Generator().manual_seed(seed)
    parameters = [*encoder.parameters(), *readout.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=rate)
    course = Course([], [], [])
    for _ in range(updates):
        x = torch.randn(16, 100, INPUT_SIZE, dtype=torch.float64, generator=random)
        wanted = x[:, -5:, :1].sum(1) / 5**0.5  # (B, 1), of variance 1
        encoded, _, _ = encoder(x, torch.full((16,), 100))
        loss = (readout(encoded[:, -1]) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, clip_norm).item()
        course.norms.append(norm)
        course.applied.append(nn.utils.get_total_norm([one.grad for one in parameters]).item())
        course.losses.append(loss.item())
        if not torch.isfinite(torch.tensor([norm, loss.item()])).all():
            break
        optimizer.step()
    return course


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Return `places` moved apart as little as needed for a `gap` between neighbours."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    groups: list[tuple[float, int]] = []  # centre and number of the labels of a group
    for index in order:
        centre, members = places[index], 1
        while groups and centre - (members - 1) / 2 * gap < groups[-1][0] + (groups[-1][1] + 1) / 2 * gap:
            before, others = groups.pop()
            centre = (centre * members + before * others) / (members + others)
            members += others
        groups.append((centre, members))
    lines = [c + (i - (n - 1) / 2) * gap for c, n in groups for i in range(n)]
    moved = dict(zip(order, lines, strict=True))
    return [moved[index] for index in range(len(places))]


COLOURS = {"rnn_relu": "#C65000", "rnn_tanh": "#A0307C", "gru": "#00795A", "lstm": "#0060A8"}
SHADES = {0.0: "#6FA8D6", 1.0: "#3F86C2", 2.0: "#1A62A5", 3.0: "#083B78"}  # of the LSTM, by forget bias
SCALES = {1.0: "#C983AE", 1.5: "#B85C97", 2.0: "#96367A", 3.0: "#651750"}  # of rnn_tanh, by factor
LABEL = {"fontsize": 12, "fontweight": "bold", "verticalalignment": "center"}
TOP = 1e14


def draw_curves(axes: Any, title: str, curves: dict[Case, Tensor], labels: dict[Case, str]) -> None:
    """Draw the norms by distance; the name of each curve stands at its right end."""
    axes.axhspan(1, TOP, color="#FBEFE6", linewidth=0)
    axes.text(2, TOP / 30, "grows on the way back", fontsize=10, color="#9A5B2C", va="top")
    axes.axhline(SMALLEST_FLOAT32, color="#777777", linewidth=0.9, linestyle=":")
    axes.text(2, SMALLEST_FLOAT32 * 3, "smallest normal number of float32", fontsize=10, color="#666666")
    ends = spread([norms[SHOWN].log10().item() for norms in curves.values()], gap=3.4)
    for (case, norms), end in zip(curves.items(), ends, strict=True):
        colour = COLOURS[case.cell]
        if case.forget_bias is not None:
            colour = SHADES[case.forget_bias]
        elif case.initialisation == "orthogonal" and case.cell == "rnn_tanh":
            colour = SCALES[case.scale]
        axes.plot(range(SHOWN + 1), norms[: SHOWN + 1], color=colour, linewidth=2.5)
        axes.text(SHOWN + 2, 10.0**end, labels[case], color=colour, **LABEL)
    axes.set(yscale="log", xlim=(0, SHOWN), ylim=(1e-42, TOP), title=title)
    axes.set_yticks([10.0**power for power in range(-40, 15, 10)])
    axes.set_xlabel("distance T − t from the loss (steps)")
    axes.set_ylabel("norm of ∂ loss at T / ∂ input at t")


def draw_courses(axes: Any, free: Course, clipped: Course) -> None:
    """Draw the norm of the gradient of every update, with and without clipping."""
    red, grey, blue = "#C65000", "#5F7F99", "#0060A8"
    shown = [norm if norm < TOP else TOP for norm in free.norms]  # NaN is drawn at the top, too
    axes.plot(range(1, len(shown) + 1), shown, color=red, linewidth=2.5, marker="o", clip_on=False)
    axes.plot(range(1, len(clipped.norms) + 1), clipped.norms, color=grey, linewidth=1.2)
    axes.plot(range(1, len(clipped.applied) + 1), clipped.applied, color=blue, linewidth=3)
    axes.set(xscale="log", yscale="log", xlim=(1, len(clipped.norms)), ylim=(1e-3, TOP))
    axes.text(len(shown) * 1.2, TOP / 10, f"not clipped: overflow at update {len(shown)}", color=red, **LABEL)
    axes.text(len(clipped.norms) * 1.1, clipped.norms[-1] * 6, "before clipping", color=grey, **LABEL)
    axes.text(len(clipped.norms) * 1.1, 1, "applied: 1 at most", color=blue, **LABEL)
    learnt = f"clipped, it learns: loss {late_loss(clipped):.2f} (best constant: 1)"
    axes.text(1.3, 0.03, learnt, color=blue, **LABEL)
    axes.set_title(f"Clipped: {CLIPPED.cell} × {CLIPPED.scale:g} while it is trained")
    axes.set_xticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
    axes.minorticks_off()
    axes.set_xlabel("update")
    axes.set_ylabel("norm of ∂ loss / ∂ all parameters")


def late_loss(course: Course) -> float:
    """Return the mean loss of the last 20 updates."""
    last = course.losses[-20:]
    return sum(last) / len(last)


def draw(path: Path, curves: dict[Case, Tensor], free: Course, clipped: Course) -> None:
    """Write a picture with three panels of norms by distance and one of norms by update."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 10.5), layout="constrained")
    panels = figure.subplots(2, 2)
    named = {case: case.cell for case in VANISHING}
    title = "Vanishing: the first weights torch gives"
    draw_curves(panels[0, 0], title, {case: curves[case] for case in VANISHING}, named)
    named = {case: f"lstm, forget bias {case.forget_bias:g}" for case in KEPT if case.cell == "lstm"}
    named |= {case: f"{case.cell}, {case.initialisation}" for case in KEPT if case.cell != "lstm"}
    title = "Kept: by a forget bias, or by the identity as W"
    draw_curves(panels[0, 1], title, {case: curves[case] for case in KEPT}, named)
    named = {case: f"{case.cell} × {case.scale:g}" for case in EXPLODING}
    title = "Exploding: an orthogonal W times a factor"
    draw_curves(panels[1, 0], title, {case: curves[case] for case in EXPLODING}, named)
    draw_courses(panels[1, 1], free, clipped)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set(fontsize=15, fontweight="bold")
        axes.tick_params(labelsize=11)
        axes.xaxis.label.set_size(12)
        axes.yaxis.label.set_size(12)
    title = f"How much of a gradient reaches an earlier step (W: recurrent matrix of {HIDDEN_SIZE} units)"
    figure.suptitle(title, fontsize=18, fontweight="bold")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


@dataclass(frozen=True)
class Gradients:
    """Measure how far gradients reach back, print a table and draw a picture."""

    picture: Path = Path("runs/gradients.png")
    """File of the picture."""
    networks: int = 3
    """Number of initial weights for each case."""
    sequences: int = 32
    """Number of random sequences for each of them."""
    updates: int = 400
    """Number of updates of the training with and without clipping."""
    seed: int = 1
    """Seed of weights and sequences."""


def main() -> None:
    """Measure, print and draw."""
    options = parse(Gradients)
    cases = dict.fromkeys((*VANISHING, *OTHERS, *KEPT, *EXPLODING))
    curves = {case: mean_norms(case, options.networks, options.sequences, options.seed) for case in cases}
    print(f"{'distance T - t':<30}" + "".join(f"{distance:>10}" for distance in TABLE_DISTANCES))
    for case, norms in curves.items():
        row = "".join(f"{norms[distance].item():>10.1e}" for distance in TABLE_DISTANCES)
        print(f"{case.name:<30}{row}")
    free = train(CLIPPED, float("inf"), options.updates, options.seed)
    clipped = train(CLIPPED, 1.0, options.updates, options.seed)
    print(f"\n{CLIPPED.name}, gradient norm of the parameters and loss")
    print(f"not clipped: {free.norms[0]:.1e} at first, overflow at update {len(free.norms)}")
    print(
        f"clipped at 1: {clipped.norms[0]:.1e} at first, {clipped.norms[-1]:.1e} at update {options.updates},"
        f" loss then {late_loss(clipped):.2f}, where the best constant has 1"
    )
    draw(options.picture, curves, free, clipped)
    print(options.picture)


if __name__ == "__main__":
    main()
