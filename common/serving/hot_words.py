"""Hot words of one request: the decoder of the model with other words."""

from collections.abc import Sequence
from dataclasses import replace

from common.decoding.beam.hot_words import HIGHEST_BOOST, hot_word_of, in_case_of
from common.decoding.decoder import Decoder
from common.recognition.transcriber import Transcriber
from common.recognition.voting.voters import Voters
from common.serving.errors import refused
from common.text.phonetic.phones import Phones

MOST_WORDS, MOST_CHARACTERS = 100, 100
"""hot words of a request, and characters of one"""


def decoder_with(recognizer: Transcriber, keywords: Sequence[str], param: str) -> Decoder:
    """Return the decoder of a recognizer with hot words, which are added to those that it has.

    Args:
        recognizer: what computes.
        keywords: words or phrases; `NEW YORK :2.5` has its own boost.
        param: the parameter that they came in.

    Raises:
        RequestError: the model has no hot words, or cannot write one of these.
    """
    stored = recognizer.decoder
    if isinstance(recognizer, Voters):
        raise refused(param, f"{param}: a server whose models vote takes hot words only when it is started")
    if recognizer.task != "ctc" or not isinstance(stored, Decoder):
        raise refused(param, f"{param}: a model of the task {recognizer.task} has no hot words")
    if isinstance(stored.alphabet, Phones):
        raise refused(param, f"{param}: a model of phones has no hot words; give it pronunciations of them")
    if len(keywords) > MOST_WORDS:
        raise refused(param, f"{param}: {len(keywords)} are given, at most {MOST_WORDS} are taken")
    alphabet, words = stored.alphabet, []
    for word in map(hot_word_of, keywords):
        text = " ".join(alphabet.normalise(word.text).split())
        if not text or len(text) > MOST_CHARACTERS:
            raise refused(param, f"{param}: each has 1 to {MOST_CHARACTERS} characters")
        if word.boost is not None and word.boost > HIGHEST_BOOST:
            raise refused(param, f"{param}: a boost is {word.boost:g}, at most {HIGHEST_BOOST:g} is taken")
        (spelled,) = in_case_of((" ", *alphabet.symbols), [text])
        if unknown := alphabet.unknown(spelled):
            raise refused(param, f"{param}: {text!r} has {', '.join(unknown)}, which the model cannot write")
        words.append(word._replace(text=text))
    config = replace(stored.config, decoder="beam")
    known = [*stored.hot_words, *words]
    return Decoder(alphabet, config, stored.models, stored.words, known, True, stored.rescorer)
