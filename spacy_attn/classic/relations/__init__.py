"""Relations from a dependency parse: who does what to whom.

``patterns`` are the records; ``clauses`` reads a relation where a pattern has matched, and asks
``verbs``, ``words``, ``negation`` and ``arguments`` for what the ``tree`` says in many ways.
"""

from spacy_attn.classic.relations.clauses import read_relations
from spacy_attn.classic.relations.patterns import (
    BUNDLED,
    Relation,
    RelationPattern,
    load_patterns,
    parse_patterns,
)

__all__ = [
    "BUNDLED",
    "Relation",
    "RelationPattern",
    "load_patterns",
    "parse_patterns",
    "read_relations",
]
