"""Accuracy of the sense methods on all words of running text, beside published systems.

    python -m benchmarks.all_words

Three data sets through the same code as ``spacy-attn compare``: ALLamended (4,917 words, words and
lemmas given), the same as plain text through the default pipeline, and all genres of MASC. Nothing
is trained or tuned on them. The weight of a first-sense prior is chosen on SemCor's held-out
documents, those that ``spacy-attn train-senses`` held out too, and both rows are shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common import DATA, ROOT, manifest
from spacy_attn import load_pipeline
from spacy_attn.compare.dataset import (
    Dataset,
    LabelledSentence,
    LabelledWord,
    dataset_of,
    open_dataset,
    peers_of,
)
from spacy_attn.compare.experiment import compare
from spacy_attn.compare.systems import MethodSystem, PublishedPredictions
from spacy_attn.compare.task import (
    Answers,
    OnProgress,
    Prediction,
    System,
    Task,
    end_to_end_task,
    gold_task,
    tagged_by,
)
from spacy_attn.components.sense_disambiguator import resources_of
from spacy_attn.methods import METHODS, SENSE_MODEL
from spacy_attn.train.corpora import TaggedSentence, read_masc, read_semcor, split_corpora
from spacy_attn.wsd.decide import log_softmax
from spacy_attn.wsd.inventory.model import Sense
from spacy_attn.wsd.inventory.wordnet import WordNetInventory, shared_lexicon
from spacy_attn.wsd.inventory.wordnet_files import WordNet
from spacy_attn.wsd.methods.attention_wordnet import SenseVectors

RESULT = ROOT / "benchmarks" / "results" / "all-words.json"
ALLAMENDED = DATA / "wsd" / "ALLamended.data.xml.gz"
_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
#: Known from papers alone, and not on ALLamended: they stand apart in the table.
FROM_PAPERS = {"ConSeC (Barba et al. 2021), on ALL": 0.832, "SANDWiCH (2025), on ALL": 0.884}


@dataclass(frozen=True)
class WithPrior:
    """The attention method with the logarithm of WordNet's counts added, times a weight."""

    weight: float

    def __call__(self, task: Task, on_progress: OnProgress) -> Answers:
        """Predict every instance that has candidates."""
        answers = MethodSystem("attention")(task, on_progress)
        pairs = zip(answers.predictions, task.targets, strict=True)
        chosen = [
            _reweighed(p, t.candidates, task.inventory, self.weight) if p and t else p
            for p, t in pairs
        ]
        return replace(answers, predictions=chosen)


def _reweighed(
    prediction: Prediction, candidates: Iterable[Sense], inventory: Any, weight: float
) -> Prediction:
    counts = {sense.id: inventory.count(sense) for sense in candidates}
    names = [name for name, _ in prediction.ranked]
    p = np.array([score for _, score in prediction.ranked])
    prior = np.log([counts[name] + 1 for name in names])
    scores = np.exp(log_softmax(np.log(np.maximum(p, 1e-12)) + weight * prior))
    best = int(scores.argmax())
    return Prediction(names[best], float(scores[best]))


def labelled(sentences: Iterable[TaggedSentence], wordnet: WordNet) -> list[LabelledSentence]:
    """Sentences of a training corpus as those of a data set, numbered."""
    out = []
    for n, sentence in enumerate(sentences):
        tokens = list(sentence.tokens)
        spans = {start: (end, keys) for start, end, keys in sentence.targets}
        joined: list[str] = []
        words: list[LabelledWord] = []
        at = 0
        while at < len(tokens):
            end, keys = spans.get(at, (at + 1, []))
            if keys:
                sense = wordnet.senses[keys[0]]
                lemma = sense.lemma.replace("_", " ")
                name = f"{n}.{at}"
                words.append(LabelledWord(name, len(joined), lemma, sense.pos, tuple(keys)))
            joined.append(" ".join(tokens[at:end]))
            at = end
        blank = ("",) * len(joined)
        out.append(
            LabelledSentence(str(n), sentence.genre, tuple(joined), blank, blank, tuple(words))
        )
    return out


def ambiguous(dataset: Dataset, inventory: WordNetInventory) -> Dataset:
    """The instances that leave a choice, as ALLamended has none other."""
    kept = [i for i in dataset.instances if len(inventory.candidates(i.lemma, i.pos)) > 1]
    return replace(dataset, instances=tuple(kept))


