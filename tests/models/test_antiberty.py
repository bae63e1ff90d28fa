"""AntiBERTy: published weights of a BERT that fills in masked residues of antibodies, read from their pickle."""

import numpy as np
import pytest

from formal_tx.models import load
from formal_tx.models.heads import class_logits, heads_of
from tests.models import weights

pytestmark = [pytest.mark.heavy]

# Variable domains as human and mouse germlines have them (heavy, kappa, lambda), joined to third loops and ends.
HEAVY = (
    "EVQLLESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYCAK",
    "QVQLVQSGAEVKKPGASVKVSCKASGYTFTSYGISWVRQAPGQGLEWMGWISAYNGNTNYAQKLQGRVTMTTDTSTSTAYMELRSLRSDDTAVYYCAR",
    "QVQLQESGPGLVKPSETLSLTCTVSGGSISSYYWSWIRQPPGKGLEWIGYIYYSGSTNYNPSLKSRVTISVDTSKNQFSLKLSSVTAADTAVYYCAR",
)
LIGHT = (
    "DIQMTQSPSSLSASVGDRVTITCRASQSISSYLNWYQQKPGKAPKLLIYAASSLQSGVPSRFSGSGSGTDFTLTISSLQPEDFATYYCQQSYSTP",
    "QSVLTQPPSASGTPGQRVTISCSGSSSNIGSNTVNWYQQLPGTAPKLLIYSNNQRPSGVPDRFSGSKSGTSASLAISGLQSEDEADYYCAAWDDSLNG",
)
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *RESIDUES]


def sequences(count: int = 50) -> list[str]:
    """Antibodies with random third loops, point mutations, and masked residues, written as `_`."""
    draw = np.random.default_rng(0)
    found = []
    for n in range(count):
        heavy = n % 2 == 0
        germline, end = (HEAVY, "WGQGTLVTVSS") if heavy else (LIGHT, "FGGGTKVEIK")
        loop = draw.choice(list(RESIDUES), draw.integers(3, 18) if heavy else 1)
        residues = np.array(list(germline[n // 2 % len(germline)] + "".join(loop) + end))
        mutated = draw.random(len(residues)) < 0.05
        residues[mutated] = draw.choice(list(RESIDUES), mutated.sum())
        residues[draw.random(len(residues)) < 0.1] = "_"
        found.append("".join(residues))
    return found


def ids(sequence: str) -> np.ndarray:
    """As its tokenizer has them: a token for each residue, between [CLS] and [SEP]."""
    inside = ["[MASK]" if residue == "_" else residue for residue in sequence]
    return np.array([VOCABULARY.index(token) for token in ("[CLS]", *inside, "[SEP]")])


def batch() -> tuple[np.ndarray, np.ndarray]:
    """The sequences, padded, and their lengths."""
    rows = [ids(sequence) for sequence in sequences()]
    x = np.zeros((len(rows), max(map(len, rows))), int)
    for row, padded in zip(rows, x, strict=True):
        padded[: len(row)] = row
    return x, np.array([len(row) for row in rows])


@pytest.mark.oracle
def test_masked_residues_as_transformers_has_them():
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    path = weights.path("antiberty")
    model = load(path.parent)
    theirs = transformers.BertForMaskedLM(transformers.BertConfig.from_pretrained(path.parent)).eval()
    state = torch.load(path, map_location="cpu", weights_only=True)
    report = theirs.load_state_dict(state, strict=False)
    assert report.missing_keys == []

    x, lengths = batch()
    attention_mask = (np.arange(x.shape[1]) < lengths[:, None]).astype(int)
    with torch.no_grad():
        expected = theirs(torch.as_tensor(x), attention_mask=torch.as_tensor(attention_mask)).logits.numpy()
    found = np.asarray(model.logits(x, lengths=lengths))
    masked = x == VOCABULARY.index("[MASK]")
    assert masked.sum() > 400
    assert np.abs(found - expected)[masked].max() <= 1e-3
    assert np.abs(found - expected)[attention_mask == 1].max() <= 1e-3


def test_it_knows_germlines_and_chains():
    model = load(weights.path("antiberty").parent)
    assert model.hyperparameters.mask_token == VOCABULARY.index("[MASK]")
    x = ids(HEAVY[0] + "GGFDYWGQGTLVTVSS")
    masked = x.copy()
    places = [6, 23, 37, 48, 97]  # of which germlines leave no doubt
    masked[places] = model.hyperparameters.mask_token
    assert list(np.asarray(model.logits(masked)).argmax(axis=-1)[places]) == list(x[places])
    assert heads_of(model) == ["species", "chain", "graft"]
    chains = [class_logits(model, ids(germline), "chain").argmax() for germline in (*HEAVY, *LIGHT)]
    assert chains == [0, 0, 0, 1, 1]
    human = 1
    assert class_logits(model, ids(HEAVY[0] + "GGFDYWGQGTLVTVSS"), "species").argmax() == human
