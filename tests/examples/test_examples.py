"""Every script of `examples/` runs, quickly, and prints what it is there to show."""

import runpy
import sys
from pathlib import Path

import pytest

from formal_tx.crosscheck import find
from formal_tx.crosscheck.candidate import check_candidate

EXAMPLES = Path(__file__).parents[2] / "examples"

SAYS = {
    "ablate_head": ("the whole model: ", "layer 2, head 4: "),
    "activation_patching": ("logit of 's' minus logit of 'p'", "layer 2"),
    "attention_by_hand": ("line 6: V_tilde = V @ softmax(S / sqrt(d_attn))", "[[12.  4.  9.]", " [ 9.  9.]]"),
    "attention_maps": ("attention/1.Q", "layer 2, head 2", "@@"),
    "compare_with_gpt2": ("exact: no line differs", "usual: layers/0/8.X differs", "ordered by head, q|k|v, feature"),
    "gradient_norms": ("untrained: norm of the gradient", "layers/1/8.X"),
    "induction_heads": ("period 8: ", "layer 2: head 1"),
    "laws_of_my_attention": ("holds ",),
    "lm_infinite": ("trained with 32 characters", "plain attention", "a Λ and a ceiling"),
    "logit_lens": ("layer 0 ", "after 2 layers the true next character"),
    "masked_words": ("and god said to ____ , go → ", "the first guess is right for"),
    "masked_letters": ("50 updates", "king_om"),
    "my_attention": ("formal-tx check 5",),
    "own_architecture": ("English", "are told apart"),
    "reverse_words": ("50 updates of 64", "spelled backwards correctly"),
    "sample_by_hand": ("temperature 0.01, top  1: 'And he ",),
    "streaming_llm": ("0 sinks and a window of 32", "the cache has 32772 bytes, before and after"),
    "train_bpe": ("kind='bpe', N_V=512", "bits per character"),
    "clustered_attention": (
        "softmax attention, 64 rows of scores a head:",
        "improved, each query asks 16 keys itself:",
    ),
    "hierarchical_attention": ("held-out books:", "of 133 chapters", "the verses that mattered:"),
    "infinite_memory": ("points at equal distances:", "sticky points:", "the memory is 512 x 27 numbers"),
    "linear_attention": ("bits per character", "numbers kept, a cache has", "In the beginning"),
    "megabyte": ("held-out books:", "by slot of the patch", "And the king said to "),
    "positional_encodings": ("what the last word sees, 1 layer", "after 30 updates: off by", "of the first new text: "),
    "recurrent_memory": ("trained on up to 1 segments: it knows the fact of ", "after 192 characters"),
    "reformer": ("128 words, 16384 pairs", "whom a word looks at, exactly and in 8 rounds:"),
    "transformer_xl": ("bits per character", "held-out books, 256 characters remembered: "),
    "sparse_attention": ("247,808 pairs of 1,024 tokens,  23.6% of all", "bits per letter after 10 updates"),
    "train_decoder": ("held-out books: ", "In the beginning "),
    "translate": ("  → ", "BLEU and chrF: {'bleu': ", "a copy of the source: {'bleu': "),
}


PRINTED: dict[str, str] = {}


@pytest.fixture
def run(monkeypatch, capsys):
    """Run an example as `python examples/NAME.py --quick` would, once; return what it prints."""

    def run(name):
        if name not in PRINTED:
            monkeypatch.syspath_prepend(str(EXAMPLES))
            monkeypatch.setattr(sys, "argv", [name, "--quick"])
            monkeypatch.delitem(sys.modules, "train_decoder", raising=False)
            runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
            PRINTED[name] = capsys.readouterr().out
        return PRINTED[name]

    return run


def test_there_is_a_test_for_every_example():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SAYS)


SLOW = {"clustered_attention", "hierarchical_attention", "masked_words", "megabyte", "positional_encodings"}
SLOW |= {"recurrent_memory", "transformer_xl", "translate", "own_architecture", "ablate_head", "logit_lens"}
SLOW |= {"sparse_attention", "reformer", "lm_infinite", "activation_patching", "masked_letters", "gradient_norms"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in SAYS])
def test_it_runs_and_prints_what_it_shows(run, name):
    if name == "compare_with_gpt2":
        pytest.importorskip("transformers", reason="make test-all installs Hugging Face transformers")
    printed = run(name)
    for text in SAYS[name]:
        assert text in printed


def test_the_first_heat_map_is_causal(run):
    printed = run("attention_maps")
    start = printed.index("layer 1, head 1")
    rows = printed[start:].splitlines()[1:17]
    assert len(rows) == 16
    assert all(not row[2 * t + 2 : 32].strip() for t, row in enumerate(rows))


@pytest.mark.parametrize(("function", "agrees"), [("my_mh_attention", True), ("wrong_attention", False)])
def test_the_check_tells_the_right_attention_from_the_wrong_one(function, agrees):
    comparison = check_candidate(find(5), f"{EXAMPLES / 'my_attention.py'}:{function}")
    assert comparison.agrees == agrees


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_it_is_short_and_says_how_to_run_it(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 80
    assert f"examples/{path.name}" in source
