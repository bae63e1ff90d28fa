"""GGUF files: types against the gguf package and by hand, models against transformers, tokenizers, and broken files."""

import json
import struct
import tempfile
import tracemalloc
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from formal_tx.models import load, memory, save
from formal_tx.models.chat import render
from formal_tx.models.generate import chat, complete
from formal_tx.models.gguf import load_gguf, read_outline
from formal_tx.models.gguf.entries import Entries
from formal_tx.models.gguf.file import GGUFFile
from formal_tx.models.gguf.header import read_header
from formal_tx.models.gguf.quantization import block_type
from formal_tx.models.gguf.tokenizer import tokenizer_of
from tests.models import gguf_writing as writing
from tests.models.gguf_writing import LLAMA, TOKENIZER, VOCABULARY, gguf, small_llama

TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "Q4_K": 12, "Q6_K": 14, "BF16": 30}


# Types


def halves(*numbers):
    return np.array(numbers, "<f2").tobytes()


def by_hand(name, block):
    """A block's numbers one by one, as ggml-quants.c has them."""
    d, m = np.frombuffer(block[:4], "<f2").astype(np.float64)
    numbers = []
    if name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1"):
        skip = 4 if name.endswith("1") else 2
        fifth = 0
        if name.startswith("Q5"):
            (fifth,) = struct.unpack("<I", block[skip : skip + 4])
            skip += 4
        for k in range(32):
            q = block[skip + k % 16] >> (4 if k >= 16 else 0) & 15 | (fifth >> k & 1) << 4
            numbers.append(d * q + m if name.endswith("1") else d * (q - (8 if name == "Q4_0" else 16)))
    elif name == "Q8_0":
        numbers = [d * q for q in np.frombuffer(block[2:], np.int8)]
    elif name == "Q4_K":
        for k in range(256):
            j, s = k // 32, block[4:16]
            scale = s[j] & 63 if j < 4 else s[j + 4] & 15 | s[j - 4] >> 6 << 4
            offset = s[j + 4] & 63 if j < 4 else s[j + 4] >> 4 | s[j] >> 6 << 4
            q = block[16 + 32 * (k // 64) + k % 32] >> (4 if k % 64 >= 32 else 0) & 15
            numbers.append(d * scale * q - m * offset)
    elif name == "Q6_K":
        (d,) = np.frombuffer(block[208:], "<f2").astype(np.float64)
        for k in range(256):
            half, within = divmod(k, 128)
            quarter, l = divmod(within, 32)
            low = block[64 * half + 32 * (quarter % 2) + l] >> (4 if quarter >= 2 else 0) & 15
            high = block[128 + 32 * half + l] >> 2 * quarter & 3
            numbers.append(
                d * np.int8(block[192 + k // 16] - 256 * (block[192 + k // 16] > 127)) * ((low | high << 4) - 32)
            )
    return np.array(numbers)


@pytest.mark.parametrize("name", [name for name in TYPES if name.startswith("Q")])
def test_blocks_by_hand(name):
    kind = block_type(TYPES[name])
    rng = np.random.default_rng(TYPES[name])
    for _ in range(20):
        block = bytearray(rng.integers(0, 256, kind.bytes, np.uint8).tobytes())
        block[:4] = halves(*rng.normal(size=2))
        if name == "Q6_K":
            block[208:] = halves(rng.normal())
        found = kind.decode(np.frombuffer(bytes(block), np.uint8)[None])[0]
        expected = by_hand(name, bytes(block))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=3e-7, atol=3e-7 * np.abs(expected).max())


def test_the_numbers_of_a_known_block():
    """arange(32) - 16 in Q4_0, by the reference quantiser: d = 2, and halves are rounded up."""
    packed = [0, 64, 128, 145, 145, 162, 162, 179, 179, 196, 196, 213, 213, 230, 230, 247, 247, 248]
    found = block_type(2).decode(np.array([packed], np.uint8))[0]
    assert np.abs(found - (np.arange(32) - 16)).max() <= 1
    assert found[0] == -16
    assert found[16] == 0


def test_plain_numbers_and_their_views():
    x = np.array([1.5, -2.0, 3.25e-3, 65504.0], np.float32)
    for name, dtype in (("F32", "<f4"), ("F16", "<f2")):
        found = block_type(TYPES[name]).numbers(np.frombuffer(x.astype(dtype).tobytes(), np.uint8), (2, 2))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, x.astype(dtype).reshape(2, 2))
    raw = (x.view("<u4") >> 16).astype("<u2")
    found = block_type(30).numbers(np.frombuffer(raw.tobytes(), np.uint8), (4,))
    np.testing.assert_array_equal(found.view("<u4"), raw.astype("<u4") << 16)


@pytest.mark.oracle
@pytest.mark.parametrize("name", TYPES)
def test_blocks_against_the_gguf_package(name):
    package = pytest.importorskip("gguf")
    kind = block_type(TYPES[name])
    raw = np.random.default_rng(0).integers(0, 256, (8, 64 * kind.bytes), np.uint8)
    with np.errstate(all="ignore"):  # some scales are nan
        expected = package.quants.dequantize(raw, package.GGMLQuantizationType(TYPES[name]))
        found = kind.numbers(raw.reshape(-1), (8, 64 * kind.length)).astype(np.float32)
    assert found.shape == expected.shape
    nan = np.isnan(expected)
    assert not nan.all()
    np.testing.assert_array_equal(np.isnan(found), nan)
    np.testing.assert_array_equal(found.view("<u4")[~nan], expected.astype(np.float32).view("<u4")[~nan])


@pytest.mark.oracle
def test_the_gguf_package_writes_what_is_read(tmp_path):
    package = pytest.importorskip("gguf")
    writer = package.GGUFWriter(tmp_path / "x.gguf", "llama")
    x = np.random.default_rng(0).normal(size=(3, 512)).astype(np.float32)
    for name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "BF16", "F16"):
        kind = package.GGMLQuantizationType[name]
        writer.add_tensor(name, package.quants.quantize(x, kind), raw_dtype=kind)
    writer.add_tensor("F32", x)
    writer.add_array("numbers", [1, 2, 3])
    writer.add_array("texts", ["ä", ""])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file = GGUFFile(tmp_path / "x.gguf")
    assert file.header.entries["texts"] == ["ä", ""]
    assert file.header.entries["numbers"].tolist() == [1, 2, 3]
    for tensor in package.GGUFReader(tmp_path / "x.gguf").tensors:
        np.testing.assert_array_equal(file[tensor.name], package.quants.dequantize(tensor.data, tensor.tensor_type))


# Headers


def test_every_type_of_entry():
    entries = {
        "text": "ä€",
        "none": "",
        "truth": True,
        **{kind: np.dtype(kind).type(3) for kind in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")},
        "numbers": np.array([1, -2], np.int16),
        "truths": np.array([True, False]),
        "texts": ["a", "", "ß"],
        "empty": [],
    }
    for version in (2, 3):
        header = read_header(gguf(entries, version=version))
        assert header.version == version
        assert list(header.entries) == list(entries)
        for name, expected in entries.items():
            found = header.entries[name]
            np.testing.assert_array_equal(found, expected)
            assert isinstance(found, np.ndarray) == isinstance(expected, np.ndarray)


@pytest.mark.parametrize("alignment", [1, 8, 256])
def test_tensors_are_where_the_alignment_says(alignment):
    a, b = np.arange(3, dtype=np.float32), np.arange(12, dtype=np.float16).reshape(2, 3, 2)
    tensors = [("a", (3,), 0, a.tobytes()), ("b", (2, 3, 2), 1, b.tobytes())]
    content = gguf({"general.alignment": np.uint32(alignment)}, tensors)
    header = read_header(content)
    assert header.data % alignment == 0
    for name, expected in (("a", a), ("b", b)):
        tensor = header.tensors[name]
        raw = np.frombuffer(content, np.uint8)[tensor.begin : tensor.end]
        np.testing.assert_array_equal(tensor.type.numbers(raw, tensor.shape), expected)


def test_a_file_is_a_mapping_that_reads_what_is_asked_for(tmp_path):
    file = GGUFFile(small_llama(tmp_path / "x.gguf"))
    assert len(file) == len(list(file)) == 20
    assert "token_embd.weight" in file
    assert "nothing" not in file
    assert not file["token_embd.weight"].flags.writeable


# Models


def test_a_llama_is_what_it_is_in_the_form_of_hugging_face(tmp_path):
    state = writing.llama_state()
    (tmp_path / "hf").mkdir()
    save_file(state, tmp_path / "hf" / "model.safetensors")
    (tmp_path / "hf" / "config.json").write_text(json.dumps(LLAMA | {"bos_token_id": 0, "eos_token_id": 1}))
    other, ours = load(tmp_path / "hf"), load(small_llama(tmp_path / "x.gguf"))
    assert ours.hyperparameters == other.hyperparameters
    jax.tree.map(np.testing.assert_array_equal, ours.params, other.params)
    assert (ours.family, ours.architecture) == ("llama", "decoder")


def test_a_model_from_a_file_can_be_saved_as_hugging_faces(tmp_path):
    save(tmp_path / "hf", load(small_llama(tmp_path / "x.gguf")))
    again = load(tmp_path / "hf")
    from safetensors.numpy import load_file

    found = load_file(tmp_path / "hf" / "model.safetensors")
    for name, W in writing.llama_state().items():
        np.testing.assert_array_equal(found[name], W)
    assert again.tokenizer.decode(again.tokenizer.encode("ab c12")) == "ab c12"


def test_the_type_of_parameters(tmp_path):
    path = small_llama(tmp_path / "x.gguf")
    assert load(path).params.W_e.dtype == "float32"
    assert load(path, "bfloat16").params.W_e.dtype == "bfloat16"
    described, state = writing.converted("llama", LLAMA, writing.llama_state())
    halves = [(n, W.shape, 1, W.astype(np.float16).tobytes()) for n, W in state.items()]
    path.write_bytes(gguf(described | TOKENIZER, halves))
    assert {W.dtype.name for W in jax.tree.leaves(load(path).params)} == {"float32"}


CONFIGS = {
    "llama": ("LlamaConfig", {}),
    "llama-untied": ("LlamaConfig", {"tie_word_embeddings": False, "attention_bias": True}),
    "qwen2": ("Qwen2Config", {}),
    "qwen3": ("Qwen3Config", {"tie_word_embeddings": False}),
    "gemma": ("GemmaConfig", {}),
    "gemma2": (
        "Gemma2Config",
        {
            "sliding_window": 5,
            "query_pre_attn_scalar": 8,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 3.0,
        },
    ),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", [*CONFIGS, "gpt2"])
def test_models_of_transformers(name, tmp_path):
    oracles = pytest.importorskip("tests.models.oracles")
    import transformers

    if name == "gpt2":
        config = transformers.GPT2Config(n_positions=24, n_embd=12, n_layer=2, n_head=3, n_inner=20, vocab_size=13)
    else:
        kind, more = CONFIGS[name]
        given = {key: size for key, size in LLAMA.items() if key not in ("model_type", "rms_norm_eps", "head_dim")}
        config = getattr(transformers, kind)(**{**given, "rms_norm_eps": 1e-5, "head_dim": 8, **more})
    theirs = oracles.make(config)
    state = {key: W.numpy() for key, W in theirs.state_dict().items()}
    entries, tensors = writing.converted(name.partition("-")[0], config.to_dict(), state)
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf(entries | TOKENIZER, writing.plain(tensors)))
    x = oracles.ids(13, 2, 17)
    ours = load_gguf(path)
    print(oracles.compare_logits(ours, theirs, x, "float32"))
    save(tmp_path / "hf", ours)
    np.testing.assert_allclose(oracles.outputs(oracles.read(tmp_path / "hf"), x), oracles.outputs(theirs, x), atol=1e-5)


@pytest.mark.parametrize(
    ("entries", "scaling"),
    [
        ({"llama.rope.scaling.type": "none"}, "None"),
        (
            {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": np.float32(4)},
            "LinearScaling(factor=4.0)",
        ),
    ],
)
def test_rotary_scaling(tmp_path, entries, scaling):
    hp = read_outline(small_llama(tmp_path / "x.gguf", entries)).hyperparameters
    assert repr(hp.rotate.scaling) == scaling


def test_the_scaling_of_llama_3_is_known_by_its_divisors(tmp_path):
    from formal_tx.positional import Llama3Scaling, Rotary

    frequencies = Rotary(1000.0).frequencies(4)
    divisors = frequencies / Llama3Scaling(8.0, 8192)(frequencies)
    path = small_llama(tmp_path / "x.gguf", tensors={"rope_freqs.weight": np.append(divisors[:-1], 8.0)})
    with pytest.raises(ValueError, match=r"rope_freqs\.weight divides the rotary frequencies otherwise"):
        read_outline(path)
    # A base so large that the slow pair is slow.
    base = {"llama.rope.freq_base": np.float32(1e12)}
    frequencies = Rotary(1e12).frequencies(4)
    divisors = frequencies / Llama3Scaling(8.0, 8192)(frequencies)
    path = small_llama(tmp_path / "x.gguf", base, {"rope_freqs.weight": divisors})
    assert read_outline(path).hyperparameters.rotate.scaling == Llama3Scaling(8.0, 8192)
    load(path)


# Tokenizers


def test_byte_level_tokens(tmp_path):
    tokenizer = load(small_llama(tmp_path / "x.gguf")).tokenizer
    pieces = [VOCABULARY[i] for i in tokenizer.encode(" abc1 ab\n12<s>")]
    assert pieces == ["Ġab", "c", "1", "Ġab", "Ċ", "1", "2", "<s>"]  # a digit is a word, whatever the merges
    assert tokenizer.decode(tokenizer.encode(" abc1 ab\n12")) == " abc1 ab\n12"
    assert tokenizer.decode([0, 3]) == "a"
    assert tokenizer.chat_template == TOKENIZER["tokenizer.chat_template"]


@pytest.mark.parametrize(("add", "expected"), [("bos", [0, 3]), ("eos", [3, 1])])
def test_tokens_around_a_text(tmp_path, add, expected):
    tokenizer = load(small_llama(tmp_path / "x.gguf", {f"tokenizer.ggml.add_{add}_token": True})).tokenizer
    assert tokenizer.encode("a").tolist() == expected
    assert tokenizer.encode("a", special=False).tolist() == [3]


def best_first(text, scores):
    """SentencePiece's way, by its definition: the neighbours whose token scores best, the leftmost first."""
    pieces = list(text)
    while True:
        pairs = [(-scores[a + b], i) for i, (a, b) in enumerate(pairwise(pieces)) if a + b in scores]
        if not pairs:
            return pieces
        _, i = min(pairs)
        pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]


def test_pieces_by_score():
    letters = ["▁", *"abcd"]
    longer = ["ab", "bc", "▁a", "abc", "cd", "abcd", "▁ab", "dd", "ddd", "dddd", "▁▁", "bcd"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), *letters, *longer]
    rng = np.random.default_rng(0)
    for _ in range(5):
        scores = np.concatenate([np.zeros(259), np.full(5, -1e9), -rng.permutation(len(longer))]).astype(np.float32)
        entries = {
            "general.architecture": "llama",
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.scores": scores,
            "tokenizer.ggml.token_type": np.array([2, 3, 3] + 256 * [6] + 17 * [1], np.int32),
            "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.unknown_token_id": 0,
        }
        tokenizer = tokenizer_of(Entries(entries))
        by_token = {t: s for t, s in zip(tokens, scores.tolist(), strict=True) if t in letters + longer}
        for _ in range(40):
            text = "".join(rng.choice(list("abcd "), 12))
            found = [tokens[i] for i in tokenizer.encode(text)]
            assert found == ["<s>", *best_first(f"▁{text}".replace(" ", "▁"), by_token)]
            assert tokenizer.decode(tokenizer.encode(text)) == text
    assert [tokens[i] for i in tokenizer.encode("é")] == ["<s>", "▁", "<0xC3>", "<0xA9>"]
    assert tokenizer.decode(tokenizer.encode("aé")) == "aé"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"tokenizer.ggml.model": "rwkv"}, "tokenizer.ggml.model is 'rwkv', expected one of gpt2, llama"),
        ({"tokenizer.ggml.pre": "xyz"}, "tokenizer.ggml.pre is 'xyz', expected one of gpt-2"),
        ({"tokenizer.ggml.tokens": [*VOCABULARY[:-1], "a"]}, "has 'a' twice, as 3 and 12"),
        ({"tokenizer.ggml.merges": ["a b", "q z"]}, "tokenizer.ggml.merges has 'q z' at 1, expected two tokens"),
        ({"tokenizer.ggml.merges": ["ab"]}, "tokenizer.ggml.merges has 'ab' at 0"),
        ({"tokenizer.ggml.token_type": np.zeros(5, np.int32)}, "token_type is an array of 5 elements, expected .* 13"),
        ({"tokenizer.ggml.tokens": "abc"}, "tokenizer.ggml.tokens is 'abc', expected a list of strings"),
        ({"tokenizer.ggml.eos_token_id": np.uint32(13)}, r"eos_token_id is 13, outside \[0, N_V\) = \[0, 13\)"),
        (
            {"llama.vocab_size": np.uint32(9), "tokenizer.ggml.eos_token_id": None},
            r"token_embd.weight has shape \(13, 12\)",
        ),
        ({"tokenizer.chat_template": np.float32(1)}, "tokenizer.chat_template is 1.0, expected a string"),
    ],
)
def test_bad_tokenizers(tmp_path, entries, message):
    path = small_llama(tmp_path / "x.gguf", entries)
    with pytest.raises(ValueError, match=message) as raised:
        load(path)
    assert str(raised.value).startswith(str(path))


