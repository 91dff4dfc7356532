"""Texts with their senses as one HTML file that needs nothing else, to be read or corrected.

The same texts give the same bytes. All that comes from a text is escaped; the page's policy allows
no request and no script but its own, by its hash. The text itself is in the HTML, so that it can
be read, searched and printed without the script.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from spacy.tokens import Doc

from spacy_attn.errors import ConfigError
from spacy_attn.explain.decision import component_of
from spacy_attn.explain.reading import Choice, Label, Mark, ReadText, Word, read_doc
from spacy_attn.explain.templates import environment

CERTAIN: Final = 0.9  # probability from which a sense is marked as certain
FAIR: Final = 0.6
_RANKED: Final = 8  # senses of each mark whose probability is on the page
_FILES: Final = Path(__file__).parent
_TURNS_ROUND: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_PARAGRAPH: Final = re.compile(r"\n[^\S\n]*\n\s*")


def reading_page(texts: Sequence[ReadText], *, review: bool = False) -> str:
    """All texts on one page.

    Args:
        texts: as :func:`~.reading.read_texts` gives them.
        review: whether the page asks for corrections, the least certain words first.

    Raises:
        ConfigError: there are none.
        ResourceError: jinja2 is not installed.
    """
    if not texts:
        raise ConfigError("there is nothing to read: give one text or more")
    template = environment().from_string(_file("reading.html.jinja"))
    from markupsafe import Markup  # comes with jinja2

    script, data = _file("reading.js"), _data(texts, review)
    n_marks = sum(len(text.marks) for text in texts)
    numbers = iter(range(n_marks))
    return template.render(
        title=_clean(", ".join(filter(None, (text.title for text in texts)))[:200]) or "Senses",
        css=Markup(_file("reading.css")),  # noqa: S704 (our own)
        script=Markup(script),  # noqa: S704
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        texts=[
            (_clean(text.title), Markup(_body(text, numbers)))  # noqa: S704 (escaped)
            for text in texts
        ],
        data=Markup(_json(data)),  # noqa: S704
        layers=list(dict.fromkeys(name for text in texts for name in text.layers)),
        against=next((text.against for text in texts if text.against), ""),
        n_marks=n_marks,
        n_differ=sum(mark.differs for text in texts for mark in text.marks),
        review=review,
        certain=round(100 * CERTAIN),
        fair=round(100 * FAIR),
    )


@dataclass(frozen=True, slots=True)
class Page:
    """A page that a notebook shows in a frame."""

    html: str

    def __repr__(self) -> str:
        return f"Page({len(self.html):,} characters of HTML)"

    def _repr_html_(self) -> str:
        return (
            f'<iframe title="Senses" srcdoc="{html.escape(self.html, quote=True)}" '
            'sandbox="allow-scripts allow-downloads" '
            'style="width:100%;height:40em;border:1px solid #888"></iframe>'
        )


def render(docs: Doc | Sequence[Doc], nlp: Any = None, *, review: bool = False) -> Page:
    """Annotated Docs as a page for a notebook.

    Args:
        docs: one or several.
        nlp: the pipeline that made them; with it, all senses have their definitions.
        review: whether the page asks for corrections.

    Raises:
        ConfigError: one is no Doc, or there is none.
    """
    component = component_of(nlp) if nlp is not None else None
    given = [docs] if isinstance(docs, Doc) else list(docs)
    for each in given:
        if not isinstance(each, Doc):
            raise ConfigError(f"docs has a {type(each).__name__}: allowed are Docs, as nlp(text)")
    named = len(given) > 1
    texts = [
        read_doc(doc, f"Text {i}" if named else "", component) for i, doc in enumerate(given, 1)
    ]
    return Page(reading_page(texts, review=review))


def _file(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")


# -- the data of the script -------------------------------------------------------------------


def _data(texts: Sequence[ReadText], review: bool) -> dict[str, Any]:
    """Texts, words and marks as short lists: a page of 20,000 words has thousands of marks."""
    words: dict[Word, int] = {}
    senses: dict[Choice, int] = {}
    marks = []
    for i, text in enumerate(texts):
        for mark in text.marks:
            row = words.setdefault(mark.word, len(words))
            marks.append([i, *_mark(mark, row)])
    content = [[t.title, t.text] for t in texts]
    found = {
        "texts": content,
        "words": [
            [word.lemma, word.pos, [senses.setdefault(s, len(senses)) for s in word.senses]]
            for word in words
        ],
        "senses": [[sense.id, sense.definition, sense.lemma, sense.pos] for sense in senses],
        "marks": marks,
        "against": next((text.against for text in texts if text.against), ""),
        "review": review,
    }
    digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()
    return {**found, "key": digest[:16]}


def _mark(mark: Mark, row: int) -> list[Any]:
    """``start, end, word, [sense, percent, ...], sentence, method, other, cues``.

    At the end the percent that no sense is meant, where there are any.
    """
    ids = {sense.id: i for i, sense in enumerate(mark.word.senses)}
    ranked: list[float] = []
    for name, probability in mark.ranked[:_RANKED]:
        ranked += [ids[name], round(100 * probability) if probability == probability else -1]
    other: list[Any] = []
    if mark.other is not None:
        name, probability = mark.other
        other = [ids.get(name, -1), round(100 * probability), name]
    cues = [[text, round(weight, 2)] for text, weight in mark.cues]
    total = sum(probability for _, probability in mark.ranked)
    none = round(100 * (1 - total)) if total == total else 0
    found = [mark.start, mark.end, row, ranked, list(mark.sentence), mark.method, other, cues]
    return [*found, none] if none > 0 else found


def _json(data: Any) -> str:
    """JSON for a script element: nothing in it can end the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for sign, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(sign, code)
    # Half of a surrogate pair cannot be written, and two separators end a line in old scripts.
    return re.sub("[\ud800-\udfff\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


# -- the text as HTML ---------------------------------------------------------------------------


def _body(text: ReadText, numbers: Iterator[int]) -> str:
    """The paragraphs of a text, with an element for each mark, entity and end of a chunk."""
    marks = sorted(text.marks, key=lambda mark: mark.start)
    spans = [(mark.start, mark.end) for mark in marks]
    entities = _apart(text.entities, spans)
    # What closes goes before what opens, and a mark is inside of its entity.
    opened: dict[int, str] = {}
    closed: dict[int, str] = {}
    for start, end, label in _snapped(text.chunks, spans):
        opened[start] = opened.get(start, "") + f'<i class=k data-l="{_safe(label)} "></i>'
        closed[end] = closed.get(end, "") + "<i class=j></i>"
    for start, end, label in entities:
        opened[start] = opened.get(start, "") + f'<span class=e data-l="{_safe(label)}">'
        closed[end] = "</span>" + closed.get(end, "")
    for mark in marks:
        opened[mark.start] = opened.get(mark.start, "") + f"<b id=m{next(numbers)} {_look(mark)}>"
        closed[mark.end] = "</b>" + closed.get(mark.end, "")
    inside = [(start, end) for start, end, _ in entities] + spans
    breaks = dict(_breaks(text.text, inside))
    relations = sorted(text.relations)
    cuts = sorted({0, len(text.text), *opened, *closed, *breaks, *breaks.values()})
    out = ["<p>"]
    skipped = -1
    for start, end in zip(cuts, [*cuts[1:], len(text.text)], strict=True):
        out.append(closed.get(start, ""))
        if start in breaks:
            skipped = breaks[start]
            if skipped < len(text.text):
                out.append(f"</p>{_relations(relations, start)}<p>")
        out.append(opened.get(start, ""))
        if start >= skipped:
            out.append(_safe(text.text[start:end]))
    return "".join([*out, "</p>", _relations(relations, len(text.text) + 1)])


def _look(mark: Mark) -> str:
    """The class of a mark: its certainty, and whether methods differ."""
    probability = mark.ranked[0][1]
    if len(mark.word.senses) < 2:
        look = "o"
    elif probability >= CERTAIN:
        look = "c"
    else:
        look = "f" if probability >= FAIR else "u"
    return f'class="{look} d"' if mark.differs else f"class={look}"


def _relations(relations: list[tuple[int, str]], before: int) -> str:
    """The relations of a paragraph, taken from the list."""
    own = []
    while relations and relations[0][0] < before:
        own.append(f"<li>{_safe(relations.pop(0)[1])}</li>")
    return f"<ul class=r>{''.join(own)}</ul>" if own else ""


def _breaks(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Start and end of each blank line that no span goes over."""
    ordered = sorted(spans)
    starts = [start for start, _ in ordered]
    for found in _PARAGRAPH.finditer(text):
        at = bisect_right(starts, found.end() - 1) - 1
        around = ordered[max(0, at - 1) : at + 1]
        if not any(start < found.end() and found.start() < end for start, end in around):
            yield found.span()


def _snapped(labels: Sequence[Label], spans: Sequence[tuple[int, int]]) -> Iterator[Label]:
    """Labels whose ends are not within a span: they are moved to its own."""
    starts = [start for start, _ in spans]

    def outside(at: int, to: int) -> int:
        i = bisect_right(starts, at) - 1
        return spans[i][to] if i >= 0 and spans[i][0] < at < spans[i][1] else at

    for start, end, label in labels:
        yield outside(start, 0), outside(end, 1), label


def _apart(labels: Sequence[Label], spans: Sequence[tuple[int, int]]) -> list[Label]:
    """The same, and none overlaps another."""
    out: list[Label] = []
    for label in sorted(_snapped(labels, spans)):
        if not out or label[0] >= out[-1][1]:
            out.append(label)
    return out


def _clean(text: str) -> str:
    """What HTML cannot hold, and what turns text round, becomes a replacement character.

    Other invisible characters stay: emoji, Persian and Hindi are joined by them, and scanned words
    have soft hyphens.
    """
    shown = (c if _is_shown(c) else "\ufffd" for c in text)
    return "".join(shown).replace("\r", "\n")


def _is_shown(c: str) -> bool:
    if c.isprintable() or c.isspace():
        return True
    return unicodedata.category(c) == "Cf" and not _TURNS_ROUND.match(c)


def _safe(text: str) -> str:
    """Clean and escaped."""
    return html.escape(_clean(text), quote=True)
