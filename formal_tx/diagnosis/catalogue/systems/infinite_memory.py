"""Mistakes with the memory of an ∞-former: where rows stand in time, what is squeezed, what a density is."""

from ...mistakes import Rewrite, mistake

_CELLS = "(arange(-(L // 2), L + L // 2) + 1 / 2) / L"
_WIDTH = "sigma[:, None] ** 2 + v[h]"


MISTAKES = (
    mistake(
        "infinite-basis-not-normalised",
        "the basis functions are Gaussians of height one, not of area one: the penalty then means something else",
        ("psi(_t, mu, sigma)", "(psi(_t, mu, sigma) * sigma[:, None] * sqrt(2 * pi))"),
        together=True,
        functions=("basis_regression", "memory_update"),
    ),
    mistake(
        "infinite-no-padding",
        "there are no cells of value 0 on both sides: the function is free outside of [0, 1]",
        (_CELLS, "(arange(L) + 1 / 2) / L"),
        functions=("basis_regression",),
    ),
    mistake(
        "infinite-cell-ends",
        "the rows of a first segment stand at the ends of their cells, i / L, not in the middle",
        (
            Rewrite(_CELLS, "(arange(-(L // 2), L + L // 2) + 1) / L"),
            Rewrite("(t > 0) & (t < 1)", "(t > 0) & (t <= 1)"),
        ),
        together=True,
        functions=("basis_regression",),
    ),
    mistake(
        "infinite-no-ridge",
        "the fit has no ridge penalty",
        ("F @ F.T + lam * eye(N)", "F @ F.T"),
        functions=("basis_regression", "memory_update"),
    ),
    mistake(
        "infinite-tau-of-the-new",
        "tau is what the new segment gets, and the past gets the rest",
        (
            Rewrite("tau * arange(1, M + 1) / M", "(1 - tau) * arange(1, M + 1) / M"),
            Rewrite("tau + (1 - tau) * arange(1, L + 1) / L", "1 - tau + tau * arange(1, L + 1) / L"),
        ),
        together=True,
        functions=("memory_update",),
    ),
    mistake(
        "infinite-sampled-after-squeezing",
        "the past is sampled at the squeezed times, so that what it had beyond tau is lost",
        ("B_old @ psi(u, mu, sigma)", "B_old @ psi(tau * u, mu, sigma)"),
        functions=("memory_update",),
    ),
    mistake(
        "infinite-coefficients-blended",
        "the coefficients of past and segment are averaged, not fitted anew: nothing moves in time",
        (
            "B = concatenate([X_old, X], axis=1) @ G.T",
            "B = tau * B_old + (1 - tau) * basis_regression(X, mu, sigma, lam)",
        ),
        functions=("memory_update",),
    ),
    mistake(
        "infinite-points-not-sorted",
        "the points of sticky memories stay in the order in which they were drawn: time is shuffled",
        ("sort(edges[b])", "edges[b]"),
        functions=("sticky_points",),
    ),
    mistake(
        "infinite-variance-as-width",
        "the variance of a density is taken for its standard deviation",
        ("sqrt(v)", "v"),
        functions=("sticky_points",),
    ),
    mistake(
        "infinite-right-edges",
        "a bin is sampled at its right edge, not at its left one",
        ("edges[b]", "edges[b + 1]"),
        functions=("sticky_points",),
    ),
    mistake(
        "infinite-scale-missing",
        "the scores of the memory are not divided by sqrt(d_attn)",
        ("K.T @ Q[h] / sqrt(len(Q[h]))", "K.T @ Q[h]"),
        functions=("read_density",),
    ),
    mistake(
        "infinite-scores-normalised",
        "location and variance are read off the softmax of the scores, not off the scores",
        ("K.T @ Q[h] / sqrt(len(Q[h]))", "softmax(K.T @ Q[h] / sqrt(len(Q[h])))"),
        functions=("read_density",),
    ),
    mistake(
        "infinite-point-read",
        "the memory is read at the location itself, as if the density were a point",
        (_WIDTH, "sigma[:, None] ** 2"),
        functions=("continuous_attention",),
    ),
    mistake(
        "infinite-density-at-centres",
        "the density is taken at the centres of the basis functions, whose own width is left out",
        (_WIDTH, "v[h]"),
        functions=("continuous_attention",),
    ),
    mistake(
        "infinite-widths-added",
        "the widths of density and basis function are added, not their variances",
        (_WIDTH, "(sigma[:, None] + sqrt(v[h])) ** 2"),
        functions=("continuous_attention",),
    ),
    mistake(
        "infinite-memory-instead",
        "what the memory answers takes the place of the attention within the segment, and is not added to it",
        ("Y_X + continuous_attention(B, density, U, mu, sigma)", "continuous_attention(B, density, U, mu, sigma)"),
        functions=("infinite_attention",),
    ),
    mistake(
        "infinite-memory-reset",
        "the memory holds the last segment alone",
        ("memory_update(B, X, u, mu, sigma, lam, tau)", "basis_regression(X, mu, sigma, lam)"),
        functions=("infinite_attention",),
    ),
    mistake(
        "infinite-kl-of-widths",
        "the regulariser compares standard deviations, not variances",
        ("v / sigma_0**2", "sqrt(v) / sigma_0"),
        functions=("kl_regulariser",),
    ),
)
