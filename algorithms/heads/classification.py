"""Classification: p <- classification(x | W, b)

A distribution over K classes. BERT's next-sentence prediction is one with K = 2, class 0 meaning "is the next".
Input:      x (d,), what was pooled
Output:     p (K,)
Parameters: W (K, d), b (K,)
"""

from ..notation import softmax


def classification(x, W, b):
    p = softmax(W @ x + b)                                                                              # 1
    return p
