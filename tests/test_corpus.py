"""The written corpus: every line can be trained on, and nothing in it is anybody else's."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.inventory.wordnet_files import POS_OF_TYPE, WordNet, find_wordnet
from tests.scripts import script

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("SPACY_ATTN_DATA", ROOT.parent / "shared" / "data"))
FILES = sorted((ROOT / "corpus").glob("*.tsv"))
RUNS = sorted((ROOT / "corpus" / "multiwords").glob("*.tsv"))
FORMS = sorted((ROOT / "corpus" / "forms").glob("*.tsv"))  # see corpus/README.md
TEXTS = sorted((ROOT / "corpus" / "texts").glob("*.jsonl"))


@pytest.fixture(scope="module")
def drafts() -> ModuleType:
    """The script that checks drafts: the same rules hold for what it has built."""
    return script("corpus_drafts")


def rows(files: Sequence[Path] = (*FILES, *FORMS, *RUNS)) -> Iterator[tuple[str, int, str, str]]:
    """File, line number, sense key and sentence."""
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            key, _, sentence = line.partition("\t")
            yield file.name, number, key, sentence


def running() -> Iterator[tuple[str, str, list[tuple[int, int, list[str]]]]]:
    """Where a running text stands, the text and its senses."""
    for file in TEXTS:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            record = json.loads(line)
            yield f"{file.name}, line {number}", record["text"], record["senses"]


def texts() -> Iterator[tuple[str, str]]:
    """Where each sentence and each running text stands, and its words."""
    for file, number, _, sentence in rows():
        yield f"{file}, line {number}", unmarked(sentence)
    for where, text, _ in running():
        yield where, text


def unmarked(sentence: str) -> str:
    return sentence.replace("[[", "").replace("]]", "")


@cache
def keys_of(lemma: str, pos: str) -> frozenset[str]:
    senses = wordnet_inventory().candidates(lemma.replace("_", " "), pos)
    return frozenset(sense.id for sense in senses)


def is_key(key: str) -> bool:
    lemma, _, rest = key.partition("%")
    return key in keys_of(lemma, POS_OF_TYPE[rest[0]])


def test_every_key_is_one_of_wordnet() -> None:
    for file, number, key, _ in rows():
        assert is_key(key), f"{file}, line {number}: {key}"


def test_every_sense_of_a_running_text_is_one_of_wordnet_and_stands_on_a_word() -> None:
    for where, text, senses in running():
        for (_, end, _), (start, *_) in pairwise(senses):
            assert end <= start, where
        for start, end, keys in senses:
            word = text[start:end]
            assert all(map(is_key, keys)), f"{where}: {keys}"
            assert word == word.strip() != "", f"{where}: {word}"
            assert "\n\n" not in word, f"{where}: {word}"


def test_no_running_text_stands_twice_and_the_card_counts_them() -> None:
    found = list(running())
    assert len({text for _, text, _ in found}) == len(found)
    n_labels = sum(len(senses) for *_, senses in found)
    said = f"{len(found):,} texts with {n_labels:,} labels"
    assert said in " ".join((ROOT / "corpus" / "README.md").read_text(encoding="utf-8").split())


def test_each_sentence_has_one_word_between_brackets_and_a_length() -> None:
    for file, number, _, sentence in rows():
        where = f"{file}, line {number}: {sentence}"
        assert len(re.findall(r"\[\[[^\[\]]+\]\]", sentence)) == 1, where
        assert sentence.count("[[") == sentence.count("]]") == 1, where
        assert sentence.isprintable(), where
        assert 4 <= len(unmarked(sentence).split()) <= 40, where


def test_each_form_can_be_the_word_that_is_meant_and_another_one() -> None:
    lexicon = wordnet_inventory()
    for file, number, key, sentence in rows(FORMS):
        form = sentence.partition("[[")[2].partition("]]")[0].lower()
        lemmas = {lemma for lemma, _ in lexicon.words_of(form)}
        assert key.partition("%")[0] in lemmas, f"{file}, line {number}: {key}"
        assert len(lemmas) > 1, f"{file}, line {number}: {form}"


def test_the_card_counts_the_forms_that_are_there() -> None:
    forms = [s.partition("[[")[2].partition("]]")[0].lower() for *_, s in rows(FORMS)]
    said = f"{len(forms):,} sentences with {len(set(forms)):,} forms"
    assert said in (ROOT / "corpus" / "README.md").read_text(encoding="utf-8")


def test_runs_that_are_one_word_and_runs_that_are_none_are_as_many_as_the_card_says() -> None:
    runs = Counter(key.partition("%")[0] for *_, key, _ in rows(RUNS))
    n_whole = sum(n for lemma, n in runs.items() if "_" in lemma)
    n_entries = sum("_" in lemma for lemma in runs)
    said = f"{sum(runs.values()):,} sentences with {n_entries:,} runs"
    assert said in (ROOT / "corpus" / "README.md").read_text(encoding="utf-8")
    assert 0.45 < n_whole / sum(runs.values()) < 0.55
    for file, number, key, sentence in rows(RUNS):
        marked = sentence.partition("[[")[2].partition("]]")[0]
        assert ("_" in key) == (" " in marked), f"{file}, line {number}: {sentence}"


def test_no_sentence_stands_twice() -> None:
    counts = Counter(unmarked(sentence).lower() for *_, sentence in rows())
    assert [sentence for sentence, n in counts.items() if n > 1] == []


def test_nothing_is_shared_with_the_test_sets_of_the_project(drafts: ModuleType) -> None:
    lines = (ROOT / "spacy_attn" / "data" / "homographs.test.jsonl").read_text("utf-8").splitlines()
    ours = [json.loads(line)["text"] for line in lines]
    ours += [p.read_text("utf-8") for p in (ROOT / "benchmarks" / "texts").glob("*.txt")]
    held = set()
    for text in ours:
        held |= drafts.ngrams(drafts.words_of(text), 8)
    for where, text in texts():
        shared = drafts.ngrams(drafts.words_of(text), 8) & held
        assert not shared, f"{where}: {shared}"


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the evaluation sets are not on this machine")
def test_nothing_is_shared_with_the_evaluation_sets(drafts: ModuleType) -> None:
    held = set()
    for text in drafts.evaluation(DATA):
        held |= drafts.ngrams(drafts.words_of(text), 8)
    for where, text in texts():
        shared = drafts.ngrams(drafts.words_of(text), 8) & held
        assert not shared, f"{where}: {shared}"


@pytest.mark.slow
@pytest.mark.skipif(find_wordnet() is None, reason="WordNet is not on this machine")
def test_no_example_of_wordnet_is_copied(drafts: ModuleType) -> None:
    wordnet = WordNet()
    examples: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for file, number, key, sentence in rows():
        sense = wordnet.senses[key]
        word = sense.lemma, sense.pos
        if word not in examples:
            examples[word] = set()
            for other in wordnet.candidates(*word):
                for text in wordnet.gloss(other)[1]:
                    examples[word] |= drafts.ngrams(drafts.words_of(text), 5)
        shared = drafts.ngrams(drafts.words_of(unmarked(sentence)), 5) & examples[word]
        assert not shared, f"{file}, line {number}: {shared}"


def test_the_card_counts_what_is_there() -> None:
    senses = {key for _, _, key, _ in rows(FILES)}
    words = {(key.partition("%")[0], key.partition("%")[2][0].replace("5", "3")) for key in senses}
    said = f"{sum(1 for _ in rows(FILES)):,} sentences for {len(senses):,} senses"
    card = (ROOT / "corpus" / "README.md").read_text(encoding="utf-8")
    assert f"{said} of {len(words):,} words" in card
    assert said in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
