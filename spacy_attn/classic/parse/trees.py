"""Trees as bracketed strings, written and read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from spacy_attn.errors import RecordError, explain_missing_package

_ROUND = {"(": "-LRB-", ")": "-RRB-"}  # as in the treebanks, where brackets build the tree
_SPACE = "\u2423"  # the sign for a space; a merged token such as "New York" stays one leaf
_CLOSE = object()  # on the stack of a tree being written
_Expanded: TypeAlias = tuple[str, list[Any]] | None  # label and children; None for a leaf


def read_tree(bracketed: str) -> Any:
    """The bracketed string as an ``nltk.Tree``, brackets and spaces in its leaves restored.

    >>> read_tree("(S (NP (Det The) (N bat)) (VP (V flew)))").leaves()
    ['The', 'bat', 'flew']

    Raises:
        RecordError: the string is no tree, or one deeper than NLTK reads.
        ResourceError: NLTK is not installed.
    """
    with explain_missing_package("read_tree"):
        from nltk.tree import Tree
    # NLTK's own patterns take a backslash before a bracket for an escape, and text has both.
    pattern = r"[^\s()]+"
    try:
        return Tree.fromstring(
            bracketed, node_pattern=pattern, leaf_pattern=pattern, read_leaf=_unescape
        )
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise RecordError(
            f"{bracketed[:60]!r} is no bracketed tree ({reason}); give what parse_tree of a "
            "sentence holds, such as '(S (NP bats) (VP fly))'"
        ) from error


def escape_leaf(text: str) -> str:
    """A token's text as a leaf: ``-LRB-`` and ``-RRB-`` for round brackets, ``␣`` for a space.

    >>> escape_leaf("(")
    '-LRB-'
    """
    for bracket, name in _ROUND.items():
        text = text.replace(bracket, name)
    return re.sub(r"\s", _SPACE, text)


def _unescape(leaf: str) -> str:
    for bracket, name in _ROUND.items():
        leaf = leaf.replace(name, bracket)
    return leaf.replace(_SPACE, " ")


def bracketed(root: Any, expand: Callable[[Any], _Expanded], leaves: Iterator[str]) -> str:
    """A tree on one line, as ``nltk.Tree`` writes it; without recursion, so of any depth."""
    pieces: list[str] = []
    stack = [root]
    while stack:
        node = stack.pop()
        if node is _CLOSE:
            pieces.append(")")
            continue
        expanded = expand(node)
        if expanded is None:
            pieces.append(f" {next(leaves)}")
            continue
        label, children = expanded
        pieces.append(f" ({label}" if children else f" ({label} ")
        stack.append(_CLOSE)
        stack.extend(reversed(children))
    return "".join(pieces)[1:]


def expand_edge(chart: Any, edge: Any) -> _Expanded:
    """Label and children of an edge of a chart."""
    if isinstance(edge.lhs(), str):
        return None
    (children,) = chart.child_pointer_lists(edge)
    return edge.lhs().symbol(), list(children)


def expand_tree(node: Any) -> _Expanded:
    """Label and children of a Viterbi tree, the symbols of ``in_pairs`` left out."""
    if isinstance(node, str):
        return None
    children = list(node)
    while not isinstance(children[-1], str) and isinstance(children[-1].label(), int):
        children[-1:] = children[-1]
    return node.label(), children
