"""Hugging Face BERT: padded on the left, with attention_mask alone, it moves every token. (law: left-padding)"""

import torch
from transformers import BertConfig, BertForMaskedLM

sizes = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}
model = BertForMaskedLM(BertConfig(**sizes, initializer_range=0.5)).eval()
padded, real = torch.tensor([[0, 0, 3, 1, 4]]), torch.tensor([[0, 0, 1, 1, 1]])
alone = model(padded[:, 2:]).logits
for more in ({}, {"position_ids": (real.cumsum(-1) - 1).clamp(min=0)}):
    rows = model(padded, attention_mask=real, **more).logits[:, 2:]
    print("with", list(more) or "attention_mask alone", "the rows differ:", bool((rows - alone).abs().max() > 1e-3))
