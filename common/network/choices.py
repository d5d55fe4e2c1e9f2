"""The names by which parts of a network are chosen. This module imports no torch, so that help needs none."""

from typing import Literal

Cell = Literal["lstm", "gru", "rnn_tanh", "rnn_relu"]
Initialisation = Literal["uniform", "xavier", "orthogonal", "identity"]
Pooling = Literal["last", "mean", "attention"]
Arrangement = Literal["first", "every", "additive", "dot", "location"]
Energy = Literal["additive", "dot", "location"]
