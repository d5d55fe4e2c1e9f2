"""Results are compared with a prefix search over dictionaries, ctcdecode's own tests, or values by hand."""

import gzip
import inspect
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.decoding.ctcdecode import CTCBeamDecoder, DecoderState, OnlineCTCBeamDecoder, decoders
from common.language.loading import load_ngrams

OLD_LABELS = ["'", " ", "a", "b", "c", "d", "_"]
OLD_PROBS = np.array(
    [
        [
            [0.06390443, 0.21124858, 0.27323887, 0.06870235, 0.0361254, 0.18184413, 0.16493624],
            [0.03309247, 0.22866108, 0.24390638, 0.09699597, 0.31895462, 0.0094893, 0.06890021],
            [0.218104, 0.19992557, 0.18245131, 0.08503348, 0.14903535, 0.08424043, 0.08120984],
            [0.12094152, 0.19162472, 0.01473646, 0.28045061, 0.24246305, 0.05206269, 0.09772094],
            [0.1333387, 0.00550838, 0.00301669, 0.21745861, 0.20803985, 0.41317442, 0.01946335],
            [0.16468227, 0.1980699, 0.1906545, 0.18963251, 0.19860937, 0.04377724, 0.01457421],
        ],
        [
            [0.08034842, 0.22671944, 0.05799633, 0.36814645, 0.11307441, 0.04468023, 0.10903471],
            [0.09742457, 0.12959763, 0.09435383, 0.21889204, 0.15113123, 0.10219457, 0.20640612],
            [0.45033529, 0.09091417, 0.15333208, 0.07939558, 0.08649316, 0.12298585, 0.01654384],
            [0.02512238, 0.22079203, 0.19664364, 0.11906379, 0.07816055, 0.22538587, 0.13483174],
            [0.17928453, 0.06065261, 0.41153005, 0.1172041, 0.11880313, 0.07113197, 0.04139363],
            [0.15882358, 0.1235788, 0.23376776, 0.20510435, 0.00279306, 0.05294827, 0.22298418],
        ],
    ],
    dtype=np.float32,
)
"""from the tests of parlance/ctcdecode, which took them from PaddlePaddle's DeepSpeech"""
LABELS = ["_", "a", "b", " ", "c"]
CHARACTERS = ["a", "b", "|"]
WORDS = ["a", "ab", "ba", "bb", "abba", "zoo"]


def spelled(results, labels: list[str], row: int = 0) -> list[str]:
    """Return the texts of an utterance, best first, without rows that have no hypothesis."""
    return [
        "".join(labels[label] for label in result[:length])
        for result, length, score in zip(
            results[0][row].tolist(), results[3][row].tolist(), results[1][row].tolist(), strict=True
        )
        if score < math.inf
    ]


