"""The reference is the equations of cells and attention in NumPy, one label of one sequence at a time."""

from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from common.network.attention_decoder import AttentionDecoder, attention_losses, end_targets
from common.network.choices import Arrangement
from common.network.recurrent import RecurrentEncoder

ARRANGEMENTS = get_args(Arrangement)
LOOKING = ("additive", "dot", "location")
"""the arrangements with attention"""
B, S, E, C, H, M, A = 4, 9, 6, 5, 7, 3, 8
LENGTHS = torch.tensor([6, 9, 1, 4])
TARGETS = torch.tensor([[1, 1, 4], [3, 0, 0], [2, 4, 0], [4, 2, 3]])
TARGET_LENGTHS = torch.tensor([3, 0, 2, 3])


def decoder_of(arrangement: str, seed: int = 0, **settings) -> AttentionDecoder:
    torch.manual_seed(seed)
    settings = {"hidden_size": H, "embedding_size": M, "attention_size": A} | settings
    decoder = AttentionDecoder(E, C, arrangement=arrangement, **settings).double()
    for parameter in decoder.parameters():  # far from the small, even values they start with
        parameter.data.add_(0.5 * torch.randn_like(parameter))
    return decoder


def encoded_of(batch: int = B, steps: int = S, seed: int = 1) -> Tensor:
    return torch.randn(batch, steps, E, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# --- the equations


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def next_state(p: dict, cell: str, x: np.ndarray, s: np.ndarray, m: np.ndarray) -> tuple:
    gates = 4 if cell == "lstm" else 3
    U, W = np.split(p["cell.weight_ih_l0"], gates), np.split(p["cell.weight_hh_l0"], gates)
    b, d = np.split(p["cell.bias_ih_l0"], gates), np.split(p["cell.bias_hh_l0"], gates)
    if cell == "lstm":
        i, f, g, o = (U[n] @ x + W[n] @ s + b[n] + d[n] for n in range(4))
        m = logistic(f) * m + logistic(i) * np.tanh(g)
        return logistic(o) * np.tanh(m), m
    r, z = (logistic(U[n] @ x + W[n] @ s + b[n] + d[n]) for n in range(2))
    n = np.tanh(U[2] @ x + b[2] + r * (W[2] @ s + d[2]))
    return (1 - z) * n + z * s, m


def energy(p: dict, arrangement: str, s: np.ndarray, steps: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the energy of the state `s` (H,) with each of `steps` (S, E), after weights `seen` (2, S)."""
    W, U, b = p["attention.query.weight"], p["attention.key.weight"], p["attention.key.bias"]
    if arrangement == "dot":
        return np.array([(W @ s) @ (U @ h + b) / np.sqrt(A) for h in steps])
    v = p["attention.energy.weight"][0]
    if arrangement == "additive":
        return np.array([v @ np.tanh(W @ s + U @ h + b) for h in steps])
    F, V = p["attention.filters.weight"], p["attention.place.weight"]  # (10, 2, 31), (A, 10)
    around = np.pad(seen, ((0, 0), (15, 15)))
    f = [np.tensordot(F, around[:, t : t + 31], 2) for t in range(len(steps))]
    return np.array([v @ np.tanh(W @ s + U @ h + V @ ft + b) for h, ft in zip(steps, f, strict=True)])


def reference(decoder: AttentionDecoder, cell: str, steps: np.ndarray, fed: list[int]) -> tuple:
    """Return log-probabilities (L, C) and weights (L, S) after each `fed` label, for one sequence (S, E)."""
    p = {name: value.detach().numpy() for name, value in decoder.named_parameters()}
    summary = steps[-1]
    if decoder.bidirectional:
        summary = np.concatenate([steps[-1][: E // 2], steps[0][E // 2 :]])
    first = np.tanh(p["bridge.weight"] @ summary + p["bridge.bias"])
    s, m = first[:H], first[H:]
    seen = np.zeros((2, len(steps)))
    c = {"first": np.zeros(0), "every": summary}.get(decoder.arrangement, np.zeros(E))
    said, looked = [], []
    for label in fed:
        s, m = next_state(p, cell, np.concatenate([p["embedding.weight"][label], c]), s, m)
        if decoder.arrangement in LOOKING:
            a = softmax(energy(p, decoder.arrangement, s, steps, seen))
            c = sum(weight * h for weight, h in zip(a, steps, strict=True))
            seen = np.stack([a, seen[1] + a])
            looked.append(a)
        mixed = np.tanh(p["mix.weight"] @ np.concatenate([s, c]) + p["mix.bias"])
        said.append(np.log(softmax(p["output.weight"] @ mixed + p["output.bias"])))
    return np.array(said), np.array(looked)


def unrolled(decoder: AttentionDecoder, encoded: Tensor, lengths: Tensor, fed: Tensor) -> tuple:
    """Return log-probabilities (B, L, C) and states of a loop over `step` that reads `fed` (B, L)."""
    state, said, states = decoder.begin(encoded, lengths), [], []
    for labels in fed.unbind(1):
        log_probs, state = decoder.step(state, labels)
        said.append(log_probs)
        states.append(state)
    return torch.stack(said, 1), states


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_steps_compute_the_published_equations_on_each_sequence_alone(arrangement, cell, bidirectional):
    decoder = decoder_of(arrangement, cell=cell, bidirectional=bidirectional)
    fed = torch.tensor([[0, 1, 1, 4], [0, 3, 2, 2], [0, 2, 4, 4], [0, 4, 2, 3]])
    said, states = unrolled(decoder, encoded_of(), LENGTHS, fed)
    for row, length in enumerate(LENGTHS.tolist()):
        steps = encoded_of()[row, :length].numpy()
        expected, looked = reference(decoder, cell, steps, fed[row].tolist())
        np.testing.assert_allclose(said[row].detach().numpy(), expected, rtol=1e-10, atol=1e-12)
        if arrangement not in LOOKING:
            assert states[-1].weights is None
            continue
        for state, weights in zip(states, looked, strict=True):
            np.testing.assert_allclose(state.weights[row, :length].detach().numpy(), weights, rtol=1e-10)
            assert not state.weights[row, length:].any()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_teacher_forcing_is_feeding_the_targets_to_the_steps(arrangement, cell):
    decoder = decoder_of(arrangement, cell=cell)
    log_probs = decoder(encoded_of(), LENGTHS, TARGETS, TARGET_LENGTHS)
    assert log_probs.shape == (B, 4, C)
    for row, count in enumerate(TARGET_LENGTHS.tolist()):
        fed = [0, *TARGETS[row, :count].tolist()]
        expected, _ = reference(decoder, cell, encoded_of()[row, : LENGTHS[row]].numpy(), fed)
        np.testing.assert_allclose(log_probs[row, : count + 1].detach().numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_hypotheses_of_one_sequence_go_side_by_side(arrangement):
    decoder = decoder_of(arrangement)
    state = decoder.begin(encoded_of(), LENGTHS)
    _, state = decoder.step(state.select(torch.arange(B).repeat_interleave(2)), torch.arange(8) % C)
    said, _ = decoder.step(state.select(torch.tensor([1, 1, 3, 2, 4, 5, 7, 6])), torch.tensor([1, 2] * 4))
    fed = [[1, 1], [1, 2], [3, 1], [2, 2], [4, 1], [0, 2], [2, 1], [1, 2]]  # the first: row's number modulo C
    for row, labels in enumerate(fed):
        expected, _ = reference(decoder, "lstm", encoded_of()[row // 2, : LENGTHS[row // 2]].numpy(), labels)
        np.testing.assert_allclose(said[row].detach().numpy(), expected[-1], rtol=1e-10)


# --- gradients


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arrangement", "cell"),
    [("first", "gru"), ("every", "lstm"), ("additive", "lstm"), ("dot", "gru"), ("location", "lstm")],
)
def test_gradients_are_the_differences_of_the_losses(arrangement, cell):
    torch.manual_seed(0)
    decoder = AttentionDecoder(4, 3, 2, 2, arrangement, cell, attention_size=3).double()
    encoded = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    lengths, targets, target_lengths = (
        torch.tensor([3, 2]),
        torch.tensor([[1, 2], [2, 0]]),
        torch.tensor([2, 1]),
    )

    def losses(*_: Tensor) -> Tensor:
        return attention_losses(
            decoder(encoded, lengths, targets, target_lengths), targets, target_lengths, smoothing=0.1
        )

    assert torch.autograd.gradcheck(losses, (encoded, *decoder.parameters()))


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_gradients_reckoned_at_the_end_are_those_of_the_steps(arrangement):
    decoder, encoded = decoder_of(arrangement), encoded_of().requires_grad_()
    wanted = [encoded, *decoder.parameters()]
    fed = functional.pad(end_targets(TARGETS, TARGET_LENGTHS)[:, :-1], (1, 0))
    factors = torch.randn(B, 4, C, dtype=torch.float64)
    said = decoder(encoded, LENGTHS, TARGETS, TARGET_LENGTHS)
    stepped, _ = unrolled(decoder, encoded, LENGTHS, fed)
    ours = torch.autograd.grad((said * factors).sum(), wanted, retain_graph=True)
    again = torch.autograd.grad((said * factors).sum(), wanted)
    truth = torch.autograd.grad((stepped * factors).sum(), wanted)
    torch.testing.assert_close(ours, truth, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(again, ours, rtol=0, atol=0)


def test_no_gradient_reaches_the_padding():
    for arrangement in ARRANGEMENTS:
        encoded = encoded_of().requires_grad_()
        log_probs = decoder_of(arrangement)(encoded, LENGTHS, TARGETS, TARGET_LENGTHS)
        gradient = torch.autograd.grad(attention_losses(log_probs, TARGETS, TARGET_LENGTHS).sum(), encoded)[0]
        behind = torch.arange(S) >= LENGTHS[:, None]
        assert not gradient[behind].any()
        assert gradient[~behind].any()


# --- padding


@pytest.mark.parametrize("sampling", [0.0, 1.0])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_batch_mates_and_padding_change_nothing(arrangement, sampling):
    decoder = decoder_of(arrangement)
    behind = (torch.arange(S) >= LENGTHS[:, None])[:, :, None]
    dirty = torch.where(behind, float("nan"), encoded_of())
    rubbish = torch.where(torch.arange(3) >= TARGET_LENGTHS[:, None], 10**6, TARGETS)
    together = decoder(dirty, LENGTHS, rubbish, TARGET_LENGTHS, sampling)
    losses = attention_losses(together, rubbish, TARGET_LENGTHS, smoothing=0.1)
    for row, (length, count) in enumerate(zip(LENGTHS.tolist(), TARGET_LENGTHS.tolist(), strict=True)):
        one = slice(row, row + 1)
        targets = TARGETS[one, :count]
        alone = decoder(encoded_of()[one, :length], LENGTHS[one], targets, TARGET_LENGTHS[one], sampling)
        torch.testing.assert_close(together[row, : count + 1], alone[0], rtol=1e-10, atol=1e-12)
        loss = attention_losses(alone, targets, TARGET_LENGTHS[one], smoothing=0.1)
        torch.testing.assert_close(losses[row], loss[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("arrangement", LOOKING)
def test_weights_are_a_share_of_each_real_step_and_exactly_none_of_padding(arrangement):
    decoder = decoder_of(arrangement).float()
    _, states = unrolled(decoder, encoded_of().float(), LENGTHS, torch.tensor([[0, 1, 2]] * B))
    for count, state in enumerate(states, 1):
        assert not state.weights[torch.arange(S) >= LENGTHS[:, None]].any()
        assert (state.weights[torch.arange(S) < LENGTHS[:, None]] > 0).all()
        torch.testing.assert_close(state.weights.sum(1), torch.ones(B))
        torch.testing.assert_close(state.cumulated.sum(1), torch.full((B,), float(count)))


# --- scheduled sampling


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_sampling_always_feeds_the_own_choices(arrangement):
    decoder = decoder_of(arrangement)
    targets, target_lengths = torch.full((B, 6), 1), torch.full((B,), 6)
    state, labels, expected = decoder.begin(encoded_of(), LENGTHS), torch.zeros(B, dtype=torch.int64), []
    for _ in range(7):
        log_probs, state = decoder.step(state, labels)
        labels = log_probs.argmax(1)
        expected.append(log_probs)
    said = decoder(encoded_of(), LENGTHS, targets, target_lengths, sampling=1.0)
    torch.testing.assert_close(said, torch.stack(expected, 1), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(said, decoder(encoded_of(), LENGTHS, targets, target_lengths))


def test_sampling_chooses_for_each_step_and_sequence_with_its_probability():
    batch, count = 60, 8
    decoder = decoder_of("dot")
    encoded, lengths = encoded_of(batch), torch.full((batch,), S)
    targets = torch.randint(1, C, (batch, count), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.manual_seed(3)
        said = decoder(encoded, lengths, targets, torch.full((batch,), count), sampling=0.3)
        state, labels, own_turns = decoder.begin(encoded, lengths), torch.zeros(batch, dtype=torch.int64), []
        for step in range(count + 1):
            if step:
                own = said[:, step - 1].argmax(1)
                of_own = decoder.step(state, own)[0]
                took_own = torch.isclose(of_own, said[:, step]).all(1)
                labels = torch.where(took_own, own, targets[:, step - 1])
                own_turns.append(took_own[own != targets[:, step - 1]])
            log_probs, state = decoder.step(state, labels)
            torch.testing.assert_close(log_probs, said[:, step])  # of the own choice, or else of the target
        torch.manual_seed(3)
        again = decoder(encoded, lengths, targets, torch.full((batch,), count), sampling=0.3)
    share = torch.cat(own_turns).double().mean().item()
    assert share == pytest.approx(0.3, abs=0.09)  # of about 400: four standard deviations
    assert torch.equal(again, said)


# --- the loss


def test_the_loss_is_the_cross_entropy_of_labels_and_end_reckoned_by_hand():
    log_probs = torch.tensor(
        [
            [[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [0.8, 0.1, 0.1]],
            [[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4]],
        ],
        dtype=torch.float64,
    ).log()
    targets, target_lengths = torch.tensor([[1, 2], [2, 99]]), torch.tensor([2, 1])
    plain = attention_losses(log_probs, targets, target_lengths)
    assert plain.tolist() == pytest.approx([-np.log(0.25 * 0.7 * 0.8), -np.log(0.1 * 0.2)])
    empty = attention_losses(log_probs[:, :1], targets[:, :0], torch.tensor([0, 0]))
    assert empty.tolist() == pytest.approx([-np.log(0.5), -np.log(0.6)])
    # a share of 0.3 over 3 classes: 0.8 of the wanted one, 0.1 of each other
    smooth = attention_losses(log_probs, targets, target_lengths, smoothing=0.3)
    first = 0.8 * np.log(0.25 * 0.7 * 0.8) + 0.1 * np.log(0.5 * 0.25 * 0.1 * 0.2 * 0.1 * 0.1)
    second = 0.8 * np.log(0.1 * 0.2) + 0.1 * np.log(0.6 * 0.3 * 0.2 * 0.6)
    assert smooth.tolist() == pytest.approx([-first, -second])


def test_the_smoothed_loss_is_that_of_torch():
    log_probs = torch.randn(B, 4, C, dtype=torch.float64).log_softmax(-1)
    wanted = end_targets(TARGETS, TARGET_LENGTHS)
    assert wanted.tolist() == [[1, 1, 4, 0], [0, 0, 0, 0], [2, 4, 0, 0], [4, 2, 3, 0]]
    entropy = functional.cross_entropy(
        log_probs.transpose(1, 2), wanted, reduction="none", label_smoothing=0.2
    )
    expected = [entropy[row, : count + 1].sum().item() for row, count in enumerate(TARGET_LENGTHS.tolist())]
    losses = attention_losses(log_probs, TARGETS, TARGET_LENGTHS, smoothing=0.2)
    assert losses.tolist() == pytest.approx(expected)


# --- precision, sizes, errors


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_half_precision_gives_log_probabilities_in_float32(arrangement):
    torch.manual_seed(0)
    decoder = AttentionDecoder(E, C, H, M, arrangement, attention_size=A)
    encoded = encoded_of().float().requires_grad_()
    full = decoder(encoded, LENGTHS, TARGETS, TARGET_LENGTHS)
    for steps in (encoded, encoded.bfloat16()):
        with torch.autocast("cpu", torch.bfloat16):
            log_probs = decoder(steps, LENGTHS, TARGETS, TARGET_LENGTHS)
            sampled = decoder(steps, LENGTHS, TARGETS, TARGET_LENGTHS, sampling=0.5)
        assert log_probs.dtype == full.dtype == sampled.dtype == torch.float32
        torch.testing.assert_close(log_probs, full, rtol=0.05, atol=0.05)
        torch.testing.assert_close(log_probs.exp().sum(2), torch.ones(B, 4))
    attention_losses(log_probs, TARGETS, TARGET_LENGTHS).sum().backward()
    assert all(torch.isfinite(part.grad).all() for part in (encoded, *decoder.parameters()))


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_one_step_and_no_label_will_do(arrangement):
    decoder, steps = decoder_of(arrangement), encoded_of(1, 1)
    log_probs = decoder(steps, torch.tensor([1]), torch.zeros(1, 0, dtype=torch.int64), torch.tensor([0]))
    expected, _ = reference(decoder, "lstm", steps[0].numpy(), [0])
    np.testing.assert_allclose(log_probs[0].detach().numpy(), expected, rtol=1e-10)


def test_dropout_is_for_training():
    decoder = decoder_of("location", dropout=0.5)
    batch = encoded_of(), LENGTHS, TARGETS, TARGET_LENGTHS
    torch.manual_seed(0)
    first, second = decoder(*batch), decoder(*batch)
    assert not torch.allclose(first, second)
    torch.manual_seed(0)
    assert torch.equal(decoder(*batch), first)
    decoder.eval()
    assert torch.equal(decoder(*batch), decoder(*batch))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arrangement": "self"}, "arrangement is 'self'; it must be one of first, every, additive"),
        ({"cell": "rnn"}, "cell is 'rnn'; it must be lstm or gru"),
        ({"hidden_size": 0}, r"hidden_size 0.* must be 1 or more"),
        ({"dropout": 1.0}, r"dropout 1.0 in \[0, 1\)"),
        ({"classes": 1}, "1 classes; give 2"),
        ({"input_size": 5}, "input_size is 5, which has no halves"),
    ],
)
def test_a_decoder_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AttentionDecoder(**{"input_size": E, "classes": C} | settings)


def test_shares_out_of_range_are_refused():
    decoder = decoder_of("first")
    with pytest.raises(ValueError, match="sampling is 1"):
        decoder(encoded_of(), LENGTHS, TARGETS, TARGET_LENGTHS, sampling=1.5)
    with pytest.raises(ValueError, match="smoothing is 1; give"):
        attention_losses(torch.zeros(B, 4, C), TARGETS, TARGET_LENGTHS, smoothing=1.0)


# --- learning


@pytest.mark.training
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_the_loss_of_a_batch_to_be_written_backwards_falls(arrangement):
    """The labels come in reverse order, which CTC cannot learn."""
    torch.manual_seed(1)
    symbols, longest = 4, 4
    look_up = torch.nn.Embedding(symbols, 8)
    encoder = RecurrentEncoder(8, 24, layers=1, cell="gru")
    decoder = AttentionDecoder(encoder.output_size, symbols, 32, 8, arrangement, "gru", attention_size=16)
    parameters = [*look_up.parameters(), *encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=0.01)
    lengths = torch.randint(1, longest + 1, (16,))
    labels = torch.randint(1, symbols, (16, longest))
    backwards = labels.gather(1, (lengths[:, None] - 1 - torch.arange(longest)).clamp(min=0))
    losses = []
    for _ in range(40):
        encoded, _, _ = encoder(look_up(labels), lengths)
        loss = attention_losses(decoder(encoded, lengths, backwards, lengths), backwards, lengths).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
