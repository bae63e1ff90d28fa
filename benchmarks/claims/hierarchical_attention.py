"""Hierarchical attention: does it find the sentence that counts, and does it read chapters of books it has not seen?

python -m benchmarks.claims.hierarchical_attention [--quick]
"""

import re
from collections import Counter
from itertools import groupby

import jax
import jax.numpy as jnp
import numpy as np

from formal_tx.data import corpus
from formal_tx.long_context.hierarchical_attention import (
    hierarchical_attention,
    hierarchical_attention_loss,
    init_hierarchical_attention,
)

from .claim import Claim, quick
from .training import fit

SENTENCES, WORDS, FILLERS = 6, 8, 26
MARKER, FEELINGS = FILLERS + 1, FILLERS + 2
"""Words are 0, the padding, 1 … 26, which say nothing, 27, the marker, and four that say a class, two each."""

VERSES = 24
OF_A_VERSE = 24


def asking_nothing(params):
    """The same network with means in place of attention: the vectors that ask are 0."""
    levels = ("word_attention", "sentence_attention")
    means = {name: getattr(params, name).replace(u=jnp.zeros_like(getattr(params, name).u)) for name in levels}
    return params.replace(**means)


def marked(key, n):
    """Documents (n, 6, 8) with a feeling in each sentence and a marker in one, the class of that one's, and which."""
    keys = jax.random.split(key, 6)
    shape = (n, SENTENCES)
    lengths = jax.random.randint(keys[0], shape, 3, WORDS + 1)[..., None]
    x = jax.random.randint(keys[1], (*shape, WORDS), 1, FILLERS + 1)
    feeling = jax.random.randint(keys[2], (*shape, 1), 0, 4)
    where = jax.random.randint(keys[3], (*shape, 1), 0, lengths)
    beside = (where + jax.random.randint(keys[4], (*shape, 1), 1, lengths)) % lengths
    which = jax.random.randint(keys[5], (n,), 0, SENTENCES)
    t = jnp.arange(WORDS).reshape(1, 1, -1)
    x = jnp.where(t == where, FEELINGS + feeling, x)
    x = jnp.where((t == beside) & (jnp.arange(SENTENCES)[None] == which[:, None])[..., None], MARKER, x)
    return jnp.where(t < lengths, x, 0), jnp.take_along_axis(feeling[..., 0], which[:, None], axis=1)[:, 0] % 2, which


def one_that_counts(claim: Claim) -> None:
    steps, n = (5, 20) if quick() else (400, 500)
    x, labels, which = marked(jax.random.key(9), n)
    accuracies, weights, curves = [], [], {}
    for seed in range(1 if quick() else 2):
        params = init_hierarchical_attention(jax.random.key(seed), N_V=FEELINGS + 4, e=16, h=16, a=16, C=2)
        loss = lambda params, batch, key: hierarchical_attention_loss(params, *batch)  # noqa: E731
        batch = lambda key: marked(key, 64)[:2]  # noqa: E731
        params, losses = fit(params, loss, batch, jax.random.key(seed), steps=steps, rate=5e-3)
        found = hierarchical_attention(x, params)
        accuracies.append(float((jnp.argmax(found.p, axis=-1) == labels).mean()))
        beta = np.asarray(found.beta)
        weights.append(beta[np.arange(n), which].mean())
        curves[f"seed {seed}"] = (np.arange(steps), np.asarray(losses))
        claim.measured(f"marked sentence, seed {seed}: accuracy on {n} new documents", accuracies[-1])
        claim.measured(f"marked sentence, seed {seed}: its weight (1/6 if all were the same)", weights[-1])
        most = (beta.argmax(axis=-1) == np.asarray(which)).mean()
        claim.measured(f"marked sentence, seed {seed}: documents in which it weighs most", most)
    claim.holds("accuracy of at least 0.97", min(accuracies) >= 0.97)
    claim.holds("a mean weight of at least 0.6 on the marked sentence", min(weights) >= 0.6)
    claim.panel("one sentence of six counts", "updates", "loss, nats", curves)


def chapters(*splits):
    """Places (book, chapter), and the words without a capital of each verse: names would tell at once."""
    verses = [verse for split in splits for verse in corpus.verses(split)]
    for place, chapter in groupby(verses, key=lambda verse: (verse.book, verse.chapter)):
        yield place, [re.findall(r"(?<!['’])\b[a-z]+\b", verse.english)[:OF_A_VERSE] for verse in chapter][:VERSES]


