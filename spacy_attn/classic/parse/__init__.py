"""Parsing with the user's grammar by NLTK, in bounded work.

A context-free grammar (CFG) goes through NLTK's chart parser and gives the first tree that it
finds; one with probabilities (PCFG) goes through NLTK's Viterbi parser and gives the most
probable tree. NLTK lists all trees of a chart before it hands out the first one, and there may
be exponentially many; here the chart keeps one way to build each edge, so that the first tree
is read off in time linear in its size.

Grammars are written as NLTK reads them: a production a line, words in quotes, ``|`` between
alternatives, ``#`` before a comment, ``%start X`` for another start symbol than the first left
side. Papers: M. Kay, Algorithm schemata and data structures in syntactic processing, Xerox
PARC, 1980 (charts); C. D. Manning and H. Schütze, Foundations of Statistical NLP, 1999, ch. 11
(Viterbi for PCFGs).

| ``grammar``  grammars, checked
| ``parser``   a grammar and the limits for its use
| ``bounded``  NLTK's two parsers, their work counted
| ``trees``    trees as bracketed strings
"""

from spacy_attn.classic.parse.grammar import EXAMPLE_GRAMMAR, MAX_SYMBOLS, is_grammar_text
from spacy_attn.classic.parse.parser import METHODS, STATUSES, GrammarParser, Parse, check_limits
from spacy_attn.classic.parse.trees import escape_leaf, read_tree

__all__ = [
    "EXAMPLE_GRAMMAR",
    "MAX_SYMBOLS",
    "METHODS",
    "STATUSES",
    "GrammarParser",
    "Parse",
    "check_limits",
    "escape_leaf",
    "is_grammar_text",
    "read_tree",
]
