"""What is explained: the method that decided, its sense and the runner-up."""

from __future__ import annotations

import pytest

from spacy_attn.components.adapter import context_of, resources_of
from spacy_attn.errors import ConfigError
from spacy_attn.explain.decision import decided, subjects_of
from spacy_attn.explain.gradients import gradient_attribution
from spacy_attn.wsd.inventory.find import find_targets
from spacy_attn.wsd.methods.cascade import Cascade
from spacy_attn.wsd.methods.lesk import Lesk

TEXT = "he hit the ball with a bat"


@pytest.fixture
def of_a_cascade(toy_nlp):
    """The decision of Lesk, with attention behind it, on one word."""
    component = toy_nlp.get_pipe("sense_disambiguator")
    inventory, context = component.inventory, context_of(toy_nlp.make_doc(TEXT))
    cheap = Lesk(inventory, resources_of(toy_nlp))

    def of_a_cascade(margin):
        cascade = Cascade(cheap, component.prepared(), margin)
        (subject,) = decided(cascade, context, find_targets(context, inventory))
        return subject

    return of_a_cascade


def test_of_a_cascade_the_method_that_decided_is_explained(of_a_cascade):
    sure, left = of_a_cascade(0.0), of_a_cascade(1.1)
    assert (sure.fitted.name, left.fitted.name) == ("lesk", "attention")
    with pytest.raises(ConfigError, match="the method 'lesk' looks through no encoder"):
        assert sure.encoder
    found = gradient_attribution(
        left.fitted, left.context, left.target, left.chosen, left.runner_up
    )
    assert found.log_odds > 0


def test_chosen_and_runner_up_are_the_best_two(toy_nlp):
    ((_, subject),) = subjects_of(toy_nlp, [TEXT])
    ids = [sense.id for sense in subject.target.candidates]
    best = [ids[subject.chosen], ids[subject.runner_up]]
    assert best == [sense for sense, _ in subject.decision.ranked[:2]]


def test_a_word_is_found_as_written_or_by_its_lemma(toy_nlp):
    texts = ["the Bat flew", "no such thing", "the bat flew"]
    assert [i for i, _ in subjects_of(toy_nlp, texts, "bat")] == [0, 2]
    with pytest.raises(ConfigError, match="no text has it with two senses or more; words of the"):
        subjects_of(toy_nlp, texts, "cave")
    toy_nlp.remove_pipe("sense_disambiguator")
    with pytest.raises(ConfigError, match="the pipeline has no sense_disambiguator; add it with"):
        subjects_of(toy_nlp, texts)


def test_a_text_without_words_of_the_inventory_has_nothing_to_explain(toy_nlp):
    assert subjects_of(toy_nlp, ["nothing here"]) == []
