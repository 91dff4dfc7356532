"""Lesk against overlaps counted by hand on the toy world."""

from __future__ import annotations

import pickle
import re
import threading
from dataclasses import replace
from fractions import Fraction
from math import log

import numpy as np
import pytest
import spacy

from spacy_attn.components.adapter import context_of, resources_of
from spacy_attn.errors import ResourceError
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.inventory import wordnet as lexicon
from spacy_attn.wsd.inventory.find import find_targets
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.inventory.wordnet_files import find_wordnet
from spacy_attn.wsd.methods import glosses as prepared
from spacy_attn.wsd.methods.lesk import Lesk, stems
from spacy_attn.wsd.methods.lesk_extended import LeskExtended
from spacy_attn.wsd.sense import Example, Sense
from tests.wsd.decided import decide

NLP = spacy.blank("en")
RESOURCES = resources_of(NLP)


@pytest.fixture(scope="module")
def inventory(toy_inventory):
    return load_inventory(toy_inventory, "en")


def scores(method, inventory, *texts):
    """Sense id to score, for the one target of each text."""
    contexts = [context_of(NLP(text)) for text in texts]
    targets = [t for i, c in enumerate(contexts) for t in find_targets(c, inventory, i)]
    assert len(targets) == len(texts)
    return [
        dict(zip((s.id for s in target.candidates), array.tolist(), strict=True))
        for target, array in zip(targets, method.score(contexts, targets), strict=True)
    ]


def one(*senses):
    return Inventory("one", senses, "en")


# -- stems ------------------------------------------------------------------------------


def test_stems():
    tokens = ["The", "Bats", "were", "flying", ",", "42", "x", "non-stop", "CAVES", ""]
    stop = frozenset({"the", "were"})
    assert stems(tokens, stop) == ["", "bat", "", "fli", "", "", "", "", "cave", ""]


# -- lesk -------------------------------------------------------------------------------
# bat.animal: flying animal night lives cave; bat.club: club hit ball (the rest are stop words).
# bank.money: house keeps money; bank.river: river ("side" is one of spaCy's stop words).


@pytest.mark.parametrize(
    ("text", "animal", "club"),
    [
        ("Swing the bat!", 0, 0),
        ("The bat flew at night.", 1, 0),
        ("He hit the ball with a bat.", 0, 2),
        ("In the caves a bat lives, an animal that never hits balls.", 3, 2),
        ("night nights NIGHT bat", 1, 0),  # a word counts once
        ("a bat of a club", 0, 1),
    ],
)
def test_shared_words_are_counted(inventory, text, animal, club):
    (obtained,) = scores(Lesk(inventory, RESOURCES), inventory, text)
    assert obtained == {"bat.animal": animal, "bat.club": club}


def test_other_words_in_a_batch(inventory):
    texts = ["money in the bank", "The bat flew at night.", "the bank of the river keeps"]
    obtained = scores(Lesk(inventory, RESOURCES), inventory, *texts)
    assert obtained == [
        {"bank.money": 1, "bank.river": 0},
        {"bat.animal": 1, "bat.club": 0},
        {"bank.money": 1, "bank.river": 1},
    ]


def test_two_targets_of_one_text_share_its_words(inventory):
    context = context_of(NLP("the bat at the bank of the river at night"))
    targets = find_targets(context, inventory)
    obtained = [s.tolist() for s in Lesk(inventory, RESOURCES).score([context], targets)]
    assert obtained == [[1, 0], [0, 1]]


def test_the_window_is_counted_in_tokens(inventory):
    text = "cave , the bat , night"
    for window, expected in ((1, 0), (2, 1), (3, 2), (50, 2)):
        (obtained,) = scores(Lesk(inventory, RESOURCES, window), inventory, text)
        assert obtained["bat.animal"] == expected


