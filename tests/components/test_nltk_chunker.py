from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

from spacy_attn.classic.chunk import DEFAULT_GRAMMAR
from spacy_attn.classic.sequence import train_sequence_tagger
from spacy_attn.components import nltk_chunker  # the import registers the factory
from spacy_attn.components.nltk_chunker import NltkChunker
from spacy_attn.errors import ConfigError, ResourceError

ROOT = Path(nltk_chunker.__file__).parents[2]
TEXT = "The/DT bat/NN flew/VBD at/IN night/NN ./."
CHUNKS = [
    ("CLAUSE", "The bat flew at night"),
    ("NP", "The bat"),
    ("VP", "flew"),
    ("PP", "at night"),
    ("NP", "night"),
]
TAGS = dict(pair.split("/") for pair in (TEXT + " he/PRP hit/VBD a/DT ball/NN").split())


@Language.component("toy_tagger")
def toy_tagger(doc):
    for token in doc:
        token.tag_ = TAGS.get(token.text, "NN")
    return doc


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    sentence = [
        ("The", "DT", "B-NP"),
        ("bat", "NN", "I-NP"),
        ("flew", "VBD", "B-VP"),
        ("at", "IN", "B-PP"),
        ("night", "NN", "B-NP"),
        (".", ".", "O"),
    ]
    path = tmp_path_factory.mktemp("model") / "chunks.safetensors"
    train_sequence_tagger([sentence], task="chunks", epochs=5).save(path)
    return path


def pipeline(*, tagger=True, **config):
    nlp = spacy.blank("en")
    if tagger:
        nlp.add_pipe("toy_tagger")
    nlp.add_pipe("nltk_chunker", config=config)
    return nlp


def chunks(doc, key="chunks"):
    return [(span.label_, span.text) for span in doc.spans[key]]


def tagged(text, **settings):
    words, tags = zip(*(token.rsplit("/", 1) for token in text.split()), strict=True)
    return Doc(spacy.blank("en").vocab, words=words, tags=tags, **settings)


# -- what it writes ------------------------------------------------------------------------


def test_default_grammar():
    assert chunks(pipeline()("The bat flew at night.")) == CHUNKS


def test_user_grammar():
    nlp = pipeline(grammar="THING: {<DT>?<NN>}", spans_key="things")
    doc = nlp("The bat flew at night.")
    assert chunks(doc, "things") == [("THING", "The bat"), ("THING", "night")]
    assert doc.spans["things"].name == "things"
    assert "chunks" not in doc.spans


def test_grammar_file(tmp_path):
    file = tmp_path / "grammar.txt"
    file.write_text("THING: {<DT>?<NN>}\n", encoding="utf-8")
    assert chunks(pipeline(grammar=str(file))("The bat")) == [("THING", "The bat")]


def test_trained_model(model):
    doc = pipeline(model=str(model))("The bat flew at night.")
    assert chunks(doc) == [("NP", "The bat"), ("VP", "flew"), ("PP", "at"), ("NP", "night")]


def test_chunks_end_with_their_sentence():
    doc = tagged("at/IN night/NN bats/NNS", sent_starts=[True, False, True])
    assert chunks(NltkChunker()(doc)) == [("PP", "at night"), ("NP", "night"), ("NP", "bats")]
    whole = tagged("at/IN night/NN bats/NNS")  # nothing has set boundaries
    assert chunks(NltkChunker()(whole)) == [("PP", "at night bats"), ("NP", "night bats")]


@pytest.mark.parametrize("settings", [{}, {"model": True}])
def test_white_space_is_within_chunks_and_never_at_their_ends(model, settings):
    settings = {key: model for key in settings}
    doc = NltkChunker(**settings)(tagged("The/DT bat/NN flew/VBD"))
    words = ["\n", "The", "  ", "bat", "\n", "flew", " "]
    tags = ["_SP", "DT", "_SP", "NN", "_SP", "VBD", "_SP"]
    spaced = Doc(doc.vocab, words=words, tags=tags, spaces=[False] * 7)
    found = [
        (span.label_, span.start, span.end)
        for span in NltkChunker(**settings)(spaced).spans["chunks"]
    ]
    expected = [("NP", 1, 4), ("VP", 5, 6)]
    assert found == (expected if settings else [("CLAUSE", 1, 6), *expected])


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_docs_without_words_have_an_empty_group_and_need_no_tags(text):
    doc = pipeline(tagger=False)(text)
    assert chunks(doc) == []


