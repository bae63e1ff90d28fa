"""The mistakes that the diagnosis knows, by the line in which they are made."""

from typing import Any

from ..crosscheck.catalog import Algorithm
from ..diagnosis import Mutant, mutants
from ..diagnosis.programs import program


def mistakes(algorithm: Algorithm) -> dict[int, list[dict[str, Any]]]:
    """For each line its mistakes: `id`, `title`, and the text that they change in the `paper` and what is `instead`.

    Those of the algorithms that this one calls are in theirs. A mistake that is written in several ways is there once.
    Where something is left out or added, one of the two texts is empty.
    """
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for mutant in mutants(algorithm):
        if mutant.functions == {algorithm.paper_name}:
            found.setdefault(mutant.line, {}).setdefault(mutant.title, _one(algorithm, mutant))
    return {line: list(found[line].values()) for line in sorted(found)}


def _one(algorithm: Algorithm, mutant: Mutant) -> dict[str, Any]:
    paper, instead = program(algorithm).statement(mutant.edits)
    return {"id": mutant.mistake.id, "title": mutant.title, "paper": paper, "instead": instead}
