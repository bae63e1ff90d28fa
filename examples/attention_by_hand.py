"""One head of attention with numbers that can be done on paper, in both editions, line by line.

The two matrices of queries and keys are chosen so that exp(S / √d_attn) = 2^(x·z): every softmax is one of powers of 2.

    python examples/attention_by_hand.py
"""

import jax.numpy as jnp
import numpy as np

from formal_tx import AttentionParameters, attention, masks
from formal_tx.crosscheck import find
from formal_tx.crosscheck.record import record
from formal_tx.tagging import reap

tokens = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # three tokens, a row for each
W = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])  # d_attn = 4, so that √d_attn = 2
params = AttentionParameters(
    W_q=np.log(2) * W, b_q=np.zeros(4), W_k=W, b_k=np.zeros(4), W_v=12 * np.eye(2), b_v=np.zeros(2)
)

# The paper: columns are tokens, plain NumPy. `record` watches it run and notes what each numbered line assigns.
paper = find("attention")
theta = [params.W_q, params.b_q, params.W_k, params.b_k, params.W_v, params.b_v]
Mask = np.triu(np.ones((3, 3), bool))  # Mask[t_z, t_x] = [[t_z <= t_x]]
_, lines = record(paper.paper, paper.listing, tokens.T, tokens.T, theta, Mask)

# The library: rows are tokens, JAX. `reap` gives back what each `line(...)` of it tagged.
X = jnp.asarray(tokens)
_, tagged = reap(attention)(X, X, params, masks.causal)

print("Three tokens, (1, 0), (0, 1) and (1, 1), attend to themselves and to those before them.\n")
with np.printoptions(precision=3, suppress=True):
    for one in lines:
        ours = np.asarray(tagged[f"attention/{one.number}.{one.variable}"])
        print(f"line {one.number}: {paper.listing.text(one.number)}")
        print(f"the paper, a column for each token\n{one.value}")
        print(f"the library, a row for each token\n{ours}\n")

print("On paper: the second token sees 2^0 and 2^1, weights 1/3 and 2/3, so it answers (12/3, 2·12/3) = (4, 8).")
print("The third sees 2^1, 2^1 and 2^2, weights 1/4, 1/4, 1/2: (12/4 + 12/2, 12/4 + 12/2) = (9, 9).")
