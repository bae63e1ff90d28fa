"""Algorithms 11, 12 and 13: properties of the losses, of their gradients and of training."""

from dataclasses import dataclass, field
from functools import partial

import jax
import numpy as np
import optax
import pytest
from hypothesis import given

import formal_tx
from formal_tx.losses import d_loss, e_loss, ed_loss
from formal_tx.masking import mask_tokens

from .strategies import (
    ED,
    LIBRARY,
    D,
    E,
    close,
    differ,
    few,
    pick,
    random_model,
    same_tree,
    seeds,
    some,
    tokens,
)

L = 5  # of x; and of z, so that both are cut at the same lengths
N_V = D.N_V
MASK = E.mask_token
SGD = optax.sgd(0.02)
MOMENTUM = optax.sgd(0.02, momentum=0.9)


@dataclass
class Case:
    """One of the three: its loss, its training, and how to draw a batch of data for them."""

    loss: object
    train: object
    hyperparameters: object
    predict: object
    draw: object = field(repr=False)

    def __post_init__(self):
        hp = self.hyperparameters
        value = partial(self.loss, hyperparameters=hp)
        self.gradient = jax.jit(jax.grad(lambda params, *data: value(params, *data)))

    def model(self, seed):
        return random_model(seed, self.hyperparameters)

    def __call__(self, params, *data, lengths=(), mean=False):
        return np.asarray(self.loss(params, *data, self.hyperparameters, *lengths, mean=mean))


def _next_tokens(seed, *batch):
    return (tokens(seed, *batch, L),)


def _pairs(seed, *batch):
    return tokens(seed + 1, *batch, L), tokens(seed, *batch, L)


def _masked(seed, *batch):
    """x_tilde and x, of which some tokens, but not all, are masked, and none is mask_token itself."""
    rng = np.random.default_rng(seed)
    x = (MASK + rng.integers(1, N_V, (*batch, L))) % N_V
    hidden = rng.random((*batch, L)) < 0.4
    hidden[..., 0], hidden[..., 1] = True, False
    return np.where(hidden, MASK, x), x


CASES = {
    "ed": Case(ed_loss, formal_tx.ed_training, ED, LIBRARY.ed_transformer, _pairs),
    "e": Case(e_loss, formal_tx.e_training, E, LIBRARY.e_transformer, _masked),
    "d": Case(d_loss, formal_tx.d_training, D, LIBRARY.d_transformer, _next_tokens),
}


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


@pytest.fixture(scope="module", params=["ed", "d"])
def predictor(request):
    """The two that predict the next token."""
    return CASES[request.param]


def train(case, params, data, **options):
    """The training function of `case`; masks are drawn by it (so that x_tilde is left out)."""
    data = data[1:] if case.train is formal_tx.e_training else data
    if case.train is formal_tx.e_training:
        options = {"mask_probability": 0.4, "key": jax.random.key(0)} | options
    return case.train(*data, params, case.hyperparameters, **({"optimizer": SGD} | options))


# Losses


@some
@given(seed=seeds)
def test_the_loss_is_a_sum_of_surprises(case, seed):
    """P13.1, P13.9: - Σ log of the probabilities of the right tokens, so it is at least 0."""
    params, data = case.model(seed), case.draw(seed)
    loss = case(params, *data)
    assert loss > 0
    P = case.predict(*(data[:1] if case.loss is e_loss else data), params, case.hyperparameters)
    x = data[-1]
    if case.loss is e_loss:
        T_tilde = np.flatnonzero(data[0] == MASK)
        close(loss, -np.log(P[T_tilde, x[T_tilde]]).sum())
        close(case(params, *data, mean=True), loss / len(T_tilde))
    else:
        close(loss, -np.log(P[np.arange(L - 1), x[1:]]).sum())
        close(case(params, *data, mean=True), loss / (L - 1))


@few
@given(seed=seeds)
def test_the_loss_of_a_sequence_is_that_of_its_prefixes(seed):
    """P13.9: Σ_t - log P[x[t+1]] with each P from the prefix x[1:t] alone."""
    params, (x,) = random_model(seed, D), _next_tokens(seed)
    surprises = [-np.log(LIBRARY.d_transformer(x[:t], params, D)[-1, x[t]]) for t in range(1, L)]
    close(CASES["d"](params, x), sum(surprises))


def test_the_loss_of_a_certain_prediction_is_zero():
    """P13.1: 0 if all scored probabilities are 1."""
    params = random_model(0, D)
    W_u = np.zeros_like(params.W_u)
    W_u[4] = 1e4  # with γ = 0 and β = 1 the encoding of every token is 1
    sure = params.replace(gamma=np.zeros_like(params.gamma), beta=np.ones_like(params.beta), W_u=W_u)
    assert CASES["d"](sure, np.full(L, 4)) == 0
    assert CASES["d"](sure, np.array([4, 4, 5, 4, 4])) > 0


