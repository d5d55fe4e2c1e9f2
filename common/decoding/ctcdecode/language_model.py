"""The n-gram model of the ctcdecode interface, which scores hypotheses over the labels of a decoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.decoding.beam.lexicon import Lexicon
from common.decoding.beam.scorers import CharacterScorer, WordScorer
from common.language.arpa import SPACE_NAME, SPACE_SIGNS
from common.language.loading import load_ngrams
from common.language.ngram import EMPTY_CONTEXT, END_ID, SPECIAL

UNKNOWN_LOG_PROB = -1000.0
"""log-probability of tokens that a model does not know"""


class _SingleWordScorer(WordScorer):
    """A `WordScorer` for labels without a space; the space is added as the last symbol."""

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Return the gain of each label in `states`: (N, C), without that of the space."""
        return super().rows(states)[:, :-1]


class LabelLanguageModel:
    """An n-gram model, with the tokens that the labels write.

    Args:
        path: the file of the model.
        symbols: what each of the C labels writes; "" for the blank.

    Raises:
        ValueError: the file is not a model, or the labels can spell none of its words.
    """

    def __init__(self, path: str | Path, symbols: Sequence[str]) -> None:
        self.model = load_ngrams(path)
        self.character_based = self.model.unit == "character"
        self.symbols = ["" if symbol in SPECIAL else symbol for symbol in symbols]
        self.lexicon: Lexicon | None = None
        if not self.character_based:
            try:
                self.lexicon = Lexicon(self.model.tokens[len(SPECIAL) :], self.symbols)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
        elif " " not in self.symbols:
            # without "_", which is the blank of many alphabets
            names = [
                *filter(SPACE_NAME.fullmatch, self.symbols),
                *(sign for sign in SPACE_SIGNS if sign != "_"),
            ]
            unknown = [name for name in names if name in self.symbols and name not in self.model.tokens]
            self.symbols = [" " if symbol in unknown[:1] else symbol for symbol in self.symbols]
        self._token = self.model.ids(self.symbols)  # (C,)

    def scorer(self, alpha: float, beta: float) -> CharacterScorer | WordScorer:
        """Return the scorer for the search, with the weights of the model and of each token."""
        if self.lexicon is None:
            return CharacterScorer(self.model, self.symbols, alpha, beta, False, UNKNOWN_LOG_PROB)
        kind, symbols = WordScorer, self.symbols
        if " " not in symbols:
            kind, symbols = _SingleWordScorer, [*symbols, " "]
        return kind(self.lexicon, symbols, self.model, alpha, beta, lookahead=False, ends=False)

    def surplus(self, labels: np.ndarray, lengths: np.ndarray, alpha: float, beta: float) -> np.ndarray:
        """Return the part (B, N) of the model in the approximate log-probability of hypotheses.

        That is the fused score - beta x number of labels - alpha x log-probability of the sentence. The
        tokens of the sentence cancel out, and beta x (tokens - labels) - alpha x log p(</s>) remains.

        Args:
            labels: (B, N, L).
            lengths: (B, N) number of labels.
            alpha: weight of the model.
            beta: added for each token.
        """
        B, N, L = labels.shape
        counts = lengths.reshape(-1)
        rows = zip(labels.reshape(B * N, L), counts, strict=True)
        texts = [self._tokens(row[:count]) for row, count in rows]
        tokens = np.array([len(text) for text in texts], np.int64)
        return (beta * (tokens - counts) - alpha * self._ends(texts)).reshape(B, N)

    def _tokens(self, labels: np.ndarray) -> np.ndarray:
        """Return the ids of the tokens that `labels` write."""
        if self.character_based:
            return self._token[labels]
        text = "".join([self.symbols[label] for label in labels])
        return self.model.ids(word for word in text.split(" ") if word)

    def _ends(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """Return the log-probability of `</s>` after each text, from its last order - 1 tokens."""
        memory = self.model.order - 1
        states = np.array(
            [EMPTY_CONTEXT if len(text) >= memory else self.model.start for text in texts], np.int64
        )
        tails = [text[max(len(text) - memory, 0) :] for text in texts]
        for place in range(memory):
            longer = [row for row, tail in enumerate(tails) if len(tail) > place]
            tokens = np.array([tails[row][place] for row in longer], np.int64)
            states[longer] = self.model.score(states[longer], tokens)[1]
        return self.model.score(states, np.full(len(states), END_ID))[0].astype(np.float64)
