"""The pipeline that the command line and the jobs use when they are given none."""

from __future__ import annotations

from typing import Any

import spacy
from spacy.language import Language

from spacy_attn.models import resolve_pipeline

__all__ = ["load_pipeline"]

# What senses need of an English pipeline: the tagger says noun or verb, the lemmatizer
# finds "bat" in "bats"; parser and NER cost more time than both.
_NEEDED = ("tok2vec", "tagger", "attribute_ruler", "lemmatizer")


def load_pipeline(
    pipeline: str | None = None,
    *,
    inventory: str = "homographs",
    method: str = "attention",
    **config: Any,
) -> Language:
    """A spaCy pipeline with a ``sense_disambiguator``.

    Args:
        pipeline: name or path of a spaCy pipeline, used whole. None takes the installed
            en_core_web_sm with tagger and lemmatizer, else a blank English pipeline, which
            finds words by their inflected forms and takes no notice of parts of speech.
        inventory: "homographs" or the path of a .jsonl file.
        method: name of a sense method.
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
        for component in [pipe for pipe in nlp.pipe_names if pipe not in _NEEDED]:
            nlp.remove_pipe(component)
    if not any(nlp.get_pipe_meta(pipe).factory == "sense_disambiguator" for pipe in nlp.pipe_names):
        settings = {"inventory": inventory, "method": method, **config}
        nlp.add_pipe("sense_disambiguator", config=settings)
    return nlp
