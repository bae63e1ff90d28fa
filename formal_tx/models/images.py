"""Images from files, and as a published model wants them: resized, cropped, normalised."""

import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

CONFIG = "preprocessor_config.json"
_BILINEAR, _BICUBIC = 2, 3  # Pillow's numbers, which configurations have
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_SHORTEST = {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "resample": _BICUBIC}
_CROPPED = {"size": {"height": 256, "width": 256}, "crop_size": {"height": 224, "width": 224}, "resample": _BICUBIC}
DEFAULTS: dict[str, Mapping[str, Any]] = {
    "vit": {"size": {"height": 224, "width": 224}, "resample": _BILINEAR},
    "deit": {**_CROPPED, **_IMAGENET},
    "dinov2": {**_SHORTEST, **_IMAGENET},
    "dinov2_with_registers": {**_SHORTEST, **_IMAGENET},
}
"""What models of each family were published with, for directories without a preprocessor_config.json."""

_PIXELS = 2**26  # more than that is no picture for a Vision Transformer, and gigabytes of numbers


def read_image(path: str | PathLike[str], background: float = 1.0) -> np.ndarray:
    """The first picture in a file, as (H, W, 3) float32 in [0, 1].

    Grey becomes three equal channels; what is transparent shows a grey `background`, white unless given; a photograph
    is turned as its camera noted.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is no picture that Pillow knows, is broken or truncated, or has more than 2²⁶ pixels.
    """
    from PIL import Image, ImageOps

    content = Path(path).read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Any = Image.open(io.BytesIO(content))
            if image.width * image.height <= _PIXELS:
                image.load()
                image = ImageOps.exif_transpose(image)
    except Exception as error:  # decoders raise whatever they meet
        raise ValueError(f"{path} is no picture, or a broken one: {error}") from None
    if image.width * image.height > _PIXELS:
        raise ValueError(f"{path} has {image.width} × {image.height} pixels, more than {_PIXELS}")
    if image.mode.startswith(("I", "F")):
        return _wide(path, np.asarray(image))
    if "A" in image.mode or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"), np.float32) / 255
        return rgba[..., :3] * rgba[..., 3:] + np.float32(background) * (1 - rgba[..., 3:])
    return np.asarray(image.convert("RGB"), np.float32) / 255


def _wide(path: Any, grey: np.ndarray) -> np.ndarray:
    """Grey of 16 bits. What has more, or a point, does not say what is white."""
    if not (grey >= 0).all() or grey.max(initial=0) > 65535 or grey.dtype.kind == "f":
        raise ValueError(f"{path} has grey of type {grey.dtype}, expected 8 or 16 bits: what is white is not said")
    return np.repeat((grey.astype(np.float32) / 65535)[..., None], 3, axis=-1)


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes what a model reads.

    Attributes:
      size: (H, W) to which it is resized; or the length of its shorter side; None to leave it.
      crop: (H, W) of the part in its middle that is kept; None for all of it.
      resample: how it is resized, a number of Pillow's (2: bilinear, 3: bicubic).
      mean, std: of each channel; (pixel - mean) / std is read.
    """

    size: tuple[int, int] | int | None
    crop: tuple[int, int] | None
    resample: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Preprocessing":
        """What a preprocessor_config.json says.

        Raises:
          ValueError: an entry is not as expected.
        """
        try:
            size = _size(config["size"]) if config.get("do_resize", True) else None
            cropped = config.get("do_center_crop", "crop_size" in config)
            crop: Any = _size(config["crop_size"]) if cropped else None
            crop = (crop, crop) if isinstance(crop, int) else crop
            normalised = config.get("do_normalize", True)
            mean = tuple(config.get("image_mean", (0.5,) * 3)) if normalised else (0.0,) * 3
            std = tuple(config.get("image_std", (0.5,) * 3)) if normalised else (1.0,) * 3
            found = cls(size, crop, int(config.get("resample", _BILINEAR)), mean, std)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the preprocessing is not as expected: {type(error).__name__}: {error}") from None
        factor = config.get("rescale_factor", 1 / 255)
        if abs(factor * 255 - 1) > 1e-6 or len(mean) != 3 or len(std) != 3 or not all(s > 0 for s in std):
            raise ValueError(f"rescale_factor is {factor}, image_mean {mean} and image_std {std}: not as expected")
        return found

    def __call__(self, I: np.ndarray) -> np.ndarray:
        """The image (H, W, 3) of `read_image` as a model reads it, float32.

        Raises:
          ValueError: it is no such image, or too small or too long for being cropped.
        """
        if I.ndim != 3 or I.shape[-1] != 3 or 0 in I.shape:
            raise ValueError(f"the image has shape {I.shape}, expected (H, W, 3)")
        if self.size is not None:
            I = self._resized(I, self.size)
        if self.crop is not None:
            above, left = (I.shape[0] - self.crop[0]) // 2, (I.shape[1] - self.crop[1]) // 2
            if above < 0 or left < 0:
                raise ValueError(f"the image has {I.shape[0]} × {I.shape[1]} pixels, expected at least {self.crop}")
            I = I[above : above + self.crop[0], left : left + self.crop[1]]
        return ((I - np.array(self.mean)) / np.array(self.std)).astype(np.float32)

    def _resized(self, I: np.ndarray, size: tuple[int, int] | int) -> np.ndarray:
        from PIL import Image

        H, W = I.shape[:2]
        if isinstance(size, int):
            longer = int(size * max(H, W) / min(H, W))
            if size * longer > _PIXELS:
                raise ValueError(f"the image has {H} × {W} pixels: too long for a shorter side of {size}")
            size = (size, longer) if H <= W else (longer, size)
        # In 8 bits, as those were resized with which models were trained.
        image = Image.fromarray(np.rint(np.clip(I, 0, 1) * 255).astype(np.uint8))
        resized = image.resize((size[1], size[0]), Image.Resampling(self.resample))
        return np.asarray(resized, np.float32) / 255


def _size(size: Any) -> tuple[int, int] | int:
    """(H, W), or the length of the shorter side, in any of the forms of a configuration."""
    if isinstance(size, Mapping):
        size = size["shortest_edge"] if "shortest_edge" in size else (size["height"], size["width"])
    found = tuple(map(int, size)) if isinstance(size, list | tuple) else int(size)
    if not (found > 0 if isinstance(found, int) else len(found) == 2 and min(found) > 0):
        raise ValueError(f"size is {size!r}")
    return found  # type: ignore[return-value]


def preprocessing_of(directory: str | PathLike[str], family: str) -> Preprocessing:
    """How images become what the model in a directory reads: by its preprocessor_config.json, or as in its family.

    Raises:
      ValueError: the file is not as expected, or there is none and the family has no default.
    """
    file = Path(directory) / CONFIG
    if not file.is_file():
        if family not in DEFAULTS:
            raise ValueError(f"{directory} has no {CONFIG}, and the family {family!r} no default")
        return Preprocessing.of(DEFAULTS[family])
    try:
        config = json.loads(file.read_text("utf-8"))
        return Preprocessing.of(config)
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{file}: {error}") from None
