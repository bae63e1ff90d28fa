"""The page of the algorithms that take no model, made once; and the small runs."""

import pytest

from formal_tx.book import page, runs
from formal_tx.crosscheck import ALGORITHMS

PARTS = ALGORITHMS[:7]


@pytest.fixture(scope="session")
def parts_page():
    return page(PARTS)


@pytest.fixture(scope="session")
def small_run():
    """The run that the page shows, for each algorithm; made when it is first asked for."""
    made = {}

    def of(algorithm):
        if algorithm not in made:
            made[algorithm] = runs.run(algorithm, runs.to_look_at(algorithm))
        return made[algorithm]

    return of
