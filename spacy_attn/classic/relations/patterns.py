"""Relations and the patterns that find them, as plain records.

:class:`Relation` is a result: who does what to whom. :class:`RelationPattern` is one line of a
pattern file, whose format is described in ``components/relation_extractor.py``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_attn._types import PlainData
from spacy_attn.errors import ResourceError, allowed_names, did_you_mean

if TYPE_CHECKING:
    from spacy.tokens import Doc

BUNDLED = Path(__file__).parents[2] / "data" / "relations.jsonl"

TokenSpan = tuple[int, int]  # first token and the one after the last

ROLES = ("subject", "predicate", "object", "particle", "preposition")
KINDS = ("clause", "noun")

_ALLOWED = (
    'allowed: one JSON object a line: {"name": "object", "pattern": [DependencyMatcher nodes], '
    '"roles": {"predicate": "RIGHT_ID", ...}}, with roles among ' + ", ".join(ROLES)
)
_KEYS = {"name", "pattern", "roles", "kind", "word"}
_NODE_KEYS = {"RIGHT_ID", "RIGHT_ATTRS", "LEFT_ID", "REL_OP"}


@dataclass(frozen=True, slots=True)
class Relation:
    """One subject-predicate-object or entity-relation-entity triple.

    Parts are token spans of the Doc, ``(start, end)`` with the end exclusive; a part that the
    sentence does not name is None ("The window was broken" has no subject).
    """

    subject: TokenSpan | None
    predicate: TokenSpan  # the verb, or the noun that names the relation ("CEO")
    object: TokenSpan | None
    relation: str  # lemma with particle and preposition: "give up", "live in", "CEO of"
    pattern: str  # name of the pattern that fired
    negated: bool = False
    subject_label: str = ""  # entity label, "" where the part is no entity
    object_label: str = ""
    parts: tuple[TokenSpan, ...] = ()  # every word of the relation: "turned", "off"

    def text(self, doc: Doc) -> str:
        """``subject | relation | object``, with "not " before the relation and "-" for no part.

        Args:
            doc: the Doc that the relation was read from.
        """
        subject, object_ = (
            "-" if part is None else doc[part[0] : part[1]].text
            for part in (self.subject, self.object)
        )
        return f"{subject} | {'not ' * self.negated}{self.relation} | {object_}"

    def to_record(self, doc: Doc) -> PlainData:
        """Plain data with character offsets, which outlive a change of the tokens."""
        return {
            "subject": _to_characters(doc, self.subject),
            "predicate": _to_characters(doc, self.predicate),
            "object": _to_characters(doc, self.object),
            "relation": self.relation,
            "pattern": self.pattern,
            "negated": self.negated,
            "subject_label": self.subject_label,
            "object_label": self.object_label,
            "parts": [_to_characters(doc, part) for part in self.parts],
        }

    @classmethod
    def from_record(cls, record: PlainData, doc: Doc) -> Relation | None:
        """The relation on the tokens as they are now; a merged token is taken whole.

        Returns:
            None where the Doc no longer holds the text, as after ``span.as_doc()``.
        """
        names = ("subject", "predicate", "object")
        named = {name: _to_tokens(doc, record[name]) for name in names if record[name] is not None}
        parts = [_to_tokens(doc, part) for part in record["parts"]]
        predicate = named.get("predicate")
        if predicate is None or None in named.values() or None in parts:
            return None
        return cls(
            subject=named.get("subject"),
            predicate=predicate,
            object=named.get("object"),
            relation=record["relation"],
            pattern=record["pattern"],
            negated=record["negated"],
            subject_label=record["subject_label"],
            object_label=record["object_label"],
            # Two words of the relation may be one token by now.
            parts=tuple(dict.fromkeys(part for part in parts if part is not None)),
        )


def _to_characters(doc: Doc, part: TokenSpan | None) -> PlainData | None:
    if part is None:
        return None
    span = doc[part[0] : part[1]]
    return {"start": span.start_char, "end": span.end_char, "text": span.text}


def _to_tokens(doc: Doc, part: PlainData) -> TokenSpan | None:
    span = doc.char_span(part["start"], part["end"], alignment_mode="expand")
    return None if span is None or part["text"] not in span.text else (span.start, span.end)


# -- pattern files ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RelationPattern:
    """One line of a pattern file; the file's format is described in ``components``."""

    name: str
    nodes: list[PlainData]  # a DependencyMatcher pattern
    roles: dict[str, int]  # role and position of its node
    kind: str = "clause"
    word: str = ""  # follows the relation where the sentence has no word for it

    def to_line(self) -> str:
        """The line of JSON that gives this pattern again."""
        record: PlainData = {
            "name": self.name,
            "kind": self.kind,
            "pattern": self.nodes,
            "roles": {role: self.nodes[i]["RIGHT_ID"] for role, i in self.roles.items()},
        }
        return json.dumps({**record, "word": self.word} if self.word else record)


