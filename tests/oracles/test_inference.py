"""Algorithms 14 and 15 in the limit τ → 0 against greedy decoding by Hugging Face and by a loop over PyTorch's layers.

Theirs compute the past anew, or keep a cache of their own. Tokens are compared, and they have to be the same.
"""

import jax
import numpy as np

import formal_tx
from tests.golden.editions import random_parameters
from tests.oracles.cases import ED, D, tokens
from tests.oracles.torch_models import EncoderDecoder, encoder_decoder_state, run, tensors, torch, trained_gpt2

COLD = 1e-6  # logits that differ by 1e-4 are e^100 apart: no noise that is drawn in a test turns them round


def test_cold_d_inference_is_gpt2_generate(dtype):
    """14: prompts of all lengths in a padded batch, and the longest alone."""
    params, prompts, length = random_parameters(D, 3, dtype), tokens(4, 6, 6), 6
    lengths = np.array([1, 2, 3, 4, 5, 6])
    options = {"length": length, "temperature": COLD, "key": jax.random.key(0)}
    model = trained_gpt2(D, params)
    expected = [generate(model, prompt[:l], length) for prompt, l in zip(prompts, lengths, strict=True)]
    assert len(np.unique(expected)) > 3  # it does not say one thing for ever
    np.testing.assert_array_equal(formal_tx.d_inference(prompts, params, D, lengths=lengths, **options), expected)
    np.testing.assert_array_equal(formal_tx.d_inference(prompts[-1], params, D, **options), expected[-1])


def generate(model, prompt, length):
    x = tensors(prompt[None])
    y = model.generate(x, attention_mask=torch.ones_like(x), do_sample=False, max_new_tokens=length)
    return y[0, len(prompt) :].numpy()


def test_cold_ed_inference_is_a_greedy_loop(dtype):
    """15: some end with eos_token and some at l_max, in a padded batch, and alone."""
    params, z, lengths = random_parameters(ED, 68, dtype), tokens(5, 4, 7), np.array([7, 4, 1, 2])
    params = params.replace(W_e=3 * params.W_e, W_p=3 * params.W_p)  # so that it does not say one thing for ever
    options = {"temperature": COLD, "key": jax.random.key(0)}
    expected = [greedy(params, z_n[:l]) for z_n, l in zip(z, lengths, strict=True)]
    assert [len(x) for x in expected] == [7, 2, 12, 12]
    padded = [x + [ED.eos_token] * (ED.l_max + 1 - len(x)) for x in expected]
    np.testing.assert_array_equal(formal_tx.ed_inference(z, params, ED, z_lengths=lengths, **options), padded)
    np.testing.assert_array_equal(formal_tx.ed_inference(z[0], params, ED, **options), expected[0])


def greedy(params, z):
    """The most likely token, again and again, until eos_token comes or the decoder is full."""
    theta, z, x = tensors(params), tensors(z[None]), [ED.bos_token]
    module, state = EncoderDecoder(ED).to(theta.W_e.dtype), encoder_decoder_state(theta)
    while x[-1] != ED.eos_token and len(x) <= ED.l_max:
        x.append(int(run(module, state, z, torch.tensor([x]))[0, -1].argmax()))
    return x
