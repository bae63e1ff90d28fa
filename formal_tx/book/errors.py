"""What the check says about every line: the largest error of all its cases."""

from dataclasses import dataclass

import jax

from ..crosscheck import cases
from ..crosscheck.catalog import Algorithm
from ..crosscheck.compare import Difference, compare


@dataclass(frozen=True)
class Checked:
    """What a check of one algorithm found.

    Attributes:
      cases: on how many inputs. by_line: the largest error of each line that was compared.
    """

    cases: int
    by_line: dict[int, Difference]

    @property
    def agrees(self) -> bool:
        return all(difference.agrees for difference in self.by_line.values())


def checked(algorithm: Algorithm) -> Checked:
    """Both editions, compared as `formal-tx check` compares them, on the same inputs."""
    drawn = cases.draw(algorithm.number, 0, 3)
    worst: dict[int, Difference] = {}
    with jax.enable_x64(True):
        for case in drawn:
            for difference in compare(algorithm, case, "float64"):
                if difference.error > worst.get(difference.number, difference).error or difference.number not in worst:
                    worst[difference.number] = difference
    return Checked(len(drawn), worst)
