"""The bytes of arrays that a process holds, as the harness counts them."""

import jax.numpy as jnp
import pytest

from benchmarks.harness.memory import alive


def test_arrays_of_jax_count():
    before = alive()
    array = jnp.zeros(1000, jnp.float32)
    assert alive() - before == 4000
    del array
    assert alive() == before


@pytest.mark.oracle
def test_tensors_of_torch_count_once_and_those_without_numbers_do_not():
    torch = pytest.importorskip("torch")
    from torch._subclasses import FakeTensorMode  # what `torch.compile` keeps of the tensors that it has seen

    before = alive()
    tensor = torch.zeros(1000)
    view = tensor[10:]
    with FakeTensorMode():
        fake = torch.zeros(10**6)
    assert alive() - before == 4000
    del view, fake
    assert alive() - before == 4000
    del tensor
    assert alive() == before
