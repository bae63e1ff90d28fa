"""What we write: models that were made here, for transformers to read."""

import jax.numpy as jnp
import numpy as np
import pytest

from formal_tx import DTransformerHyperparameters
from formal_tx.activations import silu
from formal_tx.hyperparameters import NO_BIASES
from formal_tx.models import Model, load, save
from formal_tx.normalization import rms_norm
from formal_tx.positional import Llama3Scaling, Rotary
from tests.models.tiny import GPT2, IDS, make, random_params, same

PLAIN = {"l_max": 8, "L": 2, "H": 2, "d_e": 8, "d_mlp": 5, "N_V": 11}
OURS = {
    "printed": DTransformerHyperparameters(**PLAIN),
    "tied, other special tokens": DTransformerHyperparameters(
        **PLAIN, tied_embeddings=True, special_tokens=(10, 9, 8), epsilon=1e-6
    ),
    "llama": DTransformerHyperparameters(
        **PLAIN,
        d_attn=6,
        d_mid=6,
        H_kv=1,
        norm=rms_norm,
        activation=silu,
        gated=True,
        biases=NO_BIASES,
        table=None,
        rotate=Rotary(base=300.0),
    ),
}


@pytest.mark.parametrize("name", OURS)
def test_a_model_made_here_gets_the_configuration_of_a_family(tmp_path, name):
    hp = OURS[name]
    model = Model("decoder", hp, random_params(hp))
    save(tmp_path, model)
    again = load(tmp_path)
    assert again.family == ("llama" if name == "llama" else "gpt2")
    assert same(again.params, model.params)
    np.testing.assert_array_equal(again.logits(IDS), model.logits(IDS))


@pytest.mark.oracle
@pytest.mark.parametrize("name", OURS)
def test_transformers_reads_a_model_made_here(tmp_path, name):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tests.models import oracles

    hp = OURS[name]
    model = Model("decoder", hp, random_params(hp))
    save(tmp_path, model)
    oracles.assert_close(model.logits(IDS[None]), oracles.outputs(oracles.read(tmp_path), IDS[None]), "float32")


def test_what_no_family_is_cannot_be_written(tmp_path):
    scaled = Rotary(scaling=Llama3Scaling(8.0, 4))
    for hp in (
        DTransformerHyperparameters(**PLAIN, d_attn=3),
        DTransformerHyperparameters(**PLAIN, activation=jnp.cos),
        DTransformerHyperparameters(**{**PLAIN, "norm": rms_norm, "gated": True, "table": None, "rotate": scaled}),
    ):
        model = Model("decoder", hp, random_params(hp))
        with pytest.raises(ValueError, match=r"no family of Hugging Face models that can be written \(gpt2, llama"):
            save(tmp_path / "x", model)
    assert not (tmp_path / "x").exists()


def test_parameters_of_other_hyperparameters_are_not_written(tmp_path):
    model = load(make(tmp_path))
    layers = model.params.layers.replace(W_mlp1=jnp.zeros((2, 3, 6)))
    for changed, field in (({"layers": layers}, "layers.W_mlp1"), ({"W_u": jnp.zeros((11, 6))}, "W_u")):
        wrong = Model("decoder", model.hyperparameters, model.params.replace(**changed), "gpt2", config=GPT2)
        with pytest.raises(ValueError, match=rf"params.{field} is not as the hyperparameters"):
            save(tmp_path / "x", wrong)
    with pytest.raises(ValueError, match="format is 'gguf', expected 'huggingface'"):
        save(tmp_path / "x", model, format="gguf")
    assert not (tmp_path / "x").exists()
