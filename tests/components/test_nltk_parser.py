from __future__ import annotations

import math
import pickle

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.tokens.underscore import Underscore

from spacy_attn.classic.parse import EXAMPLE_GRAMMAR, read_tree
from spacy_attn.components import nltk_parser  # noqa: F401  the import registers the factory
from spacy_attn.components.extensions import install_extensions
from spacy_attn.errors import ConfigError, ResourceError

TEXT = "The bat flew at night. Swing the bat! A dog slept. Night at the bat."
TREES = [
    "(S (NP (Det The) (N bat)) (VP (VP (V flew)) (PP (P at) (N night))) .)",
    "(S (VP (V Swing) (NP (Det the) (N bat))) !)",
    None,
    None,
]
STATUSES = ["parsed", "parsed", "uncovered", "no_parse"]
TAGS = "S -> NP VP\nNP -> 'DT' 'NN' | 'PRP$' 'NN'\nVP -> 'VBD' | VP PP\nPP -> 'IN' 'NN'"
PCFG = """
S -> N V [1.0]
N -> 'bats' [0.75] | 'Bats' [0.25]
V -> 'fly' [1.0]
"""


@pytest.fixture(autouse=True)
def own_attributes(monkeypatch):
    """Extensions are global; each test starts without any."""
    for owner in ("doc", "span", "token"):
        monkeypatch.setattr(Underscore, f"{owner}_extensions", {})


def pipeline(grammar=EXAMPLE_GRAMMAR, *, sentencizer=True, **config):
    nlp = spacy.blank("en")
    if sentencizer:
        nlp.add_pipe("sentencizer")
    nlp.add_pipe("nltk_parser", config={"grammar": grammar, **config})
    return nlp


def trees(doc):
    return [sentence._.parse_tree for sentence in doc.sents]


def statuses(doc):
    return [sentence._.parse_status for sentence in doc.sents]


def tagged(vocab, **attributes):
    return Doc(vocab, words=["The", "bat", "flew", "\n", "at", "night"], **attributes)


DT_NN = ["DT", "NN", "VBD", "_SP", "IN", "NN"]


def test_sentences_have_trees():
    doc = pipeline()(TEXT)
    assert trees(doc) == TREES
    assert statuses(doc) == STATUSES
    assert read_tree(TREES[0])[0].leaves() == ["The", "bat"]


def test_details():
    doc = pipeline()(TEXT)
    details = [sentence._.parse_details for sentence in doc.sents]
    assert [each["uncovered"] for each in details] == [[], [], ["dog", "slept"], []]
    assert [each["n_edges"] > 0 for each in details] == [True, True, False, True]
    assert [each["log_probability"] for each in details] == [None] * 4
    assert doc[0:2]._.parse_tree is None  # no sentence
    assert doc[0:2]._.parse_details is None


def test_pcfg():
    (sentence,) = pipeline(PCFG)("Bats fly").sents
    assert sentence._.parse_tree == "(S (N Bats) (V fly))"
    assert sentence._.parse_details["log_probability"] == 0.0  # one word in any case
    (sentence,) = pipeline(PCFG, terminals="text")("Bats fly").sents
    assert sentence._.parse_details["log_probability"] == pytest.approx(math.log(0.25))


def test_sentences_over_the_limit_are_marked():
    nlp = pipeline("S -> S S | 'a' | '!'", max_edges=100)
    doc = nlp("a a! " + "a " * 100 + "! a!")
    assert statuses(doc) == ["parsed", "over_max_edges", "parsed"]
    assert [tree is None for tree in trees(doc)] == [False, True, False]
    nlp = pipeline("S -> S S | 'a'", max_seconds=1e-9)
    assert statuses(nlp("a a")) == ["over_max_seconds"]


def test_without_boundaries_the_doc_is_a_sentence(caplog):
    nlp = pipeline(sentencizer=False)
    doc = nlp("The bat flew at night.")
    assert doc[:]._.parse_tree == TREES[0]
    assert not caplog.text
    doc = nlp(TEXT)
    assert doc[:]._.parse_status == "uncovered"
    assert "nltk_parser: nothing in this pipeline sets sentence boundaries" in caplog.text
    assert "nlp.add_pipe('sentencizer', before='nltk_parser')" in caplog.text
    caplog.clear()
    nlp(TEXT)
    assert not caplog.text  # once is enough


def test_case():
    grammar = "S -> N V\nN -> 'John' | 'bats'\nV -> 'sleep'"
    assert trees(pipeline(grammar)("john sleep")) == ["(S (N john) (V sleep))"]
    (sentence,) = pipeline(grammar, terminals="text")("Bats sleep").sents
    assert sentence._.parse_details["uncovered"] == ["Bats"]


