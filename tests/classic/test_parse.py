from __future__ import annotations

import itertools
import math
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import nltk
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from nltk.parse import ChartParser, ViterbiParser

from spacy_attn.classic.grammar_file import read_grammar_file
from spacy_attn.classic.parse import (
    EXAMPLE_GRAMMAR,
    STATUSES,
    GrammarParser,
    bounded,
    escape_leaf,
    is_grammar_text,
    read_tree,
)
from spacy_attn.classic.parse.bounded import no_own_limit
from spacy_attn.errors import ConfigError, RecordError, ResourceError

#: Every way to bracket the words: 30 of them have 10^15 trees.
AMBIGUOUS = "S -> S S | 'a'"
AMBIGUOUS_PCFG = "S -> S S [0.4] | 'a' [0.6]"
LONG_RULE_PCFG = "S -> S S S S S S [0.2] | S S [0.2] | 'a' [0.6]"

ATTACHMENT = """
S -> NP VP
NP -> 'I' | Det N | NP PP
VP -> V NP | VP PP
PP -> P NP
Det -> 'the' | 'a'
N -> 'man' | 'park' | 'telescope'
V -> 'saw'
P -> 'in' | 'with'
"""
ATTACHMENT_PCFG = """
S -> NP VP [1.0]
NP -> 'I' [0.2] | Det N [0.5] | NP PP [0.3]
VP -> V NP [0.6] | V NP PP [0.4]
PP -> P NP [1.0]
Det -> 'the' [0.75] | 'a' [.25]
N -> 'man' [0.5] | 'park' [0.25] | 'telescope' [0.25]
V -> 'saw' [1]
P -> 'in' [0.5] | 'with' [0.5]
"""


def flat(tree):
    """The tree as NLTK writes it, on one line."""
    return tree.pformat(margin=sys.maxsize)


# -- chart -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "tree"),
    [
        (
            "the bat flew at night .",
            "(S (NP (Det the) (N bat)) (VP (VP (V flew)) (PP (P at) (N night))) .)",
        ),
        ("swing the bat !", "(S (VP (V swing) (NP (Det the) (N bat))) !)"),
    ],
)
def test_example_grammar(sentence, tree):
    found = GrammarParser(EXAMPLE_GRAMMAR).parse(sentence.split())
    assert (found.status, found.tree, found.log_probability) == ("parsed", tree, None)
    assert found.n_edges > 0


@pytest.mark.parametrize(
    "sentence",
    [
        "I saw the man",
        "I saw the man with a telescope",
        "I saw the man in the park with a telescope",
        "the man in the park with a telescope saw the man in a park with a telescope",
    ],
)
def test_tree_is_the_first_one_of_nltk(sentence):
    words = sentence.split()
    expected = next(ChartParser(nltk.CFG.fromstring(ATTACHMENT)).parse(words))
    assert GrammarParser(ATTACHMENT).parse(words).tree == flat(expected)


@st.composite
def grammars(draw, probabilistic=False):
    """Small grammars with recursion, ambiguity and unary cycles; nothing empty."""
    symbols = ["S", "A", "B"]
    anything = st.sampled_from([*symbols, "'a'", "'b'"])
    lines = []
    for symbol in symbols:
        rights = draw(st.lists(st.lists(anything, min_size=1, max_size=4), min_size=1, max_size=3))
        rights.append(["'a'" if symbol == "A" else "'b'"])
        rights = list(dict.fromkeys(map(tuple, rights)))
        shares = draw(st.lists(st.integers(1, 9), min_size=len(rights), max_size=len(rights)))
        alternatives = [
            " ".join(right) + (f" [{share / sum(shares):.6f}]" if probabilistic else "")
            for right, share in zip(rights, shares, strict=True)
        ]
        lines.append(f"{symbol} -> {' | '.join(alternatives)}")
    return "\n".join(lines)


words_of_grammars = st.lists(st.sampled_from("ab"), min_size=1, max_size=5)


@given(grammars(), words_of_grammars)
def test_any_tree_is_one_of_nltk(grammar, words):
    found = GrammarParser(grammar).parse(words)
    trees = ChartParser(nltk.CFG.fromstring(grammar)).parse(words)
    trees = [flat(tree) for tree in itertools.islice(trees, 2000)]
    assert found.status == ("parsed" if trees else "no_parse")
    assert found.tree == trees[0] if len(trees) == 1 else found.tree in [*trees, None]


