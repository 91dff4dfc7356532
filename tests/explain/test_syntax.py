from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc

from benchmarks.heads import DIRECTIONS, write_known
from spacy_attn.encoder.attention_map import AttentionMap
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.explain import syntax as module
from spacy_attn.explain.attention import attention_of
from spacy_attn.explain.syntax import (
    Arc,
    KnownHead,
    SeenArc,
    arcs_of,
    followed,
    known_heads,
    most_attended,
    syntax_of,
)
from spacy_attn.settings import EncoderSettings


def parsed():
    words = ["The", "bat", "flew", " ", "."]
    deps = ["det", "nsubj", "ROOT", "", "punct"]
    return Doc(spacy.blank("en").vocab, words=words, heads=[1, 2, 2, 2, 2], deps=deps)


def made_map(weights):
    weights = np.asarray(weights, dtype=np.float32)
    n = weights.shape[-1]
    return AttentionMap(
        "attention",
        tuple("abcdef"[:n]),
        (1,),
        weights,
        np.zeros(weights.shape[:3], dtype=np.float32),
    )


def test_arcs_leave_out_what_is_no_syntax():
    assert arcs_of(parsed()) == [Arc(0, 1, "det"), Arc(1, 2, "nsubj")]
    assert arcs_of(spacy.blank("en")("The bat flew.")) == []


def test_a_token_itself_does_not_count():
    one = [[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]]
    most = most_attended(made_map([[one]]))
    assert most.tolist() == [[[1, 2, 0]]]


def test_up_and_down():
    """Head 1: each token looks at the next one; head 2: at the one before."""
    ahead, behind = np.eye(3, k=1), np.eye(3, k=-1)
    ahead[2, 0] = behind[0, 2] = 1  # those without a neighbour look at the other end
    most = most_attended(made_map([[ahead, behind]]))
    follows = followed(most, [Arc(0, 1, "det"), Arc(2, 1, "dobj")])
    assert follows.shape == (2, 2, 1, 2)
    assert follows[0, :, 0].tolist() == [[True, False], [False, True]]  # det: up by 1, down by 2
    assert follows[1, :, 0].tolist() == [[False, True], [True, False]]
    assert followed(most, []).shape == (0, 2, 1, 2)


# -- the user's sentence -----------------------------------------------------------------------


UP, DOWN = KnownHead(1, 1, True, 0.9), KnownHead(1, 2, False, 0.8)


@pytest.fixture
def attention(monkeypatch):
    """Head 1 looks at the next token, head 2 at the one before."""
    ahead, behind = np.eye(5, k=1), np.eye(5, k=-1)
    made = made_map([[ahead, behind]])
    monkeypatch.setattr(module, "attention_of", lambda doc, encoder, within: made)


@pytest.mark.usefixtures("attention")
def test_arcs_and_what_is_looked_at():
    doc = parsed()
    found = syntax_of(doc, heads={"det": UP, "nsubj": DOWN})
    assert found == [
        SeenArc(Arc(0, 1, "det"), UP, looks_at=1, weight=1.0, follows=True),
        SeenArc(Arc(1, 2, "nsubj"), DOWN, looks_at=1, weight=1.0, follows=True),
    ]
    (only,) = syntax_of(doc, heads={"det": DOWN})
    assert (only.looks_at, only.follows) == (0, True)
    (only,) = syntax_of(doc, heads={"nsubj": KnownHead(1, 1, False, 0.1)})
    assert (only.looks_at, only.weight, only.follows) == (3, 1.0, False)
    assert syntax_of(doc, heads={}) == []


