"""The executable pseudocode of the variations: it is the printed algorithms where nothing varies, and the library."""

import ast
from dataclasses import fields, replace

import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters, EDTransformerHyperparameters, ETransformerHyperparameters
from formal_tx.crosscheck import check, find, pseudocode
from formal_tx.crosscheck.layout import to_paper
from formal_tx.crosscheck.variations import MODELS, PARTS, VARIATIONS, architectures, functions
from formal_tx.hyperparameters import VARIATIONS as NAMES
from formal_tx.scores import SoftCap

_WIDTHS = {"l_max": 11, "H": 3, "d_e": 6, "d_mlp": 7, "N_V": 13, "d_attn": 5, "d_mid": 4, "epsilon": 1e-5}
PRINTED = [
    DTransformerHyperparameters(**_WIDTHS, L=2),
    ETransformerHyperparameters(**_WIDTHS, L=2, d_f=5),
    EDTransformerHyperparameters(**_WIDTHS, L_enc=2, L_dec=1),
]
FAST = {"gemma_2", "t5"}
LIKE_ANOTHER = {"geglu", "rotary_partial", "rotary_yarn", "relative_buckets_few", "multi_query_attention"}
LIKE_ANOTHER |= {f"attention_with_{what}" for what in ("window", "qk_norm", "soft_cap", "inner_norm")}
LIKE_ANOTHER |= {"post", "branch", "sub_ln", "parallel"}


