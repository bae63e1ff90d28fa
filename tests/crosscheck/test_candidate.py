"""Somebody else's function: right ones agree, wrong ones are shown, broken ones are reported in a sentence."""

import textwrap

import pytest

from formal_tx.crosscheck import find
from formal_tx.crosscheck.candidate import CannotRun, check_candidate
from formal_tx.crosscheck.pseudocode import folder

ATTENTION = """
    import numpy as np

    def attention(X, Z, params, mask):
        Q = X @ params.W_q.T + params.b_q
        K = Z @ params.W_k.T + params.b_k
        V = Z @ params.W_v.T + params.b_v
        S = np.where(mask, Q @ K.T / np.sqrt(Q.shape[1]), -np.inf)
        A = np.exp(S - S.max(axis=1, keepdims=True))
        return A / A.sum(axis=1, keepdims=True) @ V
"""


@pytest.fixture
def write(tmp_path):
    def write(source, name="mine.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(source))
        return str(path)

    return write


def test_a_right_attention_agrees(write):
    assert check_candidate(find(4), write(ATTENTION) + ":attention", cases=1).agrees


def test_a_right_attention_agrees_in_single_precision(write):
    source = ATTENTION.replace("        Q =", "        assert X.dtype == params.W_q.dtype == np.float32\n        Q =")
    comparison = check_candidate(find(4), write(source) + ":attention", cases=1, dtype="float32")
    assert comparison.agrees
    assert 1e-9 < comparison.worst.error < 1e-5


def test_a_forgotten_scale_is_shown_in_the_smallest_case(write):
    comparison = check_candidate(
        find(4), write(ATTENTION.replace(" / np.sqrt(Q.shape[1])", "")) + ":attention", cases=1
    )
    assert not comparison.agrees
    case = comparison.failing
    assert case.sizes["l_z"] in (2, 3)  # with one key there is nothing to scale
    # one feature has √1 = 1 for its scale: the smallest case that shows the mistake has two
    assert case.sizes["d_attn"] == 2


def test_a_transposed_mask_is_caught(write):
    source = ATTENTION.replace("np.where(mask,", "np.where(mask.T if mask.shape[0] == mask.shape[1] else mask,")
    # on (11, 13) masks it cannot be transposed by luck; on square ones it can, and some telling cases are square
    comparison = check_candidate(find(4), write(source) + ":attention", cases=1)
    assert "all dimensions equal" in comparison.worst.case
    always = ATTENTION.replace("np.where(mask,", "np.where(mask.T,")
    comparison = check_candidate(find(4), write(always) + ":attention", cases=1)
    assert not comparison.agrees
    assert "raises ValueError: operands could not be broadcast" in comparison.first_bad.raised


def test_jax_and_a_module_that_imports_its_neighbour(write):
    write("SCALE = 0.5\n", "neighbour.py")
    source = """
        import jax, jax.numpy as jnp
        from neighbour import SCALE

        def attention(X, Z, params, mask):
            assert isinstance(X, jax.Array) and X.dtype == jnp.float64
            Q, K, V = X @ params.W_q.T + params.b_q, Z @ params.W_k.T + params.b_k, Z @ params.W_v.T + params.b_v
            return jax.nn.softmax(jnp.where(mask, Q @ K.T * Q.shape[1] ** -SCALE, -jnp.inf), axis=-1) @ V
    """
    assert check_candidate(find(4), write(source) + ":attention", framework="jax", cases=1).agrees


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7])
def test_the_pseudocode_itself_is_a_candidate_in_columns(number):
    algorithm = find(number)
    candidate = f"{folder() / algorithm.file}.py:{algorithm.name}"
    assert check_candidate(algorithm, candidate, layout="columns", cases=1).agrees