def test_first_tree_of_exponentially_many():
    found = GrammarParser(AMBIGUOUS).parse(["a"] * 30)
    assert found.status == "parsed"
    assert read_tree(found.tree).leaves() == ["a"] * 30
    # 30 leaves, 30 times S -> 'a' and S -> S * S, and two edges for each of 435 longer spans.
    assert found.n_edges == 30 + 2 * 30 + 2 * 435


def test_unary_cycle():
    found = GrammarParser("S -> A\nA -> S | 'a'").parse(["a"])
    assert found.tree == "(S (A a))"


def test_empty_production_in_a_chart():
    found = GrammarParser("S -> Det N\nDet -> 'the' |\nN -> 'bat'").parse(["bat"])
    assert found.tree == "(S (Det ) (N bat))"
    assert read_tree(found.tree) == nltk.Tree("S", [nltk.Tree("Det", []), nltk.Tree("N", ["bat"])])


def test_a_tree_may_be_deeper_than_the_stack_of_python():
    found = GrammarParser("S -> 'a' S | 'b'").parse(["a"] * 2000 + ["b"])
    assert found.tree.startswith("(S a (S a (S a")
    assert found.tree.endswith("(S b" + ")" * 2001)


def test_start_symbol_and_comments():
    grammar = "# words\n%start NP\nN -> 'bat' \\\n  | 'ball'\nNP -> Det N\nDet -> \"the\""
    assert GrammarParser(grammar).parse(["the", "ball"]).tree == "(NP (Det the) (N ball))"


# -- Viterbi -----------------------------------------------------------------------------


@pytest.mark.parametrize("sentence", ["I saw the man with a telescope", "a man saw I"])
def test_most_probable_tree_is_that_of_nltk(sentence):
    words = sentence.split()
    expected = next(ViterbiParser(nltk.PCFG.fromstring(ATTACHMENT_PCFG)).parse(words))
    found = GrammarParser(ATTACHMENT_PCFG).parse(words)
    assert found.tree == flat(expected)
    assert found.log_probability == pytest.approx(math.log(expected.prob()))


def test_most_probable_tree_by_hand():
    found = GrammarParser(ATTACHMENT_PCFG).parse("I saw the man with a telescope".split())
    assert found.tree == (
        "(S (NP I) (VP (V saw) (NP (Det the) (N man)) (PP (P with) (NP (Det a) (N telescope)))))"
    )
    verb_phrase = 0.4 * 1 * (0.5 * 0.75 * 0.5) * (0.5 * (0.5 * 0.25 * 0.25))
    assert found.log_probability == pytest.approx(math.log(0.2 * verb_phrase))


@given(grammars(probabilistic=True), words_of_grammars)
def test_any_most_probable_tree_is_as_probable_as_that_of_nltk(grammar, words):
    """The trees may differ where two are equally probable."""
    found = GrammarParser(grammar).parse(words)
    pcfg = nltk.PCFG.fromstring(grammar)
    expected = next(ViterbiParser(pcfg).parse(words), None)
    assert found.status == ("parsed" if expected else "no_parse")
    if expected:
        assert found.log_probability == pytest.approx(math.log(expected.prob()))
        used = [tree.label() for tree in read_tree(found.tree).subtrees()]
        assert set(used) <= {"S", "A", "B"}
        probabilities = {(p.lhs(), p.rhs()): p.prob() for p in pcfg.productions()}
        total = sum(
            math.log(probabilities[p.lhs(), p.rhs()]) for p in read_tree(found.tree).productions()
        )
        assert total == pytest.approx(found.log_probability)


def test_chart_of_a_pcfg():
    found = GrammarParser(ATTACHMENT_PCFG, method="chart").parse(["I", "saw", "I"])
    assert (found.status, found.log_probability) == ("parsed", None)
    assert found.tree == "(S (NP I) (VP (V saw) (NP I)))"


def test_probability_too_small_for_a_float():
    grammar = "S -> 'a' [0.0000000001] | 'b' [0.4999999999] | S S [0.5]"
    assert GrammarParser(grammar).parse(["a"] * 25).status == "parsed"
    found = GrammarParser(grammar).parse(["a"] * 32)
    assert (found.status, found.tree, found.log_probability) == ("underflow", None, None)


