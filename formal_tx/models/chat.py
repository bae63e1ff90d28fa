"""Conversations as text: the chat template that came with a model."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

Message = Mapping[str, str]
"""A `role` ("system", "user" or "assistant") and its `content`."""


def render(template: str, messages: Sequence[Message], **tokens: str) -> str:
    """A conversation as the text that the model goes on from, up to where its answer begins.

    Args:
      template: in the language of Jinja2; it comes with a model, and is run where it can reach nothing but messages.
      messages: the conversation. tokens: `bos_token`, `eos_token`, as text.
    Raises:
      ValueError: the template is broken, or refuses the conversation; says why.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = _refuse
    given: dict[str, Any] = {"messages": [dict(m) for m in messages], "add_generation_prompt": True, **tokens}
    try:
        return environment.from_string(template).render(given)
    except (TemplateError, TypeError, ArithmeticError, LookupError, RecursionError) as error:
        raise ValueError(f"the chat template: {error}") from None


def _refuse(reason: str) -> NoReturn:
    raise TemplateError(reason)
