"""Chunks and relations of texts that are more than sentences: lists, recipes, reviews, chats."""

from __future__ import annotations

import random
import re
import unicodedata

import pytest
import spacy
from spacy.tokens import Doc

from spacy_attn.components.layout import read_layout
from spacy_attn.components.relation_view import relation_view

CHASED = {
    "words": ["The", "dog", "chased", "a", "cat"],
    "tags": ["DT", "NN", "VBD", "DT", "NN"],
    "pos": ["DET", "NOUN", "VERB", "DET", "NOUN"],
    "deps": ["det", "nsubj", "ROOT", "det", "dobj"],
}


@pytest.fixture(scope="module")
def english(spacy_english):
    spacy_english.add_pipe("nltk_chunker")
    spacy_english.add_pipe("relation_extractor")
    yield spacy_english
    spacy_english.remove_pipe("relation_extractor")
    spacy_english.remove_pipe("nltk_chunker")


def marks_of(text):
    """The marks of a text, and the parts of its other tokens."""
    doc = spacy.blank("en")(text)
    for token in doc:
        token.tag_ = "NN" if token.text.isalnum() else ":"
    layout = read_layout(doc)
    parts = {}
    for token in doc:
        if token.i not in layout.marks and not token.is_space:
            parts.setdefault(layout.parts[token.i], []).append(token.text)
    return [doc[i].text for i in sorted(layout.marks)], list(parts.values())


@pytest.mark.parametrize(
    ("text", "marks", "parts"),
    [
        ("a dog", [], [["a", "dog"]]),
        ("a\ndog", [], [["a", "dog"]]),
        ("a\n\ndog", ["\n\n"], [["a"], ["dog"]]),
        ("a\r\n\r\ndog", ["\r\n\r\n"], [["a"], ["dog"]]),
        ("a\n \t\ndog", ["\n \t\n"], [["a"], ["dog"]]),
        ("a 🐶 dog", ["🐶"], [["a", "dog"]]),
        ("dog 👩\u200d💻", ["👩", "\u200d", "💻"], [["dog"]]),
        ("★★ dog", ["★", "★"], [["dog"]]),
        ("dog :-) xD <3", [":-)", "xD", "<3"], [["dog"]]),
        ("dog ™ = ×", ["™", "=", "×"], [["dog"]]),
        ("- dog\n- cat", ["-", "-"], [["dog"], ["cat"]]),
        ("• dog\n• cat", ["•", "•"], [["dog"], ["cat"]]),
        ("\uf0b7 dog\n\uf0b7 cat", ["\uf0b7", "\uf0b7"], [["dog"], ["cat"]]),
        ("1. dog\n2. cat", ["1", ".", "2", "."], [["dog"], ["cat"]]),
        ("(a) dog\n(b) cat", ["(", "a", ")", "(", "b", ")"], [["dog"], ["cat"]]),
        ("iv) dog", ["iv", ")"], [["dog"]]),
        ("[x] dog\n[ ] cat", ["[", "x", "]", "[", "]"], [["dog"], ["cat"]]),
        ("1️⃣ dog", ["1️⃣"], [["dog"]]),
        ("o Dog\no Cat", ["o", "o"], [["Dog"], ["Cat"]]),
        ("## dog", ["#", "#"], [["dog"]]),
        ("> a dog\n> a cat", [">", ">"], [["a", "dog", "a", "cat"]]),
        ("---\ndog\n===", ["---", "=", "=", "="], [["dog"]]),
        # and what only looks like it
        ("a dog he was\n12. Then", [], [["a", "dog", "he", "was", "12", ".", "Then"]]),
        ("the dog\n- a cat -", ["-"], [["the", "dog", "a", "cat", "-"]]),
        ("A. Smith", [], [["A.", "Smith"]]),
        ("$ 5 and 3 % at 4 °C", [], [["$", "5", "and", "3", "%", "at", "4", "°", "C"]]),
        ("an X-ray", [], [["an", "X", "-", "ray"]]),
        ("R & D", [], [["R", "&", "D"]]),
        ("0.0 and 3.5", [], [["0.0", "and", "3.5"]]),
    ],
)
def test_marks_and_parts(text, marks, parts):
    found, texts = marks_of(text)
    assert [mark for mark in found if mark != "\n"] == marks
    assert texts == parts


