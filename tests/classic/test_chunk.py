from __future__ import annotations

import copy
import logging

import nltk.redos
import numpy as np
import pytest
from nltk.chunk import RegexpParser, tree2conlltags
from nltk.tree import Tree

from benchmarks.common import DATA
from spacy_attn.classic.chunk import (
    DEFAULT_GRAMMAR,
    MAX_SENTENCE,
    GrammarChunker,
    is_grammar_text,
)
from spacy_attn.classic.grammar_file import read_grammar_file
from spacy_attn.classic.sequence import TrainedChunker, iob_spans, train_sequence_tagger
from spacy_attn.errors import ConfigError, RecordError, ResourceError

CONLL = DATA / "nltk" / "conll2000.zip"


def chunks(chunker, text):
    """The chunks of ``word/TAG word/TAG`` as (label, words)."""
    words, tags = zip(*(token.rsplit("/", 1) for token in text.split()), strict=True)
    return [(label, " ".join(words[a:b])) for a, b, label in chunker.find(words, tags)]


@pytest.fixture(scope="module")
def default():
    return GrammarChunker()


# -- the default grammar -------------------------------------------------------------------


def test_nested_chunks_outer_first(default):
    assert chunks(default, "The/DT bat/NN flew/VBD at/IN night/NN ./.") == [
        ("CLAUSE", "The bat flew at night"),
        ("NP", "The bat"),
        ("VP", "flew"),
        ("PP", "at night"),
        ("NP", "night"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Swing/VB the/DT bat/NN !/.", [("VP", "Swing"), ("NP", "the bat")]),
        ("the/DT cat/NN 's/POS tail/NN", [("NP", "the cat"), ("NP", "'s tail")]),
        ("about/IN $/$ 5/CD million/CD", [("PP", "about $ 5 million"), ("NP", "$ 5 million")]),
        ("more/JJR than/IN 20/CD years/NNS", [("NP", "more than 20 years")]),
        (  # a comparative is no noun
            "She/PRP is/VBZ taller/JJR than/IN Tom/NNP",
            [
                ("CLAUSE", "She is taller than Tom"),
                ("NP", "She"),
                ("VP", "is"),
                ("ADJP", "taller"),
                ("PP", "than Tom"),
                ("NP", "Tom"),
            ],
        ),
        ("the/DT big/JJ ,/, red/JJ and/CC old/JJ cat/NN", [("NP", "the big , red and old cat")]),
        ("Oct./NNP 13/CD", [("NP", "Oct. 13")]),
        ("most/RBS of/IN it/PRP", [("NP", "most"), ("PP", "of it"), ("NP", "it")]),
        ("is/VBZ widely/RB expected/VBN to/TO rise/VB", [("VP", "is widely expected to rise")]),
        ("said/VBD was/VBD", [("VP", "said"), ("VP", "was")]),
        ("gave/VBD up/RP", [("VP", "gave"), ("PRT", "up")]),
        ("is/VBZ very/RB likely/JJ", [("VP", "is"), ("ADJP", "very likely")]),
        ("when/WRB", [("ADVP", "when")]),
        (
            "that/IN she/PRP sleeps/VBZ",
            [("SBAR", "that"), ("CLAUSE", "she sleeps"), ("NP", "she"), ("VP", "sleeps")],
        ),
        (  # the object of one clause is not the subject of the next
            "He/PRP said/VBD the/DT cat/NN slept/VBD",
            [
                ("CLAUSE", "He said"),
                ("NP", "He"),
                ("VP", "said"),
                ("CLAUSE", "the cat slept"),
                ("NP", "the cat"),
                ("VP", "slept"),
            ],
        ),
        (",/, ``/`` :/: -LRB-/-LRB-", []),
    ],
)
def test_default_grammar(default, text, expected):
    assert chunks(default, text) == expected