def test_the_word_itself_is_no_evidence():
    inventory = one(
        Sense("bat.1", "bat", "NOUN", "bats are bats of a bat"), Sense("bat.2", "bat", "NOUN", "x")
    )
    (obtained,) = scores(Lesk(inventory, RESOURCES), inventory, "bat and batch")
    assert obtained == {"bat.1": 0, "bat.2": 0}


def test_probabilities_are_the_softmax_of_the_counts(inventory):
    context = context_of(NLP("He hit the ball with a bat."))
    (target,) = find_targets(context, inventory)
    method = Lesk(inventory, RESOURCES, temperature=2 / log(3))
    (array,) = method.score([context], [target])
    decision = decide(target, array, method.temperature)
    # Scores 0 and 2 over 2 / log 3: odds of 1 to 3.
    assert decision.score == pytest.approx(float(Fraction(3, 4)))
    assert decision.margin == pytest.approx(float(Fraction(1, 2)))


# -- lesk_extended ----------------------------------------------------------------------
# In the toy world no word stands with two of the four senses, so all weigh log(4 / 1) + 0.001.

W = log(4) + 1e-3


@pytest.mark.parametrize(
    ("text", "animal", "club"),
    [
        ("Swing the bat!", 0, 1 * W),  # "swing" stands in an example
        ("The bat flew at night.", 2 * W, 0),
        ("an artifact like the bat of an animal", 1 * W, 1 * W),  # names of supersenses
        # "flying animal" are neighbours in the definition: 2 + 2; then "hit" and "ball".
        ("a flying animal and a bat and hit a ball", 4 * W, 2 * W),
        ("an animal , flying , bat", 2 * W, 0),  # no neighbours here
        ("animal flying bat", 2 * W, 0),  # another order
        ("flying bat animal", 2 * W, 0),  # the word stands between them
    ],
)
def test_weighted_overlap(inventory, text, animal, club):
    (obtained,) = scores(LeskExtended(inventory, RESOURCES), inventory, text)
    assert obtained == pytest.approx({"bat.animal": animal, "bat.club": club}, abs=1e-5)


def test_words_of_many_senses_weigh_less():
    inventory = one(
        Sense("w.1", "w", "NOUN", "red green"),
        Sense("w.2", "w", "NOUN", "red blue"),
        Sense("w.3", "w", "NOUN", "red blue yellow"),
    )
    red, blue, green = 0 + 1e-3, log(3 / 2) + 1e-3, log(3 / 1) + 1e-3
    yellow = green
    method = LeskExtended(inventory, RESOURCES)
    (obtained,) = scores(method, inventory, "red , blue and green w yellow")
    expected = {"w.1": red + green, "w.2": red + blue, "w.3": red + blue + yellow}
    assert obtained == pytest.approx(expected, abs=1e-5)
    # Three neighbours are two pairs: 3 words and 2 + 2 for the pairs.
    (obtained,) = scores(method, inventory, "red blue yellow w")
    assert obtained["w.3"] == pytest.approx(red + blue + yellow + red + 2 * blue + yellow, abs=1e-5)


def test_the_word_itself_is_no_neighbour():
    inventory = one(
        Sense("w.1", "big w", "NOUN", "x", (Example("a red big w today", 6, 11),)),
        Sense("w.2", "big w", "NOUN", "y"),
    )
    (obtained,) = scores(LeskExtended(inventory, RESOURCES), inventory, "red big w")
    assert obtained == pytest.approx({"w.1": log(2) + 1e-3, "w.2": 0}, abs=1e-5)


def test_scores_are_single_precision_arrays(inventory):
    for method in (Lesk(inventory, RESOURCES), LeskExtended(inventory, RESOURCES)):
        context = context_of(NLP("a bat"))
        (array,) = method.score([context], find_targets(context, inventory))
        assert (array.dtype, array.shape) == (np.float32, (2,))
        assert method.score([], []) == []


