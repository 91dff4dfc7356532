from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from nltk.chunk import conlltags2tree
from nltk.tag import perceptron
from nltk.tree import Tree
from safetensors.numpy import load, save

from benchmarks.common import DATA
from spacy_attn.classic.sequence import (
    TASKS,
    SequenceTagger,
    features,
    iob_spans,
    repair_iob,
    spans_to_iob,
    train_sequence_tagger,
)
from spacy_attn.classic.sequence import tagger as tagger_module
from spacy_attn.classic.sequence.labels import follows
from spacy_attn.errors import ConfigError, RecordError, ResourceError

CONLL = DATA / "nltk" / "conll2000.zip"
LABELS = ["O", "B-NP", "I-NP", "B-VP", "I-VP"]
SENTENCES = [
    [("The", "DT", "B-NP"), ("bat", "NN", "I-NP"), ("flew", "VBD", "B-VP"), (".", ".", "O")],
    [("Bats", "NNS", "B-NP"), ("have", "VBP", "B-VP"), ("slept", "VBN", "I-VP"), (".", ".", "O")],
    [("He", "PRP", "B-NP"), ("hit", "VBD", "B-VP"), ("the", "DT", "B-NP"), ("ball", "NN", "I-NP")],
    [("A", "DT", "B-NP"), ("red", "JJ", "I-NP"), ("ball", "NN", "I-NP"), ("fell", "VBD", "B-VP")],
]


@pytest.fixture(scope="module")
def tagger():
    return train_sequence_tagger(SENTENCES, task="chunks", epochs=5)


def columns(sentence):
    return [list(column) for column in zip(*sentence, strict=True)]


def spans_by_nltk(labels):
    """The oracle: where the subtrees of NLTK's tree begin and end."""
    tree = conlltags2tree([(i, "T", label) for i, label in enumerate(labels)])
    return [
        (chunk[0][0], chunk[-1][0] + 1, chunk.label()) for chunk in tree if isinstance(chunk, Tree)
    ]


# -- labels --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "legal"),
    [
        ([], []),
        (["I-NP", "I-NP"], ["B-NP", "I-NP"]),
        (["O", "I-NP"], ["O", "B-NP"]),
        (["B-NP", "I-VP", "I-VP"], ["B-NP", "B-VP", "I-VP"]),
        (["B-NP", "O", "I-NP"], ["B-NP", "O", "B-NP"]),
        (["I-NP", "B-NP"], ["B-NP", "B-NP"]),  # IOB1: two neighbours
        (["B-X-Y", "I-X-Y", "I-X"], ["B-X-Y", "I-X-Y", "B-X"]),
    ],
)
def test_illegal_sequences_are_repaired(labels, legal):
    assert repair_iob(labels) == legal


@pytest.mark.parametrize("label", ["", "B", "B-", "NP", "o", "L-NP", "-NP", "B_NP"])
def test_what_is_no_label_is_refused(label):
    with pytest.raises(RecordError, match=f"{label!r} is no IOB label; allowed: O, B-TYPE"):
        repair_iob(["O", label])


@pytest.mark.parametrize("seed", range(20))
def test_spans_equal_nltk_and_have_an_inverse(seed):
    labels = list(map(str, np.random.default_rng(seed).choice(LABELS, 30)))
    spans = iob_spans(labels)
    assert spans == spans_by_nltk(labels)
    assert spans_to_iob(30, spans) == repair_iob(labels)


@pytest.mark.parametrize(
    ("spans", "reason"),
    [
        ([(0, 2, "NP"), (1, 3, "VP")], r"\(1, 3, 'VP'\) shares tokens"),
        ([(2, 4, "NP")], r"\(2, 4, 'NP'\) is not within 0 to 3"),
        ([(1, 1, "NP")], r"\(1, 1, 'NP'\) is not within"),
        ([(-1, 1, "NP")], r"\(-1, 1, 'NP'\) is not within"),
    ],
)
def test_spans_that_labels_cannot_say(spans, reason):
    with pytest.raises(RecordError, match=reason):
        spans_to_iob(3, spans)


@pytest.mark.parametrize(
    ("word", "shape"),
    [
        ("", ""),
        ("bat", "xx"),
        ("I", "X"),
        ("NATO", "XX"),
        ("McDonald-99", "XxXxx-dd"),
        ("3.5", "d.d"),
        ("...", ".."),
        ("\u05d1\u05d0\u05d8", "xx"),
        ("\U0001f987", "\U0001f987"),
    ],
)
def test_shape(word, shape):
    assert features._shape(word) == shape


# -- tagging -------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_learns_its_data_and_generalises_over_tags(task):
    tagger = train_sequence_tagger(SENTENCES, task=task, epochs=5)
    for sentence in SENTENCES:
        words, tags, labels = columns(sentence)
        assert tagger.tag(words, tags) == labels
    unseen = tagger.tag(["The", "old", "dog", "ran"], ["DT", "JJ", "NN", "VBD"])
    assert unseen == ["B-NP", "I-NP", "I-NP", "B-VP"]
    assert tagger.task == task
    assert tagger.types == ("NP", "VP")
    assert set(tagger.labels) == set(LABELS)


