"""The factory ``word2vec``: static vectors on ``token._.word2vec``.

Nothing is stored on the Doc: the attribute is a getter that finds the vectors by the path
in the config, in a child process and after a DocBin as well.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, TypedDict

from spacy.language import Language
from spacy.tokens import Doc, Token
from thinc.api import Config

from spacy_attn._types import Floats1d, Floats2d
from spacy_attn.classic.vectors import GLOVE, WordVectors, check_choice, shared_vectors
from spacy_attn.components.extensions import install_extension, refuse_shared_names
from spacy_attn.components.hooks import install_hooks, refuse_worker_process
from spacy_attn.components.saving import SavedInOneFile
from spacy_attn.errors import ConfigError

logger = logging.getLogger("spacy_attn")

_LOOK_AGAIN = 0.1  # seconds
_MOST_RECENT = 4  # files and rules

DEFAULT_CONFIG = """
[word2vec]
# A gensim, word2vec, GloVe or fastText file, or a folder of spacy-attn train-word2vec; null:
# GloVe 6B 50d from the extra [models].
vectors = null
# The Token attribute: token._.word2vec
attr = "word2vec"
# What a word without a vector gets: "zero", "lemma" (its lemma's vector) or "subword"
# (its n-grams; only with a fastText file).
unknown = "zero"
# Whether vector, has_vector, vector_norm and similarity of spaCy use these vectors.
hooks = false
"""


@Language.factory(
    "word2vec",
    assigns=["token._.word2vec"],
    default_config=Config().from_str(DEFAULT_CONFIG)["word2vec"],
)
def make_word2vec(
    nlp: Language, name: str, vectors: str | Path | None, attr: str, unknown: str, hooks: bool
) -> Word2Vec:
    """Give each token the vector of its word, the same in every text.

    ``DEFAULT_CONFIG`` describes the settings.

    Raises:
        ConfigError: a setting is wrong, the attribute is taken by somebody else, or the
            default vectors are asked for in another language than English.
    """
    if vectors is None and nlp.lang not in {"en", "xx"}:
        raise ConfigError(
            f"the default vectors are English and this pipeline has lang = {nlp.lang!r}; give "
            f"vectors = the path of a file for that language (or vectors = {GLOVE!r} all the same)"
        )
    refuse_shared_names(nlp, name, {"attr": f"token._.{attr}"})
    return Word2Vec(vectors=vectors, attr=attr, unknown=unknown, hooks=hooks, name=name)


class Settings(TypedDict):
    """The config of one component, as it is kept on disk."""

    vectors: str | None
    attr: str
    unknown: str
    hooks: bool


class Word2Vec(SavedInOneFile):
    """Static vectors in a pipeline; the file is read on first use, once per process."""

    saved_as = "config.json"
    may_lack_file = True  # and is an error of the config all the same

    def __init__(
        self,
        *,
        vectors: str | Path | None = None,
        attr: str = "word2vec",
        unknown: str = "zero",
        hooks: bool = False,
        name: str = "word2vec",
    ) -> None:
        self.name = name
        self._configure(vectors, attr, unknown, hooks)

    @property
    def written_names(self) -> dict[str, str]:
        """Setting and the attribute that it names."""
        return {"attr": f"token._.{self.attr}"}

    def __call__(self, doc: Doc) -> Doc:
        """Set the hooks, where the config asks for them; else leave the Doc as it is.

        Raises:
            ConfigError: hooks in a worker of ``nlp.pipe(n_process=...)``.
        """
        if self.hooks:
            refuse_worker_process(self.name)
            self.set_hooks(doc)
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Do the same for a stream, in its order; ``batch_size`` changes nothing.

        Raises:
            ConfigError: as ``__call__``.
        """
        return map(self, stream)

    def set_hooks(self, doc: Doc) -> None:
        """Set the hooks on a Doc, whatever the config says."""
        install_hooks(
            doc,
            partial(static_vectors, vectors=self._file, unknown=self.unknown),
            span_vectors=partial(_span_vectors, vectors=self._file, unknown=self.unknown),
        )

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The config; the vectors stay in their file."""
        return json.dumps(self._settings()).encode()

    def _configure(self, vectors: str | Path | None, attr: str, unknown: str, hooks: bool) -> None:
        self.vectors = None if vectors is None else str(vectors)
        check_choice(self.vectors, unknown)
        self._file = _absolute(self.vectors)
        install_word2vec_extension(attr, vectors=self._file, unknown=unknown)
        self.attr, self.unknown, self.hooks = attr, unknown, hooks

    def _settings(self) -> Settings:
        return Settings(
            vectors=self.vectors, attr=self.attr, unknown=self.unknown, hooks=self.hooks
        )

    def _restore(self, data: bytes, where: str) -> None:
        try:
            saved: Any = json.loads(data)
        except (ValueError, RecursionError):
            saved = None
        if not _is_settings(saved):
            raise ConfigError(
                f"no config of word2vec in {where}; save the pipeline again with nlp.to_disk"
            )
        self._configure(saved["vectors"], saved["attr"], saved["unknown"], saved["hooks"])


def _is_settings(saved: Any) -> bool:
    if not isinstance(saved, dict) or set(saved) != set(Settings.__annotations__):
        return False
    texts = [saved["attr"], saved["unknown"], saved["vectors"] or ""]
    return all(isinstance(text, str) for text in texts) and isinstance(saved["hooks"], bool)


def install_word2vec_extension(
    attr: str = "word2vec", *, vectors: str | Path | None = None, unknown: str = "zero"
) -> None:
    """Install ``token._.<attr>`` without a component, for example to read a DocBin.

    Safe to call any number of times. The attribute belongs to the process: with another file
    or rule than before it reads that from now on, in every Doc, and the log says so.

    Raises:
        ConfigError: ``unknown`` is no rule or does not fit GloVe, ``vectors`` is empty, or the
            attribute is taken by an extension that is not ours.
    """
    path = None if vectors is None else str(vectors)
    check_choice(path, unknown)
    file = _absolute(path)
    getter = partial(_get_word_vector, vectors=file, unknown=unknown)
    before = Token.get_extension(attr)[2] if Token.has_extension(attr) else None
    if isinstance(before, partial) and before.func is _get_word_vector:
        if before.keywords != getter.keywords:
            logger.warning(
                "token._.%s now reads %s (%s) in this process, no longer %s (%s); to keep both, "
                "give one component another attr",
                attr,
                file or GLOVE,
                unknown,
                before.keywords["vectors"] or GLOVE,
                before.keywords["unknown"],
            )
            Token.set_extension(attr, getter=getter, force=True)
        return
    install_extension(Token, attr, setting="attr", getter=getter)


def static_vectors(doc: Doc, *, vectors: str | None = None, unknown: str = "zero") -> Floats2d:
    """The vectors of all tokens of a Doc.

    Raises:
        ConfigError: the rule does not fit the file.
        ResourceError: the file is missing or damaged.

    *Shape:* (n_tokens, width)
    """
    return _span_vectors(doc, 0, len(doc), vectors=vectors, unknown=unknown)


def _span_vectors(doc: Doc, start: int, end: int, *, vectors: str | None, unknown: str) -> Floats2d:
    words = [doc[i].text for i in range(start, end)]
    lemmas = [doc[i].lemma_ for i in range(start, end)] if unknown == "lemma" else None
    return shared_vectors(vectors, unknown).vectors(words, lemmas)


def _get_word_vector(token: Token, vectors: str | None, unknown: str) -> Floats1d:
    lemmas = [token.lemma_] if unknown == "lemma" else None
    row: Floats1d = _recent_vectors(vectors, unknown).vectors([token.text], lemmas)[0]
    return row


_recent: dict[tuple[str | None, str], tuple[float, WordVectors]] = {}


def _recent_vectors(vectors: str | None, unknown: str) -> WordVectors:
    """``shared_vectors``, which looks at the file: for single tokens ten times a second."""
    now = monotonic()
    looked, found = _recent.get((vectors, unknown), (-_LOOK_AGAIN, None))
    if found is None or now - looked >= _LOOK_AGAIN:
        if len(_recent) >= _MOST_RECENT:
            _recent.clear()
        found = shared_vectors(vectors, unknown)
        _recent[vectors, unknown] = now, found
    return found


def _absolute(vectors: str | None) -> str | None:
    """A path that means the same after a change of folder; None for the GloVe wheel."""
    if vectors is None or vectors == GLOVE:
        return None
    return str(Path(vectors).expanduser().absolute())
