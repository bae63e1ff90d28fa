"""The golden files hold what the oracles give: made again, they are the same."""

import numpy as np
import pytest

from tests.golden.editions import assert_agree
from tools.make_golden import FOLDER, MAKERS, main


@pytest.fixture(scope="module")
def made_again(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    main(folder)
    return folder


def test_there_is_a_file_for_each_case():
    assert sorted(path.stem for path in FOLDER.glob("*.npz")) == [make.__name__ for make in MAKERS]


@pytest.mark.parametrize("name", [make.__name__ for make in MAKERS])
def test_golden_file_is_what_the_oracle_gives(name, made_again):
    with np.load(made_again / f"{name}.npz") as new, np.load(FOLDER / f"{name}.npz") as kept:
        assert new.files == kept.files
        for array in kept.files:
            assert_agree(new[array].astype(float), kept[array].astype(float), 1e-12)
