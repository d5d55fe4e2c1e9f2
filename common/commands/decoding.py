"""The decoder that a verb uses: that of the model file, changed by the flags of the search."""

import logging
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from common.command_line.parser import UsageError
from common.commands.flags.decoding import DecodingFlags
from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.labelled import LabelDecoder
from common.recognition.modality import Modality
from common.recognition.transcriber import Transcriber
from common.recognition.voting.voters import Voters
from common.text.phonetic.phones import Phones
from common.text.phonetic.pronunciations import read_pronunciations
from common.text.symbols import Symbols

log = logging.getLogger(__name__)

NEEDS = {
    "lm_weight": "a language model; name one with --lm",
    "label_bonus": "a language model over characters; name one with --lm",
    "word_lm_weight": "two language models, over characters and words; name them with --lm, twice",
    "word_bonus": "a language model over words or a lexicon; name one with --lm or --lexicon",
    "unknown_word_penalty": "a language model over words or a lexicon; name one with --lm or --lexicon",
    "hot_word_boost": "hot words; name a file with --hot-words",
    "rescore_weight": "a recurrent language model; name one with --rescore",
    "rescore_bonus": "a recurrent language model; name one with --rescore",
}
"""what each weight of the beam search has no effect without"""


MATERIAL = ("lm", "lexicon", "pronunciations", "hot_words", "rescore")
"""flags that name a file for the search"""
OF_ONE_MODEL = ("lm", "lexicon", "pronunciations", "rescore")
"""those that do not fit every model"""
OF_LETTERS = ("lm", "lexicon", "hot_words", "rescore")
"""those that a model which spells can use, whatever words are in them"""
OF_ATTENTION = ("length_penalty", "ctc_weight")
OF_BOTH = ("decoder", "beam_width")
"""settings of an attention decoder only, and settings of attention and CTC; all others are of CTC only"""


def model_for(modality: Modality, model: Path | None, flags: DecodingFlags) -> Path | None:
    """Return the model of a call: `model`, or where none is named, the one that spells if flags need one.

    Hot words, lexicons, language models and rescoring work on letters; with pronunciations, on words.
    Without a search, only letters are a text.
    """
    material = [_flag(name) for name in OF_LETTERS if getattr(flags, name)]
    if flags.decoder == "greedy":
        material.append("--decoder greedy")
    if model is not None or modality.spelling is None or flags.pronunciations or not material:
        return model
    sentence = "%s: the model %s reads, which spells; --model names another one"
    log.info(sentence, ", ".join(material), modality.spelling)
    return modality.model_file(modality.spelling)


def set_decoder(recognizer: Transcriber, flags: DecodingFlags) -> None:
    """Change the decoder of a recognizer, or of each voter, as flags say; errors of `build_decoder`.

    A file for the search is made for one model, so that with one no second model is asked.
    """
    if isinstance(recognizer, Voters):
        recognizer.decode_with([build_decoder(one.decoder, flags, one.task) for one in recognizer.voters])
    else:
        recognizer.decoder = build_decoder(recognizer.decoder, flags, recognizer.task)
        if recognizer.second is not None and any(getattr(flags, name) for name in OF_ONE_MODEL):
            recognizer.second = None
        elif recognizer.second is not None:
            recognizer.second.prepare(partial(set_decoder, flags=flags))
        if recognizer.spelling is not None and flags.beam_width is not None:
            width = DecodingFlags(beam_width=flags.beam_width)  # other weights are those of words
            recognizer.spelling.prepare(partial(set_decoder, flags=width))


