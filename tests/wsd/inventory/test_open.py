"""An inventory of a kind of its own: a class, a name, and everything knows it."""

from __future__ import annotations

import json

import pytest
import spacy
from typer.testing import CliRunner

import spacy_attn
from spacy_attn.cli.app import app
from spacy_attn.errors import ConfigError
from spacy_attn.jobs import Annotator
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.inventory import open as opened
from spacy_attn.wsd.inventory import sources
from spacy_attn.wsd.sense import Sense


class TinyInventory:
    """One verb, found by its form."""

    name, lang, digest = "tiny", "en", "tiny-1"
    synset_of_row = counts = None
    has_examples = False
    words = (("zap", "VERB"),)
    senses = (
        Sense("zap.hit", "zap", "VERB", "To hit something with a burst of electricity."),
        Sense("zap.cook", "zap", "VERB", "To warm up food in a microwave oven."),
    )

    def find(self, context, index=0):
        return [
            Target(index, i, i + 1, "zap", self.senses)
            for i, token in enumerate(context.tokens)
            if self.can_begin(token)
        ]

    def can_begin(self, form):
        return form.lower().startswith("zap")

    def candidates(self, lemma, pos=None):
        return self.senses if (lemma, pos or "VERB") in self.words else ()

    def require_definitions(self, user):
        pass

    def hypernym_definitions(self, sense):
        return ()

    def glosses(self):
        return (("", sense.definition) for sense in self.senses)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(sources, "MADE", ("wordnet", "tiny"))
    monkeypatch.setattr(opened, "MADE", ("wordnet", "tiny"))
    monkeypatch.setattr(opened, "_MAKERS", {"tiny": TinyInventory})


@pytest.mark.parametrize("method", ["lesk", "lesk_extended", "tfidf", "first_sense", "random"])
def test_a_pipeline_knows_it(tiny, method):
    nlp = spacy.blank("en")
    nlp.add_pipe("sense_disambiguator", config={"inventory": "tiny", "method": method})
    (doc,) = nlp.pipe(["He zapped the food in the microwave oven."])
    assert [span.text for span in doc.spans["senses"]] == ["zapped"]
    if "lesk" in method:
        assert doc[1]._.sense.id == "zap.cook"


def test_jobs_and_the_command_line_know_it(tiny):
    assert Annotator(inventory="tiny", method="lesk").inventory == "tiny"
    shown = CliRunner().invoke(app, ["inventory", "show", "zap", "--inventory", "tiny", "--json"])
    assert [sense["id"] for sense in json.loads(shown.output)] == ["zap.hit", "zap.cook"]
    told = CliRunner().invoke(app, ["inventory", "show", "zapp", "--inventory", "tiny"])
    assert "did you mean 'zap'?" in " ".join(told.output.split())
    texts = ["senses", "He zapped the food in the oven.", "--inventory", "tiny", "--json"]
    (row,) = json.loads(CliRunner().invoke(app, [*texts, "--methods", "lesk"]).output)
    assert row["methods"]["lesk"]["sense"] == "zap.cook"


def test_its_language_and_its_place_in_a_list_are_checked(tiny):
    with pytest.raises(ConfigError, match="'tiny' is for language 'en', the pipeline's is 'de'"):
        spacy_attn.load_inventory("tiny", "de")
    with pytest.raises(ConfigError, match="'tiny' stands alone"):
        spacy_attn.load_inventory(["homographs", "tiny"])
    with pytest.raises(ConfigError, match="allowed are homographs, wordnet, tiny or the path"):
        spacy_attn.load_inventory("tinny")


def test_what_makes_each_name_is_known():
    assert set(opened._MAKERS) == set(sources.MADE)
