"""Which senses the written corpus needs: the most frequent ambiguous words, few examples so far.

    python scripts/corpus_words.py --data ../shared/data -o words.jsonl

Words are chosen by frequency in SemCor and MASC alone, never from an evaluation set. Of each
word every sense with fewer than ``--enough`` tagged sentences is wanted. Definitions are not
written out: a writer reads them from the WordNet of the machine.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from spacy_attn.train.corpora import read_records, read_wordnet_examples
from spacy_attn.wsd.inventory.wordnet_files import POS_OF_TYPE, WordNet

_GLOSSES = ("wngt_verb_adv", "silver_noun_adj_gloss", "pmb4_gold_en", "oewn_new_examples")


def main() -> None:
    """Write one line a word: lemma, part of speech, count, senses with tagged sentences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the corpora")
    parser.add_argument("--words", type=int, default=3500, help="how many words")
    parser.add_argument("--enough", type=int, default=8, help="tagged sentences that are enough")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    wordnet = WordNet()
    frequency, tagged = count(args.data, wordnet)
    words = [word for word, _ in frequency.most_common() if len(wordnet.candidates(*word)) > 1]
    n_wanted = n_none = n_senses = 0
    with args.output.open("w", encoding="utf-8") as file:
        for lemma, pos in words[: args.words]:
            senses = [(s.key, tagged[s.key]) for s in wordnet.candidates(lemma, pos)]
            wanted = [key for key, n in senses if n < args.enough]
            n_senses += len(senses)
            n_wanted += len(wanted)
            n_none += sum(n == 0 for _, n in senses)
            row = {"lemma": lemma, "pos": pos, "count": frequency[lemma, pos], "senses": senses}
            file.write(json.dumps(row) + "\n")
    print(f"{args.words} words, {n_senses} senses, {n_wanted} wanted, {n_none} without any")


def count(data: Path, wordnet: WordNet) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """How often each word is met in SemCor and MASC, and the tagged sentences of each sense."""
    frequency: Counter[tuple[str, str]] = Counter()
    tagged: Counter[str] = Counter()
    for name in ("semcor", "masc"):
        for record in read_records(data / f"{name}.jsonl.gz"):
            for sense in record["senses"]:
                keys = [key for key in sense[-1] if key in wordnet.senses]
                if keys:
                    frequency[
                        keys[0].partition("%")[0], POS_OF_TYPE[keys[0].partition("%")[2][0]]
                    ] += 1
                if len(keys) == 1:
                    tagged[keys[0]] += 1
    for name in _GLOSSES:
        for record in read_records(data / f"{name}.jsonl.gz"):
            for *_, keys, _how in record["senses"]:
                if len(keys) == 1 and keys[0] in wordnet.senses:
                    tagged[keys[0]] += 1
    for sentence in read_wordnet_examples(wordnet):
        tagged[sentence.targets[0][2][0]] += 1
    return frequency, tagged


if __name__ == "__main__":
    main()