def test_scores_are_those_of_nltk(monkeypatch):
    """The oracle: NLTK's own predict, token for token, wherever its label may stand."""
    models = []

    class Kept(perceptron.AveragedPerceptron):
        def __init__(self):
            super().__init__()
            models.append(self)

    monkeypatch.setattr(perceptron, "AveragedPerceptron", Kept)
    tagger = train_sequence_tagger(SENTENCES, task="entities", epochs=2)
    rng = np.random.default_rng(0)
    vocabulary = [token[:2] for sentence in SENTENCES for token in sentence]
    n_compared = 0
    for _ in range(30):
        words, tags = columns([vocabulary[i] for i in rng.integers(0, len(vocabulary), 8)])
        ours = tagger.tag(words, tags)
        lower = ["<s>", *(word.lower() for word in words)]
        history = ["<s>", "<s>", *ours]
        for i, found in enumerate(features.token_features(words, tags, "entities")):
            l_2, l_1 = history[i : i + 2]
            found += features.history_features(l_2, l_1, tags[i], [*tags, "<s>"][i + 1])
            found += features.history_word_features(l_1, lower[i], lower[i + 1])
            theirs, _ = models[0].predict(dict.fromkeys(found, 1))
            if follows(theirs, l_1):
                assert ours[i] == theirs
                n_compared += 1
    assert n_compared > 150


@pytest.mark.parametrize("seed", range(10))
def test_labels_are_always_legal(seed):
    rng = np.random.default_rng(seed)
    features = ["bias", *(f"t={tag}" for tag in "abc"), *(f"l-1={label}" for label in LABELS)]
    weights = rng.integers(-9, 9, (len(features), len(LABELS))).astype(np.int32)
    tags = list(rng.choice(list("abc"), 50))
    labels = SequenceTagger("chunks", LABELS, features, weights).tag(tags, tags)
    assert labels == repair_iob(labels)


def test_empty_and_unequal_sentences(tagger):
    assert tagger.tag([], []) == []
    with pytest.raises(RecordError, match="2 words and 1 tag; give each word one tag"):
        tagger.tag(["a", "b"], ["DT"])


def test_unknown_words_and_tags(tagger):
    words = ["", " ", "\u05d1\u05e0\u05e7", "a b", "\ud800"]
    assert len(tagger.tag(words, ["", "?", "<s>", "x y", "NN"])) == 5


def test_the_cache_changes_nothing_and_is_bounded(tagger, monkeypatch):
    words, tags, labels = columns(SENTENCES[0])
    monkeypatch.setattr(tagger_module, "_MOST_CACHED", 2)
    fresh = copy.deepcopy(tagger)
    assert [fresh.tag(words, tags) for _ in range(3)] == [labels] * 3
    assert len(fresh._cache) <= 2


# -- training ------------------------------------------------------------------------------


