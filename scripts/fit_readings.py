"""Fit what a token can be: ``spacy_attn/data/readings.json.gz``.

    python scripts/fit_readings.py --semcor ../shared/data/semcor.jsonl.gz

Two conditional logit models for each kind of text, "tagged" and "parsed": which word of WordNet a
token is, if any, and whether a run of tokens is one word (see
``spacy_attn/wsd/inventory/readings.py``). They learn from SemCor's documents that ``spacy-attn
train-senses`` does not hold out, as plain text through en_core_web_sm, some of it as headings,
capitals and lower case; from the running texts of ``corpus/texts``; and from the written corpus
(``corpus/``, its ``forms`` and ``multiwords`` too), of which only the tagged word counts. What is
printed is of the held-out documents of SemCor and of the held-out texts.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from spacy_attn import load_pipeline
from spacy_attn.compare.manifest import manifest
from spacy_attn.components.adapter import context_of
from spacy_attn.models import resolve_pipeline
from spacy_attn.train.corpora import (
    corpus_files,
    held_out_texts,
    read_records,
    read_semcor,
    split_corpora,
    text_records,
    written_records,
)
from spacy_attn.wsd.context import Context
from spacy_attn.wsd.inventory.multiwords import Run, multiword_features, runs_from
from spacy_attn.wsd.inventory.readings import (
    NONE,
    PART_OF_CODE,
    Around,
    Facts,
    TaggedText,
    neighbour_features,
    reading_features,
)
from spacy_attn.wsd.inventory.wordnet import WordNetInventory, wordnet_inventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet, word_of
from spacy_attn.wsd.sense import POS_TAGS

ROOT = Path(__file__).parents[1]
OUT = ROOT / "spacy_attn" / "data" / "readings.json.gz"
_NAMES = {"person", "group", "location", "other"}  # what SemCor calls names
_BEFORE = frozenset([*".,;:!?)%'", "n't", "'s", "'re", "'ve", "'ll", "'d", "'m"])
_QUOTES = {"``": '"', "''": '"'}
_ONE_WORD = ("written", "runs")  # texts of which one word is tagged
_ALL_WORDS = ("semcor", "texts")  # those of which all are, as they were written
_OWN = ("semcor", "runs")  # kinds of text with a weight of their own for "one word"
_WEIGHTS = {"texts": 3.0}  # in the loss; SemCor is of 1961 and has few kinds of text
_UNLABELLED = ("NUM", "PRON", "DET")  # in running texts; SemCor says which have a sense
_NO_WORD = ("", "")  # lemma and part of speech of what has no sense
_SMALL = frozenset("of the and in on for to a an with by or at from".split())


class Unit(NamedTuple):
    """Characters of a text that a corpus takes for one word, and the word."""

    start: int
    end: int
    lemma: str  # "" for one without a sense
    pos: str
    is_name: bool = False


@dataclass(frozen=True)
class Text:
    """A text of a corpus."""

    text: str
    units: list[Unit]
    kind: (
        str  # "semcor", "texts", "written", "runs" (multiwords and parts), or how it was rewritten
    )
    is_held_out: bool = False


# -- corpora ---------------------------------------------------------------------------------


def semcor(path: Path) -> Iterator[Text]:
    """SemCor's sentences in which all words are tagged."""
    wordnet = WordNet()
    split = split_corpora(list(read_semcor(path, wordnet)), [], [])
    held_out = {sentence.doc for sentence in split.held_out["semcor"]}
    for record in read_records(path):
        if record["part"] == "brownv":  # only its verbs are tagged
            continue
        text, spans = joined([token.replace("_", " ") for token in record["tokens"]])
        senses = dict(record["senses"])
        units = []
        for i, (start, end) in enumerate(spans):
            word = word_of(senses[i][0]) if i in senses else _NO_WORD
            is_name = word[0] in _NAMES and record["pos"][i] == "NNP"
            units.append(Unit(start, end, *word, is_name))
        yield Text(text, units, "semcor", record["doc"] in held_out)


def running(folder: Path) -> Iterator[Text]:
    """The running texts: all nouns, main verbs, adjectives and adverbs are tagged."""
    held_out = held_out_texts(folder)
    for name, record in text_records(folder):
        units = [
            Unit(start, end, *(word_of(keys[0]) if keys else _NO_WORD))
            for start, end, keys in record["senses"]
        ]
        yield Text(record["text"], units, "texts", name in held_out)