def random_probs(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.dirichlet(np.ones(shape[-1]), shape[:-1])


def one_hot(text: str, labels: list[str]) -> np.ndarray:
    return np.eye(len(labels))[[labels.index(letter) for letter in text]]


# --- the reference: nothing but dictionaries


class Arpa:
    """A random n-gram model that is written as an ARPA file, with backoff in four lines of Python."""

    def __init__(self, rng: np.random.Generator, tokens: list[str], order: int) -> None:
        self.order = order
        self.ngrams = {("<unk>",): (-3.0, -0.1), ("<s>",): (-99.0, -0.2), ("</s>",): (-0.7, 0.0)}
        self.ngrams |= {(token,): (-rng.uniform(0.2, 2), -rng.uniform(0, 1)) for token in tokens}
        for length in range(2, order + 1):
            for context in [ngram for ngram in self.ngrams if len(ngram) == length - 1]:
                for token in [*tokens, "</s>"]:
                    if context[-1] != "</s>" and rng.random() < 0.4:
                        self.ngrams[(*context, token)] = (-rng.uniform(0.1, 2), -rng.uniform(0, 1))

    def log_prob(self, context: tuple[str, ...], token: str) -> float:
        """Return the natural log-probability, -1000 for an unknown token."""
        if (token,) not in self.ngrams or token == "<unk>":
            return -1000.0
        known = [word if (word,) in self.ngrams else "<unk>" for word in context]
        return math.log(10) * self._log10(("<s>", *known)[max(len(known) + 2 - self.order, 0) :], token)

    def _log10(self, context: tuple[str, ...], token: str) -> float:
        if (*context, token) in self.ngrams:
            return self.ngrams[(*context, token)][0]
        return self.ngrams.get(context, (0, 0.0))[1] + self._log10(context[1:], token)

    def text(self) -> str:
        lines = ["\\data\\"]
        sections = []
        for length in range(1, self.order + 1):
            some = {ngram: numbers for ngram, numbers in self.ngrams.items() if len(ngram) == length}
            lines.append(f"ngram {length}={len(some)}")
            sections.append(f"\n\\{length}-grams:")
            for ngram, (log_prob, backoff) in some.items():
                weight = f"\t{backoff!r}" if length < self.order else ""
                sections.append(f"{log_prob!r}\t{' '.join(ngram)}{weight}")
        return "\n".join([*lines, *sections, "\n\\end\\\n"])


class Reference:
    """A prefix search over a dictionary of prefixes that scores every prefix with the model from scratch."""

    def __init__(self, labels, arpa=None, kind="", alpha=0.0, beta=0.0, top_n=40, cutoff=1.0, width=100):
        self.labels, self.arpa, self.kind, self.alpha, self.beta = labels, arpa, kind, alpha, beta
        self.top_n, self.cutoff, self.width = top_n, cutoff, width
        known = [ngram[0] for ngram in arpa.ngrams if len(ngram) == 1 and ngram[0][0] != "<"] if arpa else []
        self.words = [word for word in known if set(word) <= set(labels[1:]) - {" "}]

    def text(self, prefix: tuple[int, ...]) -> str:
        return "".join(self.labels[label] for label in prefix)

    def tokens(self, prefix: tuple[int, ...]) -> list[str]:
        text = self.text(prefix)
        return list(text.replace(" ", "|")) if self.kind == "character" else text.split()

    def gained(self, prefix: tuple[int, ...], whole: bool = False) -> float:
        """Return the gain of a prefix from the model; with `whole`, its last word counts as ended."""
        if self.arpa is None:
            return 0.0
        tokens = self.tokens(prefix)
        if self.kind == "word" and not whole and prefix and self.labels[prefix[-1]] != " ":
            tokens = tokens[:-1]
        return sum(
            self.alpha * self.arpa.log_prob(tuple(tokens[:place]), token) + self.beta
            for place, token in enumerate(tokens)
        )

    def allowed(self, prefix: tuple[int, ...]) -> bool:
        if self.kind != "word":
            return True
        *words, last = self.text(prefix).split(" ")
        return all(word in self.words for word in words) and any(word.startswith(last) for word in self.words)

    def score(self, prefix: tuple[int, ...], log_prob: float) -> float:
        """Return the score as ctcdecode defines it."""
        if self.arpa is None:
            return -log_prob
        tokens = [*self.tokens(prefix), "</s>"]
        sentence = sum(self.arpa.log_prob(tuple(tokens[:place]), token) for place, token in enumerate(tokens))
        fused = log_prob + self.gained(prefix, whole=True)
        return -(fused - self.beta * len(prefix) - self.alpha * sentence)

    def considered(self, probs: np.ndarray) -> list[int]:
        kept, mass = [], 0.0
        for label in sorted(range(len(probs)), key=lambda label: (-probs[label], label))[: self.top_n]:
            if self.cutoff == 1 or mass < self.cutoff:
                kept.append(label)
            mass += probs[label]
        return kept

    def decode(self, probs: np.ndarray) -> list[tuple[tuple[int, ...], float]]:
        """Return prefixes and their scores, best first; blank is label 0."""
        beam = {(): (1.0, 0.0)}  # probability of the paths that end in the blank, and in the last label
        for frame in probs:
            after: dict[tuple[int, ...], list[float]] = {}
            for prefix, (blank, label) in beam.items():
                for one in self.considered(frame):
                    if one == 0:
                        after.setdefault(prefix, [0.0, 0.0])[0] += (blank + label) * frame[0]
                        continue
                    if prefix and prefix[-1] == one:
                        after.setdefault(prefix, [0.0, 0.0])[1] += label * frame[one]
                    before = blank if prefix and prefix[-1] == one else blank + label
                    if before and self.allowed((*prefix, one)):
                        after.setdefault((*prefix, one), [0.0, 0.0])[1] += before * frame[one]
            ordered = sorted(after.items(), key=self.rank)
            beam = dict([item for item in ordered if sum(item[1]) > 0][: self.width])
        ordered = sorted(beam.items(), key=self.rank)
        return [(prefix, self.score(prefix, math.log(sum(parts)))) for prefix, parts in ordered]

    def rank(self, item: tuple[tuple[int, ...], tuple[float, float]]) -> tuple[float, int]:
        prefix, parts = item
        log_prob = math.log(sum(parts)) if sum(parts) else -math.inf
        return -(log_prob + self.gained(prefix)), prefix[-1] if prefix else -1


def assert_agrees(results, row: int, wanted: list[tuple[tuple[int, ...], float]], tolerance=1e-4) -> None:
    labels, scores, _, lengths = (part[row].tolist() for part in results)
    found = [
        tuple(one[:length])
        for one, length, score in zip(labels, lengths, scores, strict=True)
        if score < math.inf
    ]
    assert found == [prefix for prefix, _ in wanted]
    assert scores[: len(wanted)] == pytest.approx([score for _, score in wanted], rel=1e-5, abs=tolerance)
    assert scores[len(wanted) :] == [math.inf] * (len(scores) - len(wanted))
    assert not any(lengths[len(wanted) :])


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 5), st.sampled_from([0.5, 0.8, 0.95, 1.0])
)
def test_without_a_model_it_is_prefix_search(seed, width, top_n, cutoff):
    rng = np.random.default_rng(seed)
    probs, lengths = random_probs(rng, 3, 6, len(LABELS)), rng.integers(0, 7, 3)
    decoder = CTCBeamDecoder(LABELS, cutoff_top_n=top_n, cutoff_prob=cutoff, beam_width=width)
    results = decoder.decode(probs, lengths)
    reference = Reference(LABELS, top_n=top_n, cutoff=cutoff, width=width)
    for row in range(3):
        assert_agrees(results, row, reference.decode(probs[row, : lengths[row]]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["character", "word"])
@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    order=st.integers(1, 3),
    width=st.sampled_from([1, 3, 10, 40, 1000]),
    alpha=st.sampled_from([0.0, 0.3, 1.0, 2.5]),
    beta=st.sampled_from([-1.0, 0.0, 0.7, 3.0]),
    cutoff=st.sampled_from([0.9, 1.0]),
)
def test_with_a_model_it_is_prefix_search_by_the_fused_score(
    tmp_path_factory, kind, seed, order, width, alpha, beta, cutoff
):
    """One of the labels is not known to the model over characters."""
    rng = np.random.default_rng(seed)
    arpa = Arpa(rng, CHARACTERS if kind == "character" else WORDS, order)
    path = tmp_path_factory.mktemp("model") / "model.arpa"
    path.write_text(arpa.text())
    probs = random_probs(rng, 2, 5, len(LABELS))
    decoder = CTCBeamDecoder(LABELS, str(path), alpha, beta, 40, cutoff, width)
    assert decoder.character_based() == (kind == "character")
    results = decoder.decode(torch.tensor(probs))
    reference = Reference(LABELS, arpa, kind, alpha, beta, cutoff=cutoff, width=width)
    for row in range(2):
        assert_agrees(results, row, reference.decode(probs[row]), tolerance=1e-3)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 4))