RECIPE = "Method\n\n1. Pour the sauce over\n2. Bake the dish for 20 minutes.\n3. Season the meat."


@pytest.mark.parametrize(
    ("text", "chunks", "relations"),
    [
        ("Pour the sauce over", "Pour/VP the sauce/NP over/PP", ["- | pour | the sauce"]),
        (
            RECIPE,
            "Method/NP Pour/VP the sauce/NP over/PP Bake/VP the dish/NP for 20 minutes/PP "
            "20 minutes/NP Season/VP the meat/NP",
            [
                "- | pour | the sauce",
                "- | bake | the dish",
                "- | bake for | 20 minutes",
                "- | season | the meat",
            ],
        ),
        (
            "• Peel the potatoes\n• Boil the water\n• Drain the pasta",
            "Peel/VP the potatoes/NP Boil/VP the water/NP Drain/VP the pasta/NP",
            ["- | peel | the potatoes", "- | boil | the water", "- | drain | the pasta"],
        ),
        (
            "Whisk the eggs\n\nFold the flour into the mixture\n\nGrease the tin.",
            "Whisk/VP the eggs/NP Fold/VP the flour/NP into the mixture/PP the mixture/NP "
            "Grease/VP the tin/NP",
            [
                "- | whisk | the eggs",
                "- | fold | the flour",
                "- | fold into | the mixture",
                "- | grease | the tin",
            ],
        ),
        (
            "Salt the water.\nOil the tin.\nWater the plants daily.",
            "Salt/VP the water/NP Oil/VP the tin/NP Water/VP the plants/NP daily/ADVP",
            ["- | salt | the water", "- | oil | the tin", "- | water | the plants"],
        ),
        (
            "Wrap the parcel\nStick the label on the lid\nPost the parcel",
            "Wrap/VP the parcel/NP Stick/VP the label/NP on the lid/PP the lid/NP Post/VP "
            "the parcel/NP",
            ["- | wrap | the parcel", "- | stick | the label", "- | post | the parcel"],
        ),
        ("Mix flour and sugar.", None, ["- | mix | flour", "- | mix | sugar"]),
        (
            "SKILLS\n\nManaged a team of 5\n\nBuilt the website",
            None,
            ["- | manage | a team", "- | build | the website"],
        ),
        (
            "(a) The tenant pays the rent.\n(b) The landlord repairs the roof.",
            None,
            ["The tenant | pay | the rent", "The landlord | repair | the roof"],
        ),
        ("The board\n\nhas approved the plan", None, ["- | approve | the plan"]),
        (
            "The company bought\n\nThe house was sold.",
            None,
            ["- | sell | The house"],
        ),
        ("★★★★★ Great phone, love it! 👍👍", "Great phone/NP love/VP it/NP", ["- | love | it"]),
        ("lol 😂😂 he broke the window 😱", None, ["he | break | the window"]),
        (
            "Bob 👨\u200d👩\u200d👧 bought a house 🏠 in Leeds.",
            None,
            ["Bob | buy | a house", "Bob | buy in | Leeds"],
        ),
        ("She gave him a ★.", "She gave him/CLAUSE She/NP gave/VP him/NP", ["She | give to | him"]),
        ("I ❤️ this phone.", "I/NP this phone/NP", []),
        ("Price: $ 5 / € 6 | Rating: ★★★☆☆", "Price/NP $ 5/NP € 6/NP Rating/NP", []),
        ("xD he lost the keys :D", None, ["he | lose | the keys"]),
        (
            "The team | won | the match",
            "The team/NP won/VP the match/NP",
            ["The team | win | the match"],
        ),
        (
            "Preheat the oven to 180 °C.",
            None,
            ["- | preheat | the oven", "- | preheat to | 180 °C"],
        ),
        ("# skip the file", "skip/VP the file/NP", ["- | skip | the file"]),
        (
            "The bill ran to £4.1m.\n\nLocal traders blame the hold-up for losses; three cafés on "
            "the front have closed for good.",
            None,
            ["The bill | run to | £4.1m.", "Local traders | blame | the hold-up"],
        ),
        ("Rain all day.", "Rain/NP all day/NP", []),
        ("Exam this week", "Exam/NP this week/NP", []),
        # the same as before
        ("The X-ray showed a fracture.", None, ["The X-ray | show | a fracture"]),
        ("He lives in\nthe old house.", None, ["He | live in | the old house"]),
        ("Jack the dog chased the cat.", None, ["the dog | chase | the cat"]),
        (
            "A. Smith wrote the report.\nB. Jones read it.",
            None,
            ["A. Smith | write | the report", "B. Jones | read | it"],
        ),
    ],
)
def test_no_part_is_a_sign_a_marker_or_over_a_blank_line(english, text, chunks, relations):
    doc = english(text)
    if chunks is not None:
        assert " ".join(f"{span.text}/{span.label_}" for span in doc.spans["chunks"]) == chunks
    assert [relation.text(doc) for relation in doc._.relations] == relations


