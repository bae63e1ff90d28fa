"""What the uses of a model require of it."""

from .model_directory import Model


def require_model(model: Model, architecture: str, function: str) -> None:
    """Raise `TypeError` unless the model is of this architecture, saying what its own is for."""
    if not isinstance(model, Model):
        raise TypeError(f"{function}: model is of type {type(model).__name__}, expected Model, as load_model gives it")
    if model.architecture != architecture:
        use = {"decoder": "generate", "encoder": "fill", "encoder-decoder": "translate"}[model.architecture]
        raise TypeError(
            f"{function} is for models of the {architecture}; this is one of the {model.architecture}, for {use}"
        )
