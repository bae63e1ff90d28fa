"""Mistakes with positions: tables of sinusoids, rotations, penalties for distance, buckets, networks, probes."""

from ...mistakes import Rewrite, mistake

_TABLES = ("interleaved_sinusoids", "sinusoid_halves", "whisper_sinusoids")
_PAIRS = "(2 * i, 2 * i + 1) if neighbours else (i, i + r // 2)"
_OF_EACH = "array([f(w * t) for w in omega for f in (sin, cos)])"

SINUSOIDS = (
    mistake(
        "sinusoids-swapped",
        "sine and cosine are swapped",
        (Rewrite("sin(_a)", "cos(_a)"), Rewrite("cos(_a)", "sin(_a)")),
        together=True,
        functions=_TABLES,
    ),
    mistake(
        "sinusoids-in-halves",
        "all sines come before all cosines instead of alternating with them",
        (
            Rewrite("W_p[2 * i, t] = _s", "W_p[i, t] = _s"),
            Rewrite("W_p[2 * i + 1, t] = _c", "W_p[d_e // 2 + i, t] = _c"),
        ),
        together=True,
        functions=_TABLES,
    ),
    mistake(
        "sinusoids-alternate",
        "sines and cosines alternate instead of standing in halves",
        (
            Rewrite("W_p[i, t] = _s", "W_p[2 * i, t] = _s"),
            Rewrite("W_p[d_e // 2 + i, t] = _c", "W_p[2 * i + 1, t] = _c"),
        ),
        together=True,
        functions=_TABLES,
    ),
    mistake(
        "sinusoids-exponent",
        "the exponent has not the factor 2",
        ("2 * i / d_e", "i / d_e"),
        together=True,
        functions=_TABLES,
    ),
    mistake(
        "sinusoids-exponent-by-feature",
        "a cosine has the exponent of its own feature instead of that of its sine",
        ("cos(t / 10000 ** (2 * i / d_e))", "cos(t / 10000 ** ((2 * i + 1) / d_e))"),
        functions=_TABLES,
    ),
    mistake(
        "sinusoids-last-exponent",
        "the slowest frequency has the base itself where it should not, or the other way round",
        ("2 * i / d_e", "i / (d_e // 2 - 1)"),
        ("i / (d_e // 2 - 1)", "2 * i / d_e"),
        together=True,
        functions=_TABLES,
    ),
    mistake(
        "sinusoids-base",
        "the frequencies have another base: the print's l_max, or 1000",
        ("10000 ** _p", "l_max ** _p"),
        ("10000 ** _p", "1000 ** _p"),
        together=True,
        functions=_TABLES,
    ),
    mistake(
        "sinusoids-off-by-one",
        "positions, or frequencies, are counted from 1",
        ("t / _f", "(t + 1) / _f"),
        ("2 * i / d_e", "2 * (i + 1) / d_e"),
        together=True,
        functions=_TABLES,
    ),
)

ROTARY = (
    mistake(
        "rotary-pairs",
        "the features are paired the other way: neighbours instead of halves, or halves instead of neighbours",
        (_PAIRS, "(i, i + r // 2) if neighbours else (2 * i, 2 * i + 1)"),
        functions=("rotary",),
    ),
    mistake(
        "rotary-direction",
        "everything turns the other way",
        ("exp(1j * _w * _t)", "exp(-1j * _w * _t)"),
        functions=("rotary",),
    ),
    mistake(
        "rotary-exponent-of-head",
        "the exponents are divided by the size of a head instead of the number of features that turn",
        ("exp(1j * theta[i] * t)", "exp(1j * theta[i] ** (r / len(X)) * t)"),
        functions=("rotary",),
    ),
    mistake(
        "rotary-exponent",
        "the exponent of a frequency has not the factor 2",
        ("-2 * i / r", "-i / r"),
        functions=("frequencies",),
    ),
    mistake(
        "rotary-inverse-frequencies",
        "the frequencies are the wavelengths: the exponent's sign is missing",
        ("-2 * i / r", "2 * i / r"),
        functions=("frequencies",),
    ),
    mistake(
        "rotary-frequencies-from-1",
        "the frequencies are counted from 1",
        ("-2 * i / r", "-2 * (i + 1) / r"),
        functions=("frequencies",),
    ),
    mistake(
        "rotary-off-by-one",
        "positions are counted from 1",
        ("exp(1j * theta[i] * t)", "exp(1j * theta[i] * (t + 1))"),
        functions=("rotary",),
    ),
    mistake(
        "rotary-positions-counted",
        "positions are counted in the sequence instead of being those that are given",
        ("exp(1j * theta[i] * t)", "exp(1j * theta[i] * arange(X.shape[1]))"),
        functions=("rotary",),
    ),
    mistake(
        "rotary-sign",
        "the second feature of a pair has the wrong sign: turned and mirrored",
        ("Y[b] = z.imag", "Y[b] = -z.imag"),
        functions=("rotary",),
    ),
    mistake(
        "rotary-rest-lost",
        "the features that do not turn are set to 0",
        ("X.copy()", "0 * X"),
        functions=("rotary",),
    ),
)

