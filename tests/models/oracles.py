"""Random models of Hugging Face transformers, and what ours have to have in common with them: logits, and tensors.

    with oracles.precision(dtype):
        theirs = oracles.make(LlamaConfig(...))
        oracles.write(theirs, directory)                    # as `save_pretrained` writes it
        ours = load(directory, dtype)
        oracles.compare_logits(ours, theirs, ids, dtype)
    oracles.round_trip(directory, other)                    # what we save has the same tensors, to the bit

Widths should be tiny and all different, so that nothing fits by luck.
"""

import contextlib
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from formal_tx.models import load, save

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
logging.getLogger("transformers").setLevel(logging.ERROR)

DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}  # absolute; the bars of the issue


@contextlib.contextmanager
def precision(dtype: str) -> Iterator[None]:
    """64-bit types in JAX for "float64", and float64 wherever transformers' code says float32.

    It computes angles of rotations, slopes, and some norms and softmaxes in float32, whatever the type of the model.
    Both editions are then exact to 1e-16, and a difference is a mistake. Make and run models inside.
    """
    if dtype == "float32":
        yield
        return
    kept = torch.float32, torch.float, torch.Tensor.float, torch.get_default_dtype()
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double
    torch.set_default_dtype(torch.float64)
    try:
        with jax.enable_x64(True):
            yield
    finally:
        torch.float32, torch.float, torch.Tensor.float = kept[:3]
        torch.set_default_dtype(kept[3])


def make(config: Any, kind: str = "AutoModelForCausalLM", seed: int = 0) -> Any:
    """A random model of a configuration, none of whose weights is trivially 0 or 1, in torch's default type.

    `kind` is a class of transformers: one of the automatic ones, or a model's own.
    """
    maker = getattr(transformers, kind)
    if kind.startswith("Auto"):
        model = maker.from_config(config, attn_implementation="eager", dtype=torch.get_default_dtype())
    else:
        config._attn_implementation = "eager"
        model = maker(config)
    return randomise(model.eval(), seed)


def randomise(model: Any, seed: int = 0) -> Any:
    """Matrices of N(0, 1/d_in), and 0.3 N(0, 1) added to biases and norms, which are 0 and 1 at first. In place.

    What is not trained, such as a table of sinusoids, stays; buffers that are saved count as biases.
    """
    generator = torch.Generator().manual_seed(seed)
    saved = model.state_dict(keep_vars=True).values()
    kept = {W.data_ptr(): W for W in saved if W.is_floating_point()}  # those that are tied once
    trained = {W.data_ptr() for W in model.parameters() if W.requires_grad}
    frozen = {W.data_ptr() for W in model.parameters()} - trained
    with torch.no_grad():
        for address, W in kept.items():
            if address in frozen:
                continue
            noise = torch.randn(W.shape, generator=generator, dtype=torch.float64)
            if sum(n > 1 for n in W.shape) > 1:
                W.copy_(noise / W.shape[-1] ** 0.5)
            else:
                W.add_((0.3 * noise).to(W.dtype))
    return model


def ids(N_V: int, *shape: int, seed: int = 1) -> np.ndarray:
    """Random token ids, the last of the vocabulary among them."""
    x = np.random.default_rng(seed).integers(N_V, size=shape)
    x.flat[0] = N_V - 1
    return x


def outputs(theirs: Any, *x: np.ndarray, of: str = "logits", **arguments: Any) -> np.ndarray:
    """What a model of transformers gives for token ids; `of` names the output."""
    with torch.no_grad():
        given = {name: torch.as_tensor(value) for name, value in arguments.items()}
        return getattr(theirs(*map(torch.as_tensor, x), **given), of).numpy()


def assert_close(actual: Any, expected: np.ndarray, dtype: str) -> float:
    """Within the bar, and of the type that was asked for. Returns the largest difference."""
    actual = np.asarray(actual)
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype == dtype
    assert np.abs(expected).max() > 0.1  # there is something to agree on
    difference = np.abs(actual - expected).max()
    assert difference <= TOLERANCE[dtype], f"largest difference {difference:.2e}"
    return float(difference)


def compare_logits(ours: Any, theirs: Any, x: np.ndarray, dtype: str) -> float:
    """The logits of both for token ids. Within `precision(dtype)`. Returns the largest difference."""
    return assert_close(ours.logits(x), outputs(theirs, x), dtype)


def write(theirs: Any, directory: Path) -> Path:
    """Writes a model of transformers as its `save_pretrained` does: config.json and model.safetensors."""
    with contextlib.redirect_stderr(io.StringIO()):  # a bar of its progress
        theirs.save_pretrained(directory)
    return directory


def read(directory: Path, kind: str = "AutoModelForCausalLM") -> Any:
    """What transformers reads from a directory; fails if it does not find a weight, or finds one too many."""
    with contextlib.redirect_stderr(io.StringIO()):
        model, report = getattr(transformers, kind).from_pretrained(
            directory, attn_implementation="eager", output_loading_info=True, dtype="auto"
        )
    problems = {what: names for what, names in report.items() if names}
    assert not problems, problems
    return model.eval()


def tensors(directory: Path) -> dict[str, np.ndarray]:
    """The tensors of the safetensors file, or of all its parts, in a directory."""
    found: dict[str, np.ndarray] = {}
    for file in sorted(directory.glob("*.safetensors")):
        found |= load_file(file)
    return found


def config(directory: Path) -> dict[str, Any]:
    """The config.json of a directory."""
    return json.loads((directory / "config.json").read_text())


def assert_same_tensors(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """The same names, shapes, types and bits."""
    assert sorted(found) == sorted(expected)
    for name, tensor in expected.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape), name
        assert found[name].tobytes() == tensor.tobytes(), name


def round_trip(
    directory: Path,
    other: Path,
    run: Callable[[Any], np.ndarray] | None = None,
    kind: str = "AutoModelForCausalLM",
    dtype: str | None = None,
) -> None:
    """What we load and save has the same tensors, to the bit, and transformers reads it.

    Args:
      directory: what transformers wrote. other: where to save.
      run: if given, what is compared of the two models that transformers then reads, such as their logits.
      kind: which class reads them. dtype: what `load` is asked for.
    """
    save(other, load(directory, dtype))
    assert_same_tensors(tensors(other), tensors(directory))
    if run is not None:
        np.testing.assert_array_equal(run(read(other, kind)), run(read(directory, kind)))
