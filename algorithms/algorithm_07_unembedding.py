"""Algorithm 7: Unembedding

From a token's encoding to a distribution over the vocabulary.
Input:      e (d_e,), a token encoding
Output:     p (N_V,), a probability for each token of the vocabulary
Parameters: W_u (N_V, d_e), the unembedding matrix
"""

from .notation import softmax


def unembedding(e, W_u):
    p = softmax(W_u @ e)                                                                                # 1
    return p