LIBRARY = {
    8: "def f(z, x, params, hp):\n    return F.ed_transformer(z, x, J(params), hp)\n",
    9: "def f(x, params, hp):\n    return F.e_transformer(x, J(params), R(hp))\n",
    10: "def f(x, params, hp):\n    return F.d_transformer(x, J(params), hp)\n",
    13: (
        "def f(x, params, hp, epochs, eta):\n"
        "    return F.d_training(np.stack(x), J(params), hp, epochs=epochs, optimizer=optax.sgd(eta))\n"
    ),
    14: (
        "def f(x, params, hp, length, temperature, sample):\n"
        "    x = list(x)\n"
        "    for _ in range(length):\n"
        "        p = np.asarray(F.d_transformer(np.array(x), J(params), hp)[-1]) ** (1 / temperature)\n"
        "        x.append(sample(p / p.sum()))\n"
        "    return x[-length:]\n"
    ),
}


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=pytest.mark.slow if n in (8, 9, 13) else ()) for n in LIBRARY]
)
def test_architectures_training_and_inference_are_called_as_documented(write, number):
    head = (
        "import dataclasses, jax, numpy as np, optax\n"
        "jax.config.update('jax_enable_x64', True)\n"
        "import formal_tx as F\n"
        "J = lambda params: params\n"
        "R = lambda hp: dataclasses.replace(hp, tied_embeddings=False)\n"
    )
    source = head + LIBRARY[number].replace(", hp)", ", R(hp))").replace("R(R(hp))", "R(hp)").replace(
        ", hp,", ", R(hp),"
    )
    source = source.replace("def f(x, params, R(hp), ", "def f(x, params, hp, ").replace(
        "params, R(hp)):", "params, hp):"
    )
    comparison = check_candidate(find(number), write(source) + ":f", cases=1)
    assert comparison.agrees, comparison.first_bad


def test_what_it_prints_does_not_reach_standard_output(write, capfd):
    noisy = ATTENTION.replace("        Q =", "        print('noise')\n        Q =")
    assert check_candidate(find(4), write(noisy) + ":attention", cases=1).agrees
    assert "noise" not in capfd.readouterr().out


def test_what_it_does_to_its_arguments_stays_with_it(write):
    greedy = ATTENTION.replace("        return A", "        X[:] = 0; params.W_q[:] = 0\n        return A")
    assert check_candidate(find(4), write(greedy) + ":attention", cases=1).agrees


def test_a_wrong_shape_is_a_disagreement(write):
    comparison = check_candidate(find(6), write("def f(e, gamma, beta, epsilon):\n    return e[:2]\n") + ":f", cases=1)
    assert not comparison.agrees
    assert comparison.first_bad.found.shape == (2,)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nothing_of_that_name\n", "cannot be imported: raises ModuleNotFoundError"),
        ("def f(:\n", "cannot be imported: raises SyntaxError"),
        ("def g():\n    pass\n", "cannot be imported: raises ImportError: it has no function f"),
        ("def f(*a):\n    raise RuntimeError('no')\n", "raises RuntimeError: no at mine.py, line 2"),
        ("def f(*a):\n    return None\n", "returned NoneType, expected an array of numbers"),
        ("def f(a):\n    return a\n", "raises TypeError: f\\(\\) takes 1 positional argument but 4 were given"),
        ("import sys\ndef f(*a):\n    sys.exit(3)\n", "raises SystemExit: 3"),
        ("import os\ndef f(*a):\n    os._exit(7)\n", "ended its process with exit status 7"),
    ],
)
def test_a_broken_candidate_is_reported_in_a_sentence(write, source, message):
    with pytest.raises(CannotRun, match=message):
        check_candidate(find(4), write(source) + ":f", cases=1)


def test_one_that_never_returns_is_stopped(write):
    with pytest.raises(CannotRun, match="did not return within 6 seconds"):
        check_candidate(find(4), write("def f(*a):\n    while True:\n        pass\n") + ":f", cases=1, time_limit=6)


@pytest.mark.parametrize(
    ("candidate", "message"),
    [("mine.py", "expected path/to/file.py:function"), ("nowhere.py:f", "there is no file nowhere.py")],
)
def test_a_candidate_that_is_not_there(candidate, message):
    with pytest.raises(CannotRun, match=message):
        check_candidate(find(4), candidate)
