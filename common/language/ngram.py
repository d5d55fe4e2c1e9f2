"""Language models of n-grams: the probability of a token after the few before it, looked up in batches.

The n-grams are the nodes of a tree, sorted by length, parent and token:

    0 root ─┬─ 1 "a" ─┬─ 3 "a a"         children of a node are neighbours, and
            │         └─ 4 "a b"             key = parent * tokens + token
            └─ 2 "b" ─── 5 "b a"         rises from node to node: a binary search finds a child

A state is the node of the context, the longest n-gram in the model that ends what was read. Where a context
has no such child, its backoff weight is paid and its suffix, the context without the first token, is asked:
https://www.speech.sri.com/projects/srilm/manpages/ngram-format.5.html
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from common.files.aside import written_aside
from common.text.vocabulary import UNKNOWN_TOKEN

START_TOKEN, END_TOKEN = "<s>", "</s>"
SPECIAL = (UNKNOWN_TOKEN, START_TOKEN, END_TOKEN)
"""the first tokens of every model: what is not among its tokens, the start and the end of a sentence"""
UNKNOWN_ID, START_ID, END_ID = 0, 1, 2
UNITS = ("character", "word")
EMPTY_CONTEXT = 0
"""the node of the empty context"""
UNRESOLVED = -2
"""instead of a suffix that has not been worked out"""
LN10 = 2.302585092994046
FLOOR = -100 * LN10
"""log-probability of a token that has no unigram, `<unk>` included; KenLM takes the same 10^-100"""
VERSION = 1
"""of the arrays that keep a model"""


class NGram:
    """An n-gram model with backoff.

    Attributes:
        tokens: by their id; 0 `<unk>`, 1 `<s>`, 2 `</s>`, then the others.
        unit: "character" (each token but those three is one code point, the space " ") or "word".
        order: the length of the longest n-grams.
        token: (nodes,) int32, the last token of each node's n-gram; the root's is 0.
        log_prob: (nodes,) float32, natural logarithm of p(last token | those before).
        backoff: (nodes,) float32, natural logarithm of the weight of the node as a context.
        first_child: (nodes + 1,) int64, the children of node s are `first_child[s]` to `first_child[s + 1]`.
        levels: (order + 2,) int64, the n-grams of length n are the nodes `levels[n]` to `levels[n + 1]`.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        unit: str,
        order: int,
        token: np.ndarray,
        log_prob: np.ndarray,
        backoff: np.ndarray,
        first_child: np.ndarray,
        suffix: np.ndarray | None = None,
    ) -> None:
        """Keep the arrays as described above; `suffix` (nodes,) is worked out where it is not given."""
        assert unit in UNITS, f"{unit!r} is none of {UNITS}"
        self.tokens = tuple(tokens)
        self.unit, self.order = unit, order
        self.token = token.astype(np.int32, copy=False)
        self.log_prob = log_prob.astype(np.float32, copy=False)
        self.backoff = backoff.astype(np.float32, copy=False)
        self.first_child = first_child.astype(np.int64, copy=False)
        levels = [0]
        for _ in range(order + 1):
            levels.append(int(self.first_child[levels[-1]]))
        self.levels = np.array(levels)
        self._ids = {token: place for place, token in enumerate(self.tokens)}
        self._parents = self.parents()
        self._keys = self._parents * len(self.tokens) + self.token
        self._keys[EMPTY_CONTEXT] = -1
        if suffix is None:
            suffix = np.full(len(self), UNRESOLVED, np.int32)
            suffix[: self.levels[2]], suffix[EMPTY_CONTEXT] = EMPTY_CONTEXT, -1
        self._suffix = suffix.astype(np.int32, copy=False)

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.token)

    @property
    def start(self) -> int:
        """The state at the start of a sentence, after `<s>`."""
        node = self._children(np.array([EMPTY_CONTEXT]), np.array([START_ID]))[0]
        return EMPTY_CONTEXT if self.order == 1 else max(int(node), EMPTY_CONTEXT)

    @property
    def suffix(self) -> np.ndarray:
        """Of each node the one of the longest n-gram that ends it and is shorter (nodes,) int32; root -1."""
        return self.suffixes(np.arange(len(self)))

    @property
    def counts(self) -> list[int]:
        """The number of n-grams of each length, from 1."""
        return np.diff(self.levels)[1:].tolist()

    def parents(self) -> np.ndarray:
        """Return the node of each n-gram without its last token (nodes,) int64; the root's is the root."""
        parents = np.repeat(np.arange(len(self)), np.diff(self.first_child))
        return np.concatenate([[EMPTY_CONTEXT], parents])

    # --- tokens

    def id(self, token: str) -> int:
        """Return the id of `token`, 0 if it is unknown."""
        return self._ids.get(token, UNKNOWN_ID)

    def ids(self, tokens: Iterable[str]) -> np.ndarray:
        """Return the ids of `tokens`, int32, 0 for each unknown one."""
        get = self._ids.get
        return np.fromiter((get(token, UNKNOWN_ID) for token in tokens), np.int32)

    def split(self, text: str) -> list[str]:
        """Return the tokens of a text: its code points, or its words between white space."""
        return list(text) if self.unit == "character" else text.split()

    # --- step by step

    def score(self, states: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log-probability of each token in its state, and the state after it.

        Args:
            states: (N,) nodes of n-grams shorter than `order`: `start`, `EMPTY_CONTEXT`, or what
                this returned.
            tokens: (N,) ids.

        Returns:
            log_probs (N,) float32, natural, and next states (N,) int32: of what was read, the longest end
            that is in the model and shorter than `order`.
        """
        nodes, log_probs = self._longest(np.asarray(states), np.asarray(tokens))
        found = nodes >= 0
        log_probs += np.where(found, self.log_prob[nodes], FLOOR)
        return log_probs.astype(np.float32), self._state(np.where(found, nodes, EMPTY_CONTEXT))

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Return the log-probability that `score` gives every token V in each state: (N, V) float32.

        Much faster than `score` where all tokens are wanted; N * V numbers must fit into memory.
        """
        contexts = [np.asarray(states, np.int64)]  # from the whole context to the empty one, -1 beyond
        while (contexts[-1] > EMPTY_CONTEXT).any():
            contexts.append(np.where(contexts[-1] > EMPTY_CONTEXT, self.suffixes(contexts[-1]), -1))
        chain = np.stack(contexts)  # (D, N)
        paid = np.zeros(
            (len(chain) + 1, len(contexts[0]))
        )  # (D + 1, N) backoff before each; float64: as `score`
        np.cumsum(np.where(chain >= 0, self.backoff[chain], 0.0), 0, out=paid[1:])
        log_probs = np.repeat((paid[-1] + FLOOR)[:, None], len(self.tokens), 1)
        depths, rows = np.nonzero(chain[::-1] >= 0)  # the empty one first: what longer ones give replaces it
        depths = len(chain) - 1 - depths
        first, end = self.first_child[chain[depths, rows]], self.first_child[chain[depths, rows] + 1]
        counts = end - first
        places = np.repeat(end - np.cumsum(counts), counts) + np.arange(counts.sum())
        given = self.log_prob[places] + np.repeat(paid[depths, rows], counts)
        log_probs[np.repeat(rows, counts), self.token[places]] = given
        return log_probs.astype(np.float32)

    # --- whole texts

    def log_probs(self, tokens: Sequence[str]) -> np.ndarray:
        """Return the log-probability (natural, float32) of each token of a sentence, and of its end."""
        ids = np.concatenate([[START_ID], self.ids(tokens), [END_ID]])
        return self.sentence_log_probs(ids, np.arange(len(ids)) == 0)[1:].astype(np.float32)

    def sentence_log_probs(self, ids: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return the log-probability (T,) of each of `ids` (T,), a sentence beginning where `starts` (T,).

        From short contexts to long ones, for all tokens at once: p(w | h) is that of the n-gram h w if there
        is one, else the backoff of h, if there is such a context, times p(w | h without its first token).
        """
        log_probs = np.full(len(ids), FLOOR)
        nodes = np.full(
            len(ids), EMPTY_CONTEXT
        )  # of the n-gram that ends at each token, -1 where there is none
        for length in range(1, self.order + 1):
            contexts = np.roll(nodes, 1)
            if length > 1:
                contexts[starts] = -1
            there = np.flatnonzero(contexts >= 0)
            found = self._children(contexts[there], ids[there])
            nodes = np.full(len(ids), -1)
            nodes[there] = found
            backed_off = log_probs[there] + self.backoff[contexts[there]]
            log_probs[there] = np.where(found >= 0, self.log_prob[found], backed_off)
        return log_probs

    # --- the tree

    def _children(self, parents: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Return the node of each token after its parent, -1 where there is none."""
        keys = parents.astype(np.int64) * len(self.tokens) + tokens
        nodes = np.searchsorted(self._keys, keys)
        nodes[nodes == len(self)] = EMPTY_CONTEXT  # whose key is none
        return np.where(self._keys[nodes] == keys, nodes, -1)

    def _longest(self, states: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the longest n-gram of an end of each state and its token, and the backoff paid for it.

        Nodes are -1 for tokens without a unigram; the sum of backoffs is float64.
        """
        nodes, paid = np.full(len(tokens), -1), np.zeros(len(tokens))
        rest = np.arange(len(tokens))
        while len(rest):
            found = self._children(states, tokens[rest])
            nodes[rest] = found
            missing = found < 0
            rest, states = rest[missing], states[missing]
            paid[rest] += self.backoff[states]
            states = self.suffixes(states)
            rest, states = rest[states >= 0], states[states >= 0]
        return nodes, paid

    def _state(self, nodes: np.ndarray) -> np.ndarray:
        """Return the states that n-grams lead to: themselves, or their suffix if they are of full length."""
        whole = nodes >= self.levels[self.order]
        states = nodes.astype(np.int32)
        states[whole] = self.suffixes(nodes[whole])
        return states

    def suffixes(self, nodes: np.ndarray) -> np.ndarray:
        """Return the node of the longest n-gram that ends each of `nodes` (N,) and is shorter: (N,) int32.

        It is worked out when it is first asked for, since a text meets few of a large model's n-grams: an
        n-gram's suffix is that of its parent with its own token, or what is found so from shorter ones.
        """
        suffixes = self._suffix.take(nodes)
        if suffixes.min(initial=EMPTY_CONTEXT) == UNRESOLVED:
            fresh = nodes[suffixes == UNRESOLVED]
            found, _ = self._longest(self.suffixes(self._parents[fresh]), self.token[fresh])
            self._suffix[fresh] = np.maximum(found, EMPTY_CONTEXT)
            suffixes = self._suffix.take(nodes)
        return suffixes

    # --- files

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the model as plain arrays of numbers, in small types, without what can be worked out."""
        top = self.levels[self.order]
        return {
            "version": np.array([VERSION], np.uint8),
            "order": np.array([self.order], np.uint8),
            "unit": np.array([UNITS.index(self.unit)], np.uint8),
            "tokens": np.frombuffer("\n".join(self.tokens).encode(), np.uint8),
            "token": _small(self.token[1:]),
            "children": _small(np.diff(self.first_child[: top + 1])),
            "log_prob": self.log_prob[1:],
            "backoff": self.backoff[:top],
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the model that `to_arrays` has described; other arrays may stand beside its own.

        Raises:
            ValueError: for arrays that are missing or do not fit together.
        """
        try:
            version, order, unit = (int(arrays[name][0]) for name in ("version", "order", "unit"))
            tokens = np.asarray(arrays["tokens"], np.uint8).tobytes().decode().split("\n")
            token, children = arrays["token"], arrays["children"].astype(np.int64)
            log_prob, backoff = arrays["log_prob"], arrays["backoff"]
        except KeyError as error:
            raise ValueError(f"no array {error.args[0]!r}; this is no n-gram model of ours") from None
        except (IndexError, TypeError, UnicodeDecodeError) as error:
            raise ValueError(f"the n-gram model is damaged ({error}); copy or train it again") from None
        if version > VERSION:
            raise ValueError(
                f"the n-gram model is of version {version}, known here up to {VERSION};"
                " install a newer release"
            )
        nodes = len(token) + 1
        first_child = np.full(nodes + 1, nodes)
        if children.ndim == 1 and 0 < len(children) <= nodes:
            first_child[: len(children)] = 1 + np.cumsum(children) - children
        numbers = (token, children, log_prob, backoff)
        if not _fit(numbers, first_child, len(tokens)) or order < 1 or unit not in range(len(UNITS)):
            raise ValueError("the arrays of the n-gram model do not fit together; copy or train it again")
        model = cls(
            tokens,
            UNITS[unit],
            order,
            np.concatenate([[0], token]),
            np.concatenate([np.zeros(1, np.float32), log_prob]),
            np.concatenate([backoff, np.zeros(nodes - len(backoff), np.float32)]),
            first_child,
        )
        if model.levels[-1] != nodes or tuple(tokens[:3]) != SPECIAL or (np.diff(model._keys) <= 0).any():
            raise ValueError("the n-grams of the model are not in order; copy or train it again")
        return model

    def save(self, path: str | Path) -> None:
        """Write the model as NumPy's .npz, whole or not at all.

        Raises:
            OSError: if it cannot be written.
        """
        with written_aside(path) as file:
            np.savez_compressed(file, **self.to_arrays())  # type: ignore[arg-type]


def _fit(numbers: Sequence[np.ndarray], first_child: np.ndarray, tokens: int) -> bool:
    """Return whether last tokens, child counts, log-probabilities and backoffs are those of one tree."""
    token, children, log_prob, backoff = numbers
    if any(array.ndim != 1 for array in numbers) or not len(token) == len(log_prob) == children.sum():
        return False
    return bool(
        len(children) == len(backoff) > 0
        and (first_child[:-1] > np.arange(len(token) + 1)).all()
        and children.min() >= 0
        and 0 <= token.min(initial=0) <= token.max(initial=0) < tokens
        and np.isfinite(log_prob).all()
        and np.isfinite(backoff).all()
    )


def _small(numbers: np.ndarray) -> np.ndarray:
    """Return numbers of 0 or more in the smallest type that holds them."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))
