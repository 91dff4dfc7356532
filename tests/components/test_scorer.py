"""The scorer: counted by hand."""

from __future__ import annotations

import pytest
import spacy
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from spacy_attn.components.scorer import make_sense_scorer, score_sense_spans

NLP = spacy.blank("en")
TEXT = "the bat and the bank and the bow"


def doc(*senses, key="senses", label=""):
    """A Doc with a span for each (token, sense id)."""
    made = NLP.make_doc(TEXT)
    spans = [Span(made, i, i + 1, label, kb_id=sense) for i, sense in senses]
    made.spans[key] = SpanGroup(made, name=key, spans=spans)
    return made


def scores(predicted, gold, **kwargs):
    return score_sense_spans([Example(predicted, gold)], **kwargs)


def test_counted_by_hand():
    predicted = doc((1, "bat.animal"), (4, "bank.river"), (7, "bow.ship"))
    gold = doc((1, "bat.animal"), (4, "bank.money"))
    # 1 right of 3 predicted and of 2 in the gold.
    assert scores(predicted, gold) == pytest.approx(
        {"spans_senses_p": 1 / 3, "spans_senses_r": 1 / 2, "spans_senses_f": 2 / 5}
    )


def test_counts_run_over_all_examples():
    right = Example(doc((1, "a"), (4, "b")), doc((1, "a"), (4, "b")))
    wrong = Example(doc((1, "a")), doc((1, "x")))
    obtained = score_sense_spans([right, wrong])
    assert obtained["spans_senses_f"] == pytest.approx(2 / 3)


def test_the_label_does_not_count():
    assert scores(doc((1, "a"), label="noun.animal"), doc((1, "a")))["spans_senses_f"] == 1.0


@pytest.mark.parametrize(
    ("predicted", "gold"),
    [(doc((1, "a")), doc()), (doc(), doc((1, "a"))), (doc((1, "a")), NLP.make_doc(TEXT))],
    ids=["nothing in the gold", "nothing predicted", "no group in the gold"],
)
def test_nothing_right_is_zero(predicted, gold):
    assert set(scores(predicted, gold).values()) == {0.0}


def test_without_spans_on_both_sides_there_is_no_score():
    names = ("spans_senses_p", "spans_senses_r", "spans_senses_f")
    assert scores(doc(), doc()) == dict.fromkeys(names)
    assert score_sense_spans([]) == dict.fromkeys(names)


def test_another_span_group():
    obtained = scores(doc((1, "a"), key="mine"), doc((1, "a"), key="mine"), spans_key="mine")
    assert obtained == {"spans_mine_p": 1.0, "spans_mine_r": 1.0, "spans_mine_f": 1.0}


def test_other_tokens_with_the_same_characters():
    predicted = doc((4, "bank.river"))
    words = ["the bat", "and", "the", "bank", "and the", "bow"]
    gold = Doc(NLP.vocab, words=words)
    gold.spans["senses"] = SpanGroup(gold, spans=[Span(gold, 3, 4, kb_id="bank.river")])
    assert scores(predicted, gold)["spans_senses_f"] == 1.0


def test_the_registered_scorer_is_this_function():
    assert make_sense_scorer() is score_sense_spans
    assert spacy.registry.scorers.get("spacy_attn.sense_scorer.v1")() is score_sense_spans
