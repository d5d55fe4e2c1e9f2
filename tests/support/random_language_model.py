"""A small recurrent language model with random weights, for the tests of what uses one."""

import torch

from common.language.recurrent_model import LanguageModelConfig
from common.network.language_model import LanguageModel
from common.text.symbols import Alphabet
from common.text.vocabulary import Vocabulary

LETTERS = Vocabulary(Alphabet(tuple("abcdef\ufffd")))


def model_of(seed: int = 0, conditions: tuple[str, ...] = ("x", "y", "z"), **settings) -> LanguageModel:
    torch.manual_seed(seed)
    config = LanguageModelConfig(**{"hidden_size": 8, "embedding_size": 5, **settings})
    named = conditions if config.condition != "none" and not config.condition_size else ()
    model = LanguageModel(config, LETTERS, named).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) / 2)
    return model