def test_a_doc_of_one_endless_sentence():
    words = ["x"] * 600
    doc = NltkChunker()(Doc(spacy.blank("en").vocab, words=words, tags=["JJ"] * 600))
    assert [span.label_ for span in doc.spans["chunks"]] == ["ADJP"] * 600


def test_a_second_run_replaces_the_group():
    nlp = pipeline()
    doc = nlp(nlp("The bat flew at night."))
    assert chunks(doc) == CHUNKS


def test_two_in_one_pipeline(model):
    nlp = pipeline()
    second = {"model": str(model), "spans_key": "trained"}
    nlp.add_pipe("nltk_chunker", name="second", config=second)
    doc = nlp("The bat flew at night.")
    assert chunks(doc) == CHUNKS
    assert len(doc.spans["trained"]) == 4


# -- what users do wrong -------------------------------------------------------------------


def test_a_doc_without_tags():
    nlp = pipeline(tagger=False)
    with pytest.raises(ConfigError, match=r"'nltk_chunker' reads token\.tag.*en_core_web_sm"):
        nlp("The bat")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"grammar": "NP: {<NN>}", "model": "m"}, "both a grammar and model = 'm'; remove one"),
        ({"spans_key": ""}, "spans_key = ''; give the name of a span group"),
        ({"grammar": "NP: {<NN>"}, "line 1 of the chunk grammar cannot be read"),
        ({"grammar": ""}, "grammar = ''; give the path of a file, or null"),
        ({"model": " "}, "model = ' '; give the path of a file, or null"),
        ({"grammar": "\n"}, "the chunk grammar has no rule"),
    ],
)
def test_illegal_settings(config, reason):
    with pytest.raises(ConfigError, match=reason):
        pipeline(**config)


def test_two_cannot_write_one_group():
    nlp = pipeline()
    with pytest.raises(ConfigError, match=r"would write doc\.spans\['chunks'\].*spans_key = "):
        nlp.add_pipe("nltk_chunker", name="second")


@pytest.mark.parametrize("setting", ["grammar", "model"])
def test_missing_files_are_told_at_the_first_text(tmp_path, setting):
    nlp = pipeline(**{setting: str(tmp_path / "nowhere")})
    with pytest.raises(ResourceError, match=r"nowhere'? ?(cannot be read )?\(No such file"):
        nlp("The bat")


def test_a_tagger_for_entities_is_refused(tmp_path):
    tagger = train_sequence_tagger([[("Ann", "NNP", "B-PER")]], task="entities", epochs=1)
    tagger.save(tmp_path / "names")
    with pytest.raises(ConfigError, match="trained with --task entities"):
        pipeline(model=str(tmp_path / "names"))("The bat")


# -- spaCy ---------------------------------------------------------------------------------


def test_declared_to_analyze_pipes():
    nlp = spacy.blank("en")
    nlp.add_pipe("tagger")
    nlp.add_pipe("nltk_chunker")
    analysis = nlp.analyze_pipes()
    assert analysis["summary"]["nltk_chunker"]["assigns"] == ["doc.spans"]
    assert not any(analysis["problems"].values())


def test_evaluate_counts_the_group():
    nlp = pipeline(grammar="NP: {<DT>?<NN>}", spans_key="mine")
    gold = nlp.make_doc("The bat flew at night.")
    gold.spans["mine"] = [Span(gold, 0, 2, "NP"), Span(gold, 2, 3, "VP")]
    scores = nlp.evaluate([Example(nlp.make_doc(gold.text), gold)])
    # found: The bat, night; right: The bat
    assert scores["spans_mine_p"] == pytest.approx(1 / 2)
    assert scores["spans_mine_r"] == pytest.approx(1 / 2)
    assert scores["spans_mine_per_type"]["NP"]["r"] == 1.0


def test_its_score_has_no_weight_in_a_training():
    weights = pipeline(grammar="NP: {<DT>?<NN>}").config["training"]["score_weights"]
    assert set(weights.values()) == {0.0}


