"""T5 (Raffel et al., 2019), v1.0, v1.1 and mT5: Algorithm 8 with RMSNorm before sub-layers and learned scores.

There are no biases, and scores are not divided by √d_attn: the initialisation made up for it. v1.0 has ReLU and tied
embeddings, with logits divided by √d_e instead; v1.1 and mT5 have a gated GELU and a W_u of their own.
"""

from typing import Any

from ...activations import gelu_tanh, relu
from ...hyperparameters import NO_BIASES, EDTransformerHyperparameters
from ...normalization import rms_norm
from ...placement import PRE
from ...positional import RelativeBuckets
from ..config import activation
from ..family import Config, Family
from ..forms import Heads
from ..tables import Row, row
from .encoder_decoder_names import copies, special_tokens


def hyperparameters(config: Config) -> EDTransformerHyperparameters:
    """The hyperparameters of a config.json. Distances have no limit; l_max is `n_positions`, or 512."""
    gate, _, name = config.get("feed_forward_proj", "relu").rpartition("-")
    if gate not in ("", "gated"):
        raise ValueError(f"feed_forward_proj is {config['feed_forward_proj']!r}, expected an activation or gated-…")
    gated_gelu = config.get("feed_forward_proj") == "gated-gelu"  # which always meant the one by tanh
    tied = _is_tied(config)
    buckets: dict[str, Any] = {
        "rows": config.get("relative_attention_num_buckets", 32),
        "furthest": config.get("relative_attention_max_distance", 128),
    }
    return EDTransformerHyperparameters(
        l_max=config.get("n_positions", 512),
        L_enc=config["num_layers"],
        L_dec=config.get("num_decoder_layers") or config["num_layers"],
        H=config["num_heads"],
        d_e=config["d_model"],
        d_attn=config["d_kv"],
        d_mid=config["d_kv"],
        d_mlp=config["d_ff"],
        N_V=config["vocab_size"],
        epsilon=config.get("layer_norm_epsilon", 1e-6),
        norm=rms_norm,
        placement=PRE,
        final_norm=True,
        activation=gelu_tanh if gated_gelu else activation(name, relu),
        gated=gate == "gated",
        biases=NO_BIASES,
        table=None,
        score=RelativeBuckets(**buckets),
        decoder_score=RelativeBuckets(**buckets, bidirectional=False),
        scale=1.0,
        tied_embeddings=tied,
        logit_scale=config["d_model"] ** -0.5 if tied else 1.0,
        special_tokens=special_tokens(config, start=0),
    )


def _is_tied(config: Config) -> bool:
    """Whether W_u is W_e and logits are scaled, which go together.

    Newer configurations say `scale_decoder_outputs`, and then that embeddings are tied where they are not. mT5 never
    scales: where a file has no W_u, it is W_e all the same.
    """
    return config.get("model_type") != "mt5" and config.get(
        "scale_decoder_outputs", config.get("tie_word_embeddings", True)
    )


def rows(hp: EDTransformerHyperparameters) -> list[Row]:
    """The table of names."""
    first = "block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    return [
        row("shared.weight", "W_e", others=("encoder.embed_tokens.weight",)),
        row(f"encoder.{first}", "W_rz"),
        row(f"decoder.{first}", "W_rx"),
        *_attention("encoder.block.{i}.layer.0", "SelfAttention", "encoder.attention", "encoder.gamma_1"),
        *_mlp("encoder.block.{i}.layer.1", "encoder", "W_mlp1", "W_mlp2", "gamma_2", hp.gated),
        row("encoder.final_layer_norm.weight", "gamma_z"),
        *_attention("decoder.block.{i}.layer.0", "SelfAttention", "decoder.self_attention", "decoder.gamma_3"),
        *_attention("decoder.block.{i}.layer.1", "EncDecAttention", "decoder.cross_attention", "decoder.gamma_4"),
        *_mlp("decoder.block.{i}.layer.2", "decoder", "W_mlp3", "W_mlp4", "gamma_5", hp.gated),
        row("decoder.final_layer_norm.weight", "gamma_x"),
        row("lm_head.weight", "W_u", others=("shared.weight",)),  # untied, and equal all the same
    ]


def _attention(layer: str, name: str, fields: str, gamma: str) -> list[Row]:
    return [
        row(f"{layer}.layer_norm.weight", gamma),
        *(row(f"{layer}.{name}.{of}.weight", f"{fields}.heads.W_{of}", Heads(of)) for of in "qkv"),
        row(f"{layer}.{name}.o.weight", f"{fields}.W_o"),
    ]


def _mlp(layer: str, half: str, W_in: str, W_out: str, gamma: str, gated: bool) -> list[Row]:
    mlp = f"{layer}.DenseReluDense"
    return [
        row(f"{layer}.layer_norm.weight", f"{half}.{gamma}"),
        row(f"{mlp}.wi_0.weight", f"{half}.W_gate"),
        row(f"{mlp}.wi_1.weight" if gated else f"{mlp}.wi.weight", f"{half}.{W_in}"),
        row(f"{mlp}.wo.weight", f"{half}.{W_out}"),
    ]


def _published(d_e: int, d_kv: int, d_mlp: int, H: int, L: int, **others: Any) -> dict[str, Any]:
    sizes = {"d_model": d_e, "d_kv": d_kv, "d_ff": d_mlp, "num_heads": H, "num_layers": L}
    return sizes | {"vocab_size": 32128, "pad_token_id": 0, "eos_token_id": 1} | others


_V1_1 = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}

T5 = Family(
    name="t5",
    model_types=("t5", "mt5"),
    architecture="encoder-decoder",
    hyperparameters=hyperparameters,
    rows=rows,
    copies=copies("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"),
    ignored=(r"^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$",),
    published={
        "t5-small": _published(512, 64, 2048, 8, 6),
        "t5-base": _published(768, 64, 3072, 12, 12),
        "t5-large": _published(1024, 64, 4096, 16, 24),
        "t5-3b": _published(1024, 128, 16384, 32, 24),
        "t5-11b": _published(1024, 128, 65536, 128, 24),
        "t5-v1.1-small": _published(512, 64, 1024, 6, 8, **_V1_1),
        "t5-v1.1-base": _published(768, 64, 2048, 12, 12, **_V1_1),
        "t5-v1.1-large": _published(1024, 64, 2816, 16, 24, **_V1_1),
        "t5-v1.1-xl": _published(2048, 64, 5120, 32, 24, **_V1_1),
        "t5-v1.1-xxl": _published(4096, 64, 10240, 64, 24, **_V1_1),
        "mt5-small": _published(512, 64, 1024, 6, 8, **_V1_1) | {"vocab_size": 250112},
    },
)