@pytest.mark.parametrize(
    ("terminals", "attributes"),
    [("tag", {"tags": DT_NN}), ("pos", {"pos": ["DET", "NOUN", "VERB", "SPACE", "ADP", "NOUN"]})],
)
def test_tags_stand_above_their_tokens(terminals, attributes):
    (tags,) = attributes.values()
    grammar = (
        f"S -> NP VP\nNP -> '{tags[0]}' '{tags[1]}'\nVP -> '{tags[2]}' PP\nPP -> '{tags[4]}' N"
    )
    nlp = pipeline(f"{grammar}\nN -> '{tags[5]}'", terminals=terminals)
    d, n, v, _, p, _ = tags
    assert trees(nlp(tagged(nlp.vocab, **attributes))) == [
        f"(S (NP ({d} The) ({n} bat)) (VP ({v} flew) (PP ({p} at) (N ({n} night)))))"
    ]


def test_lemmas():
    nlp = pipeline("S -> 'the' 'bat' 'fly' 'at' 'night'", terminals="lemma")
    doc = tagged(nlp.vocab, lemmas=["the", "bat", "fly", "\n", "at", "night"])
    assert trees(nlp(doc)) == ["(S The bat flew at night)"]


@pytest.mark.parametrize(
    ("terminals", "component"), [("tag", "tagger"), ("pos", "tagger"), ("lemma", "lemmatizer")]
)
def test_missing_annotation(terminals, component):
    nlp = pipeline(TAGS, terminals=terminals)
    with pytest.raises(ConfigError, match=f"needs token.{terminals}_, .* add a {component} before"):
        nlp("The bat flew")
    for text in ("", " \n"):
        assert nlp(text).text == text  # nothing to annotate


def test_brackets_and_merged_tokens_stay_leaves():
    nlp = pipeline("S -> '(' N ')'\nN -> 'New York'", sentencizer=False)
    doc = Doc(nlp.vocab, words=["(", "New York", ")"])
    assert nlp(doc)[:]._.parse_tree == "(S -LRB- (N New\u2423York) -RRB-)"
    assert read_tree(doc[:]._.parse_tree).leaves() == ["(", "New York", ")"]
    nlp = pipeline("S -> '-LRB-' 'NN'", terminals="tag", sentencizer=False)
    doc = nlp(Doc(nlp.vocab, words=["(", "x"], tags=["-LRB-", "NN"]))
    assert doc[:]._.parse_tree == "(S (-LRB- -LRB-) (NN x))"


def test_punctuation_that_the_grammar_lacks():
    grammar = "S -> NP ',' VP\nNP -> 'bats'\nVP -> 'fly'"
    assert statuses(pipeline(grammar)("Bats, fly!")) == ["uncovered"]
    assert trees(pipeline(grammar, skip_punct=True)("Bats, fly!")) == ["(S (NP Bats) , (VP fly))"]
    assert statuses(pipeline(grammar, skip_punct=True)("?!")) == ["empty"]


@pytest.mark.parametrize("text", ["", " ", " \n\t "])
def test_texts_without_words(text):
    assert set(statuses(pipeline()(text))) <= {"empty"}
    doc = pipeline(sentencizer=False)(text)
    assert doc[:]._.parse_tree is None


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"grammar": None}, "'nltk_parser' needs a grammar; give grammar = the path"),
        ({"grammar": ""}, "'nltk_parser' needs a grammar"),
        ({"grammar": "S -> NP"}, "line 1 of the grammar names NP, which has no production"),
        ({"method": "cky"}, "method = 'cky' .* allowed are auto, chart, viterbi"),
        ({"terminals": "word"}, "terminals = 'word' .* allowed are text, lower, lemma, tag, pos"),
        ({"max_edges": 0}, "max_edges = 0; allowed"),
        ({"max_seconds": -1}, "max_seconds = -1; allowed"),
        ({"max_symbols": 3}, "the grammar has more than 3 symbols"),
        ({"attr": "parse_status"}, "attr = 'parse_status', status_attr = .* have to differ"),
        ({"status_attr": "a b"}, "status_attr = 'a b' cannot be an attribute name"),
    ],
)
def test_illegal_settings(config, reason):
    with pytest.raises(ConfigError, match=reason):
        pipeline(**config)


def test_two_in_one_pipeline():
    nlp = pipeline()
    with pytest.raises(ConfigError, match=r"would write span\._\.parse_tree.*attr = "):
        nlp.add_pipe("nltk_parser", name="second", config={"grammar": PCFG})
    names = {"attr": "tree", "status_attr": "status", "details_attr": "details"}
    nlp.add_pipe("nltk_parser", name="second", config={"grammar": PCFG, **names})
    first, second = nlp("Swing the bat! Bats fly").sents
    assert (first._.parse_tree, first._.tree) == (TREES[1], None)
    assert (second._.parse_status, second._.tree) == ("uncovered", "(S (N Bats) (V fly))")


