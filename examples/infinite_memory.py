"""An infinite memory forgets: a verse as a function of time, read back letter by letter as other verses come.

The letters are put into the memory of an ∞-former, which has the same size whatever has passed through it, and what is
nearest to it at the times where the first verse now stands is printed. With points at equal distances the verse is
squeezed with everything else until the basis functions cannot tell its letters apart. Where half of the points are
drawn from where the verse is, because queries look there, it stays legible: a sticky memory.

    python examples/infinite_memory.py [--quick]
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from formal_tx.data import corpus
from formal_tx.long_context.infinite_memory import (
    Density,
    MemoryHyperparameters,
    basis,
    basis_regression,
    memory_update,
    sticky_points,
)

LENGTH, UPDATES, SHOWN = 48, 4 if "--quick" in sys.argv else 14, 2
hp = MemoryHyperparameters(N=512, widths=(0.003, 0.006), ridge=0.1, tau=0.75, M=1024, D=2048)
letters = " abcdefghijklmnopqrstuvwxyz"
text = "".join(c for c in corpus.english("train").lower().replace("\n", " ") if c in letters)
segments = [text[i * LENGTH : (i + 1) * LENGTH] for i in range(UPDATES + 2)]


def one_hot(text):
    return jnp.asarray(np.eye(len(letters), dtype=np.float32)[[letters.index(c) for c in text]])


def read(B, times):
    """The letters that the memory is nearest to at these times."""
    return "".join(letters[i] for i in np.argmax(basis(times, hp) @ B, axis=-1))


def looking(times):
    """Half of the queries look at these times, a letter each, the others everywhere alike."""
    everywhere = (jnp.arange(LENGTH) + 0.5) / LENGTH
    widths = jnp.stack([jnp.full(LENGTH, float(times[1] - times[0])), jnp.full(LENGTH, 1 / LENGTH)])
    return Density(jnp.stack([times, everywhere]), widths**2)


def squeezed(times, u):
    """Where the past of these times is after an update: the m-th point of u is now at τ m / M."""
    where, count = np.unique(np.asarray(u), return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2
    return jnp.asarray(hp.tau * np.interp(times, where, middle) / hp.M, jnp.float32)


for sticky in (False, True):
    print("sticky points:" if sticky else "points at equal distances:")
    B, times = basis_regression(one_hot(segments[0]), hp), (jnp.arange(LENGTH) + 0.5) / LENGTH
    for update, segment in enumerate(segments[1:]):
        if update % SHOWN == 0:
            right = np.mean([a == b for a, b in zip(read(B, times), segments[0], strict=True)])
            print(f"  {update:2} updates  {right:4.0%}  {read(B, times)}")
        key = jax.random.fold_in(jax.random.key(0), update)
        u = jnp.arange(1, hp.M + 1) / hp.M
        if sticky:
            u = sticky_points(looking(times), jax.random.uniform(key, (hp.M,)), hp)
        B, times = memory_update(B, one_hot(segment), hp, u), squeezed(times, u)
print(f"the memory is {B.shape[0]} x {B.shape[1]} numbers, and was from the first verse on")