def test_empty_sentence_prints_nothing(default, capsys):
    assert default.find([], []) == []  # NLTK prints a warning for it
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("unit", "n"),
    [("JJ", 600), ("CD", 600), ("NN", 20_000), ("DT JJ , JJ JJ", 3000), ("JJ CD", 1000)],
)
def test_no_run_of_tags_is_too_long(default, unit, n, caplog):
    tags = (unit.split() * n)[:n]
    found = default.find(tags, tags)
    assert all(0 <= start < end <= n for start, end, _ in found)
    assert caplog.text == ""
    if unit == "NN":
        chunks = [(i, min(i + MAX_SENTENCE, n), "NP") for i in range(0, n, MAX_SENTENCE)]
        assert found == chunks


def test_long_sentences_are_cut_behind_a_full_stop(default):
    sentence = ["DT", "NN", "VBD", "IN", "NN", "."]
    short = default.find(sentence, sentence)
    n = MAX_SENTENCE  # more than the limit by a factor of six
    assert default.find(sentence * n, sentence * n) == [
        (start + 6 * i, end + 6 * i, label) for i in range(n) for start, end, label in short
    ]
    exact = ["NN"] * MAX_SENTENCE
    assert default.find(exact, exact) == [(0, MAX_SENTENCE, "NP")]


def test_the_default_grammar_is_not_blamed_for_a_slow_machine(monkeypatch, caplog):
    chunker = GrammarChunker()

    def parse(tree):
        raise TimeoutError

    monkeypatch.setattr(chunker._parser, "parse", parse)
    with caplog.at_level(logging.WARNING, "spacy_attn"):
        assert chunker.find(["bat"], ["NN"]) == []
    assert "chunks of 1 tokens are left out" in caplog.text


@pytest.mark.parametrize("tag", ["", "<", "NN>", "{x}", "}"])
def test_tags_that_rules_are_written_with_match_nothing(default, tag):
    words = ["The", "bat", "?", "flew"]
    found = default.find(words, ["DT", "NN", tag, "VBD"])
    assert found == [(0, 2, "NP"), (3, 4, "VP")]


def test_one_tag_for_each_word(default):
    with pytest.raises(RecordError, match="1 word and 2 tags"):
        default.find(["a"], ["DT", "NN"])


def test_copy_reads_the_text(default):
    other = copy.deepcopy(GrammarChunker("X: {<NN>}"))
    assert other.grammar == "X: {<NN>}"
    assert chunks(other, "bat/NN") == [("X", "bat")]


@pytest.mark.skipif(not CONLL.is_file(), reason=f"needs CoNLL-2000 at {CONLL}")
def test_quality_on_a_slice_of_conll2000(default):
    """NP and VP of the default grammar are base chunks, so they compare as they are."""
    from spacy_attn.train.chunker import read_labelled_sentences

    rows = read_labelled_sentences(CONLL / "conll2000" / "train.txt", task="chunks")
    right = total = 0
    for _, sentence in zip(range(300), rows, strict=False):
        words, tags, labels = zip(*sentence, strict=True)
        gold = {span for span in iob_spans(labels) if span[2] in ("NP", "VP")}
        found = {span for span in default.find(words, tags) if span[2] in ("NP", "VP")}
        right, total = right + len(gold & found), total + len(gold) + len(found)
    assert 2 * right / total > 0.86  # measured 0.89


# -- the user's grammar --------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_user_grammar_equals_nltk(seed):
    grammar = "NP: {<DT>?<JJ>*<NN>+}\n    <NN>}{<DT>\nVP:\n  {<VB>+}  # verbs\n  }<VB><RB>{"
    tags = list(map(str, np.random.default_rng(seed).choice("DT JJ NN VB RB .".split(), 25)))
    tree = RegexpParser(grammar).parse(Tree("S", [(str(i), tag) for i, tag in enumerate(tags)]))
    expected = iob_spans(label for *_, label in tree2conlltags(tree))
    assert GrammarChunker(grammar).find(tags, tags) == expected


