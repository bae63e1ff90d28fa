"""What a training run tells while it runs; the command line shows it, and whoever calls `train` may listen too."""

from typing import Any


class Reporter:
    """Listens and says nothing; subclasses do what they want with what they hear."""

    def note(self, message: str) -> None:
        """Something that a user should know: a checkpoint that was passed over, a file system without locks."""

    def prepared(self, statistics: dict[str, Any]) -> None:
        """The data and the model are ready: their sizes, before the first step."""

    def progress(self, step: int, measured: dict[str, float]) -> None:
        """Every `log_every` steps: loss (nats), learning_rate, gradient_norm, tokens_per_second, share_of_limit."""

    def evaluated(self, step: int, measured: dict[str, float]) -> None:
        """After an evaluation: held_out_loss (nats a token), and whether it is the best so far."""

    def sampled(self, step: int, text: str) -> None:
        """Text from the model as it now is."""

    def saved(self, step: int) -> None:
        """A checkpoint has been written."""