def test_hypotheses_of_equal_scores_are_all_there_in_order(seed, T):
    """Probabilities are multiples of a quarter, including zero; no hypothesis is pruned."""
    rng = np.random.default_rng(seed)
    probs = np.array([rng.multinomial(4, np.full(4, 0.25)) for _ in range(T)]).reshape(1, T, 4) / 4
    labels, scores, _, lengths = (part[0].tolist() for part in CTCBeamDecoder(list("_abc")).decode(probs))
    wanted = Reference(list("_abc")).decode(probs[0])
    found = [tuple(one[:length]) for one, length in zip(labels, lengths, strict=True)][: len(wanted)]
    assert sorted(found) == sorted(prefix for prefix, _ in wanted)
    assert scores[: len(wanted)] == pytest.approx([score for _, score in wanted], abs=1e-6)
    assert scores[len(wanted) :] == [math.inf] * (100 - len(wanted))


# --- what users of the old library know


def test_the_arguments_are_those_of_ctcdecode():
    parameters = list(inspect.signature(CTCBeamDecoder).parameters.values())
    assert [(one.name, one.default) for one in parameters[1:]] == [
        ("model_path", None),
        ("alpha", 0),
        ("beta", 0),
        ("cutoff_top_n", 40),
        ("cutoff_prob", 1.0),
        ("beam_width", 100),
        ("num_processes", 4),
        ("blank_id", 0),
        ("log_probs_input", False),
    ]
    assert inspect.signature(OnlineCTCBeamDecoder) == inspect.signature(CTCBeamDecoder)
    assert list(inspect.signature(CTCBeamDecoder.decode).parameters)[1:] == ["probs", "seq_lens"]
    online = list(inspect.signature(OnlineCTCBeamDecoder.decode).parameters)
    assert online[1:] == ["probs", "states", "is_eos_s", "seq_lens"]


@pytest.mark.parametrize("log_probs_input", [False, True])
def test_the_matrices_of_ctcdecode_give_the_same_texts_at_the_same_width(log_probs_input):
    probs = torch.from_numpy(OLD_PROBS)
    decoder = CTCBeamDecoder(OLD_LABELS, None, 0, 0, 40, 1.0, 20, 24, 6, log_probs_input)
    results = decoder.decode(probs.log() if log_probs_input else probs)
    assert [spelled(results, OLD_LABELS, row)[0] for row in (0, 1)] == ["acdc", "b'a"]


def test_the_matrix_of_ctcdecode_gives_the_same_text_with_a_model(tmp_path):
    """The labels can spell one word of their model; alpha is 0, as in their test."""
    path = tmp_path / "model.arpa"
    path.write_text(Arpa(np.random.default_rng(0), ["a", "also", "beyond"], 3).text())
    decoder = CTCBeamDecoder(OLD_LABELS, model_path=str(path), beam_width=20, blank_id=6)
    assert spelled(decoder.decode(OLD_PROBS), OLD_LABELS, 1)[0] == "a a"
    assert decoder.dict_size() == 1


def test_the_small_matrices_of_ctcdecode_give_the_same_texts():
    labels = ["_", "a", "b", " "]
    columns = [[0.1, 0.2, 0.2, 0.1], [0.4, 0.4, 0.1, 0.3], [0.2, 0.3, 0.1, 0.4], [0.3, 0.1, 0.6, 0.2]]
    results = CTCBeamDecoder(labels, blank_id=0).decode(np.array([columns]).transpose(0, 2, 1))
    assert spelled(results, labels)[0] == "a b"
    labels = [" ", "b", "g", "n", "s", "u", "y", ""]
    blank = np.eye(len(labels))[7:]
    either = 0.51 * np.concatenate([one_hot("bugs", labels), blank, blank])
    either += 0.49 * np.concatenate([one_hot("bun", labels), blank, one_hot("ny", labels)])
    sure = [one_hot(" bun", labels), blank, one_hot("ny", labels)]
    results = CTCBeamDecoder(labels, blank_id=7).decode(np.concatenate([either, *sure])[None])
    assert spelled(results, labels)[0] == "bugs bunny"


def test_the_width_is_honoured_where_a_wider_beam_finds_a_better_text():
    """The first matrix has a likelier text than the one that ctcdecode finds with a width of 20."""
    narrow, wide = (
        CTCBeamDecoder(OLD_LABELS, beam_width=width, blank_id=6).decode(OLD_PROBS[:1]) for width in (20, 2000)
    )
    assert (spelled(narrow, OLD_LABELS)[0], spelled(wide, OLD_LABELS)[0]) == ("acdc", "acb")
    assert wide[1][0, 0] < narrow[1][0, 0]
    assert narrow[0].shape == (1, 20, 6)
    assert len(spelled(narrow, OLD_LABELS)) == 20


