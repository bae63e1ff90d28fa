"""Seven ways to tell a transformer where its words stand, and what each of them lets it see.

A verse is read as it is, with its words shuffled, and as if it stood further on in a book, by models with random
parameters: what they cannot see now no training will show them. Then a decoder that is told no positions learns to
write, and a probe reads from its hidden states where a letter stands.

    python examples/positional_encodings.py [--quick]
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from formal_tx import DTransformerHyperparameters, d_training, init_d_transformer, masks
from formal_tx.architectures import d_layers, self_attend
from formal_tx.data import batches, corpus
from formal_tx.data.tokenizer import Tokenizer
from formal_tx.positional import Alibi, RelativeBuckets, Rotary, interleaved_sinusoids
from formal_tx.positional.learnable_sinusoids import init_learnable_sinusoids, learnable_sinusoids
from formal_tx.positional.no_positions import fit_probe, random_features, read_positions

ENCODINGS = {
    "sinusoids": {"table": interleaved_sinusoids},
    "learned": {},
    "LSPE": {},  # a table too, which a network makes
    "rotary": {"table": None, "rotate": Rotary()},
    "ALiBi": {"table": None, "score": Alibi()},
    "T5": {"table": None, "score": RelativeBuckets(bidirectional=False)},
    "none": {"table": None},
}
words = corpus.english("train").partition("\n")[0].split()
vocabulary, shuffled = sorted(set(words)), [3, 0, 2, 5, 1, 4, *range(6, len(words))]
verse = jnp.array([vocabulary.index(word) for word in words])
print(" ".join(words) + "\n" + " ".join(words[i] for i in shuffled) + "\n")

print(f"what the last word sees, 1 layer   {'words shuffled':>16} {'moved by 8 words':>18}")
for name, variation in ENCODINGS.items():
    hp = DTransformerHyperparameters(l_max=32, L=1, H=4, d_e=32, d_mlp=64, N_V=len(vocabulary), **variation)
    params = init_d_transformer(jax.random.key(0), hp)
    if name == "LSPE":
        network = init_learnable_sinusoids(jax.random.key(1), hp.d_e)
        params = params.replace(W_p=learnable_sinusoids(jnp.arange(hp.l_max), network))

    @jax.jit
    def last(x, t, params=params, hp=hp):
        attend = self_attend(masks.causal, hp.attending, params.W_r, t)
        return d_layers(x, params, hp, attend, positions=t)[0][-1]

    t = jnp.arange(len(verse))
    found = [jnp.abs(last(x, u) - last(verse, t)).max() for x, u in ((verse[jnp.array(shuffled)], t), (verse, t + 8))]
    print(f"  {name:<31}", *("the same".rjust(17) if d < 1e-4 else f"differs, {d:.2f}".rjust(17) for d in found))

UPDATES, BATCH = 30 if "--quick" in sys.argv else 600, 32
tokenizer, rng = Tokenizer.train("characters", [corpus.english("train")]), np.random.default_rng(0)
hp = DTransformerHyperparameters(l_max=49, L=2, H=4, d_e=64, d_mlp=128, N_V=tokenizer.N_V, table=None)


def texts(split, n):
    """n texts that begin anywhere, each after a token that says so."""
    x = batches.windows(tokenizer.encode(corpus.english(split)), hp.l_max - 1, n, rng)
    return np.concatenate([np.full((n, 1), tokenizer.bos_token), x], axis=1)


untrained, x = init_d_transformer(jax.random.key(0), hp), texts("train", UPDATES * BATCH)
adam = optax.adam(optax.cosine_decay_schedule(4e-3, UPDATES))
trained = d_training(x, untrained, hp, epochs=1, optimizer=adam, batch_size=BATCH, mean=True)

print(f"\nno positions: a probe of the hidden states of {hp.l_max} letters says where each of them stands")
R, c = random_features(jax.random.key(1), hp.d_e)
t = np.tile(np.arange(hp.l_max), 100)
seen, new = texts("train", 100), texts("validation", 100)
for name, params in (("untrained", untrained), (f"after {UPDATES} updates", trained)):
    states = jax.jit(lambda x, p=params: d_layers(x, p, hp, self_attend(masks.causal))[0].reshape(-1, hp.d_e))
    read = np.asarray(read_positions(states(new), fit_probe(states(seen), t, R, c)))
    print(f"  {name}: off by {np.abs(read - t).mean():.1f} letters, by chance {np.abs(t - t.mean()).mean():.1f}")
print("  of the first new text: " + " ".join(f"{t[i]}→{read[i]:.0f}" for i in range(0, hp.l_max, 6)))
