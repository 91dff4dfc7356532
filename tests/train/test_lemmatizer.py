"""Forms of SemCor, the split by lemma, and a training."""

from __future__ import annotations

import gzip
import json
import random

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from spacy_attn.encoder.encoder_decoder import EncoderDecoderConfig
from spacy_attn.encoder.lemmatizer import N_SYMBOLS, read_lemmatizer
from spacy_attn.errors import ConfigError, RecordError, ResourceError
from spacy_attn.train.lemmatizer import (
    FormLemma,
    LemmatizerConfig,
    _with_noise,
    held_out,
    read_exceptions,
    read_forms,
    train_lemmatizer,
    with_exceptions,
    with_lemmas,
)

SMALL = EncoderDecoderConfig(N_SYMBOLS, width=16, layers=1, heads=2, hidden=16)


@pytest.fixture
def wordnet(tmp_path):
    """A folder with exception lists."""
    lists = {
        "noun": "axes ax axis\nbusses bus\nfathers-in-law father-in-law\nmice mouse\n",
        "verb": "batted bat\nwent go\nswam swim\n",
        "adj": "bigger big\nbetter good well\n",
        "adv": "best well\n",
    }
    folder = tmp_path / "wordnet"
    folder.mkdir()
    for name, lines in lists.items():
        (folder / f"{name}.exc").write_text(lines, encoding="utf-8")
    return folder


def write(path, words):
    """Words: (token, sense keys)."""
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for token, keys in words:
            file.write(json.dumps({"tokens": ["x", token], "senses": [[1, keys]]}) + "\n")
    return path


def test_forms(tmp_path):
    words = [
        ("Taxes", ["tax%1:21:00::"]),
        ("taxes", ["tax%1:21:00::", "taxis%1:05:00::"]),
        ("taxes", ["taxis%1:05:00::"]),
        ("taxes", ["tax%2:40:00::"]),
        ("further", ["far%4:02:00::"]),
        ("big", ["big%5:00:00:large:00"]),
        ("Atlanta", ["location%1:03:00::"]),  # a name
        ("group", ["group%1:03:00::"]),  # read as one, too
        ("take_place", ["take_place%2:30:00::"]),
        ("o'clock", ["o'clock%4:02:00::"]),
    ]
    assert read_forms(write(tmp_path / "semcor.jsonl.gz", words)) == [
        FormLemma("big", "ADJ", "big", 1),
        FormLemma("further", "ADV", "far", 1),
        FormLemma("taxes", "NOUN", "tax", 2),
        FormLemma("taxes", "VERB", "tax", 1),
    ]


