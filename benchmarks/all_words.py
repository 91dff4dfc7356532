"""Accuracy of the sense methods on all words of running text, beside published systems.

    python -m benchmarks.all_words [TASK]

Three tasks through the same code as ``spacy-attn compare``: ALLamended, words and lemmas given
(``given``, 4,917 words), the same as plain text through the default pipeline (``end_to_end``), and
all genres of MASC (``masc``). Nothing is trained or tuned on them. With the name of a task that one
alone is measured, and the committed result keeps the others: what finds words in plain text has no
part in them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from benchmarks.common import (
    ACCURATE_METHOD,
    DATA,
    MASC,
    RESULTS,
    ROOT,
    SEED,
    Result,
    publish,
    run_command,
)
from spacy_attn import load_pipeline
from spacy_attn.compare.dataset import (
    Dataset,
    LabelledSentence,
    LabelledWord,
    dataset_of,
    open_dataset,
    peers_of,
)
from spacy_attn.compare.experiment import run_systems
from spacy_attn.compare.process import Ask, answer
from spacy_attn.compare.results import score
from spacy_attn.compare.systems import MethodSystem, PublishedPredictions
from spacy_attn.compare.task import (
    Answers,
    System,
    Task,
    end_to_end_task,
    gold_task,
    tagged_by,
)
from spacy_attn.components.adapter import resources_of
from spacy_attn.train.corpora import TaggedSentence, read_masc
from spacy_attn.wsd.inventory.wordnet import WordNetInventory, wordnet_inventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet
from spacy_attn.wsd.methods.attention_wordnet import SenseVectors
from spacy_attn.wsd.methods.registry import SENSE_MODEL, short_names

ALLAMENDED = DATA / "wsd" / "ALLamended.data.xml.gz"
ACCURATE = "attention, accurate"
SHIPPED = ROOT / "spacy_attn" / "data"
TASKS = ("given", "end_to_end", "masc")
#: Methods that are also asked of plain text and of MASC.
FEW = ("first_sense", "attention", ACCURATE)
#: Known from papers alone, and not on ALLamended: they stand apart in the table.
FROM_PAPERS = {"ConSeC (Barba et al. 2021), on ALL": 0.832, "SANDWiCH (2025), on ALL": 0.884}


# -- data sets ----------------------------------------------------------------------------------


def labelled(sentences: Iterable[TaggedSentence], wordnet: WordNet) -> list[LabelledSentence]:
    """Sentences of a training corpus as those of a data set, numbered."""
    out = []
    for n, sentence in enumerate(sentences):
        spans = {start: (end, keys) for start, end, keys in sentence.targets}
        joined: list[str] = []
        words: list[LabelledWord] = []
        at = 0
        while at < len(sentence.tokens):
            end, keys = spans.get(at, (at + 1, []))
            if keys:
                sense = wordnet.senses[keys[0]]
                lemma = sense.lemma.replace("_", " ")
                word = LabelledWord(f"{n}.{at}", len(joined), lemma, sense.pos, tuple(keys))
                words.append(word)
            joined.append(" ".join(sentence.tokens[at:end]))
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


def masc(inventory: WordNetInventory, wordnet: WordNet) -> Dataset:
    """All genres of MASC; the stratum is the genre."""
    sentences = labelled(read_masc(MASC, wordnet), wordnet)
    return ambiguous(dataset_of("masc", sentences, lambda s: s.doc), inventory)


# -- the experiment -----------------------------------------------------------------------------


def run(wanted: Sequence[str]) -> Result:
    """Every system on its tasks, in one process of its own."""
    nlp = load_pipeline()
    nlp.disable_pipe("sense_disambiguator")
    wordnet, inventory = WordNet(), wordnet_inventory()
    resources, tag = resources_of(nlp), tagged_by(nlp)
    dataset = open_dataset(ALLAMENDED, tag)
    makers: dict[str, Callable[[], Task]] = {
        "given": lambda: gold_task(dataset, inventory, resources),
        "end_to_end": lambda: end_to_end_task(dataset, inventory, resources, tag),
        "masc": lambda: gold_task(masc(inventory, wordnet), inventory, resources),
    }
    tasks = {name: makers[name]() for name in wanted}
    systems: dict[str, System] = {name: MethodSystem(name) for name in short_names()}
    systems[ACCURATE] = MethodSystem(ACCURATE_METHOD)
    systems |= {name: PublishedPredictions(path) for name, path in peers_of(dataset).items()}
    if "given" not in wanted:
        systems = {name: systems[name] for name in FEW}

    def plan(name: str, ask: Ask) -> dict[str, Answers]:
        mine = tasks if name in FEW else ["given"]
        return {task: ask(answer, tasks[task], task) for task in mine}

    def say(what: str, done: int, total: int) -> None:
        if done == total:
            print(what, flush=True)

    answers, failed = run_systems(systems, plan, on_progress=say)
    trained = SenseVectors.load(SENSE_MODEL).seen
    results: Result = {}
    for name, task in tasks.items():
        said = {system: each[name] for system, each in answers.items() if name in each}
        reasons = failed if name == "given" else {}
        found = score(task, systems, said, reasons, lambda sense: bool(trained[sense.row]))
        results[name] = without_text(found)
    return results


def without_text(result: Result) -> Result:
    """A result less the rows of each instance and each word."""
    rows = [{k: v for k, v in row.items() if k != "by_word"} for row in result["systems"]]
    return {**{k: v for k, v in result.items() if k != "instances"}, "systems": rows}


def main() -> None:
    wanted = sys.argv[1:2] or TASKS
    kept = json.loads((RESULTS / "all-words.json").read_text("utf-8")) if wanted != TASKS else {}
    result = {name: part for name, part in kept.items() if name in TASKS} | run(wanted)
    files = [
        SENSE_MODEL,
        *(SHIPPED / name for name in ("wordnet.npz", "readings.json.gz")),
        ALLAMENDED,
        MASC,
    ]
    command = " ".join([".all_words", *wanted]) if kept else ".all_words"
    publish("all-words", {**result, "from_papers": FROM_PAPERS}, command, files, seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__, TASKS)
