"""Algorithms 3, 4 and 5: sizes that differ, parameters of another kind."""

import jax
import numpy as np
import pytest

import formal_tx

from .cases import Later, bad, call, close, good, integers, is_nan, jitted, models, nan_at, refused, spoiled, theta

SINGLE = "basic_single_query_attention"


def ones(*shape):
    return np.ones(shape, np.float32)


def wider(W):
    """One more along the first axis."""
    return ones(W.shape[0] + 1, *W.shape[1:])


def longer(W):
    """One more along the last axis."""
    return ones(*W.shape[:-1], W.shape[-1] + 1)


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        bad(SINGLE, "a scalar", ValueError, "e has shape (), expected (..., d_in)", e=1.0),
        bad(SINGLE, "one vector", ValueError, "context has shape (2,), expected (..., T, d_in)", context=ones(2)),
        bad(SINGLE, "no context", ValueError, "context is empty, at least one token is needed", context=ones(0, 2)),
        bad(
            SINGLE,
            "width of context",
            ValueError,
            "context has shape (4, 3), expected (..., T, d_in) with d_in = 2",
            context=ones(4, 3),
        ),
        bad(SINGLE, "integers", TypeError, "e has dtype int64, expected a floating dtype", e=np.ones(2, int)),
        bad(
            SINGLE,
            "batches",
            ValueError,
            "the leading axes are e (3,) and context (4,)",
            e=ones(3, 2),
            context=ones(4, 1, 2),
        ),
        bad(SINGLE, "nan", ValueError, "context holds nan, first at index [0, 0]", context=ones(4, 2) * np.nan),
        *(
            bad(
                SINGLE, f"size of {field}", ValueError, f"params.{field} has shape", params=theta(SINGLE, field, change)
            )
            for field, change in {
                "W_q": longer,
                "b_q": wider,
                "W_k": wider,
                "b_k": longer,
                "W_v": longer,
                "b_v": wider,
            }.items()
        ),
        bad("attention", "one vector", ValueError, "X has shape (2,), expected (..., l_x, d_x)", X=ones(2)),
        bad("attention", "no X", ValueError, "X is empty, at least one token is needed", X=ones(0, 2)),
        bad("attention", "no Z", ValueError, "Z is empty, at least one token is needed", Z=ones(0, 3)),
        bad(
            "attention",
            "width of X",
            ValueError,
            "params.W_q has shape (5, 2), expected (d_attn, d_x) with d_x = 3, the size that X gives it; here it is 2",
            X=ones(4, 3),
        ),
        bad(
            "attention",
            "width of Z",
            ValueError,
            "params.W_k has shape (5, 3), expected (d_attn, d_z) with d_z = 2, the size that Z gives it; here it is 3",
            Z=ones(3, 2),
        ),
        bad(
            "attention",
            "batches",
            ValueError,
            "the leading axes are X (2,) and Z (3,), expected axes that fit each other",
            X=ones(2, 4, 2),
            Z=ones(3, 3, 3),
        ),
        bad(
            "attention",
            "no sequences",
            ValueError,
            "X has shape (0, 4, 2) and Z (3, 3), expected at least one sequence",
            X=ones(0, 4, 2),
        ),
        bad("attention", "integers", TypeError, "Z has dtype int64, expected a floating dtype", Z=np.ones((3, 3), int)),
        bad("attention", "nan", ValueError, "X holds nan, first at index [0, 0]", X=ones(4, 2) * np.nan),
        *(
            bad(
                "attention",
                f"size of {field}",
                ValueError,
                f"params.{field} has shape",
                params=theta("attention", field, change),
            )
            for field, change in {
                "W_q": longer,
                "b_q": wider,
                "W_k": wider,
                "b_k": longer,
                "W_v": longer,
                "b_v": wider,
            }.items()
        ),
        *(
            bad(
                "mh_attention",
                f"heads of {field}",
                ValueError,
                f"params.heads.{field} has shape",
                params=theta("mh_attention", f"heads.{field}", wider),
            )
            for field in ("b_q", "W_k", "b_k", "W_v", "b_v")
        ),
        bad(
            "mh_attention",
            "width of W_o",
            ValueError,
            "params.W_o has shape (4, 15), expected (d_out, H·d_mid) with H·d_mid = 2 × 7 = 14, which params.heads.W_v "
            "of shape (2, 7, 3) gives it",
            params=theta("mh_attention", "W_o", longer),
        ),
        bad(
            "mh_attention",
            "b_o",
            ValueError,
            "params.b_o has shape (5,), expected (d_out,) with d_out = 4, the size that params.W_o gives it",
            params=theta("mh_attention", "b_o", wider),
        ),
        bad(
            "mh_attention",
            "one head",
            ValueError,
            "params.heads.W_q has shape (5, 2), expected (H, d_attn, d_x): heads are stacked on a leading axis",
            params=Later(lambda: models().heads.replace(heads=models().head)),
        ),
    ],
)
def test_refused(name, changes, error, message):
    refused(name, changes, error, message)


