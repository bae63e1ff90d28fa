"""Looks into functions that are called by an equation: jitted ones, checkpoints, those with their own derivative."""

from collections.abc import Callable, Sequence

import jax
from jax.extend.core import ClosedJaxpr

from .equations import Step, jaxprs_of, labels
from .walk import Walk


def refuse(step: Step) -> list:
    """For an equation of a kind that is not known: its results might be computed in pieces, or on other devices."""
    label = next(label for inner in jaxprs_of(step.equation) for label in labels(inner))
    kind = step.equation.primitive.name
    raise ValueError(f"{step.place.path}{label} is tagged inside of {kind}, which cannot be looked into")


def call(step: Step) -> list:
    """A function without a name."""
    (closed,) = jaxprs_of(step.equation)
    return step.evaluate(closed, step.inputs, step.walk, step.place)


def jit(step: Step) -> list:
    """A jitted function: its name is a part of the path. It stays one where tags stay, for these to keep their path."""
    name = step.parameters["name"]
    place = step.place.inside(step.walk.numbered(step.place.path, name))

    def body(*inputs):
        return step.evaluate(step.parameters["jaxpr"], inputs, step.walk, place)

    body.__name__ = body.__qualname__ = name
    return body(*step.inputs) if step.walk.collect else jax.jit(body)(*step.inputs)


def checkpoint(step: Step) -> list:
    """What `jax.checkpoint` computes again in the backward pass stays so; the second time is not visited."""
    (closed,) = jaxprs_of(step.equation)
    if step.parameters["differentiated"]:
        _refuse_planting(closed, step.walk)
        return step.as_it_stands(*step.inputs)
    walk = step.walk

    def body(*inputs):
        nonlocal walk
        walk = step.walk.inside()
        return step.evaluate(closed, inputs, walk, step.place), walk.values

    again = jax.checkpoint(body, prevent_cse=step.parameters["prevent_cse"], policy=step.parameters["policy"])
    outputs, found = again(*step.inputs)
    step.walk.leave(walk, found)
    return outputs


def _refuse_planting(closed: ClosedJaxpr, walk: Walk) -> None:
    """What a backward pass computes again cannot be told apart by its path: that is not the one of the first time."""
    again = set(labels(closed))
    for path in walk.replacements:
        if path.rpartition("/")[2].partition("#")[0] in again:
            raise ValueError(
                f"plant: {path} is computed again in the backward pass, by jax.checkpoint: plant before you "
                "differentiate, as in jax.grad(plant(f, …)), not after"
            )


def custom(step: Step) -> list:
    """A function with a derivative of its own keeps it, unless something is planted inside."""
    (closed,) = jaxprs_of(step.equation)
    walk = step.walk.inside()
    walk.sites = {}
    outputs = step.evaluate(closed, step.inputs, walk, step.place)
    step.walk.sites.update(walk.sites)
    step.walk.leave(walk, walk.values)
    planted = walk.sites.keys() & step.walk.replacements.keys()
    return outputs if planted else _derived(outputs, step.as_it_stands, step.inputs)


def _derived(outputs: Sequence, like: Callable[..., list], inputs: Sequence) -> list:
    """`outputs`, whose derivative with respect to `inputs` is that of `like`."""

    @jax.custom_jvp
    def chosen(outputs, inputs):
        return outputs

    @chosen.defjvp
    def _(primals, tangents):
        return primals[0], jax.jvp(like, primals[1], tangents[1])[1]

    return chosen(list(outputs), tuple(inputs))
