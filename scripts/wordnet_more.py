"""Write ``spacy_attn/data/wordnet_more.npz``: the first lemma of each synset, coarse senses.

    python scripts/wordnet_more.py

It reads the WordNet 3.0 of this machine and the bundled sense model; the same files give the same
bytes. Run it again when the sense model changes: coarse senses follow its vectors.

Coarse senses are clusters of the senses of one lemma and part of speech, by average linkage of
``cosine + 0.1 [same supersense] + 0.15 [related]`` down to 0.5. The cosine is that of the trained
sense vectors. Related are senses that share a hypernym, of which one is a hypernym of the other,
or whose synsets share another lemma (sisters, autohyponyms and twins; Peters et al. 1998,
"Automatic sense clustering in EuroWordNet"). The three numbers are the best of a small grid on the
senses of *homographs*, each of which names its keys of WordNet; the script prints precision and
recall of pairs of these keys. No evaluation set has a part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet
from spacy_attn.wsd.inventory.wordnet_more import FILE, write_more
from spacy_attn.wsd.methods.attention_wordnet import SenseVectors
from spacy_attn.wsd.methods.registry import SENSE_MODEL
from spacy_attn.wsd.sense import Sense

SAME_SUPERSENSE, RELATED, LEAST = 0.1, 0.15, 0.5


def first_lemmas(inventory: WordNetInventory, wordnet: WordNet) -> np.ndarray:
    """For each synset, which of its lemmas in alphabetical order WordNet names first."""
    members: dict[int, list[str]] = {}
    places: dict[int, tuple[str, int]] = {}
    synset_of_row = inventory.synset_of_row
    for lemma in dict.fromkeys(lemma for lemma, _ in inventory.words):
        for sense in inventory.candidates(lemma):
            synset = int(synset_of_row[sense.row])
            members.setdefault(synset, []).append(lemma)
            places[synset] = sense.pos, inventory.offset(sense)
    first = np.zeros(len(members), dtype=np.uint8)
    for synset, lemmas in members.items():
        name = wordnet.synsets.words(*places[synset])[0].lower().replace("_", " ")
        first[synset] = lemmas.index(name)
    return first


class Similarity:
    """How near the senses of a word are."""

    def __init__(self, inventory: WordNetInventory, vectors: SenseVectors) -> None:
        self.inventory = inventory
        rows = vectors.rows[inventory.synset_of_row]
        raw = vectors.vectors.astype(np.float32) * vectors.scales[:, None]
        self.vectors = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        self.rows = rows

    def matrix(self, senses: Sequence[Sense]) -> np.ndarray:
        """*Shape:* (n_senses, n_senses)"""
        rows = self.rows[[sense.row for sense in senses]]
        cosines = self.vectors[rows] @ self.vectors[rows].T
        cosines[rows < 0] = 0.0
        cosines[:, rows < 0] = 0.0
        synsets = self.inventory.synset_of_row
        above = [{int(synsets[h.row]) for h in self.inventory.hypernyms(s)} for s in senses]
        lemmas = [set(self.inventory.synonyms(s)) for s in senses]
        own = [int(synsets[s.row]) for s in senses]
        for i, j in combinations(range(len(senses)), 2):
            related = above[i] & above[j] or own[i] in above[j] or own[j] in above[i]
            more = RELATED * bool(related or lemmas[i] & lemmas[j])
            more += SAME_SUPERSENSE * (senses[i].supersense == senses[j].supersense)
            cosines[i, j] += more
            cosines[j, i] += more
        return cosines


def clusters(similarities: np.ndarray) -> list[int]:
    """Numbers of groups from 0, in the order of the senses. *Shape:* (n, n) -> (n,)"""
    distances = np.clip(2.0 - similarities, 0.0, None)
    np.fill_diagonal(distances, 0.0)
    labels = fcluster(
        linkage(squareform(distances, checks=False), "average"), 2.0 - LEAST, "distance"
    )
    numbers: dict[int, int] = {}
    return [numbers.setdefault(int(label), len(numbers)) for label in labels]


def coarse_senses(inventory: WordNetInventory, similarity: Similarity) -> np.ndarray:
    """The group of each sense. *Shape:* (n_senses,)"""
    groups = np.zeros(inventory.n_senses, dtype=np.uint8)
    n_senses = n_groups = 0
    for lemma, pos in inventory.words:
        senses = inventory.candidates(lemma, pos)
        if len(senses) > 1:
            found = clusters(similarity.matrix(senses))
            groups[[sense.row for sense in senses]] = found
            n_senses, n_groups = n_senses + len(senses), n_groups + max(found) + 1
    print(f"{n_senses:,} senses of words with several are {n_groups:,} groups")
    return groups


def agreement(inventory: WordNetInventory, groups: np.ndarray) -> tuple[float, float, int]:
    """Precision and recall of pairs in one group, by the keys of the senses of homographs."""
    counts = np.zeros((2, 2), dtype=int)
    homographs = load_inventory("homographs")
    for word in dict.fromkeys(lemma for lemma, _ in homographs.words):
        own: dict[str, set[str]] = {}
        for sense in homographs.candidates(word):
            for key in sense.wordnet:
                own.setdefault(key, set()).add(sense.id)
        known = [sense for sense in inventory.candidates(word) if sense.id in own]
        for a, b in combinations(known, 2):
            if a.pos == b.pos:
                is_one = bool(own[a.id] & own[b.id])
                counts[int(is_one), int(groups[a.row] == groups[b.row])] += 1
    return counts[1, 1] / counts[:, 1].sum(), counts[1, 1] / counts[1].sum(), int(counts.sum())


def main() -> None:
    """Write the file and say what it is worth."""
    wordnet = WordNet()
    inventory = WordNetInventory(wordnet=wordnet.path)
    first = first_lemmas(inventory, wordnet)
    coarse = coarse_senses(inventory, Similarity(inventory, SenseVectors.load(SENSE_MODEL)))
    precision, recall, n = agreement(inventory, coarse)
    print(f"{n} pairs of homographs: precision {precision:.3f}, recall {recall:.3f}")
    write_more(FILE, inventory.digest, {"first": first, "coarse": coarse})
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