def joined(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Tokens as people write them, and where each stands."""
    text, spans, glue = "", [], True
    for token in tokens:
        written = _QUOTES.get(token, token)
        closes = token in _BEFORE or token == "''"  # noqa: S105 - a quotation mark
        if text and not glue and not closes:
            text += " "
        spans.append((len(text), len(text) + len(written)))
        text += written
        glue = token in ("``", "(", "$")
    return text, spans


def rewritten(texts: Sequence[Text], seed: int) -> Iterator[Text]:
    """Some texts in lower case, some as headings or in capitals, some without their full stop."""
    draw = random.Random(seed)  # noqa: S311 - a draw, not a secret
    for text in texts:
        if text.is_held_out:
            continue
        x = draw.random()
        if x < 0.1:
            yield replace(text, text=text.text.lower(), kind="lower")
        elif x < 0.28:
            yield shortened(replace(text, text=heading(text.text), kind="heading"), draw)
        elif x < 0.42:
            yield shortened(replace(text, text=text.text.upper(), kind="capitals"), draw)
        elif x < 0.47:
            yield replace(text, text=text.text.rstrip(" ."), kind="fragment")


def heading(text: str) -> str:
    """Capitals at the start of all words but small ones."""
    words = text.split(" ")
    return " ".join(w if i and w in _SMALL else w[:1].upper() + w[1:] for i, w in enumerate(words))


def shortened(text: Text, draw: random.Random) -> Text:
    """The first words of a long text: headings are short."""
    words = text.text.split(" ")
    if len(words) <= 14:
        return text
    end = len(" ".join(words[: draw.randint(3, 9)]))
    return replace(text, text=text.text[:end], units=[u for u in text.units if u.end <= end])


def written(folder: Path) -> Iterator[Text]:
    """The written corpus: one word of each sentence is known."""
    for name, key, text, start, end in written_records(folder):
        kind = "runs" if name.startswith("multiwords/") else "written"
        yield Text(text, [Unit(start, end, *word_of(key))], kind)


# -- examples --------------------------------------------------------------------------------


class Choice(NamedTuple):
    """Options of which one is right; option 0 is that none of the words is meant."""

    options: list[list[str]]  # features of each
    right: int
    is_covered: bool  # known to be one of the words
    is_held_out: bool
    kind: str  # of its text


def is_unsaid(kind: str, facts: Facts) -> bool:
    """Whether a token without a sense may have one: "three", "some" in running texts."""
    return kind in _ONE_WORD or (kind == "texts" and facts.pos in _UNLABELLED)


@dataclass
class Examples:
    """What a corpus says of the tokens and runs of its texts."""

    inventory: WordNetInventory

    def __post_init__(self) -> None:
        self.singles: list[tuple[Facts, Around, Sequence[tuple[str, str]], int, Text]]
        self.singles = []
        self.multis: list[tuple[TaggedText, Run, list[tuple[str, str]], int, Text]] = []
        self.seen: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, context: Context, text: Text) -> None:
        """Take in one text."""
        tagged = TaggedText(context)
        unit_of = [
            next((u for u in text.units if u.start <= a and b <= u.end), None)
            for a, b in context.offsets
        ]
        size = Counter(unit for unit in unit_of if unit is not None)
        for k, at in enumerate(tagged.solid):
            for run in runs_from(tagged, k, self.inventory):
                self._add_run(tagged, run, unit_of, size, text)
            unit = unit_of[at]
            if unit is None and is_unsaid(text.kind, tagged.facts[at]):
                continue
            if unit is not None and size[unit] > 1:
                continue
            words = self.inventory.words_of(tagged.facts[at].form, tagged.facts[at].lemma)
            if not words or tagged.facts[at].shape == PART_OF_CODE:
                continue
            right = 0
            if unit is not None and unit.lemma and not unit.is_name:
                if (unit.lemma, unit.pos) not in words:
                    continue
                right = 1 + words.index((unit.lemma, unit.pos))
            self.singles.append((tagged.facts[at], tagged.neighbours(at), words, right, text))

    def _add_run(
        self,
        tagged: TaggedText,
        run: Run,
        unit_of: Sequence[Unit | None],
        size: Counter[Unit],
        text: Text,
    ) -> None:
        units = [unit_of[i] for i in run.tokens]
        words = [
            (lemma, pos)
            for lemma in run.lemmas
            for pos in POS_TAGS
            if self.inventory.candidates(lemma, pos)
        ]
        first = units[0]
        meant = next((u for u in units if u is not None and u.lemma in run.lemmas), None)
        if not run.is_apart and first is not None and set(units) == {first}:
            if size[first] != len(run.tokens) or not first.lemma:
                return  # inside a longer word, or joined without a sense
            if meant is None and (first.lemma in _NAMES or " " in first.lemma):
                return
        if meant is None and text.kind == "written":
            return
        if text.kind == "runs" and not any(units):  # elsewhere in the sentence
            return
        if meant is not None and (meant.lemma, meant.pos) not in words:
            return
        right = 0 if meant is None else 1 + words.index((meant.lemma, meant.pos))
        if text.kind in _ALL_WORDS and not text.is_held_out:
            for lemma in run.lemmas:
                self.seen[lemma][1] += 1
            if meant is not None:
                self.seen[meant.lemma][0] += 1
        self.multis.append((tagged, run, words, right, text))

    def choices_of_tokens(self) -> Iterator[Choice]:
        """Of each token the features of its readings. A count leaves out the token itself."""
        for facts, around, words, right, text in self.singles:
            n_lemmas = Counter(pos for _, pos in words)
            none = [*reading_features(facts, "", NONE, 0, True), *neighbour_features(NONE, around)]
            options = [none]
            for i, (lemma, pos) in enumerate(words, 1):
                count = self._count(lemma, pos, text, i == right)
                features = reading_features(facts, lemma, pos, count, n_lemmas[pos] == 1)
                options.append([*features, *neighbour_features(pos, around)])
            yield Choice(options, right, text.kind in _ONE_WORD, text.is_held_out, text.kind)

    def choices_of_runs(self) -> Iterator[Choice]:
        """Of each run the features of its readings. Counts leave out the run itself."""
        for tagged, run, words, right, text in self.multis:
            options: list[list[str]] = [[]]
            for i, (lemma, pos) in enumerate(words, 1):
                one, n = self.seen[lemma]
                if text.kind in _ALL_WORDS and not text.is_held_out:
                    one, n = one - (right > 0 and words[right - 1][0] == lemma), n - 1
                count = self._count(lemma, pos, text, i == right)
                features = multiword_features(
                    tagged.context, tagged.facts, run, lemma, pos, count, (one, n)
                )
                # As many runs of one corpus are one word as not, and SemCor takes more for one word
                # than a reader of today does: that says nothing of other texts.
                own = [f"{text.kind}|{pos}"] if text.kind in _OWN else []
                options.append([*features, *own])
            yield Choice(options, right, text.kind == "written", text.is_held_out, text.kind)

    def _count(self, lemma: str, pos: str, text: Text, is_right: bool) -> int:
        count = self.inventory.count_of(lemma, pos)
        return max(0, count - (is_right and text.kind not in (*_ONE_WORD, "texts")))


# -- the model -------------------------------------------------------------------------------


def fit(
    choices: Iterable[Choice], least: int, penalty: float, epochs: int, seed: int = 0
) -> dict[str, float]:
    """The weights of a conditional logit model, by Adam over batches, with an L2 penalty.

    Args:
        choices: those of held-out texts are left out.
        least: how often a feature must occur.
        penalty: of the squared weights.
        epochs: passes over the choices.
        seed: of the order.
    """
    numbers: dict[str, int] = {}
    flat, ends = array("i"), array("i")
    n_options, right, covered, counts = [], [], [], []
    for choice in choices:
        if choice.is_held_out:
            continue
        for option in choice.options:
            flat.extend(numbers.setdefault(feature, len(numbers)) for feature in option)
            ends.append(len(flat))
        n_options.append(len(choice.options))
        right.append(choice.right)
        covered.append(choice.is_covered)
        counts.append(_WEIGHTS.get(choice.kind, 1.0))
    features, new = _frequent(np.frombuffer(flat, dtype=np.int32), list(numbers), least)
    rows = _padded(new[np.frombuffer(flat, dtype=np.int32)], np.frombuffer(ends, dtype=np.int32))
    first = np.concatenate([[0], np.cumsum(n_options)])
    hidden = torch.zeros(len(rows))  # "none" of a word that is known to be covered
    hidden[torch.from_numpy(first[:-1][np.array(covered)])] = -1e9
    weights = torch.zeros(len(features) + 1, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=0.05)
    order, draw = np.arange(len(n_options)), np.random.default_rng(seed)
    at_once = 20_000
    n_steps = epochs * -(-len(order) // at_once)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, n_steps)
    for _ in range(epochs):
        draw.shuffle(order)
        for begin in range(0, len(order), at_once):
            some = np.sort(order[begin : begin + at_once])
            places = np.concatenate([np.arange(first[i], first[i + 1]) for i in some])
            sizes = [n_options[i] for i in some]
            owner = torch.from_numpy(np.repeat(np.arange(len(some)), sizes))
            x = torch.from_numpy(rows[places]).long()
            scores = weights[x].masked_fill(x == 0, 0.0).sum(1) + hidden[places]
            total = torch.zeros(len(some)).index_add(0, owner, scores.clamp(-60, 40).exp()).log()
            begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
            gold = torch.from_numpy(begins + np.array([right[i] for i in some]))
            counted = torch.tensor([counts[i] for i in some])
            losses = counted * (total - scores[gold])
            loss = losses.sum() / counted.sum() + penalty * weights.square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    values = weights.detach().numpy()[1:]
    return {
        name: weight
        for name, value in zip(features, values, strict=True)
        if abs(weight := round(float(value), 2)) >= 0.04  # the package's data are to stay small
    }


def _frequent(
    flat: NDArray[np.int32], names: list[str], least: int
) -> tuple[list[str], NDArray[np.int32]]:
    """The features that occur often enough, and the new number of each from 1; 0 for others."""
    kept = np.flatnonzero(np.bincount(flat, minlength=len(names)) >= least)
    new = np.zeros(len(names), dtype=np.int32)
    new[kept] = 1 + np.arange(len(kept))
    return [names[i] for i in kept], new


def _padded(flat: NDArray[np.int32], ends: NDArray[np.int32]) -> NDArray[np.int32]:
    """The features of each option in a row, then zeros. *Shape:* (n_options, most features)"""
    sizes = np.diff(ends, prepend=0)
    rows = np.zeros((len(ends), int(sizes.max())), dtype=np.int32)
    owner = np.repeat(np.arange(len(ends)), sizes)
    rows[owner, np.arange(len(flat)) - np.repeat(ends - sizes, sizes)] = flat
    return rows


def report(
    name: str, choices: Iterable[Choice], weights: dict[str, float]
) -> dict[str, dict[str, float]]:
    """How good a model is on the held-out documents of each corpus."""
    held_out = [choice for choice in choices if choice.is_held_out]
    return {
        kind: _report(f"{name}, {kind}", [c for c in held_out if c.kind == kind], weights)
        for kind in _ALL_WORDS
    }


def _report(name: str, choices: Sequence[Choice], weights: dict[str, float]) -> dict[str, float]:
    n = right = covered = lost = spurious = 0
    for choice in choices:
        scores = [sum(weights.get(f, 0.0) for f in option) for option in choice.options]
        best = int(np.argmax(scores))
        n += 1
        if choice.right:
            covered += 1
            right += 1 + int(np.argmax(scores[1:])) == choice.right
            lost += best == 0
        else:
            spurious += best > 0
    found = {
        "n": n,
        "covered": covered,
        "right_reading": round(right / max(1, covered), 4),
        "lost": round(lost / max(1, covered), 4),
        "spurious": round(spurious / max(1, n - covered), 4),
    }
    print(name, found, flush=True)
    return found


def digest_of(folder: Path) -> str:
    """One hash of the corpus."""
    digest = hashlib.sha256()
    for file in [*corpus_files(folder, ".tsv"), *corpus_files(folder, ".jsonl")]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--semcor", type=Path, required=True)
    path = parser.parse_args().semcor
    torch.manual_seed(0)
    plain = list(semcor(path))
    folder = ROOT / "corpus"
    texts = [*plain, *rewritten(plain, seed=0), *running(folder), *written(folder)]
    nlp = load_pipeline(resolve_pipeline())  # whole, with parser and entity recogniser
    nlp.disable_pipe("sense_disambiguator")
    docs = nlp.pipe([text.text for text in texts], batch_size=512)
    contexts = [context_of(doc) for doc in docs]
    print(len(contexts), "texts are tagged and parsed", flush=True)
    inventory = wordnet_inventory()
    models, measured = {}, {}
    draw = random.Random(1)  # noqa: S311 - a draw, not a secret
    for kind in ("tagged", "parsed"):
        examples = Examples(inventory)
        for context, text in zip(contexts, texts, strict=True):
            if kind == "tagged":
                context = replace(context, deps=(), heads=(), entities=())
                if draw.random() < 0.15:  # a tagger of coarse tags alone
                    context = replace(context, fine_tags=())
            elif draw.random() < 0.3:  # a pipeline without an entity recogniser
                context = replace(context, entities=())
            examples.add(context, text)
        single = fit(examples.choices_of_tokens(), least=4, penalty=4e-6, epochs=6)
        measured[f"{kind} tokens"] = report(kind, examples.choices_of_tokens(), single)
        multi = fit(examples.choices_of_runs(), least=4, penalty=1e-5, epochs=15)
        measured[f"{kind} runs"] = report(kind, examples.choices_of_runs(), multi)
        models[kind] = {"single": single, "multi": multi}
    result = {
        "models": models,
        "seen": {lemma: seen for lemma, seen in sorted(examples.seen.items())},
        "held_out": measured,
        "manifest": {
            **manifest("python scripts/fit_readings.py --semcor FILE", [path], seed=0),
            "corpus_sha256": digest_of(folder),  # of each file would be a fortieth of what ships
        },
    }
    packed = json.dumps(result, separators=(",", ":")).encode()
    OUT.write_bytes(gzip.compress(packed, 9, mtime=0))


if __name__ == "__main__":
    main()
