"""The pipeline that the command line and the jobs use when they are given none."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Any

import spacy
from spacy.language import Language

from spacy_attn.errors import ConfigError
from spacy_attn.models import resolve_pipeline
from spacy_attn.models.catalogue import DEFAULT_PIPELINE, TAGGING
from spacy_attn.models.languages import no_tokenizer
from spacy_attn.models.resolve import repair_command
from spacy_attn.wsd.granularity import check_granularity
from spacy_attn.wsd.inventory.sources import InventorySource, check_source
from spacy_attn.wsd.methods.registry import MethodSpec, sense_method

logger = logging.getLogger("spacy_attn")

_DISAMBIGUATOR = "sense_disambiguator"


def load_pipeline(
    pipeline: str | None = None,
    *,
    inventory: InventorySource = "homographs",
    method: MethodSpec = "attention",
    components: Sequence[str] = (_DISAMBIGUATOR,),
    needs: Collection[str] = TAGGING,
    **config: Any,
) -> Language:
    """A spaCy pipeline with a ``sense_disambiguator``; one that it has already is kept.

    Args:
        pipeline: name or path of a spaCy pipeline, used whole. None takes the installed
            en_core_web_sm with tagger and lemmatizer, else a blank English pipeline, which
            finds words by their inflected forms and takes no notice of parts of speech.
        inventory: "homographs", "wordnet", the path of a .jsonl file, a list of these, or senses
            themselves, see :mod:`spacy_attn.wsd.inventory.sources`.
        method: name of a sense method, or what stands behind ``method =`` in a config.
        components: factories that are added at the end, in this order, where the pipeline has
            none of them.
        needs: components of en_core_web_sm that are kept where ``pipeline`` is None.
        config: further settings of the ``sense_disambiguator``.

    Raises:
        ResourceError: the named pipeline is not installed.
        ConfigError: a setting is not allowed.
    """
    name = resolve_pipeline(pipeline)
    if pipeline is None and _DISAMBIGUATOR in components:
        # What is wrong is told before spaCy reads its models. A pipeline of the user's own may
        # register methods while it loads.
        sense_method(method)
        check_source(inventory)
        if "granularity" in config:
            check_granularity(config["granularity"], str(inventory))
    if name is None:
        logger.warning(
            "no spaCy pipeline is installed: words are found by their forms, and their parts of "
            "speech are not known; run: %s",
            repair_command(DEFAULT_PIPELINE, "pipeline"),
        )
    nlp = spacy.blank("en") if name is None else load_named(name)
    if pipeline is None:
        for component in [pipe for pipe in nlp.pipe_names if pipe not in needs]:
            nlp.remove_pipe(component)
    own = {nlp.get_pipe_meta(pipe).factory: pipe for pipe in reversed(nlp.pipe_names)}
    settings = {"inventory": inventory, "method": method, **config}
    for factory in components:
        if factory == _DISAMBIGUATOR and factory in own:
            _refuse_other_settings(nlp, own[factory], settings)
        elif factory not in own:
            nlp.add_pipe(factory, config=settings if factory == _DISAMBIGUATOR else {})
    return nlp


def blank_pipeline(lang: str) -> Language:
    """A pipeline of a tokenizer alone.

    Raises:
        ConfigError: spaCy has none for the language, or not without another package.
    """
    try:
        return spacy.blank(lang)
    except ImportError as error:
        more = ", or with another pipeline, such as blank:xx, which cuts words at white space"
        raise no_tokenizer(f"language {lang!r}", lang, error, more) from error


def load_named(name: str) -> Language:
    """The whole pipeline of a name that :func:`~.resolve_pipeline` gives.

    Raises:
        ConfigError: it needs code that is not loaded, or spaCy has no tokenizer for its language.
    """
    try:
        return spacy.load(name)
    except ImportError as error:
        if "E048" not in str(error):
            raise
        raise no_tokenizer(f"pipeline {name}", name.removeprefix("blank:"), error) from error
    except ValueError as error:
        if "E002" not in str(error):
            raise
        reason = str(error).split(". ")[0].removeprefix("[E002] ")
        raise ConfigError(
            f"pipeline {name}: {reason}; import the code that registers it, on the command line "
            "with --code F.py"
        ) from error


def _refuse_other_settings(nlp: Language, component: str, settings: dict[str, Any]) -> None:
    """Refuse a setting that a given pipeline's own component would silently ignore."""
    own = nlp.get_pipe_config(component)
    for name, value in settings.items():
        is_default = (name, value) in (("inventory", "homographs"), ("method", "attention"))
        if not is_default and own.get(name) != value:
            raise ConfigError(
                f"{name} = {value!r}, but the pipeline has a component {component!r} of its own "
                f"with {name} = {own.get(name)!r}; leave the setting out or choose a pipeline "
                "without that component"
            )
