import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.language.arpa import write_arpa
from common.language.kneser_ney import estimate
from common.language.loading import load_ngrams
from common.language.ngram import EMPTY_CONTEXT, END_ID, FLOOR, START_ID, UNKNOWN_ID, NGram

TEXTS = ("the cat sat", "the cat ran", "a cat", "the dog sat on the cat", "on the dog a cat ran", "a a a")
ORDERS = (1, 2, 3, 5)


Listed = dict[tuple[str, ...], tuple[float, float]]


def ngrams_of(model: NGram) -> Listed:
    """Return every n-gram of the model with its probability and backoff, node by node."""
    parents = model.parents().tolist()
    listed = {}
    for node in range(1, len(model)):
        words, at = [], node
        while at != EMPTY_CONTEXT:
            words.append(model.tokens[model.token[at]])
            at = parents[at]
        listed[tuple(reversed(words))] = (float(model.log_prob[node]), float(model.backoff[node]))
    return listed


def by_hand(
    listed: dict[tuple[str, ...], tuple[float, float]], context: tuple[str, ...], token: str
) -> float:
    """Return the log-probability by the definition of the ARPA format."""
    if (*context, token) in listed:
        return listed[(*context, token)][0]
    if not context:
        return FLOOR
    return listed.get(context, (0.0, 0.0))[1] + by_hand(listed, context[1:], token)


def model_of(order: int, unit: str = "word", prune: tuple[int, ...] = ()) -> NGram:
    return estimate(TEXTS, order, unit, prune)


def random_sentences(model: NGram, seed: int) -> list[list[str]]:
    draw = random.Random(seed)
    words = [*model.tokens[3:], "unseen"]
    return [draw.choices(words, k=draw.randrange(12)) for _ in range(20)]


@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("prune", [(), (0, 1)])
def test_scores_are_those_of_the_definition(order, unit, prune):
    model = model_of(order, unit, prune[:order])
    listed = ngrams_of(model)
    for sentence in random_sentences(model, order):
        known = [token if token in model.tokens else "<unk>" for token in sentence]
        history, wanted = ("<s>",), []
        for token in [*known, "</s>"]:
            context = history[max(0, len(history) - order + 1) :] if order > 1 else ()
            wanted.append(by_hand(listed, context, token))
            history += (token,)
        assert model.log_probs(sentence) == pytest.approx(wanted, rel=1e-6, abs=1e-6)
        state, stepwise = np.array([model.start]), []
        for token in [*model.ids(sentence), END_ID]:
            log_prob, state = model.score(state, np.array([token]))
            stepwise.append(log_prob[0])
        np.testing.assert_array_equal(stepwise, model.log_probs(sentence))


@pytest.mark.parametrize("order", ORDERS)
def test_the_next_state_is_the_longest_suffix_that_is_in_the_model(order):
    model = model_of(order, prune=(0, 0, 1)[:order])
    listed = {ngram: node for node, ngram in enumerate(ngrams_of(model), 1)}
    for sentence in random_sentences(model, 10 + order):
        state = np.array([model.start])
        for end in range(1, len(sentence) + 1):
            _, state = model.score(state, model.ids([sentence[end - 1]]))
            read = ["<s>", *(token if token in model.tokens else "<unk>" for token in sentence[:end])]
            ends = [tuple(read[-length:]) for length in range(order - 1, 0, -1)]
            assert state[0] == next((listed[some] for some in ends if some in listed), EMPTY_CONTEXT)


@pytest.mark.parametrize("order", ORDERS)
def test_a_batch_gives_what_each_gives_alone_and_rows_give_all_of_them(order):
    model = model_of(order)
    states = np.arange(model.levels[order])  # all n-grams that are shorter
    rows = model.rows(states)
    assert rows.shape == (len(states), len(model.tokens))
    pairs = np.array(list(itertools.product(states, range(len(model.tokens)))))
    log_probs, following = model.score(pairs[:, 0], pairs[:, 1])
    np.testing.assert_array_equal(log_probs, rows.ravel())
    for place in range(0, len(pairs), 7):
        alone, after = model.score(pairs[place : place + 1, 0], pairs[place : place + 1, 1])
        assert (alone[0], after[0]) == (log_probs[place], following[place])
    assert (log_probs.dtype, following.dtype) == (np.float32, np.int32)


def test_an_empty_batch_is_empty():
    model, none = model_of(2), np.zeros(0, np.int64)
    assert [part.shape for part in model.score(none, none)] == [(0,), (0,)]
    assert model.rows(none).shape == (0, len(model.tokens))


def test_nodes_are_sorted_and_children_are_neighbours():
    model = model_of(3)
    parents = model.parents()
    keys = parents[1:] * len(model.tokens) + model.token[1:]
    assert (np.diff(keys) > 0).all()
    for node in range(len(model)):
        first, end = model.first_child[node : node + 2]
        assert (parents[first:end] == node).all()
    assert model.first_child[-1] == len(model)
    assert (model.suffix[0], set(model.suffix[1 : model.levels[2]])) == (-1, {0})
    assert model.counts == [len(range(*model.levels[n : n + 2])) for n in (1, 2, 3)]


