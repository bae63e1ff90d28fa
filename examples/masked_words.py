"""An encoder learns to guess masked words (Algorithm 12, with BERT's 80/10/10), and fills in blanks (Algorithm 9).

python examples/masked_words.py [--quick]
"""

import sys
import tempfile

from formal_tx.runs.configuration import configured
from formal_tx.runs.evaluation import evaluate
from formal_tx.runs.filling import fill
from formal_tx.runs.train import train

quick = "--quick" in sys.argv
sizes = {"N_V": 128, "L": 1, "d_e": 32, "d_mlp": 64, "l_max": 16, "steps": 30} if quick else {"steps": 1000}

with tempfile.TemporaryDirectory() as directory:
    model = train(configured("encoder", "tiny", options={"masking": "bert", "warmup": 10, **sizes}), directory)

for text in ("and god said to ____ , go", "the ____ of the lord"):
    for guesses in fill(model, text, top=3):
        print(text, "→", ", ".join(f"{guess.text} {guess.probability:.0%}" for guess in guesses))

measured = evaluate(model, baselines=True)
print(f"held-out books: {measured['masked']:,} masked words, the first guess is right for {measured['top_1']:.1%};")
print(f"the likeliest word after the one before is for {measured['baselines']['bigram']['top_1']:.1%}")
