"""ANNalog's own weights: the same logits and the same molecules as its own code."""

import importlib
import pickle
import re
import sys
import types

import jax
import numpy as np
import pytest

from formal_tx.inference import ed_inference
from formal_tx.models.annalog import SMILESTokenizer, load_annalog
from tests.models import weights

SPECIAL = ("<unk>", "<pad>", "<sos>", "<eos>")
VOCABULARY = "stereo_experiment_vocab_ttf.pkl"


@pytest.fixture(scope="module")
def files():
    checkpoint = weights.path("annalog")
    return checkpoint, checkpoint.parent / VOCABULARY


@pytest.fixture(scope="module")
def ours(files):
    return load_annalog(*files)


@pytest.fixture(scope="module")
def theirs(files):
    """Its own code. Two packages that it imports only look for invalid molecules afterwards: they are left empty."""
    pytest.importorskip("torch")
    code = files[0].parents[2]
    empty = {"rdkit": types.ModuleType("rdkit"), "partialsmiles": types.ModuleType("partialsmiles")}
    empty["rdkit"].Chem = None
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(code))
        for name, module in empty.items():
            if name not in sys.modules:
                patch.setitem(sys.modules, name, module)
        handler = importlib.import_module("annalog.model_handler")
        search = importlib.import_module("annalog.model_files.multi_gen_final")
        checkpoint, vocabulary = map(str, files)
        yield handler.SMILESModelHandler(vocabulary, vocabulary, checkpoint, device="cpu"), search


# Known drugs and natural products, and fragments of such.
SCAFFOLDS = (
    *("CC(=O)Oc1ccccc1C(=O)O", "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "CC(=O)Nc1ccc(O)cc1"),
    *("CN1CCCC1c1cccnc1", "C[C@H](N)C(=O)O", "OC(=O)c1ccccc1O", "NCCc1ccc(O)c(O)c1", "CN(C)CCc1c[nH]c2ccccc12"),
    *("Clc1ccc(cc1)C(c1ccccc1)N1CCN(C)CC1", "FC(F)(F)c1ccccc1", "O=C(O)c1cccnc1", "CCN(CC)CCOC(=O)c1ccc(N)cc1"),
    *(
        "COc1ccc2[nH]cc(CCNC(C)=O)c2c1",
        "c1ccc2c(c1)ccc1ccccc12",
        "O=S(=O)(N)c1ccc(N)cc1",
        "CC(C)NCC(O)COc1cccc2ccccc12",
    ),
    *("C#CCN(C)C(C)Cc1ccccc1", "Brc1ccc2[nH]ccc2c1", "OC[C@H]1OC(O)[C@H](O)[C@@H](O)[C@@H]1O"),
)
CHAINS = ("", "C", "CC", "CO", "CN", "FC", "ClC", "BrC", "OCC", "NCC")


def molecules() -> list[str]:
    """A hundred: every scaffold with five chains before it."""
    return [chain + scaffold for i, scaffold in enumerate(SCAFFOLDS) for chain in CHAINS[i % 2 :: 2]]


def test_there_are_a_hundred_molecules():
    assert len(set(molecules())) == 100


@pytest.mark.oracle
@pytest.mark.heavy
def test_greedy_output_is_that_of_its_own_code(ours, theirs):
    handler, search = theirs
    same = {}
    for molecule in molecules():
        x = ed_inference(
            ours.tokenizer.encode(molecule),
            ours.params,
            ours.hyperparameters,
            temperature=1e-6,
            key=jax.random.key(0),
            l_max=ours.hyperparameters.l_max - 1,
        )
        found = search.get_sim_smiles_decoding(
            molecule, handler.SRC, handler.TRG, handler.model, handler.device, 102, 1, 1.0, generation_method="beam"
        )
        same[molecule] = (ours.tokenizer.decode(x), *(text for text, _ in found))
    assert all(len(texts) == 2 for texts in same.values())
    assert {molecule: texts for molecule, texts in same.items() if texts[0] != texts[1]} == {}
    assert len({texts[0] for texts in same.values()}) > 50  # they are not all one molecule


@pytest.mark.oracle
@pytest.mark.heavy
def test_logits_are_those_of_its_own_code(ours, theirs):
    import torch

    handler, _ = theirs
    z, x = ours.tokenizer.encode(molecules()[3])[None], ours.tokenizer.encode(molecules()[42])[None, :-1]
    with torch.no_grad():
        expected, _ = handler.model(torch.as_tensor(z).long(), torch.as_tensor(x).long())
    np.testing.assert_allclose(ours.logits(z, x), expected.numpy(), atol=1e-4, rtol=0)


@pytest.mark.oracle
@pytest.mark.heavy
def test_ids_are_those_of_its_own_code(ours, theirs):
    handler, _ = theirs
    for molecule in (*molecules(), "C%12CC[Xx]Cl", "", "[Na+].[Cl-]"):
        expected = handler.SRC.process([handler.SRC.preprocess(molecule)])[0].tolist()
        assert ours.tokenizer.encode(molecule).tolist() == expected


@pytest.mark.heavy
def test_sizes(ours):
    hp = ours.hyperparameters
    assert (hp.L_enc, hp.L_dec, hp.H, hp.d_e, hp.d_mlp) == (3, 3, 8, 256, 512)
    assert (hp.N_V, hp.N_V_z, hp.l_max, hp.l_max_z) == (59, 59, 102, 102)


def tokenizer() -> SMILESTokenizer:
    return SMILESTokenizer((*SPECIAL, "C", "Cl", "[C@H]", "%12", "1"))


def test_a_molecule_is_cut_into_tokens():
    assert tokenizer().encode("C[C@H]Cl%121Q").tolist() == [2, 4, 6, 5, 7, 8, 0, 3]
    assert tokenizer().decode([2, 4, 6, 5, 3, 4]) == "C[C@H]Cl"
    assert tokenizer().decode([2, 4]) == "C"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no pickle", "is no vocabulary of ANNalog"),
        (pickle.dumps(["C"]), "it has no list of tokens 'itos'"),
        (pickle.dumps({"itos": [*SPECIAL, 7]}), "it has no list of tokens 'itos'"),
        (pickle.dumps({"itos": ["C", "<pad>"]}), "the vocabulary has no <unk>, <sos>, <eos>"),
        (pickle.dumps({"itos": [*SPECIAL, "C", "C"]}), "the vocabulary has a token twice"),
    ],
)
def test_another_file_is_no_vocabulary(tmp_path, content, message):
    (tmp_path / "v.pkl").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)):
        SMILESTokenizer.load(tmp_path / "v.pkl")


def test_a_vocabulary_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("executed",)

    (tmp_path / "v.pkl").write_bytes(pickle.dumps({"itos": Evil()}))
    with pytest.raises(ValueError, match="print"):
        SMILESTokenizer.load(tmp_path / "v.pkl")
