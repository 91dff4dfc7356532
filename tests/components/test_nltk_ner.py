from __future__ import annotations

import pickle
import shutil

import nltk
import pytest
import spacy
from nltk import Tree
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

from spacy_attn.classic.sequence import train_sequence_tagger
from spacy_attn.components.nltk_ner import NltkNer  # the import registers the factory
from spacy_attn.errors import ConfigError, ResourceError

TEXT = "Ann Lee flew to New York ."
FOUND = [("Ann Lee", "PERSON"), ("New York", "GPE")]  # what the toy model finds in it
IOB = ["B-PERSON", "I-PERSON", "O", "O", "B-GPE", "I-GPE", "O"]


@Language.component("toy_tags", assigns=["token.tag"])
def toy_tags(doc):
    """Capitals are names, the rest is not."""
    for token in doc:
        token.tag_ = "_SP" if token.is_space else "NNP" if token.text[0].isupper() else "NN"
    return doc


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    words = TEXT.split()
    tags = ["NNP" if word[0].isupper() else "NN" for word in words]
    path = tmp_path_factory.mktemp("model") / "entities.safetensors"
    tagger = train_sequence_tagger([list(zip(words, tags, IOB, strict=True))], task="entities")
    tagger.save(path)
    return path


def pipeline(model, *before, lang="en", **config):
    """Tags, then the given components, then ours."""
    nlp = spacy.blank(lang)
    nlp.add_pipe("toy_tags")
    for factory, settings in before:
        add_pipe(nlp, factory, settings)
    settings = {"model": None if model is None else str(model), **config}
    nlp.add_pipe("nltk_ner", config=settings)
    return nlp


def add_pipe(nlp, factory, patterns, **options):
    nlp.add_pipe(factory, **options).add_patterns(patterns)


