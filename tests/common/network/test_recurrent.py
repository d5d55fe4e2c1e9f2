"""The reference is the equations of each cell in float64, one step of one sequence at a time."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from common.network.recurrent import RecurrentEncoder, State, mask_steps, reverse_within_lengths

CELLS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
GATES = {"lstm": "ifgo", "gru": "rzn", "rnn_tanh": "h", "rnn_relu": "h"}
"""the gates in the order in which torch stacks their matrices"""
B, S, D, H = 4, 7, 3, 5
LENGTHS = torch.tensor([5, 7, 1, 3])


def logistic(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))


def next_state(cell: str, layer: nn.Module, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Return h' and c' (H,) after reading x (D,)."""
    names = GATES[cell]
    U = dict(zip(names, layer.weight_ih_l0.chunk(len(names)), strict=True))
    W = dict(zip(names, layer.weight_hh_l0.chunk(len(names)), strict=True))
    b = dict(zip(names, layer.bias_ih_l0.chunk(len(names)), strict=True))
    d = dict(zip(names, layer.bias_hh_l0.chunk(len(names)), strict=True))
    if cell == "lstm":
        i = logistic(U["i"] @ x + W["i"] @ h + b["i"] + d["i"])
        f = logistic(U["f"] @ x + W["f"] @ h + b["f"] + d["f"])
        o = logistic(U["o"] @ x + W["o"] @ h + b["o"] + d["o"])
        g = torch.tanh(U["g"] @ x + W["g"] @ h + b["g"] + d["g"])
        c = f * c + i * g
        return o * torch.tanh(c), c
    if cell == "gru":
        r = logistic(U["r"] @ x + W["r"] @ h + b["r"] + d["r"])
        z = logistic(U["z"] @ x + W["z"] @ h + b["z"] + d["z"])
        n = torch.tanh(U["n"] @ x + b["n"] + r * (W["n"] @ h + d["n"]))
        return (1 - z) * n + z * h, c
    a = U["h"] @ x + W["h"] @ h + b["h"] + d["h"]
    return (torch.tanh(a) if cell == "rnn_tanh" else torch.clamp(a, min=0)), c


def unrolled(cell: str, layer: nn.Module, sequence: Tensor) -> Tensor:
    """Return h_1 ... h_S (S, H) for one `sequence` (S, D), starting from a state of zeros."""
    h = c = sequence.new_zeros(layer.hidden_size)
    hidden = []
    for x in sequence:
        h, c = next_state(cell, layer, x, h, c)
        hidden.append(h)
    return torch.stack(hidden)


def reference(encoder: RecurrentEncoder, features: Tensor, lengths: Tensor) -> Tensor:
    """Return the expected output of `encoder`: each sequence alone, layer by layer, 0 after its length."""
    encoded = []
    for sequence, length in zip(features, lengths.tolist(), strict=True):
        layer_input = sequence[:length]
        for depth, forwards in enumerate(encoder.forwards):
            hidden = unrolled(encoder.cell, forwards, layer_input)
            if encoder.bidirectional:
                back = unrolled(encoder.cell, encoder.backwards[depth], layer_input.flip(0)).flip(0)
                hidden = torch.cat([hidden, back], dim=1)
            layer_input = hidden
        encoded.append(functional.pad(layer_input, (0, 0, 0, len(sequence) - length)))
    return torch.stack(encoded)


def encoder_of(cell: str, seed: int = 0, **settings) -> RecurrentEncoder:
    torch.manual_seed(seed)
    return RecurrentEncoder(D, H, cell=cell, **settings).double()


