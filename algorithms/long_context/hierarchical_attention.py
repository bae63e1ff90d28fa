"""Hierarchical attention: p, alpha, beta <- hierarchical_attention(x | theta), Yang et al., NAACL 2016, N16-1174

Classifies a document of sentences of words: a recurrent network reads the words of a sentence in both directions, and a
learned vector asks which of them matter; then the same with the sentences of the document.
Input:            x, a list of S sentences, each of W word ids, of which 0 is padding; some word is real
Output:           p (C,), a distribution over the classes; what mattered: alpha (S, W), a weight for each word of each
                  sentence, and beta (S,), for each sentence
Parameters theta: E (e, N_V), the embeddings of words
                  words, two GRUs, forward and backward, of e inputs and h states; sentences, the same of 2h inputs
                  word_attention and sentence_attention, each W (a, 2h), b (a,) and u (a,), the learned vector
                  W_c (C, 2h), b_c (C,)
Parameters of a GRU: W_z, W_r, W_n (h, d), U_z, U_r, U_n (h, h), b_z, b_r, b_n, c_n (h,), where d is its inputs' width
Hyperparameters:  projected, whether what is weighted are the U of line 1 of the attention, and not the states H: some
                  implementations do so, the paper does not

The paper writes s = (1 - z) s + z n where the gated unit here, which is PyTorch's, has z and 1 - z the other way round:
the same model, whose W_z, U_z and b_z have the other sign. PyTorch's has c_n as well.
"""

from numpy import array, column_stack, concatenate, exp, inf, tanh, where, zeros

from ..heads.classification import classification
from ..notation import Parameters, softmax


def sigmoid(a):
    """From any number to one between 0 and 1."""
    return 1 / (1 + exp(-a))                                                                            # 1


def gru_cell(x, s, W):
    """The state s (h,) after one more input x (d,): n where the gate z is 0, and what it was where z is 1."""
    z = sigmoid(W.W_z @ x + W.U_z @ s + W.b_z)                                                          # 1
    r = sigmoid(W.W_r @ x + W.U_r @ s + W.b_r)                                                          # 2
    n = tanh(W.W_n @ x + W.b_n + r * (W.U_n @ s + W.c_n))                                               # 3
    s = (1 - z) * n + z * s                                                                             # 4
    return s


def gru(X, real, W):
    """The states S (h, l) after each column of X (d, l); those of which real (l,) is false change nothing."""
    l = X.shape[1]                                                                                      # 1
    s = zeros(len(W.b_z))                                                                               # 2
    S = zeros((len(s), l))
    for t in range(l):                                                                                  # 3
        s = gru_cell(X[:, t], s, W) if real[t] else s                                                   # 4
        S[:, t] = s                                                                                     # 5
    #                                                                                               end # 6
    return S


def bidirectional_gru(X, real, W):
    """H (2h, l): what has been read up to each column of X (d, l) from the left, and below it from the right."""
    S_forward = gru(X, real, W.forward)                                                                 # 1
    S_backward = gru(X[:, ::-1], real[::-1], W.backward)[:, ::-1]                                       # 2
    H = concatenate([S_forward, S_backward])                                                            # 3
    return H


def attention_weights(H, real, W):
    """How much each column of H (d, n) matters to the vector u: alpha (n,), 0 everywhere if none of them is real."""
    U = tanh(W.W @ H + W.b[:, None])                                                                    # 1
    e = where(real, W.u @ U, -inf)                                                                      # 2
    alpha = softmax(e) if real.any() else zeros(len(e))                                                 # 3
    return alpha


def attention_pooling(H, real, W, projected=False):
    """The columns of H (d, n) as one vector v (d,), each as much as it matters."""
    alpha = attention_weights(H, real, W)                                                               # 1
    V = tanh(W.W @ H + W.b[:, None]) if projected else H                                                # 2
    v = V @ alpha                                                                                       # 3
    return v


def hierarchical_attention(x, theta, projected=False):
    real = [array(sentence) > 0 for sentence in x]                                                      # 1
    alpha, s = [None] * len(x), [None] * len(x)
    for i in range(len(x)):                                                                             # 2
        H_i = bidirectional_gru(theta.E[:, x[i]], real[i], theta.words)                                 # 3
        alpha[i] = attention_weights(H_i, real[i], theta.word_attention)                                # 4
        s[i] = attention_pooling(H_i, real[i], theta.word_attention, projected)                         # 5
    #                                                                                               end # 6
    m = array([words.any() for words in real])                                                          # 7
    H = bidirectional_gru(column_stack(s), m, theta.sentences)                                          # 8
    beta = attention_weights(H, m, theta.sentence_attention)                                            # 9
    d = attention_pooling(H, m, theta.sentence_attention, projected)                                    # 10
    p = classification(d, theta.W_c, theta.b_c)                                                         # 11
    return Parameters(p=p, alpha=array(alpha), beta=beta)
