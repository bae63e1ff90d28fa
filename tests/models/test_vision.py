"""ViT, DeiT and DINOv2: against transformers, to disk and back."""

import json

import jax
import numpy as np
import pytest

from formal_tx.models import load
from formal_tx.models.seeing import see
from formal_tx.models.vision import published_vision, vision_model
from formal_tx.vision import init_vision_transformer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.models import oracles  # noqa: E402  # it needs both

pytestmark = pytest.mark.oracle

SIZES = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "patch_size": 4, "num_labels": 5}


def config(family, **changes):
    of_family = {"image_size": 12, "layer_norm_eps": 1e-6}
    if family in ("ViT", "DeiT"):
        of_family |= {"intermediate_size": 20}
    return getattr(transformers, f"{family}Config")(**SIZES | of_family | changes)


MODELS = {
    "vit": ("ViT", "ViTForImageClassification", {}),
    "vit of a rectangle": ("ViT", "ViTForImageClassification", {"image_size": (8, 12), "qkv_bias": False}),
    "deit": ("DeiT", "DeiTForImageClassification", {}),
    "deit with teacher": ("DeiT", "DeiTForImageClassificationWithTeacher", {}),
    "dinov2": ("Dinov2", "Dinov2ForImageClassification", {"mlp_ratio": 3}),
    "dinov2 gated": ("Dinov2", "Dinov2ForImageClassification", {"use_swiglu_ffn": True}),
    "registers": ("Dinov2WithRegisters", "Dinov2WithRegistersForImageClassification", {"num_register_tokens": 3}),
}


def images(H, W, dtype, count=2):
    """Images (count, H, W, 3), and as transformers has them."""
    I = np.random.default_rng(0).normal(size=(count, H, W, 3)).astype(dtype)
    return I, I.transpose(0, 3, 1, 2)


def pair(name, dtype, directory):
    """Their model and ours."""
    family, kind, changes = MODELS[name]
    theirs = oracles.make(config(family, **changes), kind)
    return theirs, vision_model(load(oracles.write(theirs, directory), dtype))


@pytest.mark.parametrize("dtype", oracles.DTYPES)
@pytest.mark.parametrize("name", MODELS)
def test_logits(name, dtype, tmp_path):
    with oracles.precision(dtype):
        theirs, ours = pair(name, dtype, tmp_path)
        I, pixel_values = images(8 if "rectangle" in name else 12, 12, dtype)
        oracles.assert_close(ours.logits(I), oracles.outputs(theirs, pixel_values), dtype)


@pytest.mark.parametrize("dtype", oracles.DTYPES)
@pytest.mark.parametrize("size", [(16, 16), (8, 20), (8, 8)])
@pytest.mark.parametrize("name", ["vit", "dinov2", "registers"])
def test_positions_of_another_grid(name, size, dtype, tmp_path):
    with oracles.precision(dtype):
        theirs, ours = pair(name, dtype, tmp_path)
        I, pixel_values = images(*size, dtype)
        arguments = {"interpolate_pos_encoding": True} if name == "vit" else {}
        with torch.no_grad():
            expected = theirs(torch.as_tensor(pixel_values), **arguments).logits.numpy()
        oracles.assert_close(ours.logits(I), expected, dtype)


@pytest.mark.parametrize("name", ["vit", "registers"])
def test_attention(name, tmp_path):
    with oracles.precision("float64"):
        theirs, ours = pair(name, "float64", tmp_path)
        I, pixel_values = images(12, 12, "float64")
        with torch.no_grad():
            expected = theirs(torch.as_tensor(pixel_values), output_attentions=True).attentions
        found = ours.attention(I)
        assert found.shape == (2, 2, 3, ours.first + 9, ours.first + 9)
        oracles.assert_close(found, np.stack([A.numpy() for A in expected]), "float64")
        assert ours.rollout(I[0]).shape == (3, 3)


@pytest.mark.parametrize("name", MODELS)
def test_round_trip(name, tmp_path):
    family, kind, changes = MODELS[name]
    oracles.write(oracles.make(config(family, **changes), kind), tmp_path / "theirs")
    _, pixel_values = images(8 if "rectangle" in name else 12, 12, "float32")
    oracles.round_trip(tmp_path / "theirs", tmp_path / "ours", lambda model: oracles.outputs(model, pixel_values), kind)


def test_models_without_a_head(tmp_path):
    theirs = oracles.make(config("ViT"), "ViTModel")
    ours = vision_model(load(oracles.write(theirs, tmp_path)))
    I, pixel_values = images(12, 12, "float32")
    expected = oracles.outputs(theirs, pixel_values, of="last_hidden_state")
    oracles.assert_close(ours.features(I), expected, "float32")
    with pytest.raises(ValueError, match="has no head: it gives features"):
        ours.logits(I)


def test_labels(tmp_path):
    theirs = oracles.make(config("ViT", num_labels=2, id2label={0: "cat", 1: "dog"}), "ViTForImageClassification")
    assert vision_model(load(oracles.write(theirs, tmp_path))).labels == ("cat", "dog")


def test_what_is_no_vision_transformer(tmp_path):
    gpt2 = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=6, n_positions=8, vocab_size=11)
    with pytest.raises(ValueError, match="of the family 'gpt2', expected one of vit, deit"):
        vision_model(load(oracles.write(oracles.make(gpt2), tmp_path)))


@pytest.mark.parametrize(
    ("name", "parameters", "classes"),
    [  # 2010.11929 and timm count these
        ("vit-tiny-patch16-224", 5_717_416, 1000),
        ("vit-small-patch16-224", 22_050_664, 1000),
        ("vit-base-patch16-224", 86_567_656, 1000),
        ("vit-base-patch32-224", 88_224_232, 1000),
        ("vit-large-patch16-224", 304_326_632, 1000),
        ("vit-huge-patch14-224", 632_045_800, 1000),
        ("dinov2-small", 22_056_576 - 384, 0),  # and the token of masks
        ("dinov2-with-registers-small", 22_058_112 - 384, 0),
    ],
)
def test_published_sizes(name, parameters, classes):
    hp = published_vision(name)
    shapes = jax.eval_shape(lambda: init_vision_transformer(jax.random.key(0), hp))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) + classes * (hp.encoder.d_e + 1) * (classes > 0) == (
        parameters
    )


def test_what_it_sees_in_a_picture(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    directory = oracles.write(oracles.make(config("ViT"), "ViTForImageClassification"), tmp_path / "model")
    settings = {"size": {"height": 12, "width": 12}, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    (directory / "preprocessor_config.json").write_text(json.dumps(settings))
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    classes, map_ = see(directory, load(directory), tmp_path / "image.png", top=2)
    I = (pixels / 255 - settings["image_mean"]) / settings["image_std"]
    logits = vision_model(load(directory)).logits(I.astype(np.float32))
    p = np.asarray(jax.nn.softmax(logits))
    assert [name for name, _ in classes] == [f"LABEL_{i}" for i in np.argsort(-p)[:2]]
    np.testing.assert_allclose([share for _, share in classes], np.sort(p)[:-3:-1], rtol=1e-4)
    assert map_.shape == (3, 3)
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"broken\.png is no picture"):
        see(directory, load(directory), tmp_path / "broken.png")
