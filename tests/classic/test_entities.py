from __future__ import annotations

import doctest
import pickle
import subprocess
import sys

import nltk
import pytest
from nltk import Tree
from nltk.corpus.reader import WordListCorpusReader
from nltk.corpus.util import LazyCorpusLoader

from spacy_attn.classic import entities
from spacy_attn.classic.entities import (
    NltkEntityChunker,
    check_merge_rule,
    entities_of_tree,
    free_entities,
)
from spacy_attn.classic.sequence import TrainedChunker, train_sequence_tagger
from spacy_attn.errors import ConfigError, ResourceError

WORDS = ["Ann", "Lee", "flew", "to", "Paris"]
TAGS = ["NNP", "NNP", "VBD", "TO", "NNP"]

#: Joint features of a maximum-entropy model, written by hand: the word decides, and what it
#: does not know is outside.
WEIGHTS = {
    ("word", "Ann", "B-PERSON"): 5,
    ("word", "Lee", "I-PERSON"): 5,
    ("word", "Paris", "B-GPE"): 5,
}


@pytest.fixture
def nltk_data(tmp_path, monkeypatch):
    """An empty folder that is all of NLTK's data."""
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    words = LazyCorpusLoader("words", WordListCorpusReader, ["en-basic"])
    monkeypatch.setattr(nltk.corpus, "words", words)  # NLTK keeps the one that it has found
    return tmp_path


def write_model(nltk_data, fmt, weights):
    """A model in the files of ``maxent_ne_chunker_tab``."""
    folder = nltk_data / "chunkers" / "maxent_ne_chunker_tab" / f"english_ace_{fmt}"
    folder.mkdir(parents=True)
    rows = ["\t".join([*key, str(i)]) for i, key in enumerate(weights)]
    labels = [*dict.fromkeys(label for _, _, label in weights), "O"]
    (folder / "mapping.tab").write_text("\n".join(rows))
    always = [float(label == "O") for label in labels]  # one weight for each label
    (folder / "weights.txt").write_text("\n".join(map(str, [*weights.values(), *always])))
    (folder / "labels.txt").write_text("\n".join(labels))
    numbers = enumerate(labels, len(weights))
    (folder / "alwayson.tab").write_text("\n".join(f"{label}\t{i}" for i, label in numbers))


def write_words(nltk_data):
    folder = nltk_data / "corpora" / "words"
    folder.mkdir(parents=True)
    (folder / "en-basic").write_text("to\n")


# -- the rule ----------------------------------------------------------------------------

# tokens:   0    1    2    3    4    5    6    7
# existing       [AAAAAAA]           [B]
EXISTING = [(1, 3), (5, 6)]
FOUND = [(0, 1, "before"), (2, 4, "half"), (4, 5, "between"), (5, 6, "same"), (6, 8, "after")]


@pytest.mark.parametrize(
    ("rule", "existing", "blocked", "taken"),
    [
        ("fill", EXISTING, (), ["before", "between", "after"]),
        ("keep", EXISTING, (), []),
        ("replace", EXISTING, (), ["before", "half", "between", "same", "after"]),
        ("fill", [], (), ["before", "half", "between", "same", "after"]),
        ("keep", [], (), ["before", "half", "between", "same", "after"]),
        ("fill", EXISTING, (4, 7), ["before"]),
        ("keep", [], (3,), ["before", "between", "same", "after"]),
        ("replace", EXISTING, (3, 5), ["before", "between", "after"]),
    ],
)
def test_rules_worked_by_hand(rule, existing, blocked, taken):
    obtained = free_entities(FOUND, existing, rule=rule, blocked=blocked)
    assert [label for _, _, label in obtained] == taken


@pytest.mark.parametrize("check", [check_merge_rule, lambda r: free_entities([], [], rule=r)])
def test_unknown_rule(check):
    with pytest.raises(ConfigError, match=r"merge = 'overwrite' .* fill, keep, replace"):
        check("overwrite")


# -- trees -------------------------------------------------------------------------------


def test_examples_of_the_docstrings():
    assert doctest.testmod(entities).failed == 0


@pytest.mark.parametrize(
    ("tree", "spans"),
    [
        (Tree("S", []), []),
        (Tree("S", [("a", "DT")]), []),
        (Tree("S", [Tree("NE", []), ("a", "DT"), Tree("NE", [("b", "NN")])]), [(1, 2, "NE")]),
        (  # deeper than ne_chunk makes them: the outer chunk counts
            Tree("S", ["x", Tree("ORG", ["y", Tree("GPE", ["z"])]), Tree("GPE", ["v"])]),
            [(1, 3, "ORG"), (3, 4, "GPE")],
        ),
    ],
)
def test_spans_of_trees(tree, spans):
    assert entities_of_tree(tree) == spans


# -- NLTK's own chunker ------------------------------------------------------------------