@some
@given(seed=seeds)
def test_the_loss_without_knowledge(case, seed):
    """P13.2: log N_V for each scored token if W_u = 0."""
    params, data = case.model(seed), case.draw(seed)
    blank = params.replace(W_u=np.zeros_like(params.W_u))
    count = np.sum(data[0] == MASK) if case.loss is e_loss else L - 1
    close(case(blank, *data), count * np.log(N_V))


@few
@given(seed=seeds)
def test_a_batch_of_losses_is_a_sum(case, seed):
    """The loss of a batch is the sum of its sequences' losses, and `vmap` gives these."""
    params, data = case.model(seed), case.draw(seed, 2)
    losses = [case(params, *pick(data, i)) for i in range(2)]
    close(case(params, *data), sum(losses))
    mapped = jax.vmap(lambda *one: case.loss(params, *one, case.hyperparameters))
    close(mapped(*data), losses)


@few
@given(seed=seeds)
def test_the_loss_of_a_padded_batch_is_that_of_its_sequences(case, seed):
    """A right-padded batch has the loss, and the gradient, of the sequences without padding."""
    params, data = case.model(seed), case.draw(seed, 2)
    rng = np.random.default_rng(seed)
    lengths = rng.permutation([3, L])
    padding = np.arange(L) >= lengths[:, None]
    padded = [np.where(padding, rng.choice([-1, 0, N_V, MASK]), x) for x in data]
    n = [lengths] * (2 if case.loss is ed_loss else 1)
    alone = [[x[i, : lengths[i]] for x in data] for i in range(2)]
    close(case(params, *padded, lengths=n), sum(case(params, *one) for one in alone))


@pytest.mark.parametrize("name", ["d", *(pytest.param(name, marks=pytest.mark.slow) for name in ("e", "ed"))])
def test_the_gradient_of_a_padded_batch_is_that_of_its_sequences(name):
    """A right-padded batch has the gradient of the sequences without padding, and no nan in it."""
    case = CASES[name]
    params, data = case.model(1), case.draw(1, 2)
    padded = [np.pad(x, ((0, 0), (0, 1)), constant_values=-1) for x in data]
    n = [np.array([L, L])] * (2 if case.loss is ed_loss else 1)
    gradient = jax.jit(jax.grad(lambda params: case.loss(params, *padded, case.hyperparameters, *n)))
    one, other = (case.gradient(params, *pick(data, i)) for i in range(2))
    same_tree(gradient(params), jax.tree.map(np.add, one, other))


# Gradients


@few
@given(seed=seeds)
def test_what_the_gradient_does_not_reach(seed):
    """P13.3: Algorithm 13 moves neither the position of the last token nor later ones, nor tokens that nobody read."""
    params, (x,) = random_model(seed, D), _next_tokens(seed)
    g = CASES["d"].gradient(params, x)
    assert (np.asarray(g.W_p)[L - 1 :] == 0).all()
    assert (np.asarray(g.W_p)[: L - 1] != 0).any(axis=1).all()
    read = np.isin(np.arange(N_V), x[:-1])
    assert (np.asarray(g.W_e)[~read] == 0).all()
    assert (np.asarray(g.W_e)[read] != 0).any(axis=1).all()


@few
@given(seed=seeds)
def test_the_gradient_of_what_is_redundant(case, seed):
    """P13.4, P13.5: that of W_u sums to 0 over the vocabulary, and that of every b_k is 0."""
    g = case.gradient(case.model(seed), *case.draw(seed))
    np.testing.assert_allclose(np.asarray(g.W_u).sum(axis=0), 0, atol=1e-9)
    differ(g.W_u, 0)
    leaves = jax.tree_util.tree_leaves_with_path(g)
    b_k = [leaf for path, leaf in leaves if jax.tree_util.keystr(path).endswith(".b_k")]
    assert len(b_k) == (3 if case.loss is ed_loss else 1)
    scale = max(np.abs(leaf).max() for _, leaf in leaves)
    for leaf in b_k:
        np.testing.assert_allclose(leaf / scale, 0, atol=1e-9)


@few
@given(seed=seeds)
def test_a_small_step_goes_down_by_the_squared_gradient(case, seed):
    """P13.6: loss(θ - η g) = loss(θ) - η |g|² + O(η²): the rest falls by 4 when η falls by 2."""
    params, data = case.model(seed), case.draw(seed)
    g = case.gradient(params, *data)
    squared = sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(g))
    before = case(params, *data)

    def rest(eta):
        after = case(jax.tree.map(lambda W, G: W - eta * np.asarray(G), params, g), *data)
        return after - (before - eta * squared)

    eta = 1e-4 / squared
    assert abs(rest(eta)) < 0.05 * eta * squared
    np.testing.assert_allclose(rest(eta) / rest(eta / 2), 4, rtol=0.1)