def test_the_seed_decides():
    one, again, other = (
        train_sequence_tagger(SENTENCES, task="chunks", epochs=3, seed=seed).to_bytes()
        for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


def test_iob1_and_iob2_train_the_same():
    iob1 = [
        [(word, tag, label.replace("B-", "I-")) for word, tag, label in sentence]
        for sentence in SENTENCES
    ]
    two = train_sequence_tagger(SENTENCES, task="chunks", epochs=2)
    assert train_sequence_tagger(iob1, task="chunks", epochs=2).to_bytes() == two.to_bytes()


def test_progress_is_reported():
    records = []
    train_sequence_tagger([*SENTENCES, []], task="chunks", epochs=6, report=records.append)
    assert [(r["epoch"], r["sentences"], r["of"]) for r in records] == [
        (epoch, 4, 4) for epoch in range(1, 7)
    ]
    assert records[-1]["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("sentences", "settings", "error", "reason"),
    [
        (SENTENCES, {"task": "names"}, ConfigError, "task = 'names' is unknown.*chunks, entities"),
        (SENTENCES, {"epochs": 0}, ConfigError, "epochs = 0; give a number from 1"),
        ([], {}, RecordError, "nothing to learn: 0 sentences with tokens"),
        ([[], [("a", "DT", "O")]], {}, RecordError, "nothing to learn: 1 sentences"),
        ([[("a", "DT", "NP")]], {}, RecordError, "'NP' is no IOB label"),
    ],
)
def test_what_cannot_be_trained(sentences, settings, error, reason):
    with pytest.raises(error, match=reason):
        train_sequence_tagger(sentences, **{"task": "chunks", **settings})


# -- files ---------------------------------------------------------------------------------


def test_file_bytes_and_copy_tag_the_same(tagger, tmp_path):
    tagger.save(tmp_path / "new" / "model")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model"]
    with pytest.raises(ResourceError, match=r"cannot write .*name a file in a folder"):
        tagger.save(tmp_path / "new" / "model" / "below")
    words, tags, labels = columns(SENTENCES[3])
    for other in (
        SequenceTagger.load(tmp_path / "new" / "model"),
        SequenceTagger.from_bytes(tagger.to_bytes()),
        copy.deepcopy(tagger),  # by __reduce__, as for a spawned child
    ):
        assert other.tag(words, tags) == labels
        assert (other.task, other.labels) == (tagger.task, tagger.labels)
        assert other.to_bytes() == tagger.to_bytes()


def altered(data, *, header=None, **arrays):
    parts = dict(load(data))
    saved = json.loads(parts["header"].tobytes()) | (header or {})
    parts["header"] = np.frombuffer(json.dumps(saved).encode(), dtype=np.uint8)
    return save(parts | arrays)


FOREIGN = [
    (b"", "no trained tagger in"),
    (b"NN B-NP\n" * 50, "no trained tagger in"),
    (save({"weights": np.zeros(3)}), "no trained tagger in"),
    (save({"header": np.frombuffer(b"[1]", dtype=np.uint8)}), "no trained tagger in"),
]
DAMAGE = [
    ({"header": {"format": "other"}}, "has version None and this release reads 1"),
    ({"header": {"version": 2}}, "has version 2 and this release reads 1"),
    ({"header": {"task": "names"}}, "is damaged"),
    ({"header": {"labels": ["B-NP", "I-NP"]}}, "is damaged"),
    ({"header": {"labels": ["O", "O", "B-NP", "I-NP", "B-VP"]}}, "is damaged"),
    ({"header": {"labels": ["O", "NP", "B-NP", "I-NP", "B-VP"]}}, "is damaged"),
    ({"header": {"labels": None}}, "is damaged"),
    ({"header": {"features": ["bias"]}}, "is damaged"),
    ({"rows": np.zeros(2, dtype=np.int32)}, "is damaged"),
    ({"columns": np.full(1, -1, dtype=np.int32)}, "is damaged"),
    ({"weights": np.zeros(1, dtype=np.float32)}, "is damaged"),
    ({"weights": np.full(1, np.nan, dtype=np.float32)}, "is damaged"),
    ({"header": {"features": "features"}}, "is damaged"),
]


@pytest.mark.parametrize(("data", "reason"), FOREIGN)
def test_files_of_another_kind(tmp_path, data, reason):
    (tmp_path / "model").write_bytes(data)
    with pytest.raises(ResourceError, match=rf"{reason} .*model; train one with: spacy-attn"):
        SequenceTagger.load(tmp_path / "model")
    with pytest.raises(ResourceError, match=f"{reason} these bytes; train one with"):
        SequenceTagger.from_bytes(data)


@pytest.mark.parametrize(("change", "reason"), DAMAGE)
def test_damaged_files(tagger, change, reason):
    with pytest.raises(ResourceError, match=rf"in these bytes {reason}"):
        SequenceTagger.from_bytes(altered(tagger.to_bytes(), **change))


def test_a_header_that_is_nested_deeply():
    header = np.frombuffer(b"[" * 100_000, dtype=np.uint8)
    with pytest.raises(ResourceError, match="no trained tagger in these bytes; train one with"):
        SequenceTagger.from_bytes(save({"header": header}))


def test_more_labels_and_features_than_memory_are_refused(tagger):
    """A file of two megabytes whose matrix would have 80 GB."""
    names = {
        "labels": ["O", *(f"B-{i}" for i in range(100_000))],
        "features": [str(i) for i in range(200_000)],
    }
    with pytest.raises(ResourceError, match=r"in these bytes is damaged"):
        SequenceTagger.from_bytes(altered(tagger.to_bytes(), header=names))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_file(tagger, share):
    data = tagger.to_bytes()
    with pytest.raises(ResourceError, match="no trained tagger in these bytes"):
        SequenceTagger.from_bytes(data[: int(len(data) * share)])


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ResourceError, match=r"cannot read .*nowhere \(No such file"):
        SequenceTagger.load(tmp_path / "nowhere")
    with pytest.raises(ResourceError, match=r"cannot read .*\(Is a directory\); train one with"):
        SequenceTagger.load(tmp_path)


# -- real text -----------------------------------------------------------------------------


@pytest.mark.skipif(not CONLL.is_file(), reason=f"needs CoNLL-2000 at {CONLL}")
def test_quality_on_a_slice_of_conll2000():
    from spacy_attn.train.chunker import read_labelled_sentences, score_tagger

    rows = read_labelled_sentences(CONLL / "conll2000" / "train.txt", task="chunks")
    sentences = [next(rows) for _ in range(400)]
    tagger = train_sequence_tagger(sentences[:250], task="chunks", epochs=3)
    scores = score_tagger(tagger, sentences[250:])
    assert scores["f1"] > 0.84  # measured 0.867; the whole corpus gives more
    assert scores["types"]["NP"]["f1"] > 0.84