def testaments(claim: Claim) -> None:
    steps, seeds = (3, 1) if quick() else (300, 3)
    train, held_out = list(chapters("train")), list(chapters("validation", "test"))
    books = list(dict.fromkeys(place[0] for place, _ in train))
    new = {*books[books.index("Matthew") :], "James", "I Peter", "I John", "Revelation of John"}
    counts = Counter(word for _, chapter in train for verse in chapter for word in verse)
    number = {word: i + 2 for i, word in enumerate(word for word, n in counts.items() if n >= 10)}

    def arrays(data):
        x = np.zeros((len(data), VERSES, OF_A_VERSE), np.int32)
        for i, (_, chapter) in enumerate(data):
            for v, verse in enumerate(chapter):
                x[i, v, : len(verse)] = [number.get(word, 1) for word in verse]
        return jnp.asarray(x), jnp.array([place[0] in new for place, _ in data], jnp.int32)

    (x, labels), (x_new, labels_new) = arrays(train), arrays(held_out)
    of_class = [jnp.flatnonzero(labels == c) for c in (0, 1)]
    revelation = np.array([place[0] == "Revelation of John" for place, _ in held_out])

    def batch(key):
        keys = jax.random.split(key)
        chosen = [jax.random.choice(k, some, (16,)) for k, some in zip(keys, of_class, strict=True)]
        return x[jnp.concatenate(chosen)], labels[jnp.concatenate(chosen)]

    rivals = {"attention": lambda params: params, "means": asking_nothing}
    accuracies = {name: [] for name in rivals}
    for seed in range(seeds):
        start = init_hierarchical_attention(jax.random.key(seed), N_V=len(number) + 2, e=32, h=16, a=32, C=2)
        for name, change in rivals.items():
            loss = lambda params, batch, key, change=change: hierarchical_attention_loss(change(params), *batch)  # noqa: E731
            params, _ = fit(start, loss, batch, jax.random.key(seed), steps=steps, rate=5e-3)
            found = hierarchical_attention(x_new, change(params))
            right = np.asarray(jnp.argmax(found.p, axis=-1) == labels_new)
            accuracies[name].append(right.mean())
            if name == "attention":
                beta, of_revelation = found.beta, right[revelation].mean()
                claim.measured(
                    f"chapters of held-out books, seed {seed}: without Revelation", right[~revelation].mean()
                )
                claim.measured(f"chapters of held-out books, seed {seed}: Revelation alone", of_revelation)
    common = float((labels_new == 0).mean())
    claim.measured("chapters of held-out books: the more common answer", common)
    for name, values in accuracies.items():
        claim.measured(f"chapters of held-out books: accuracy with {name}, mean of {seeds} seeds", np.mean(values))
    claim.holds("better than the more common answer", np.mean(accuracies["attention"]) > common)
    gain = np.mean(accuracies["attention"]) - np.mean(accuracies["means"])
    claim.holds("at least as good with attention as with means", gain >= 0)
    if gain <= np.ptp(accuracies["attention"]):
        claim.note(
            "attention and means differ by less than two seeds do: what classifies a chapter are words of all verses, "
            "and it is the weights that show the difference, not the accuracy"
        )
    claim.note(
        "Old Testament or New, 133 chapters of whole books that were not trained on; Revelation, which quotes Daniel "
        "and Ezekiel, reads like the prophets"
    )
    i = next(i for i, (place, _) in enumerate(held_out) if place == ("I John", 4))
    n = len(held_out[i][1])
    curves = {"weight": (range(1, n + 1), beta[i, :n]), "all the same": (range(1, n + 1), [1 / n] * n)}
    claim.panel("the verses of I John 4", "verse", "weight", curves)


def main() -> None:
    claim = Claim(
        system="hierarchical_attention",
        paper="N16-1174",
        says="attention on two levels finds the words and sentences that count, and classifies better than means",
        here="documents of six sentences of which one counts; Old Testament or New, for chapters of whole books that "
        "were held out",
    )
    one_that_counts(claim)
    testaments(claim)
    claim.conclude()


if __name__ == "__main__":
    main()