# -- limits ------------------------------------------------------------------------------


@pytest.mark.parametrize("grammar", [AMBIGUOUS, AMBIGUOUS_PCFG, LONG_RULE_PCFG])
@pytest.mark.parametrize("n_words", [20, 200])
def test_edges_are_bounded(grammar, n_words):
    found = GrammarParser(grammar, max_edges=300, max_seconds=60).parse(["a"] * n_words)
    assert (found.status, found.tree) == ("over_max_edges", None)
    assert 300 < found.n_edges <= 300 + 5  # a pass of Viterbi adds at most a symbol each


@pytest.mark.parametrize("grammar", [AMBIGUOUS, AMBIGUOUS_PCFG, LONG_RULE_PCFG])
def test_seconds_are_bounded(grammar):
    """A limit that has passed at once, so that no clock decides this test."""
    found = GrammarParser(grammar, max_edges=10**9, max_seconds=1e-9).parse(["a"] * 200)
    assert (found.status, found.tree) == ("over_max_seconds", None)


@pytest.mark.parametrize("grammar", [AMBIGUOUS, AMBIGUOUS_PCFG])
def test_time_is_looked_at_all_along(grammar, monkeypatch):
    """The clock goes a second at each look; the work between two looks is short."""
    clock = itertools.count()
    monkeypatch.setattr(bounded, "perf_counter", lambda: next(clock))
    found = GrammarParser(grammar, max_seconds=1000).parse(["a"] * 60)
    assert found.status == "over_max_seconds"
    assert next(clock) == 1000 + 2  # looked at from 0 to 1001, the first time that is too late
    assert 0 < found.n_edges < 1000


def test_a_long_right_side_is_cut_into_pairs():
    """NLTK would list all 10^6 ways to cut 24 words into these ten symbols."""
    grammar = "S -> A A A A A A A A A A [1.0]\nA -> A A [0.5] | 'a' [0.5]"
    found = GrammarParser(grammar, max_edges=100_000, max_seconds=60).parse(["a"] * 24)
    tree = read_tree(found.tree)
    assert [child.label() for child in tree] == ["A"] * 10
    assert found.log_probability == pytest.approx((24 + 14) * math.log(0.5))


def test_limit_of_nltk_itself_is_lifted():
    class WithLimit:
        def __init__(self, grammar, max_time=5.0): ...

    class WithoutLimit:
        def __init__(self, grammar): ...

    assert no_own_limit(WithLimit) == {"max_time": None}
    assert no_own_limit(WithoutLimit) == {}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"method": "earley"}, "method = 'earley' .* allowed are auto, chart, viterbi"),
        ({"max_edges": 0}, "max_edges = 0; allowed: a whole number from 1"),
        ({"max_seconds": 0.0}, "max_seconds = 0.0; allowed: a number above 0"),
        ({"max_seconds": math.nan}, "max_seconds = nan; allowed: a number above 0"),
        ({"max_symbols": 0}, "max_symbols = 0; allowed: a whole number from 1"),
        ({"max_symbols": 5}, r"more than 5 symbols, .* or max_symbols = 50 \(100,000 are read in"),
        ({"method": "viterbi"}, r"method = 'viterbi' needs a probability .*\[1\.0\].*'chart'"),
    ],
)
def test_illegal_settings(config, reason):
    with pytest.raises(ConfigError, match=reason):
        GrammarParser(AMBIGUOUS, **config)


def of_many_lines(n):
    return "S -> N0\n" + "".join(f"N{i} -> N{i + 1}\n" for i in range(n)) + f"N{n} -> 'a'"


@pytest.mark.parametrize(
    "grammar",
    [
        of_many_lines(40_000),
        "S -> " + " | ".join(f"'w{i}'" for i in range(60_000)),
        "S -> " + "'a'" * 100_001,
        "S -> 'a'" + "|" * 100_000,
        "S -> 'a'\n" + "%start S\n" * 60_000,
        "S -> " + "A " * 10**6,
    ],
)
def test_large_grammars_are_refused_before_nltk_reads_them(grammar, monkeypatch):
    monkeypatch.setattr("nltk.grammar.read_grammar", None)
    with pytest.raises(ConfigError, match="more than 100000 symbols"):
        GrammarParser(grammar)


