"""Corrections: what a reader says of the senses that a method chose.

One JSON object a line, as the reading page saves them. They are labelled data, so that
``train-senses --data`` and ``compare`` read them too::

    {"text": "The bat flew.", "start": 4, "end": 7, "lemma": "bat", "pos": "NOUN",
     "sense": "bat.animal", "verdict": "sense", "was": "bat.club"}

With the verdict "none" no sense of the inventory fits, with "unclear" the reader cannot tell; the
sense is "" then. The last line about an occurrence counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from spacy_attn.errors import ConfigError, InventoryError, did_you_mean
from spacy_attn.files import atomic_write
from spacy_attn.wsd.inventory.examples import place_elsewhere
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.inventory.lines import TEXT_CHARS, read_lines
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.sense import Example, Sense

VERDICTS = ("sense", "none", "unclear")
_BEGINNING = 12  # letters of a correction's text by which it is found
_AROUND = 2000  # characters each side that are kept of a text that is too long for an example


@dataclass(frozen=True, slots=True)
class Correction:
    """What a reader says of ``text[start:end]``."""

    text: str
    start: int
    end: int
    lemma: str
    sense: str  # "" where the verdict names none
    verdict: str = "sense"

    @property
    def example(self) -> Example:
        """The occurrence as an example; of a long text what stands around it."""
        first = max(0, self.start - _AROUND) if len(self.text) > TEXT_CHARS else 0
        last = self.end + _AROUND if len(self.text) > TEXT_CHARS else None
        return Example(self.text[first:last], self.start - first, self.end - first)


def read_corrections(path: Path) -> list[Correction]:
    """The corrections of a file, the last one about each occurrence.

    Raises:
        InventoryError: a line is broken.
    """
    found: dict[tuple[str, int, int], Correction] = {}
    for line in read_lines(path):
        text = line.text("text", most=None)
        start, end = line.span(line.record.get("start"), line.record.get("end"), "start", text)
        line.whole_words(start, end, "start", text)
        verdict = line.one_of("verdict", VERDICTS, default="sense")
        sense = line.text("sense", default=None if verdict == "sense" else "")
        found[text, start, end] = Correction(text, start, end, line.lemma(), sense, verdict)
    return list(found.values())


def sense_named(inventory: SenseInventory, name: str, lemma: str) -> Sense | None:
    """The sense of an id, or None.

    Args:
        inventory: the senses.
        name: the id.
        lemma: under which it is looked for first; that of a WordNet key is tried too.
    """
    for word in (lemma, name.partition("%")[0].replace("_", " ")):
        for sense in inventory.candidates(word):
            if sense.id == name:
                return sense
    return next((sense for sense in inventory.senses or () if sense.id == name), None)


def of_inventory(
    corrections: Iterable[Correction],
    inventory: SenseInventory,
    path: Path,
    group_of: Callable[[Sense], str] | None = None,
) -> list[Correction]:
    """The corrections, with the groups of their senses where several senses are answered as one.

    Args:
        corrections: to fine senses, or to groups.
        inventory: the senses.
        path: of the corrections, for messages.
        group_of: names the group of a sense.

    Raises:
        ConfigError: the inventory does not have a sense; says which, and what the word has.
    """
    return [
        each if each.verdict != "sense" else _of_inventory(each, inventory, path, group_of)
        for each in corrections
    ]


def _of_inventory(
    each: Correction,
    inventory: SenseInventory,
    path: Path,
    group_of: Callable[[Sense], str] | None,
) -> Correction:
    sense = sense_named(inventory, each.sense, each.lemma)
    if sense is not None:
        return each if group_of is None else replace(each, sense=group_of(sense))
    known = list(dict.fromkeys(map(group_of or _id, inventory.candidates(each.lemma))))
    if each.sense in known:
        return each
    raise ConfigError(
        f"corrections {path}: {each.sense!r} is no sense of the inventory {inventory.name!r}; "
        f"{each.lemma!r} has {', '.join(known[:10]) or 'none'}; correct the line, or name the "
        f"inventory that the corrections are about{did_you_mean(each.sense, known)}"
    )


def _id(sense: Sense) -> str:
    return sense.id


def letters(text: str) -> str:
    """Its letters and digits: the same where wrapped lines were joined."""
    return "".join(filter(str.isalnum, text))


class CorrectionIndex:
    """Corrections by the beginnings of their texts: a text is read once, however many there are.

    Those of which the reader cannot tell are left out.

    Args:
        corrections: all of them.
    """

    def __init__(self, corrections: Iterable[Correction]) -> None:
        self._known = [each for each in corrections if each.verdict != "unclear"]
        self._by_beginning: dict[str, list[tuple[int, str]]] = {}  # number, letters of the text
        for i, each in enumerate(self._known):
            whole = letters(each.text)
            self._by_beginning.setdefault(whole[:_BEGINNING], []).append((i, whole))
        self._lengths = sorted(set(map(len, self._by_beginning)))

    def __iter__(self) -> Iterator[Correction]:
        return iter(self._known)

    def within(self, text: str) -> list[Correction]:
        """Those whose letters and digits stand in a text, in their order."""
        joined = letters(text) if self._known else ""
        found = {
            i
            for length in self._lengths
            for at in range(len(joined) - length + 1)
            for i, whole in self._by_beginning.get(joined[at : at + length], ())
            if joined.startswith(whole, at)
        }
        return [self._known[i] for i in sorted(found)]


class UnusedCorrections:
    """Those about texts that were not read yet.

    Args:
        corrections: all of them.
    """

    def __init__(self, corrections: Iterable[Correction]) -> None:
        self._index = CorrectionIndex(corrections)
        self._left = set(self._index)

    def __len__(self) -> int:
        return len(self._left)

    def read(self, text: str) -> None:
        """Take out those about a text, or a part of it; wrapped lines may be joined."""
        if self._left:
            self._left.difference_update(
                each
                for each in self._index.within(text)
                if "\n" in text + each.text or each.text in text
            )


@dataclass(frozen=True, slots=True)
class AddedExamples:
    """An inventory with the examples of corrections."""

    inventory: Inventory
    added: tuple[Correction, ...]
    n_known: int  # stand in the inventory already
    n_no_sense: int  # "none" and "unclear"
    unknown: tuple[str, ...]  # senses that the inventory does not have
    elsewhere: tuple[Correction, ...]  # another word stands at their place, see place_elsewhere


def add_examples(inventory: Inventory, corrections: Iterable[Correction]) -> AddedExamples:
    """Make examples of corrections.

    Args:
        inventory: the senses.
        corrections: those with a sense of the inventory become examples of it.
    """
    new: dict[str, list[Example]] = {sense.id: [] for sense in inventory.senses}
    added = []
    known = {sense.id: set(sense.examples) for sense in inventory.senses}
    n_known = n_no_sense = 0
    unknown: dict[str, None] = {}
    elsewhere = []
    of_id = {sense.id: sense for sense in inventory.senses}
    for correction in corrections:
        if correction.verdict != "sense":
            n_no_sense += 1
        elif correction.sense not in new:
            unknown[correction.sense] = None
        elif correction.example in known[correction.sense]:
            n_known += 1
        elif _is_elsewhere(correction, of_id[correction.sense], inventory.lang):
            elsewhere.append(correction)
        else:
            known[correction.sense].add(correction.example)
            new[correction.sense].append(correction.example)
            added.append(correction)
    senses = tuple(replace(s, examples=(*s.examples, *new[s.id])) for s in inventory.senses)
    return AddedExamples(
        Inventory(inventory.name, senses, inventory.lang),
        tuple(added),
        n_known,
        n_no_sense,
        tuple(unknown),
        tuple(elsewhere),
    )


def _is_elsewhere(each: Correction, sense: Sense, lang: str | None) -> bool:
    """Whether an inventory would refuse the example."""
    return place_elsewhere(each.example, sense.lemma, sense.pos, sense.forms, lang) is not None


def write_with_examples(path: Path, added: Mapping[str, Iterable[Example]], output: Path) -> None:
    """Write the lines of an inventory's file with more examples; all else stays as it is.

    Args:
        path: the inventory.
        added: all examples of each sense, by its id.
        output: the file to write; it may be the same.

    Raises:
        InventoryError: the inventory cannot be read.
    """
    lines = list(read_lines(path))
    with atomic_write(output) as file:
        for line in lines:
            record = dict(line.record)
            examples = list(added.get(str(record["sense"]), ()))
            if examples:
                record["examples"] = [
                    {"text": each.text, "start": each.start, "end": each.end} for each in examples
                ]
            file.write(json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n")
    if not lines:
        raise InventoryError(f"{path} holds no sense")