ALIBI = (
    mistake(
        "alibi-sign",
        "the penalty is a bonus: scores rise with the distance",
        ("_S - m * _d", "_S + m * _d"),
        functions=("alibi",),
    ),
    mistake(
        "alibi-before-scale",
        "the penalty is added before the scores are scaled, and so is scaled too",
        ("score(scale * S, h)", "scale * score(S, h)"),
        functions=("grouped_attention",),
    ),
    mistake(
        "alibi-off-by-one",
        "the distance is off by one",
        ("t_x - t_z", "t_x - t_z + 1"),
        ("t_x - t_z", "t_x - t_z - 1"),
        functions=("alibi",),
    ),
    mistake(
        "alibi-signed",
        "the distance has a sign, so tokens that follow have a bonus",
        ("abs(t_x - t_z)", "(t_x - t_z)"),
        functions=("alibi",),
    ),
    mistake(
        "alibi-slopes-from-0",
        "the slopes begin with 1: heads are counted from 0",
        Rewrite("[_e for h in range(1, n + 1)]", "[_e for h in range(n)]"),
        functions=("slopes",),
    ),
    mistake(
        "alibi-slopes-of-any-number",
        "2^(-8h/H) is taken for a number of heads that is no power of two",
        ("2 ** floor(log2(H))", "H"),
        functions=("slopes",),
    ),
    mistake(
        "alibi-slopes-in-order",
        "of the slopes for twice as many heads the first ones are taken, not every second one",
        ("range(1, 2 * n, 2)", "range(1, 2 * n)"),
        functions=("slopes",),
    ),
    mistake(
        "alibi-slope-one",
        "every head has the same slope",
        ("2 ** (-a * h / n)", "2 ** (-a / n)"),
        functions=("slopes",),
    ),
)

BUCKETS = (
    mistake(
        "buckets-sign",
        "the distance has the wrong sign: query minus key, so the halves are swapped",
        ("t_z - t_x", "t_x - t_z"),
        ("distance > 0", "distance < 0"),
        ("max(-distance, 0)", "max(distance, 0)"),
        functions=("relative_buckets", "bucket"),
    ),
    mistake(
        "buckets-zero-follows",
        "a token's own distance 0 is taken for one that follows",
        ("distance > 0", "distance >= 0"),
        functions=("bucket",),
    ),
    mistake(
        "buckets-not-halved",
        "the buckets are not halved for the two directions",
        ("N_B // 2", "N_B"),
        functions=("bucket",),
    ),
    mistake(
        "buckets-logarithm",
        "the logarithm is of the distance itself, not of how many times it is the nearest half",
        ("log(n / exact)", "log(n)"),
        ("log(furthest / exact)", "log(furthest)"),
        functions=("bucket",),
    ),
    mistake(
        "buckets-rounded",
        "buckets of large distances are rounded to the nearest instead of down",
        ("floor(_x)", "round(_x)"),
        functions=("bucket",),
    ),
    mistake(
        "buckets-one-too-near",
        "the last distance with a bucket of its own shares one",
        ("n >= exact", "n > exact"),
        ("exact + floor(_x)", "exact + floor(_x) + 1"),
        functions=("bucket",),
    ),
    mistake(
        "buckets-multiplied",
        "the learned score multiplies instead of being added",
        ("S[t_z, t_x] + w[_b]", "S[t_z, t_x] * w[_b]"),
        functions=("relative_buckets",),
    ),
)