# --- what comes back


def test_results_are_tensors_on_the_cpu_with_the_types_of_ctcdecode():
    results = CTCBeamDecoder(OLD_LABELS, beam_width=7, blank_id=6).decode(torch.from_numpy(OLD_PROBS))
    labels, scores, timesteps, lengths = results
    assert [part.dtype for part in results] == [torch.int32, torch.float32, torch.int32, torch.int32]
    assert [tuple(part.shape) for part in results] == [(2, 7, 6), (2, 7), (2, 7, 6), (2, 7)]
    assert all(part.device.type == "cpu" for part in results)
    behind = torch.arange(6) >= lengths[..., None]
    assert behind.any() and not labels[behind].any() and not timesteps[behind].any()
    assert (scores[:, 1:] >= scores[:, :-1]).all()


@pytest.mark.parametrize(
    "probs",
    [
        torch.from_numpy(OLD_PROBS).requires_grad_(),
        torch.from_numpy(OLD_PROBS.astype(np.float64)),
        torch.from_numpy(OLD_PROBS.transpose(1, 0, 2).copy()).transpose(0, 1),
        OLD_PROBS.astype(np.float64),
        OLD_PROBS.tolist(),
    ],
    ids=["with a gradient", "64 bits", "not contiguous", "numpy", "lists"],
)
def test_all_kinds_of_arrays_give_the_same(probs):
    decoder = CTCBeamDecoder(OLD_LABELS, beam_width=20, blank_id=6)
    for result, wanted in zip(decoder.decode(probs), decoder.decode(OLD_PROBS), strict=True):
        torch.testing.assert_close(result, wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read(dtype):
    probs = torch.from_numpy(OLD_PROBS).to(dtype)
    results = CTCBeamDecoder(OLD_LABELS, beam_width=20, blank_id=6).decode(probs)
    assert spelled(results, OLD_LABELS, 1)[0] == "b'a"


@pytest.mark.parametrize("kind", ["", "character", "word"])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_a_search_in_torch_gives_the_same_on_the_cpu(kind, device, tmp_path, monkeypatch):
    """A tensor on a GPU is searched in torch; the test also does so on the CPU, in place of NumPy."""
    rng, path = np.random.default_rng(3), None
    if kind:
        path = tmp_path / "model.arpa"
        path.write_text(Arpa(rng, CHARACTERS if kind == "character" else WORDS, 3).text())
    probs = torch.from_numpy(random_probs(rng, 4, 30, len(LABELS)))
    lengths = torch.tensor([30, 7, 0, 30])
    decoder = CTCBeamDecoder(LABELS, path, 0.5, 1.0, beam_width=20)
    wanted = decoder.decode(probs, lengths)
    if device == "cpu":
        monkeypatch.setattr(decoders, "read_probs", lambda tensor: tensor)
    probs, lengths = probs.to(device), lengths.to(device)
    for result, same in zip(decoder.decode(probs, lengths), wanted, strict=True):
        assert result.device.type == "cpu"
        torch.testing.assert_close(result, same)
    assert decoder.decode(probs[:0])[0].shape == (0, 20, 30)
    assert decoder.decode(probs[:, :0])[0].shape == (4, 20, 0)
    with pytest.warns(UserWarning, match="67 of 67 frames .* the first is frame 0 of utterance 0, 2;"):
        decoder.decode(2 * probs, lengths)
    probs[3, 29, 1] = math.nan
    with pytest.raises(ValueError, match="utterance 3, frame 29: label 1 has the probability nan"):
        decoder.decode(probs)


def test_timesteps_are_where_the_labels_were_likeliest():
    probs = np.full((1, 8, 3), 0.1)
    probs[0, :, 0] = 0.8
    probs[0, [1, 2, 3]] = [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.35, 0.55, 0.1]
    probs[0, [5, 6]] = [0.2, 0.1, 0.7], [0.05, 0.05, 0.9]
    labels, _, timesteps, lengths = CTCBeamDecoder(["_", "a", "b"]).decode(probs)
    assert labels[0, 0, :2].tolist() == [1, 2] and lengths[0, 0] == 2
    assert timesteps[0, 0].tolist() == [2, 6, 0, 0, 0, 0, 0, 0]


def tree_timesteps(probs: np.ndarray, width: int) -> dict[tuple[int, ...], list[int]]:
    """Return the timesteps of all prefixes in the beam, by the rule of the original, with a tree as it says.

    Args:
        probs: (T, V), label 0 is the blank.
        width: of the beam.
    """
    beam, nodes = {(): (1.0, 0.0)}, dict[tuple[int, ...], tuple[float, int]]()
    for frame, row in enumerate(probs):
        ends = dict[tuple[int, ...], list[float]]()  # probability of the paths that end in the blank, or not
        for prefix, (blank, label) in beam.items():
            stay = ends.setdefault(prefix, [0.0, 0.0])
            stay[0] += row[0] * (blank + label)
            stay[1] += row[prefix[-1]] * label if prefix else 0.0
            for one in range(1, len(row)):
                longer = (*prefix, one)
                if row[one] > nodes.get(longer, (-1.0, 0))[0]:
                    nodes[longer] = row[one], frame
                repeated = prefix and prefix[-1] == one
                ends.setdefault(longer, [0.0, 0.0])[1] += row[one] * (blank if repeated else blank + label)
        ranked = sorted((prefix for prefix in ends if sum(ends[prefix])), key=lambda one: -sum(ends[one]))
        beam = {prefix: tuple(ends[prefix]) for prefix in ranked[:width]}
        kept = {prefix[:length] for prefix in beam for length in range(len(prefix) + 1)}
        nodes = {node: value for node, value in nodes.items() if node in kept}
    return {prefix: [nodes[prefix[: n + 1]][1] for n in range(len(prefix))] for prefix in beam}


@settings(deadline=None, derandomize=True, max_examples=60)
@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(2, 5), st.booleans())
def test_timesteps_follow_the_rule_of_the_original(seed, width, V, in_pieces):
    rng = np.random.default_rng(seed)
    lengths = np.array([40, 0, 33])
    probs = random_probs(rng, 3, 40, V) ** rng.choice([1, 3])
    probs /= probs.sum(-1, keepdims=True)
    labels = ["_", *"abcd"][:V]
    if in_pieces:
        decoder = OnlineCTCBeamDecoder(labels, beam_width=width)
        states, cut = [DecoderState(decoder) for _ in lengths], np.array([7, 0, 9])
        decoder.decode(probs[:, :9], states, [False] * 3, cut)
        rest = np.zeros((3, 40, V))
        for row, first in enumerate(cut):
            rest[row, : 40 - first] = probs[row, first:]
        results = decoder.decode(rest, states, [True] * 3, lengths - cut)
    else:
        results = CTCBeamDecoder(labels, beam_width=width).decode(probs, lengths)
    for row in (0, 2):
        wanted = tree_timesteps(probs[row, : lengths[row]], width)
        found = {
            tuple(text[:length]): frames[:length]
            for text, frames, length in zip(*(results[part][row].tolist() for part in (0, 2, 3)), strict=True)
        }
        assert found == wanted


