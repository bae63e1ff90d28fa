"""One equation of a jaxpr that has tags inside, and what is needed to evaluate it."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun

from .lines import line_p
from .places import Place
from .walk import Walk


class Step(NamedTuple):
    """An equation that is to be looked into.

    Attributes:
      equation: the equation. inputs: the values of its inputs.
      as_it_stands: the same as a function of its inputs, which does not look into it.
      walk, place: who visits what is tagged in it, and where that is.
      evaluate: evaluates a jaxpr: (jaxpr, inputs, walk, place) -> its results.
    """

    equation: JaxprEqn
    inputs: list
    as_it_stands: Callable[..., list]
    walk: Walk
    place: Place
    evaluate: Callable[..., list]

    @property
    def parameters(self) -> dict[str, Any]:
        """The equation's parameters."""
        return self.equation.params


def as_it_stands(jaxpr: Jaxpr, equation: JaxprEqn) -> Callable[..., list]:
    """One equation as a function of its inputs, with all that belongs to it: its derivative, its batching."""
    places = {v: i for i, v in enumerate(equation.invars) if not isinstance(v, Literal)}
    alone = jaxpr.replace(constvars=[], invars=list(places), outvars=equation.outvars, eqns=[equation])
    return lambda *inputs: jaxpr_as_fun(ClosedJaxpr(alone, []))(*(inputs[i] for i in places.values()))


def jaxprs_of(equation: JaxprEqn) -> list[ClosedJaxpr]:
    """The jaxprs that an equation carries: the body of a loop, the branches of a condition, a called function."""
    found = []
    for parameter in equation.params.values():
        for part in parameter if isinstance(parameter, tuple | list) else [parameter]:
            if isinstance(part, ClosedJaxpr):
                found.append(part)
            elif isinstance(part, Jaxpr):
                found.append(ClosedJaxpr(part, []))
    return found


def labels(closed: ClosedJaxpr) -> Iterator[str]:
    """What is tagged in a jaxpr, however deep."""
    for equation in closed.jaxpr.eqns:
        if equation.primitive is line_p:
            yield equation.params["label"]
        for inner in jaxprs_of(equation):
            yield from labels(inner)
