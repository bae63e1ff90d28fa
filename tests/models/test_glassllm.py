"""The models of glassllm: against the package itself, which is NumPy, in both languages."""

import io
import json
import sys
import zipfile

import numpy as np
import pytest

from formal_tx.data import corpus
from formal_tx.models import load
from formal_tx.models.generate import complete, token_stream
from formal_tx.models.glassllm import NpzFile, load_glassllm
from tests.models import weights

TEXTS = {
    "en": ["Once upon a time", "Alice  looked at\nthe <bos> Rabbit – “why?”", " é é ", "\n\n", "▁ a"],
    "pt": ["Era uma vez", "O coração  de\nação <unk>!", "à  noite"],
}


@pytest.fixture(scope="module", params=["en", "pt"])
def both(request):
    """The language, ours, and the package's model and tokenizer."""
    directory = weights.path("glassllm").parent
    sys.path.append(str(directory.parents[1]))
    try:
        glassllm = pytest.importorskip("glassllm")
        theirs = glassllm.load_pretrained(request.param)
    finally:
        sys.path.pop()
    return request.param, load_glassllm(directory / f"{request.param}.npz"), *theirs


@pytest.mark.heavy
class TestAgainstThePackage:
    def test_tokens_and_text(self, both):
        language, ours, _, theirs = both
        for text in [*TEXTS[language], corpus.english("validation")[:3000], "".join(map(chr, range(32, 400)))]:
            ids = ours.tokenizer.encode(text)
            assert ids.tolist() == theirs.encode(text)
            assert ours.tokenizer.decode(ids) == theirs.decode(ids.tolist())

    def test_logits(self, both):
        _, ours, theirs, tokenizer = both
        ids = tokenizer.encode(corpus.english("validation")[:2000])[:128]
        expected = theirs(np.array(ids)).data[0]
        found = np.asarray(ours.logits(np.array(ids, np.int32)))
        assert np.abs(expected).max() > 1
        difference = np.abs(found - expected).max()
        print(f"largest difference {difference:.2e}")
        assert difference <= 1e-3

    def test_greedy_text(self, both):
        language, ours, theirs, tokenizer = both
        for prompt in TEXTS[language][:2]:
            ids = tokenizer.encode(prompt)
            expected = [step.token for step in theirs.generate(ids, 80, greedy=True)]
            assert list(token_stream(ours, ids, tokens=80, temperature=0, stop=())) == expected
            if 3 not in expected:  # which ends a text here, and not there
                text = "".join(complete(ours, prompt, tokens=80, temperature=0))
                assert text == tokenizer.decode(expected)

    def test_it_can_be_saved_as_a_llama(self, both, tmp_path):
        from formal_tx.models import save

        _, ours, *_ = both
        save(tmp_path, ours)
        again = load(tmp_path)
        ids = np.arange(4, 40)
        np.testing.assert_array_equal(again.logits(ids), ours.logits(ids))


def npz(**arrays):
    """The bytes of an .npz."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


SAID = {
    "vocab_size": 7,
    "d_model": 4,
    "n_layers": 1,
    "n_heads": 2,
    "n_kv_heads": 1,
    "max_len": 5,
    "rope_base": 10.0,
    "eps": 1e-6,
}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK no", "is no .npz: File is not a zip file"),
        (npz(E=np.ones(3)), "has no array __config__"),
        (npz(__config__=np.array("{")), "the array __config__: .* expected JSON"),
        (npz(__config__=np.array("[1]")), "does not say vocab_size, d_model"),
        (
            npz(__config__=np.array(json.dumps(SAID | {"n_layers": -1}))),
            "says num_hidden_layers = -1, expected a positive",
        ),
        (npz(__config__=np.array(json.dumps(SAID))), "tensors are missing: E, blocks.0.norm1.gamma"),
        (npz(__config__=np.array(json.dumps(SAID)), E=np.ones((7, 5))), r"tensor E has shape \(7, 5\)"),
    ],
)
def test_bad_files(tmp_path, content, message):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        load_glassllm(tmp_path / "x.npz")
    assert str(tmp_path / "x.npz") in str(raised.value)


def test_an_array_that_says_it_is_huge_is_not_believed(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("__config__.npy", npz_entry(np.array(json.dumps(SAID))))
        archive.writestr("E.npy", header.getvalue() + bytes(16))
    with pytest.raises(ValueError, match=r"array E: has shape \(1099511627776,\) of float32, for which 16 bytes"):
        NpzFile(tmp_path / "x.npz")["E"]


def npz_entry(array):
    content = io.BytesIO()
    np.lib.format.write_array(content, array)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    ["{}", '{"merges": [["a"]], "alphabet": []}', '{"merges": [["a", "b"]], "alphabet": ["a"]}'],
)
def test_bad_tokenizers(tmp_path, content):
    d, V = 4, SAID["vocab_size"]
    shapes = {"attn.W_Q": (d, d), "attn.W_K": (d, 2), "attn.W_V": (d, 2), "attn.W_O": (d, d)}
    shapes |= {"norm1.gamma": d, "norm2.gamma": d, "ffn.W1": (d, 10), "ffn.W3": (d, 10), "ffn.W2": (10, d)}
    arrays = {f"blocks.0.{name}": np.ones(shape) for name, shape in shapes.items()}
    arrays |= {"E": np.ones((V, d)), "norm_f.gamma": np.ones(d)}
    (tmp_path / "x.npz").write_bytes(npz(__config__=np.array(json.dumps(SAID)), **arrays))
    assert load_glassllm(tmp_path / "x.npz").tokenizer is None
    (tmp_path / "x.tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match=r"x\.tokenizer\.json is no tokenizer of glassllm: "):
        load_glassllm(tmp_path / "x.npz")