# Text


def test_text_and_conversations(tmp_path):
    model = load(small_llama(tmp_path / "x.gguf"))
    text = "".join(complete(model, "ab", tokens=9, temperature=0))
    ids = list(model.tokenizer.encode("ab"))
    for _ in range(9):
        padded = np.array(ids + [0] * (16 - len(ids)), np.int32)
        ids.append(int(np.argmax(model.logits(padded)[len(ids) - 1])))
        if ids[-1] == 1:
            break
    assert text == model.tokenizer.decode(ids[1:])
    said = "".join(chat(model, [{"role": "a", "content": "b"}], tokens=9, temperature=0))
    assert said == "".join(complete(model, "ab", tokens=9, temperature=0))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ ''.__class__.__mro__ }}", "access to attribute '__class__' of 'str' object is unsafe"),
        ("{{ messages.append(1) }}", "is not safely callable|is unsafe"),
        ("{{ raise_exception('roles must alternate') }}", "the chat template: roles must alternate"),
        ("{% for %}", "the chat template: "),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ messages[9]['role'] }}", "has no element 9"),
        ("{% for i in range(1000000) %}{% endfor %}", "[Rr]ange"),
    ],
)
def test_chat_templates_that_ask_for_too_much(template, message):
    with pytest.raises(ValueError, match=message):
        render(template, [{"role": "user", "content": "x"}])


