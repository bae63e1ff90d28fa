"""Algorithm 3: Basic single-query attention

One token asks; the tokens of its context answer.
Input:           e (d_in,), the current token, and context, a list of T >= 1 vectors e_t (d_in,)
Output:          v_tilde (d_out,), what token and context say together
Parameters W_qkv: W_q, W_k (d_attn, d_in), b_q, b_k (d_attn,), W_v (d_out, d_in), b_v (d_out,)

The prose writes "token t in V" for a position and "current token q" for its query: slips of the pen (E13, E14).
"""

from numpy import exp, sqrt


def basic_single_query_attention(e, context, W_qkv):
    W_q, b_q, W_k, b_k, W_v, b_v = W_qkv
    d_attn = len(b_q)
    T = len(context)
    q = W_q @ e + b_q                                                                                   # 1
    k = [W_k @ context[t] + b_k for t in range(T)]                                                      # 2
    v = [W_v @ context[t] + b_v for t in range(T)]                                                      # 3
    top = max(q @ k[t] / sqrt(d_attn) for t in range(T))  # cancels in the quotient: exp must not overflow
    Sum = sum(exp(q @ k[u] / sqrt(d_attn) - top) for u in range(T))
    alpha = [exp(q @ k[t] / sqrt(d_attn) - top) / Sum for t in range(T)]                                # 4
    v_tilde = sum(alpha[t] * v[t] for t in range(T))                                                    # 5
    return v_tilde
