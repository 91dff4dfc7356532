from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.lang.en import English
from tokenizers import (
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from spacy_attn.encoder.align import add_pieces, align

#: What breaks offsets: spaces of many kinds, line breaks, accents (one and two characters),
#: zero-width characters, emoji with skin tone, joiner and flag, right-to-left letters and
#: marks, control characters, ligatures, fractions, Indic signs, Hangul parts, CJK.
HARD = [
    *"ab .-'\n\t\r\x0b\x1f\x85\xa0\u2003\u3000",
    *["é", "e\u0301", "o\u0323\u0302", "\u200b", "\u200d", "\ufeff", "\u00ad", "\u2060"],
    *["👩\u200d👩\u200d👧", "👍🏽", "🇩🇪", "❤\ufe0f", "\U000e0001"],
    *["שלום", "مرحبا", "\u202e", "\u200f", "\x00", "\x07", "\x7f"],
    *["ﬁ", "½", "﷽", "क्षि", "\u0e33", "각", "ᄀ", "中文", "ＡＢ"],
]
texts = st.lists(st.sampled_from(HARD) | st.characters(exclude_categories=["Cs"]), max_size=12).map(
    "".join
)
spacy_tokenizer = English().tokenizer


# -- an oracle that looks at single characters ---------------------------------------------


def owned_characters(text, start, end):
    """The characters that count for a piece: all of a blank one, else no spaces at its edges."""
    characters = set(range(start, end))
    if text[start:end].strip():
        while text[start].isspace():
            characters.discard(start)
            start += 1
        while text[end - 1].isspace():
            characters.discard(end - 1)
            end -= 1
    return characters


def sharing(text, token, pieces):
    """Indices of the pieces that share a character with the token."""
    wanted = set(range(*token))
    return {i for i, piece in enumerate(pieces) if owned_characters(text, *piece) & wanted}


def standing_inside(token, pieces):
    """Indices of the pieces without characters that stand inside the token."""
    return {
        i for i, (start, end) in enumerate(pieces) if start == end and token[0] < end < token[1]
    }


def ranges(text, tokens, pieces):
    first, end = align(text, tokens, pieces)
    assert len(first) == len(end) == len(tokens)
    assert (first <= end).all()
    return [set(range(a, b)) for a, b in zip(first, end, strict=True)]


def is_in_order(pieces):
    return all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(pieces))


# -- any cut of any text ---------------------------------------------------------------------


@st.composite
def cut_texts(draw, in_order=True):
    """A text, tokens that do not overlap, and pieces that may."""
    text = draw(texts)
    places = st.integers(0, len(text))
    cuts = sorted(draw(st.sets(places, max_size=10)))
    tokens = [pair for pair in pairwise(cuts) if draw(st.booleans())]
    spans = draw(st.lists(st.tuples(places, places).map(sorted).map(tuple), max_size=12))
    if in_order:  # sorted on both sides: overlaps, gaps, repeats and empty pieces stay
        starts, ends = sorted(s for s, _ in spans), sorted(e for _, e in spans)
        spans = list(zip(starts, ends, strict=True))
    return text, tokens, spans


@given(cut_texts())
def test_a_token_owns_the_pieces_that_share_a_character_with_it(cut):
    text, tokens, pieces = cut
    assert is_in_order(pieces)
    expected = [sharing(text, t, pieces) | standing_inside(t, pieces) for t in tokens]
    assert ranges(text, tokens, pieces) == expected


@given(cut_texts(in_order=False))
def test_pieces_out_of_order_are_never_lost(cut):
    text, tokens, pieces = cut
    for owned, token in zip(ranges(text, tokens, pieces), tokens, strict=True):
        assert owned >= sharing(text, token, pieces)


# -- real tokenizers on real tokens ------------------------------------------------------------


