"""Store the weights of a model in 8 bits a number, for `--start-from`: eight_bits.py MODEL OUT.

Reading turns them into float32 again, so nothing else changes. Each row of a matrix, or each kernel, has a
scale of its own: the largest of its values is 127 of it. A file has a quarter of its size, and a packed one,
such as a wheel, half of what float16 takes. MODEL should be the network without language models, which is
best.safetensors. Vectors, and numbers of other kinds, stay as they are.
"""

import sys

import numpy as np

from common.files.model_file import LARGEST, SCALE, read_model, write_model

FLOATS = np.float32, np.float16


def store(source: str, target: str) -> None:
    """Write the model file `source` to `target` with its matrices in 8 bits.

    Raises:
        ValueError: a weight is not finite, or `source` is no model file.
    """
    model = read_model(source)
    tensors: dict[str, np.ndarray] = {}
    for name, values in model.tensors.items():
        if values.dtype not in FLOATS or values.ndim < 2:
            tensors[name] = values
            continue
        if not np.isfinite(values).all():
            raise ValueError(f"{source}: {name} has a value that is not finite; train the model again")
        rows = values.astype(np.float32)
        scales = np.abs(rows).max(axis=tuple(range(1, rows.ndim)), initial=0.0) / LARGEST  # (rows,)
        each = np.where(scales > 0, scales, 1.0).reshape(-1, *[1] * (rows.ndim - 1))
        tensors[name] = np.rint(rows / each).astype(np.int8)
        tensors[name + SCALE] = scales.astype(np.float32)
    write_model(target, tensors, model.header)


if __name__ == "__main__":
    store(*sys.argv[1:])
