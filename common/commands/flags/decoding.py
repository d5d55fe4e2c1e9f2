"""Flags of the search for the text; the verbs that write or measure texts have them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from common.command_line.flag import Flag

DEFAULT = "as in the model file"
STORED = Flag(default=DEFAULT)


@dataclass(frozen=True)
class DecodingFlags:
    """How the text is searched for. A flag that is not given leaves the setting of the model file."""

    decoder: Annotated[Literal["greedy", "beam"] | None, STORED] = None
    """greedy: the most probable class of each step, fast; beam: the most probable text. A language model, a
    lexicon or hot words select beam."""
    beam_width: Annotated[int | None, STORED] = None
    """Hypotheses that the beam search keeps at each step: more find more probable texts, and take longer."""
    lm: Annotated[tuple[Path, ...], Flag(default=DEFAULT, repeated=True)] = ()
    """Language model (.npz, ARPA, or a recurrent .safetensors: see the verb lm). Give it twice for a model
    over characters and one over words."""
    lm_weight: Annotated[float | None, STORED] = None
    """Weight of the language model's natural log-probabilities."""
    label_bonus: Annotated[float | None, STORED] = None
    """Score added for each character; with a model over characters."""
    word_lm_weight: Annotated[float | None, STORED] = None
    """Weight of the model over words, if there is one over characters, too."""
    word_bonus: Annotated[float | None, STORED] = None
    """Score added for each word; with a model over words or a lexicon."""
    lexicon: Annotated[Path | None, STORED] = None
    """File of words, one a line. Without it the words of the model over words are the lexicon."""
    pronunciations: Annotated[Path | None, STORED] = None
    """For models of phones: file of words and their phones, as CMUdict, in place of those of the model."""
    unknown_word_penalty: Annotated[float | None, STORED] = None
    """Score subtracted for each word outside the lexicon. Without it only words of the lexicon occur."""
    hot_words: Annotated[Path | None, Flag(default="none")] = None
    """File of words or phrases that are expected, one a line; `NAME :2.5` has its own boost. They join the
    lexicon."""
    hot_word_boost: Annotated[float | None, STORED] = None
    """Score added for each letter of a hot word."""
    length_penalty: Annotated[float | None, STORED] = None
    """For attention models: a higher value favours longer texts."""
    ctc_weight: Annotated[float | None, STORED] = None
    """For attention models with a CTC head: the share of CTC in a text's score."""
    rescore: Annotated[Path | None, STORED] = None
    """Recurrent language model that reorders the best texts of the search."""
    rescore_weight: Annotated[float | None, STORED] = None
    """Weight of the natural log-probabilities of --rescore."""
    rescore_bonus: Annotated[float | None, STORED] = None
    """Score added for each character when texts are reordered."""