@few
@given(seed=seeds)
def test_the_encoder_learns_by_cross_attention_only(seed):
    """P11.1: cross-attention has a gradient; if its W_o and b_o are 0, the encoder has none."""
    case = CASES["ed"]
    params, data = case.model(seed), case.draw(seed)
    g = case.gradient(params, *data)
    for part in (g.decoder.cross_attention, g.encoder):
        differ(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(part)]), 0)
    cross = params.decoder.cross_attention
    deaf = cross.replace(W_o=np.zeros_like(cross.W_o), b_o=np.zeros_like(cross.b_o))
    g = case.gradient(params.replace(decoder=params.decoder.replace(cross_attention=deaf)), *data)
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(g.encoder))
    differ(g.decoder.cross_attention.W_o, 0)


# Masked words


@some
@given(seed=seeds)
def test_masked_tokens(seed):
    """P12.1, P12.2: x_tilde[t] is x[t] or mask_token; T_tilde holds what was replaced, and mask_tokens of the data."""
    x = tokens(seed, 40)
    x[3] = MASK
    x_tilde = np.asarray(mask_tokens(jax.random.key(seed), x, E, 0.4)[0])
    assert ((x_tilde == x) | (x_tilde == MASK)).all()
    T_tilde = x_tilde == MASK
    assert T_tilde[x_tilde != x].all()
    assert T_tilde[3]
    assert 0 < np.sum(x_tilde != x) < 40


@some
@given(seed=seeds)
def test_nothing_masked(seed):
    """P12.3: if T_tilde is empty the loss is 0 and so is its gradient."""
    case = CASES["e"]
    x = (MASK + np.random.default_rng(seed).integers(1, N_V, L)) % N_V
    params = case.model(seed)
    assert case(params, x, x) == 0
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(case.gradient(params, x, x)))


@some
@given(seed=seeds)
def test_a_masked_token_is_seen_as_a_target_only(seed):
    """P12.4: the loss depends on masked tokens by their probabilities alone, and on the others not at all."""
    case = CASES["e"]
    params, (x_tilde, x) = case.model(seed), case.draw(seed)
    hidden = x_tilde == MASK
    other = tokens(seed + 2, L)
    P = LIBRARY.e_transformer(x_tilde, params, E)
    expected = case(params, x_tilde, x) + np.log(P[hidden, x[hidden]] / P[hidden, other[hidden]]).sum()
    close(case(params, x_tilde, other), expected)
    close(case(params, x_tilde, np.where(hidden, x, other)), case(params, x_tilde, x))


def test_how_many_are_masked():
    """P12.5: E |T_tilde| = p_mask ℓ, and positions are masked independently."""
    x, p, n = np.zeros((4000, 5), int), 0.3, 4000 * 5
    masked = np.asarray(mask_tokens(jax.random.key(0), x, E, p)[0]) == MASK
    assert abs(masked.sum() - p * n) < 4 * np.sqrt(n * p * (1 - p))
    assert (np.abs(masked.mean(axis=0) - p) < 4 * np.sqrt(p * (1 - p) / 4000)).all()
    correlation = np.corrcoef(masked.T.astype(float)) - np.eye(5)
    assert np.abs(correlation).max() < 4 / np.sqrt(4000)


@pytest.mark.parametrize("p", [0, 1, -0.1, 1.5, np.nan])
def test_a_probability_outside_the_open_interval(p):
    """P12.6: 0 and 1 are out of range."""
    with pytest.raises(ValueError, match="mask_probability"):
        train(CASES["e"], random_model(0, E), _masked(0, 1), epochs=1, mask_probability=p)


@some
@given(seed=seeds)
def test_everything_masked(edition, seed):
    """P12.7: if all of x_tilde is mask_token and W_p = 0, all rows of P are equal."""
    params = random_model(seed, E)
    P = edition.e_transformer(np.full(L, MASK), params.replace(W_p=np.zeros_like(params.W_p)), E)
    close(P, np.repeat(P[:1], L, axis=0))


# Training


@few
@given(seed=seeds)
def test_no_training(case, seed):
    """P13.7: θ as it was after no epochs."""
    params, data = case.model(seed), case.draw(seed, 2)
    trained = train(case, params, data, epochs=0)
    assert jax.tree.all(jax.tree.map(np.array_equal, trained, params))


