"""Buckets: pure functions of (seed, step), few shapes, every pair once."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formal_tx.data.buckets import GROWTH, MOST, Buckets
from formal_tx.data.token_file import PairFile


def pairs_of(lengths):
    """Pairs in memory, (tokens of z, tokens of x) each. A token is its own position, so that 0 is padding but once."""
    sides = np.array(lengths).ravel()
    starts = np.cumsum([0, *sides])
    return PairFile(np.arange(starts[-1]), starts, N_V=starts[-1], used=starts[-1], documents=len(lengths),
                    longest=int(max(sides)), characters=0, bytes=0, tokenizer="", fingerprint="",
                    l_max=int(max(sides)) + 5, left_out=0)  # fmt: skip


LENGTHS = st.lists(st.tuples(st.integers(1, 60), st.integers(2, 60)), min_size=1, max_size=60).map(
    lambda lengths: [*lengths, *[(60, 60)] * 5]
)


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def found(batch, pairs):
    """Which pairs the rows are, having checked that the rows hold them and nothing else."""
    for side, offset in (("z", 0), ("x", 1)):
        lengths = batch[f"{side}_lengths"]
        real = np.arange(batch[side].shape[1]) < lengths[:, None]
        begins = batch[side][:, :1]
        np.testing.assert_array_equal(batch[side], np.where(real, begins + np.arange(batch[side].shape[1]), 0))
        sequence = np.searchsorted(pairs.starts, begins[:, 0])
        np.testing.assert_array_equal(pairs.starts[sequence], begins[:, 0])
        np.testing.assert_array_equal(np.diff(pairs.starts)[sequence], lengths)
        assert (sequence % 2 == offset).all()
        yield sequence // 2


def rows(batch, pairs):
    z, x = found(batch, pairs)
    np.testing.assert_array_equal(z, x)
    return z.tolist()


@given(LENGTHS, st.integers(0, 2**31), st.lists(st.integers(0, 10**6), min_size=1, max_size=5))
@settings(deadline=None)
def test_a_batch_is_a_pure_function_of_seed_and_step(lengths, seed, steps):
    pairs = pairs_of(lengths)
    one = Buckets(pairs, seed=seed, batch_size=3)
    batches = [one.batch(step) for step in steps]
    for step, batch in zip(reversed(steps), reversed(batches), strict=True):
        same(one.batch(step), batch)
        same(Buckets(pairs, seed=seed, batch_size=3).batch(step), batch)


@given(LENGTHS, st.integers(0, 1000), st.integers(0, 10**6), st.integers(1, 3))
@settings(deadline=None)
def test_hosts_have_parts_of_the_same_batch(lengths, seed, step, count):
    buckets = Buckets(pairs_of(lengths), seed=seed, tokens_per_batch=65 * 3, multiple=count)
    parts = [buckets.part(step, index, count) for index in range(count)]
    same({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, buckets.batch(step))


@given(LENGTHS, st.integers(0, 1000), st.integers(0, 5), st.booleans())
@settings(deadline=None)
def test_every_pair_comes_once_an_epoch_but_for_less_than_one_batch(lengths, seed, epoch, by_tokens):
    pairs = pairs_of(lengths)
    size = {"tokens_per_batch": 200} if by_tokens else {"batch_size": 5}
    buckets = Buckets(pairs, seed=seed, **size)
    shapes, seen = {length: B for B, length in buckets.shapes}, []
    for step in range(buckets.steps_per_epoch):
        batch = buckets.batch(epoch * buckets.steps_per_epoch + step)
        assert batch["x"].shape == batch["z"].shape == (shapes[batch["x"].shape[1]], batch["x"].shape[1])
        assert {array.dtype for array in batch.values()} == {np.dtype(np.int32)}
        seen += rows(batch, pairs)
    assert len(seen) == len(set(seen))
    assert len(lengths) - len(seen) < buckets.shapes[-1][0]


@given(st.integers(3, 2000), st.integers(0, 100), st.integers(1, 4))
@settings(deadline=None)
def test_shapes_are_few_and_of_about_as_many_tokens(longest, spare, multiple):
    pairs = replace(pairs_of([(longest, 3)] * 3), documents=10**6)
    buckets = Buckets(pairs, seed=0, tokens_per_batch=8 * (longest + spare + 8) * multiple, l_max=longest + spare,
                      multiple=multiple)  # fmt: skip
    lengths = [length for _, length in buckets.shapes]
    assert len(set(lengths)) == len(lengths) <= MOST
    assert longest <= lengths[-1] <= longest + min(spare, 7)
    for shorter, longer in pairwise(lengths):
        assert shorter % 8 == 0
        assert shorter < longer <= shorter * GROWTH + 8
    for B, length in buckets.shapes:
        assert B % multiple == 0
        assert B * length <= 8 * (longest + spare + 8) * multiple < (B + multiple) * length


def test_pairs_of_like_length_come_together(both_sides):
    buckets = Buckets(both_sides, seed=0, tokens_per_batch=3000)
    padded = real = 0
    for step in range(buckets.steps_per_epoch):
        batch = buckets.batch(step)
        padded += batch["x"].size + batch["z"].size
        real += batch["x_lengths"].sum() + batch["z_lengths"].sum()
    assert real / padded > 0.75
    lengths = np.diff(both_sides.starts)
    assert lengths.mean() / lengths.max() < 0.55, "what it would be without buckets"


def test_epochs_and_seeds_differ_in_order_and_composition():
    pairs = pairs_of([(9, 9)] * 40)
    one, other = (Buckets(pairs, seed=seed, batch_size=8) for seed in (0, 1))
    epochs = [
        [frozenset(rows(b.batch(e * 5 + i), pairs)) for i in range(5)] for b, e in ((one, 0), (one, 1), (other, 0))
    ]
    assert all(frozenset().union(*epoch) == set(range(40)) for epoch in epochs)
    assert len({batch for epoch in epochs for batch in epoch}) == 15
    long_and_short = pairs_of([(9, 9)] * 40 + [(99, 9)] * 40)
    shapes = [Buckets(long_and_short, seed=0, batch_size=8).batch(i)["x"].shape[1] for i in range(10)]
    assert shapes not in (sorted(shapes), sorted(shapes, reverse=True))


@given(LENGTHS, st.booleans())
@settings(deadline=None)
def test_evaluation_has_every_pair_once_and_scores_nothing_else(lengths, by_tokens):
    pairs = pairs_of(lengths)
    size = {"tokens_per_batch": 200} if by_tokens else {"batch_size": 100}
    targets, shapes = [], set()
    for batch in Buckets(pairs, seed=0, **size).evaluation():
        shapes.add(batch["x"].shape)
        scored = np.arange(1, batch["x"].shape[1]) < batch["x_lengths"][:, None]
        targets += batch["x"][:, 1:][scored].tolist()
        assert min(batch["x_lengths"].min(), batch["z_lengths"].min()) >= 1
    first = pairs.starts[1:-1:2]
    expected = np.setdiff1d(
        np.concatenate([np.arange(a, b) for a, b in zip(first, pairs.starts[2::2], strict=True)]), first
    )
    assert sorted(targets) == expected.tolist()
    assert shapes <= set(Buckets(pairs, seed=0, **size).shapes)


def test_padding_rows_are_the_ends_of_a_pair():
    (batch,) = Buckets(pairs_of([(4, 3)]), seed=0, batch_size=2).evaluation()
    assert batch["z"][:, :4].tolist() == [[0, 1, 2, 3], [3, 0, 0, 0]]
    assert batch["x"][:, :4].tolist() == [[4, 5, 6, 0], [4, 0, 0, 0]]
    assert batch["z_lengths"].tolist() == [4, 1]
    assert batch["x_lengths"].tolist() == [3, 1]


def test_what_a_bucket_has_too_few_of_goes_with_the_next():
    """Nine short pairs make two batches of four; the ninth is padded with the long ones."""
    pairs = pairs_of([(8, 8)] * 9 + [(40, 40)] * 3)
    buckets = Buckets(pairs, seed=0, batch_size=4)
    assert sorted(buckets.batch(step)["x"].shape[1] for step in range(buckets.steps_per_epoch)) == [8, 8, 40]


def test_a_small_corpus_has_batches_of_all_of_it():
    buckets = Buckets(pairs_of([(5, 5)] * 7), seed=0, tokens_per_batch=800, multiple=2)
    assert buckets.shapes == [(6, 8)]
    assert buckets.steps_per_epoch == 1


def test_statistics_are_those_of_the_corpus(both_sides):
    assert Buckets(both_sides, seed=0, batch_size=8).statistics()["left_out"] == both_sides.left_out > 0


@pytest.mark.parametrize("count", [2, 4])
def test_every_batch_can_be_divided(count):
    buckets = Buckets(pairs_of([(n, n) for n in range(2, 60)]), seed=0, tokens_per_batch=300, multiple=count)
    assert {B % count for B, _ in buckets.shapes} == {0}
