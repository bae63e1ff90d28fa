"""Windows: pure functions of (seed, step); each window once an epoch; each token once in evaluation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formal_tx.data.token_file import TokenFile
from formal_tx.data.windows import Windows


def corpus_of(documents):
    """A corpus in memory: document n is -1, n, n, …, in so many tokens that no two are alike where it matters."""
    starts = np.cumsum([0, *documents])
    ids = np.arange(starts[-1])  # a token is its own position
    return TokenFile(ids, starts, N_V=ids.size, used=ids.size, documents=len(documents), longest=max(documents),
                     characters=0, bytes=0, tokenizer="", fingerprint="")  # fmt: skip


@st.composite
def cases(draw, shortest_text=1):
    """A corpus, a length, a batch size and an overlap."""
    length = draw(st.integers(1, 12))
    documents = draw(st.lists(st.integers(2, 20), min_size=1, max_size=8))
    if sum(documents) < shortest_text * length:
        documents.append(length + 1)
    options = {"length": length, "batch_size": draw(st.integers(1, 7)), "overlap": draw(st.integers(0, length - 1))}
    return corpus_of(documents), options


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


@given(cases(), st.integers(0, 2**31), st.lists(st.integers(0, 10**6), min_size=1, max_size=5))
@settings(deadline=None)
def test_a_batch_is_a_pure_function_of_seed_and_step(case, seed, steps):
    """Whatever was asked for before, and in another object."""
    tokens, options = case
    one = Windows(tokens, seed=seed, **options)
    batches = [one.batch(step) for step in steps]
    for step, batch in zip(reversed(steps), reversed(batches), strict=True):
        same(one.batch(step), batch)
        same(Windows(tokens, seed=seed, **options).batch(step), batch)


@given(cases(), st.integers(0, 2**31), st.integers(0, 10**6), st.integers(1, 4))
@settings(deadline=None)
def test_hosts_have_parts_of_the_same_batch(case, seed, step, count):
    tokens, options = case
    options["batch_size"] *= count
    windows = Windows(tokens, seed=seed, **options)
    parts = [windows.part(step, index, count) for index in range(count)]
    same({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, windows.batch(step))


@given(cases(), st.integers(0, 100))
@settings(deadline=None)
def test_every_window_of_an_epoch_comes_once(case, seed):
    """And the windows of an epoch are consecutive, from a place of its own, with as many tokens shared as asked for."""
    tokens, options = case
    windows = Windows(tokens, seed=seed, **options)
    n, stride = windows.windows_per_epoch, options["length"] - options["overlap"]
    steps = range(-(-2 * n // options["batch_size"]))
    x = np.concatenate([windows.batch(step)["x"] for step in steps])[: 2 * n]
    assert x.dtype == np.int32
    for rows in (x[:n], x[n:]):
        begins = np.sort(rows[:, 0])
        np.testing.assert_array_equal(rows, rows[:, :1] + np.arange(options["length"]))
        np.testing.assert_array_equal(begins, begins[0] + stride * np.arange(n))
        left = len(tokens.ids) - (begins[-1] + options["length"])
        assert begins[0] < stride
        assert left < stride + stride  # no window more would fit from every place
    assert windows.steps_per_epoch == -(-n // options["batch_size"])


def test_each_token_but_the_first_is_a_target_once():
    windows = Windows(corpus_of([97]), length=9, batch_size=4, seed=3)
    x = np.concatenate([windows.batch(step)["x"] for step in range(windows.steps_per_epoch)])
    targets = np.sort(x[: windows.windows_per_epoch, 1:].ravel())
    np.testing.assert_array_equal(targets, targets[0] + np.arange(8 * windows.windows_per_epoch))


def test_epochs_differ_in_place_and_order():
    windows = Windows(corpus_of([2000]), length=10, batch_size=1, seed=0, overlap=0)
    first, second = ([windows.batch(e * windows.steps_per_epoch + i)["x"][0, 0] for i in range(50)] for e in (0, 1))
    assert first != second
    assert first != sorted(first)
    places = {windows.batch(e * windows.steps_per_epoch)["x"][0, 0] % 10 for e in range(60)}
    assert len(places) == 10, "a first window may begin anywhere"
    assert (windows.batch(0)["x"] != Windows(corpus_of([2000]), 10, 1, seed=1, overlap=0).batch(0)["x"]).any()


@given(cases(), st.integers(0, 100), st.integers(0, 20))
@settings(deadline=None)
def test_segments_count_the_documents_of_a_row(case, seed, step):
    tokens, options = case
    batch = Windows(tokens, seed=seed, **options).batch(step)
    document = np.repeat(np.arange(tokens.documents), np.diff(tokens.starts))
    np.testing.assert_array_equal(batch["segments"], document[batch["x"]] - document[batch["x"][:, :1]])
    assert batch["segments"].dtype == np.int32


@given(cases(shortest_text=0))
@settings(deadline=None)
def test_evaluation_counts_every_token_once_and_in_order(case):
    """Also of a text that is shorter than one window."""
    tokens, options = case
    batches = list(Windows(tokens, seed=0, **options).evaluation())
    counted = np.concatenate([batch["x"][batch["counted"]] for batch in batches])
    np.testing.assert_array_equal(counted, tokens.ids)
    document = np.repeat(np.arange(tokens.documents), np.diff(tokens.starts))
    for batch in batches:
        assert batch["x"].shape == (options["batch_size"], options["length"])
        real = np.arange(options["length"]) < batch["lengths"][:, None]
        assert not (batch["counted"] & ~real).any()
        assert batch["lengths"].min() >= 1
        assert (batch["x"][~real] == 0).all()
        np.testing.assert_array_equal(
            batch["segments"][real], (document[batch["x"]] - document[batch["x"][:, :1]])[real]
        )
        ends = batch["segments"][np.arange(len(real)), batch["lengths"] - 1]
        assert (batch["segments"] == ends[:, None])[~real].all(), "a place of padding has something to attend to"


@pytest.mark.parametrize("total", [2, 9, 10, 17, 18, 96, 97])
def test_a_decoder_scores_each_token_but_the_first_once_by_lengths(total):
    windows = Windows(corpus_of([total]), length=9, batch_size=4, seed=0, overlap=1)
    targets = []
    for batch in windows.evaluation():
        scored = np.arange(1, 9) < batch["lengths"][:, None]
        targets += batch["x"][:, 1:][scored].tolist()
    assert targets == list(range(1, total))


def test_statistics_are_those_of_the_corpus():
    assert Windows(corpus_of([5, 7]), 4, 2, 0).statistics()["lengths"]["max"] == 7