@pytest.mark.parametrize("hp", PRINTED, ids=["decoder", "encoder", "encoder-decoder"])
@pytest.mark.parametrize("given", [True, False], ids=["arguments given", "arguments by default"])
def test_the_pseudocode_without_variations_is_the_printed_algorithm(hp, given):
    several = isinstance(hp, EDTransformerHyperparameters)
    case = architectures.case(np.random.default_rng(3), "", hp, **({"z": 7, "x": 5} if several else {"x": 5}))
    arguments, options = architectures.paper_arguments(case)
    name = {DTransformerHyperparameters: "d", ETransformerHyperparameters: "e"}.get(type(hp), "ed") + "_transformer"
    varied = getattr(pseudocode.module(f"variations.{name}"), name)
    found = varied(*arguments, **(options if given else {"epsilon": hp.epsilon}))
    ids = [a for a in arguments if isinstance(a, list)][: 2 if several else 1]
    printed = find(name).paper(*ids, to_paper(case.arguments["params"]), hp.epsilon)
    np.testing.assert_allclose(found, printed, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize(
    "variation", [pytest.param(p, marks=pytest.mark.slow if p.name in LIKE_ANOTHER else (), id=p.name) for p in PARTS]
)
def test_a_part_agrees_with_its_pseudocode(variation):
    comparison = check(variation, cases=1)
    assert comparison.agrees, comparison.first_bad
    assert comparison.lines_compared >= 1
    assert comparison.worst.error <= 1e-13


@pytest.mark.parametrize(
    "variation", [pytest.param(m, marks=() if m.name in FAST else pytest.mark.slow, id=m.name) for m in MODELS]
)
def test_a_model_agrees_with_its_pseudocode_line_by_line(variation):
    comparison = check(variation, cases=1)
    assert comparison.agrees, comparison.first_bad
    assert comparison.worst.error <= 1e-12
    assert comparison.lines - comparison.lines_compared <= 2  # line 10 where there is no norm, 2 where there is one


def test_every_variation_has_a_name_of_its_own():
    everybody = [v.name for v in VARIATIONS]
    assert set(everybody) >= FAST | LIKE_ANOTHER
    assert len(set(everybody)) == len(everybody)
    for variation in VARIATIONS:
        assert find(variation.name, also=VARIATIONS) is variation
        assert variation.purpose
        assert variation.listing.assigned


def test_every_hyperparameter_that_varies_varies_in_a_model():
    defaults = {f.name: f.default for kind in (type(hp) for hp in PRINTED) for f in fields(kind)}
    varied = set()
    for model in MODELS:
        case = next(iter(model.draw(np.random.default_rng(0), 1)))
        varied |= case.arguments["hyperparameters"].varied().keys()
    assert varied == set(NAMES) - {"special_tokens", "head"}, "these two do not change the pseudocode"
    assert defaults["rotate"] is None


# A check that cannot fail shows nothing: each of these is a mistake that somebody has made.


def _with(name, **changes):
    """The entry of a model, whose pseudocode is given other hyperparameters than the library."""
    model = find(name, also=VARIATIONS)

    def mistaken(case):
        arguments = dict(case.arguments)
        arguments["hyperparameters"] = replace(arguments["hyperparameters"], **changes)
        return architectures.paper_arguments(replace(case, arguments=arguments))

    return replace(model, paper_arguments=mistaken)


def _rotary(**changes):
    hp = next(iter(find("llama", also=VARIATIONS).draw(np.random.default_rng(0), 1))).arguments["hyperparameters"]
    return replace(hp.rotate, **changes)


@pytest.mark.parametrize(
    ("model", "changes", "line"),
    [
        ("llama", {"rotate": _rotary(neighbours=True)}, 8),
        ("llama", {"rotate": _rotary(base=500.0)}, 8),
        ("llama", {"rotate": None}, 8),
        ("llama", {"epsilon": 1e-6}, 8),
        ("llama", {"activation": functions.activations.gelu}, 8),
        ("gemma_2", {"scale": None}, 8),
        ("gemma_2", {"score": SoftCap(50.0)}, 8),
        ("gemma_2", {"windows": (None, 3)}, 8),
        ("gemma_2", {"windows": (4, None)}, 8),
        ("gemma_2", {"logit_cap": None}, 11),
        ("gemma_2", {"embedding_scale": 1.0}, 2),
        ("gemma_2", {"norm": functions.normalization.rms_norm}, 8),
    ],
)
def test_a_mistake_shows_in_its_line(model, changes, line):
    comparison = check(_with(model, **changes), cases=1)
    assert not comparison.agrees
    assert comparison.first_bad.number == line
    assert comparison.first_bad.error > 1e-8


@pytest.mark.parametrize(
    "translate",
    [
        functions.function,
        lambda value: functions.rotate(value, 4),
        lambda value: functions.score(value, None, 2),
        functions.normalise_qk,
        functions.logit_cap,
    ],
    ids=["norm", "rotate", "score", "normalise_qk", "logit_cap"],
)
def test_a_variation_without_pseudocode_is_refused_by_name(translate):
    with pytest.raises(ValueError, match=r"there is no pseudocode of .*<built-in function abs>"):
        translate(abs)


# The files themselves.

_FOLDERS = [pseudocode.folder() / name for name in ("variations", "positional", "decoding", "long_context")]
FILES = sorted(path for folder in _FOLDERS for path in folder.glob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_file_imports_numpy_and_the_pseudocode_alone(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            pytest.fail(f"imports {node.names[0].name}")
        if isinstance(node, ast.ImportFrom):
            assert node.level > 0 or node.module in ("numpy", "numpy.random", "math")


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_the_lines_of_a_function_are_numbered_from_one_without_a_gap(path):
    source = path.read_text(encoding="utf-8").splitlines()
    for node in ast.parse("\n".join(source)).body:
        if isinstance(node, ast.FunctionDef):
            numbers = [n for text in source[node.lineno - 1 : node.end_lineno] for n in _numbers(text)]
            if path.stem.endswith("_transformer"):  # the printed numbers, where several lines are one
                assert numbers == sorted(set(numbers))
            else:
                assert numbers == list(range(1, len(numbers) + 1)), node.name


def _numbers(text):
    """The numbers at the end of a line of the source."""
    found = text.rpartition("#")[2].split(",")
    return [int(n) for n in found] if all(n.strip().isdigit() for n in found) else []