def test_size_counts_symbols_and_no_comments():
    """Five in the first line and three in the second."""
    grammar = "# a b c d e f g\nS -> 'a b' | N\n  # h\nN -> \"c\""
    assert GrammarParser(grammar, max_symbols=8).parse(["c"]).status == "parsed"
    with pytest.raises(ConfigError, match="more than 7 symbols"):
        GrammarParser(grammar, max_symbols=7)


def test_a_right_side_of_words_without_end_is_refused():
    """NLTK's index of words would take seconds for a few thousand, and hours for some more."""
    assert GrammarParser("S -> " + "'a' " * 1000).parse(["a"] * 1000).status != "uncovered"
    with pytest.raises(ConfigError, match=r"line 2 .* of A with 1001 words; allowed: 1000"):
        GrammarParser("S -> A\nA -> " + "'a' " * 1001)


# -- statuses ----------------------------------------------------------------------------


def test_words_that_the_grammar_lacks():
    found = GrammarParser(EXAMPLE_GRAMMAR).parse("the cat flew at the cat ?".split())
    assert (found.status, found.tree, found.uncovered) == ("uncovered", None, ("cat", "?"))


def test_other_statuses():
    parser = GrammarParser(EXAMPLE_GRAMMAR)
    assert parser.parse(["night", "the"]).status == "no_parse"
    assert parser.parse([]).status == "empty"
    assert "uncovered" in STATUSES


def test_ignoring_case():
    grammar = "S -> Name V\nName -> 'John' | 'JOHN'\nV -> 'sleeps'"
    assert GrammarParser(grammar).parse(["john", "sleeps"]).uncovered == ("john",)
    parser = GrammarParser(grammar, ignore_case=True)
    assert parser.covers("jOhN")
    assert parser.parse(["john", "Sleeps"]).tree == "(S (Name john) (V Sleeps))"


def test_ignoring_case_adds_probabilities():
    grammar = "N -> 'Bat' [0.25] | 'bat' [0.5] | 'cat' [0.25]"
    found = GrammarParser(grammar, ignore_case=True).parse(["BAT"])
    assert found.log_probability == pytest.approx(math.log(0.75))


@pytest.mark.parametrize("grammar", [ATTACHMENT, ATTACHMENT_PCFG])
def test_copy_and_threads(grammar):
    sentences = ["I saw the man with a telescope", "saw", "the park saw I"] * 4
    parser = GrammarParser(grammar, max_edges=500, ignore_case=True)
    expected = [parser.parse(sentence.split()) for sentence in sentences]
    copy = pickle.loads(pickle.dumps(parser))  # noqa: S301  our own bytes
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(copy.parse, map(str.split, sentences))) == expected


# -- trees as strings --------------------------------------------------------------------


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4))
@example(["(a)", "\\", "x\u00a0y\n"])
def test_leaves_survive_the_string(texts):
    """But white space comes back as a space, and the signs for brackets as what they stand for."""
    assume(not any(sign in text for text in texts for sign in ("RB", "\u2423")))
    grammar = "S -> 'x' S | 'x'"
    tree = GrammarParser(grammar).parse(["x"] * len(texts), list(map(escape_leaf, texts))).tree
    assert len(tree.splitlines()) == 1
    expected = ["".join(" " if c.isspace() else c for c in text) for text in texts]
    assert read_tree(tree).leaves() == expected


def test_brackets_are_written_as_in_the_treebanks():
    grammar = "S -> '(' N ')'\nN -> 'f(x)' | '\\' | 'New York'"
    parser = GrammarParser(grammar)
    for word, leaf in [("f(x)", "f-LRB-x-RRB-"), ("\\", "\\"), ("New York", "New\u2423York")]:
        found = parser.parse(["(", word, ")"])
        assert found.tree == f"(S -LRB- (N {leaf}) -RRB-)"
        assert read_tree(found.tree).leaves() == ["(", word, ")"]


@pytest.mark.parametrize("text", ["", "bat", "(S (N bat)", "(S a) (S b)", "(S a))"])
def test_strings_that_are_no_trees(text):
    with pytest.raises(RecordError, match=r"is no bracketed tree .*such as"):
        read_tree(text)


