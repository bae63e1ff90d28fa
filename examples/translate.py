"""An encoder-decoder translates English to Spanish: Algorithm 11 trains Algorithm 8, beam search decodes.

A few minutes make a small model that has learnt which words are frequent; with `--preset small`,
`formal-tx train encoder-decoder` takes an hour and learns to translate (docs/translation.md).

    python examples/translate.py [--quick]
"""

import sys
import tempfile

from formal_tx.data import corpus
from formal_tx.runs.configuration import configured
from formal_tx.runs.evaluation import quality
from formal_tx.runs.train import train
from formal_tx.runs.translation import translate

quick = "--quick" in sys.argv
sizes = {"N_V": 512, "L_enc": 1, "L_dec": 1, "d_e": 32, "d_mlp": 64, "steps": 5, "warmup": 1, "batch_size": 4}

with tempfile.TemporaryDirectory() as directory:
    model = train(configured("encoder-decoder", "tiny", options=sizes if quick else {}), directory)

held_out = [pair for pair in corpus.pairs("test") if len(pair[0]) < 80][: 4 if quick else 200]
english, spanish = map(list, zip(*held_out, strict=True))
translations = translate(model, english, beam=1 if quick else 4)
for source, translation, reference in list(zip(english, translations, spanish, strict=True))[:4]:
    print(f"{source}\n  → {translation}\n    ({reference})")
print("BLEU and chrF:", quality(translations, spanish), "a copy of the source:", quality(english, spanish))