def test_a_chat_template():
    template = (
        "{{ bos_token }}{% for m in messages %}\n<{{ m.role }}>{{ m.content }}{% endfor %}\n"
        "{% if add_generation_prompt %}!{% endif %}"
    )
    # The end of a line after a block is the block's, as where these templates come from.
    assert render(template, [{"role": "user", "content": "{{ x }}"}], bos_token="^") == "^<user>{{ x }}!"


def test_a_model_without_a_template_or_a_tokenizer(tmp_path):
    model = load(small_llama(tmp_path / "x.gguf", {"tokenizer.chat_template": None}))
    with pytest.raises(ValueError, match="the model has no chat template"):
        chat(model, [{"role": "user", "content": "x"}])
    without = {name: None for name in TOKENIZER if not name.endswith("_id")}
    model = load(small_llama(tmp_path / "y.gguf", without))
    assert model.tokenizer is None
    with pytest.raises(ValueError, match="the model has no tokenizer"):
        complete(model, "x")


def test_an_empty_prompt_begins_a_text(tmp_path):
    model = load(small_llama(tmp_path / "x.gguf"))
    text = "".join(complete(model, "<s>", tokens=3, temperature=0))
    assert "".join(complete(model, "", tokens=3, temperature=0)) == text
    model = load(small_llama(tmp_path / "x.gguf", {"tokenizer.ggml.bos_token_id": None}))
    with pytest.raises(ValueError, match="the prompt is empty, expected text"):
        complete(model, "")