def wordpiece():
    vocabulary = ["[UNK]", *"abe.-'", *(f"##{letter}" for letter in "abe"), "中", "ש"]
    tokenizer = Tokenizer(
        models.WordPiece({piece: i for i, piece in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def byte_level(trim_offsets):
    """As RoBERTa (offsets without spaces) and GPT-2 (with them)."""
    vocabulary = ["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġa", "Ġab"]
    ids = {piece: i for i, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.BPE(ids, [("Ġ", "a"), ("Ġa", "b")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    return tokenizer


def sentencepiece():
    """As XLM-R: the space before a word belongs to its first piece."""
    pieces = ["<unk>", "▁", "▁a", "▁ab", "ab", "a", "b", "e", ".", "中", "文"]
    scores = [(piece, -float(i)) for i, piece in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=0))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


TOKENIZERS = {
    "wordpiece": wordpiece(),
    "byte-level": byte_level(trim_offsets=True),
    "byte-level with spaces": byte_level(trim_offsets=False),
    "sentencepiece": sentencepiece(),
}


def spacy_offsets(text):
    return [(token.idx, token.idx + len(token)) for token in spacy_tokenizer(text)]


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=texts)
def test_tokens_of_spacy_and_pieces_of_a_tokenizer(name, text):
    pieces = TOKENIZERS[name].encode(text, add_special_tokens=False).offsets
    tokens = spacy_offsets(text)
    assert is_in_order(pieces)
    expected = [sharing(text, t, pieces) | standing_inside(t, pieces) for t in tokens]
    assert ranges(text, tokens, pieces) == expected


def pieces_of(name, text):
    """Token text -> its pieces."""
    encoding = TOKENIZERS[name].encode(text, add_special_tokens=False)
    tokens = spacy_offsets(text)
    first, end = align(text, tokens, encoding.offsets)
    return [
        (text[slice(*token)], encoding.tokens[a:b])
        for token, a, b in zip(tokens, first, end, strict=True)
    ]


# -- by hand ---------------------------------------------------------------------------------


def test_a_piece_may_serve_two_tokens():
    text = "don't touch"
    tokens = [(0, 2), (2, 5), (6, 11)]
    pieces = [(0, 3), (3, 4), (4, 5), (6, 11)]
    assert ranges(text, tokens, pieces) == [{0}, {0, 1, 2}, {3}]


def test_the_space_of_sentencepiece_belongs_to_no_token():
    text = "a  ab\n b"
    assert [text[slice(*t)] for t in spacy_offsets(text)] == ["a", " ", "ab", "\n ", "b"]
    pieces = [(0, 1), (1, 5), (5, 8)]  # "a", "  ab", "\n b"
    assert ranges(text, spacy_offsets(text), pieces) == [{0}, set(), {1}, set(), {2}]


def test_line_breaks_own_the_pieces_that_stand_for_them():
    assert pieces_of("byte-level", "a\n\nb") == [("a", ["a"]), ("\n\n", ["Ċ", "Ċ"]), ("b", ["b"])]
    assert pieces_of("wordpiece", "a\n\nb") == [("a", ["a"]), ("\n\n", []), ("b", ["b"])]


def test_bytes_of_one_character_belong_to_its_token():
    """Byte-level pieces of one character all have the offsets of this character."""
    obtained = dict(pieces_of("byte-level", "a 👍🏽 ab"))
    assert [len(pieces) for pieces in obtained.values()] == [1, 4, 4, 1]
    assert list(obtained) == ["a", "👍", "🏽", "ab"]
    assert obtained["ab"] == ["Ġab"]


def test_an_emoji_of_many_characters_shares_its_piece():
    text = "a 👩\u200d👩\u200d👧 b"
    obtained = pieces_of("wordpiece", text)
    assert "".join(token for token, _ in obtained) == text.replace(" ", "")
    assert [pieces for _, pieces in obtained] == [["a"], *[["[UNK]"]] * (len(obtained) - 2), ["b"]]


def test_an_accent_of_its_own_stays_with_its_letter():
    assert pieces_of("wordpiece", "e\u0301a b") == [("e\u0301a", ["e", "##a"]), ("b", ["b"])]


def test_a_token_that_the_normaliser_removes_has_no_piece():
    text = "a \u200b b"
    assert pieces_of("wordpiece", text) == [("a", ["a"]), ("\u200b", []), ("b", ["b"])]


def test_a_piece_without_characters_belongs_to_the_token_around_it():
    text = "a  b"
    pieces = TOKENIZERS["byte-level"].encode(text).offsets
    assert pieces == [(0, 1), (2, 2), (3, 3), (3, 4)]
    assert ranges(text, [(0, 4)], pieces) == [{0, 1, 2, 3}]
    assert ranges(text, spacy_offsets(text), pieces) == [{0}, set(), {3}]


@pytest.mark.parametrize("text", ["", " ", "a"])
def test_no_tokens_or_no_pieces(text):
    assert ranges(text, [], []) == []
    assert ranges(text, [(0, len(text))] if text else [], []) == ([set()] if text else [])
    assert ranges(text, [], [(0, len(text))]) == []


def test_very_long_white_space_at_the_edge_of_a_piece():
    spaces = " " * 1_000_000
    text = f"a{spaces}b{spaces}"
    middle = 1 + len(spaces)
    tokens = [(0, 1), (2, middle), (middle, middle + 1)]
    assert ranges(text, tokens, [(0, 1), (1, len(text))]) == [{0}, set(), {1}]


# -- pool ------------------------------------------------------------------------------------


def mean_by_hand(vectors, first, end):
    rows = [vectors[a:b].astype(np.float64) for a, b in zip(first, end, strict=True)]
    return np.array([r.mean(axis=0) if len(r) else np.zeros(vectors.shape[1]) for r in rows])


@given(st.integers(0, 30), st.integers(0, 12), st.integers(1, 5), st.integers(0, 10**6), st.data())
def test_parts_add_up_to_the_means_of_the_tokens(n_pieces, n_tokens, width, seed, data):
    """However the pieces are cut, each token gets every piece that it owns once."""
    rng = np.random.default_rng(seed)
    first, end = np.sort(
        np.sort(rng.integers(0, n_pieces + 1, size=(n_tokens, 2)), axis=1), axis=0
    ).T
    vectors = rng.normal(size=(n_pieces, width)).astype(np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, n_pieces), max_size=4)))
    out = np.zeros((n_tokens, width), dtype=np.float32)
    for low, high in pairwise([0, *cuts, n_pieces]):
        add_pieces(out, vectors[low:high], low, first, end)
    if n_tokens:
        np.testing.assert_allclose(out, mean_by_hand(vectors, first, end), atol=1e-5)


def test_means_by_hand():
    vectors = np.array([[2, 0], [4, 6], [0, 3]], dtype=np.float32)
    first, end = np.array([0, 0, 1, 2]), np.array([1, 3, 1, 3])
    out = np.zeros((4, 2), dtype=np.float32)
    add_pieces(out, vectors, 0, first, end)
    np.testing.assert_array_equal(out, [[2, 0], [2, 3], [0, 0], [0, 3]])
