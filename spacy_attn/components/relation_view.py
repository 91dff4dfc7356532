"""The parse that relations are read from: without list markers, signs and emoji.

The tokens are those of the Doc. Where a dependency runs through a mark or into another part (see
:mod:`~spacy_attn.components.layout`), a word takes the place that the foreign word has in its own
part. Imperatives that the tagger took for nouns are verbs, and lemmas fit their words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from spacy.tokens import Doc

from spacy_attn.components.layout import Layout, read_layout, takes_object
from spacy_attn.components.lemmas import fitting_lemma

_CLAUSES = frozenset("ccomp xcomp advcl acl relcl csubj pcomp parataxis dep".split())
_SUBJECTS = frozenset(("nsubj", "nsubjpass", "csubj", "expl"))
_NOMINAL = frozenset("NOUN PROPN PRON NUM".split())
_OF_NOUNS_LEFT = frozenset(("compound", "nmod", "amod"))
_OF_NOUNS = frozenset("appos compound nmod amod nsubj npadvmod dobj dep ROOT".split())


def relation_view(doc: Doc) -> tuple[Doc, frozenset[int]]:
    """The Doc to read relations from, and its marks.

    Args:
        doc: with a dependency parse.

    Returns:
        The Doc itself where there is nothing to change, else a changed copy.
    """
    layout = read_layout(doc)
    lemmas, verbs = _read_words(doc, layout)
    is_whole = not layout.marks and "°" not in doc.text
    if is_whole and not lemmas and not verbs:
        return doc, layout.marks
    copy = doc.copy()
    if not is_whole or verbs:
        tree = _Tree(doc, layout)
        for i in verbs:
            tree.make_verb(i)
        tree.write(copy)
    for i, lemma in lemmas.items():
        copy[i].lemma_ = lemma
    for i in layout.imperatives:
        copy[i].pos_, copy[i].tag_, copy[i].lemma_ = "VERB", "VB", doc[i].lower_
    for i in layout.marks:
        copy[i].pos_ = copy[i].tag_ = "SPACE" if doc[i].is_space else "SYM"
    return copy, layout.marks


def _read_words(doc: Doc, layout: Layout) -> tuple[dict[int, str], list[int]]:
    """Better lemmas, and the imperatives that the parser takes for something else."""
    is_english = doc.vocab.lang == "en"
    lemmas: dict[int, str] = {}
    verbs: list[int] = []
    starts_line = True
    for i, token in enumerate(doc):
        pos = token.pos_
        if is_english and (pos == "VERB" or pos == "NOUN"):
            given = token.lemma_.lower()
            lemma = fitting_lemma(token.lower_, given, pos) if given else given
            if lemma != given:
                lemmas[i] = lemma
        if starts_line and pos == "VERB" and token.tag_ in ("VB", "VBP"):
            # Its object may have gone to the line before.
            is_first = i - 1 in layout.marks and takes_object(token)
            if is_first or token.dep_ in _OF_NOUNS_LEFT:  # "Mix flour and sugar"
                verbs.append(i)
        elif i in layout.imperatives:  # "Season the meat"
            verbs.append(i)
        starts_line = pos == "SPACE" or i in layout.marks or token.is_sent_end is True
    return lemmas, verbs


class _Tree:
    """The heads and labels of a Doc, each within its part."""

    def __init__(self, doc: Doc, layout: Layout) -> None:
        self._doc, self._layout = doc, layout
        self.heads = [token.head.i for token in doc]
        self.labels = [token.dep_ for token in doc]
        self._stay_in_parts()
        self._join_degrees()

    def _is_own(self, i: int, part: int) -> bool:
        return i not in self._layout.marks and self._layout.parts[i] == part

    def _stay_in_parts(self) -> None:
        """Give words with a head elsewhere one of their own part."""
        orphans: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        for i, head in enumerate(self.heads):
            part = self._layout.parts[i]
            if i not in self._layout.marks and not self._is_own(head, part):
                found, below = self._climb(head, part)
                orphans[part, found, below].append(i)
        old = list(self.labels)
        for (_, found, below), children in orphans.items():
            self._adopt(found, old[below], children)
        for children in orphans.values():
            for i in children:
                self._find_verb(i)
        for i in self._layout.marks:
            if not self._doc[i].is_space:
                self.labels[i] = "punct"

    def _climb(self, i: int, part: int) -> tuple[int, int]:
        """The nearest ancestor in the part, or -1, and the foreign word right below it."""
        while self.heads[i] != i:
            below, i = i, self.heads[i]
            if self._is_own(i, part):
                return i, below
        return -1, i

    def _adopt(self, found: int, label: str, children: Sequence[int]) -> None:
        """Put a noun in the place of the foreign word, the others below it."""
        nouns = [i for i in children if self._doc[i].pos_ in _NOMINAL]
        place = nouns[-1] if nouns else -1
        if place >= 0 and label in _CLAUSES:  # a noun takes no place of a clause
            found = -1
        for i in children:
            if i == place:
                self.heads[i], self.labels[i] = (found, label) if found >= 0 else (i, "ROOT")
            elif place >= 0 and self._doc[i].pos_ not in ("VERB", "AUX"):
                self.heads[i] = place
            elif found >= 0:
                self.heads[i], self.labels[i] = found, "dep"
            else:
                self.heads[i], self.labels[i] = i, "ROOT"

    def _find_verb(self, noun: int) -> None:
        """Make a noun that lost its head the subject of the finite verb right after it."""
        if self.heads[noun] != noun or self._doc[noun].pos_ not in _NOMINAL:
            return
        for verb in range(noun + 1, len(self.heads)):
            token = self._doc[verb]
            if not self._is_own(verb, self._layout.parts[noun]):
                return
            if token.tag_ in ("VBD", "VBZ", "VBP") and token.pos_ == "VERB":
                if not any(self._is_subject(i, verb) for i in range(verb)):
                    self.heads[noun], self.labels[noun] = verb, "nsubj"
                return
            if token.pos_ not in ("ADV", "AUX"):
                return

    def _is_subject(self, i: int, verb: int) -> bool:
        return self.heads[i] == verb and self.labels[i] in _SUBJECTS

    def _join_degrees(self) -> None:
        """Make "180 °C" one phrase, which the tokenizer parts."""
        found = [
            token.i - 1
            for token in self._doc[1:]
            if token.lower_ in ("c", "f") and token.nbor(-1).text == "°"
        ]
        for sign in found:
            unit = sign + 1
            self.heads = [unit if head == sign else head for head in self.heads]
            is_inside = self.heads[sign] == unit
            if not is_inside:
                self.heads[unit], self.labels[unit] = self.heads[sign], self.labels[sign]
            self.heads[sign], self.labels[sign] = unit, "nmod"

    def make_verb(self, i: int) -> None:
        """Make a word the verb of its line, and the noun after it the object."""
        head = self.heads[i]
        if head > i and self._is_own(head, self._layout.parts[i]):
            is_root = self.heads[head] == head
            self.heads[i] = i if is_root else self.heads[head]
            self.labels[i] = self.labels[head]
            self.heads[head] = i
            self.labels[head] = self._label_below_verb(head)
        noun = self._noun_after(i)
        if noun is not None and self.labels[noun] in _OF_NOUNS:
            if self.heads[noun] in (noun, i) or self.labels[noun] in ("compound", "npadvmod"):
                self.heads[noun], self.labels[noun] = i, "dobj"
        for other in range(i + 1, len(self.heads)):
            if not self._is_own(other, self._layout.parts[i]) or self._doc[other].is_sent_start:
                break
            if self.heads[other] == other and self.labels[other] == "ROOT":
                self.heads[other] = i
                was = self._doc[other].dep_
                self.labels[other] = was if was in ("prep", "prt", "advmod", "dobj") else "dep"

    def _label_below_verb(self, i: int) -> str:
        """The label of a word that was the head of its verb."""
        pos = self._doc[i].pos_
        if pos in _NOMINAL:
            return "dobj"
        return "conj" if pos in ("VERB", "AUX") else "oprd"

    def _noun_after(self, i: int) -> int | None:
        """The head of the noun phrase that follows."""
        found = None
        for token in self._doc[i + 1 :]:
            if not self._is_own(token.i, self._layout.parts[i]):
                break
            if token.pos_ in _NOMINAL:
                found = token.i
            elif found is not None or token.pos_ not in ("DET", "ADJ", "PRON", "ADV"):
                break
        return found

    def write(self, doc: Doc) -> None:
        """Set the heads and labels of a Doc."""
        strings = doc.vocab.strings
        offsets = np.array(self.heads, dtype=np.int64) - np.arange(len(self.heads))
        labels = np.array([strings.add(label) for label in self.labels], dtype=np.uint64)
        array: Any = np.stack([offsets.astype(np.uint64), labels], axis=1)
        doc.from_array(["HEAD", "DEP"], array)