# Broken files


def described(**changed):
    entries = {"general.architecture": "llama"} | {name.replace("__", "."): given for name, given in changed.items()}
    return entries


F32 = np.ones(4, np.float32).tobytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty, expected a GGUF file"),
        (b"GG", "byte 0: the magic needs 4 bytes, and 2 are left"),
        (b"GGML" + bytes(20), "begins with b'GGML', expected b'GGUF'"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), r"byte 4: the version is 1, expected one of \(2, 3\)"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "in the other order"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0), "byte 8: the number of tensors is 9223372036854775808, for which"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2), "byte 16: the number of entries is 2, for which the 0 bytes"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**40) + bytes(9), "byte 24: the length of the name of an entry is"),
        (gguf(described()) .replace(b"llama", b"ll\xffma"), "is no UTF-8: invalid start byte"),
        (gguf({"general.alignment": np.uint32(24)}), "general.alignment is 24, expected a power of two"),
        (gguf({"general.alignment": "32"}), "general.alignment is '32', expected a power of two"),
        (gguf({"a": True}).replace(struct.pack("<IB", 7, 1), struct.pack("<IB", 7, 2)), "the boolean 2, expected 0"),
        (gguf({"a": True}).replace(struct.pack("<IB", 7, 1), struct.pack("<IB", 13, 1)), "entry 'a' has the type 13"),
        (gguf({"a": ["b"]}).replace(struct.pack("<II", 9, 8), struct.pack("<II", 9, 9)), "elements of type 9"),
        (gguf(described(), [("t", (4,), 9, F32)]), "tensor 't': has the type 9, which is not known; .* 3 .Q4_1"),
        (gguf(described(), [("t", (4,), 2, F32)]), r"has shape \(4,\), expected rows of a multiple of 32 in Q4_0"),
        (gguf(described(), [("t", (0,), 0, b"")]), r"has shape \(0,\)"),
        (gguf(described(), [("t", (1,) * 5, 0, F32)]), "has 5 axes, expected 1 to 4"),
        (gguf(described(), [("t", (2**40, 2**40), 0, F32)]), "ends at byte [0-9]+, and the file has [0-9]+"),
        (gguf(described(), [("t", (4,), 0, F32), ("t", (4,), 0, F32)]), "tensor 't' is there a second time"),
        (gguf(described(), [("t", (9,), 0, F32), ("u", (4,), 0, F32)]), "tensors 't' and 'u' overlap"),
        (gguf({"a": "", "b": ""}).replace(b"b", b"a"), "there is a second entry 'a'"),
        (gguf({}), "there is no entry general.architecture"),
        (gguf(described(general__architecture="lama")), "the architecture 'lama' is not known; the nearest is llama"),
        (gguf(described(general__architecture="rwkv7")), "the architecture 'rwkv7' is not known; they are gemma"),
        (gguf(described()), "there is no entry llama.embedding_length"),
        (gguf(described(llama__embedding_length="x")), "the entry embedding_length is 'x', expected an integer"),
    ],
)  # fmt: skip
def test_broken_headers(tmp_path, content, message):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        load(path)
    assert str(path) in str(raised.value)