def held_out(inventory: WordNetInventory, wordnet: WordNet) -> Dataset:
    """SemCor's held-out documents."""
    split = split_corpora(list(read_semcor(DATA / "semcor.jsonl.gz", wordnet)), [], [])
    sentences = labelled(split.held_out["semcor"], wordnet)
    return ambiguous(dataset_of("semcor, held out", sentences), inventory)


def masc(inventory: WordNetInventory, wordnet: WordNet) -> Dataset:
    """All genres of MASC; the stratum is the genre."""
    sentences = labelled(read_masc(DATA / "masc.jsonl.gz", wordnet), wordnet)
    return ambiguous(dataset_of("masc", sentences, lambda s: s.doc), inventory)


def choose_weight(task: Task) -> tuple[float, dict[str, float]]:
    """The best weight above nothing, and the accuracy of each on held-out text."""
    answers = MethodSystem("attention")(task, lambda done, total: None)
    tried = {}
    for weight in _WEIGHTS:
        right = n = 0
        for p, t, item in zip(
            answers.predictions, task.targets, task.dataset.instances, strict=True
        ):
            if p and t:
                chosen = _reweighed(p, t.candidates, task.inventory, weight)
                right += chosen.sense in item.gold
            n += 1
        tried[str(weight)] = round(right / n, 4)
    best = max(_WEIGHTS[1:], key=lambda weight: tried[str(weight)])
    return best, tried


def without_text(result: dict[str, Any]) -> dict[str, Any]:
    """A result less the rows of each instance and each word."""
    rows = [{k: v for k, v in row.items() if k != "by_word"} for row in result["systems"]]
    return {**{k: v for k, v in result.items() if k != "instances"}, "systems": rows}


def main() -> None:
    console = Console(stderr=True)
    nlp = load_pipeline()
    nlp.disable_pipe("sense_disambiguator")
    wordnet = WordNet()
    inventory = shared_lexicon()
    resources, tag = resources_of(nlp), tagged_by(nlp)
    trained = SenseVectors.load(SENSE_MODEL).seen

    def seen(sense: Sense) -> bool:
        return bool(trained[sense.row])

    weight, tried = choose_weight(gold_task(held_out(inventory, wordnet), inventory, resources))
    console.print(f"prior on held-out SemCor: {tried}")
    methods: dict[str, System] = {name: MethodSystem(name) for name in METHODS}
    prior = {f"attention, prior {weight}": WithPrior(weight)}
    dataset = open_dataset(ALLAMENDED, tag)
    peers = {name: PublishedPredictions(path) for name, path in peers_of(dataset).items()}
    few: dict[str, System] = {name: methods[name] for name in ("first_sense", "attention")}
    tasks: dict[str, tuple[Task, dict[str, System]]] = {
        "given": (gold_task(dataset, inventory, resources), {**methods, **prior, **peers}),
        "end_to_end": (end_to_end_task(dataset, inventory, resources, tag), few),
        "masc": (gold_task(masc(inventory, wordnet), inventory, resources), few),
    }
    results = {}
    for name, (task, systems) in tasks.items():
        console.print(f"{name}: {len(task.targets)} words")
        results[name] = without_text(compare(task, systems, seen=seen))
        console.print(_table(name, results[name]))
    files = [SENSE_MODEL, ROOT / "spacy_attn" / "data" / "wordnet.npz", ALLAMENDED]
    files += [DATA / "semcor.jsonl.gz", DATA / "masc.jsonl.gz"]
    results["prior_on_held_out_semcor"] = tried
    results["from_papers"] = FROM_PAPERS
    results["manifest"] = manifest("python -m benchmarks.all_words", files, seed=0)
    RESULT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _table(name: str, result: dict[str, Any]) -> Table:
    table = Table(title=f"{name}, n = {result['n']}")
    subsets = ("not_first", "unseen_lemma", "unseen_sense")
    for head in ("system", "accuracy", *result["n_by"]["pos"], *subsets, "supersense", "ECE"):
        table.add_column(head)
    for row in result["systems"]:
        values = [row["accuracy"], *(row["pos"].get(pos) for pos in result["n_by"]["pos"])]
        values += [row["subsets"].get(subset) for subset in subsets]
        values += [row["supersense_accuracy"], row["calibration_error"]]
        table.add_row(row["name"], *("" if v is None else f"{100 * v:.1f}" for v in values))
    return table


if __name__ == "__main__":
    main()
