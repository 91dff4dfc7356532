"""From spaCy to the sense methods: what they see of a Doc, and what they may use of a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from spacy.language import Language
from spacy.strings import StringStore
from spacy.tokens import Doc

from spacy_attn.backends import LocalModels
from spacy_attn.wsd.context import Context, Resources
from spacy_attn.wsd.inventory.protocol import SenseInventory

_TOKEN_ATTRS: list[int | str] = [
    *("ORTH", "LEMMA", "POS", "TAG", "DEP", "ENT_TYPE", "HEAD", "SPACY", "IDX", "LENGTH")
]


def context_of(doc: Doc) -> Context:
    """What methods see of a Doc."""
    (context,) = contexts_of([doc])
    return context


def contexts_of(docs: Iterable[Doc]) -> Iterator[Context]:
    """What methods see of some Docs. Each string of a vocabulary is read once."""
    store = None
    for doc in docs:
        if doc.vocab.strings is not store:
            store = doc.vocab.strings
            plain, lower = _Strings(store), _LowerStrings(store)
        rows = doc.to_array(_TOKEN_ATTRS).reshape(len(doc), len(_TOKEN_ATTRS))
        rows[:, -1] += rows[:, -2]  # where the tokens end
        words, lemmas, tags, fine, deps, entities, heads, spaces, starts, ends = cast(
            list[list[int]], rows.T.tolist()
        )
        tokens = [plain[word] for word in words]
        is_parsed, has_entities = doc.has_annotation("DEP"), doc.has_annotation("ENT_IOB")
        pairs = zip(tokens, spaces, strict=True)
        yield Context(
            # doc.text, from the strings that have been read already
            text="".join([f"{token} " if space else token for token, space in pairs]),
            tokens=tokens,
            offsets=list(zip(starts, ends, strict=True)),
            lemmas=[lower[lemma] for lemma in lemmas],
            tags=[plain[tag] for tag in tags],
            fine_tags=[plain[tag] for tag in fine] if any(fine) else (),
            deps=[plain[dep] for dep in deps] if is_parsed else (),
            heads=[i + _signed(head) for i, head in enumerate(heads)] if is_parsed else (),
            entities=[plain[entity] for entity in entities] if has_entities else (),
        )


def _signed(number: int) -> int:
    """What spaCy's unsigned column means: heads are counted from the token."""
    return number - (1 << 64) if number >> 63 else number


def may_hold_words(docs: Iterable[Doc], inventory: SenseInventory) -> Iterator[bool]:
    """Whether each Doc has a token with which a word of an inventory can begin."""
    store = None
    for doc in docs:
        if doc.vocab.strings is not store:
            store = doc.vocab.strings
            can_begin = _CanBegin(store, inventory)
        keys = cast(list[int], doc.to_array(["ORTH", "LEMMA"]).ravel().tolist())
        yield any(map(can_begin.__getitem__, keys))


class _Strings(dict[int, str]):
    """The strings of a vocabulary by their hash, each read when it is first asked for."""

    def __init__(self, store: StringStore) -> None:
        self.store = store

    def __missing__(self, key: int) -> str:
        text = self[key] = self.store[key]
        return text


class _LowerStrings(_Strings):
    """The same in lower case."""

    def __missing__(self, key: int) -> str:
        text = self[key] = self.store[key].lower()
        return text


class _CanBegin(dict[int, bool]):
    """:meth:`.SenseInventory.can_begin` by the hash of a form."""

    def __init__(self, store: StringStore, inventory: SenseInventory) -> None:
        self.store, self.inventory = store, inventory

    def __missing__(self, key: int) -> bool:
        answer = self[key] = self.inventory.can_begin(self.store[key])
        return answer


def resources_of(nlp: Language) -> Resources:
    """Tokenizer and stop words of a pipeline, and the models of this machine."""
    return Resources(_Tokenize(nlp.make_doc), LocalModels(), frozenset(nlp.Defaults.stop_words))


@dataclass(frozen=True)
class _Tokenize:
    """A pipeline's tokenizer, also one that is put there later."""

    make_doc: Callable[[str], Doc]

    def __call__(self, text: str) -> Context:
        return context_of(self.make_doc(text))

    def __reduce__(self) -> tuple[Any, ...]:
        """A spawned child gets the tokenizer, not the whole pipeline with its weights."""
        nlp = getattr(self.make_doc, "__self__", None)
        return _Tokenize, (nlp.tokenizer if isinstance(nlp, Language) else self.make_doc,)