def test_no_scorer():
    assert NltkChunker(scorer=None).score([]) == {}


def saved_and_loaded(nlp, path, how):
    if how == "disk":
        nlp.to_disk(path)
        return spacy.load(path)
    again = spacy.blank("en").from_config(nlp.config)
    return again.from_bytes(nlp.to_bytes())


@pytest.mark.parametrize("how", ["disk", "bytes"])
@pytest.mark.parametrize("setting", ["model", "grammar", None])
def test_saved_pipelines_need_no_other_file(tmp_path, model, setting, how):
    file = tmp_path / "file"
    file.write_bytes(model.read_bytes() if setting == "model" else b"NP: {<DT>?<NN>}")
    nlp = pipeline(**({setting: str(file)} if setting else {}))
    before = chunks(nlp("The bat flew at night."))
    fresh = pipeline(**({setting: str(file)} if setting else {}))  # has not read its file yet
    again = saved_and_loaded(fresh, tmp_path / "nlp", how)
    file.unlink()
    assert chunks(again("The bat flew at night.")) == before
    again.to_disk(tmp_path / "again")
    assert chunks(spacy.load(tmp_path / "again")("The bat flew at night.")) == before


def test_a_saved_default_grammar_stays_what_it_was(tmp_path):
    pipeline().to_disk(tmp_path / "nlp")
    file = tmp_path / "nlp" / "nltk_chunker" / "grammar.txt"
    assert file.read_text(encoding="utf-8") == DEFAULT_GRAMMAR
    file.write_text("OLD: {<NN>}", encoding="utf-8")
    assert chunks(spacy.load(tmp_path / "nlp")("The bat")) == [("OLD", "bat")]


def test_incomplete_and_foreign_folders(tmp_path, model):
    with pytest.raises(ResourceError, match=r"no grammar\.txt of 'nltk_chunker' .*nlp\.to_disk"):
        NltkChunker().from_disk(tmp_path)
    with pytest.raises(ResourceError, match="no tagger of 'nltk_chunker' in"):
        NltkChunker(model=model).from_disk(tmp_path)
    with pytest.raises(ResourceError, match="no trained tagger in these bytes"):
        NltkChunker(model=model).from_bytes(b"NP: {<NN>}")
    with pytest.raises(ConfigError, match="chunk grammar"):
        NltkChunker().from_bytes(model.read_bytes())


def test_docbin_keeps_the_group():
    nlp = pipeline()
    data = DocBin(docs=[nlp("The bat flew at night.")], store_user_data=True).to_bytes()
    (doc,) = DocBin().from_bytes(data).get_docs(spacy.blank("en").vocab)
    assert chunks(doc) == CHUNKS


def test_a_spawned_child_gets_what_was_read(model):
    """Two whole processes are in the contract of all factories."""
    one = pipeline(model=str(model)).get_pipe("nltk_chunker")
    doc = tagged(TEXT)
    one(doc)
    two = pickle.loads(pickle.dumps(one))  # noqa: S301  what spawn does
    two.model = None  # its file is not read again
    assert two.find(doc) == one.find(doc) != []


def test_import_needs_no_nltk():
    """Every Language() imports this module."""
    code = (
        "import sys; sys.modules.update(nltk=None, torch=None, sklearn=None, safetensors=None);"
        "import spacy_attn.components.nltk_chunker, spacy; spacy.blank('en');"
        "nlp = spacy.blank('en'); nlp.add_pipe('nltk_chunker')\n"
        "from spacy.tokens import Doc\n"
        "try: nlp(Doc(nlp.vocab, words=['bat'], tags=['NN']))\n"
        "except ValueError as error: print(error)"
    )
    done = run(["-c", code])
    assert "a chunk grammar needs nltk" in done.stdout, done.stderr
    assert "pip install nltk" in done.stdout


def run(arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)


def test_a_span_group_of_spacys_own_components_is_theirs():
    nlp = spacy.blank("en")
    nlp.add_pipe("span_ruler", config={"spans_key": "chunks"})
    with pytest.raises(ConfigError, match=r"doc\.spans\['chunks'\], which 'span_ruler' of this"):
        nlp.add_pipe("nltk_chunker")