def test_a_search_of_users_of_the_original_has_its_weights_reset(tmp_path):
    write_model(tmp_path / "model.arpa", CHARACTERS)
    probs = random_probs(np.random.default_rng(3), 2, 8, len(LABELS))
    decoder, other = (
        CTCBeamDecoder(LABELS, tmp_path / "model.arpa", *weights) for weights in ((), (2.0, 1.0))
    )
    decoder._decoder.reset_params(2.0, 1.0)  # what deepspeech.pytorch calls
    for ours, theirs in zip(decoder.decode(probs), other.decode(probs), strict=True):
        assert torch.equal(ours, theirs)


def test_scores_are_minus_log_probabilities():
    """All paths of two frames are summed by hand."""
    results = CTCBeamDecoder(["_", "a"], beam_width=5).decode(np.array([[[0.6, 0.4], [0.7, 0.3]]]))
    assert spelled(results, ["_", "a"]) == ["a", ""]
    assert results[1][0, :2].exp().tolist() == pytest.approx([1 / 0.58, 1 / 0.42])
    assert results[1][0, 2:].tolist() == [math.inf] * 3
    assert results[3].tolist() == [[1, 0, 0, 0, 0]]


def test_of_equal_scores_the_smaller_last_label_comes_first():
    results = CTCBeamDecoder(list("_abcd"), beam_width=5, blank_id=3).decode(np.full((1, 1, 5), 0.2))
    assert results[0][0, :, 0].tolist() == [0, 0, 1, 2, 4]
    assert results[3].tolist() == [[0, 1, 1, 1, 1]]
    narrow = CTCBeamDecoder(list("_abcd"), beam_width=3, blank_id=3).decode(np.full((1, 1, 5), 0.2))
    assert narrow[0][0, :, 0].tolist() == [0, 0, 1]


def test_a_probability_of_zero_is_zero():
    results = CTCBeamDecoder(list("_ab"), beam_width=50).decode(one_hot("a_b", list("_ab"))[None])
    assert spelled(results, list("_ab")) == ["ab"]
    assert results[1][0, 0] == 0 and not results[1][0, 0].signbit()


def test_cutoff_prob_keeps_at_least_that_mass():
    probs = np.array([[[0.5, 0.3, 0.15, 0.05]]])
    for cutoff, kept in ((0.5, 1), (0.51, 2), (0.8, 2), (0.81, 3), (0.96, 4), (1.0, 4)):
        decoder = CTCBeamDecoder(list("abc_"), cutoff_prob=cutoff, blank_id=3)
        assert len(spelled(decoder.decode(probs), list("abc_"))) == kept, cutoff


# --- models


def write_model(path: Path, tokens: list[str], order: int = 2, seed: int = 0) -> Arpa:
    arpa = Arpa(np.random.default_rng(seed), tokens, order)
    path.write_text(arpa.text())
    return arpa


@pytest.mark.parametrize("space", ["|", "<space>", "▁"])
@pytest.mark.parametrize("label", ["space", "same"])
def test_a_model_over_characters_writes_spaces(tmp_path, space, label):
    write_model(tmp_path / "model.arpa", ["a", "b", space])
    labels = ["_", "a", "b", " " if label == "space" else space]
    probs = 0.85 * np.eye(4)[[1, 3, 2]] + 0.0375
    results = CTCBeamDecoder(labels, str(tmp_path / "model.arpa"), 0.5, 0.0).decode(probs[None])
    assert results[0][0, 0].tolist() == [1, 3, 2]
    assert results[1][0, 0] < 10  # 500 more if the model did not know the space


