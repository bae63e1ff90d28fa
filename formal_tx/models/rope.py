"""What a config.json says of rotary positions."""

from typing import Any

from ..positional import LinearScaling, Llama3Scaling, Rotary, YaRNScaling
from ..positional.rotary import Scaling
from .config import require
from .family import Config


def rotary(config: Config, d_attn: int, *, base: float = 10000.0, part: float = 1.0) -> Rotary:
    """The rotation of a configuration.

    It stands in `rope_parameters`, or, in files before 2026, in `rope_theta` and `rope_scaling`.

    Args:
      d_attn: the width of a head. base, part: the base of the frequencies, and which part of a head turns, where the
        configuration does not say.
    Raises:
      ValueError: the scaling is not known, or an entry of it is missing.
    """
    given: dict[str, Any] = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    base = float(given.get("rope_theta") or config.get("rope_theta") or base)
    part = given.get("partial_rotary_factor") or config.get("partial_rotary_factor") or part
    size = int(d_attn * part)
    return Rotary(base=base, size=None if size == d_attn else size, scaling=_scaling(given, config, base))


def _scaling(given: dict[str, Any], config: Config, base: float) -> Scaling | None:
    kind = given.get("rope_type") or given.get("type") or "default"
    if kind == "default":
        return None
    context = given.get("original_max_position_embeddings") or config["max_position_embeddings"]
    if kind == "linear":
        return LinearScaling(given["factor"])
    if kind == "llama3":
        return Llama3Scaling(given["factor"], context, given["low_freq_factor"], given["high_freq_factor"])
    if kind == "yarn":
        require(given, truncate=True, mscale=None, mscale_all_dim=None)
        fast, slow = given.get("beta_fast") or 32.0, given.get("beta_slow") or 1.0
        return YaRNScaling(given["factor"], context, base, slow, fast, given.get("attention_factor"))
    raise ValueError(f"the scaling of rotary positions is {kind!r}, expected default, linear, llama3 or yarn")
