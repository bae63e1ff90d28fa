"""The laws of every function: the same answer again, in the same type, with nothing changed, however it is run."""

import numpy as np

from ..adapters import GenerationModel, Model, TrainingModel
from ..layout import is_theta, leaves
from .law import DoesNotApply, Measured, compare, law, worst


@law("determinism", "The same input gives the same answer again, to the bit.", Model, exact=True)
def determinism(model, rng):
    call, arguments = model.example(rng)
    first, second = (model.run(call, *arguments) for _ in range(2))
    return compare(second, first)


@law("input-kept", "A call changes neither its input nor the parameters.", Model, exact=True)
def input_kept(model, rng):
    if model.framework == "jax":
        raise DoesNotApply("JAX's arrays cannot be changed")
    call, arguments = model.example(rng)
    given = [model.tools.array(a, model.dtype) for a in arguments]
    held = _arrays(model)
    before = [model.tools.numpy(a) for a in held]
    call(*given)
    found = [
        compare(model.tools.numpy(g), np.asarray(a, dtype=model.dtype if a.dtype.kind == "f" else None), argument=n)
        for n, (g, a) in enumerate(zip(given, arguments, strict=True))
    ]
    found += [compare(model.tools.numpy(h), b, parameter=n) for n, (h, b) in enumerate(zip(held, before, strict=True))]
    return worst(found)


def _arrays(model: Model) -> list:
    """The arrays that the model holds."""
    watched = model.watched
    if watched is None:
        return []
    if isinstance(watched, list):
        return watched
    names = leaves(watched) if is_theta(watched) or hasattr(watched, "replace") else {}
    return [_at(watched, path) for path in names]


def _at(params, path: str):
    for name in path.split("."):
        params = getattr(params, name)
    return params


@law("dtype-kept", "The answer has the type of the input.", Model, exact=True)
def dtype_kept(model, rng):
    if isinstance(model, GenerationModel):
        raise DoesNotApply("tokens are no real numbers")
    call, arguments = model.example(rng)
    answer = call(*(model.tools.array(a, model.dtype) for a in arguments))
    found = str(getattr(answer, "dtype", type(answer).__name__)).removeprefix("torch.")
    return Measured(0.0 if found == model.dtype else float("inf"), {}, f"{found}" if found != model.dtype else "")


@law("jit", "Compiled, it gives the same answer.", Model, transforms=True)
def jit(model, rng):
    jax = _jax(model)
    call, arguments = model.example(rng)
    return compare(model.run(jax.jit(call), *arguments), model.run(call, *arguments))


@law("vmap", "Under `vmap` it gives the answers that it gives one by one.", Model, transforms=True)
def vmap(model, rng):
    jax = _jax(model)
    members = [model.example(rng) for _ in range(3)]
    call = members[0][0]
    stacked = (np.stack(each) for each in zip(*(arguments for _, arguments in members), strict=True))
    found = model.run(jax.vmap(call), *stacked)
    expected = [model.run(call, *arguments) for _, arguments in members]
    return worst([compare(found[n], one, member=n) for n, one in enumerate(expected)])


def _jax(model: Model):
    if model.framework != "jax":
        raise DoesNotApply(f"it is JAX's, and the model is of {model.framework}")
    if isinstance(model, GenerationModel | TrainingModel):
        raise DoesNotApply("the adapter's function takes and gives numbers")
    import jax

    return jax
