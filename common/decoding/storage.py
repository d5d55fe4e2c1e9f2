"""Storage of a decoder in a model file: settings in the header, language models and lexicon as tensors."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.labelled import LabelDecoder
from common.text.phonetic.phones import Phones
from common.text.symbols import Alphabet, Names, Symbols

MODEL, RESCORER, LEXICON = "language_model.", "rescorer", "lexicon"
"""prefixes of the names of these tensors: language_model.0.log_prob, language_model.rescorer.header"""


def symbols_from_dict(fields: Mapping[str, Any]) -> Symbols:
    """Return the symbols that a model file describes, of any kind."""
    if "phones" in fields:
        return Phones.from_dict(fields)
    return Names.from_dict(fields) if "names" in fields else Alphabet.from_dict(fields)


def decoder_tensors(decoder: Decoder | LabelDecoder) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the settings and the tensors of a decoder for a model file; hot words are not stored."""
    tensors = {
        f"{MODEL}{number}.{name}": array
        for number, model in enumerate(decoder.models)
        for name, array in model.to_arrays().items()
    }
    if decoder.rescorer is not None:
        arrays = decoder.rescorer.to_arrays()
        tensors |= {f"{MODEL}{RESCORER}.{name}": array for name, array in arrays.items()}
    if decoder.words is not None:
        tensors[LEXICON] = np.frombuffer("\n".join(decoder.words).encode(), np.uint8)
    return asdict(decoder.config), tensors


def decoder_from(
    alphabet: Symbols,
    settings: Mapping[str, Any] | None,
    tensors: Mapping[str, np.ndarray],
    task: str = "ctc",
) -> tuple[Decoder | LabelDecoder, dict[str, np.ndarray]]:
    """Return the decoder that a model file stores, and the remaining tensors of the file.

    Args:
        alphabet: the alphabet of the model.
        settings: the settings in the header; None for a file of a version that did not store them.
        tensors: all tensors of the file.
        task: the task of the model.

    Raises:
        ValueError: a setting is unknown, or arrays are damaged.
    """
    settings = {} if settings is None else settings
    unknown = set(settings) - {field.name for field in fields(DecodingConfig)}
    if unknown:
        raise ValueError(f"unknown setting {', '.join(sorted(unknown))} of decoding")
    weights: dict[str, np.ndarray] = {}
    models: dict[str, dict[str, np.ndarray]] = {}
    words = None
    for name, array in tensors.items():
        if name.startswith(MODEL):
            number, _, part = name.removeprefix(MODEL).partition(".")
            models.setdefault(number, {})[part] = array
        elif name == LEXICON:
            words = array.tobytes().decode().split("\n")
        else:
            weights[name] = array
    if not alphabet.writes_text:
        return LabelDecoder(alphabet, whole=task == "classify"), weights
    rescorer = _model(models.pop(RESCORER)) if RESCORER in models else None
    kept = [_model(models[number]) for number in sorted(models)]
    config = DecodingConfig(**settings)
    return Decoder(alphabet, config, kept, words, quiet=True, rescorer=rescorer), weights


def _model(arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the language model of arrays: a recurrent one if they contain a header, or n-grams."""
    if "header" not in arrays:
        from common.language.ngram import NGram  # imported here: greedy decoding does not need it

        return NGram.from_arrays(arrays)
    from common.language.recurrent_model import RecurrentModel

    return RecurrentModel.from_arrays(arrays)
