"""The factory ``attention_lemmatizer``: lemmas by an encoder-decoder over letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from spacy.language import Language
from spacy.tokens import Doc, Token
from thinc.api import Config

from spacy_attn.batches import MAX_TOKENS, batches
from spacy_attn.components.extensions import (
    install_item_extension,
    refuse_shared_names,
    set_token_items,
)
from spacy_attn.components.saving import SavedInOneFile
from spacy_attn.errors import ConfigError, ResourceError, explain_missing_package
from spacy_attn.files import regular_file

if TYPE_CHECKING:
    from spacy_attn.encoder.lemmatizer import LetterLemmatizer

DEFAULT_CONFIG = """
[attention_lemmatizer]
# A model of spacy-attn train-lemmatizer; null: the bundled one, for English.
model = null
# The Token attribute: token._.attn_lemma
attr = "attn_lemma"
# Whether token.lemma is written too: of words that the model reads over what is there, of others
# where there is nothing.
overwrite = false
"""
#: The model that ships.
BUNDLED = Path(str(files("spacy_attn") / "data" / "lemmatizer.safetensors"))
_READ_AS = {"AUX": "VERB"}
_READ = {"NOUN", "VERB", "ADJ", "ADV"}
_UNKNOWN = {"", "X"}  # a Doc without parts of speech has "" everywhere


@Language.factory(
    "attention_lemmatizer",
    assigns=["token._.attn_lemma"],
    default_config=Config().from_str(DEFAULT_CONFIG)["attention_lemmatizer"],
)
def make_attention_lemmatizer(
    nlp: Language, name: str, model: str | Path | None, attr: str, overwrite: bool
) -> AttentionLemmatizer:
    """Give each token its lemma, written letter by letter by an encoder-decoder.

    ``DEFAULT_CONFIG`` describes the settings.

    Raises:
        ConfigError: a setting is wrong, the attribute is taken by somebody else, or the bundled
            model is asked for in another language than English.
    """
    if model is None and nlp.lang not in {"en", "xx"}:
        raise ConfigError(
            f"the bundled lemmatizer is English and this pipeline has lang = {nlp.lang!r}; give "
            "model = the path of a model trained with: spacy-attn train-lemmatizer"
        )
    refuse_shared_names(nlp, name, {"attr": f"token._.{attr}"})
    return AttentionLemmatizer(model=model, attr=attr, overwrite=overwrite, name=name)


class AttentionLemmatizer(SavedInOneFile):
    """Writes the lemma of every token; ``token._.attn_lemma`` is None where it never ran.

    The model reads nouns, verbs (auxiliaries too), adjectives and adverbs, in lower case, and all
    words where a Doc has no parts of speech. A name (PROPN) is its own lemma; every other token,
    and one with a character that is no letter, is its own in lower case. The model is read at the
    first text, and saved with the pipeline.
    """

    saved_as = "lemmatizer.safetensors"

    def __init__(
        self,
        *,
        model: str | Path | None = None,
        attr: str = "attn_lemma",
        overwrite: bool = False,
        name: str = "attention_lemmatizer",
    ) -> None:
        if model is not None and not str(model).strip():
            raise ConfigError(
                f"model = {str(model)!r}; give the path of a model, or null for the bundled one"
            )
        self.model = BUNDLED if model is None else Path(model).expanduser().absolute()
        self.attr, self.overwrite, self.name = attr, overwrite, name
        self._data: bytes | None = None  # of the model, where it is not that of the file
        self._lemmatizer: LetterLemmatizer | None = None
        install_item_extension(attr)

    @property
    def written_names(self) -> dict[str, str]:
        """Setting and the attribute that it names."""
        return {"attr": f"token._.{self.attr}"}

    @property
    def lemmatizer(self) -> LetterLemmatizer:
        """The model, read from its file if that was not done yet.

        Raises:
            ResourceError: torch or safetensors is missing; the file is missing or damaged.
        """
        if self._lemmatizer is None:
            with explain_missing_package(repr(self.name)):
                from spacy_attn.encoder.lemmatizer import lemmatizer_of, read_lemmatizer

                if self._data is None:
                    self._lemmatizer = read_lemmatizer(self.model)
                else:
                    self._lemmatizer = lemmatizer_of(self._data)
        return self._lemmatizer

    def __call__(self, doc: Doc) -> Doc:
        """Write the lemmas of one Doc.

        Raises:
            ResourceError: as :attr:`lemmatizer`.
        """
        self.annotate([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Write the lemmas of a stream of Docs, many in one batch, order kept."""
        for docs in batches(stream, len, MAX_TOKENS, batch_size):
            self.annotate(docs)
            yield from docs

    def annotate(self, docs: list[Doc]) -> None:
        """Write the lemmas of some Docs.

        Raises:
            ResourceError: as :attr:`lemmatizer`.
        """
        install_item_extension(self.attr)  # a spawned child starts without extensions
        forms = [(token.lower_, _pos_to_read(token)) for doc in docs for token in doc]
        read = [(form, pos) for form, pos in forms if pos is not None]
        found = dict(zip(read, self.lemmatizer.lemmas(read), strict=True)) if read else {}
        rest = iter(forms)
        for doc in docs:
            of_doc = [next(rest) for _ in doc]
            lemmas = [_lemma(token, form, found) for token, form in zip(doc, of_doc, strict=True)]
            set_token_items(doc, self.attr, lemmas)
            if self.overwrite:
                for token, lemma, (_, pos) in zip(doc, lemmas, of_doc, strict=True):
                    if pos is not None or not token.lemma:  # n't stays not, me stays I
                        token.lemma_ = lemma

    # -- saving --------------------------------------------------------------------------

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The model.

        Raises:
            ResourceError: its file is missing.
        """
        if self._data is not None:
            return self._data
        try:
            return regular_file(self.model).read_bytes()
        except OSError as error:
            raise ResourceError(
                f"{self.model} cannot be read ({error.strerror}); train a model with: spacy-attn "
                "train-lemmatizer -o FOLDER"
            ) from error

    def _restore(self, data: bytes, where: str) -> None:
        self._data, self._lemmatizer = data, None


def _pos_to_read(token: Token) -> str | None:
    """The part of speech by which a token is read; None where it is not."""
    if not token.is_alpha:
        return None
    pos = _READ_AS.get(token.pos_, token.pos_)
    if pos in _READ:
        return pos
    return "X" if pos in _UNKNOWN else None


def _lemma(token: Token, form: tuple[str, str | None], found: dict[tuple[str, str], str]) -> str:
    text, pos = form
    if pos is None:
        return token.text if token.pos_ == "PROPN" else text
    return found[text, pos]
