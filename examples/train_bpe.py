"""A decoder of byte-level BPE tokens, from text to a model directory and back to text, in one call each.

python examples/train_bpe.py [--quick]
"""

import sys
import tempfile
from pathlib import Path

from formal_tx.runs.configuration import configured
from formal_tx.runs.evaluation import evaluate
from formal_tx.runs.generation import generate
from formal_tx.runs.model_directory import load_model
from formal_tx.runs.sources import Sources
from formal_tx.runs.train import train

quick = "--quick" in sys.argv
text = Path(__file__).parents[1] / "README.md"  # any text file of yours; without one it is the embedded corpus
settings = {"tokenizer": "bpe", "N_V": 512, "l_max": 32, "steps": 30 if quick else 1000, "warmup": 10}

with tempfile.TemporaryDirectory() as directory:
    train(configured("decoder", "tiny", options=settings), directory, Sources((str(text),)))
    model = load_model(directory)  # a directory that can be moved, copied and given away
    print(model.tokenizer, model.tokenizer.encode("an attention matrix"))
    print("An" + "".join(generate(model, "An", tokens=20, temperature=0.7, top_p=0.9, seed=1)))
    measured = evaluate(model, Sources((str(text),)))
    print(f"on the text that it was trained on: {measured['bits_per_character']:.2f} bits per character")
