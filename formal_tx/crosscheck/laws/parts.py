"""The laws of the parts: layer norm, unembedding, embeddings; and of training and generation."""

import numpy as np

from ..adapters import GenerationModel, LookupModel, NormalizationModel, TrainingModel, UnembeddingModel
from ..draws import normal
from .law import DoesNotApply, Measured, compare, forbidden, gradient, law, worst


@law("norm-of-shifted", "Layer norm does not see a constant added to all features.", NormalizationModel)
def norm_of_shifted(model, rng):
    e, gamma, beta = model.inputs(rng)
    found = []
    for epsilon in (0.0, 1e-5):
        call = _with(model, epsilon)
        found.append(compare(model.run(call, e + 3, gamma, beta), model.run(call, e, gamma, beta), "feature"))
    return worst(found)


@law("norm-of-scaled", "With ε = 0, layer norm does not see a positive factor.", NormalizationModel)
def norm_of_scaled(model, rng):
    e, gamma, beta = model.inputs(rng)
    call = _with(model, 0.0)
    expected = model.run(call, e, gamma, beta)
    return worst([compare(model.run(call, c * e, gamma, beta), expected, "feature") for c in (0.125, 8.0)])


@law("norm-is-affine", "Layer norm is γ times what it is for γ = 1, β = 0, and then β added.", NormalizationModel)
def norm_is_affine(model, rng):
    e, gamma, beta = model.inputs(rng)
    found = []
    for epsilon in (0.0, 1e-5):
        call = _with(model, epsilon)
        plain = model.run(call, e, np.ones_like(e), np.zeros_like(e))
        found.append(compare(model.run(call, e, gamma, beta), gamma * plain + beta, "feature"))
    return worst(found)


@law("norm-has-moments", "With γ = 1, β = 0 and ε = 0, the mean is 0 and the variance 1.", NormalizationModel)
def norm_has_moments(model, rng):
    e, _, _ = model.inputs(rng)
    y = model.run(_with(model, 0.0), e, np.ones_like(e), np.zeros_like(e))
    return compare(np.array([1 + y.mean(), y.var()]), np.ones(2), "moment")


@law("norm-of-permuted", "Features in another order, with γ and β, are normalised as before.", NormalizationModel)
def norm_of_permuted(model, rng):
    e, gamma, beta = model.inputs(rng)
    p, call = rng.permutation(len(e)), _with(model, 1e-5)
    return compare(model.run(call, e[p], gamma[p], beta[p]), model.run(call, e, gamma, beta)[p], "feature", p)


def _with(model: NormalizationModel, epsilon: float):
    return lambda e, gamma, beta: model.call(e, gamma, beta, epsilon)


@law("distribution", "Probabilities are not negative and sum to one.", UnembeddingModel)
def distribution(model, rng):
    _, (e, W_u) = model.example(rng)
    p = model.run(model.call, e, W_u)
    negative = Measured(float(-min(p.min(), 0)), {"token": int(p.argmin())})
    return worst([compare(p.sum(keepdims=True), np.ones(1), "sum"), negative])


@law("logit-shift", "A constant added to all logits changes no probability.", UnembeddingModel)
def logit_shift(model, rng):
    _, (e, W_u) = model.example(rng)
    expected = model.run(model.call, e, W_u)
    return compare(model.run(model.call, e, W_u + 2 * normal(rng, 1, len(e))), expected, "token")


@law("relabelling", "Tokens under other numbers have their probabilities under these.", UnembeddingModel)
def relabelling(model, rng):
    _, (e, W_u) = model.example(rng)
    p = rng.permutation(len(W_u))
    return compare(model.run(model.call, e, W_u[p]), model.run(model.call, e, W_u)[p], "token", p)


@law("table-relabelling", "Under other numbers, a table gives the same rows.", LookupModel, exact=True)
def table_relabelling(model, rng):
    _, (table,) = model.example(rng)
    p = np.roll(np.arange(len(table)), 1 + int(rng.integers(len(table) - 1)))  # every row is moved
    found = []
    for new, old in enumerate(p):
        one = model.run(lambda table, new=int(new): model.call(new, table), table[p])
        other = model.run(lambda table, old=int(old): model.call(old, table), table)
        found.append(compare(one, other, "feature", index=int(old)))
    return worst(found)


@law("table-gradient", "Only the row that was asked for has a gradient.", LookupModel, transforms=True)
def table_gradient(model, rng):
    _, (table,) = model.example(rng)
    sizes = np.stack([_sizes(model, index, table) for index in range(len(table))])
    if not sizes.any():
        raise DoesNotApply("its gradient is 0 everywhere")
    return forbidden(sizes / np.nanmax(sizes), np.eye(len(table), dtype=bool), "index", "row")


def _sizes(model: LookupModel, index: int, table: np.ndarray) -> np.ndarray:
    """How large the gradient is with respect to each row of the table."""
    weights = np.ones(table.shape[1])
    return np.abs(gradient(model, lambda table: model.call(index, table), table, weights)).max(axis=1)


@law("no-epochs", "No epochs of training change nothing.", TrainingModel, exact=True)
def no_epochs(model, rng):
    del rng  # nothing is drawn
    return compare(model.run(lambda theta: model.train(theta, 0), model.parameters), model.parameters, "parameter")


@law("epochs-add-up", "Two epochs are one, and then another.", TrainingModel, needs=("continues",))
def epochs_add_up(model, rng):
    del rng
    once = model.run(lambda theta: model.train(theta, 1), model.parameters)
    if np.array_equal(once, model.parameters):
        raise DoesNotApply("an epoch changes nothing")
    twice = model.run(lambda theta: model.train(theta, 2), model.parameters)
    return compare(model.run(lambda theta: model.train(theta, 1), once), twice, "parameter")


@law(
    "continuation",
    "Tokens generated, appended to the prompt and continued from are those generated at once.",
    GenerationModel,
    needs=("continues",),
    exact=True,
)
def continuation(model, rng):
    del rng
    total = 5
    whole = [int(v) for v in model.run(lambda: model.generate(list(model.prompt), total))]
    found = []
    for n in range(1, total):
        rest = model.run(lambda n=n: model.generate([*model.prompt, *whole[:n]], total - n))
        found.append(compare(rest, np.array(whole[n:]), "token", split=n))
    return worst(found)