def test_attribute_of_somebody_else_is_refused():
    Span.set_extension("parse_details", default=None)
    with pytest.raises(ConfigError, match=r"_\.parse_details already exists.*details_attr = "):
        pipeline()


# -- grammars in files -------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "bats.pcfg"
    path.write_text(
        "S -> N V [1.0]\nN -> 'bats' [1.0]\nV -> 'fly' [0.5] | '$' [0.25] | '$$' [0.25]"
    )
    return path


def test_grammar_from_a_file(file):
    assert trees(pipeline(str(file))("Bats fly")) == ["(S (N Bats) (V fly))"]


def test_a_file_that_is_not_there_is_named_at_the_first_text(tmp_path):
    nlp = pipeline(str(tmp_path / "later.cfg"))
    with pytest.raises(ResourceError, match=r"later\.cfg' cannot be read .*give grammar = "):
        nlp("bats")
    (tmp_path / "later.cfg").write_text(EXAMPLE_GRAMMAR)
    assert statuses(nlp("Swing the bat!")) == ["parsed"]


@pytest.mark.parametrize("grammar", ["bats fly " * 1000, "bats\0"])
def test_what_is_neither_grammar_nor_path(grammar):
    with pytest.raises(ResourceError, match=r"cannot be read .*give grammar = "):
        pipeline(grammar)("bats")


def test_a_broken_file_is_refused_at_once(file):
    file.write_text("S => NP")
    with pytest.raises(ConfigError, match="line 1: S => NP Expected an arrow"):
        pipeline(str(file))


def test_saved_pipeline_needs_no_file(file, tmp_path):
    nlp = pipeline(str(file))
    nlp.to_disk(tmp_path / "nlp")
    data, config = nlp.to_bytes(), nlp.config
    file.unlink()
    for copy in (
        spacy.load(tmp_path / "nlp"),
        type(nlp).from_config(config).from_bytes(data),
        pickle.loads(pickle.dumps(nlp)),  # noqa: S301  our own bytes
    ):
        assert trees(copy("Bats fly")) == ["(S (N Bats) (V fly))"]


def test_a_dollar_in_the_grammar_survives_the_config(tmp_path):
    """spaCy doubles a dollar that it saves; the saved grammar puts it right."""
    nlp = pipeline(TAGS, terminals="tag")
    nlp.to_disk(tmp_path)
    copy = spacy.load(tmp_path)
    assert copy.get_pipe("nltk_parser").parser.grammar == TAGS
    doc = Doc(copy.vocab, words=["My", "bat", "flew"], tags=["PRP$", "NN", "VBD"])
    assert trees(copy(doc)) == ["(S (NP (PRP$ My) (NN bat)) (VP (VBD flew)))"]


def test_folders_and_bytes_without_a_grammar(tmp_path):
    component = pipeline().get_pipe("nltk_parser")
    with pytest.raises(ResourceError, match=r"no grammar\.txt of 'nltk_parser' in .*; save"):
        component.from_disk(tmp_path)
    for data in (b"", b"\xff", b"[]"):
        with pytest.raises(ConfigError, match="grammar is not well formed"):
            component.from_bytes(data)
    assert component.from_bytes(component.to_bytes()).parser.grammar == EXAMPLE_GRAMMAR


# -- docs that travel --------------------------------------------------------------------


def test_trees_travel_with_docs_and_docbin():
    nlp = pipeline()
    doc = nlp(TEXT)
    assert trees(Doc(nlp.vocab).from_bytes(doc.to_bytes())) == TREES
    data = DocBin(docs=[doc], store_user_data=True).to_bytes()
    Underscore.span_extensions.clear()
    install_extensions()
    (read,) = DocBin().from_bytes(data).get_docs(spacy.blank("en").vocab)
    assert trees(read) == TREES
    assert statuses(read) == STATUSES
    (_, _, third, _) = read.sents
    assert list(third._.parse_details["uncovered"]) == ["dog", "slept"]  # a tuple by DocBin


def test_trees_move_with_joined_docs():
    nlp = pipeline()
    docs = [nlp("Swing the bat!"), nlp("The bat flew at night.")]
    assert trees(Doc.from_docs(docs)) == [TREES[1], TREES[0]]


def test_pipe_equals_call():
    nlp = pipeline()
    texts = [TEXT, "", "Swing the bat!"]
    for n_process in (1, 2):
        docs = list(nlp.pipe(texts, batch_size=1, n_process=n_process))
        assert [doc.text for doc in docs] == texts
        assert [trees(doc) for doc in docs] == [TREES, [], [TREES[1]]]


def test_component_is_declared_to_analyze_pipes():
    analysis = pipeline(sentencizer=False).analyze_pipes()
    assigns = ["span._.parse_tree", "span._.parse_status", "span._.parse_details"]
    assert sorted(analysis["summary"]["nltk_parser"]["assigns"]) == sorted(assigns)
    assert analysis["problems"]["nltk_parser"] == []
