"""What stands on the encoder: for now the CTC head (N steps in, M labels out, in order)."""

from torch import Tensor, nn


class CTCHead(nn.Module):
    """A linear layer and a log-softmax, the latter in float32 whatever the precision elsewhere."""

    def __init__(self, input_size: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(input_size, classes)

    def forward(self, encoded: Tensor) -> Tensor:
        """Return log-probabilities (B, S, C), float32, of `encoded` (B, S, E); class 0 is the blank."""
        return self.linear(self.dropout(encoded)).float().log_softmax(dim=-1)  # (B, S, C)
