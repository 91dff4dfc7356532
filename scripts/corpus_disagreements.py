"""Written sentences that the bundled sense model reads in another sense than their label.

    python scripts/corpus_disagreements.py find -o differ.tsv            # three minutes of a core
    python scripts/corpus_disagreements.py pairs differ.tsv -o again/a   # to judge blind

The method ``attention`` decides over WordNet, with lemma and part of speech given. A row of
``differ.tsv`` is the sentence's file and line, its label, the model's sense, its probability by the
sentence alone (without the prior from counts), and with the prior. ``pairs`` writes each sentence
with both definitions in random order (``.txt``) and which of the two is the label (``.key.tsv``).
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import spacy
from spacy.language import Language

from spacy_attn.components.adapter import resources_of
from spacy_attn.wsd.context import Context, Target, tokens_within
from spacy_attn.wsd.decide import log_softmax
from spacy_attn.wsd.inventory.wordnet import WordNetInventory, wordnet_inventory
from spacy_attn.wsd.inventory.wordnet_files import POS_OF_TYPE, WordNet
from spacy_attn.wsd.methods.attention_wordnet import SenseVectors
from spacy_attn.wsd.methods.registry import SENSE_MODEL, sense_method
from spacy_attn.wsd.vectors import Texts

CORPUS = Path(__file__).parents[1] / "corpus"
_AT_ONCE = 2000


def written(folder: Path) -> Iterator[tuple[str, str, str]]:
    """File and line, sense key, and sentence with its brackets."""
    for file in sorted(folder.glob("*.tsv")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            key, _, sentence = line.partition("\t")
            yield f"{file.stem}-{number}", key, sentence


def target_of(
    index: int, key: str, sentence: str, inventory: WordNetInventory, nlp: Language
) -> tuple[Context, Target]:
    """The sentence without brackets, and its word with all senses that it can have."""
    before, _, rest = sentence.partition("[[")
    word, _, after = rest.partition("]]")
    doc = nlp.make_doc(before + word + after)
    blank = [""] * len(doc)
    offsets = [(token.idx, token.idx + len(token)) for token in doc]
    context = Context(doc.text, [token.text for token in doc], offsets, blank, blank)
    start, end = tokens_within(context, len(before), len(before) + len(word))
    lemma, _, rest = key.partition("%")
    candidates = inventory.candidates(lemma, POS_OF_TYPE[rest[0]])
    return context, Target(index, start, end, lemma.replace("_", " "), candidates)


def find(args: argparse.Namespace) -> None:
    """Write the rows on which model and label differ, the surest first."""
    nlp, inventory = spacy.blank("en"), wordnet_inventory()
    method = sense_method("attention").prepare(inventory, resources_of(nlp))
    weight = SenseVectors.load(SENSE_MODEL).prior
    rows = list(written(args.corpus))
    found = []
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        pairs = [target_of(i, k, s, inventory, nlp) for i, (_, k, s) in enumerate(some)]
        targets = [target for _, target in pairs]
        scores = method.score(Texts([context for context, _ in pairs]), targets)
        for (name, key, _), target, score in zip(some, targets, scores, strict=True):
            counts = [inventory.count(sense) for sense in target.candidates]
            prior = np.asarray(weight * np.log1p(counts), dtype=np.float32)
            alone = np.exp(log_softmax(score - prior, method.temperature))
            best = int(alone.argmax())
            if target.candidates[best].id != key:
                p = np.exp(log_softmax(score, method.temperature))[best]
                found.append((name, key, target.candidates[best].id, alone[best], p))
        print(f"{first + len(some)} read, {len(found)} differ", flush=True)
    found.sort(key=lambda row: -row[3])
    lines = (f"{name}\t{a}\t{b}\t{p:.4f}\t{with_prior:.4f}" for name, a, b, p, with_prior in found)
    args.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def pairs(args: argparse.Namespace) -> None:
    """Write the questions of rows above a probability, and their key."""
    wordnet = WordNet()
    sentences = {name: sentence for name, _, sentence in written(args.corpus)}
    rows = [line.split("\t") for line in args.rows.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if float(row[3]) >= args.above]
    rng = random.Random(args.seed)  # noqa: S311 - an order, not a secret
    rng.shuffle(rows)
    questions, keys = [], []
    for i, (name, label, other, p, _) in enumerate(rows):
        both = [label, other]
        rng.shuffle(both)
        questions.append(f"#{i} {sentences[name]}")
        for letter, key in zip("ab", both, strict=True):
            sense = wordnet.senses[key]
            same = [w for w in wordnet.synonyms(sense) if w.lower() != sense.lemma][:3]
            more = f" = {', '.join(same).replace('_', ' ')}" if same else ""
            questions.append(f"  {letter} {wordnet.gloss(sense)[0]}{more}")
        keys.append(f"{i}\t{'ab'[both.index(label)]}\t{name}\t{label}\t{other}\t{p}")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.with_suffix(".txt").write_text("\n".join(questions) + "\n", encoding="utf-8")
    args.output.with_suffix(".key.tsv").write_text("\n".join(keys) + "\n", encoding="utf-8")
    print(f"{len(rows)} questions")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("find", help="list the sentences on which model and label differ")
    one.add_argument("-o", "--output", type=Path, required=True)
    one.set_defaults(run=find)
    two = commands.add_parser("pairs", help="write them with both definitions, to judge blind")
    two.add_argument("rows", type=Path, help="what find has written")
    two.add_argument("--above", type=float, default=0.8, help="least probability of the model")
    two.add_argument("--seed", type=int, default=0)
    two.add_argument("-o", "--output", type=Path, required=True, help="name without a suffix")
    two.set_defaults(run=pairs)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
