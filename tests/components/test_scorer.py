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
    # 1 right of 3 predicted and of 2 in the gold; both of these were found.
    assert scores(predicted, gold) == {
        "spans_senses_p": pytest.approx(1 / 3),
        "spans_senses_r": pytest.approx(1 / 2),
        "spans_senses_f": pytest.approx(2 / 5),
        "spans_senses_per_type": {
            "": {"p": pytest.approx(1 / 3), "r": pytest.approx(1 / 2), "f": pytest.approx(2 / 5)}
        },
        "senses_acc": pytest.approx(1 / 2),
    }


def test_accuracy_is_of_what_was_found():
    predicted = doc((1, "a"), (4, "b"), (5, "x"))
    obtained = scores(predicted, doc((1, "a"), (4, "c"), (7, "d"), (0, "e")))
    assert obtained["spans_senses_r"] == pytest.approx(1 / 4)
    assert obtained["senses_acc"] == pytest.approx(1 / 2)
    assert scores(doc((5, "x")), doc((1, "a")))["senses_acc"] is None  # nothing was found


def test_several_gold_senses_of_one_target():
    either = doc((1, "a"), (1, "b"), (4, "c"))
    assert scores(doc((1, "b"), (4, "x")), either)["senses_acc"] == pytest.approx(1 / 2)
    assert scores(doc((1, "x"), (4, "c")), either)["senses_acc"] == pytest.approx(1 / 2)


def labelled(*senses):
    """A Doc with a span for each (token, sense id, label)."""
    made = NLP.make_doc(TEXT)
    made.spans["senses"] = [Span(made, i, i + 1, label, kb_id=s) for i, s, label in senses]
    return made


def test_per_type():
    predicted = labelled((1, "bat.1", "animal"), (4, "bank.1", "place"), (7, "bow.1", "place"))
    gold = labelled((1, "bat.1", "animal"), (4, "bank.2", "money"), (7, "bow.1", "place"))
    whole, none = {"p": 1.0, "r": 1.0, "f": 1.0}, {"p": 0.0, "r": 0.0, "f": 0.0}
    assert scores(predicted, gold)["spans_senses_per_type"] == {
        "animal": whole,
        "money": none,
        "place": {"p": pytest.approx(1 / 2), "r": 1.0, "f": pytest.approx(2 / 3)},
    }


def test_gold_without_labels_has_the_types_of_the_predictions():
    predicted = labelled((1, "bat.1", "animal"), (4, "bank.1", "place"))
    elsewhere = labelled((1, "bat.2", "club"))
    examples = [
        Example(predicted, doc((1, "bat.2"), (4, "bank.1"), (7, "never seen"))),
        Example(elsewhere, doc((1, "bat.2"))),
    ]
    obtained = score_sense_spans(examples)["spans_senses_per_type"]
    assert list(obtained) == ["", "animal", "club", "place"]
    assert obtained["place"] == {"p": 1.0, "r": 1.0, "f": 1.0}
    assert obtained["club"] == {"p": 1.0, "r": pytest.approx(1 / 2), "f": pytest.approx(2 / 3)}
    assert obtained["animal"] == obtained[""] == {"p": 0.0, "r": 0.0, "f": 0.0}


def test_the_golds_labels_go_before_the_predicted_ones():
    obtained = scores(labelled((1, "a", "ours")), labelled((1, "a", "theirs")))
    assert obtained["spans_senses_per_type"] == {"theirs": {"p": 1.0, "r": 1.0, "f": 1.0}}


def test_counts_run_over_all_examples():
    right = Example(doc((1, "a"), (4, "b")), doc((1, "a"), (4, "b")))
    wrong = Example(doc((1, "a")), doc((1, "x")))
    obtained = score_sense_spans([right, wrong])
    assert obtained["spans_senses_f"] == pytest.approx(2 / 3)


def test_the_label_does_not_count():
    assert scores(doc((1, "a"), label="noun.animal"), doc((1, "a")))["spans_senses_f"] == 1.0


@pytest.mark.parametrize(
    ("predicted", "gold"),
    [(doc((1, "a")), doc()), (doc(), doc((1, "a"))), (NLP.make_doc(TEXT), doc((1, "a")))],
    ids=["nothing in the gold", "nothing predicted", "no group predicted"],
)
def test_nothing_right_is_zero(predicted, gold):
    obtained = scores(predicted, gold)
    assert [obtained[f"spans_senses_{letter}"] for letter in "prf"] == [0.0, 0.0, 0.0]
    assert obtained["senses_acc"] is None


NAMES = (
    "spans_senses_p",
    "spans_senses_r",
    "spans_senses_f",
    "spans_senses_per_type",
    "senses_acc",
)


def test_without_spans_on_both_sides_there_is_no_score():
    assert scores(doc(), doc()) == dict.fromkeys(NAMES)
    assert score_sense_spans([]) == dict.fromkeys(NAMES)


def test_a_reference_without_the_group_is_not_annotated():
    assert scores(doc((1, "a")), NLP.make_doc(TEXT)) == dict.fromkeys(NAMES)
    both = [Example(doc((1, "a")), doc((1, "a"))), Example(doc((1, "b")), NLP.make_doc(TEXT))]
    assert score_sense_spans(both)["spans_senses_p"] == 1.0


def test_another_span_group():
    obtained = scores(doc((1, "a"), key="mine"), doc((1, "a"), key="mine"), spans_key="mine")
    assert set(obtained) == {name.replace("senses", "mine") for name in NAMES}
    assert (obtained["spans_mine_f"], obtained["mine_acc"]) == (1.0, 1.0)


def test_other_tokens_with_the_same_characters():
    predicted = doc((4, "bank.river"))
    words = ["the bat", "and", "the", "bank", "and the", "bow"]
    gold = Doc(NLP.vocab, words=words)
    gold.spans["senses"] = SpanGroup(gold, spans=[Span(gold, 3, 4, kb_id="bank.river")])
    assert scores(predicted, gold)["spans_senses_f"] == 1.0


def test_the_registered_scorer_is_this_function():
    assert make_sense_scorer() is score_sense_spans
    assert spacy.registry.scorers.get("spacy_attn.sense_scorer.v1")() is score_sense_spans
