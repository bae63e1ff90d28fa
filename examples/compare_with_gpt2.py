"""A Hugging Face GPT-2 held against Algorithm 10, line by line: which line differs first, and what explains it.

    formal-tx compare examples/compare_with_gpt2.py:exact    # no line differs, exit status 0
    formal-tx compare examples/compare_with_gpt2.py:usual    # GPT-2's own GELU, exit status 1
    formal-tx compare examples/compare_with_gpt2.py:ported   # a port that mixes up the heads, exit status 1

Needs PyTorch and transformers (pip install 'formal-tx[oracles]'). The models are small and random; nothing is loaded.
"""

import torch
import transformers

from formal_tx.crosscheck.capture import compare


def exact(activation="gelu"):
    """A GPT-2 with the exact GELU of the paper."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "n_positions": 16, "n_embd": 24, "n_layer": 2, "n_head": 4}
    tokens = {"bos_token_id": 0, "eos_token_id": 0}
    config = transformers.GPT2Config(
        **sizes,
        **tokens,
        activation_function=activation,
        attn_implementation="eager",  # the one that hands out the attention's weights
    )
    model = transformers.GPT2LMHeadModel(config).double().eval()
    for parameter in model.parameters():  # a bias that starts as 0 would hide that it is forgotten
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def usual():
    """GPT-2 as it comes: its GELU is the approximation by tanh."""
    return exact("gelu_new")


def ported():
    """Somebody's port: the fused matrix has its rows head by head, as in GPT-NeoX, and is read as GPT-2's."""
    model = exact()
    fused = model.transformer.h[1].attn.c_attn
    for parameter in (fused.weight, fused.bias):
        parts = parameter.detach().unflatten(-1, (3, 4, 6))  # (…, q|k|v, head, feature)
        parameter.data = parts.transpose(-3, -2).flatten(-3)
    return {"model": model, "reference": exact()}


if __name__ == "__main__":
    for name, arguments in {"exact": {"model": exact()}, "usual": {"model": usual()}, "ported": ported()}.items():
        first = compare(**arguments).first
        print(f"{name}: {'no line differs' if first is None else f'{first.path} differs by {first.own:.0e}'}")
        for hint in first.hints if first else ():
            print(f"  {hint.title}: with this, by {hint.error:.0e}")
