"""How well does a model translate? BLEU and chrF on held-out books beside simple baselines, and ten translations.

    formal-tx train encoder-decoder --preset small --out en-es
    python benchmarks/translation.py en-es > docs/translation.md

The ten are not chosen: they are spread evenly over the verses of the test books.
"""

import sys

from formal_tx.data import corpus
from formal_tx.runs.evaluation import evaluate
from formal_tx.runs.log import read_log
from formal_tx.runs.model_directory import load_model
from formal_tx.runs.translation import translate


def main(directory: str) -> None:
    """Print the page."""
    from pathlib import Path

    model = load_model(directory)
    measured = evaluate(model, baselines=True)
    log = read_log(Path(directory))
    training = model.configuration["training"]
    print("# English to Spanish\n")
    print(
        f"`formal-tx train encoder-decoder --preset small`, {training['steps']:,} steps: Algorithm 11 trains Algorithm 8 "
        f"({training['L_enc']} + {training['L_dec']} layers, d_e {training['d_e']}, a vocabulary of {training['N_V']:,}) on the "
        f"verses of {62 - 0} books; last training loss {log[-1].get('loss', log[-2].get('loss')):.2f}.\n"
    )
    print(f"On {measured['translations']:,} verses of books that were held out (Job, Jonah, I John, Revelation), beam 4:\n")
    print("| what | BLEU | chrF |\n|---|---|---|")
    for name, row in {"the model": measured, **measured["baselines"]}.items():
        print(f"| {name} | {row['bleu']:.1f} | {row['chrf']:.1f} |")
    pairs = corpus.pairs("test")
    chosen = [pairs[i * len(pairs) // 10] for i in range(10)]
    print("\n## Ten translations\n\nEvenly spread over the test verses, not chosen.\n")
    for (english, spanish), said in zip(chosen, translate(model, [english for english, _ in chosen]), strict=True):
        print(f"* {english}\n  * model: {said}\n  * Reina-Valera: {spanish}")


if __name__ == "__main__":
    main(sys.argv[1])