@pytest.mark.parametrize("name", [SINGLE, "attention", "mh_attention"])
class TestParameters:
    def test_of_another_kind(self, name):
        """The error says which type was expected, and which function makes one."""
        kind, made_by = (
            ("MHAttentionParameters", "init_mh_attention")
            if name == "mh_attention"
            else ("AttentionParameters", "init_attention")
        )
        for params in (None, models().d, models().head if name == "mh_attention" else models().heads):
            message = f"params is a {type(params).__name__}, expected {kind}, as {made_by} makes it"
            refused(name, {"params": params}, TypeError, f"{name}: {message}")

    def test_that_are_no_floats(self, name):
        for path in ["W_o", "heads.b_k"] if name == "mh_attention" else ["W_v", "b_k"]:
            params = spoiled(good(name)["params"], path, integers)
            refused(name, {"params": params}, TypeError, f"{name}: params.{path} has dtype int")

    def test_that_are_missing(self, name):
        path = "heads.W_k" if name == "mh_attention" else "W_k"
        params = spoiled(good(name)["params"], path, lambda W: None)
        refused(name, {"params": params}, TypeError, f"{name}: params.{path} is None, expected an array of numbers")

    def test_nan(self, name):
        path, index = ("heads.W_k", (1, 0, 2)) if name == "mh_attention" else ("W_k", (0, 1))
        params = spoiled(good(name)["params"], path, nan_at(*index))
        refused(name, {"params": params}, ValueError, f"{name}: params.{path} holds nan, first at index {list(index)}")
        assert is_nan(jitted(name, params=params))

    def test_traced_nan_in_the_context(self, name):
        context = "context" if name == SINGLE else "Z"
        assert is_nan(jitted(name, **{context: good(name)[context] * np.float32(np.nan)}))


def test_one_head_where_all_are_expected():
    params = models().heads.replace(heads=None)
    refused(
        "mh_attention", {"params": params}, TypeError, "mh_attention: params.heads is a NoneType, expected AttentionP"
    )


def test_floats_of_different_widths():
    """They follow JAX's rule of promotion, which is the user's to set: refused if strict, the wider if not."""
    X = good("attention")["X"]
    with pytest.raises(jax.dtypes.TypePromotionError, match="float16"):
        call("attention", X=X.astype(np.float16))
    with jax.numpy_dtype_promotion("standard"):
        narrow = call("attention", X=X.astype(np.float16))
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, call("attention"), atol=1e-2)


def test_batches_that_fit():
    """One context for a batch of queries, and one query for a batch of contexts."""
    X, Z = good("attention")["X"], good("attention")["Z"]
    one = call("attention")
    for changes in ({"X": np.stack([X, X])}, {"Z": np.stack([Z, Z])}, {"X": np.stack([X, X]), "Z": Z[None]}):
        close(call("attention", **changes), np.stack([one, one]))
    assert formal_tx.attention(X, Z, models().head).shape == one.shape
