"""Attention: a weight for each encoded step, and the mean of the steps by these weights.

A decoder's state s has an energy e with each of the encoded steps h. The weights a are the softmax of the
energies, and the context c is the mean of the steps by these weights:

    a = softmax of e over the steps (R, S)        c = sum over the steps of a h (R, E)
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from common.network.choices import Energy

LOCATION_FILTERS = 10
LOCATION_SPAN = 31
"""steps of the last weights that one filter covers, half of them on either side"""


class LateGradient(torch.autograd.Function):
    """An autograd function whose output, zeros (B, L, Y), collects the gradients of L products with a matrix.

    The caller multiplies rows (B, X) with the detached `matrix` (B, X, Y) at each of L steps and adds one of
    the L zeros to each product. Otherwise autograd would write and add a gradient (B, X, Y) at every step of
    a decoder, which costs more than everything else it does. Here the gradients G of the products arrive
    together, as the gradient of the zeros, and one product gives

        gradient of the matrix (B, X, Y) = rows' (B, X, L) G (B, L, Y)

    from the `rows`, a list to which the caller appends the rows (B, X) of every step.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, rows: list[Tensor], steps: int) -> Tensor:
        """Return zeros (B, steps, Y)."""
        ctx.rows, ctx.dtype = rows, matrix.dtype
        return matrix.new_zeros(len(matrix), steps, matrix.shape[2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the matrix, computed in one product."""
        rows = torch.stack(ctx.rows, dim=2).to(gradient.dtype)  # (B, X, L)
        return (rows @ gradient[:, : rows.shape[2]]).to(ctx.dtype), None, None


class Product:
    """Multiplies rows with a constant `matrix` (B, X, Y), K rows for each of the B at a time.

    Args:
        matrix: (B, X, Y).
        steps: the number of calls with K = 1 that will follow, for `LateGradient`; with 0 autograd computes
            the gradient.
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
    """What attention needs of B encoded sequences at every step, computed once.

    encoded: (B, S, E), the steps, 0 after the lengths.
    keys: (B, S, A), the steps as they are compared with a state; for "dot" their transpose (B, A, S).
    absent: (B, S), True after the lengths.
    """

    encoded: Product
    keys: Product
    absent: Tensor


class Attention(nn.Module):
    """Computes the weights of the encoded steps h for a state s: the softmax over the steps of an energy e.

        additive  e = v . tanh(W s + U h + b)                                  (Bahdanau et al. 2015)
        dot       e = (W s) . (U h) / sqrt(A)          (Luong et al. 2015; scaled: Vaswani et al. 2017)
        location  e = v . tanh(W s + U h + V f + b), f = F * (a, sum of all a) (Chorowski et al. 2015)

    Here a are the weights of the decoder's step before, and * is the convolution along the steps.

    Args:
        input_size: E, values of an encoded step.
        query_size: H, values of a state.
        size: A, the size in which both are compared.
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
        """Return the sources for `encoded` (B, S, E), without the `absent` (B, S) steps.

        `steps` is the number of decoder steps that follow, or 0, as for `Product`.
        """
        encoded = encoded.masked_fill(absent.unsqueeze(2), 0.0)  # a weight of 0 does not keep NaN out
        keys = self.key(encoded)  # (B, S, A)
        compared = Product(keys.transpose(1, 2), steps) if self.kind == "dot" else Product(keys)
        return Sources(Product(encoded, steps), compared, absent)

    def forward(self, hidden: Tensor, sources: Sources, weights: Tensor, cumulated: Tensor) -> Tensor:
        """Return the attention weights (R, S) for the states `hidden` (R, H).

        Args:
            hidden: (R, H) states of the decoders.
            sources: of the B sequences, R = B x K.
            weights: (R, S) of the step before, which "location" reads.
            cumulated: (R, S), the sum of the weights of all steps before, which "location" reads.
        """
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
