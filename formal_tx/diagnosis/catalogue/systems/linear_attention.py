"""Mistakes with linear attention: in the feature map, in the sum of weights, in the state that is carried along."""

from ...mistakes import Rewrite, mistake

_FORMS = ("linear_attention", "linear_attention_step", "causal_linear_attention", "chunked_linear_attention")
_WITHIN = "where(unidirectional(_a, _b), _A, 0)"

MISTAKES = (
    mistake(
        "linear-not-normalised",
        "the sums of values are not divided by the sums of weights",
        ("_N / (_d + epsilon)", "_N"),
        functions=_FORMS,
    ),
    mistake(
        "linear-elu-without-one",
        "the features are elu(x) without the one: weights are negative",
        ("where(X > 0, X + 1, exp(minimum(X, 0)))", "where(X > 0, X, exp(minimum(X, 0)) - 1)"),
        functions=("elu_plus_one",),
    ),
    mistake(
        "linear-keys-without-features",
        "the keys are taken as they are, the feature map is applied to the queries alone",
        ("phi(K)", "K"),
        ("phi(k[:, None])[:, 0]", "k"),
        functions=_FORMS,
    ),
    mistake(
        "linear-scaled",
        "queries are divided by √E first, as for a softmax, which the feature map does not have",
        ("phi(Q)", "phi(Q / sqrt(len(Q)))"),
        ("phi(q[:, None])", "phi(q[:, None] / sqrt(len(q)))"),
        functions=_FORMS,
    ),
    mistake(
        "linear-softmax-features",
        "the features of a query are normalised by a softmax",
        (
            "Q_prime = phi(Q)",
            "Q_prime = exp(Q - Q.max(axis=0)) / exp(Q - Q.max(axis=0)).sum(axis=0)",
        ),
        functions=_FORMS,
    ),
    mistake(
        "linear-padding-before-features",
        "padded keys are set to 0 before the feature map, which makes 1 of them",
        (
            "K_prime = where(arange(K.shape[1]) < l_real, K_prime, 0)",
            "K_prime = phi(where(arange(K.shape[1]) < l_real, K, 0))",
        ),
        functions=("linear_attention",),
    ),
    mistake(
        "linear-padding-ignored",
        "padded keys are summed with the others",
        ("where(arange(K.shape[1]) < l_real, K_prime, 0)", "K_prime"),
        functions=("linear_attention",),
    ),
    mistake(
        "linear-late-state",
        "a token is answered before it is a part of the state: it does not see itself",
        (
            "S = S + outer(_v, _k)\nz = z + _k\nY[:, i] = _Y",
            "Y[:, i] = _Y\nS = S + outer(_v, _k)\nz = z + _k",
        ),
        (
            "S = state.S + outer(_v, _k)\nz = state.z + _k\nq_prime = _q\ny = _y\nstate.S, state.z = S, z",
            "q_prime = _q\nS, z = state.S, state.z\ny = _y\nstate.S = S + outer(_v, _k)\nstate.z = z + _k",
        ),
        functions=("causal_linear_attention", "linear_attention_step"),
    ),
    mistake(
        "linear-weights-not-carried",
        "the sum of weights is that of the last token or chunk alone",
        ("z = z + _z", "z = _z"),
        ("z = state.z + _z", "z = _z"),
        functions=_FORMS,
    ),
    mistake(
        "linear-state-replaced",
        "the state is replaced, not added to",
        ("S = S + _S", "S = _S"),
        ("S = state.S + _S", "S = _S"),
        functions=_FORMS,
    ),
    mistake(
        "linear-chunk-unmasked",
        "within a chunk a token sees those after it",
        (_WITHIN, "_A"),
        functions=("chunked_linear_attention",),
    ),
    mistake(
        "linear-chunk-minus-infinity",
        "within a chunk what is hidden gets the weight -∞, as a score would, not 0",
        (_WITHIN, "where(unidirectional(_a, _b), _A, -inf)"),
        functions=("chunked_linear_attention",),
    ),
    mistake(
        "linear-chunk-weights-missing",
        "the sum of weights lacks those within the chunk",
        ("z @ Q_c + A.sum(axis=0) + epsilon", "z @ Q_c + epsilon"),
        functions=("chunked_linear_attention",),
    ),
    mistake(
        "linear-chunk-weights-of-keys",
        "within a chunk the weights are summed over queries, not over keys",
        ("A.sum(axis=0)", "A.sum(axis=1)"),
        functions=("chunked_linear_attention",),
    ),
    mistake(
        "linear-favor-without-norm",
        "the features lack exp(-‖x‖²/2): their product has the expectation exp(q·k) exp((‖q‖² + ‖k‖²)/2)",
        (Rewrite("U - r", "U"), Rewrite("-U - r", "-U")),
        together=True,
        functions=("favor_features",),
    ),
    mistake(
        "linear-favor-norm-not-halved",
        "the features have exp(-‖x‖²), not its root",
        ("(X**2).sum(axis=0) / 2", "(X**2).sum(axis=0)"),
        functions=("favor_features",),
    ),
    mistake(
        "linear-temperature-not-rooted",
        "both queries and keys are multiplied by the temperature, not by its root",
        ("sqrt(t) * X", "t * X"),
        functions=("favor_features", "fourier_features"),
    ),
)