LSPE = (
    mistake(
        "lspe-swapped",
        "sine and cosine are swapped",
        (_OF_EACH, _OF_EACH.replace("(sin, cos)", "(cos, sin)")),
        functions=("learnable_sinusoids",),
    ),
    mistake(
        "lspe-in-halves",
        "all sines come before all cosines instead of alternating with them",
        (_OF_EACH, "array([f(w * t) for f in (sin, cos) for w in omega])"),
        functions=("learnable_sinusoids",),
    ),
    mistake(
        "lspe-off-by-one",
        "positions are counted from 1",
        (_OF_EACH, _OF_EACH.replace("w * t", "w * (t + 1)")),
        functions=("learnable_sinusoids",),
    ),
    mistake(
        "lspe-exponent",
        "the exponent of a frequency has not the factor 2",
        ("-2 * i / d_e", "-i / d_e"),
        functions=("sinusoid_frequencies",),
    ),
    mistake(
        "lspe-frequencies-from-1",
        "the frequencies are counted from 1",
        ("-2 * i / d_e", "-2 * (i + 1) / d_e"),
        functions=("sinusoid_frequencies",),
    ),
    mistake(
        "lspe-linear",
        "the hidden layer has no activation: two matrices that are one",
        ("sigma(_a)", "_a"),
        functions=("learnable_sinusoids",),
    ),
    mistake(
        "lspe-activated-twice",
        "the activation is applied to what the network gives, too",
        ("P = W.W_2 @ Y + W.b_2[:, None]", "P = sigma(W.W_2 @ Y + W.b_2[:, None])"),
        functions=("learnable_sinusoids",),
    ),
    mistake(
        "lspe-residual",
        "the sinusoids are not added where they should be, or added where they should not",
        ("P = P + S", ""),
        ("residual", "not residual"),
        functions=("learnable_sinusoids",),
    ),
    mistake(
        "lspe-bias-missing",
        "a bias is missing",
        ("_a + W.b_1[:, None]", "_a"),
        ("_a + W.b_2[:, None]", "_a"),
        functions=("learnable_sinusoids",),
    ),
)

NOPE = (
    mistake(
        "nope-counts-from-1",
        "positions are counted from 1: 1/a is how many tokens are seen",
        ("1 / a - 1", "1 / a"),
        functions=("count_from_start",),
    ),
    mistake(
        "nope-sees-everything",
        "the mask is full, and every token sees as many",
        ("unidirectional(l, l)", "ones((l, l), dtype=bool)"),
        functions=("count_from_start",),
    ),
    mistake(
        "nope-mean-kept",
        "the mean of the features is not subtracted before the regression",
        ("Phi = Phi - phi_bar[:, None]", ""),
        functions=("fit_probe",),
    ),
    mistake(
        "nope-penalty-of-all",
        "the penalty does not grow with the number of tokens",
        ("n * penalty", "penalty"),
        functions=("fit_probe",),
    ),
    mistake(
        "nope-constant-missing",
        "the constant of the regression is the mean position, or is missing",
        ("t_bar - w @ phi_bar", "t_bar"),
        ("W.w @ Phi + W.b", "W.w @ Phi"),
        functions=("fit_probe", "read_positions"),
    ),
    mistake(
        "nope-features-linear",
        "the random features are not ReLUs, so that the probe is a linear one",
        ("ReLU(_a)", "_a"),
        functions=("fit_probe", "read_positions"),
    ),
)

MISTAKES = (*SINUSOIDS, *ROTARY, *ALIBI, *BUCKETS, *LSPE, *NOPE)
