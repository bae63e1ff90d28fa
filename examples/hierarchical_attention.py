"""Old Testament or New? A network of words and sentences reads chapters of books that it was not trained on.

It says which verses of a chapter told it, and which of their words. Words with a capital are left out: names would tell
at once. Chapters are cut at 24 verses of 24 words.

    python examples/hierarchical_attention.py [--quick]
"""

import re
import sys
from collections import Counter
from functools import partial
from itertools import groupby

import jax
import numpy as np
import optax

from formal_tx.data import corpus
from formal_tx.long_context import hierarchical_attention as han

VERSES = WORDS = 24
UPDATES, BATCH, RARE = 10 if "--quick" in sys.argv else 300, 32, 10
BOOKS = list(dict.fromkeys(verse.book for verse in corpus.verses("train")))
NEW = {*BOOKS[BOOKS.index("Matthew") :], "James", "I Peter", "I John", "Revelation of John"}


def chapters(*splits):
    """Pairs of (book, chapter) and the words of its verses."""
    verses = [verse for split in splits for verse in corpus.verses(split)]
    for place, chapter in groupby(verses, key=lambda verse: (verse.book, verse.chapter)):
        yield place, [re.findall(r"(?<!['’])\b[a-z]+\b", verse.english)[:WORDS] for verse in chapter][:VERSES]


train, held_out = list(chapters("train")), list(chapters("validation", "test"))
counts = Counter(word for _, chapter in train for verse in chapter for word in verse)
number = {word: i + 2 for i, word in enumerate(word for word, n in counts.items() if n >= RARE)}


def arrays(data):
    """Word ids (n, VERSES, WORDS), where 0 is padding and 1 a rare word, and labels (n,)."""
    x = np.zeros((len(data), VERSES, WORDS), np.int32)
    for i, (_, chapter) in enumerate(data):
        for v, verse in enumerate(chapter):
            x[i, v, : len(verse)] = [number.get(word, 1) for word in verse]
    return x, np.array([book in NEW for (book, _), _ in data], np.int32)


@partial(jax.jit, donate_argnums=(0, 1))
def update(params, state, x, labels):
    step, state = optimizer.update(jax.grad(han.hierarchical_attention_loss)(params, x, labels), state, params)
    return optax.apply_updates(params, step), state


optimizer = optax.adam(optax.cosine_decay_schedule(5e-3, UPDATES))
params = han.init_hierarchical_attention(jax.random.key(0), N_V=len(number) + 2, e=32, h=16, a=32, C=2)
state, rng, (x, labels) = optimizer.init(params), np.random.default_rng(0), arrays(train)
of_class = [np.flatnonzero(labels == c) for c in (0, 1)]
for _ in range(UPDATES):
    chosen = np.concatenate([rng.choice(some, BATCH // 2) for some in of_class])
    params, state = update(params, state, x[chosen], labels[chosen])

x, labels = arrays(held_out)
found = jax.tree.map(np.asarray, han.hierarchical_attention(x, params))
right = np.argmax(found.p, axis=-1) == labels
print(
    f"held-out books: {right.mean():.0%} of {len(right)} chapters (the more common answer: {(labels == 0).mean():.0%})"
)
for book, group in groupby(range(len(right)), key=lambda i: held_out[i][0][0]):
    some = list(group)
    print(f"  {book:<20}{'New' if labels[some[0]] else 'Old':<5}{right[some].mean():.0%} of {len(some)}")

i = next(i for i, (place, _) in enumerate(held_out) if place == ("I John", 4))
print(f"\nI John 4 is of the New Testament with probability {found.p[i, 1]:.2f}; the verses that mattered:")
for v in np.argsort(-found.beta[i])[:5]:
    words = sorted(((found.alpha[i, v, t], word) for t, word in enumerate(held_out[i][1][v])), reverse=True)
    told = ", ".join(f"{word} {alpha:.2f}" for alpha, word in words[:3])
    print(f"  {v + 1:>2} {'█' * round(40 * found.beta[i, v]):<24} {found.beta[i, v]:.2f}  {told}")