def ents(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


def states(doc):
    return [(token.ent_iob_, token.ent_type_) for token in doc]


# -- what it finds -----------------------------------------------------------------------


def test_entities_in_doc_ents(model):
    doc = pipeline(model)(TEXT)
    assert ents(doc) == FOUND
    assert states(doc) == [
        ("B", "PERSON"),
        ("I", "PERSON"),
        ("O", ""),
        ("O", ""),
        ("B", "GPE"),
        ("I", "GPE"),
        ("O", ""),
    ]


def test_nltk_chunker_stand_in(monkeypatch):
    """A stand-in gives trees as ``nltk.ne_chunk`` does.

    NLTK's own model needs NLTK's data, which cannot be fetched where these tests were
    written; NLTK's code over a model written by hand is in tests/classic/test_entities.py.
    """

    class StandIn:
        def parse(self, tagged):
            names = [pair for pair in tagged if pair[1] == "NNP"]
            rest = [pair for pair in tagged if pair[1] != "NNP"]
            return Tree("S", [Tree("ORGANIZATION", names), *rest])

    monkeypatch.setattr(nltk.chunk, "ne_chunker", lambda fmt: StandIn())
    doc = pipeline(None)("Acme Corp sells hats")
    assert ents(doc) == [("Acme Corp", "ORGANIZATION")]


def test_nothing_is_read_or_fetched_before_the_first_text(tmp_path, monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    nlp = pipeline(None)
    assert ents(nlp("")) == []
    with pytest.raises(ResourceError, match=r"run: python -m nltk\.downloader maxent_ne_chunker"):
        nlp(TEXT)
    assert list(tmp_path.iterdir()) == []
    nlp = pipeline(tmp_path / "later")
    with pytest.raises(ResourceError, match=r"cannot read .*later .* train-chunker"):
        nlp(TEXT)


def test_sentences_are_tagged_on_their_own(model):
    """The first word of a sentence has no word before it."""
    seen = []

    class Recorder:
        def find(self, words, tags):
            seen.append((list(words), list(tags)))
            return [(0, 1, "X")]

    nlp = pipeline(model)
    component = nlp.get_pipe("nltk_ner")
    component._chunker = Recorder()
    nlp("Ann left. Bob stayed.")
    assert [words for words, _ in seen] == [["Ann", "left", ".", "Bob", "stayed", "."]]
    seen.clear()
    nlp.add_pipe("sentencizer", first=True)
    doc = nlp("Ann left.\n\nBob stayed.")
    assert seen == [
        (["Ann", "left", "."], ["NNP", "NN", "NN"]),
        (["Bob", "stayed", "."], ["NNP", "NN", "NN"]),
    ]
    assert ents(doc) == [("Ann", "X"), ("Bob", "X")]


def test_white_space_is_no_word(model):
    doc = pipeline(model)("\n Ann \n Lee flew to New\n\nYork  . ")
    assert ents(doc) == [("Ann \n Lee", "PERSON"), ("New\n\nYork", "GPE")]


@pytest.mark.parametrize("text", ["", " ", " \n\t ", "\u200b"])
@pytest.mark.parametrize("spans_key", [None, "names"])
def test_text_without_words(model, text, spans_key):
    doc = pipeline(model, spans_key=spans_key)(text)
    assert ents(doc) == []
    assert list(doc.spans.get("names", [])) == []
    assert ("names" in doc.spans) == (spans_key is not None)


def test_a_doc_without_tags_is_refused(model):
    nlp = spacy.blank("en")
    nlp.add_pipe("nltk_ner", config={"model": str(model)})
    with pytest.raises(ConfigError, match=r"'nltk_ner' reads token\.tag, .* put it before"):
        nlp(TEXT)
    assert ents(nlp(" ")) == []


# -- the merge rule ----------------------------------------------------------------------

YORK_SHIRE = [{"label": "SHIP", "pattern": "York .", "id": "ship-1"}]
NONE = [{"label": "NONE", "pattern": "not there"}]
CITY = [{"label": "CITY", "pattern": "New York", "id": "city-1"}]


@pytest.mark.parametrize(
    ("merge", "patterns", "expected"),
    [
        ("fill", CITY, [("Ann Lee", "PERSON"), ("New York", "CITY")]),
        ("keep", CITY, [("New York", "CITY")]),
        ("replace", CITY, FOUND),
        ("fill", YORK_SHIRE, [("Ann Lee", "PERSON"), ("York .", "SHIP")]),  # half ours: dropped
        ("keep", YORK_SHIRE, [("York .", "SHIP")]),
        ("replace", YORK_SHIRE, FOUND),
        ("fill", NONE, FOUND),
        ("keep", NONE, FOUND),  # nothing there to keep
        ("replace", NONE, FOUND),
    ],
)
def test_entity_ruler_before(model, merge, patterns, expected):
    doc = pipeline(model, ("entity_ruler", patterns), merge=merge)(TEXT)
    assert ents(doc) == expected


@pytest.mark.parametrize(
    ("overwrite", "expected"),
    [
        (False, [("Ann Lee", "PERSON"), ("New York", "GPE")]),
        (True, [("Ann Lee", "PERSON"), ("York .", "SHIP")]),
    ],
)
def test_entity_ruler_after(model, overwrite, expected):
    """The ruler keeps its own rule: with overwrite_ents ours make room."""
    nlp = pipeline(model)
    add_pipe(nlp, "entity_ruler", YORK_SHIRE, config={"overwrite_ents": overwrite})
    assert ents(nlp(TEXT)) == expected


def test_span_ruler_in_doc_ents_before(model):
    nlp = pipeline(model)
    add_pipe(nlp, "span_ruler", CITY, before="nltk_ner", config={"annotate_ents": True})
    assert ents(nlp(TEXT)) == [("Ann Lee", "PERSON"), ("New York", "CITY")]


def test_ids_of_existing_entities_stay_and_those_of_replaced_ones_go(model):
    """``Doc.set_ents`` leaves the ids of an entity on its tokens when another takes its place."""
    for merge, expected in [("fill", ["city-1", "Q60"]), ("replace", ["", ""])]:
        nlp = pipeline(model, merge=merge)
        doc = nlp.make_doc(TEXT)
        doc.set_ents([Span(doc, 4, 6, "CITY", kb_id="Q60", span_id="city-1")])
        doc = nlp(doc)
        assert [doc.ents[1].ent_id_, doc.ents[1].kb_id_] == expected
        assert [doc[5].ent_id_, doc[5].ent_kb_id_] == expected
    doc = nlp.make_doc(TEXT)
    doc.set_ents([Span(doc, 5, 7, "SHIP", kb_id="Q1", span_id="ship-1")])
    assert (nlp(doc)[6].ent_id_, nlp(doc)[6].ent_kb_id_) == ("", "")  # in no entity any more


@pytest.mark.parametrize("merge", ["fill", "keep", "replace"])
def test_blocked_tokens_stay_blocked(model, merge):
    nlp = pipeline(model, merge=merge)
    doc = nlp.make_doc(TEXT)
    doc.set_ents([], blocked=[doc[5:6]], default="missing")
    nlp(doc)
    assert ents(doc) == [("Ann Lee", "PERSON")]
    assert doc[5].ent_iob_ == "B"  # how spaCy shows a blocked token
    assert doc[5].ent_type_ == ""
    ner_like = doc.copy()
    nlp(ner_like)
    assert states(ner_like) == states(doc)


@pytest.mark.parametrize("merge", ["fill", "replace"])
def test_missing_becomes_outside(model, merge):
    nlp = pipeline(model, merge=merge)
    doc = nlp.make_doc(TEXT)
    doc.set_ents([Span(doc, 0, 1, "PET")], missing=[doc[2:7]], default="outside")
    assert doc[2].ent_iob_ == ""
    nlp(doc)
    assert (doc[2].ent_iob_, doc[6].ent_iob_) == ("O", "O")
    pet = [("Ann", "PET")] if merge == "fill" else [("Ann Lee", "PERSON")]
    assert ents(doc) == [*pet, ("New York", "GPE")]
    assert doc.has_annotation("ENT_IOB", require_complete=True)


def test_keep_touches_nothing_of_a_doc_with_entities(model):
    nlp = pipeline(model, merge="keep")
    doc = nlp.make_doc(TEXT)
    doc.set_ents(
        [Span(doc, 0, 1, "PET")], blocked=[doc[1:2]], outside=[doc[2:3]], default="missing"
    )
    before = doc.to_bytes(exclude=["tensor"])
    doc = nlp.get_pipe("nltk_ner")(doc)
    assert doc.to_bytes(exclude=["tensor"]) == before


def test_keep_needs_no_tags_where_there_are_entities(model):
    nlp = spacy.blank("en")
    add_pipe(nlp, "entity_ruler", CITY)
    nlp.add_pipe("nltk_ner", config={"model": str(model), "merge": "keep"})
    assert ents(nlp(TEXT)) == [("New York", "CITY")]


def test_running_twice_changes_nothing(model):
    nlp = pipeline(model)
    doc = nlp(TEXT)
    before = states(doc)
    assert states(nlp(doc)) == before


# -- spaCy's ner in the same pipeline ----------------------------------------------------


@pytest.fixture(scope="module")
def ner():
    """A spaCy ``ner`` that has learnt two sentences by heart: York is a HOUSE, hats are WEAR."""
    nlp = spacy.blank("en")
    nlp.add_pipe("ner")
    texts = [(TEXT, [(20, 24, "HOUSE")]), ("Bob buys hats", [(9, 13, "WEAR")])]
    examples = [Example.from_dict(nlp.make_doc(text), {"entities": spans}) for text, spans in texts]
    spacy.util.fix_random_seed(0)
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(40):
        nlp.update(examples, sgd=optimizer)
    assert [ents(nlp(text)) for text, _ in texts] == [[("York", "HOUSE")], [("hats", "WEAR")]]
    return nlp


def with_ner(model, ner, *, ours_first, **config):
    nlp = pipeline(model, **config)
    where = {"after": "nltk_ner"} if ours_first else {"before": "nltk_ner"}
    nlp.add_pipe("ner", source=ner, **where)
    return nlp


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        ("fill", [("Ann Lee", "PERSON"), ("York", "HOUSE")]),
        ("keep", [("York", "HOUSE")]),
        ("replace", FOUND),
    ],
)
def test_ner_before(model, ner, merge, expected):
    nlp = with_ner(model, ner, ours_first=False, merge=merge)
    assert ents(nlp(TEXT)) == expected
    assert nlp.analyze_pipes()["problems"]["nltk_ner"] == []