def test_an_offset_that_is_not_aligned():
    content = bytearray(gguf({}, [("t", (4,), 0, F32), ("u", (4,), 0, F32)]))
    at = content.index(struct.pack("<IQ", 0, 32), 24)
    content[at + 4] = 33
    with pytest.raises(ValueError, match="tensor 'u' has the offset 33, expected a multiple of 32"):
        read_header(bytes(content))


@pytest.mark.parametrize(
    ("entries", "tensors", "message"),
    [
        ({}, {"blk.1.ffn_up.weight": None}, "tensors are missing: blk.1.ffn_up.weight"),
        ({}, {"blk.2.ffn_up.weight": np.ones(3)}, "tensors are left over: .* blk.2.ffn_up.weight"),
        ({}, {"blk.0.attn_k.weight": np.ones((6, 12))}, "tensor blk.0.attn_k.weight has 6 rows, expected 1 heads of 4"),
        ({}, {"blk.0.ffn_up.weight": np.ones((21, 12))}, r"tensor blk.0.ffn_up.weight has shape \(21, 12\)"),
        ({"llama.block_count": np.uint32(3)}, {}, "tensors are missing: blk.2.attn_norm.weight"),
        (
            {"llama.block_count": np.uint32(2**31)},
            {},
            "tensors are missing: blk.2.attn_norm.weight, .* and [0-9]+ more",
        ),
        ({"llama.block_count": np.int32(-1)}, {}, "block_count is -1, expected an integer of at least 1"),
        ({"llama.embedding_length": np.uint32(2**31)}, {}, r"token_embd.weight has shape \(13, 12\)"),
        ({"llama.attention.head_count": np.uint32(0)}, {}, "attention.head_count is 0, expected"),
        ({"llama.attention.head_count_kv": np.uint32(2)}, {}, "H_kv is 2, expected a divisor of H = 3"),
        ({"llama.attention.head_count_kv": np.array([1, 1], np.int32)}, {}, "head_count_kv is an array of 2 elements"),
        ({"llama.attention.value_length": np.uint32(3)}, {}, "value_length is 3, and only 4, d_attn, is supported"),
        ({"llama.attention.layer_norm_rms_epsilon": np.float32(np.nan)}, {}, "rms_epsilon is nan, expected a finite"),
        ({"llama.expert_count": np.uint32(8)}, {}, "mixture of experts"),
        (
            {"llama.rope.scaling.type": "longrope", "llama.rope.scaling.factor": np.float32(2)},
            {},
            "'longrope', expected",
        ),
    ],
)
def test_models_that_contradict_themselves(tmp_path, entries, tensors, message):
    path = small_llama(tmp_path / "x.gguf", entries, tensors)
    with pytest.raises(ValueError, match=message) as raised:
        load(path)
    assert str(raised.value).startswith(str(path))


