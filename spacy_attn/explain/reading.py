"""Texts made ready to be read: each word with its senses, how sure, and what weighed most.

    texts = read_texts(nlp, {"story.txt": text}, against="word2vec", why=20)
    Path("page.html").write_text(reading_page(texts))           # see reading_page.py

A :class:`ReadText` is plain data: a page, a notebook or a program of one's own can show it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from spacy.language import Language
from spacy.tokens import Doc

from spacy_attn._types import CharSpan
from spacy_attn.components.adapter import contexts_of, resources_of
from spacy_attn.components.extensions import sense_records
from spacy_attn.components.sense_disambiguator import SenseDisambiguator
from spacy_attn.explain.decision import component_of
from spacy_attn.explain.occlusion import occlusion
from spacy_attn.sentences import passage_starts, sentence_of, sentence_starts
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.engine import disambiguate
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.methods.registry import sense_method
from spacy_attn.wsd.sense import POS_TAGS
from spacy_attn.wsd.vectors import Texts

_CUES: Final = 3  # words that weighed most, of each mark
_RADIUS: Final = 12  # tokens each side of a word that are tried

Label: TypeAlias = tuple[int, int, str]  # start and end character, and what it is


@dataclass(frozen=True, slots=True)
class Choice:
    """A sense that a word can have."""

    id: str
    definition: str
    lemma: str = ""  # "saw" can be of *see* too; "" where no inventory says it
    pos: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """The word that was decided on, with all senses that its form can have, by frequency."""

    lemma: str
    pos: str  # of the decided sense: "bats" can be of a verb too
    senses: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """One occurrence of a word."""

    start: int  # characters of the text
    end: int
    word: Word
    ranked: tuple[tuple[str, float], ...]  # sense id and probability, best first
    sentence: CharSpan
    method: str = ""
    other: tuple[str, float] | None = None  # what another method says
    cues: tuple[tuple[str, float], ...] = ()  # words that weighed most, and their weight

    @property
    def differs(self) -> bool:
        """Whether another method says something else."""
        return self.other is not None and self.other[0] != self.ranked[0][0]


@dataclass(frozen=True, slots=True)
class ReadText:
    """A text with what was found in it."""

    title: str
    text: str
    marks: tuple[Mark, ...]
    entities: tuple[Label, ...] = ()
    chunks: tuple[Label, ...] = ()
    relations: tuple[tuple[int, str], ...] = ()  # character of the subject, and the relation
    against: str = ""  # the other method
    layers: tuple[str, ...] = field(default=())  # which of the above were looked for


def read_texts(
    nlp: Language, texts: Mapping[str, str], *, against: str | None = None, why: int = 0
) -> list[ReadText]:
    """Run a pipeline over some texts and gather what a reader wants to see.

    Args:
        nlp: a pipeline with a ``sense_disambiguator``.
        texts: by their titles.
        against: name of a sense method that is asked too.
        why: for how many words, the least certain first, to find what weighed most. Each takes as
            long as about twenty sentences.

    Raises:
        ConfigError: the pipeline has no ``sense_disambiguator``, or there is no such method.
        ResourceError: a model is missing.
    """
    component = component_of(nlp)
    other = None
    if against is not None:
        other = sense_method(against).prepare(component.inventory, resources_of(nlp))
    docs = list(nlp.pipe(texts.values()))
    found = [read_doc(doc, title, component) for title, doc in zip(texts, docs, strict=True)]
    if other is None and not why:
        return found
    contexts = list(contexts_of(docs))
    targets = [_targets(component, context) for context in contexts]
    if other is not None and against is not None:
        for i, (read, context) in enumerate(zip(found, contexts, strict=True)):
            decisions = _decisions(component, other, context, list(targets[i].values()))
            said = dict(zip(targets[i], decisions, strict=True))
            marks = tuple(replace(m, other=said.get((m.start, m.end))) for m in read.marks)
            found[i] = replace(read, marks=marks, against=against)
    return _with_cues(found, contexts, targets, component, why)


def read_doc(doc: Doc, title: str = "", component: SenseDisambiguator | None = None) -> ReadText:
    """What a reader wants to see of one Doc.

    Args:
        doc: annotated.
        title: of the text.
        component: the one that wrote the senses; with it all senses have their definitions.
    """
    key = component.config["spans_key"] if component is not None else "senses"
    inventory = component.inventory if component is not None else None
    tokens, text = [token.text for token in doc], doc.text
    starts = [doc[i].idx for i in sentence_starts(tokens)]
    known: dict[tuple[str, ...], tuple[Choice, ...]] = {}
    marks = []
    for record in sense_records(doc, key):
        ids = tuple(record["ranked"]) or (record["sense"],)
        probabilities = record["probabilities"] or [1.0]
        named = (record["lemma"], *sorted(ids))
        if named not in known:
            known[named] = tuple(_choices(record, ids, inventory))
        pos = next((each.pos for each in known[named] if each.id == record["sense"]), "")
        pos = pos or _tag_of(doc, record)
        first, end = sentence_of(starts, record["start"], len(text))
        marks.append(
            Mark(
                record["start"],
                record["end"],
                Word(record["lemma"], pos, known[named]),
                tuple(zip(ids, probabilities, strict=True)),
                (first, first + len(text[first:end].rstrip())),
                record["method"],
            )
        )
    relations = doc._.relations if doc.has_extension("relations") else []
    chunks = doc.spans["chunks"] if "chunks" in doc.spans else []
    layers = [
        name
        for name, is_there in (
            ("entities", doc.has_annotation("ENT_IOB")),
            ("chunks", "chunks" in doc.spans),
            ("relations", bool(relations)),
        )
        if is_there
    ]
    return ReadText(
        title,
        text,
        tuple(marks),
        tuple((span.start_char, span.end_char, span.label_) for span in doc.ents),
        tuple((span.start_char, span.end_char, span.label_) for span in chunks),
        tuple(_relation(doc, relation) for relation in relations),
        layers=tuple(layers),
    )


def to_displacy(doc: Doc, spans_key: str = "senses") -> dict[str, Any]:
    """The senses of a Doc for ``displacy.render(..., style="span", manual=True)``.

    Args:
        doc: annotated.
        spans_key: the span group.
    """
    spans = doc.spans[spans_key] if spans_key in doc.spans else []
    return {
        "text": doc.text,
        "tokens": [token.text for token in doc],
        "spans": [
            {
                "start": span.start_char,
                "end": span.end_char,
                "start_token": span.start,
                "end_token": span.end,
                "label": span.kb_id_,
            }
            for span in spans
        ],
    }


def _tag_of(doc: Doc, record: Mapping[str, Any]) -> str:
    """The part of speech of an occurrence as the tagger says it, or ""."""
    span = doc.char_span(record["start"], record["end"], alignment_mode="expand")
    tag = span.root.pos_ if span is not None else ""
    tag = {"PROPN": "NOUN", "AUX": "VERB"}.get(tag, tag)
    return tag if tag in POS_TAGS else ""


def _choices(
    record: Mapping[str, Any], ids: Sequence[str], inventory: SenseInventory | None
) -> Iterator[Choice]:
    """The senses of a record; with an inventory in frequency order, its own lemma first."""
    left = dict.fromkeys(ids)
    for lemma in _lemmas(record["lemma"], ids, inventory):
        for sense in inventory.candidates(lemma) if inventory is not None else ():
            if sense.id in left:
                del left[sense.id]
                yield Choice(sense.id, sense.definition, lemma, sense.pos)
    for name in left:
        yield Choice(name, record["definition"] if name == record["sense"] else "")


def _lemmas(first: str, ids: Sequence[str], inventory: SenseInventory | None) -> Iterable[str]:
    """The lemmas of some senses."""
    if inventory is None or inventory.senses is None:  # WordNet, whose ids say it
        others = [name.partition("%")[0].replace("_", " ") for name in ids]
    else:
        wanted = set(ids) - {sense.id for sense in inventory.candidates(first)}
        others = [sense.lemma for sense in inventory.senses if sense.id in wanted] if wanted else []
    return dict.fromkeys([first, *others])


def _relation(doc: Doc, relation: Any) -> tuple[int, str]:
    def said(part: tuple[int, int] | None) -> str:
        return "" if part is None else " ".join(doc[part[0] : part[1]].text.split())

    at = relation.subject or relation.object
    verb = f"not {relation.relation}" if relation.negated else relation.relation
    parts = filter(None, (said(relation.subject), verb, said(relation.object)))
    return doc[at[0]].idx if at is not None else 0, " \N{RIGHTWARDS ARROW} ".join(parts)


# -- a second method, and what weighed most -------------------------------------------------


def _targets(component: SenseDisambiguator, context: Context) -> dict[CharSpan, Target]:
    """The words of a text by their characters."""
    return {
        (context.offsets[target.start][0], context.offsets[target.end - 1][1]): target
        for target in component.inventory.find(context)
    }


def _decisions(
    component: SenseDisambiguator, method: Any, context: Context, targets: Sequence[Target]
) -> list[tuple[str, float]]:
    decided = disambiguate(method, Texts([context]), [replace(t, context=0) for t in targets])
    if component.coarsen is not None:
        decided = [component.coarsen(t, d) for t, d in zip(targets, decided, strict=True)]
    return [(decision.sense.id, decision.score) for decision in decided]


def _with_cues(
    found: list[ReadText],
    contexts: Sequence[Context],
    targets: Sequence[Mapping[CharSpan, Target]],
    component: SenseDisambiguator,
    why: int,
) -> list[ReadText]:
    """The texts with what weighed most for the least certain words."""
    open_marks = [
        (mark.ranked[0][1], i, k)
        for i, read in enumerate(found)
        for k, mark in enumerate(read.marks)
        if len(mark.ranked) > 1 and (mark.start, mark.end) in targets[i]
    ]
    marks = [list(read.marks) for read in found]
    for _, i, k in sorted(open_marks)[:why]:
        mark = marks[i][k]
        target = targets[i][mark.start, mark.end]
        marks[i][k] = replace(mark, cues=_cues(component, contexts[i], target))
    return [replace(read, marks=tuple(own)) for read, own in zip(found, marks, strict=True)]


def _cues(
    component: SenseDisambiguator, context: Context, target: Target
) -> tuple[tuple[str, float], ...]:
    """The words without which the chosen sense is least ahead of the runner-up.

    The passage and its neighbours are looked at, not a whole book.
    """
    starts = passage_starts(context.tokens)
    at = bisect_right(starts, target.start) - 1
    low = starts[max(0, at - 1)]
    high = starts[at + 2] if at + 2 < len(starts) else len(context.tokens)
    high = max(high, target.end)
    base = context.offsets[low][0]
    part = Context(
        context.text[base : context.offsets[high - 1][1]],
        context.tokens[low:high],
        [(start - base, end - base) for start, end in context.offsets[low:high]],
        context.lemmas[low:high],
        context.tags[low:high],
    )
    own = replace(target, context=0, start=target.start - low, end=target.end - low)
    fitted = component.prepared()
    (decision,) = disambiguate(fitted, Texts([part]), [own])
    ids = [sense.id for sense in own.candidates]
    best, second = (ids.index(name) for name in decision.ids[:2])
    weights = occlusion(fitted, part, own, best, radius=_RADIUS, against=second)
    return tuple((each.text, each.weight) for each in weights[:_CUES] if each.weight > 0)