SENTENCES = [
    "The dog chased a cat",
    "Pour the milk into the bowl",
    "Ann sold the house to Bob",
    "The server was restarted by the admin",
    "Great phone, love it",
    "He is able to buy a car",
    "Tim Cook, the CEO of Apple, met the mayor",
    "We never lost a parcel",
    "Reading books is fun",
    "the man who sold the car",
    "Costs fell 5 % in May",
    "Fry the onions and stir them",
]
LINES = [
    "{}",
    "{}.",
    "- {}",
    "* {}",
    "• {}.",
    "1. {}",
    "(b) {}",
    "★★★ {}",
    "{} 😀!",
    "{} → {}",
    "😡 {} 👎",
    "{} ™",
    "# {}",
    "> {}",
    "{} = {}",
    "✔ {}",
    "{} 🏠 {}",
    "{} :-)",
    "| {} |",
]


def is_sign(letter):
    return unicodedata.category(letter) in ("So", "Sm", "Sk", "Co") and letter != "°"


@pytest.mark.parametrize("seed", range(40))
def test_generated_texts(english, seed):
    rng = random.Random(seed)  # noqa: S311
    lines = [
        rng.choice(LINES).replace("{}", rng.choice(SENTENCES)) for _ in range(rng.randint(2, 6))
    ]
    doc = english("".join(line + rng.choice(["\n", "\n\n"]) for line in lines))
    spans = [(span.text, span.label_) for span in doc.spans["chunks"]]
    for relation in doc._.relations:
        parts = (relation.subject, relation.predicate, relation.object, *relation.parts)
        spans += [(doc[start:end].text, "") for start, end in filter(None, parts)]
    assert spans, doc.text
    for text, _ in spans:
        assert not re.search(r"\n\s*\n|\n[-*•>#(]|\n1\.", text), (doc.text, text)
        assert not any(map(is_sign, text)), (doc.text, text)
        assert any(letter.isalnum() for letter in text), (doc.text, text)


def test_an_ordinary_doc_is_read_as_it_is():
    doc = Doc(spacy.blank("en").vocab, heads=[1, 2, 2, 4, 2], **CHASED)
    assert relation_view(doc) == (doc, frozenset())


def test_the_doc_itself_stays(english):
    text = "He hated it 😱.\n\n- Season the meat"
    before = english(text, disable=["relation_extractor", "nltk_chunker"])
    after = english(text)
    wanted = ["TAG", "POS", "LEMMA", "HEAD", "DEP", "SENT_START"]
    assert (before.to_array(wanted) == after.to_array(wanted)).all()


def test_a_word_takes_the_place_of_a_sign():
    words = [*CHASED["words"], "🐈"]
    doc = Doc(
        spacy.blank("en").vocab,
        words=words,
        tags=[*CHASED["tags"], "NN"],
        pos=[*CHASED["pos"], "NOUN"],
        heads=[1, 2, 2, 5, 5, 2],
        deps=["det", "nsubj", "ROOT", "det", "compound", "dobj"],
    )
    view, marks = relation_view(doc)
    assert marks == {5}
    assert [token.head.i for token in view][:5] == [1, 2, 2, 4, 2]
    assert [token.dep_ for token in view] == ["det", "nsubj", "ROOT", "det", "dobj", "punct"]
    assert doc[4].dep_ == "compound"
