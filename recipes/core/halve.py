"""Store the weights of a model in half precision, for `--start-from`: halve.py MODEL OUT [BITS].

Loading copies the weights into float32, so nothing else changes. MODEL should be the network without language
models, which is best.safetensors. BITS of the 10 of the fraction are kept; with 6 a packed file, such as a
wheel, is a fifth smaller, and a weight is within 0.8 % of what it was.
"""

import sys

import numpy as np

from common.files.model_file import read_model, write_model

FRACTION_BITS = 10
"""of float16 (IEEE 754)"""
FLOATS = np.float32, np.float16


def halve(source: str, target: str, bits: int = FRACTION_BITS) -> None:
    """Write the model file `source` to `target` with its tensors of float32 as float16.

    Args:
        source: model file.
        target: file to write.
        bits: of the fraction of each weight that are kept, 1 to 10; it is rounded to them.

    Raises:
        ValueError: float16 cannot hold a weight, `bits` is out of range, or `source` is no model file.
    """
    if not 1 <= bits <= FRACTION_BITS:
        raise ValueError(f"{bits} bits of the fraction; give 1 to {FRACTION_BITS}")
    model = read_model(source)
    tensors = {}
    for name, values in model.tensors.items():
        with np.errstate(over="ignore"):  # checked below
            halved = _rounded(values.astype(np.float16), bits) if values.dtype in FLOATS else values
        if not np.isfinite(halved).all():
            raise ValueError(f"{source}: {name} has a value that float16 cannot hold; keep float32")
        tensors[name] = halved
    write_model(target, tensors, model.header)


def _rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Return float16 values whose fraction has `bits` bits, rounded half up; large ones become infinite."""
    unit = 1 << (FRACTION_BITS - bits)
    whole = values.view(np.uint16).astype(np.uint32)  # a carry goes into the exponent, as it should
    return ((whole + unit // 2) // unit * unit).astype(np.uint16).view(np.float16)


if __name__ == "__main__":
    halve(*sys.argv[1:3], *map(int, sys.argv[3:]))
