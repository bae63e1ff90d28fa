"""Timestamp rules: logits <- timestamp_rules(logits, x), what Whisper may say next of when it is said, 2212.04356

A filter, as those of `algorithms/decoding`: what is forbidden gets -inf. A segment is its start, its text, its end, so
that inside a text timestamps come in pairs, the end of one segment and the start of the next.
Input:           logits (N_V,), which may already hold -inf; x, the tokens so far, without the prompt
Output:          logits (N_V,)
Hyperparameters: eos_token; no_timestamps, a token for prompts alone; first, the timestamp 0.00, and all others follow;
                 latest, how far after it the first segment may start (50: at one second)

Tokens below eos_token are text; those between it and `first` are for prompts.
"""

from numpy import exp, inf, log


def timestamp_rules(logits, x, eos_token, no_timestamps, first, latest=50):
    logits = logits.copy()                                                                              # 1
    logits[no_timestamps] = -inf                                                                        # 2
    stamps = [v for v in x if v >= first]                                                               # 3
    if len(x) == 0:                                                                                     # 4
        logits[:first] = -inf                                                                           # 5
        logits[first + latest + 1 :] = -inf                                                             # 6
    elif x[-1] >= first:                                                                                # 7
        if len(x) == 1 or x[-2] >= first:  # a start: text follows                                      # 8
            logits[first:] = -inf                                                                       # 9
        else:  # an end: the next start follows, which may be at the same time, or nothing              # 10
            logits[:eos_token] = -inf                                                                   # 11
            logits[first : stamps[-1]] = -inf                                                           # 12
    else:  # text: it has begun before it ends                                                          # 13
        logits[first : stamps[-1] + 1] = -inf                                                           # 14
    if log_sum_exp(logits[first:]) > logits[:first].max():                                              # 15
        logits[:first] = -inf                                                                           # 16
    return logits                                                                                       # 17


def log_sum_exp(a):
    """log of the sum of exp(a); -inf if all of a is."""
    m = a.max()                                                                                         # 1
    if m == -inf:                                                                                       # 2
        return -inf                                                                                     # 3
    return m + log(exp(a - m).sum())                                                                    # 4
