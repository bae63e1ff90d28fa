"""Hugging Face GPT-2: padded on the left, with attention_mask alone, it moves every token. (law: left-padding)"""

import torch
from transformers import GPT2Config, GPT2LMHeadModel

sizes = {"vocab_size": 9, "n_embd": 8, "n_layer": 2, "n_head": 2, "bos_token_id": None, "eos_token_id": None}
model = GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=0.5)).eval()
padded, real = torch.tensor([[0, 0, 3, 1, 4]]), torch.tensor([[0, 0, 1, 1, 1]])
alone = model(padded[:, 2:]).logits
for more in ({}, {"position_ids": (real.cumsum(-1) - 1).clamp(min=0)}):
    rows = model(padded, attention_mask=real, **more).logits[:, 2:]
    print("with", list(more) or "attention_mask alone", "the rows differ:", bool((rows - alone).abs().max() > 1e-3))
