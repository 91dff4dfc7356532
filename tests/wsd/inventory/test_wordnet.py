"""WordNet as an inventory: a lexicon built from seven synsets, and the real one."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.wsd.inventory import wordnet as lexicon
from spacy_attn.wsd.inventory.build_lexicon import build_lexicon
from spacy_attn.wsd.inventory.lexicon_file import (
    COLUMNS,
    digest_of,
    lexicon_digest,
    read_lexicon,
    write_lexicon,
)
from spacy_attn.wsd.inventory.open import load_inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet, find_example, find_wordnet
from spacy_attn.wsd.methods.registry import SENSE_MODEL
from tests.wsd.given import tagged


@pytest.fixture(scope="module")
def lexicon_file(toy_wordnet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lexicon") / "toy.npz"
    build_lexicon(WordNet(toy_wordnet), path)
    return path


@pytest.fixture(scope="module")
def toy(lexicon_file: Path, toy_wordnet: Path) -> WordNetInventory:
    return WordNetInventory(lexicon_file, toy_wordnet)


# -- the lexicon ---------------------------------------------------------------------------


def test_candidates_stand_in_wordnets_order_with_counts(toy):
    animal, club = toy.candidates("bat", "NOUN")
    assert (animal.id, animal.supersense, toy.count(animal)) == (
        "bat%1:05:00::",
        "noun.animal",
        3,
    )
    assert (club.id, club.supersense, toy.count(club)) == ("bat%1:06:00::", "noun.artifact", 1)
    assert toy.candidates("bat", "VERB") == ()
    assert toy.candidates("Bat") == (animal, club)
    assert toy.candidates("river_bank")[0].lemma == "river bank"
    assert toy.candidates("nothing") == ()


def test_definition_example_and_synonyms(toy):
    animal = toy.candidates("bat", "NOUN")[0]
    assert animal.definition == "a flying animal"
    (example,) = animal.examples
    assert example.text[example.start : example.end] == "bat"
    assert toy.synonyms(animal) == []  # the toy's index names one lemma of each synset


def test_rows_number_the_senses(toy):
    rows = sorted(s.row for lemma, pos in toy.words for s in toy.candidates(lemma, pos))
    assert rows == list(range(toy.n_senses))
    assert len(toy.synset_of_row) == toy.n_senses == 7
    assert len(set(toy.synset_of_row.tolist())) == 7  # the toy has one lemma for each synset


def test_senses_work_without_the_users_wordnet(lexicon_file, tmp_path, monkeypatch):
    monkeypatch.setattr(lexicon, "find_wordnet", lambda: None)
    alone = WordNetInventory(lexicon_file)
    animal = alone.candidates("bat", "NOUN")[0]
    assert (animal.id, animal.definition, animal.examples) == ("bat%1:05:00::", "", ())


@pytest.mark.parametrize("n", [1, 2, 50, 97, 98, 5000])
def test_full_stops_behind_a_form(toy, n):
    """A row of 5,000, as leaders of a table of contents have them, once broke the text."""
    expected = (("bat", "NOUN"),) if n < 97 else ()
    assert toy.words_of("bat" + "." * n) == expected
    assert toy.words_of("." * n) == ()


def test_words_of_a_form(toy):
    assert toy.words_of("batz") == (("bat", "NOUN"),)  # an exception
    assert toy.words_of("bats") == (("bat", "NOUN"),)
    assert toy.words_of("hits") == (("hit", "VERB"),)
    assert toy.words_of("cats") == ()
    assert toy.words_of("lice") == ()  # an exception whose lemma has no sense
    assert toy.words_of("cats", "bat") == (("bat", "NOUN"),)  # the lemmatizer knows


def test_the_same_files_give_the_same_bytes(lexicon_file, toy_wordnet, tmp_path):
    build_lexicon(WordNet(toy_wordnet), tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == lexicon_file.read_bytes()


def test_columns_come_out_as_they_went_in(tmp_path):
    # Lemmas "a" (noun 20, satellite 7), "b" (noun 20, noun 10, adjective 3 that heads the 7).
    column = {
        "type": [1, 5, 1, 1, 3],
        "lexfile": [4, 0, 4, 9, 0],
        "lex_id": [0, 1, 2, 3, 0],
        "head": [-1, 1, -1, -1, -1],
        "head_id": [0, 2, 0, 0, 0],
        "count": [70_000, 0, 1, 0, 2],
        "synset": [0, 1, 0, 2, 3],
    }
    kinds = {"head": np.int32, "count": np.int32, "synset": np.int32}
    arrays = {name: np.array(c, dtype=kinds.get(name, np.int8)) for name, c in column.items()}
    arrays["offset"] = np.array([20, 7, 10, 3], dtype=np.int32)
    arrays["n_senses"] = np.array([2, 3], dtype=np.int16)
    arrays["lemmas"] = np.frombuffer(b"a\nb", dtype=np.uint8)
    arrays["exceptions"] = np.frombuffer(b"NOUN\tbs\tb", dtype=np.uint8)
    path = tmp_path / "small.npz"
    write_lexicon(path, arrays)
    read, digest = read_lexicon(path)
    assert set(read) == set(arrays) == set(COLUMNS)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        assert read[name].tolist() == array.tolist(), name
    np.savez_compressed(tmp_path / "plain.npz", **{name: arrays[name] for name in COLUMNS})
    plain = hashlib.sha256((tmp_path / "plain.npz").read_bytes()).hexdigest()
    assert digest == lexicon_digest(path) == plain


def test_the_shipped_lexicon_is_the_one_that_the_sense_model_names():
    with safe_open(SENSE_MODEL, framework="numpy") as file:
        named = json.loads(file.metadata()["manifest"])["wordnet"]["lexicon"]
    shipped = load_inventory("wordnet")
    assert shipped.digest == named
    # Read from the file, and true of what the file holds.
    assert digest_of(read_lexicon(shipped.path)[0]) == named


def test_it_is_opened_again_in_a_child(toy):
    copy = pickle.loads(pickle.dumps(toy))  # noqa: S301  our own bytes
    assert copy.candidates("bat") == toy.candidates("bat")
    assert copy.digest == toy.digest


def test_threads_share_it(lexicon_file, toy_wordnet):
    shared = WordNetInventory(lexicon_file, toy_wordnet)
    seen = []
    threads = [
        threading.Thread(target=lambda: seen.append(shared.candidates("bat"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [shared.candidates("bat")] * 8


def test_the_caches_are_bounded(toy, monkeypatch):
    monkeypatch.setattr(lexicon, "_CACHED_LEMMAS", 2)
    monkeypatch.setattr(lexicon, "_CACHED_WORDS", 3)
    small = WordNetInventory(toy.path, toy.wordnet_path)
    expected = {lemma: toy.candidates(lemma) for lemma in ("bat", "bank", "hit", "nothing")}
    for lemma in (*expected, "bat", *expected):
        assert small.candidates(lemma) == expected[lemma]
        assert small.words_of(lemma) == toy.words_of(lemma)
    assert small._cached_senses.cache_info().currsize == 2
    assert small._cached_words.cache_info().currsize == 3


@pytest.fixture
def elsewhere(toy_wordnet, tmp_path, monkeypatch) -> Path:
    """A WordNet that is found by looking around; a test may damage it."""
    shutil.copytree(toy_wordnet, tmp_path / "dict")
    monkeypatch.setattr(lexicon, "find_wordnet", lambda: tmp_path / "dict")
    return tmp_path / "dict"


def test_another_version_found_by_looking_around(lexicon_file, elsewhere, caplog):
    assert WordNetInventory(lexicon_file).candidates("bat")[0].definition == "a flying animal"
    nouns = (elsewhere / "data.noun").read_text(encoding="utf-8")
    (elsewhere / "data.noun").write_text("  1 one line more\n" + nouns, encoding="utf-8")
    inventory = WordNetInventory(lexicon_file)
    assert [(s.id, s.definition) for s in inventory.candidates("bat")] == [
        ("bat%1:05:00::", ""),
        ("bat%1:06:00::", ""),
    ]
    (record,) = caplog.records
    assert record.message.startswith(f"senses go without definitions: {elsewhere} is not WordNet 3")
    with pytest.raises(ResourceError, match=r"is not WordNet 3\.0; install it with: apt-get"):
        WordNetInventory(lexicon_file, elsewhere).candidates("bat")


def test_half_a_wordnet_found_by_looking_around(lexicon_file, elsewhere, caplog):
    (elsewhere / "data.adv").unlink()
    assert WordNetInventory(lexicon_file).candidates("bat")[0].definition == ""
    assert "senses go without definitions" in caplog.text
    with pytest.raises(ResourceError, match=r"data\.adv cannot be read"):
        WordNetInventory(lexicon_file, elsewhere).candidates("bat")


@pytest.mark.parametrize(
    ("text", "lemma", "place"),
    [
        ("The bats flew", "bat", "bats"),
        ("batteries, a Bat", "bat", "Bat"),  # five letters more are another word
        ("they fly", "fly", "fly"),
        ("he tries", "try", None),
        ("he was taking off", "take off", "taking off"),
        ("a well-known man", "well-known", "well-known"),
        ("nothing of it", "bat", None),
        ("a combat", "bat", None),
    ],
)
def test_the_place_of_a_word_in_an_example(text, lemma, place):
    example = find_example(text, lemma)
    assert (example and example.text[example.start : example.end]) == place


@pytest.mark.parametrize("content", [b"", b"PK no zip", b"\x93NUMPY"])
def test_a_damaged_lexicon_names_the_command(tmp_path, content):
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(ResourceError, match=r"is no lexicon of WordNet .*--force-reinstall"):
        WordNetInventory(path)


def test_a_lexicon_never_unpickles(tmp_path):
    np.savez(tmp_path / "evil.npz", lemmas=np.array([print], dtype=object))
    with pytest.raises(ResourceError, match="is no lexicon of WordNet"):
        WordNetInventory(tmp_path / "evil.npz")


def test_with_names_the_lexicon_is_not_opened_again(lexicon_file, toy_wordnet, monkeypatch):
    inventory = WordNetInventory(lexicon_file, toy_wordnet)
    monkeypatch.setattr(lexicon, "read_lexicon", None)
    with_names = inventory.with_names
    assert (with_names.names, inventory.names) == (True, False)
    assert with_names is inventory.with_names
    text = tagged("Bat/PROPN/bat")
    assert [target.lemma for target in with_names.find(text)] == ["bat"]
    assert with_names.candidates("bat", "NOUN") is inventory.candidates("bat", "NOUN")


# -- by name ---------------------------------------------------------------------------------


def test_it_is_opened_by_name():
    inventory = load_inventory("wordnet", "en")
    assert isinstance(inventory, WordNetInventory)
    assert load_inventory("wordnet") is inventory
    assert load_inventory("homographs", "en").name == "homographs"


def test_it_is_english():
    with pytest.raises(ConfigError, match="'wordnet' is for language 'en', the pipeline's is 'de'"):
        load_inventory("wordnet", "de")


@pytest.mark.skipif(find_wordnet() is None, reason="no WordNet 3.0 on this machine")
def test_the_shipped_lexicon_is_wordnets(tmp_path):
    wordnet = WordNet()
    shipped = load_inventory("wordnet")
    assert isinstance(shipped, WordNetInventory)
    build_lexicon(wordnet, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == shipped.path.read_bytes()
    pairs = shipped.words[::40]
    assert len(pairs) > 3000
    for lemma, pos in pairs:
        theirs = wordnet.candidates(lemma, pos)
        ours = shipped.candidates(lemma, pos)
        assert [s.key for s in theirs] == [s.id for s in ours]
        assert [s.count for s in theirs] == [
            shipped.count(s) for s in shipped.candidates(lemma, pos)
        ]
        assert theirs[0].supersense == shipped.candidates(lemma, pos)[0].supersense
        assert wordnet.gloss(theirs[0])[0] == shipped.candidates(lemma, pos)[0].definition


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("mice", "mouse/NOUN"),
        ("women", "woman/NOUN"),
        ("flew", "fly/VERB"),
        ("stared", "stare/VERB"),
        ("scared", "scare/VERB scared/ADJ"),
        ("hopping", "hop/VERB"),
        ("hoping", "hope/VERB"),
        ("taxes", "tax/NOUN taxis/NOUN tax/VERB"),
        ("axes", "ax/NOUN axe/NOUN axis/NOUN axe/VERB ax/VERB"),
        ("glasses", "glasses/NOUN glass/NOUN glass/VERB"),
        ("involved", "involve/VERB involved/ADJ"),
        ("cafés", "cafe/NOUN"),
        ("dec.", "dec/NOUN"),
        ("re-elected", "reelect/VERB"),
    ],
)
def test_every_word_that_a_form_can_be(form, words):
    shipped = load_inventory("wordnet")
    assert isinstance(shipped, WordNetInventory)
    assert [f"{lemma}/{pos}" for lemma, pos in shipped.words_of(form)] == words.split()


def test_a_lemmatizers_slip_is_no_word_of_the_form():
    shipped = load_inventory("wordnet")
    assert isinstance(shipped, WordNetInventory)
    for form, slip in [("stared", "star"), ("hated", "hat"), ("scared", "scar")]:
        assert slip not in [lemma for lemma, _ in shipped.words_of(form, slip)]
    assert ("be", "VERB") in shipped.words_of("'s", "be")
    assert ("hard", "ADV") in shipped.words_of("harder", "hard")


def test_synonyms_of_the_shipped_lexicon():
    shipped = load_inventory("wordnet")
    assert isinstance(shipped, WordNetInventory)
    animal = shipped.candidates("bat", "NOUN")[0]
    assert shipped.synonyms(animal) == ["chiropteran"]
    (chiropteran,) = (s for s in shipped.candidates("chiropteran") if s.pos == "NOUN")
    assert shipped.synset_of_row[chiropteran.row] == shipped.synset_of_row[animal.row]


@pytest.mark.parametrize("at", [0.2, 0.5, 0.8])
def test_a_damaged_lexicon_is_one_sentence(at, tmp_path):
    whole = load_inventory("wordnet").path.read_bytes()
    place = int(at * len(whole))
    (tmp_path / "w.npz").write_bytes(whole[:place] + b"damaged!" * 4 + whole[place + 32 :])
    with pytest.raises(ResourceError, match=r"w.npz is no lexicon of WordNet .*reinstall with: "):
        WordNetInventory(tmp_path / "w.npz")
