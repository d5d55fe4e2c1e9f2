"""Attention: how much a decoder wants of each of the encoder's steps, and what it reads there.

One state s of a decoder has an energy e with each of the steps h; the weights are their softmax, and what is
read is the mean of the steps by these weights:

    a = softmax of e over the steps (R, S)        c = sum over the steps of a h (R, E)
"""

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Energy = Literal["additive", "dot", "location"]
LOCATION_FILTERS = 10
LOCATION_SPAN = 31
"""steps a filter sees of the last weights, half of them on either side"""


class LateGradient(torch.autograd.Function):
    """Zeros (B, L, Y), to add to the L products of a `matrix` (B, X, Y), which was detached for them.

    Autograd would write and add up a gradient (B, X, Y) at each of the L steps of a decoder, which costs more
    than all else it does. Here the products' gradients G come together as that of the zeros, and once for all

        gradient of the matrix (B, X, Y) = rows' (B, X, L) G (B, L, Y)

    with the `rows`, each (B, X), that the caller appends to his list at every step.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, rows: list[Tensor], steps: int) -> Tensor:
        """Return the zeros."""
        ctx.rows, ctx.dtype = rows, matrix.dtype
        return matrix.new_zeros(len(matrix), steps, matrix.shape[2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the matrix's gradient."""
        rows = torch.stack(ctx.rows, dim=2).to(gradient.dtype)  # (B, X, L)
        return (rows @ gradient[:, : rows.shape[2]]).to(ctx.dtype), None, None


class Product:
    """The products of rows with a `matrix` (B, X, Y) that stays: of K rows for each of the B at a time.

    Args:
        matrix: (B, X, Y).
        steps: how many times it will be called with K = 1, for `LateGradient`; 0 leaves all to autograd.
    """

    def __init__(self, matrix: Tensor, steps: int = 0) -> None:
        self.matrix = matrix
        self.rows: list[Tensor] = []
        self.late: tuple[Tensor, ...] = ()
        if steps and matrix.requires_grad:
            self.late = LateGradient.apply(matrix, self.rows, steps).unbind(1)  # L times (B, Y)
            self.matrix = matrix.detach()

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the products (B x K, Y) of `rows` (B x K, X)."""
        products = rows.reshape(len(self.matrix), -1, rows.shape[1]) @ self.matrix  # (B, K, Y)
        if not self.late:
            return products.flatten(0, 1)
        self.rows.append(rows.detach())
        return products.squeeze(1) + self.late[len(self.rows) - 1]


class Sources(NamedTuple):
    """What attention needs of B sequences at every step, computed once.

    encoded: (B, S, E), 0 behind the lengths.
    keys: (B, S, A), the steps as they are compared; of dot their transpose (B, A, S).
    absent: (B, S), True behind the lengths.
    """

    encoded: Product
    keys: Product
    absent: Tensor


class Attention(nn.Module):
    """How much a state s wants of each step h: the softmax over steps of an energy e.

        additive  e = v . tanh(W s + U h + b)                                  (Bahdanau et al. 2015)
        dot       e = (W s) . (U h) / sqrt(A)          (Luong et al. 2015; scaled: Vaswani et al. 2017)
        location  e = v . tanh(W s + U h + V f + b), f = F * (a, sum of all a) (Chorowski et al. 2015)

    with a the weights of the decoder's last step and * the convolution along the steps.

    Args:
        input_size: E, of a step.
        query_size: H, of a state.
        size: A, in which both are compared.
        energy: "additive", "dot" or "location".
    """

    def __init__(self, input_size: int, query_size: int, size: int, energy: Energy) -> None:
        super().__init__()
        self.kind = energy
        self.key = nn.Linear(input_size, size)
        self.query = nn.Linear(query_size, size, bias=False)
        if energy != "dot":
            self.energy = nn.Linear(size, 1, bias=False)
        if energy == "location":
            self.filters = nn.Conv1d(2, LOCATION_FILTERS, LOCATION_SPAN, padding="same", bias=False)
            self.place = nn.Linear(LOCATION_FILTERS, size, bias=False)

    def prepare(self, encoded: Tensor, absent: Tensor, steps: int = 0) -> Sources:
        """Return the sources of `encoded` (B, S, E) but where `absent` (B, S); `steps` as of `Product`."""
        encoded = encoded.masked_fill(absent.unsqueeze(2), 0.0)  # a weight of 0 does not keep NaN out
        keys = self.key(encoded)  # (B, S, A)
        compared = Product(keys.transpose(1, 2), steps) if self.kind == "dot" else Product(keys)
        return Sources(Product(encoded, steps), compared, absent)

    def forward(self, hidden: Tensor, sources: Sources, weights: Tensor, cumulated: Tensor) -> Tensor:
        """Return the weights (R, S) of `hidden` (R, H), after `weights` (R, S) that sum up to `cumulated`."""
        B, S = sources.absent.shape
        query = self.query(hidden)  # (R, A)
        if self.kind == "dot":
            energies = sources.keys(query) / math.sqrt(query.shape[1])  # (R, S)
        else:
            queries = query.reshape(B, -1, 1, query.shape[1])  # (B, K, 1, A)
            compared = sources.keys.matrix.unsqueeze(1) + queries  # (B, K, S, A)
            if self.kind == "location":
                seen = self.filters(torch.stack([weights, cumulated], dim=1))  # (R, F, S)
                compared += self.place(seen.transpose(1, 2)).reshape(compared.shape)
            energies = self.energy(compared.tanh_())  # (B, K, S, 1)
        absent = sources.absent.unsqueeze(1)  # (B, 1, S)
        return energies.reshape(B, -1, S).masked_fill(absent, -math.inf).softmax(2).flatten(0, 1)  # (R, S)