def test_models_are_read_plain_gzipped_or_as_npz(tmp_path):
    arpa = write_model(tmp_path / "model.arpa", WORDS, 3)
    (tmp_path / "model.arpa.gz").write_bytes(gzip.compress(arpa.text().encode()))
    load_ngrams(tmp_path / "model.arpa").save(tmp_path / "model.npz")
    probs = random_probs(np.random.default_rng(1), 2, 6, len(LABELS))
    results = [
        CTCBeamDecoder(LABELS, tmp_path / name, 0.5, 1.0, beam_width=10).decode(probs)
        for name in ("model.arpa", "model.arpa.gz", "model.npz")
    ]
    for other in results[1:]:
        for result, wanted in zip(other, results[0], strict=True):
            torch.testing.assert_close(result, wanted, rtol=1e-6, atol=1e-6)


def test_a_decoder_reports_its_model(tmp_path):
    write_model(tmp_path / "characters", CHARACTERS, 3)
    write_model(tmp_path / "words", WORDS, 2)
    without = CTCBeamDecoder(LABELS)
    assert (without.character_based(), without.max_order(), without.dict_size()) == (None, None, None)
    without.reset_params(1, 2)
    over_characters = CTCBeamDecoder(LABELS, str(tmp_path / "characters"))
    assert over_characters.character_based() == 1
    assert (over_characters.max_order(), over_characters.dict_size()) == (3, 0)
    over_words = CTCBeamDecoder(LABELS, str(tmp_path / "words"))
    assert over_words.character_based() == 0
    assert (over_words.max_order(), over_words.dict_size()) == (2, 5)  # all except zoo


@pytest.mark.parametrize("tokens", [CHARACTERS, WORDS])
def test_reset_params_equals_a_new_decoder_with_them(tmp_path, tokens):
    write_model(tmp_path / "model.arpa", tokens)
    probs = random_probs(np.random.default_rng(5), 1, 6, len(LABELS))
    decoder = CTCBeamDecoder(LABELS, tmp_path / "model.arpa", 0.1, 0.2, beam_width=9, cutoff_prob=0.95)
    before = decoder.decode(probs)
    decoder.reset_params(2.0, 3.0)
    after = decoder.decode(probs)
    made = CTCBeamDecoder(LABELS, tmp_path / "model.arpa", 2.0, 3.0, beam_width=9, cutoff_prob=0.95)
    assert all(map(torch.equal, after, made.decode(probs)))
    assert not torch.equal(before[1], after[1])


def test_without_a_label_for_the_space_a_model_over_words_gives_one_word(tmp_path):
    arpa = write_model(tmp_path / "model.arpa", WORDS)
    labels = ["_", "a", "b"]
    probs = random_probs(np.random.default_rng(2), 1, 5, 3)
    results = CTCBeamDecoder(labels, tmp_path / "model.arpa", 0.7, 0.4, beam_width=300).decode(probs)
    reference = Reference(labels, arpa, "word", 0.7, 0.4, width=300)
    assert_agrees(results, 0, reference.decode(probs[0]), tolerance=1e-3)
    assert {text for text in spelled(results, labels) if text in WORDS} == {"a", "ab", "ba", "bb", "abba"}


def test_labels_of_several_characters_are_unknown_to_a_model_over_characters(tmp_path):
    arpa = write_model(tmp_path / "model.arpa", CHARACTERS)
    probs = random_probs(np.random.default_rng(2), 1, 2, 4)
    plain = CTCBeamDecoder(["_", "a", "<pad>", "</s>"], tmp_path / "model.arpa", 0.01, 0.5)
    text = spelled(plain.decode(probs), ["_", "a", "P", "S"])
    reference = Reference(["_", "a", "P", "S"], arpa, "character", 0.01, 0.5)
    assert text == [reference.text(prefix) for prefix, _ in reference.decode(probs[0])]


def test_equal_labels_are_different_classes(tmp_path):
    probs = random_probs(np.random.default_rng(4), 2, 4, 4)
    equal = CTCBeamDecoder(["_", "a", "a", "b"]).decode(probs)
    assert all(map(torch.equal, equal, CTCBeamDecoder(["_", "a", "c", "b"]).decode(probs)))
    write_model(tmp_path / "characters", CHARACTERS, 3)
    decoder = CTCBeamDecoder(["_", "a", "a", "b"], tmp_path / "characters", 0.7, 0.3)
    swapped = decoder.decode(probs[..., [0, 2, 1, 3]])
    torch.testing.assert_close(swapped[1], decoder.decode(probs)[1])
    write_model(tmp_path / "words", WORDS)
    decoder = CTCBeamDecoder(["_", " ", "a", "a", " "], tmp_path / "words", 0.7, 0.3)
    labels = decoder.decode(random_probs(np.random.default_rng(4), 2, 5, 5))[0]
    assert set(labels.unique().tolist()) == {0, 1, 3}


