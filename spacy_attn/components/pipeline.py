"""The pipeline that the command line and the jobs use when they are given none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import spacy
from spacy.language import Language

from spacy_attn.errors import ConfigError
from spacy_attn.models import resolve_pipeline

__all__ = ["load_pipeline"]

# What senses need of an English pipeline: the tagger says noun or verb, the lemmatizer
# finds "bat" in "bats"; parser and NER cost more time than both.
_NEEDED = ("tok2vec", "tagger", "attribute_ruler", "lemmatizer")
# What other fields of a job need besides.
_NEEDED_BY = {"entities": ("ner",), "relations": ("parser", "ner")}
_TAGGED = frozenset({"senses", "chunks", "relations", "tokens"})
# Factories that write a field; vectors first, so that senses read them instead of encoding again.
_WRITES = {
    "vectors": "attention_encoder",
    "stems": "nltk_stemmer",
    "chunks": "nltk_chunker",
    "relations": "relation_extractor",
}


def load_pipeline(
    pipeline: str | None = None,
    *,
    inventory: str = "homographs",
    method: str = "attention",
    fields: Sequence[str] = ("senses",),
    **config: Any,
) -> Language:
    """A spaCy pipeline with a ``sense_disambiguator``; one that it has already is kept.

    Args:
        pipeline: name or path of a spaCy pipeline, used whole. None takes the installed
            en_core_web_sm with tagger and lemmatizer, else a blank English pipeline, which
            finds words by their inflected forms and takes no notice of parts of speech.
        inventory: "homographs", "wordnet" or the path of a .jsonl file.
        method: name of a sense method.
        fields: of :data:`spacy_attn.jobs.fields.FIELDS`: the pipeline gets what writes them;
            without "senses" it gets no ``sense_disambiguator``.
        config: further settings of the component.

    Raises:
        ResourceError: the named pipeline is not installed.
        ConfigError: a setting is illegal.
    """
    name = resolve_pipeline(pipeline)
    if name is None:
        nlp = spacy.blank("en")
    elif pipeline is not None:
        nlp = spacy.load(name)
    else:
        nlp = spacy.load(name)
        needed = _needed_by(fields)
        for component in [pipe for pipe in nlp.pipe_names if pipe not in needed]:
            nlp.remove_pipe(component)
    _add_writers(nlp, fields)
    if "senses" not in fields:
        return nlp
    settings = {"inventory": inventory, "method": method, **config}
    own = [p for p in nlp.pipe_names if nlp.get_pipe_meta(p).factory == "sense_disambiguator"]
    if own:
        _refuse_other_settings(nlp, own[0], settings)
    else:
        nlp.add_pipe("sense_disambiguator", config=settings)
    return nlp


def _refuse_other_settings(nlp: Language, component: str, settings: dict[str, Any]) -> None:
    """A setting that differs from a given pipeline's own would be passed over in silence."""
    own = nlp.get_pipe_config(component)
    for name, value in settings.items():
        is_default = (name, value) in (("inventory", "homographs"), ("method", "attention"))
        if not is_default and own.get(name) != value:
            raise ConfigError(
                f"{name} = {value!r}, but the pipeline has a component {component!r} of its own "
                f"with {name} = {own.get(name)!r}; leave the setting out or choose a pipeline "
                "without that component"
            )


def _needed_by(fields: Sequence[str]) -> set[str]:
    """Components of en_core_web_sm that these fields read."""
    needed = set(_NEEDED) if _TAGGED & set(fields) else set()
    for field in fields:
        needed |= {"tok2vec", *_NEEDED_BY[field]} if field in _NEEDED_BY else set()
    return needed


def _add_writers(nlp: Language, fields: Sequence[str]) -> None:
    """Add what writes the fields and is not there yet."""
    present = [nlp.get_pipe_meta(name).factory for name in nlp.pipe_names]
    for field, factory in _WRITES.items():
        if field in fields and factory not in present:
            nlp.add_pipe(factory)
    if "entities" in fields and not {"ner", "beam_ner", "nltk_ner", "entity_ruler"} & set(present):
        raise ConfigError(
            "the field entities needs a component that finds them (ner, nltk_ner or "
            "entity_ruler): name such a --pipeline"
        )
