"""Every family of encoder-decoders: the same logits and texts as transformers, the same tensors again, known sizes."""

import math

import jax
import numpy as np
import pytest

from formal_tx.architectures import ed_transformer_logits
from formal_tx.hyperparameters import Biases, EDTransformerHyperparameters
from formal_tx.inference import ed_inference, ed_prefill, ed_step
from formal_tx.inference.filters import Filter
from formal_tx.initialization import init_ed_transformer
from formal_tx.models import load, published
from formal_tx.models.registry import families
from formal_tx.models.tables import expected

N_V, L_MAX = 43, 31
PAD, END = 41, 2

T5 = {
    "d_model": 24,
    "d_kv": 7,
    "d_ff": 20,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 5,
    "vocab_size": N_V,
    "n_positions": L_MAX,
    "decoder_start_token_id": 0,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 16,
}
T5_1_1 = {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
FAIRSEQ = {
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "vocab_size": N_V,
    "max_position_embeddings": L_MAX,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 20,
    "decoder_ffn_dim": 20,
    "pad_token_id": PAD,
    "eos_token_id": END,
    "bos_token_id": 0,
}
BART = {**FAIRSEQ, "decoder_start_token_id": END, "forced_bos_token_id": None, "forced_eos_token_id": None}
MARIAN = {**FAIRSEQ, "decoder_start_token_id": PAD, "forced_eos_token_id": None}

# Name: the model's class, its configuration's, and the entries.
CASES = {
    "t5": ("T5ForConditionalGeneration", "T5Config", T5),
    "t5 v1.1": ("T5ForConditionalGeneration", "T5Config", T5_1_1),
    "t5, gated SiLU": ("T5ForConditionalGeneration", "T5Config", {**T5, "feed_forward_proj": "gated-silu"}),
    "mt5": ("MT5ForConditionalGeneration", "MT5Config", T5_1_1),
    "bart": ("BartForConditionalGeneration", "BartConfig", BART),
    "bart, scaled, ReLU": (
        "BartForConditionalGeneration",
        "BartConfig",
        {**BART, "scale_embedding": True, "activation_function": "relu"},
    ),
    "marian": ("MarianMTModel", "MarianConfig", {**MARIAN, "scale_embedding": True, "activation_function": "swish"}),
    "marian, not scaled": ("MarianMTModel", "MarianConfig", {**MARIAN, "scale_embedding": False}),
}


@pytest.fixture(scope="module")
def oracles():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tests.models import oracles

    return oracles


def _model(oracles, name):
    """A random model whose W_u is its own where there is one, and whose sines have all their digits."""
    kind, configuration, entries = CASES[name]
    model = oracles.make(getattr(oracles.transformers, configuration)(**entries), kind)
    torch = oracles.torch
    if entries is T5_1_1:  # transformers ties these when it makes a model, and not when it reads one
        W = torch.randn(model.shared.weight.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        model.lm_head.weight = torch.nn.Parameter((W / W.shape[1] ** 0.5).to(model.shared.weight.dtype))
    if kind == "MarianMTModel":
        from formal_tx.positional import sinusoid_halves

        table = torch.as_tensor(sinusoid_halves(L_MAX, entries["d_model"]))  # which it computes in float32
        with torch.no_grad():
            for half in (model.model.encoder, model.model.decoder):
                torch.testing.assert_close(half.embed_positions.weight.double(), table, atol=1e-6, rtol=0)
                half.embed_positions.weight.copy_(table)
    return model


def _sequences(oracles):
    """Contexts, as long as they may be, and what is decoded."""
    return oracles.ids(N_V - 2, 2, L_MAX, seed=1), oracles.ids(N_V - 2, 2, 23, seed=2)


def _logits(oracles, model, z, x):
    return oracles.outputs(model, input_ids=z, decoder_input_ids=x)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_transformers(oracles, name, dtype, tmp_path):
    with oracles.precision(dtype):
        theirs = _model(oracles, name)
        oracles.write(theirs, tmp_path)
        z, x = _sequences(oracles)
        oracles.assert_close(load(tmp_path, dtype).logits(z, x), _logits(oracles, theirs, z, x), dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_round_trip_gives_the_same_bits(oracles, name, tmp_path):
    oracles.write(_model(oracles, name), tmp_path / "theirs")
    z, x = _sequences(oracles)
    kind = CASES[name][0]
    oracles.round_trip(tmp_path / "theirs", tmp_path / "ours", lambda model: _logits(oracles, model, z, x), kind)


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_cached_decoding_is_uncached(oracles, name, tmp_path):
    with oracles.precision("float64"):
        oracles.write(_model(oracles, name), tmp_path)
        model = load(tmp_path, "float64")
        z, x = _sequences(oracles)
        logits, hp = model.logits(z, x), model.hyperparameters
        cache = ed_prefill(z, model.params, hp)
        for t in range(x.shape[1]):
            one, cache = ed_step(x[:, t], t, cache, model.params, hp)
            np.testing.assert_allclose(one, logits[:, t], atol=1e-9, rtol=0)


def _no_padding(logits, seen):
    return logits.at[..., PAD].set(-np.inf)


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_greedy_texts_are_those_of_transformers(oracles, name, tmp_path):
    """From the token that starts decoding to the one that ends it; Marian's padding starts texts, and is in none."""
    theirs = _model(oracles, name)
    oracles.write(theirs, tmp_path)
    model = load(tmp_path)
    filters, asked = (), {}
    if CASES[name][0] == "MarianMTModel":
        filters, asked = (Filter(_no_padding),), {"bad_words_ids": [[PAD]]}
    lengths = set()
    for seed in range(6):
        z = oracles.ids(N_V - 2, 19, seed=seed)
        with oracles.torch.no_grad():
            # Their cache has as many layers as T5's encoder, and is not needed.
            text = theirs.generate(
                oracles.torch.as_tensor(z[None]), do_sample=False, use_cache=False, max_new_tokens=24, **asked
            )
        ours = ed_inference(
            z,
            model.params,
            model.hyperparameters,
            temperature=1e-6,
            key=jax.random.key(0),
            l_max=24,
            filters=filters,
        )
        np.testing.assert_array_equal(ours, text[0].numpy())
        lengths.add(len(ours))
    assert max(lengths) > 2  # something is said


@pytest.mark.oracle
def test_a_model_without_a_head_of_its_own_is_read_too(oracles, tmp_path):
    """T5 v1.1 whose W_u happens to be W_e: its file has it once, and ours reads both from it."""
    theirs = oracles.make(oracles.transformers.T5Config(**T5_1_1), "T5ForConditionalGeneration")
    oracles.write(theirs, tmp_path)
    z, x = _sequences(oracles)
    oracles.assert_close(load(tmp_path).logits(z, x), _logits(oracles, theirs, z, x), "float32")


# Published sizes, in parameters; the Transformer's paper rounds them to 65 and 213 million.
SIZES = {
    "t5-small": 60_506_624,
    "t5-base": 222_903_552,
    "t5-large": 737_668_096,
    "t5-3b": 2_851_598_336,
    "t5-11b": 11_307_321_344,
    "t5-v1.1-small": 76_961_152,
    "t5-v1.1-base": 247_577_856,
    "t5-v1.1-large": 783_150_080,
    "t5-v1.1-xl": 2_849_757_184,
    "t5-v1.1-xxl": 11_135_332_352,
    "mt5-small": 300_176_768,
    "bart-base": 139_420_416,
    "bart-large": 406_291_456,
    "whisper-tiny": 37_184_640,
    "whisper-base": 71_825_920,
    "whisper-small": 240_582_912,
    "whisper-medium": 762_321_920,
    "whisper-large-v2": 1_541_384_960,
    "whisper-large-v3": 1_541_570_560,
    "whisper-large-v3-turbo": 806_958_080,
}


def _size(name):
    """How many parameters are trained: without Whisper's sinusoids, and with its convolutions."""
    hp = published(name)
    shapes = expected("encoder-decoder", hp)
    size = sum(math.prod(W.shape) for W in jax.tree.leaves(shapes))
    if name.startswith("whisper"):
        n_mels = families()["whisper"].published[name]["num_mel_bins"]
        size += 3 * hp.d_e * (n_mels + hp.d_e) + 2 * hp.d_e - math.prod(shapes.W_pz.shape)
    if name.startswith("bart"):  # two rows of each table that no position has, and a bias that is not trained
        size += 2 * 2 * hp.d_e - hp.N_V
    return size


@pytest.mark.parametrize("name", SIZES)
def test_published_models_have_their_published_size(name):
    assert _size(name) == SIZES[name]


@pytest.mark.parametrize(("name", "millions"), [("transformer-base", 63), ("transformer-big", 214)])
def test_the_transformer_of_2017_has_about_its_published_size(name, millions):
    assert round(_size(name) / 1e6) == pytest.approx(millions, abs=2)


def test_the_transformer_of_2017_is_algorithm_8_with_sines():
    varied = published("transformer-base").varied()
    assert sorted(varied) == ["embedding_scale", "table"]
    assert varied["embedding_scale"] == 512**0.5


@pytest.mark.parametrize(
    ("family", "change", "message"),
    [
        ("bart", {"decoder_ffn_dim": 21}, "encoder_ffn_dim is 3072 and decoder_ffn_dim 21, expected the same"),
        ("bart", {"normalize_before": True}, "normalize_before is True, and only False is supported"),
        ("marian", {"decoder_vocab_size": 7}, "decoder_vocab_size is 7, and only 58101 is supported"),
        ("marian", {"share_encoder_decoder_embeddings": False}, "share_encoder_decoder_embeddings is False"),
        ("t5", {"feed_forward_proj": "other-relu"}, "feed_forward_proj is 'other-relu', expected an activation or"),
        ("t5", {"feed_forward_proj": "gated-sine"}, "the activation 'sine' is not known"),
        ("whisper", {"tie_word_embeddings": False}, "tie_word_embeddings is False, and only True is supported"),
    ],
)
def test_what_is_not_supported_is_refused(family, change, message):
    found = families()[family]
    config = next(iter(found.published.values()))
    with pytest.raises(ValueError, match=message):
        found.hyperparameters({**config, **change})


def test_the_transformer_of_2017_has_no_files():
    family = families()["transformer-2017"]
    with pytest.raises(ValueError, match="published without files in this form"):
        family.rows(published("transformer-base"))


def test_a_context_with_a_vocabulary_and_positions_of_its_own():
    """It may hold ids and be as long as its own tables say; cached decoding is uncached."""
    hp = EDTransformerHyperparameters(
        l_max=7, l_max_z=40, L_enc=1, L_dec=2, H=2, d_e=6, d_mlp=5, N_V=11, N_V_z=23, tied_embeddings=True
    )
    params = init_ed_transformer(jax.random.key(0), hp)
    assert (params.W_e.shape, params.W_ez.shape, params.W_pz.shape) == ((11, 6), (23, 6), (40, 6))
    z, x = np.arange(40) % 23, np.array([9, 3, 10, 0])
    logits = ed_transformer_logits(z, x, params, hp)
    cache = ed_prefill(z, params, hp)
    for t, token in enumerate(x):
        one, cache = ed_step(token, t, cache, params, hp)
        np.testing.assert_allclose(one, logits[t], atol=1e-5)
    text = ed_inference(z, params, hp, key=jax.random.key(1))
    assert ((text >= 0) & (text < 11)).all()
    with pytest.raises(ValueError, match=r"z\[39\] is 23, outside \[0, N_V\) = \[0, 23\)"):
        ed_transformer_logits(np.r_[z[:-1], 23], x, params, hp)
    with pytest.raises(ValueError, match="z has 41 tokens, more than l_max = 40"):
        ed_transformer_logits(np.zeros(41, int), x, params, hp)
    with pytest.raises(ValueError, match=r"x\[0\] is 11, outside \[0, N_V\) = \[0, 11\)"):
        ed_transformer_logits(z, np.array([11]), params, hp)


def test_a_text_may_end_with_the_token_that_it_begins_with():
    """As BART's do: the first is not the end."""
    hp = EDTransformerHyperparameters(
        l_max=9, L_enc=1, L_dec=1, H=1, d_e=4, d_mlp=5, N_V=5, biases=Biases(u=True), special_tokens=(0, 2, 2)
    )
    params = init_ed_transformer(jax.random.key(0), hp)
    sure = params.replace(b_u=np.float32([0, 0, 99, 0, 0]))
    np.testing.assert_array_equal(ed_inference([1, 3], sure, hp, key=jax.random.key(1)), [2, 2])
    never = params.replace(b_u=np.float32([0, 0, -99, 0, 0]))
    assert ed_inference([1, 3], never, hp, key=jax.random.key(1)).shape == (10,)