def load_patterns(path: str | Path) -> list[RelationPattern]:
    """Read a pattern file.

    Raises:
        ResourceError: there is no such file, it cannot be read, or a line is broken.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        # A device or a pipe might never end.
        is_there = "no file of text" if file.exists() else "not there"
        raise ResourceError(
            f"the pattern file {file} is {'a folder' if file.is_dir() else is_there}; give "
            "patterns = the path of a .jsonl file (or null for the bundled patterns alone)"
        )
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ResourceError(f"{file} is not UTF-8 ({error}); {_ALLOWED}") from error
    except OSError as error:
        raise ResourceError(
            f"the pattern file {file} cannot be read ({error.strerror}); make it readable or give "
            "patterns = the path of another one"
        ) from error
    return parse_patterns(text, str(file))


def parse_patterns(text: str, where: str) -> list[RelationPattern]:
    """The patterns of a file's text; blank lines are passed over.

    Args:
        text: of the file.
        where: its name, for messages.

    Raises:
        ResourceError: a line is broken, or the file has no pattern.
    """
    patterns: dict[str, RelationPattern] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            pattern = _parse_line(line)
            if pattern.name in patterns:
                raise ValueError(f"the name {pattern.name!r} is there twice")
        except (ValueError, re.error) as error:
            # spaCy's own messages have several lines.
            problem = " ".join(str(error).split())
            raise ResourceError(f"{where}, line {number}: {problem}; {_ALLOWED}") from error
        patterns[pattern.name] = pattern
    if not patterns:
        raise ResourceError(f"{where} has no pattern; {_ALLOWED}")
    return list(patterns.values())


def _parse_line(line: str) -> RelationPattern:
    try:
        record: Any = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError(f"{line[:40]!r} is no JSON object")
    unknown = sorted(set(record) - _KEYS)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}{did_you_mean(unknown[0], _KEYS)}")
    name, kind, word = record.get("name"), record.get("kind", "clause"), record.get("word", "")
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name = {name!r} is no name")
    if kind not in KINDS:
        raise ValueError(f"kind = {kind!r}; {allowed_names(kind, KINDS)}")
    if not isinstance(word, str):
        raise ValueError(f"word = {word!r} is no text")
    nodes = _check_nodes(record.get("pattern"))
    return RelationPattern(name, nodes, _check_roles(record.get("roles"), nodes), kind, word)


def _check_nodes(nodes: Any) -> list[PlainData]:
    from spacy.matcher import DependencyMatcher
    from spacy.vocab import Vocab

    if not isinstance(nodes, list) or not nodes:
        raise ValueError(f"pattern = {nodes!r} is no list of nodes")
    for node in nodes:
        if not isinstance(node, dict) or not isinstance(node.get("RIGHT_ID"), str):
            raise ValueError(f"the node {node!r} has no RIGHT_ID")
        if not isinstance(node.get("RIGHT_ATTRS"), dict):
            raise ValueError(f"the node {node['RIGHT_ID']!r} has no RIGHT_ATTRS")
        if not set(node) <= _NODE_KEYS:
            unknown = sorted(set(node) - _NODE_KEYS)
            near = did_you_mean(unknown[0], _NODE_KEYS)
            raise ValueError(f"unknown key {unknown[0]!r} in the node {node['RIGHT_ID']!r}{near}")
    DependencyMatcher(Vocab(), validate=True).add("pattern", [nodes])
    return nodes


def _check_roles(roles: Any, nodes: list[PlainData]) -> dict[str, int]:
    positions = {node["RIGHT_ID"]: i for i, node in enumerate(nodes)}
    if not isinstance(roles, dict) or "predicate" not in roles:
        raise ValueError(f"roles = {roles!r} does not name the predicate")
    for role, node_id in roles.items():
        if role not in ROLES:
            raise ValueError(f"unknown role {role!r}{did_you_mean(role, ROLES)}")
        if not isinstance(node_id, str) or node_id not in positions:
            raise ValueError(f"the {role} is {node_id!r}, which is no RIGHT_ID of the pattern")
    return {role: positions[node_id] for role, node_id in roles.items()}
