"""The factory ``nltk_stemmer``: the stem of each token on ``token._.stem``."""

from __future__ import annotations

from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Config

from spacy_attn.classic.stem import Stemmer
from spacy_attn.components.extensions import (
    install_item_extension,
    refuse_shared_names,
    set_token_items,
)
from spacy_attn.errors import ConfigError

DEFAULT_CONFIG = """
[nltk_stemmer]
# "snowball", "porter", "lancaster" or "regexp". Snowball's English stemmer is Porter's own
# revision of his first one, and the only algorithm here with other languages.
algorithm = "snowball"
# For Snowball: a language by name or code ("german", "de"), or "porter"; null: that of nlp
# (an "xx" pipeline has none, so there it has to be given).
# Porter and Lancaster know English alone: "english" here uses them in another pipeline.
language = null
# For Porter: "nltk_extensions", "martin_extensions" or "original_algorithm".
mode = "nltk_extensions"
# For regexp: what is cut out of a word, such as "ing$|s$|able$".
pattern = null
# For regexp: words with fewer characters stay as they are.
min_length = 0
# The Token attribute: token._.stem
attr = "stem"
"""

_ENGLISH = {"en", "english", "xx"}  # "xx" is spaCy's code of a pipeline for any language


@Language.factory(
    "nltk_stemmer",
    assigns=["token._.stem"],
    default_config=Config().from_str(DEFAULT_CONFIG)["nltk_stemmer"],
)
def make_nltk_stemmer(
    nlp: Language,
    name: str,
    algorithm: str,
    language: str | None,
    mode: str,
    pattern: str | None,
    min_length: int,
    attr: str,
) -> NltkStemmer:
    """Give each token its stem, by one of NLTK's stemmers.

    ``DEFAULT_CONFIG`` describes the settings.

    Raises:
        ConfigError: a setting is wrong, the algorithm does not know the language, or the
            attribute is taken by somebody else.
        ResourceError: NLTK is not installed.
    """
    refuse_shared_names(nlp, name, {"attr": f"token._.{attr}"})
    stemmer = Stemmer(
        algorithm,
        language=_language(nlp.lang, algorithm, language),
        mode=mode,
        pattern=pattern,
        min_length=min_length,
    )
    return NltkStemmer(stemmer, attr=attr, name=name)


class NltkStemmer:
    """Writes the stem of every token; ``token._.stem`` is None where it never ran.

    NLTK stems every token. Those without letters or in another script come back unchanged, or in
    lower case. All settings are in the config, so there is nothing to save.
    """

    def __init__(self, stemmer: Stemmer, *, attr: str = "stem", name: str = "nltk_stemmer") -> None:
        self.stemmer = stemmer
        self.attr = attr
        self.name = name
        install_item_extension(attr)

    @property
    def written_names(self) -> dict[str, str]:
        """Setting and the attribute that it names."""
        return {"attr": f"token._.{self.attr}"}

    def __call__(self, doc: Doc) -> Doc:
        """Stem one Doc."""
        install_item_extension(self.attr)  # a spawned child starts without extensions
        stem = self.stemmer.stem
        set_token_items(doc, self.attr, [stem(token.text) for token in doc])
        return doc


def _language(nlp_lang: str | None, algorithm: str, language: str | None) -> str:
    """The language that the config or the pipeline names.

    Raises:
        ConfigError: an English algorithm in a pipeline of another language, or Snowball in one
            for any language.
    """
    if language == "":
        raise ConfigError("language = ''; give a language, or null for that of the pipeline")
    chosen = language or nlp_lang or "xx"
    if algorithm == "snowball" and language is None and chosen == "xx":
        raise ConfigError(
            "this pipeline is for any language (lang = 'xx') and Snowball has to know which; set "
            "language = 'english' or another of its languages"
        )
    if algorithm in ("porter", "lancaster") and chosen.lower() not in _ENGLISH:
        raise ConfigError(
            f"algorithm = {algorithm!r} knows English alone and the language is {chosen!r}; "
            "take algorithm = 'snowball', or language = 'english' to use it all the same"
        )
    return chosen