@pytest.mark.parametrize(
    ("grammar", "reason"),
    [
        ("NP: {<DT>?<NN}", "line 1 .*Illegal chunk pattern"),
        ("{<NN>}", "line 1 .*Expected stage marker"),
        ("NP: {<NN>}\n\nVP: {(<VB>}", r"line 3 .*'VP: \{\(<VB>\}'"),
        ("NP: <NN>", "line 1 .*Illegal chunk pattern: <NN>"),
        ("NP: {<NN>}}", "line 1 "),
        ("NP: {<[>}", "line 1 "),
        ("NP:\n  # a note: with a colon\n  {<NN>}", "line 2 .*no other colon"),
        ("NP: {<NN>}\n    {<:>}", "line 2 .*no other colon"),
        ("NP: {<NN>{9999999}}", "line 1 "),
        ("", "has no rule; write rules such as"),
        ("# nothing\n", "has no rule"),
        ("NP:\n", "has no rule"),
    ],
)
def test_broken_grammars_name_the_line(grammar, reason):
    with pytest.raises(ConfigError, match=f"chunk grammar .*{reason}|{reason}"):
        GrammarChunker(grammar)


def test_grammar_that_never_ends(monkeypatch):
    monkeypatch.setattr(nltk.redos, "DEFAULT_TIMEOUT", 0.2)
    chunker = GrammarChunker("NP: {<a|a>*<b>}")
    with pytest.raises(ConfigError, match=r"takes too long on a sentence of 60 tokens; look for"):
        chunker.find(["a"] * 60, ["a"] * 60)


def test_label_that_nltk_cannot_read_back():
    chunker = GrammarChunker("N{P: {<NN>}\nVP: {<VB>}")
    with pytest.raises(ConfigError, match=r"NLTK cannot apply .*a label with one of <>\{\}"):
        chunker.find(["bat", "fly"], ["NN", "VB"])


@pytest.mark.parametrize(
    ("text", "is_text"),
    [
        (DEFAULT_GRAMMAR, True),
        ("NP: {<NN>}", True),
        ("NP: <NN>", True),
        ("#\n", True),
        ("grammar.txt", False),
        ("/a/b c/NP.grammar", False),
        ("C:\\grammar.txt", False),
    ],
)
def test_text_or_path(text, is_text):
    assert is_grammar_text(text) is is_text


def test_grammar_file(tmp_path):
    file = tmp_path / "grammar.txt"
    file.write_bytes(b"\xef\xbb\xbfNP:\r\n  {<NN>}\r\n")  # as an editor on Windows writes it
    assert chunks(GrammarChunker(read_grammar_file(file, "rules")), "bat/NN") == [("NP", "bat")]
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ResourceError, match=r"the grammar .*grammar\.txt' cannot be read"):
        read_grammar_file(file, "rules")
    with pytest.raises(
        ResourceError,
        match=r"nowhere\.txt' cannot be read \(No such file.*give grammar = .* or rules$",
    ):
        read_grammar_file(tmp_path / "nowhere.txt", "rules")


# -- the trained chunker -------------------------------------------------------------------


def test_trained_chunker():
    sentence = [("The", "DT", "B-NP"), ("bat", "NN", "I-NP"), ("flew", "VBD", "B-VP")]
    tagger = train_sequence_tagger([sentence], task="chunks", epochs=3)
    words_tags = ["The", "bat", "flew"], ["DT", "NN", "VBD"]
    assert TrainedChunker(tagger, "chunks").find(*words_tags) == [(0, 2, "NP"), (2, 3, "VP")]
    assert TrainedChunker(tagger, "chunks").find([], []) == []
    tagger.task = "entities"
    with pytest.raises(ConfigError, match=r"trained with --task entities: use it with nltk_ner"):
        TrainedChunker(tagger, "chunks")