# --- streams


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["", "character", "word"]), st.integers(1, 12))
def test_streams_in_pieces_give_what_the_whole_gives(tmp_path_factory, seed, kind, width):
    """Streams start at different calls, and their pieces differ in length."""
    rng, path = np.random.default_rng(seed), None
    if kind:
        path = tmp_path_factory.mktemp("model") / "model.arpa"
        path.write_text(Arpa(rng, CHARACTERS if kind == "character" else WORDS, 2).text())
    settings_of_both = (LABELS, path, 0.6, 0.5, 4, 0.98, width)
    probs = random_probs(rng, 3, 9, len(LABELS))
    lengths = rng.integers(0, 10, 3)
    whole = CTCBeamDecoder(*settings_of_both).decode(probs, lengths)
    decoder = OnlineCTCBeamDecoder(*settings_of_both)
    states = [DecoderState(decoder) for _ in range(3)]
    at, results = np.zeros(3, int), {}
    while len(results) < 3:
        rows = [row for row in range(3) if row not in results and rng.random() < 0.7]
        steps = np.minimum(rng.integers(0, 4, len(rows)), lengths[rows] - at[rows])
        piece = np.full((len(rows), 4, len(LABELS)), np.nan)
        for place, row in enumerate(rows):
            piece[place, : steps[place]] = probs[row, at[row] : at[row] + steps[place]]
        at[rows] += steps
        ended = [bool(at[row] == lengths[row]) for row in rows]
        parts = decoder.decode(piece, [states[row] for row in rows], ended, steps)
        results |= {row: [part[place] for part in parts] for place, row in enumerate(rows) if ended[place]}
    for row, (labels, scores, timesteps, out_lens) in results.items():
        assert torch.equal(scores, whole[1][row]) and torch.equal(out_lens, whole[3][row])
        for part, wanted in ((labels, whole[0][row]), (timesteps, whole[2][row])):
            longest = min(part.shape[1], wanted.shape[1])
            assert torch.equal(part[:, :longest], wanted[:, :longest])
            assert not part[:, longest:].any() and not wanted[:, longest:].any()


def test_streams_return_hypotheses_where_they_end_only():
    decoder = OnlineCTCBeamDecoder(OLD_LABELS, None, 0, 0, 40, 1.0, 20, 4, 6)
    states = [DecoderState(decoder), DecoderState(decoder)]
    first = decoder.decode(torch.from_numpy(OLD_PROBS[:, :2]), states, [False, False])
    assert [tuple(part.shape) for part in first] == [(2, 20, 0), (2, 20), (2, 20, 0), (2, 20)]
    assert not first[3].any() and first[1].isinf().all()
    last = decoder.decode(torch.from_numpy(OLD_PROBS[:, 2:]), states, [False, True, True])
    assert spelled(last, OLD_LABELS, 0) == []
    assert spelled(last, OLD_LABELS, 1)[0] == "b'a"
    assert last[0].shape[2] == last[3].max()
    assert [part.dtype for part in last] == [torch.int32, torch.float32, torch.int32, torch.int32]


def test_many_pieces_give_texts_longer_than_one_piece():
    decoder = OnlineCTCBeamDecoder(OLD_LABELS, beam_width=5, blank_id=6, log_probs_input=True)
    state = DecoderState(decoder)
    piece = torch.from_numpy(OLD_PROBS[:1]).log()
    for _ in range(50):
        decoder.decode(piece, [state], [False])
    results = decoder.decode(piece, [state], [True])
    assert results[0].shape[2] == results[3].max() > 100
    assert 300 <= results[2].max() < 306


def test_streams_that_began_before_reset_params_keep_their_weights(tmp_path):
    write_model(tmp_path / "model.arpa", CHARACTERS)
    probs = random_probs(np.random.default_rng(5), 1, 6, len(LABELS))
    decoder = OnlineCTCBeamDecoder(LABELS, tmp_path / "model.arpa", 0.1, 0.2, beam_width=9)
    old = DecoderState(decoder)
    decoder.reset_params(2.0, 3.0)
    new = DecoderState(decoder)
    results = decoder.decode(np.concatenate([probs, probs]), [old, new], [True, True])
    for row, weights in enumerate([(0.1, 0.2), (2.0, 3.0)]):
        wanted = CTCBeamDecoder(LABELS, tmp_path / "model.arpa", *weights, beam_width=9).decode(probs)
        assert torch.equal(results[1][row], wanted[1][0])


def test_states_that_do_not_fit_are_named():
    decoder = OnlineCTCBeamDecoder(OLD_LABELS, blank_id=6)
    state = DecoderState(decoder)
    with pytest.raises(ValueError, match="1 states and 2 is_eos_s for 2 streams"):
        decoder.decode(OLD_PROBS, [state], [True, True])
    with pytest.raises(ValueError, match="2 states and 1 is_eos_s for 2 streams"):
        decoder.decode(OLD_PROBS, [state, DecoderState(decoder)], [True])
    with pytest.raises(ValueError, match="same state"):
        decoder.decode(OLD_PROBS, [state, state], [True, True])
    with pytest.raises(ValueError, match="another decoder"):
        OnlineCTCBeamDecoder(OLD_LABELS, blank_id=6).decode(OLD_PROBS[:1], [state], [True])


# --- nothing, and bad input


def test_empty_utterances_and_batches():
    decoder = CTCBeamDecoder(OLD_LABELS, beam_width=3, blank_id=6)
    full = decoder.decode(OLD_PROBS)
    results = decoder.decode(torch.from_numpy(OLD_PROBS), torch.tensor([0, 6]))
    assert spelled(results, OLD_LABELS, 0) == [""]
    assert results[1][0].tolist() == [0, math.inf, math.inf]
    assert all(torch.equal(part[1], wanted[1]) for part, wanted in zip(results, full, strict=True))
    assert [tuple(part.shape) for part in decoder.decode(OLD_PROBS[:0])] == [
        (0, 3, 6),
        (0, 3),
        (0, 3, 6),
        (0, 3),
    ]
    nothing = decoder.decode(OLD_PROBS[:, :0])
    assert nothing[0].shape == (2, 3, 0) and spelled(nothing, OLD_LABELS, 1) == [""]