# -- WordNet: senses are prepared when a text asks for them ----------------------------------
# bat: a flying animal; "the bat flew at night" (noun.animal)
#      a club for a ball; "swing the bat" (noun.artifact)
# hit: touch hard; "he hits the ball" (verb.contact) / reach with success (verb.social)


@pytest.fixture
def wordnet(toy_lexicon, toy_wordnet):
    return WordNetInventory(toy_lexicon, toy_wordnet)


def target_of(inventory, context, lemma, pos, index=0):
    (at,) = (i for i, token in enumerate(context.tokens) if token.lower() == lemma)
    return Target(index, at, at + 1, lemma, inventory.candidates(lemma, pos))


def wordnet_scores(method, inventory, text, lemma, pos="NOUN"):
    context = context_of(NLP(text))
    (array,) = method.score([context], [target_of(inventory, context, lemma, pos)])
    return array.tolist()


@pytest.mark.parametrize(
    ("text", "lemma", "pos", "expected"),
    [
        ("Swing the bat!", "bat", "NOUN", [0, 0]),
        ("flying animals: the bat", "bat", "NOUN", [2, 0]),
        ("The animal and a bat with clubs and balls", "bat", "NOUN", [1, 2]),
        ("a bank of money, rivers, rivers and houses", "bank", "NOUN", [2, 1]),
        ("they hit and reach it", "hit", "VERB", [0, 1]),
    ],
)
def test_lesk_counts_in_wordnets_definitions(wordnet, text, lemma, pos, expected):
    assert wordnet_scores(Lesk(wordnet, RESOURCES), wordnet, text, lemma, pos) == expected


# Of the seven glosses, each with the name of its supersense, this many hold a word:
W1, W2, W3 = (log(7 / n) + 1e-3 for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("text", "lemma", "pos", "expected"),
    [
        ("The bat flew at night.", "bat", "NOUN", [W2 + W1, 0]),  # "flew" is twice in WordNet
        ("an artifact, the bat, and an animal", "bat", "NOUN", [W1, W1]),
        ("a flying animal like a bat and balls", "bat", "NOUN", [4 * W1, W2]),  # neighbours
        ("bats at the bank of the river", "bank", "NOUN", [0, W3 + W2]),
        ("touch hard , hit the ball", "hit", "VERB", [4 * W1 + W2, 0]),
    ],
)
def test_extended_lesk_weighs_by_wordnets_glosses(wordnet, text, lemma, pos, expected):
    obtained = wordnet_scores(LeskExtended(wordnet, RESOURCES), wordnet, text, lemma, pos)
    assert obtained == pytest.approx(expected, abs=1e-5)


def test_a_word_that_only_the_tokenizer_makes_weighs_as_a_rare_one(wordnet):
    def tokenize(text):
        return context_of(NLP(text.replace("flying", "airborne")))

    method = LeskExtended(wordnet, replace(RESOURCES, tokenize=tokenize))
    assert wordnet_scores(method, wordnet, "an airborne bat", "bat") == pytest.approx([W1, 0])


@pytest.mark.parametrize("kind", [Lesk, LeskExtended])
def test_a_sense_is_prepared_when_a_text_holds_its_word(wordnet, kind):
    method = kind(wordnet, RESOURCES)
    assert len(method._signatures) == 0
    wordnet_scores(method, wordnet, "a bat", "bat")
    assert len(method._signatures) == 2
    wordnet_scores(method, wordnet, "a bat in a cave", "bat")
    assert len(method._signatures) == 2
    wordnet_scores(method, wordnet, "a hit", "hit", "VERB")
    assert len(method._signatures) == 4


