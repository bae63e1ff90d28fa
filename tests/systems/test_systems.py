"""Every system of the reading list is whole, agrees with its pseudocode, and its mistakes are named."""

import ast
import json
import re
from functools import cache

import pytest
from typer.testing import CliRunner

from formal_tx.cli import app
from formal_tx.crosscheck import check, find
from formal_tx.crosscheck.catalog import ALGORITHMS, FORMULAS
from formal_tx.crosscheck.pseudocode import folder
from formal_tx.crosscheck.systems import CHECKS, PARTS, SYSTEMS
from formal_tx.crosscheck.tolerances import FOREIGN
from formal_tx.crosscheck.variations import VARIATIONS
from formal_tx.diagnosis import MISTAKES
from formal_tx.diagnosis.catalogue import OF_SYSTEMS
from formal_tx.diagnosis.diagnose import diagnose
from formal_tx.diagnosis.instrument import instrument
from formal_tx.diagnosis.mutants import _of_way
from formal_tx.diagnosis.programs import program

ROOT = folder().parent
SOLVES = {"infinite_memory"}
"""Systems that solve a linear system: its condition number multiplies the rounding."""


NOT_COMPARED = {
    "lambda_attention": 3,
    "lambda_attention_of_authors": 6,
    "lambda_attention_with_alibi": 3,
    "megabyte_inference": 1,
    "interleaved_sinusoids": 2,
    "sinusoid_halves": 2,
    "whisper_sinusoids": 2,
    "learnable_sinusoids": 1,
    "learnable_sinusoids_relu": 1,
    "rotary": 3,
    "rotary_neighbours": 3,
    "rotary_partial": 3,
    "rotary_yarn": 3,
    "ntk_scaling": 1,
    "llama3_scaling": 3,
    "yarn_scaling": 4,
    "alibi": 1,
    "slopes": 2,
    "relative_buckets": 1,
    "relative_buckets_causal": 1,
    "relative_buckets_few": 1,
    "bucket": 7,
    "rmt_decoder": 1,
    "rmt_encoder": 1,
    "memory_mask": 2,
    "lsh_attention": 9,
    "random_blocks": 3,
    "bigbird": 1,
    "bigbird_attention": 3,
    "longformer_attention": 2,
    "streaming_attention": 5,
    "sink_attention": 3,
    "sink_cache_step": 1,
    "transformer_xl": 4,
    "relative_attention": 1,
}
"""How many lines that assign a value are not compared, of the entries in which there are any.

The library computes these in another shape (of a block, of a bucket, of a memory that is not full), all at once where
the pseudocode fills a table, or as one expression; what they lead to is compared.
"""


def named(things):
    return [pytest.param(thing, id=thing.name) for thing in things]


@pytest.mark.parametrize("system", named(SYSTEMS))
def test_it_has_all_eight_parts_and_a_description(system):
    assert system.has == PARTS
    assert (ROOT / system.files["spec"]).is_file()
    assert system.checks
    assert system.title
    assert all(re.fullmatch(r"\d{4}\.\d{5}|[A-Z]\d{2}-\d{4}|[\w.-]+", paper) for paper in system.papers)


@pytest.mark.parametrize("one", named(CHECKS))
def test_its_two_editions_agree_line_by_line(one):
    comparison = check(one, cases=1)
    assert comparison.agrees, comparison.first_bad
    assert comparison.lines - comparison.lines_compared == NOT_COMPARED.get(one.name, 0)
    solves = any(one in system.checks for system in SYSTEMS if system.name in SOLVES)
    assert comparison.worst.error <= (1e-9 if solves else 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("one", named(CHECKS))
def test_its_two_editions_agree_in_single_precision(one):
    comparison = check(one, cases=1, dtype="float32")
    assert comparison.agrees, comparison.first_bad


def test_every_name_is_one_thing():
    names = [system.name for system in SYSTEMS]
    assert len(set(names)) == len(names)
    everything = {one.name: one for one in (*VARIATIONS, *CHECKS)}
    for one in CHECKS:
        assert everything[one.name] is one
        assert find(one.name, also=(*VARIATIONS, *CHECKS)) is one
        assert one.purpose
        assert one.listing.assigned


@pytest.mark.parametrize("system", named(SYSTEMS))
def test_its_code_is_short(system):
    """Lines of code of the function's file, without comments, docstrings and blank lines."""
    tree = ast.parse((ROOT / system.files["function"]).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(None)
    assert len(ast.unparse(tree).splitlines()) <= 200


@pytest.mark.parametrize("path", sorted({ROOT / s.files["example"] for s in SYSTEMS}), ids=lambda path: path.stem)
def test_its_example_is_short(path):
    assert len(path.read_text("utf-8").splitlines()) < 80


def test_the_list_names_every_system_and_what_it_has():
    listed = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    assert [a["number"] for a in listed["algorithms"]] == list(range(1, 16))
    assert [one["name"] for one in listed["systems"]] == [system.name for system in SYSTEMS]
    for one in listed["systems"]:
        assert set(one["has"]) == set(one["files"]) == set(PARTS)
        assert all((ROOT / path).exists() for path in (*one["files"].values(), one["spec"]))
    shown = " ".join(CliRunner().invoke(app, ["list"]).stdout.split())
    assert all(f"{system.name}: {' '.join(system.title.split())}" in shown for system in SYSTEMS)


# The mistakes.


def test_every_mistake_has_a_name_of_its_own():
    ids = [mistake.id for mistake in (*MISTAKES, *OF_SYSTEMS)]
    assert len(set(ids)) == len(ids)


@cache
def programs():
    return [program(one) for one in (*ALGORITHMS, *FORMULAS, *VARIATIONS, *CHECKS)]


@pytest.mark.parametrize("mistake", [pytest.param(m, id=m.id) for m in OF_SYSTEMS])
def test_every_way_of_a_mistake_is_possible_somewhere(mistake):
    dead = [way for way in mistake.ways if not any(True for made in programs() for _ in _of_way(mistake, way, made))]
    assert dead == []


@pytest.mark.parametrize("mistake", [pytest.param(m, id=m.id) for m in OF_SYSTEMS])
def test_a_mistake_that_was_made_is_named(mistake):
    """In the first check in which it can be made and changes anything."""
    for one in (*CHECKS, *VARIATIONS):
        if not any(True for way in mistake.ways for _ in _of_way(mistake, way, program(one))):
            continue
        ours = instrument(one, "float64")
        made = next((m for m in ours.visible if m.mistake is mistake), None)
        if made is None:
            continue
        f = ours.program.function(made.edits)
        found = [ours.run(f, i) for i in range(len(ours.cases))]
        slip = re.compile("NameError|SyntaxError|AttributeError")
        assert not any(slip.match(outcome.raised) for outcome in found)
        diagnosis = diagnose(one, found, lambda case: FOREIGN["float64"], seconds=1)
        assert mistake.id in {id for e in diagnosis.explained for id in e.mistakes}
        return
    pytest.fail("it changes nothing in any check")
