"""Rivals that start no process."""


class StandIn:
    """What entering and leaving a rival is, where nothing has to be started."""

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def last_at_least(self, seconds: float, untimed: int = 0) -> None:
        pass