@pytest.mark.parametrize("binary", [False, True])
def test_nltk_chunker_over_a_model_written_by_hand(nltk_data, binary):
    """NLTK's code runs, on files of NLTK's format with three features.

    NLTK's own model (maxent_ne_chunker_tab) cannot be fetched where these tests were
    written, so nothing here says how good it is.
    """
    weights = {(name, word, label[:2] + "NE"): w for (name, word, label), w in WEIGHTS.items()}
    write_model(nltk_data, *(("binary", weights) if binary else ("multiclass", WEIGHTS)))
    write_words(nltk_data)
    obtained = NltkEntityChunker(binary=binary).find(WORDS, TAGS)
    expected = entities_of_tree(nltk.ne_chunk(list(zip(WORDS, TAGS, strict=True)), binary))
    assert obtained == expected
    kinds = ("NE", "NE") if binary else ("PERSON", "GPE")
    assert obtained == [(0, 2, kinds[0]), (4, 5, kinds[1])]


def test_nltk_model_is_read_once(monkeypatch):
    """A stand-in gives trees as ``ne_chunk`` does; NLTK's own model is not on this machine."""
    asked = []

    class StandIn:
        def parse(self, tagged):
            return Tree("S", [Tree("GPE", tagged[:1]), *tagged[1:]])

    def ne_chunker(fmt):
        asked.append(fmt)
        return StandIn()

    monkeypatch.setattr(nltk.chunk, "ne_chunker", ne_chunker)
    chunker = NltkEntityChunker()
    assert asked == []
    for _ in range(3):
        assert chunker.find(["Paris", "sleeps"], ["NNP", "VBZ"]) == [(0, 1, "GPE")]
    assert asked == ["multiclass"]
    NltkEntityChunker(binary=True).find(["Paris"], ["NNP"])
    assert asked == ["multiclass", "binary"]


REPAIR = r"run: python -m nltk\.downloader maxent_ne_chunker_tab words \(or give model = "


@pytest.mark.parametrize("has_model", [False, True])
def test_absent_data_is_one_sentence(nltk_data, has_model):
    if has_model:
        write_model(nltk_data, "multiclass", WEIGHTS)  # and no word list
    with pytest.raises(ResourceError, match=REPAIR) as caught:
        NltkEntityChunker().find(WORDS, TAGS)
    assert "\n" not in str(caught.value)


def test_data_fetched_after_the_failure_is_used(nltk_data):
    chunker = NltkEntityChunker()
    with pytest.raises(ResourceError, match=REPAIR):
        chunker.find(WORDS, TAGS)
    write_model(nltk_data, "multiclass", WEIGHTS)
    write_words(nltk_data)
    assert chunker.find(WORDS, TAGS) == [(0, 2, "PERSON"), (4, 5, "GPE")]


def test_other_look_up_errors_are_not_called_missing_data(monkeypatch):
    class Broken:
        def parse(self, tagged):
            raise KeyError("a bug")

    monkeypatch.setattr(nltk.chunk, "ne_chunker", lambda fmt: Broken())
    with pytest.raises(KeyError, match="a bug"):
        NltkEntityChunker().find(["a"], ["DT"])


def test_the_model_is_not_pickled(nltk_data):
    """A spawned child reads it itself."""
    write_model(nltk_data, "binary", WEIGHTS)
    write_words(nltk_data)
    chunker = NltkEntityChunker(binary=True)
    size = len(pickle.dumps(chunker))
    expected = chunker.find(WORDS, TAGS)
    copy = pickle.loads(pickle.dumps(chunker))  # noqa: S301  our own bytes
    assert len(pickle.dumps(chunker)) == size
    assert copy.find(WORDS, TAGS) == expected != []


def test_no_words_need_no_data(nltk_data):
    assert NltkEntityChunker().find([], []) == []


def test_nltk_is_imported_at_the_first_sentence():
    code = (
        "import sys; sys.modules['nltk'] = None; "
        "from spacy_attn.classic.entities import NltkEntityChunker as C; c = C(); "
        "from spacy_attn.errors import ResourceError\n"
        "try: c.find(['a'], ['DT'])\n"
        "except ResourceError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert "nltk_ner needs nltk, which cannot be imported" in done.stdout, done.stderr


# -- trained -----------------------------------------------------------------------------


def test_trained_chunker_finds_what_it_learnt():
    iob = ["B-PERSON", "I-PERSON", "O", "O", "B-GPE"]
    tagger = train_sequence_tagger([list(zip(WORDS, TAGS, iob, strict=True))], task="entities")
    chunker = TrainedChunker(tagger, "entities")
    assert chunker.find(WORDS, TAGS) == [(0, 2, "PERSON"), (4, 5, "GPE")]
    assert chunker.find([], []) == []


def test_tagger_of_another_task_is_refused():
    tagger = train_sequence_tagger([[("a", "DT", "B-NP")]], task="chunks")
    with pytest.raises(
        ConfigError, match=r"trained with --task chunks: use it with nltk_chunker.*--task entities"
    ):
        TrainedChunker(tagger, "entities")