@pytest.mark.parametrize("kind", [Lesk, LeskExtended])
def test_threads_share_a_method_whose_memory_is_bounded(wordnet, kind, monkeypatch):
    texts = {"bat": "flying animal bat ball", "bank": "money , river and bank houses"}
    alone = {w: wordnet_scores(kind(wordnet, RESOURCES), wordnet, t, w) for w, t in texts.items()}
    assert all(max(scores) > 0 for scores in alone.values())
    monkeypatch.setattr(prepared, "_CACHED_SENSES", 2)
    shared = kind(wordnet, RESOURCES)
    seen = []

    def work():
        for _ in range(20):
            seen.append({w: wordnet_scores(shared, wordnet, t, w) for w, t in texts.items()})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [alone] * 80
    assert len(shared._signatures) <= 2


@pytest.mark.parametrize("kind", [Lesk, LeskExtended])
def test_another_process_prepares_its_own(wordnet, kind):
    method = kind(wordnet, RESOURCES, window=3)
    expected = wordnet_scores(method, wordnet, "a flying bat", "bat")
    received = pickle.loads(pickle.dumps(method))  # noqa: S301 - our own bytes
    assert len(received._signatures) == 0
    assert received.window == 3
    assert wordnet_scores(received, wordnet, "a flying bat", "bat") == expected


def test_what_is_prepared_in_a_memory_zone_outlives_it(wordnet):
    method = LeskExtended(wordnet, RESOURCES)
    with NLP.memory_zone():
        inside = wordnet_scores(method, wordnet, "a flying bat", "bat")
    assert wordnet_scores(method, wordnet, "a flying bat", "bat") == inside == [inside[0], 0]
    assert inside[0] > 0


@pytest.mark.parametrize("kind", [Lesk, LeskExtended])
def test_without_the_users_wordnet_the_error_names_the_command(toy_lexicon, kind, monkeypatch):
    monkeypatch.setattr(lexicon, "find_wordnet", lambda: None)
    sentence = (
        f"^the method {kind.name} reads the definitions of inventory = 'wordnet', .*"
        "apt-get install wordnet-base wordnet-sense-index"
    )
    with pytest.raises(ResourceError, match=sentence):
        kind(WordNetInventory(toy_lexicon), RESOURCES)


SENTENCES = [
    ("the bank pays interest on money and lends it to the people who deposit it", "bank", "NOUN"),
    ("the sloping land beside the water was the bank of a river", "bank", "NOUN"),
    ("a worker in the plant repairs the industrial machine", "plant", "NOUN"),
    ("the living plant lacks the power of locomotion", "plant", "NOUN"),
    ("the tone and pitch of the bass voice are low", "bass", "NOUN"),
    ("they run fast on foot so that the foot leaves the ground", "run", "VERB"),
    ("it is hot and the light of the sun is bright", "light", "ADJ"),
    ("nothing here fits the crane at all", "crane", "NOUN"),
]


class Synset:
    """As much of NLTK's Synset as its lesk asks for."""

    def __init__(self, sense, words):
        self.sense, self.words = sense, words

    def definition(self):
        return " ".join(self.words)


@pytest.mark.skipif(find_wordnet() is None, reason="no WordNet 3.0 on this machine")
def test_nltks_lesk_takes_the_same_senses_of_wordnet():
    from nltk.stem.porter import PorterStemmer
    from nltk.wsd import lesk as nltk_lesk

    def words(text, lemma):
        found = (w for w in re.findall("[a-z]{2,}", text) if w not in RESOURCES.stop_words)
        return [stem for stem in map(PorterStemmer().stem, found) if stem != lemma]

    inventory = lexicon.wordnet_inventory()
    method = Lesk(inventory, RESOURCES)
    chosen = set()
    for text, lemma, pos in SENTENCES:
        candidates = inventory.candidates(lemma, pos)
        synsets = [Synset(s, words(s.definition, lemma)) for s in candidates]
        expected = nltk_lesk(words(text, lemma), lemma, synsets=synsets).sense
        obtained = candidates[int(np.argmax(wordnet_scores(method, inventory, text, lemma, pos)))]
        assert obtained == expected
        chosen.add(candidates.index(obtained) > 0)
    assert chosen == {True, False}  # some are first senses, some are not
