"""Loading of language models of any kind; the content of a file shows its kind, not its name."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from common.files.pipe import refuse_device
from common.language.arpa import read_arpa
from common.language.ngram import NGram
from common.language.recurrent_model import RecurrentModel, is_recurrent


def load_language_model(path: str | Path) -> NGram | RecurrentModel:
    """Return the language model in a file: n-grams (.npz or ARPA) or a recurrent model (.safetensors).

    Raises:
        ValueError: the file holds no language model, or is damaged.
    """
    refuse_device(path)
    return RecurrentModel.load(path) if is_recurrent(path) else load_ngrams(path)


def load_ngrams(path: str | Path) -> NGram:
    """Return the n-gram model in a file that `NGram.save` wrote, or in an ARPA file, plain or gzipped.

    Nothing in the file is executed.

    Raises:
        ValueError: the file is of another kind, or damaged.
    """
    try:
        with open(path, "rb") as file:
            is_zip = file.read(4) in (b"PK\3\4", b"PK\5\6")  # NumPy takes any other file for a pickle
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read ({error.strerror}); name an n-gram model, .npz or .arpa"
        ) from error
    if not is_zip:
        return read_arpa(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return NGram.from_arrays(dict(arrays))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"{path}: is damaged ({error}); copy or train it again") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
