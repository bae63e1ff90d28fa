"""`formal-tx generate`: goes on where a prompt ends."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from .compilation_cache import keep_compilations
from .console import output_json


def generate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A trained decoder.")],
    prompt: Annotated[str, typer.Option(help="What the text begins with.")] = "",
    tokens: Annotated[
        int | None, typer.Option(min=1, help="At most so many; as many as the model has room for unless given.")
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=0, help="Below 1 likelier tokens, above 1 rarer ones; 0 always the likeliest.")
    ] = 0.8,
    top_k: Annotated[int | None, typer.Option(min=1, help="Only the k likeliest tokens.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Only the likeliest tokens that make up this probability.")
    ] = None,
    min_p: Annotated[
        float | None, typer.Option(help="Only tokens at least this share as likely as the likeliest.")
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(help="Above 1: tokens seen before are less likely.")
    ] = None,
    stop: Annotated[list[str] | None, typer.Option(help="Text at which to stop.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write on from a prompt, token by token, by Algorithm 14."""
    from ..runs.generation import generate as pieces
    from ..runs.model_directory import load_model

    start = time.perf_counter()
    keep_compilations()
    options: dict[str, Any] = {
        "tokens": tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
    }
    drawn = pieces(load_model(directory), prompt, stop=stop or (), **options)
    if json:
        text = "".join(drawn)
        output_json({"prompt": prompt, "text": text, "seconds": round(time.perf_counter() - start, 3), **options})
        return
    print(prompt, end="", flush=True)
    for piece in drawn:
        print(piece, end="", flush=True)
    print()