@pytest.mark.parametrize("merge", ["fill", "keep", "replace"])
def test_ner_after(model, ner, merge):
    """spaCy's ner never changes entities that are there, and adds its own between them."""
    doc = with_ner(model, ner, ours_first=True, merge=merge)(TEXT)
    assert [ent for ent in ents(doc) if ent in FOUND] == FOUND
    assert not any(ent.label_ == "HOUSE" for ent in doc.ents)
    alone = with_ner(model, ner, ours_first=True, merge=merge, spans_key="names")(TEXT)
    assert ents(alone) == [("York", "HOUSE")]


# -- span groups -------------------------------------------------------------------------


def test_span_group_leaves_doc_ents_alone(model, ner):
    doc = with_ner(model, ner, ours_first=False, spans_key="names", merge="replace")(TEXT)
    assert ents(doc) == [("York", "HOUSE")]
    group = doc.spans["names"]
    assert [(span.text, span.label_) for span in group] == FOUND
    assert group.name == "names"
    nlp = pipeline(model, spans_key="names")
    assert not nlp(TEXT).has_annotation("ENT_IOB")


def test_two_instances(model):
    nlp = pipeline(model)
    config = {"model": str(model), "spans_key": "names"}
    nlp.add_pipe("nltk_ner", name="second", config=config)
    doc = nlp(TEXT)
    assert ents(doc) == [(span.text, span.label_) for span in doc.spans["names"]] == FOUND
    with pytest.raises(ConfigError, match=r"write doc\.spans\['names'\].*spans_key = "):
        nlp.add_pipe("nltk_ner", name="third", config=config)