def build_decoder(
    stored: Decoder | LabelDecoder, flags: DecodingFlags, task: str = "ctc"
) -> Decoder | LabelDecoder:
    """Return the decoder of a model file, changed by the flags that were given.

    Args:
        stored: the decoder of the model file.
        flags: of the verb.
        task: of the model.

    Raises:
        ValueError: flags that contradict each other, or a file that cannot be read.
    """
    names = {field.name for field in fields(DecodingConfig)}
    given: dict[str, Any] = {
        name: value for name, value in vars(flags).items() if name in names and value is not None
    }
    material = [_flag(name) for name in MATERIAL if getattr(flags, name)]
    if not given and not material:
        return stored
    if isinstance(stored, LabelDecoder):
        useless = material + [_flag(name) for name in given]
        raise UsageError(f"{', '.join(useless)}: of no use to a model that gives labels, not texts")
    _check_task(task, list(given), material)
    if (task == "attention" or material) and "decoder" not in given:
        given["decoder"] = "beam"
    config = _changed(stored.config, given)
    if config.decoder == "greedy":
        useless = material + [_flag(name) for name in given if name != "decoder"]
        if useless:
            raise UsageError(f"{', '.join(useless)}: of no use to greedy decoding; say --decoder beam")
    alphabet = stored.alphabet
    if flags.pronunciations:
        alphabet = _saying(alphabet, flags.pronunciations)
    from common.decoding.beam.hot_words import read_hot_words
    from common.decoding.beam.lexicon import read_words
    from common.language.loading import load_language_model

    normalise = alphabet.normalise
    hot_words = stored.hot_words
    if flags.hot_words:
        read = read_hot_words(flags.hot_words)
        hot_words = tuple(one._replace(text=normalise(one.text)) for one in read)
    decoder = Decoder(
        alphabet,
        config,
        list(map(load_language_model, flags.lm)) if flags.lm else stored.models,
        list(map(normalise, read_words(flags.lexicon))) if flags.lexicon else stored.words,
        hot_words,
        quiet=not material,  # what the file itself lacks is known
        rescorer=_rescorer(flags.rescore) if flags.rescore else stored.rescorer,
    )
    useless = [name for name in given if name in NEEDS and name not in settings_in_use(decoder)]
    if useless:
        raise UsageError(f"{_flag(useless[0])}: of no use without {NEEDS[useless[0]]}")
    return decoder


def _saying(alphabet: Symbols, path: Path) -> Phones:
    """Return the phones of a model with the pronunciations of a file."""
    if not isinstance(alphabet, Phones):
        raise UsageError(f"--pronunciations {path}: is for models of phones; this one knows characters")
    from common.decoding.pronunciation.writing import in_writing_of

    texts = " ".join(alphabet.words)
    try:
        return alphabet.saying(in_writing_of(texts, read_pronunciations(path), alphabet.unicode_form))
    except ValueError as error:
        raise UsageError(f"--pronunciations {path}: {error}".replace(f"{path}: {path}", f"{path}")) from None


def _check_task(task: str, settings: list[str], material: list[str]) -> None:
    """Raise UsageError for settings, or flags that name files, that do not go with the task of the model."""
    if task == "attention":
        useless = [_flag(name) for name in settings if name not in OF_ATTENTION + OF_BOTH] + material
    else:
        useless = [_flag(name) for name in settings if name in OF_ATTENTION]
    if useless:
        raise UsageError(f"{', '.join(useless)}: of no use to a model of --task {task}")


def _changed(config: DecodingConfig, given: dict[str, Any]) -> DecodingConfig:
    """Return a configuration with the settings that were given; errors name their flag."""
    try:
        return replace(config, **given)
    except ValueError as error:  # "beam_width is 0; give 1 or more"
        name, _, problem = str(error).partition(" ")
        raise UsageError(f"{_flag(name)} {problem}") from None


def settings_in_use(decoder: Decoder) -> list[str]:
    """Return the settings of NEEDS that have an effect on this decoder."""
    if decoder.config.decoder == "greedy":
        return []
    units = {model.unit for model in decoder.models}
    words = "word" in units or decoder.words is not None or isinstance(decoder.alphabet, Phones)
    matters = {
        "lm_weight": bool(units),
        "label_bonus": "character" in units,
        "word_lm_weight": len(units) == 2,
        "word_bonus": words,
        "unknown_word_penalty": words,
        "hot_word_boost": bool(decoder.hot_words),
        "rescore_weight": decoder.rescorer is not None,
        "rescore_bonus": decoder.rescorer is not None,
    }
    return [name for name in NEEDS if matters[name]]


def _rescorer(path: Path) -> Any:
    from common.language.recurrent_model import RecurrentModel, is_recurrent

    if not is_recurrent(path):
        raise UsageError(f"{path}: n-grams join the search, where they do more: give them with --lm")
    return RecurrentModel.load(path)


def flags_for(config: DecodingConfig, names: list[str]) -> str:
    """Return the flags that give these settings, without those that are None."""
    given = {name: getattr(config, name) for name in names}
    return " ".join(f"{_flag(name)} {value:g}" for name, value in given.items() if value is not None)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