def test_suffixes_are_the_longest_in_the_model_in_any_order_of_look_ups():
    model, again = model_of(4, prune=(0, 0, 1, 1)), model_of(4, prune=(0, 0, 1, 1))
    listed = list(ngrams_of(model))
    node_of = {ngram: node for node, ngram in enumerate(listed, 1)}
    for node in np.random.default_rng(0).permutation(len(listed)) + 1:
        ngram = listed[node - 1]
        ends = [ngram[start:] for start in range(1, len(ngram))]
        wanted = next((node_of[end] for end in ends if end in node_of), EMPTY_CONTEXT)
        assert model.suffixes(np.array([node, node])).tolist() == [wanted, wanted]
    assert again.suffix.tolist() == model.suffix.tolist()


def test_ids_are_places_among_the_tokens():
    model = model_of(2)
    assert model.tokens[:3] == ("<unk>", "<s>", "</s>")
    assert [model.id(token) for token in model.tokens] == list(range(len(model.tokens)))
    assert model.ids(["cat", "zebra", "</s>"]).tolist() == [model.id("cat"), UNKNOWN_ID, END_ID]


def test_the_start_is_the_node_of_its_token_or_the_root():
    model = model_of(2)
    assert model.token[model.start] == START_ID
    assert model_of(1).start == EMPTY_CONTEXT


# --- files


def assert_same(one: NGram, other: NGram) -> None:
    assert (one.tokens, one.unit, one.order) == (other.tokens, other.unit, other.order)
    for name in ("token", "log_prob", "backoff", "suffix", "first_child", "levels"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("ab é|▁日"), max_size=8), min_size=1, max_size=6),
    st.integers(1, 5),
    st.sampled_from(["word", "character"]),
)
def test_arrays_give_the_model_back_to_the_last_bit(texts, order, unit):
    model = estimate([*texts, "a"], order, unit)
    arrays = model.to_arrays()
    assert all(array.dtype.kind in "uif" and array.ndim == 1 for array in arrays.values())
    assert_same(NGram.from_arrays({**arrays, "weights": np.ones(3)}), model)


@pytest.mark.parametrize("name", ["lm.npz", "lm.arpa", "lm.arpa.gz", "named.otherwise"])
def test_load_goes_by_the_content_of_a_file(name, tmp_path):
    model = model_of(3, "character", (0, 0, 1))
    if ".arpa" in name:
        write_arpa(model, tmp_path / name)
    else:
        model.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert_same(load_ngrams(tmp_path / name), model)


def test_large_models_take_few_bytes_a_node():
    arrays = model_of(5, "character").to_arrays()
    assert (arrays["token"].dtype, arrays["children"].dtype) == (np.uint8, np.uint8)
    assert len(arrays["backoff"]) < len(arrays["log_prob"])


def broken(model: NGram, **changed: np.ndarray | None) -> dict[str, np.ndarray]:
    arrays = {**model.to_arrays(), **changed}
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"token": None}, "no array 'token'"),
        ({"version": np.array([9], np.uint8)}, "install a newer"),
        ({"unit": np.array([7], np.uint8)}, "do not fit"),
        ({"order": np.array([], np.uint8)}, "damaged"),
        ({"order": np.array([2], np.uint8)}, "not in order"),
        ({"tokens": np.array([255], np.uint8)}, "damaged"),
        ({"tokens": np.frombuffer(b"a\nb\nc", np.uint8)}, "do not fit"),
        ({"log_prob": np.zeros(3, np.float32)}, "do not fit"),
        ({"backoff": np.zeros(3, np.float32)}, "do not fit"),
        ({"children": np.zeros((2, 2), np.uint8)}, "do not fit"),
        ({"children": np.zeros(0, np.uint8)}, "do not fit"),
    ],
)
def test_arrays_that_describe_no_model_are_refused(changed, problem):
    with pytest.raises(ValueError, match=problem):
        NGram.from_arrays(broken(model_of(3), **changed))


def test_impossible_numbers_are_refused():
    model = model_of(3)
    arrays = model.to_arrays()
    not_a_number = arrays["log_prob"].copy()
    not_a_number[5] = np.nan
    with pytest.raises(ValueError, match="do not fit"):
        NGram.from_arrays(broken(model, log_prob=not_a_number))
    with pytest.raises(ValueError, match="not in order"):
        NGram.from_arrays(broken(model, token=arrays["token"][::-1]))


def test_files_that_contain_no_model_are_refused(tmp_path):
    path = tmp_path / "lm.npz"
    with pytest.raises(ValueError, match=r"lm.npz: cannot be read \(No such file"):
        load_ngrams(path)
    with pytest.raises(ValueError, match="cannot be read"):
        load_ngrams(tmp_path)
    model_of(3).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"lm.npz: is damaged"):
        load_ngrams(path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(20) + whole[middle + 20 :])
    with pytest.raises(ValueError, match=r"lm.npz: "):
        load_ngrams(path)
    np.savez(path, weights=np.ones(3))
    with pytest.raises(ValueError, match=r"lm.npz: no array"):
        load_ngrams(path)
    np.savez(path, version=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"lm.npz: "):
        load_ngrams(path)
