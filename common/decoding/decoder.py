"""The decoder of a CTC recognizer: greedy or beam search, with language models, lexicon and hot words."""

import logging
import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from common.decoding.arrays import Array, check_values, to_numpy
from common.decoding.greedy import collapsed, greedy
from common.decoding.hypothesis import Hypothesis, beam_hypotheses, greedy_hypothesis
from common.decoding.silence import silenced, silent_steps
from common.text.phonetic.phones import Phones
from common.text.symbols import Symbols

if TYPE_CHECKING:  # imported when a beam search is built, so that greedy decoding starts at once
    from common.decoding.beam.fusion import Scorer
    from common.decoding.beam.hot_words import HotWord
    from common.decoding.beam.prefixes import Hypotheses
    from common.decoding.beam.scorers import WordScorer
    from common.decoding.beam.search import BeamSearch
    from common.decoding.pronunciation.words import WordFinder
    from common.language.ngram import NGram
    from common.language.recurrent_model import RecurrentModel

log = logging.getLogger(__name__)

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
STEPS_PER_PIECE = 64
"""steps of arrays that are searched at a time; bounds the memory for large batches and long recordings"""
STEPS_ON_DEVICE = 512
"""steps that are searched at a time on a GPU, which is given its work at once"""
VOTING_HYPOTHESES = 20
"""number of best hypotheses that are rescored, and that a label's confidence is computed from"""


@dataclass(frozen=True)
class DecodingConfig:
    """Settings of decoding; a model file stores them."""

    decoder: Literal["greedy", "beam"] = "greedy"
    """greedy: the likeliest class of each step; beam: the likeliest text, with a language model if given."""
    beam_width: int = 50
    """Number of texts in the beam: a wider beam finds likelier texts, and takes longer."""
    lm_weight: float = 0.6
    """Weight of the language model's natural log-probabilities."""
    label_bonus: float = 0.8
    """Added for each character if a model over characters is used."""
    word_lm_weight: float | None = None
    """Weight of the model over words if one over characters is used, too; None: lm_weight."""
    word_bonus: float = 1.0
    """Added for each word if a model over words or a lexicon is used."""
    unknown_word_penalty: float | None = None
    """Subtracted for each word that is not in the lexicon; None: only words of the lexicon are allowed."""
    hot_word_boost: float = 1.0
    """Added for each letter of a hot word."""
    length_penalty: float = 0.0
    """Attention: a higher value favours longer texts (Wu et al. 2016)."""
    ctc_weight: float = 0.3
    """Attention with a CTC head: weight of CTC in the score of a text, from 0 to 1 (Hori et al. 2017)."""
    rescore_weight: float = 0.5
    """Weight of the natural log-probabilities of the model that rescores the best hypotheses."""
    rescore_bonus: float = 0.0
    """Added for each character when hypotheses are rescored."""
    temperature: float = 1.0
    """Divisor of log-probabilities for confidences; above 1, confidences are lower."""

    def __post_init__(self) -> None:
        if self.decoder not in ("greedy", "beam"):
            raise ValueError(f"decoder is {self.decoder!r}; choose greedy or beam")
        if self.beam_width < 1:
            raise ValueError(f"beam_width is {self.beam_width}; give 1 or more")
        for name, value in vars(self).items():
            if name != "decoder" and value is not None and not math.isfinite(value):
                raise ValueError(f"{name} is {value:g}; give a finite number")
        if self.length_penalty < 0 or not 0 <= self.ctc_weight <= 1:
            raise ValueError(
                f"length_penalty is {self.length_penalty:g} and ctc_weight {self.ctc_weight:g}; give 0 or"
                " more, and a share from 0 to 1"
            )
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature:g}; give a number above 0")