def test_nothing_but_the_blank():
    assert spelled(CTCBeamDecoder(["_"]).decode(np.ones((1, 4, 1))), ["_"]) == [""]


def test_an_empty_utterance_with_a_model_has_the_end_of_the_sentence(tmp_path):
    arpa = write_model(tmp_path / "model.arpa", WORDS)
    results = CTCBeamDecoder(LABELS, tmp_path / "model.arpa", 0.5, 1.0).decode(np.ones((1, 0, 5)))
    assert results[1][0, 0].item() == pytest.approx(0.5 * arpa.log_prob((), "</s>"))
    assert results[1][0, 1:].isinf().all()


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([6, 7], "utterance 1 has 7 frames; give integers from 0 to 6"),
        ([-1, 6], "utterance 0 has -1 frames"),
        ([5.5, 6], "utterance 0 has 5.5 frames"),
        ([math.nan, 6], "utterance 0 has nan frames"),
        ([6], r"seq_lens of shape \(1,\)"),
        (["6", "6"], "give 2 integers"),
    ],
)
def test_bad_lengths_are_named(lengths, message):
    with pytest.raises(ValueError, match=message):
        CTCBeamDecoder(OLD_LABELS, blank_id=6).decode(OLD_PROBS, lengths)


def test_lengths_may_be_any_whole_numbers():
    decoder = CTCBeamDecoder(OLD_LABELS, beam_width=5, blank_id=6)
    wanted = decoder.decode(OLD_PROBS, [4, 2])
    for lengths in (torch.tensor([4, 2], dtype=torch.int32), torch.tensor([4.0, 2.0]), np.array([4, 2])):
        assert all(map(torch.equal, decoder.decode(OLD_PROBS, lengths), wanted))


@pytest.mark.parametrize(
    "probs", [OLD_PROBS[0], OLD_PROBS[:, :, :6], OLD_PROBS[None], OLD_PROBS.astype(complex), [["a"]]]
)
def test_bad_shapes_are_named(probs):
    with pytest.raises(ValueError, match=r"probs of (shape|type)"):
        CTCBeamDecoder(OLD_LABELS, blank_id=6).decode(probs)


@pytest.mark.parametrize(
    ("value", "log_probs_input"),
    [
        (math.nan, False),
        (math.nan, True),
        (math.inf, False),
        (math.inf, True),
        (-0.1, False),
        (-math.inf, False),
    ],
)
@pytest.mark.parametrize("kind", [torch.from_numpy, np.asarray])
def test_values_that_are_no_probabilities_are_named(value, log_probs_input, kind):
    probs = np.log(OLD_PROBS) if log_probs_input else OLD_PROBS.copy()
    probs[1, 3, 2] = value
    decoder = CTCBeamDecoder(OLD_LABELS, blank_id=6, log_probs_input=log_probs_input)
    with pytest.raises(ValueError, match=f"utterance 1, frame 3: label 2 has the .*probability {value:g};"):
        decoder.decode(kind(probs))
    decoder.decode(kind(probs), [6, 3])  # padding is not checked


@pytest.mark.parametrize("log_probs_input", [False, True])
def test_one_warning_for_all_frames_that_do_not_sum_to_one(log_probs_input):
    probs = OLD_PROBS.copy()
    probs[0, 4] *= 0.95
    probs[1, 1:] *= 3
    decoder = CTCBeamDecoder(OLD_LABELS, blank_id=6, log_probs_input=log_probs_input)
    with pytest.warns(
        UserWarning, match=r"6 of 12 frames .* 0.01, the first is frame 4 of utterance 0, 0.95;"
    ) as seen:
        decoder.decode(np.log(probs) if log_probs_input else probs)
    assert len(seen) == 1 and seen[0].filename == __file__


def test_rounding_and_padding_give_no_warning():
    probs = OLD_PROBS.copy()
    probs[1, 4:] = 7
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoder = CTCBeamDecoder(OLD_LABELS, blank_id=6)
        decoder.decode(torch.from_numpy(probs).bfloat16(), [6, 4])
        decoder.decode(torch.from_numpy(probs).half(), [6, 4])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"blank_id": 7}, "blank_id is 7, but there are 7 labels"),
        ({"blank_id": -1}, "blank_id is -1"),
        ({"labels": []}, "there are 0 labels"),
        ({"beam_width": 0}, "width is 0"),
        ({"cutoff_top_n": 0}, "cutoff_top_n is 0"),
        ({"cutoff_prob": 0}, "cutoff_prob is 0"),
        ({"cutoff_prob": 1.1}, "cutoff_prob is 1.1"),
        ({"model_path": "nowhere.arpa"}, "nowhere.arpa: cannot be read"),
        ({"model_path": str(Path(__file__))}, "test_ctcdecode.py"),
    ],
)
def test_bad_settings_are_named(wrong, message):
    for decoder in (CTCBeamDecoder, OnlineCTCBeamDecoder):
        with pytest.raises(ValueError, match=message):
            decoder(**{"labels": OLD_LABELS, "blank_id": 6} | wrong)


def test_words_that_the_labels_cannot_spell_are_named(tmp_path):
    write_model(tmp_path / "model.arpa", ["zoo", "you"])
    with pytest.raises(ValueError, match=r"model.arpa: .*can spell none of its 2 words, such as 'zoo'"):
        CTCBeamDecoder(LABELS, str(tmp_path / "model.arpa"))
