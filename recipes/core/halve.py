"""Store the weights of a model in half precision, for `--start-from`: halve.py MODEL OUT.

Loading copies the weights into float32, so nothing else changes. MODEL should be the network without language
models, which is best.safetensors.
"""

import sys

import numpy as np

from common.files.model_file import read_model, write_model


def halve(source: str, target: str) -> None:
    """Write the model file `source` to `target` with its float32 tensors as float16.

    Raises:
        ValueError: float16 cannot hold a weight, or `source` is no model file.
    """
    model = read_model(source)
    tensors = {}
    for name, values in model.tensors.items():
        with np.errstate(over="ignore"):  # checked below
            halved = values.astype(np.float16) if values.dtype == np.float32 else values
        if not np.isfinite(halved).all():
            raise ValueError(f"{source}: {name} has a value that float16 cannot hold; keep float32")
        tensors[name] = halved
    write_model(target, tensors, model.header)


if __name__ == "__main__":
    halve(*sys.argv[1:])