class Decoder:
    """Turns the log-probabilities of a recognizer into hypotheses.

    Args:
        alphabet: the alphabet of the recognizer. With phones, words are found by their pronunciations.
        config: settings.
        models: language models, at most one over characters and one over words; the latter of n-grams. They
            read texts in the order of labels (`Alphabet.spell`).
        words: the lexicon; None for the words of the model over words, if there is one.
        hot_words: words or phrases that become likelier, and that the lexicon has besides its own words.
        quiet: whether missing characters and words that cannot be spelled are logged as debug messages and
            not as warnings.
        rescorer: a recurrent language model that rescores the best hypotheses.

    Attributes:
        alphabet, config, models, words, hot_words, rescorer: the arguments.
        search: the beam search, if `config.decoder` is "beam".

    Raises:
        ValueError: arguments that do not fit each other or the alphabet.
    """

    def __init__(
        self,
        alphabet: Symbols,
        config: DecodingConfig | None = None,
        models: "Sequence[NGram | RecurrentModel]" = (),
        words: Sequence[str] | None = None,
        hot_words: "Sequence[str | HotWord]" = (),
        quiet: bool = False,
        rescorer: "RecurrentModel | None" = None,
    ) -> None:
        self.rescorer = rescorer
        self.alphabet, self.config = alphabet, config or DecodingConfig()
        self.models, self.words, self.hot_words = tuple(models), words, tuple(hot_words)
        self._level = logging.DEBUG if quiet else logging.WARNING
        self._finder = _word_finder(alphabet) if isinstance(alphabet, Phones) else None
        if self.config.decoder == "beam":
            self.search = self._beam_search()

    def _beam_search(self) -> "BeamSearch":
        from common.decoding.beam.fusion import Fusion
        from common.decoding.beam.search import BeamSearch

        symbols = ("", *self.alphabet.symbols)
        if isinstance(self.alphabet, Phones):
            scorers: list[Scorer] = [self._pronunciation_scorer(self.alphabet)]
        else:
            scorers = self._scorers(symbols)
        return BeamSearch(self.config.beam_width, fusion=Fusion(scorers, len(symbols)) if scorers else None)

    def _pronunciation_scorer(self, phones: Phones) -> "Scorer":
        """Return the scorer of words by their sound, which also finds the words of the search's results."""
        from common.decoding.pronunciation.building import scorer_of
        from common.decoding.pronunciation.words import WordFinder

        if self.hot_words or self.rescorer is not None:
            raise ValueError(
                "hot words and rescoring are for models of characters; this one knows words by their sound,"
                " so take another, or give it pronunciations of them and a language model over words"
            )
        config = self.config
        weights = (config.lm_weight, config.word_bonus, config.unknown_word_penalty)
        scorer = scorer_of(phones, self.models, self.words, *weights, self._level)
        self._finder = WordFinder(phones, scorer.scores)
        return scorer

    def _scorers(self, symbols: Sequence[str]) -> "list[Scorer]":
        from common.decoding.beam.hot_words import HIGHEST_BOOST, hot_words_of
        from common.decoding.beam.scorers import HotWordScorer

        hot = hot_words_of(self.hot_words)
        phrases = self._spelled([word.text for word in hot], "hot words")
        scorers: list[Scorer] = []
        by_unit = {model.unit: model for model in self.models}
        if len(by_unit) < len(self.models):
            raise ValueError(
                "two language models over the same unit; give one over characters, one over words"
            )
        if "character" in by_unit:
            model = by_unit["character"]
            _check_known(model, self.alphabet, self._level)
            scorers.append(_character_scorer(model, symbols, self.config))
        if "word" in by_unit or self.words is not None:
            words = [word for phrase in phrases for word in phrase.split()]
            scorers.append(self._word_scorer(symbols, by_unit.get("word"), "character" in by_unit, words))
        if hot:
            boost = self.config.hot_word_boost
            boosts = [boost if word.boost is None else word.boost for word in hot]
            scorer = HotWordScorer(phrases, symbols, boosts)
            most, name = max(zip(boosts, (word.text for word in hot), strict=True))
            if most > HIGHEST_BOOST:
                sentence = "hot words: a boost of %g for each letter writes %r over others; give %g or less"
                log.log(self._level, sentence, most, name, HIGHEST_BOOST)
            _report_unspelled(scorer.unspelled, len(hot), "hot words", self._level)
            scorers.append(scorer)
        return scorers

    def _word_scorer(
        self,
        symbols: Sequence[str],
        model: "NGram | RecurrentModel | None",
        with_characters: bool,
        hot: Sequence[str],
    ) -> "WordScorer":
        """Return the scorer for the lexicon and the language model over words, at least one of which exists.

        Args:
            symbols: what each class writes.
            model: over words, or None.
            with_characters: whether there is a language model over characters, too.
            hot: words that are possible besides those of the lexicon.
        """
        from common.decoding.beam.lexicon import Lexicon
        from common.decoding.beam.scorers import WordScorer
        from common.language.ngram import SPECIAL, NGram

        if model is not None and not isinstance(model, NGram):
            raise ValueError(
                "a recurrent language model over words cannot join the search; rescore with it (--rescore)"
            )
        model = model and _in_form(model, self.alphabet.unicode_form)
        name = "lexicon"
        if self.words is not None:
            words = self._spelled(self.words, name)
        else:
            assert model is not None, "there is a lexicon or a model over words"
            words, name = model.tokens[len(SPECIAL) :], "language model over words"
        if several := next((word for word in words if " " in word), None):
            raise ValueError(f"lexicon: {several!r} is more than one word; write one a line, nothing else")
        lexicon = Lexicon([*words, *hot], symbols, name)
        unspelled = [lexicon.words[place] for place in lexicon.unspelled if place < len(words)]
        _report_unspelled(unspelled, len(words), name, self._level)
        weight, penalty = self.config.lm_weight, self.config.unknown_word_penalty
        if with_characters and self.config.word_lm_weight is not None:
            weight = self.config.word_lm_weight
        penalty = np.inf if penalty is None else penalty
        return WordScorer(lexicon, symbols, model, weight, self.config.word_bonus, penalty)

    def _spelled(self, words: Sequence[str], what: str) -> Sequence[str]:
        """Return words in the case of the alphabet and in the order of labels; say whose case is changed."""
        from common.decoding.beam.hot_words import in_case_of

        given = list(map(self.alphabet.spell, words)) if self.alphabet.direction else words
        spelled = in_case_of((" ", *self.alphabet.symbols), given)
        changed = [pair for pair in zip(given, spelled, strict=True) if pair[0] != pair[1]]
        if changed:
            sentence = "%s: %d of %d are taken in the case of the alphabet, such as %r as %r"
            log.log(self._level, sentence, what, len(changed), len(words), *changed[0])
        return spelled

    def decode(self, log_probs: Array, lengths: np.ndarray, count: int = 1) -> list[list[Hypothesis]]:
        """Return up to `count` hypotheses of each signal, best first; greedy decoding returns one.

        The confidence of a label is its probability at its peak, with log-probabilities divided by the
        temperature. In a beam search it is the mean of that and of the agreement of the best hypotheses: the
        share of their probability, at the same temperature, that has the same label near the same step. In a
        long silence a beam search finds nothing, either (`common.decoding.silence`).

        Args:
            log_probs: (B, S, C) natural log-probabilities, NumPy or torch.
            lengths: (B,) number of real steps.
            count: 1 or more.

        Raises:
            ValueError: a log-probability of a real step is NaN or +inf.
        """
        return self.decode_at_any_temperature(log_probs, lengths, count)(self.config.temperature)

    def decode_at_any_temperature(
        self, log_probs: Array, lengths: np.ndarray, count: int = 1
    ) -> Callable[[float], list[list[Hypothesis]]]:
        """Search once, and return a function from a temperature to the hypotheses of `decode` at it.

        The temperature changes only confidences, so that many of them can be tried after one search.
        """
        if self.config.decoder == "greedy":
            rows = _real_steps(log_probs, lengths)
            hits = [greedy(row) for row in rows]
            return lambda temperature: [
                [self._with_words(greedy_hypothesis(*one, temperature))]
                for one in zip(rows, hits, strict=True)
            ]
        best = self._beams(log_probs, lengths, min(self.config.beam_width, max(count, VOTING_HYPOTHESES)))
        return lambda temperature: [
            list(
                map(
                    self._with_words,
                    beam_hypotheses(best, row, log_probs[row, :length], count, temperature),
                )
            )
            for row, length in enumerate(lengths)
        ]

    def _with_words(self, hypothesis: Hypothesis) -> Hypothesis:
        """Return a hypothesis in which words stand for their phones, if the labels are phones."""
        return hypothesis._replace(hits=self._finder.hits(hypothesis.hits)) if self._finder else hypothesis

    def _text(self, labels: list[int]) -> str:
        """Return the text of the labels that a search found."""
        return self.alphabet.decode(self._finder.labels(labels) if self._finder else labels)

    def texts(self, log_probs: Array, lengths: np.ndarray) -> list[str]:
        """Return the best text of each signal, the same as of `decode`, without places and confidences."""
        if self.config.decoder == "greedy":
            check_values(log_probs, lengths)
            paths = to_numpy(log_probs.argmax(-1))  # (B, S): from a GPU only labels are fetched
            return [
                self._text(collapsed(path[:length]))
                for path, length in zip(paths, lengths.tolist(), strict=True)
            ]
        best = self._beams(log_probs, lengths, 1)
        return [
            self._text(labels[:length].tolist())
            for labels, length in zip(best.labels[:, 0], best.lengths[:, 0], strict=True)
        ]

    def _beams(self, log_probs: Array, lengths: np.ndarray, count: int) -> "Hypotheses":
        beam, silent = self.search.start(log_probs), silent_steps(log_probs, lengths)
        size = STEPS_PER_PIECE if isinstance(log_probs, np.ndarray) else STEPS_ON_DEVICE
        for first in range(0, max(int(lengths.max(initial=0)), 1), size):
            steps = slice(first, first + size)
            piece = silenced(log_probs[:, steps], silent[:, steps])
            self.search.feed(beam, piece, np.clip(lengths - first, 0, piece.shape[1]))
        if self.rescorer is None:
            return self.search.best(beam, count)
        best = self.search.best(beam, min(self.config.beam_width, max(count, VOTING_HYPOTHESES)))
        return _each(self._rescored(best, self.rescorer), lambda part: part[:, :count])

    def _rescored(self, best: "Hypotheses", rescorer: "RecurrentModel") -> "Hypotheses":
        """Return the hypotheses, ordered by their score plus that of `rescorer` for the whole text."""
        alive = best.scores > -np.inf  # (B, N)
        spelled = zip(best.labels[alive].tolist(), best.lengths[alive].tolist(), strict=True)
        texts = ["".join(self.alphabet.pieces(labels[:length])) for labels, length in spelled]
        final = best.final.copy()
        final[alive] += self.config.rescore_weight * rescorer.score(texts)
        final += self.config.rescore_bonus * best.lengths
        order = np.argsort(-(best.fused + final), axis=1, kind="stable")  # (B, N)
        return _each(
            best._replace(final=final),
            lambda part: np.take_along_axis(part, order if part.ndim == 2 else order[..., None], 1),
        )