@pytest.mark.parametrize(
    "line",
    [
        [1, 2],
        {"tokens": ["He", "stared"]},
        {"tokens": ["He", "stared"], "senses": [[7, ["stare%2:39:00::"]]]},
        {"tokens": ["He", "stared"], "senses": [[1, ["stare%9:39:00::"]]]},
        {"tokens": ["He", "stared"], "senses": [[1, ["stare"]]]},
        {"tokens": ["He", "stared"], "senses": [[1, []]]},
        {"tokens": ["He", "stared"], "senses": [[1]]},
        {"tokens": ["He", 5], "senses": [[1, ["stare%2:39:00::"]]]},
        {"tokens": ["He", "stared"], "senses": [[1, [5]]]},
    ],
)
def test_a_line_that_is_no_sentence_with_senses(line, tmp_path):
    path = write(tmp_path / "own.jsonl.gz", [("Taxes", ["tax%1:21:00::"])])
    with gzip.open(path, "at", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(RecordError, match=r'own.jsonl.gz, line 2: must be like \{"tokens": \['):
        read_forms(path)


def test_exceptions_are_what_no_rule_gives(wordnet):
    assert [tuple(row) for row in read_exceptions(wordnet)] == [
        ("busses", "NOUN", "bus", 0),
        ("mice", "NOUN", "mouse", 0),
        ("went", "VERB", "go", 0),
        ("swam", "VERB", "swim", 0),
        ("better", "ADJ", "good", 0),
        ("best", "ADV", "well", 0),
    ]
    (wordnet / "adv.exc").unlink()
    with pytest.raises(ResourceError, match=r"adv.exc cannot be read \(No such file.*--wordnet"):
        read_exceptions(wordnet)


def test_exceptions_count_as_met(wordnet):
    rows = [
        FormLemma("better", "ADJ", "well", 2),  # the corpus's lemma stays
        FormLemma("cats", "NOUN", "cat", 1),
        FormLemma("went", "VERB", "go", 50),
    ]
    found = with_exceptions(rows, read_exceptions(wordnet), 5)
    assert [tuple(row) for row in found] == [
        ("better", "ADJ", "well", 5),
        ("cats", "NOUN", "cat", 1),
        ("went", "VERB", "go", 50),
        ("busses", "NOUN", "bus", 5),
        ("mice", "NOUN", "mouse", 5),
        ("swam", "VERB", "swim", 5),
        ("best", "ADV", "well", 5),
    ]


def test_lemmas_of_exceptions_are_held_out_too(tmp_path, wordnet):
    lines = [
        f"w{chr(97 + i)}{chr(97 + j)}en w{chr(97 + i)}{chr(97 + j)}"
        for i in range(8)
        for j in range(8)
    ]
    (wordnet / "noun.exc").write_text("\n".join(lines), encoding="utf-8")
    exceptions = read_exceptions(wordnet)
    n_left_out = sum(row.lemma in held_out(exceptions) for row in exceptions)
    semcor = write(tmp_path / "s.jsonl.gz", [("zzz", ["zzz%1:00:00::"])])
    seen = []
    path = train_lemmatizer(
        semcor,
        tmp_path / "a",
        SMALL,
        LemmatizerConfig(epochs=1),
        wordnet=wordnet,
        report=seen.append,
    )
    assert 0 < n_left_out
    assert seen[0]["forms"] == 1 + 2 * (len(exceptions) - n_left_out)  # the lemmas too
    with safe_open(path, "pt") as file:
        corpora = json.loads(file.metadata()["manifest"])["corpora"]
    assert [*corpora] == ["s.jsonl.gz", "noun.exc", "verb.exc", "adj.exc", "adv.exc"]


def test_a_tenth_of_what_is_not_frequent_is_held_out():
    rows = [FormLemma(f"word{i}s", "NOUN", f"word{i}", 1) for i in range(2000)]
    first, second = held_out(rows), held_out(rows, 1)
    assert 140 <= len(first) <= 260
    assert 140 <= len(second) <= 260
    assert not first & second
    twice = [row._replace(n=10) for row in rows]  # each lemma is met 20 times
    assert held_out([*twice, *twice]) == set()
    assert held_out(rows[:10]) == first & {row.lemma for row in rows[:10]}


def test_lemmas_are_forms_of_themselves():
    rows = [FormLemma("cats", "NOUN", "cat", 3), FormLemma("dog", "NOUN", "dog", 2)]
    assert with_lemmas(rows) == [*rows, FormLemma("cat", "NOUN", "cat", 1)]


def test_noise_changes_form_and_lemma_alike():
    rng = random.Random(0)  # noqa: S311
    config = LemmatizerConfig(any_pos=0.5, unknown_letter=1.0)
    seen = {_with_noise(FormLemma("went", "VERB", "go", 1), config, rng) for _ in range(20)}
    assert seen == {FormLemma("went", pos, "go", 1) for pos in ("X", "VERB")}
    noisy = [_with_noise(FormLemma("bats", "NOUN", "bat", 1), config, rng) for _ in range(60)]
    assert {(row.form, row.lemma) for row in noisy} == {
        ("bats", "bat"),
        ("?ats", "?at"),
        ("b?ts", "b?t"),
        ("ba?s", "ba?"),
    }


def test_the_same_seed_trains_the_same(tmp_path):
    words = [(f"{w}s", [f"{w}%1:00:00::"]) for w in ("cat", "dog", "hat", "tree", "river", "cup")]
    semcor = write(tmp_path / "semcor.jsonl.gz", words)
    seen = []
    config = LemmatizerConfig(epochs=2, batch=2)
    one, two = (
        train_lemmatizer(semcor, tmp_path / name, SMALL, config, report=seen.append)
        for name in "ab"
    )
    weights = [load_file(path) for path in (one, two)]
    torch.testing.assert_close(*weights, atol=0, rtol=0)
    n_trained = len(words) - len(held_out(read_forms(semcor)))
    assert seen[0]["forms"] == 2 * n_trained  # the lemmas too
    assert [record["epoch"] for record in seen if "seconds" in record] == [1, 2, 1, 2]


def test_tuning_leaves_out_a_second_tenth(tmp_path):
    words = [(f"w{chr(97 + i)}{chr(97 + j)}", 1) for i in range(8) for j in range(8)]
    semcor = write(tmp_path / "s.jsonl.gz", [(w, [f"{w}%1:00:00::"]) for w, _ in words])
    config = LemmatizerConfig(epochs=1)
    all_forms, tuned = [], []
    train_lemmatizer(semcor, tmp_path / "a", SMALL, config, report=all_forms.append)
    train_lemmatizer(semcor, tmp_path / "b", SMALL, config, tune=True, report=tuned.append)
    assert tuned[0]["forms"] < all_forms[0]["forms"] < 64
    assert any("tuning" in record for record in tuned)
    assert not any("tuning" in record for record in all_forms)


def test_what_cannot_be_trained(tmp_path):
    empty = write(tmp_path / "empty.jsonl.gz", [])
    with pytest.raises(ConfigError, match=r"empty.jsonl.gz has no forms to train on; give SemCor"):
        train_lemmatizer(empty, tmp_path, SMALL)
    with pytest.raises(ConfigError, match="epochs = 0; allowed is 1 or more"):
        LemmatizerConfig(epochs=0)


def test_it_goes_on_from_a_model(tmp_path):
    words = [(f"{w}s", [f"{w}%1:00:00::"]) for w in ("cat", "dog", "hat", "tree", "river", "cup")]
    semcor = write(tmp_path / "semcor.jsonl.gz", words)
    first = train_lemmatizer(semcor, tmp_path / "a", SMALL, LemmatizerConfig(epochs=1))
    still = LemmatizerConfig(epochs=1, learning_rate=0.0)
    other = EncoderDecoderConfig(N_SYMBOLS, width=32, dropout=0.3)  # the sizes are the model's
    second = train_lemmatizer(semcor, tmp_path / "b", other, still, start=first)
    torch.testing.assert_close(load_file(first), load_file(second), atol=0, rtol=0)
    assert read_lemmatizer(second).network.config.dropout == 0.3
    fast = LemmatizerConfig(epochs=3, learning_rate=0.1)
    third = train_lemmatizer(semcor, tmp_path / "c", SMALL, fast, start=first)
    weights = [
        load_file(path)["encoder.layers.0.attention.query.weight"] for path in (first, third)
    ]
    assert not torch.equal(*weights)
    with pytest.raises(ResourceError, match="is no lemmatizer"):
        train_lemmatizer(semcor, tmp_path / "d", SMALL, start=semcor)