# -- grammars ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grammar", "reason"),
    [
        ("S -> NP\nNP = 'a'", r"line 2: NP = 'a' Expected an arrow"),
        ("S -> NP\n-> 'a'", "line 2: -> 'a' Expected a nonterminal"),
        ("S -> 'a\n", "line 1: S -> 'a Unterminated string"),
        ("%start\nS -> 'a'", "line 1: %start "),
        ("# nothing\n", "No productions found!"),
        ("", "No productions found!"),
        ("S -> NP VP\nNP -> 'bats'\nVP -> fly", "line 3 of the grammar names fly, .*'fly' if it"),
        ("%start TOP\nS -> 'a'", "line 1 of the grammar names TOP, which has no production"),
        ("# fly\nS -> NP\nNP -> 'fly' fly", "line 3 of the grammar names fly,"),
        ("S -> NP\nNP -> ''", "the grammar has the word ''"),
        ("S -> A [1.0]\nA -> 'a' [0.5] | 'b' [0.4]", r"of A \(line 2 of the .* sum to 0.9; al"),
        ("S -> A [1.0]\nA -> 'a' [1.0] | 'b'", r"line 2 .* without a probability .*\(A -> 'b'\)"),
        ("S -> 'a' [1.2]", "line 1: .* should not be greater than 1.0"),
        ("S -> 'a' [.]", r"line 1: S -> 'a' \[\.\]"),
        ("S -> A [1.0]\nA -> 'a' [0.5] | [0.5]", "line 2 .* empty production of A, .*'chart'"),
    ],
)
def test_mistakes_in_a_grammar(grammar, reason):
    with pytest.raises(ConfigError, match=reason):
        GrammarParser(grammar)


@given(st.text(alphabet="SA ->|'\"[].15#%\\\nabst", max_size=30))
def test_any_text_is_a_grammar_or_a_config_error(text):
    try:
        parser = GrammarParser(text, max_edges=100)
    except ConfigError:
        return  # any other exception fails the test
    assert parser.parse(["a"]).status in STATUSES


def test_without_nltk(monkeypatch):
    for name in [name for name in sys.modules if name == "nltk" or name.startswith("nltk.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ResourceError, match=r"nltk_parser needs nltk.*pip install nltk"):
        GrammarParser(EXAMPLE_GRAMMAR)
    with pytest.raises(ResourceError, match=r"read_tree needs nltk.*pip install nltk"):
        read_tree("(S a)")


def test_grammar_or_path():
    assert is_grammar_text("S -> 'a'")
    assert is_grammar_text("S = a\nb")
    assert not is_grammar_text("folder/my-grammar.cfg")


def test_grammar_files(tmp_path):
    path = tmp_path / "g.cfg"
    path.write_bytes("\ufeffS -> 'é'\r\n".encode())
    assert read_grammar_file(path, "productions") == "S -> 'é'\n"
    path.write_bytes(b"S -> '\xe9'")
    with pytest.raises(ResourceError, match=r"g\.cfg' cannot be read \(.* position 6: .*UTF-8"):
        read_grammar_file(path, "productions")
    with pytest.raises(ResourceError, match=r"none\.cfg' cannot be read \(No such file .*give gra"):
        read_grammar_file(tmp_path / "none.cfg", "productions")
    with pytest.raises(ResourceError, match="cannot be read"):
        read_grammar_file(tmp_path, "productions")
    for name in ("bats fly " * 1000, "bats\0"):
        with pytest.raises(ResourceError, match="cannot be read"):
            read_grammar_file(name, "productions")


def test_a_right_side_of_20000_symbols_is_read_in_linear_work():
    """Once cutting it in pairs took a minute, before any limit for a sentence counts."""
    n = 20_000
    grammar = f"S -> {' '.join(['A'] * n)} [0.5] | A [0.5]\nA -> 'a' [1.0]\n"
    parser = GrammarParser(grammar, max_edges=100)
    assert parser.parse(["a"]).tree == "(S (A a))"
    assert len(parser._productions) == n + 1


def test_equal_ends_of_right_sides_are_shared():
    grammar = "S -> A B C D [0.5] | E B C D [0.5]\n" + "".join(
        f"{symbol} -> '{symbol.lower()}' [1.0]\n" for symbol in "ABCDE"
    )
    parser = GrammarParser(grammar)
    assert parser.parse(list("ebcd")).tree == "(S (E e) (B b) (C c) (D d))"
    assert len(parser._productions) == 5 + 2 + 2