def _word_finder(phones: Phones) -> "WordFinder":
    from common.decoding.pronunciation.words import WordFinder

    return WordFinder(phones)


def _each(best: "Hypotheses", change: Callable[[np.ndarray], np.ndarray]) -> "Hypotheses":
    """Return the hypotheses after `change` of each array (B, N, ...)."""
    return type(best)(*map(change, best))


def _real_steps(log_probs: Array, lengths: np.ndarray) -> list[np.ndarray]:
    """Return the real steps (S, C) of each signal in log-probabilities (B, S, C) of lengths (B,)."""
    check_values(log_probs, lengths)
    return [one[:length] for one, length in zip(to_numpy(log_probs), lengths, strict=True)]


def _character_scorer(
    model: "NGram | RecurrentModel", symbols: Sequence[str], config: DecodingConfig
) -> "Scorer":
    from common.decoding.beam.scorers import CharacterScorer
    from common.language.ngram import NGram

    if isinstance(model, NGram):
        return CharacterScorer(model, symbols, config.lm_weight, config.label_bonus)
    from common.decoding.beam.recurrent_scorer import RecurrentScorer

    return RecurrentScorer(model, symbols, config.lm_weight, config.label_bonus)


def _in_form(model: "NGram", form: str) -> "NGram":
    """Return a model whose words are in the Unicode form of the recognizer, in which it spells words."""
    if form == "none" or unicodedata.is_normalized(cast(Form, form), "\n".join(model.tokens)):
        return model
    tokens = [unicodedata.normalize(cast(Form, form), token) for token in model.tokens]
    changed = sum(one != other for one, other in zip(tokens, model.tokens, strict=True))
    sentence = "language model over words: %d of %d words are in another Unicode form and are read in %s"
    log.info(sentence, changed, len(tokens), form)
    return model.renamed(tokens)


def _check_known(model: "NGram | RecurrentModel", alphabet: Symbols, level: int) -> None:
    """Log the symbols that a model over characters lacks; raise ValueError if it lacks all letters."""
    lacking = [symbol for symbol in alphabet.symbols if not model.id(symbol)]
    # a model of another case or script still knows the space
    written = {symbol for symbol in alphabet.symbols if not symbol.isspace()}
    letters = {symbol for symbol in written if symbol.isalpha()} or written
    if letters <= set(lacking):
        raise ValueError(
            "the language model knows none of the letters of this recognizer's alphabet; "
            "train it on texts in the same script and case (lm train --like MODEL)"
        )
    if lacking:
        sentence = (
            "the language model lacks %d of the alphabet's %d characters, which it takes for unknown: %s"
        )
        named = " ".join(repr(symbol)[1:-1] for symbol in lacking[:20])
        log.log(level, sentence, len(lacking), len(alphabet.symbols), named)


def _report_unspelled(words: Sequence[str], total: int, what: str, level: int) -> None:
    if words:
        named = ", ".join(repr(word) for word in words[:5])
        sentence = "%s: %d of %d cannot be spelled in this alphabet, such as %s"
        log.log(level, sentence, what, len(words), total, named)