# -- settings ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"merge": "overwrite"}, "merge = 'overwrite' is no rule; allowed are fill, keep, replace"),
        ({"spans_key": ""}, "spans_key = ''; allowed: the name of a span group, and null"),
        ({"model": ""}, "model = ''; give the path of a tagger, or null"),
        ({"binary": True, "model": "m"}, "binary = true is for NLTK's own chunker.*remove one"),
    ],
)
def test_illegal_settings(config, reason):
    with pytest.raises(ConfigError, match=reason):
        spacy.blank("en").add_pipe("nltk_ner", config=config)


def test_nltk_chunker_is_refused_for_another_language(model):
    with pytest.raises(ConfigError, match=r"is English and .* lang = 'de'; give model = "):
        spacy.blank("de").add_pipe("nltk_ner")
    assert ents(pipeline(model, lang="de")(TEXT)) == FOUND


def test_model_of_a_chunker_is_refused(tmp_path):
    tagger = train_sequence_tagger([[("a", "DT", "B-NP")]], task="chunks")
    tagger.save(tmp_path / "chunks")
    with pytest.raises(ConfigError, match="trained with --task chunks"):
        pipeline(tmp_path / "chunks")(TEXT)


def test_declared_to_analyze_pipes(model):
    analysis = pipeline(model).analyze_pipes()
    assert analysis["problems"]["nltk_ner"] == []
    assert analysis["summary"]["nltk_ner"]["assigns"] == [
        "doc.ents",
        "token.ent_iob",
        "token.ent_type",
    ]
    nlp = spacy.blank("en")
    nlp.add_pipe("nltk_ner", config={"model": str(model)})
    assert nlp.analyze_pipes()["problems"]["nltk_ner"] == ["token.tag"]