@few
@given(seed=seeds)
def test_nothing_to_predict(predictor, seed):
    """P13.7: θ as it was after training on sequences of one token."""
    params, data = predictor.model(seed), [x[:, :1] for x in predictor.draw(seed, 2)]
    trained = train(predictor, params, data, epochs=1)
    assert jax.tree.all(jax.tree.map(np.array_equal, trained, params))


@few
@given(seed=seeds)
def test_updates_follow_the_gradient_sequence_by_sequence(predictor, seed):
    """Line 6: θ ← θ - η ∇loss, for one sequence after the other."""
    params, data = predictor.model(seed), predictor.draw(seed, 2)
    trained = train(predictor, params, data, epochs=1)
    for i in range(2):
        g = predictor.gradient(params, *pick(data, i))
        params = jax.tree.map(lambda W, G: W - 0.02 * np.asarray(G), params, g)
    same_tree(trained, params, rtol=1e-8, atol=1e-8)


@few
@given(seed=seeds)
def test_masked_updates_follow_the_gradient_with_fresh_masks(seed):
    """Line 10 of Algorithm 12, with the mask of epoch i and sequence n drawn from `fold_in(fold_in(key, i), n)`."""
    case, key = CASES["e"], jax.random.key(seed)
    params, data = case.model(seed), case.draw(seed, 2)
    trained = train(case, params, data, epochs=2, key=key)
    for i in range(2):
        for n in range(2):
            x_tilde = mask_tokens(jax.random.fold_in(jax.random.fold_in(key, i), n), data[1][n], E, 0.4)[0]
            g = case.gradient(params, x_tilde, data[1][n])
            params = jax.tree.map(lambda W, G: W - 0.02 * np.asarray(G), params, g)
    same_tree(trained, params, rtol=1e-7, atol=1e-7)


@few
@given(seed=seeds)
def test_two_epochs_are_twice_one(predictor, seed):
    """P13.8: one run of two epochs is two runs of one."""
    params, data = predictor.model(seed), predictor.draw(seed, 2)
    once = train(predictor, params, data, epochs=1)
    same_tree(train(predictor, params, data, epochs=2), train(predictor, once, data, epochs=1), rtol=1e-8, atol=1e-8)


def test_two_epochs_with_momentum():
    """P13.8: and with an optimiser that remembers, if its state is handed on."""
    case = CASES["d"]
    params, data = case.model(0), case.draw(0, 2)
    once, log = train(case, params, data, epochs=1, optimizer=MOMENTUM, history=True)
    state = log.optimizer_state
    twice, more = train(case, once, data, epochs=1, optimizer=MOMENTUM, history=True, optimizer_state=state)
    trained, whole = train(case, params, data, epochs=2, optimizer=MOMENTUM, history=True)
    same_tree(trained, twice, rtol=1e-8, atol=1e-8)
    close(whole.loss, np.concatenate([log.loss, more.loss]))


def test_masks_are_fresh_in_every_epoch():
    """P13.8: for Algorithm 12 two runs with the same key draw the same masks, and one run does not."""
    case = CASES["e"]
    params, data = case.model(0), case.draw(0, 2)
    once = train(case, params, data, epochs=1)
    differ(train(case, params, data, epochs=2).W_u, train(case, once, data, epochs=1).W_u)


def test_the_same_key_gives_the_same_bits():
    """Training is a function of its arguments: the same key, the same θ, bit by bit; another key, another θ."""
    case = CASES["e"]
    params, data = case.model(0), case.draw(0, 2)
    one, again = (train(case, params, data, epochs=2, key=jax.random.key(7)) for _ in range(2))
    assert jax.tree.all(jax.tree.map(np.array_equal, one, again))
    differ(train(case, params, data, epochs=2, key=jax.random.key(8)).W_u, one.W_u)


def test_padded_training_is_training_on_the_sequences():
    """Padded data, and `lengths`: as if each sequence had been given without its padding."""
    case = CASES["d"]
    params, (x,) = case.model(0), case.draw(0, 2)
    padded = np.pad(x, ((0, 0), (0, 1)), constant_values=-1)
    expected = train(case, params, (x,), epochs=1)
    same_tree(train(case, params, (padded,), epochs=1, lengths=np.array([L, L])), expected, rtol=1e-9, atol=1e-9)


def test_one_update_for_a_whole_batch():
    """`batch_size` and `mean`: one step along the mean of the gradients of the scored tokens."""
    case = CASES["d"]
    params, data = case.model(0), case.draw(0, 2)
    g = case.gradient(params, *data)
    trained = train(case, params, data, epochs=1, batch_size=2, mean=True)
    eta = 0.02 / (2 * (L - 1))
    same_tree(trained, jax.tree.map(lambda W, G: W - eta * np.asarray(G), params, g), 1e-9, 1e-9)
