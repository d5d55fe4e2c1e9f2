"""The core that `ocr` and `asr` share: recurrent encoder, CTC, decoding, language models, training.

These are its public names. Each is imported from its module when it is first asked for, so that
`from common import cer` does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from common.data.signal import Signal
    from common.decoding.alignment import align
    from common.decoding.attention.search import attention_search
    from common.decoding.beam.search import BeamSearch
    from common.language.kneser_ney import estimate
    from common.language.loading import load_language_model
    from common.language.ngram import NGram
    from common.language.recurrent_model import LanguageModelConfig, RecurrentModel
    from common.network.attention_decoder import AttentionDecoder, attention_losses
    from common.network.ctc import ctc_loss, ctc_losses
    from common.network.heads import AttentionHead, CTCHead, FrameHead, SequenceHead
    from common.network.language_model import LanguageModel
    from common.network.recurrent import RecurrentEncoder
    from common.network.sampling import sample
    from common.text.document import Document
    from common.text.metrics import ErrorRate, cer, wer
    from common.text.symbols import Alphabet, Names
    from common.text.transcript import Transcript
    from common.text.vocabulary import Vocabulary

__all__ = [
    "Alphabet",
    "AttentionDecoder",
    "AttentionHead",
    "BeamSearch",
    "CTCHead",
    "Document",
    "ErrorRate",
    "FrameHead",
    "LanguageModel",
    "LanguageModelConfig",
    "NGram",
    "Names",
    "RecurrentEncoder",
    "RecurrentModel",
    "SequenceHead",
    "Signal",
    "Transcript",
    "Vocabulary",
    "align",
    "attention_losses",
    "attention_search",
    "cer",
    "ctc_loss",
    "ctc_losses",
    "estimate",
    "load_language_model",
    "sample",
    "wer",
]

_MODULES = {
    "data.signal": ("Signal",),
    "decoding.alignment": ("align",),
    "decoding.attention.search": ("attention_search",),
    "decoding.beam.search": ("BeamSearch",),
    "language.kneser_ney": ("estimate",),
    "language.loading": ("load_language_model",),
    "language.ngram": ("NGram",),
    "language.recurrent_model": ("LanguageModelConfig", "RecurrentModel"),
    "network.attention_decoder": ("AttentionDecoder", "attention_losses"),
    "network.ctc": ("ctc_loss", "ctc_losses"),
    "network.heads": ("AttentionHead", "CTCHead", "FrameHead", "SequenceHead"),
    "network.language_model": ("LanguageModel",),
    "network.recurrent": ("RecurrentEncoder",),
    "network.sampling": ("sample",),
    "text.document": ("Document",),
    "text.metrics": ("ErrorRate", "cer", "wer"),
    "text.symbols": ("Alphabet", "Names"),
    "text.transcript": ("Transcript",),
    "text.vocabulary": ("Vocabulary",),
}
"""where each public name is defined"""


def __getattr__(name: str) -> Any:
    """Import and return a public name (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            value = getattr(import_module(f"common.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'common' has no attribute {name!r}; its names are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