# -- saving ------------------------------------------------------------------------------


@pytest.fixture
def own_model(model, tmp_path):
    """A copy of the model that a test may delete."""
    path = tmp_path / "own.safetensors"
    shutil.copy(model, path)
    return path


@pytest.mark.parametrize("was_used", [False, True])
def test_saved_pipelines_need_no_model_file(own_model, tmp_path, was_used):
    nlp = pipeline(own_model, merge="replace")
    if was_used:
        nlp(TEXT)
    nlp.to_disk(tmp_path / "nlp")
    data = nlp.to_bytes()
    own_model.unlink()
    for loaded in (
        spacy.load(tmp_path / "nlp"),
        spacy.blank("en").from_config(nlp.config).from_bytes(data),
    ):
        assert loaded.get_pipe("nltk_ner").merge == "replace"
        assert ents(loaded(TEXT)) == FOUND
    if was_used:  # a model that has been read is in the pickle as well
        assert ents(pickle.loads(pickle.dumps(nlp))(TEXT)) == FOUND  # noqa: S301


def test_saving_without_a_model(tmp_path):
    nlp = pipeline(None, spans_key="names")
    nlp.to_disk(tmp_path / "nlp")
    loaded = spacy.load(tmp_path / "nlp")
    assert loaded.get_pipe("nltk_ner").spans_key == "names"
    component = NltkNer().from_bytes(NltkNer().to_bytes())
    assert component.to_bytes() == b""


def test_a_saved_model_wins_over_null(model):
    """``from_bytes`` restores what was saved, whatever the receiving config says."""
    data = NltkNer(model=model).to_bytes()
    assert NltkNer().from_bytes(data).to_bytes() == data


def test_damaged_or_missing_saved_model(own_model, model, tmp_path):
    pipeline(own_model).to_disk(tmp_path / "nlp")
    saved = tmp_path / "nlp" / "nltk_ner" / "tagger"
    saved.write_bytes(model.read_bytes()[:-3])
    with pytest.raises(ResourceError, match=r"no trained tagger in .*tagger; train one with: "):
        spacy.load(tmp_path / "nlp")
    saved.unlink()
    with pytest.raises(ResourceError, match=r"there is no tagger of 'nltk_ner' in"):
        spacy.load(tmp_path / "nlp")
    with pytest.raises(ResourceError, match="no trained tagger in these bytes"):
        NltkNer(model=model).from_bytes(b"")
    with pytest.raises(ResourceError, match=r"cannot read .*nowhere"):
        NltkNer(model=tmp_path / "nowhere").to_bytes()


def test_relative_path_survives_a_change_of_folder(model, monkeypatch, tmp_path):
    monkeypatch.chdir(model.parent)
    nlp = pipeline(model.name)
    monkeypatch.chdir(tmp_path)
    assert ents(nlp(TEXT)) == FOUND


def test_docbin_and_bytes(model):
    nlp = pipeline(model, spans_key="names")
    nlp.add_pipe("nltk_ner", name="second", config={"model": str(model)})
    docs = list(nlp.pipe([TEXT, "", " ", TEXT]))
    store = DocBin(store_user_data=True, docs=docs).to_bytes()
    for doc, back in zip(docs, DocBin().from_bytes(store).get_docs(nlp.vocab), strict=True):
        again = Doc(nlp.vocab).from_bytes(doc.to_bytes())
        for copy in (back, again):
            assert ents(copy) == ents(doc)
            assert [s.text for s in copy.spans["names"]] == [s.text for s in doc.spans["names"]]
