"""BERT and its like: against transformers, with and without heads, to disk and back."""

import jax
import numpy as np
import pytest

from formal_tx.models import load, published, save
from formal_tx.models.families.bert import BERT
from formal_tx.models.heads import class_logits, head_parameters, heads_of, pooled
from formal_tx.models.model import Model
from formal_tx.models.tables import expected

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.models import oracles  # noqa: E402  # it needs both

pytestmark = pytest.mark.oracle

_OF_BERT = {
    "vocab_size": 113,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
}


def bert(**changes):
    return transformers.BertConfig(**_OF_BERT | {"max_position_embeddings": 17, "type_vocab_size": 3} | changes)


def roberta(**changes):
    of_roberta = {"max_position_embeddings": 19, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
    return transformers.RobertaConfig(**_OF_BERT | of_roberta | changes)


def distilbert(**changes):
    sizes = {"vocab_size": 113, "dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 20, "max_position_embeddings": 17}
    return transformers.DistilBertConfig(**sizes | changes)


MASKED = {
    "bert": (bert, "BertForMaskedLM"),
    "bert-relu": (lambda: bert(hidden_act="relu"), "BertForMaskedLM"),
    "bert-pretraining": (bert, "BertForPreTraining"),
    "roberta": (roberta, "RobertaForMaskedLM"),
    "distilbert": (distilbert, "DistilBertForMaskedLM"),
}
PLAIN = {
    "bert": (bert, "BertModel"),
    "roberta": (roberta, "RobertaModel"),
    "distilbert": (distilbert, "DistilBertModel"),
}
SORTING = {
    "bert": (bert, "BertForSequenceClassification"),
    "roberta": (roberta, "RobertaForSequenceClassification"),
    "distilbert": (distilbert, "DistilBertForSequenceClassification"),
}


def ids(*shape):
    """Ids without the paddings of BERT (0) and RoBERTa (1), after which the latter's positions would stand still."""
    return oracles.ids(111, *shape) + 2


def padded(x, lengths):
    """The attention mask of transformers."""
    return (np.arange(x.shape[-1]) < np.asarray(lengths)[:, None]).astype(int)


@pytest.mark.parametrize("dtype", oracles.DTYPES)
@pytest.mark.parametrize("name", MASKED)
def test_logits(name, dtype, tmp_path):
    config, kind = MASKED[name]
    with oracles.precision(dtype):
        theirs = oracles.make(config(), kind)
        ours = load(oracles.write(theirs, tmp_path), dtype)
        of = "prediction_logits" if kind.endswith("PreTraining") else "logits"
        x = ids(4, 11)
        oracles.assert_close(ours.logits(x), oracles.outputs(theirs, x, of=of), dtype)
        lengths = [11, 3, 7, 1]
        found = np.asarray(ours.logits(x, lengths=np.array(lengths)))
        expected = oracles.outputs(theirs, x, of=of, attention_mask=padded(x, lengths))
        for n, length in enumerate(lengths):
            oracles.assert_close(found[n, :length], expected[n, :length], dtype)


@pytest.mark.parametrize("dtype", oracles.DTYPES)
@pytest.mark.parametrize("name", PLAIN)
def test_features(name, dtype, tmp_path):
    config, kind = PLAIN[name]
    with oracles.precision(dtype):
        theirs = oracles.make(config(), kind)
        ours = load(oracles.write(theirs, tmp_path), dtype)
        x = ids(2, 13)
        oracles.assert_close(ours.features(x), oracles.outputs(theirs, x, of="last_hidden_state"), dtype)
        with pytest.raises(ValueError, match=r"hyperparameters\.head is False"):
            ours.logits(x)


def test_types_of_tokens(tmp_path):
    with oracles.precision("float64"):
        theirs = oracles.make(bert(), "BertForMaskedLM")
        ours = load(oracles.write(theirs, tmp_path), "float64")
        x, types = ids(2, 9), np.tile([0, 0, 0, 0, 1, 1, 2, 2, 2], (2, 1))
        oracles.assert_close(ours.logits(x, types=types), oracles.outputs(theirs, x, token_type_ids=types), "float64")


@pytest.mark.parametrize("dtype", oracles.DTYPES)
@pytest.mark.parametrize("name", SORTING)
def test_classes(name, dtype, tmp_path):
    config, kind = SORTING[name]
    with oracles.precision(dtype):
        theirs = oracles.make(config(num_labels=5), kind)
        ours = load(oracles.write(theirs, tmp_path), dtype)
        assert heads_of(ours) == ["classification"]
        x = ids(3, 8)
        oracles.assert_close(class_logits(ours, x), oracles.outputs(theirs, x), dtype)


def test_pooled_head_and_next_sentence(tmp_path):
    with oracles.precision("float64"):
        theirs = oracles.make(bert(), "BertForPreTraining")
        ours = load(oracles.write(theirs, tmp_path), "float64")
        x = ids(3, 8)
        expected = oracles.outputs(theirs, x, of="seq_relationship_logits")
        oracles.assert_close(class_logits(ours, x, "next-sentence"), expected, "float64")
        oracles.assert_close(pooled(ours, x), oracles.outputs(theirs.bert, x, of="pooler_output"), "float64")


@pytest.mark.parametrize(("config", "kind"), [*MASKED.values(), *SORTING.values()])
def test_round_trip(config, kind, tmp_path):
    oracles.write(oracles.make(config(), kind), tmp_path / "theirs")
    of = "prediction_logits" if kind.endswith("PreTraining") else "logits"
    oracles.round_trip(
        tmp_path / "theirs", tmp_path / "ours", lambda model: oracles.outputs(model, ids(2, 5), of=of), kind
    )


@pytest.mark.parametrize("name", PLAIN)
def test_round_trip_without_a_head(name, tmp_path):
    """The file of a model alone has no prefix before its names. We write the prefix, and transformers does not mind."""
    config, kind = PLAIN[name]
    theirs = oracles.write(oracles.make(config(), kind), tmp_path / "theirs")
    save(tmp_path / "ours", load(theirs))
    found = oracles.tensors(tmp_path / "ours")
    expected = {f"{name}.{tensor}": value for tensor, value in oracles.tensors(theirs).items()}
    oracles.assert_same_tensors(found, expected)
    features = [
        oracles.outputs(oracles.read(d, kind), ids(2, 5), of="last_hidden_state") for d in (theirs, tmp_path / "ours")
    ]
    np.testing.assert_array_equal(*features)


def test_a_head_that_is_not_there(tmp_path):
    model = load(oracles.write(oracles.make(distilbert(), "DistilBertForMaskedLM"), tmp_path))
    x = ids(2, 5)
    with pytest.raises(ValueError, match=r"no head 'next-sentence'; it has none"):
        class_logits(model, x, "next-sentence")
    with pytest.raises(ValueError, match=r"no pooled head; those of distilbert: \['pre_classifier'\]"):
        pooled(model, x)
    model = load(oracles.write(oracles.make(bert(), "BertForPreTraining"), tmp_path))
    with pytest.raises(ValueError, match=r"no head 'classification'; it has next-sentence"):
        class_logits(model, x)
    with pytest.raises(ValueError, match=r"no head nose; it has bert\.pooler\.dense, cls\.seq_relationship"):
        head_parameters(model, "nose")


def test_what_configurations_may_not_say():
    for entry, value in (("position_embedding_type", "relative_key"), ("tie_word_embeddings", False)):
        with pytest.raises(ValueError, match=f"{entry} is {value!r}, and only"):
            BERT.hyperparameters(bert().to_dict() | {entry: value})
    with pytest.raises(ValueError, match="the activation 'swoosh' is not known"):
        BERT.hyperparameters(bert().to_dict() | {"hidden_act": "swoosh"})


def test_a_model_that_says_head_and_has_none(tmp_path):
    oracles.write(oracles.make(bert(), "BertModel"), tmp_path)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace("BertModel", "BertForMaskedLM"))
    with pytest.raises(ValueError, match=r"tensors are missing: cls\.predictions\.transform\.dense\.weight"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # As transformers counts them, less the pooled head of BertModel.
        ("bert-base-uncased", 109_514_298),
        ("bert-large-uncased", 335_174_458),
        ("roberta-base", 124_697_433 - 2 * 768),  # and the rows that no position has
        ("distilbert-base-uncased", 66_985_530),
        ("all-MiniLM-L6-v2", 22_713_216 - 384 * 385),
    ],
)
def test_published_sizes(name, parameters):
    hp = published(name)
    assert sum(leaf.size for leaf in jax.tree.leaves(expected("encoder", hp))) == parameters


def test_special_tokens():
    hp = published("bert-base-uncased")
    assert (hp.mask_token, hp.bos_token, hp.eos_token) == (103, 101, 102)
    hp = published("roberta-base")
    assert (hp.mask_token, hp.bos_token, hp.eos_token) == (50264, 0, 2)
    hp = published("antiberty")
    assert (hp.mask_token, hp.bos_token, hp.eos_token) == (4, 2, 3)
    assert hp.l_max == 512


def test_models_of_no_family_are_not_guessed_at(tmp_path):
    model = load(oracles.write(oracles.make(bert(), "BertForMaskedLM"), tmp_path))
    bare = Model("encoder", model.hyperparameters, model.params)
    with pytest.raises(ValueError, match="no family of Hugging Face models"):
        save(tmp_path / "saved", bare)