def test_a_model_larger_than_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 5000)
    with pytest.raises(ValueError, match=r"parameters take .* as float32, and .* of memory are available"):
        load(small_llama(tmp_path / "x.gguf"))


def mutated(rng, content, header):
    """The bytes with their first `header` bytes damaged in one of several ways."""
    raw = bytearray(content)
    how = rng.integers(5)
    if how == 0:  # cut anywhere
        return bytes(raw[: rng.integers(len(raw))])
    if how == 1:  # bits flipped
        for _ in range(rng.integers(1, 9)):
            raw[rng.integers(header)] ^= 1 << rng.integers(8)
    elif how == 2:  # a count, a length or a type that is extreme
        at = rng.integers(4, header - 8)
        raw[at : at + 8] = struct.pack("<Q", [0, 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1][rng.integers(7)])
    elif how == 3:  # bytes missing, or too many
        at, n = rng.integers(header), rng.integers(1, 40)
        raw[at : at + n * rng.integers(2)] = rng.integers(0, 256, n * rng.integers(2), np.uint8).tobytes()
    else:  # one part over another
        a, b, n = rng.integers(header), rng.integers(header), rng.integers(1, 60)
        raw[a : a + n] = raw[b : b + n]
    return bytes(raw)


def assert_survives(count, seed, whole):
    """`count` damaged headers are read or refused by a `ValueError`; most are refused. No memory to speak of is used.

    A header has no checksum: what changes a letter of a name, or a number within its range, is another good header.
    """
    rng, refused = np.random.default_rng(seed), 0
    with tempfile.TemporaryDirectory() as place:
        path = small_llama(Path(place) / "x.gguf")
        content = path.read_bytes()
        header = read_header(content).data
        for _ in range(count):
            broken = mutated(rng, content, header)
            try:
                if whole:
                    path.write_bytes(broken)
                    load_gguf(path)
                else:
                    read_header(broken)
            except ValueError:
                refused += 1
    return refused / count


def test_damaged_headers():
    assert_survives(50, 1, whole=False)  # so that imports do not count
    tracemalloc.start()
    try:
        refused = assert_survives(2000, 0, whole=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused > 0.6
    assert peak < 2_000_000


def test_damaged_files_are_no_models():
    assert assert_survives(100, 2, whole=True) > 0.6


@pytest.mark.heavy
def test_many_damaged_headers():
    assert assert_survives(100_000, 3, whole=False) > 0.6
    assert assert_survives(5_000, 4, whole=True) > 0.6


def test_every_cut_is_refused(tmp_path):
    content = small_llama(tmp_path / "x.gguf").read_bytes()
    for n in range(0, len(content), 7):
        with pytest.raises(ValueError, match="byte"):
            read_header(content[:n])
