"""The words of a relation: "give up", "want to buy", "chief executive"."""

from __future__ import annotations

from spacy.tokens import Token

from spacy_attn.classic.relations.tree import Tree
from spacy_attn.classic.relations.verbs import is_passive

# "chief executive": an adjective that is part of the title.
_OF_TITLES = frozenset(
    "chief co deputy editorial executive financial foreign general managing prime vice".split()
)


def relation_words(
    tree: Tree, verb: Token, particle: Token | None, preposition: Token | None
) -> list[tuple[Token | None, str]]:
    """Lemma, particles, prepositions, after the verbs that govern an infinitive."""
    words = governing_words(tree, verb)
    # "enjoys reading": a gerund keeps its form.
    is_gerund = bool(words) and verb.tag_ == "VBG"
    words.append((verb, verb.lower_ if is_gerund else _lemma(verb)))
    particles = [particle] if particle is not None else _particles(tree, verb)
    chain = [*particles, *_preposition_chain(tree, verb, preposition)]
    return words + [(token, token.lower_) for token in chain]


def _particles(tree: Tree, verb: Token) -> list[Token]:
    adverbs = [child for child in tree.children(verb, "advmod") if child.tag_ == "RP"]
    return tree.children(verb, "prt") or adverbs


def governing_words(tree: Tree, verb: Token) -> list[tuple[Token | None, str]]:
    """Of "want to buy" the words "want to"; empty where the verb stands for itself."""
    mark = [child for child in tree.children(verb, "aux") if child.lower_ == "to"]
    if verb.dep_ == "conj" and not tree.children(verb, "nsubj", "nsubjpass"):
        if verb.tag_ != verb.head.tag_:
            return []
        return governing_words(tree, verb.head)
    if verb.dep_ != "xcomp" or is_passive(tree, verb) or tree.children(verb, "nsubj"):
        return []
    head = verb.head
    if tree.children(head, "dobj", "dative"):
        return []  # "asked him to leave", "used the key to open the door"
    words: list[tuple[Token | None, str]] = []
    if head.pos_ in ("VERB", "AUX"):
        words = relation_words(tree, head, None, None)
    elif head.dep_ == "acomp":  # "is able to buy"
        words = [*relation_words(tree, head.head, None, None), (head, head.lower_)]
    return words + [(token, token.lower_) for token in mark]


def _preposition_chain(tree: Tree, verb: Token, preposition: Token | None) -> list[Token]:
    """The preposition and those between it and the verb ("out of")."""
    if preposition is None:
        return []
    chain = [preposition]
    while chain[0].dep_ == "prep" and chain[0].head.dep_ == "prep" and chain[0].head.i != verb.i:
        chain.insert(0, chain[0].head)
    inner = tree.children(preposition, "prep")
    return chain + (inner[:1] if not tree.children(preposition, "pobj") else [])


def noun_words(tree: Tree, noun: Token) -> list[tuple[Token | None, str]]:
    """The noun and what makes it a title ("chief executive", "co-founder")."""
    start = noun.i
    while start >= 2 and tree.doc[start - 1].text == "-" and not tree.doc[start - 2].whitespace_:
        start -= 2  # the tokenizer parts "co-founder"
    words: list[tuple[Token | None, str]] = [
        (child, child.lower_)
        for child in noun.lefts
        if child.i < start
        and not (child.ent_type_ or child.pos_ == "PROPN")
        and (child.dep_ == "compound" or child.lower_ in _OF_TITLES)
    ]
    lemma = noun.text if noun.text.isupper() else _lemma(noun)
    return [*words, (noun, tree.doc[start : noun.i].text.lower() + lemma)]


def _lemma(token: Token) -> str:
    """The lemma; of a pipeline without lemmatizer the word."""
    return token.lemma_.lower() or token.lower_
