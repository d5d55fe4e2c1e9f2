"""Results are compared with all paths of a short signal, and a network with a known distribution."""

from itertools import product

import numpy as np
import pytest

from common.decoding.beam.fusion import CachingScorer, Fusion, Table
from common.decoding.beam.recurrent_scorer import RecurrentScorer
from common.decoding.beam.scorers import WordScorer
from common.decoding.beam.search import BeamSearch
from common.decoding.decoder import Decoder, DecodingConfig
from common.decoding.storage import decoder_from, decoder_tensors
from common.decoding.stream import decoding_stream
from common.language.kneser_ney import estimate
from common.language.recurrent_model import LanguageModelConfig, ModelContent, RecurrentModel
from common.text.symbols import Alphabet
from common.text.vocabulary import Vocabulary

LETTERS = Alphabet(("a", "b", "c"))
SYMBOLS = ("", "a", "b", "c")
C = 4


def tables(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits that the last label and the one before it add to each next label, (C, C) each."""
    return tuple(2 * np.random.default_rng(seed).standard_normal((2, C, C)))


def known(seed: int = 0, order: tuple[str, ...] = LETTERS.symbols) -> RecurrentModel:
    """Return a network that stores the last two labels one-hot, and predicts the next by `tables`."""
    last, before = tables(seed)
    places = np.array([0, *(1 + LETTERS.symbols.index(symbol) for symbol in order)])
    eye, none = np.eye(C), np.zeros((C, C))
    tensors = {
        "embedding.weight": eye,
        "encoder.forwards.0.weight_ih_l0": np.vstack([eye, none]),
        "encoder.forwards.0.weight_hh_l0": np.block([[none, none], [eye, none]]),
        "encoder.forwards.0.bias_ih_l0": np.zeros(2 * C),
        "encoder.forwards.0.bias_hh_l0": np.zeros(2 * C),
        "head.weight": np.hstack([last[np.ix_(places, places)].T, before[np.ix_(places, places)].T]),
        "head.bias": np.zeros(C),
    }
    config = LanguageModelConfig("rnn_relu", 2 * C, embedding_size=C)
    arrays = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    return RecurrentModel(ModelContent(config, Vocabulary(Alphabet(order)), (), {}, arrays))


def log_prob(labels: tuple[int, ...], seed: int = 0, ends: bool = True) -> float:
    """Return the log-probability of a text, computed from the tables alone."""
    last, before = tables(seed)
    total, one, other = 0.0, 0, None
    for label in (*labels, 0) if ends else labels:
        scores = last[one] + (0 if other is None else before[other])
        total += scores[label] - np.log(np.exp(scores).sum())
        one, other = label, one
    return total


def random_log_probs(B: int, S: int, seed: int = 1) -> np.ndarray:
    scores = 1.5 * np.random.default_rng(seed).standard_normal((B, S, C))
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def every_text(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """Return the log-probability of every text of (S, C), summed over all paths."""
    found: dict[tuple[int, ...], float] = {}
    for path in product(range(C), repeat=len(log_probs)):
        text = tuple(label for n, label in enumerate(path) if label and (n == 0 or label != path[n - 1]))
        score = float(log_probs[np.arange(len(path)), path].sum())
        found[text] = np.logaddexp(found.get(text, -np.inf), score)
    return found


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "a", "b")])
def test_the_network_imitates_the_tables(order):
    texts = ["", "a", "cab", "bcbca"]
    expected = [log_prob(tuple(LETTERS.encode(text))) for text in texts]
    np.testing.assert_allclose(known(order=order).score(texts), expected, rtol=1e-5)


@pytest.mark.parametrize("pool_bytes", [10**6, 1])
@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "a", "b")])
@pytest.mark.parametrize("ends", [True, False])
def test_fusion_finds_what_all_paths_of_all_texts_give(ends, order, pool_bytes):
    scorer = RecurrentScorer(known(order=order), SYMBOLS, 0.7, 0.4, ends, pool_bytes)
    log_probs = random_log_probs(3, 5)
    lengths = np.array([5, 3, 4])
    best = BeamSearch(400, fusion=Fusion([scorer], C)).search(log_probs, lengths, 8)
    for row, length in enumerate(lengths):
        texts = every_text(log_probs[row, :length])
        fused = {
            text: score + 0.7 * log_prob(text, ends=ends) + 0.4 * len(text) for text, score in texts.items()
        }
        ranked = sorted(fused.items(), key=lambda pair: -pair[1])[:8]
        for rank, (text, score) in enumerate(ranked):
            assert tuple(best.labels[row, rank, : best.lengths[row, rank]]) == text
            assert best.fused[row, rank] + best.final[row, rank] == pytest.approx(score, abs=1e-5)


def test_each_text_is_computed_once_together_with_all_new_texts():
    model, asked = known(), []
    step = model.step

    def counted(states: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append(len(labels))
        return step(states, labels)

    model.step = counted
    search = BeamSearch(6, fusion=Fusion([RecurrentScorer(model, SYMBOLS, 1.0)], C))
    log_probs, lengths = random_log_probs(4, 12), np.full(4, 12)
    first = search.search(log_probs, lengths, 6)
    assert len(asked) <= 1 + 12  # the start, and one call per frame for all utterances
    assert sum(asked) == search.fusion.table().count
    assert max(asked) <= 4 * 6
    asked.clear()
    again = search.search(log_probs, lengths, 6)
    assert asked == []
    np.testing.assert_array_equal(first.labels, again.labels)


def test_texts_that_were_forgotten_are_computed_again():
    long, short = (RecurrentScorer(known(), SYMBOLS, 1.0, pool_bytes=size) for size in (10**7, 1))
    rng = np.random.default_rng(0)
    reached = [[(0, ())], [(0, ())]]
    for _ in range(60):
        picks, labels = rng.integers(0, len(reached[0]), 3), rng.integers(1, C, 3)
        for scorer, texts in zip((long, short), reached, strict=True):
            states = np.array([texts[pick][0] for pick in picks])
            after = scorer.advance(states, labels)
            for pick, label, state in zip(picks, labels, after, strict=True):
                texts.append((int(state), (*texts[pick][1], int(label))))
    assert len(short._owner) < len({text for _, text in reached[1]}) / 4
    for scorer, texts in zip((long, short), reached, strict=True):
        assert len({state for state, _ in texts}) == len({text for _, text in texts})
        states = np.array([state for state, _ in texts])
        ends = np.concatenate([scorer.final(states[n : n + 5]) for n in range(0, len(states), 5)])
        rows = np.concatenate([scorer.rows(states[n : n + 5]) for n in range(0, len(states), 5)])
        for (_, text), end, row in zip(texts, ends, rows, strict=True):
            so_far = log_prob(text, ends=False)
            assert end == pytest.approx(log_prob(text) - so_far, abs=1e-4)
            wanted = [log_prob((*text, label), ends=False) - so_far for label in (1, 2, 3)]
            np.testing.assert_allclose(row[1:], wanted, rtol=1e-5, atol=1e-4)


def test_a_table_that_is_too_large_is_replaced_with_an_empty_scorer(monkeypatch):
    scorer = RecurrentScorer(known(), SYMBOLS, 1.0)
    assert isinstance(scorer, CachingScorer)
    fusion = Fusion([scorer], C)
    fusion.table().advance(np.zeros(3, np.int64), np.array([1, 2, 3]))
    monkeypatch.setattr("common.decoding.beam.fusion.TABLE_BYTES", 0)
    table = fusion.table()
    assert isinstance(table, Table)
    assert table.scorers[0] is not scorer
    assert len(table.scorers[0]._owner) <= 16


@pytest.mark.parametrize("pool_bytes", [1, 10**7])
def test_adopted_texts_go_on_as_in_the_scorer_before(pool_bytes):
    rng = np.random.default_rng(2)
    scorer = RecurrentScorer(known(), SYMBOLS, 1.0, pool_bytes=pool_bytes)
    texts, states = [()] * 4, np.zeros(4, np.int64)
    for step in range(40):
        if step % 7 == 6:
            new = scorer.emptied()
            # of one search, then of another one
            states = np.concatenate([new.adopt(scorer, part) for part in (states[:2], states[2:])])
            scorer = new
        labels = rng.integers(1, C, 4)
        states = scorer.advance(states, labels)
        texts = [(*text, int(label)) for text, label in zip(texts, labels, strict=True)]
        for text, end, row in zip(texts, scorer.final(states), scorer.rows(states), strict=True):
            so_far = log_prob(text, ends=False)
            assert end == pytest.approx(log_prob(text) - so_far, abs=1e-4)
            wanted = [log_prob((*text, label), ends=False) - so_far for label in (1, 2, 3)]
            np.testing.assert_allclose(row[1:], wanted, rtol=1e-5, atol=1e-4)
    assert scorer._index.count < 4 * 20


def test_a_search_with_a_recurrent_model_uses_bounded_memory_and_finds_the_same(monkeypatch):
    log_probs, lengths = random_log_probs(2, 60), np.array([60, 55])
    search = BeamSearch(6, fusion=Fusion([RecurrentScorer(known(), SYMBOLS, 1.0)], C))
    wanted = search.search(log_probs, lengths, 6)
    met = search.fusion.table().count
    monkeypatch.setattr("common.decoding.beam.fusion.TABLE_BYTES", 3000)
    bounded = BeamSearch(6, fusion=Fusion([RecurrentScorer(known(), SYMBOLS, 1.0, pool_bytes=1)], C))
    found = bounded.search(log_probs, lengths, 6)
    for name, ours, theirs in zip(found._fields, found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4, err_msg=name)
    assert bounded.fusion.table().count < met / 2


def test_symbols_that_the_model_lacks_are_unknown_or_nearly_impossible():
    without = RecurrentScorer(known(), ("", "a", "z"), 1.0)
    assert without.rows(np.array([0]))[0, 2] < -200


# --- within a decoder


def test_a_decoder_searches_with_a_recurrent_model_and_keeps_it_in_its_file():
    config = DecodingConfig("beam", 50, lm_weight=0.7, label_bonus=0.4)
    decoder = Decoder(LETTERS, config, [known()])
    log_probs, lengths = random_log_probs(3, 5), np.full(3, 5)
    expected = []
    for row in log_probs:
        texts = every_text(row)
        best = max(texts, key=lambda text: texts[text] + 0.7 * log_prob(text) + 0.4 * len(text))
        expected.append(LETTERS.decode(best))
    assert decoder.texts(log_probs, lengths) == expected
    settings, tensors = decoder_tensors(decoder)
    again, left = decoder_from(LETTERS, settings, tensors)
    assert left == {}
    assert again.texts(log_probs, lengths) == expected


def test_rescoring_orders_the_best_by_their_score_with_that_of_the_model():
    config = DecodingConfig("beam", 20, rescore_weight=0.9, rescore_bonus=0.3)
    rescored, plain = Decoder(LETTERS, config, rescorer=known()), Decoder(LETTERS, config)
    log_probs, lengths = random_log_probs(6, 7), np.array([7, 5, 7, 6, 4, 0])
    before, after = (one.decode(log_probs, lengths, 20) for one in (plain, rescored))
    changed = 0
    for old, new in zip(before, after, strict=True):
        scores = {}
        for one in old:
            text = tuple(hit.label for hit in one.hits)
            scores[text] = one.score + 0.9 * log_prob(text) + 0.3 * len(text)
        ranked = sorted(scores.items(), key=lambda pair: -pair[1])
        assert [tuple(hit.label for hit in one.hits) for one in new] == [text for text, _ in ranked]
        np.testing.assert_allclose([one.score for one in new], [score for _, score in ranked], atol=1e-4)
        changed += [hit.label for hit in old[0].hits] != [hit.label for hit in new[0].hits]
        assert [hit.start for hit in new[0].hits] == sorted(hit.start for hit in new[0].hits)
    assert changed
    best = [LETTERS.decode(hit.label for hit in one[0].hits) for one in after]
    assert rescored.texts(log_probs, lengths) == best
    settings, tensors = decoder_tensors(rescored)
    assert decoder_from(LETTERS, settings, tensors)[0].texts(log_probs, lengths) == best


def test_a_stream_joins_the_search_and_refuses_to_rescore():
    config = DecodingConfig("beam", 20)
    log_probs = random_log_probs(1, 7)
    decoder = Decoder(LETTERS, config, [known()])
    stream = decoding_stream(decoder)
    for piece in np.split(log_probs[0], [2, 3]):
        stream.feed(piece)
    (whole,) = decoder.decode(log_probs, np.array([7]))
    (best,) = stream.hypotheses()
    assert [hit.label for hit in best.hits] == [hit.label for hit in whole[0].hits]
    with pytest.raises(ValueError, match="rescoring wants whole texts"):
        decoding_stream(Decoder(LETTERS, config, rescorer=known()))


def test_a_model_over_words_is_for_rescoring():
    words = Vocabulary.from_texts(["a cab"], "word")
    parts = known().parts._replace(vocabulary=words)
    model = RecurrentModel(parts)
    for build in (
        lambda: RecurrentScorer(model, SYMBOLS, 1.0),
        lambda: Decoder(LETTERS, DecodingConfig("beam"), [model]),
    ):
        with pytest.raises(ValueError, match="--rescore"):
            build()


def test_a_recurrent_model_over_characters_works_beside_ngrams_over_words():
    alphabet = Alphabet((" ", "a", "b"))
    words = estimate(["a ab", "b ab"], 2, "word")
    vocabulary = Vocabulary(alphabet)
    recurrent = RecurrentModel(known().parts._replace(vocabulary=vocabulary))
    config = DecodingConfig("beam", 30, lm_weight=0.5, word_bonus=0.0, label_bonus=0.0)
    log_probs, lengths = random_log_probs(2, 6), np.full(2, 6)
    both = Decoder(alphabet, config, [recurrent, words])
    for text in both.texts(log_probs, lengths):
        assert set(text.split()) <= {"a", "b", "ab"}
    assert isinstance(both._scorers(("", *alphabet.symbols))[1], WordScorer)
