"""Images: files of every kind, what is refused, and the preprocessing of transformers."""

import json

import numpy as np
import pytest
from PIL import Image

from formal_tx.models.images import DEFAULTS, Preprocessing, preprocessing_of, read_image
from formal_tx.models.seeing import drawn

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(tmp_path, array, name="image.png", **arguments):
    Image.fromarray(array).save(tmp_path / name, **arguments)
    return tmp_path / name


def test_colours_are_read_as_they_are(tmp_path):
    for name in ("image.png", "image.bmp", "image.tiff"):
        found = read_image(saved(tmp_path, RGB, name))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, RGB.astype(np.float32) / 255)


def test_grey_has_three_equal_channels(tmp_path):
    found = read_image(saved(tmp_path, RGB[..., 0]))
    np.testing.assert_array_equal(found, np.repeat(RGB[..., :1].astype(np.float32) / 255, 3, axis=-1))
    deep = RGB[..., 0].astype(np.uint16) * 257
    np.testing.assert_allclose(read_image(saved(tmp_path, deep)), found, atol=1e-6)
    bits = np.asarray(Image.fromarray(RGB[..., 0] > 100))
    assert set(np.unique(read_image(saved(tmp_path, bits)))) == {0, 1}


def test_what_is_transparent_shows_the_background(tmp_path):
    alpha = np.full((5, 7, 1), 255, np.uint8)
    alpha[0] = 0
    path = saved(tmp_path, np.concatenate([RGB, alpha], axis=-1))
    found, on_black = read_image(path), read_image(path, background=0)
    np.testing.assert_array_equal(found[1:], RGB[1:].astype(np.float32) / 255)
    assert (found[0] == 1).all()
    assert (on_black[0] == 0).all()


def test_palettes_and_one_pixel(tmp_path):
    Image.fromarray(RGB).quantize(4).save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png").shape == (5, 7, 3)
    assert read_image(saved(tmp_path, RGB[:1, :1])).shape == (1, 1, 3)


def test_a_photograph_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    np.testing.assert_array_equal(
        read_image(saved(tmp_path, RGB, exif=exif)), np.rot90(RGB, -1).astype(np.float32) / 255
    )


def test_what_is_no_picture(tmp_path):
    path = tmp_path / "image.png"
    for content in (b"", b"no picture", b"\x89PNG\r\n\x1a\n"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"image\.png is no picture, or a broken one"):
            read_image(path)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "absent.png")
    big = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = saved(tmp_path, big).read_bytes()
    for length in range(0, len(content) - 20, 97):  # the last bytes are no pixels
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="broken"):
            read_image(path)
    for width, match in ((2**13 + 1, "has 8193 × 8192 pixels, more than 67108864"), (2**14, "exceeds limit")):
        Image.new("1", (width, 2**13)).save(path)
        with pytest.raises(ValueError, match=match):
            read_image(path)
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(ValueError, match="grey of type float32, expected 8 or 16 bits"):
        read_image(tmp_path / "float.tiff")


def test_sizes():
    I = RGB.astype(np.float32) / 255
    config = {"size": {"height": 8, "width": 6}}
    assert Preprocessing.of(config)(I).shape == (8, 6, 3)
    assert Preprocessing.of({"size": 10})(I).shape == (10, 14, 3)
    assert Preprocessing.of({"size": {"shortest_edge": 10}, "crop_size": 4})(I).shape == (4, 4, 3)
    np.testing.assert_allclose(Preprocessing.of({"do_resize": False})(I), 2 * I - 1, atol=1e-6)
    plain = {"do_resize": False, "do_normalize": False}
    np.testing.assert_array_equal(Preprocessing.of(plain)(I), I)


def test_images_that_do_not_fit():
    crop = Preprocessing.of({"do_resize": False, "crop_size": 6})
    with pytest.raises(ValueError, match=r"has 5 × 7 pixels, expected at least \(6, 6\)"):
        crop(RGB / 255)
    with pytest.raises(ValueError, match=r"has shape \(5, 7\), expected \(H, W, 3\)"):
        crop(RGB[..., 0])
    with pytest.raises(ValueError, match="has 1 × 9000 pixels: too long for a shorter side of 256"):
        Preprocessing.of(DEFAULTS["dinov2"])(np.zeros((1, 9000, 3)))


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({}, "KeyError: 'size'"),
        ({"size": {"longest": 3}}, "KeyError: 'height'"),
        ({"size": 0}, "size is 0"),
        ({"size": 8, "image_std": [0, 1, 1]}, r"image_std \(0, 1, 1\)"),
        ({"size": 8, "rescale_factor": 1}, "rescale_factor is 1"),
    ],
)
def test_configurations_that_are_refused(config, match, tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=match) as caught:
        preprocessing_of(tmp_path, "vit")
    assert "preprocessor_config.json" in str(caught.value)


def test_directories_without_a_configuration(tmp_path):
    assert preprocessing_of(tmp_path, "vit").size == (224, 224)
    with pytest.raises(ValueError, match="the family 'gpt2' no default"):
        preprocessing_of(tmp_path, "gpt2")


def test_a_rollout_is_drawn():
    assert drawn(np.array([[0, 0.5], [0.3, 1]])) == "  ▒▒\n░░██"


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("family", "processor"), [("vit", "ViTImageProcessorPil"), ("deit", "DeiTImageProcessorPil"), ("dinov2", None)]
)
def test_as_transformers_prepares_it(family, processor):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    theirs = getattr(transformers, processor or "BitImageProcessorPil")(**DEFAULTS[family])
    I = np.random.default_rng(0).integers(0, 256, (301, 277, 3), dtype=np.uint8)
    expected = theirs(Image.fromarray(I), return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
    found = Preprocessing.of(DEFAULTS[family])(I.astype(np.float32) / 255)
    assert found.shape == expected.shape == (224, 224, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)
