"""N-gram language models: the probability of a token given the few tokens before it, looked up in batches.

The n-grams are the nodes of a tree, sorted by length, parent and token:

    0 root ─┬─ 1 "a" ─┬─ 3 "a a"         children of a node are neighbours, and
            │         └─ 4 "a b"             key = parent * tokens + token
            └─ 2 "b" ─── 5 "b a"         rises from node to node: a binary search finds a child

A state is the node of the context: the longest n-gram in the model that is a suffix of the tokens so far. If
the node of a context has no child for a token, the backoff weight of the context is applied, and the look-up
goes on at its suffix, which is the context without its first token:
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
"""the first tokens of every model: an unknown token, the start and the end of a sentence"""
UNKNOWN_ID, START_ID, END_ID = 0, 1, 2
UNITS = ("character", "word")
EMPTY_CONTEXT = 0
"""the node of the empty context"""
UNRESOLVED = -2
"""stands for a suffix that has not been computed yet"""
LN10 = 2.302585092994046
FLOOR = -100 * LN10
"""natural log-probability of a token without a unigram, `<unk>` included; KenLM uses 10^-100 as well"""
VERSION = 1
"""version of the arrays that store a model"""


class NGram:
    """An n-gram model with backoff.

    Attributes:
        tokens: indexed by id; 0 `<unk>`, 1 `<s>`, 2 `</s>`, then the others.
        unit: "character" (each token except those three is one code point, the space is " ") or "word".
        order: the length of the longest n-grams.
        token: (nodes,) int32, id of the last token of each node's n-gram; 0 for the root.
        log_prob: (nodes,) float32, natural logarithm of p(last token | tokens before it).
        backoff: (nodes,) float32, natural logarithm of the backoff weight of the node as a context.
        first_child: (nodes + 1,) int64, the children of node s are `first_child[s]` to
            `first_child[s + 1] - 1`.
        levels: (order + 2,) int64, n-grams of length n are the nodes `levels[n]` to `levels[n + 1] - 1`.
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
        """Keep the arrays as described above; `suffix` (nodes,) is computed on demand if not given."""
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
        """The node of the longest proper suffix of each n-gram (nodes,) int32; -1 for the root."""
        return self.suffixes(np.arange(len(self)))

    @property
    def counts(self) -> list[int]:
        """The number of n-grams of each length, from 1."""
        return np.diff(self.levels)[1:].tolist()

    def parents(self) -> np.ndarray:
        """Return the node of each n-gram without its last token (nodes,) int64; 0 for the root."""
        parents = np.repeat(np.arange(len(self)), np.diff(self.first_child))
        return np.concatenate([[EMPTY_CONTEXT], parents])

    def renamed(self, tokens: Sequence[str]) -> Self:
        """Return this model with other names for its tokens; of equal names, the first is found by `id`."""
        arrays = (self.token, self.log_prob, self.backoff, self.first_child, self._suffix.copy())
        model = type(self)(tokens, self.unit, self.order, *arrays)
        model._ids = {token: place for place, token in reversed(list(enumerate(tokens)))}
        return model

    # --- tokens

    def id(self, token: str) -> int:
        """Return the id of `token`; 0 if it is unknown."""
        return self._ids.get(token, UNKNOWN_ID)

    def ids(self, tokens: Iterable[str]) -> np.ndarray:
        """Return the ids of `tokens` as int32; 0 for each unknown token."""
        get = self._ids.get
        return np.fromiter((get(token, UNKNOWN_ID) for token in tokens), np.int32)

    def split(self, text: str) -> list[str]:
        """Return the tokens of a text: its code points, or its words separated by white space."""
        return list(text) if self.unit == "character" else text.split()

    # --- step by step

    def score(self, states: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log-probability of each token in its state, and the state after it.

        Args:
            states: (N,) nodes of n-grams shorter than `order`: `start`, `EMPTY_CONTEXT`, or states that
                this method returned.
            tokens: (N,) ids.

        Returns:
            Natural log-probabilities (N,) float32, and next states (N,) int32: the longest suffix of the
            tokens read so far that is in the model and shorter than `order`.
        """
        nodes, log_probs = self._longest(np.asarray(states), np.asarray(tokens))
        found = nodes >= 0
        log_probs += np.where(found, self.log_prob[nodes], FLOOR)
        return log_probs.astype(np.float32), self._state(np.where(found, nodes, EMPTY_CONTEXT))

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Return the log-probability of every token V in each state, as `score` gives it: (N, V) float32.

        This is much faster than `score` if all tokens are needed; N * V numbers must fit into memory.
        """
        contexts = [np.asarray(states, np.int64)]  # from the whole context to the empty one, then -1
        while (contexts[-1] > EMPTY_CONTEXT).any():
            contexts.append(np.where(contexts[-1] > EMPTY_CONTEXT, self.suffixes(contexts[-1]), -1))
        chain = np.stack(contexts)  # (D, N)
        # (D + 1, N) sum of backoffs before each context; float64, as in `score`
        paid = np.zeros((len(chain) + 1, len(contexts[0])))
        np.cumsum(np.where(chain >= 0, self.backoff[chain], 0.0), 0, out=paid[1:])
        log_probs = np.repeat((paid[-1] + FLOOR)[:, None], len(self.tokens), 1)
        # the empty context comes first, and the values of longer contexts overwrite its values
        depths, rows = np.nonzero(chain[::-1] >= 0)
        depths = len(chain) - 1 - depths
        first, end = self.first_child[chain[depths, rows]], self.first_child[chain[depths, rows] + 1]
        counts = end - first
        places = np.repeat(end - np.cumsum(counts), counts) + np.arange(counts.sum())
        given = self.log_prob[places] + np.repeat(paid[depths, rows], counts)
        log_probs[np.repeat(rows, counts), self.token[places]] = given
        return log_probs.astype(np.float32)

    # --- whole texts

    def log_probs(self, tokens: Sequence[str]) -> np.ndarray:
        """Return the natural log-probability (float32) of each token of a sentence, and of its end."""
        ids = np.concatenate([[START_ID], self.ids(tokens), [END_ID]])
        return self.sentence_log_probs(ids, np.arange(len(ids)) == 0)[1:].astype(np.float32)

    def sentence_log_probs(self, ids: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return the natural log-probability (T,) of each token of several sentences in one array.

        All tokens are scored at once, from short contexts to long ones: p(w | h) is the probability of the
        n-gram h w if the model has it, and otherwise p(w | h without its first token) times the backoff
        weight of h, or times 1 if the model has no context h.

        Args:
            ids: (T,) of the tokens, each sentence with its start and end.
            starts: (T,) whether a sentence starts there; its context is empty there.
        """
        log_probs = np.full(len(ids), FLOOR)
        nodes = np.full(len(ids), EMPTY_CONTEXT)  # of the n-gram that ends at each token; -1 for none
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
        """Return the child (N,) of each parent for its token; -1 if there is none."""
        keys = parents.astype(np.int64) * len(self.tokens) + tokens
        nodes = np.searchsorted(self._keys, keys)
        nodes[nodes == len(self)] = EMPTY_CONTEXT  # the key of the root matches no token
        return np.where(self._keys[nodes] == keys, nodes, -1)

    def _longest(self, states: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the longest n-gram in the model that is a suffix of each state followed by its token.

        Returns:
            Nodes (N,), -1 for tokens without a unigram; the sum of backoffs (N,), float64, on the way to
            them.
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
        """Return the states after n-grams: the n-gram itself, or its suffix if its length is `order`."""
        whole = nodes >= self.levels[self.order]
        states = nodes.astype(np.int32)
        states[whole] = self.suffixes(nodes[whole])
        return states

    def suffixes(self, nodes: np.ndarray) -> np.ndarray:
        """Return the node of the longest proper suffix in the model of each of `nodes` (N,): (N,) int32.

        A suffix is computed when it is first needed, since a text meets only a few of a large model's
        n-grams. The suffix of an n-gram is the child of its parent's suffix for its last token; if there is
        no such child, the search goes on from shorter suffixes of the parent.
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
        """Return the arrays that define the model, in small number types; all others follow from them."""
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
        """Return the model of arrays that `to_arrays` returned; further arrays are ignored.

        Raises:
            ValueError: arrays are missing or do not fit together.
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
        """Write the model as a .npz file of NumPy; after an error there is no partial file.

        Raises:
            OSError: the file cannot be written.
        """
        with written_aside(path) as file:
            np.savez_compressed(file, **self.to_arrays())  # type: ignore[arg-type]


def _fit(numbers: Sequence[np.ndarray], first_child: np.ndarray, tokens: int) -> bool:
    """Return whether last tokens, child counts, log-probabilities and backoffs can form one tree."""
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
    """Return non-negative integers in the smallest type that holds them."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))