def features_of(steps: int = S, seed: int = 1, batch: int = B) -> Tensor:
    return torch.randn(batch, steps, D, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# --- forwards


@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_computes_the_published_equations(cell):
    encoder = encoder_of(cell, layers=1, bidirectional=False)
    encoded, lengths, state = encoder(features_of(), torch.full((B,), S))
    expected = torch.stack([unrolled(cell, encoder.forwards[0], one) for one in features_of()])
    torch.testing.assert_close(encoded, expected, rtol=1e-12, atol=1e-12)
    assert lengths.tolist() == [S] * B
    assert state is None


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("cell", CELLS)
def test_a_stack_of_layers_computes_the_equations_on_each_sequence_alone(cell, layers, bidirectional):
    encoder = encoder_of(cell, layers=layers, bidirectional=bidirectional)
    encoded, _, _ = encoder(features_of(), LENGTHS)
    assert encoded.shape == (B, S, encoder.output_size)
    expected = reference(encoder, features_of(), LENGTHS)
    torch.testing.assert_close(encoded, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_a_bidirectional_layer_is_two_independent_passes_concatenated(cell):
    both = encoder_of(cell, layers=1, bidirectional=True)
    ahead = encoder_of(cell, seed=2, layers=1, bidirectional=False)
    back = encoder_of(cell, seed=3, layers=1, bidirectional=False)
    both.forwards[0].load_state_dict(ahead.forwards[0].state_dict())
    both.backwards[0].load_state_dict(back.forwards[0].state_dict())
    encoded, _, _ = both(features_of(), LENGTHS)
    for row, one, length in zip(encoded, features_of(), LENGTHS.tolist(), strict=True):
        alone, whole = one[None, :length], torch.tensor([length])
        from_start, from_end = ahead(alone, whole)[0][0], back(alone.flip(1), whole)[0][0].flip(0)
        torch.testing.assert_close(row[:length], torch.cat([from_start, from_end], 1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_lengths_are_respected_as_by_packing(cell, bidirectional):
    encoder = encoder_of(cell, layers=3, bidirectional=bidirectional)
    kind = {"lstm": nn.LSTM, "gru": nn.GRU}.get(cell, nn.RNN)
    more = {} if cell in ("lstm", "gru") else {"nonlinearity": cell.removeprefix("rnn_")}
    packing = kind(D, H, 3, batch_first=True, bidirectional=bidirectional, **more).double()
    for depth in range(3):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(packing, f"{name}_l{depth}").data = getattr(encoder.forwards[depth], f"{name}_l0").data
            if bidirectional:
                back = getattr(encoder.backwards[depth], f"{name}_l0").data
                getattr(packing, f"{name}_l{depth}_reverse").data = back
    packed, _ = packing(pack_padded_sequence(features_of(), LENGTHS, batch_first=True, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed, batch_first=True)
    encoded, _, _ = encoder(features_of(), LENGTHS)
    torch.testing.assert_close(encoded, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("settings", [{"bidirectional": True}, {"bidirectional": False}, {"residual": True}])
@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_behind_the_lengths_changes_nothing_and_gets_no_gradient(cell, settings):
    encoder = encoder_of(cell, layers=2, **settings)
    behind = torch.arange(S) >= LENGTHS[:, None]
    clean = features_of().masked_fill(behind[:, :, None], 0.0)
    dirty = torch.where(behind[:, :, None], 1e3 * features_of(seed=9), clean).requires_grad_()
    encoded, _, _ = encoder(dirty, LENGTHS)
    assert torch.equal(encoded, encoder(clean, LENGTHS)[0])
    assert not encoded[behind].any()
    encoded.square().sum().backward()
    assert not dirty.grad[behind].any()
    assert dirty.grad[~behind].any(dim=1).all()


# --- backwards


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_backpropagation_through_the_unrolled_equations(cell, bidirectional):
    encoder = encoder_of(cell, layers=2, bidirectional=bidirectional)
    weights = torch.randn(B, S, encoder.output_size, dtype=torch.float64)
    wanted = [features_of().requires_grad_(), *encoder.parameters()]
    ours = torch.autograd.grad((encoder(wanted[0], LENGTHS)[0] * weights).sum(), wanted)
    truth = torch.autograd.grad((reference(encoder, wanted[0], LENGTHS) * weights).sum(), wanted)
    for one, expected in zip(ours, truth, strict=True):
        assert expected.any()
        torch.testing.assert_close(one, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("settings", [{"bidirectional": False}, {}, {"residual": True}])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_equal_finite_differences(cell, settings):
    torch.manual_seed(0)
    encoder = RecurrentEncoder(2, 2, layers=1, cell=cell, **settings).double()
    names = [name for name, _ in encoder.named_parameters()]
    lengths = torch.tensor([3, 2])

    def encode(features: Tensor, *parameters: Tensor) -> Tensor:
        return functional_call(encoder, dict(zip(names, parameters, strict=True)), (features, lengths))[0]

    features = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(encode, (features, *encoder.parameters()))


def test_the_plain_cell_passes_errors_back_by_the_recursion_of_bptt():
    encoder = encoder_of("rnn_tanh", layers=1, bidirectional=False)
    layer, sequence = encoder.forwards[0], features_of(batch=1)[0]
    encoded, _, _ = encoder(sequence[None], torch.tensor([S]))
    pull = torch.randn(S, H, dtype=torch.float64)  # dL/dh_t from above
    (encoded[0] * pull).sum().backward()
    h, W = encoded[0].detach(), layer.weight_hh_l0.detach()
    dU, dW, db = torch.zeros(H, D).double(), torch.zeros(H, H).double(), torch.zeros(H).double()
    delta = torch.zeros(H).double()
    for t in reversed(range(S)):
        delta = (1 - h[t] ** 2) * (pull[t] + W.T @ delta)
        dU += torch.outer(delta, sequence[t])
        dW += torch.outer(delta, h[t - 1]) if t else 0
        db += delta
    torch.testing.assert_close(layer.weight_ih_l0.grad, dU, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.weight_hh_l0.grad, dW, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.bias_ih_l0.grad, db, rtol=1e-12, atol=1e-12)


# --- the state


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_pieces_with_the_state_carried_equal_the_whole(cell, residual):
    encoder = encoder_of(cell, layers=3, bidirectional=False, residual=residual)
    features = features_of(steps=12)
    whole, _, _ = encoder(features, torch.full((B,), 12))
    state, pieces = None, []
    for start, end in pairwise([0, 4, 5, 11, 12]):
        lengths = torch.full((B,), end - start)
        piece, _, state = encoder(features[:, start:end], lengths, state, keep_state=True)
        pieces.append(piece)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_pieces_of_unequal_length_carry_each_its_own_state(cell):
    encoder = encoder_of(cell, layers=2, bidirectional=False)
    pieces = [torch.tensor([4, 1, 3, 2]), torch.tensor([1, 5, 2, 5])]
    features = [features_of(steps=4, seed=4), features_of(steps=5, seed=5)]
    first, _, state = encoder(features[0], pieces[0], keep_state=True)
    second, _, _ = encoder(features[1], pieces[1], state)
    for row in range(B):
        ends = [int(lengths[row]) for lengths in pieces]
        joined = torch.cat([part[row, :end] for part, end in zip(features, ends, strict=True)])
        whole, _, _ = encoder(joined[None], torch.tensor([sum(ends)]))
        parts = torch.cat([part[row, :end] for part, end in zip((first, second), ends, strict=True)])
        torch.testing.assert_close(parts, whole[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_the_state_is_that_at_each_sequence_s_real_end(cell):
    encoder = encoder_of(cell, layers=2, bidirectional=False)
    encoded, _, state = encoder(features_of(), LENGTHS, keep_state=True)
    assert isinstance(state, State)
    assert state.hidden.shape == (2, B, H)
    assert (state.memory is None) == (cell != "lstm")
    torch.testing.assert_close(
        state.hidden[-1], encoded[torch.arange(B), LENGTHS - 1], rtol=1e-12, atol=1e-12
    )
    for row, length in enumerate(LENGTHS.tolist()):
        _, _, alone = encoder(features_of()[row : row + 1, :length], torch.tensor([length]), keep_state=True)
        torch.testing.assert_close(state.hidden[:, row], alone.hidden[:, 0], rtol=1e-12, atol=1e-12)
        if cell == "lstm":
            torch.testing.assert_close(state.memory[:, row], alone.memory[:, 0], rtol=1e-12, atol=1e-12)


def test_the_lstm_s_memory_is_that_of_its_equations():
    encoder = encoder_of("lstm", layers=1, bidirectional=False)
    _, _, state = encoder(features_of(), torch.full((B,), S), keep_state=True)
    for row, sequence in enumerate(features_of()):
        h = c = torch.zeros(H).double()
        for x in sequence:
            h, c = next_state("lstm", encoder.forwards[0], x, h, c)
        torch.testing.assert_close(state.hidden[0, row], h, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(state.memory[0, row], c, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_asking_for_the_state_does_not_change_what_is_encoded(cell):
    encoder = encoder_of(cell, layers=2, bidirectional=False)
    with_state, _, _ = encoder(features_of(), LENGTHS, keep_state=True)
    without, _, state = encoder(features_of(), LENGTHS)
    assert state is None
    torch.testing.assert_close(with_state, without, rtol=1e-12, atol=1e-12)


def test_an_encoder_that_looks_back_only_does_not_know_the_future():
    encoder = encoder_of("lstm", layers=2, bidirectional=False)
    other = features_of()
    other[:, 4:] = features_of(seed=8)[:, 4:]
    lengths = torch.full((B,), S)
    before, after = encoder(features_of(), lengths)[0], encoder(other, lengths)[0]
    torch.testing.assert_close(before[:, :4], after[:, :4], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(before[:, 4:], after[:, 4:])


# --- residual connections and dropout


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_residual_layer_adds_to_its_input_what_it_reads_through_normalisation(bidirectional):
    encoder = encoder_of("gru", layers=2, bidirectional=bidirectional, residual=True)
    lengths = torch.full((B,), S)
    expected = features_of() @ encoder.entry.weight.T + encoder.entry.bias
    for depth in range(2):
        mean, variance = expected.mean(2, keepdim=True), expected.var(2, keepdim=True, correction=0)
        normed = (expected - mean) / torch.sqrt(variance + 1e-5)
        normed = normed * encoder.norms[depth].weight + encoder.norms[depth].bias
        hidden = [torch.stack([unrolled("gru", encoder.forwards[depth], one) for one in normed])]
        if bidirectional:
            back = [unrolled("gru", encoder.backwards[depth], one.flip(0)).flip(0) for one in normed]
            hidden.append(torch.stack(back))
        expected = expected + torch.cat(hidden, 2)
    torch.testing.assert_close(encoder(features_of(), lengths)[0], expected, rtol=1e-10, atol=1e-12)


def test_a_residual_encoder_projects_its_input_only_where_the_width_differs():
    assert RecurrentEncoder(8, 4, bidirectional=True, residual=True).entry is None
    assert RecurrentEncoder(8, 4, bidirectional=False, residual=True).entry.out_features == 4
    assert RecurrentEncoder(3, 4, bidirectional=True).entry is None


def test_dropout_stands_between_layers_and_in_training_only():
    lengths = torch.full((B,), S)
    deep, flat = encoder_of("lstm", layers=2, dropout=0.5), encoder_of("lstm", layers=1, dropout=0.5)
    assert torch.equal(flat.train()(features_of(), lengths)[0], flat.eval()(features_of(), lengths)[0])
    assert not torch.equal(deep.train()(features_of(), lengths)[0], deep(features_of(), lengths)[0])
    assert torch.equal(deep.eval()(features_of(), lengths)[0], deep(features_of(), lengths)[0])


# --- first weights


def gates_of(encoder: RecurrentEncoder, name: str) -> list[Tensor]:
    """Return the parameter `name`, such as "weight_hh", of every layer and direction, split into gates."""
    layers, count = [*encoder.forwards, *(encoder.backwards or [])], len(GATES[encoder.cell])
    return [matrix for layer in layers for matrix in getattr(layer, f"{name}_l0").chunk(count)]


@pytest.mark.parametrize("cell", CELLS)
def test_first_weights_are_those_of_torch_unless_told_otherwise(cell):
    encoder = encoder_of(cell, layers=2)
    kind = {"lstm": nn.LSTM, "gru": nn.GRU}.get(cell, nn.RNN)
    torch.manual_seed(0)
    drawn = [kind(size, H).double() for size in (D, 2 * H, D, 2 * H)]  # all forwards, then all backwards
    next_draw = torch.rand(1)
    for layer, expected in zip([*encoder.forwards, *encoder.backwards], drawn, strict=True):
        assert layer.state_dict().keys() == expected.state_dict().keys()
        assert all(
            torch.equal(value, layer.state_dict()[name]) for name, value in expected.state_dict().items()
        )
    torch.manual_seed(0)
    RecurrentEncoder(D, H, layers=2, cell=cell)
    assert torch.equal(torch.rand(1), next_draw)


@pytest.mark.parametrize("cell", CELLS)
def test_orthogonal_recurrent_matrices_are_orthogonal_gate_by_gate(cell):
    matrices = gates_of(encoder_of(cell, initialisation="orthogonal"), "weight_hh")
    assert len(matrices) == 4 * len(GATES[cell])
    for matrix in matrices:
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(H, dtype=torch.float64), rtol=0, atol=1e-6)
    for one, other in pairwise(matrices):
        assert not torch.allclose(one, other, atol=0.1)


@pytest.mark.parametrize("initialisation", ["xavier", "orthogonal"])
@pytest.mark.parametrize("cell", CELLS)
def test_glorot_matrices_fill_their_bounds_gate_by_gate(cell, initialisation):
    torch.manual_seed(0)
    encoder = RecurrentEncoder(30, 50, layers=1, cell=cell, initialisation=initialisation)
    names = {"weight_ih": 30, "weight_hh": 50} if initialisation == "xavier" else {"weight_ih": 30}
    for name, columns in names.items():
        bound = (6 / (50 + columns)) ** 0.5
        for matrix in gates_of(encoder, name):
            assert matrix.shape == (50, columns)
            assert 0.98 * bound < matrix.abs().max() <= bound
            assert matrix.var().item() == pytest.approx(bound**2 / 3, rel=0.1)  # of a uniform distribution
    assert not any(bias.any() for bias in gates_of(encoder, "bias_ih") + gates_of(encoder, "bias_hh"))


def test_an_identity_recurrence_sums_up_what_is_not_negative():
    encoder = encoder_of("rnn_relu", layers=1, bidirectional=False, initialisation="identity")
    with torch.no_grad():
        encoder.forwards[0].weight_ih_l0.abs_()
    encoded, _, _ = encoder(features_of().abs(), torch.full((B,), S))
    expected = (features_of().abs() @ encoder.forwards[0].weight_ih_l0.T).cumsum(1)
    torch.testing.assert_close(encoded, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("initialisation", ["uniform", "xavier", "orthogonal"])
@pytest.mark.parametrize("forget_bias", [0.0, 1.0, 4.5])
def test_both_biases_of_the_forget_gate_sum_up_to_the_forget_bias(forget_bias, initialisation):
    plain = encoder_of("lstm", initialisation=initialisation)
    biased = encoder_of("lstm", initialisation=initialisation, forget_bias=forget_bias)
    pairs = zip(
        gates_of(biased, "bias_ih"), gates_of(biased, "bias_hh"), gates_of(plain, "bias_ih"), strict=True
    )
    for place, (b, d, unchanged) in enumerate(pairs):
        if GATES["lstm"][place % 4] == "f":
            assert (b + d).tolist() == [forget_bias] * H
        else:
            assert torch.equal(b, unchanged)
    for one, other in zip(gates_of(biased, "weight_hh"), gates_of(plain, "weight_hh"), strict=True):
        assert torch.equal(one, other)


def test_a_large_forget_bias_keeps_the_memory():
    """With f = 1, i = 0 and o = 1, h stays tanh(c) for any input."""
    encoder = encoder_of("lstm", layers=1, bidirectional=False, forget_bias=50.0)
    with torch.no_grad():
        i, _, _, o = encoder.forwards[0].bias_ih_l0.chunk(4)
        i.fill_(-50.0)
        o.fill_(50.0)
    memory = torch.linspace(-1, 1, B * H, dtype=torch.float64).reshape(1, B, H)
    encoded, _, _ = encoder(features_of(), torch.full((B,), S), State(torch.zeros_like(memory), memory))
    torch.testing.assert_close(encoded, torch.tanh(memory[0])[:, None].expand(B, S, H), rtol=0, atol=1e-12)


# --- what is refused


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"cell": "mamba"}, "mamba"),
        ({"layers": 0}, "layers 0"),
        ({"hidden_size": 0}, "hidden_size 0"),
        ({"input_size": 0}, "input_size 0"),
        ({"dropout": 1.0}, "dropout 1.0"),
        ({"dropout": -0.1}, "dropout -0.1"),
        ({"initialisation": "zeros"}, "'zeros'; it must be uniform, xavier, orthogonal or identity"),
        ({"cell": "rnn_tanh", "initialisation": "identity"}, "rnn_tanh; it is for rnn_relu"),
        (
            {"cell": "gru", "forget_bias": 1.0},
            "gru, which has no forget gate; leave it out, or take cell lstm",
        ),
        ({"cell": "rnn_relu", "forget_bias": 0.0}, "rnn_relu, which has no forget gate"),
        ({"forget_bias": float("nan")}, "forget_bias is nan"),
    ],
)
def test_a_shape_that_cannot_be_is_refused_by_name(settings, named):
    with pytest.raises(ValueError, match=named):
        RecurrentEncoder(**{"input_size": D, **settings})


def test_a_bidirectional_encoder_refuses_to_carry_a_state():
    encoder = RecurrentEncoder(D, H)
    with pytest.raises(ValueError, match="bidirectional=False"):
        encoder(torch.zeros(1, 2, D), torch.tensor([2]), keep_state=True)
    with pytest.raises(ValueError, match="bidirectional=False"):
        encoder(torch.zeros(1, 2, D), torch.tensor([2]), State(torch.zeros(2, 1, H)))


# --- its tools


@settings(deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 2))
def test_each_sequence_is_reversed_within_its_own_length(lengths, spare):
    width = max(lengths) + spare
    sequences = torch.arange(len(lengths) * width * 2.0).reshape(len(lengths), width, 2)
    mirrored = reverse_within_lengths(sequences, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        whole = sequences[row].tolist()
        assert mirrored[row].tolist() == whole[:length][::-1] + whole[length:]
    assert torch.equal(reverse_within_lengths(mirrored, torch.tensor(lengths)), sequences)


def test_masking_zeroes_from_the_length_on():
    masked = mask_steps(torch.ones(2, 3, 1), torch.tensor([2, 3]))
    assert masked[:, :, 0].tolist() == [[1, 1, 0], [1, 1, 1]]
