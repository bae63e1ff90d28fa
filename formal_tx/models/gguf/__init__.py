"""GGUF, the file format of llama.cpp: a header with everything about a model, and its tensors, many of them quantised.

`header` reads the header, `quantization` makes numbers of blocks, `file` has the tensors by name, `architectures` says
what a model of the format is among ours, `tokenizer` makes its tokenizer, and `load` puts all of it together.
"""

from .load import load_gguf, read_outline

__all__ = ["load_gguf", "read_outline"]