def test_an_encoder_of_the_users(toy_model, tmp_path):
    """With the heads that the benchmark wrote for it."""
    rows = [
        {
            "relation": label,
            "best": {"layer": 1, "head": i + 1, "direction": DIRECTIONS[i], "accuracy": 0.5},
        }
        for i, label in enumerate(("det", "nsubj"))
    ]
    write_known(rows, tmp_path / "new" / "heads.json")
    heads = known_heads(tmp_path / "new" / "heads.json")
    assert heads == {"det": KnownHead(1, 1, True, 0.5), "nsubj": KnownHead(1, 2, False, 0.5)}
    encoder = HuggingFaceEncoder(EncoderSettings(str(toy_model), window=64, overlap=16))
    doc = parsed()
    most = most_attended(attention_of(doc, encoder=encoder))
    det, nsubj = syntax_of(doc, encoder=encoder, heads=heads)
    assert (det.looks_at, nsubj.looks_at) == (most[0, 0, 0], most[0, 1, 2])
    assert 0 < det.weight < 1
    with pytest.raises(ConfigError, match="are not known; give heads, measured with"):
        syntax_of(doc, encoder=encoder)


def test_a_long_text_is_read_in_parts(toy_model, monkeypatch):
    """What is held at once does not grow with the text, and arcs are the same."""
    encoder = HuggingFaceEncoder(EncoderSettings(str(toy_model), window=64, overlap=16))
    heads = {"det": UP, "nsubj": DOWN}
    vocab = spacy.blank("en").vocab
    doc = Doc.from_docs([Doc(vocab).from_bytes(parsed().to_bytes()) for _ in range(4)])
    whole = syntax_of(doc, encoder=encoder, heads=heads)
    parts = []

    def noted(doc, *, encoder, within):
        parts.append(within)
        return attention_of(doc, encoder=encoder, within=within)

    monkeypatch.setattr(module, "attention_of", noted)
    monkeypatch.setattr(module, "_TOGETHER", 12)
    found = syntax_of(doc, encoder=encoder, heads=heads)
    assert parts == [(0, 10), (10, 20)]
    assert [seen.arc for seen in found] == [seen.arc for seen in whole] == arcs_of(doc)
    most = most_attended(attention_of(doc, encoder=encoder, within=(10, 20)))
    assert found[4].looks_at == 10 + most[0, 0, 0]
    monkeypatch.setattr(module, "_TOGETHER", 3)  # a longer sentence is a part of its own
    assert len(syntax_of(doc, encoder=encoder, heads=heads)) == 8
    assert parts[2:] == [(0, 5), (5, 10), (10, 15), (15, 20)]


@pytest.mark.usefixtures("attention")
def test_heads_of_another_encoder():
    for head in (
        KnownHead(2, 1, True, 0.5),
        KnownHead(1, 3, True, 0.5),
        KnownHead(0, 1, True, 0.5),
    ):
        with pytest.raises(
            ConfigError, match=r"this encoder has layers 1 to 1 with heads 1 to 2: .* benchmarks"
        ):
            syntax_of(parsed(), heads={"det": head})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, r"cannot be read \(No such file"),
        ("{", "does not hold heads of attention"),
        ("[1]", "does not hold heads of attention"),
        ('{"det": [1, 2]}', "does not hold heads of attention"),
    ],
)
def test_files_without_heads(text, sentence, tmp_path):
    path = tmp_path / "heads.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ResourceError, match=sentence + r".* python -m benchmarks\.heads MODEL$"):
        known_heads(str(path))


def test_what_is_missing():
    nlp = spacy.blank("en")
    with pytest.raises(ConfigError, match="no dependency parse; use a pipeline with a parser"):
        syntax_of(nlp("The bat flew."))
    encoder = SimpleNamespace(settings=SimpleNamespace(model="other"))
    with pytest.raises(
        ConfigError, match=r"heads of other are not known; .* benchmarks\.heads other"
    ):
        syntax_of(parsed(), encoder=encoder)
    assert syntax_of(nlp("")) == []


def test_the_known_heads_are_those_of_the_benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "heads.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["relations"]
    known = known_heads()
    assert {*known} == {row["relation"] for row in rows}
    for row in rows:
        best = row["best"]
        up = best["direction"] == "dependent to head"
        assert known[row["relation"]] == (best["layer"], best["head"], up, best["accuracy"])
