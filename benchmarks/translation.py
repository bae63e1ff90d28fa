"""How well does a model translate? BLEU and chrF on held-out books beside simple baselines, and ten translations.

    formal-tx train encoder-decoder --preset small --out en-es
    python benchmarks/translation.py en-es > docs/translation.md

The ten are not chosen: they are spread evenly over the verses of the test books.
"""

import sys

from formal_tx.data import corpus
from formal_tx.runs.evaluation import evaluate
from formal_tx.runs.model_directory import load_model
from formal_tx.runs.translation import translate


def main(directory: str) -> None:
    """Print the page."""
    model = load_model(directory)
    measured = evaluate(model, baselines=True)
    c = model.configuration["training"]
    print("# English to Spanish\n")
    print("`formal-tx train encoder-decoder --preset small` trains Algorithm 8 by Algorithm 11 on the verses that the")
    print("World English Bible and the Reina-Valera have in common.")
    print(f"{c['L_enc']} + {c['L_dec']} layers, d_e {c['d_e']}, {c['N_V']:,} tokens, {c['steps']:,} steps.\n")
    print(f"{measured['translations']:,} verses of Job, Jonah, I John and Revelation, held out; beam 4, sacrebleu:\n")
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
