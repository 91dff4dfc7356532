"""Stemmers, lemmatizers with a word list, and the encoder-decoder, on the same forms.

    python -m benchmarks.lemmas          # results/lemmas.json
    python -m benchmarks.lemmas speed    # results/lemmas-speed.json
    python -m benchmarks.lemmas --quick  # a twentieth of the forms, writes nothing
    python -m benchmarks.lemmas picture  # docs/figures/lemma-attention.svg

The forms are those of SemCor with part of speech and lemma, each (form, part of speech) once:

* ``seen``: 4,000 of the forms that the bundled model of ``attention_lemmatizer`` was trained on.
* ``unseen``: all forms of a tenth of the lemmas that are met less than 20 times, none of which it
  has seen in any form.
* ``irregular, seen``: those of the training that WordNet's morphology gives and the spelling rules
  of :func:`~spacy_attn.wsd.inventory.forms.english_forms` do not.
* ``irregular, listed``: those of WordNet's exception lists that it was trained on and SemCor
  lacks.
* ``irregular, unseen``: all irregular forms, SemCor's and of the lists, of the tenth of the lemmas
  that it has not seen.
* ``invented``: words made up for this project, before any model was trained
  (``invented_words.tsv``).

Every lemmatizer gets the part of speech. spaCy's also reads the morphology that the tagger of
en_core_web_sm finds at the first place in SemCor where the form is annotated (of invented words
that of their tag, and none of forms that stand in the lists alone). spaCy's lemmatizer and
WordNet's morphology have lists in which nearly all words of SemCor and most irregular forms stand,
"unseen" ones too.

Stems are no lemmas, so stemmers take part in *conflation* alone: of the pairs of different forms
that a system brings together, how many share a lemma (precision), and of the pairs that share a
lemma, how many it brings together (recall). Lemmas differ where words are derived (nation,
national), which stemmers bring together by design. Intervals draw lemmas.
"""

from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from benchmarks.common import (
    ROOT,
    SEED,
    SEMCOR,
    Result,
    accuracy,
    in_turns,
    is_quick,
    need,
    progress,
    publish,
    records,
    run_command,
    small_pipeline,
)
from benchmarks.spans import fractions, interval
from spacy_attn.classic.stem import Stemmer
from spacy_attn.compare.report.figures import Picture, as_svg
from spacy_attn.components.attention_lemmatizer import BUNDLED
from spacy_attn.encoder.lemmatizer import Form, LetterLemmatizer, read_lemmatizer
from spacy_attn.models import INSTALL_WORDNET
from spacy_attn.train.lemmatizer import FormLemma, form_of, held_out, read_exceptions, read_forms
from spacy_attn.wsd.inventory.forms import english_forms
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.inventory.wordnet_files import find_wordnet

INVENTED = ROOT / "benchmarks" / "invented_words.tsv"
PICTURE = ROOT / "docs" / "figures" / "lemma-attention.svg"
DRAWN = (("stared", "VERB"), ("taxes", "NOUN"), ("hoping", "VERB"))
STEMMERS = ("porter", "snowball", "lancaster")
KINDS = (
    "seen",
    "unseen",
    "irregular, seen",
    "irregular, listed",
    "irregular, unseen",
    "invented",
)
TURNS = 5
N_SEEN = 4000
N_TIMED = 6000

#: Gives each row a lemma or stem.
Find = Callable[[Sequence[FormLemma]], list[str]]


def read_invented() -> dict[FormLemma, str]:
    """The invented words and their tags."""
    lines = INVENTED.read_text(encoding="utf-8").splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return {FormLemma(form, pos, lemma, 1): tag for form, tag, pos, lemma in rows}


def is_irregular(row: FormLemma, wordnet: WordNetInventory) -> bool:
    """Whether WordNet has the form and spelling rules do not give it."""
    by_rules = row.form in english_forms(row.lemma, row.pos)
    return not by_rules and wordnet.lemma_of(row.form, row.pos) == row.lemma


def sets_of(
    rows: Sequence[FormLemma], exceptions: Sequence[FormLemma], wordnet: WordNetInventory
) -> dict[str, list[FormLemma]]:
    """The forms of each set."""
    out: dict[str, list[FormLemma]] = defaultdict(list)
    unseen, known = held_out([*rows, *exceptions]), {(row.form, row.pos) for row in rows}
    for row in rows:
        kind = "unseen" if row.lemma in unseen else "seen"
        out[kind].append(row)
        if is_irregular(row, wordnet):
            out[f"irregular, {kind}"].append(row)
    for row in exceptions:
        if (row.form, row.pos) not in known:
            kind = "unseen" if row.lemma in unseen else "listed"
            out[f"irregular, {kind}"].append(row)
    seen = out["seen"]
    drawn = random.Random(SEED).sample(seen, min(N_SEEN, len(seen)))  # noqa: S311 - a sample
    sets = {**out, "seen": drawn, "invented": list(read_invented())}
    return {kind: sets[kind] for kind in KINDS if kind in sets}


# -- systems -------------------------------------------------------------------------------------


def stems_by(algorithm: str) -> Find:
    stemmer = Stemmer(algorithm)
    return lambda rows: [stemmer.stem(row.form) for row in rows]


def by_wordnet(wordnet: WordNetInventory) -> Find:
    return lambda rows: [wordnet.lemma_of(row.form, row.pos) or row.form for row in rows]


def by_attention(lemmatizer: LetterLemmatizer, pos: str | None = None) -> Find:
    return lambda rows: lemmatizer.lemmas([(row.form, pos or row.pos) for row in rows])


def by_spacy(nlp: Any, rows: Sequence[FormLemma]) -> Find:
    """The lemmatizer of spaCy; it reads each form in the first sentence that has it."""
    wanted = {(row.form, row.pos) for row in rows}
    found = in_sentences(nlp, wanted)
    alone = sorted(wanted - {*found})
    listed = Doc(nlp.vocab, words=[form for form, _ in alone], pos=[pos for _, pos in alone])
    for token, form in zip(nlp.get_pipe("lemmatizer")(listed), alone, strict=True):
        found[form] = token.lemma_.lower()
    invented = read_invented()
    doc = Doc(nlp.vocab, words=[row.form for row in invented], tags=list(invented.values()))
    for name in ("attribute_ruler", "lemmatizer"):
        doc = nlp.get_pipe(name)(doc)
    for token, row in zip(doc, invented, strict=True):
        found[row.form, row.pos] = token.lemma_.lower()
    return lambda rows: [found[row.form, row.pos] for row in rows]


def in_sentences(nlp: Any, wanted: set[Form]) -> dict[Form, str]:
    """Lemmas of forms where the annotators first have them, with their part of speech."""
    places: dict[Form, tuple[int, int]] = {}
    texts: list[list[str]] = []
    for record in records(SEMCOR):
        forms = [(i, form_of(record["tokens"][i], keys)) for i, keys in record["senses"]]
        new = [(i, form) for i, form in forms if form in wanted and form not in places]
        for i, form in new:
            places.setdefault(form, (len(texts), i))
        if new:
            texts.append(record["tokens"])
    with nlp.select_pipes(disable="lemmatizer"):  # it comes when the parts of speech are given
        docs = nlp.pipe((Doc(nlp.vocab, words=tokens) for tokens in texts), batch_size=256)
        tagged = list(progress(docs, "spaCy reads SemCor"))
    for (_, pos), (text, place) in places.items():
        tagged[text][place].pos_ = pos
    for doc in tagged:
        nlp.get_pipe("lemmatizer")(doc)
    return {form: tagged[text][place].lemma_.lower() for form, (text, place) in places.items()}


# -- measures ------------------------------------------------------------------------------------


def right_of(rows: Sequence[FormLemma], found: Sequence[str]) -> Any:
    """What was right. *Shape:* (len(rows),)"""
    return np.array([lemma == row.lemma for row, lemma in zip(rows, found, strict=True)])


def conflation(rows: Sequence[FormLemma], found: Sequence[str]) -> NDArray[np.float64]:
    """Pairs of different forms for each lemma: brought together rightly, at all, sharing the lemma.

    A pair of two lemmas that is brought together counts half for each.

    *Shape:* (n_lemmas, 3)
    """
    lemmas = {lemma: i for i, lemma in enumerate(dict.fromkeys(row.lemma for row in rows))}
    counts = np.zeros((len(lemmas), 3))
    groups: dict[str, list[FormLemma]] = defaultdict(list)
    for row, stem in zip(rows, found, strict=True):
        groups[stem].append(row)
    for group in groups.values():
        of_lemma = Counter(row.lemma for row in group)
        together = _pairs_by_lemma(group)
        for lemma in of_lemma:
            inside, across = together[lemma]
            counts[lemmas[lemma], 0] += inside
            counts[lemmas[lemma], 1] += inside + across / 2
    for row_group in _by(rows, lambda row: row.lemma).values():
        inside, _ = _pairs_by_lemma(row_group)[row_group[0].lemma]
        counts[lemmas[row_group[0].lemma], 2] = inside
    return counts


def _pairs_by_lemma(group: Sequence[FormLemma]) -> dict[str, tuple[int, int]]:
    """For each lemma of a group: pairs of different forms within it, and with other lemmas."""
    forms = Counter(row.form for row in group)
    of_both = Counter((row.form, row.lemma) for row in group)
    of_lemma = Counter(row.lemma for row in group)
    inside, across = Counter[str](), Counter[str]()
    for (form, lemma), n in of_both.items():
        inside[lemma] += n * (of_lemma[lemma] - n)
        across[lemma] += n * ((len(group) - forms[form]) - (of_lemma[lemma] - n))
    return {lemma: (inside[lemma] // 2, across[lemma]) for lemma in of_lemma}


def _by(rows: Iterable[FormLemma], key: Callable[[FormLemma], str]) -> dict[str, list[FormLemma]]:
    out: dict[str, list[FormLemma]] = defaultdict(list)
    for row in rows:
        out[key(row)].append(row)
    return out


def measure(name: str, find: Find, sets: dict[str, list[FormLemma]]) -> Result:
    """The row of a system."""
    out: Result = {"name": name, "accuracy": {}, "conflation": {}}
    for kind, rows in sets.items():
        found = find(rows)
        if name not in STEMMERS:
            out["accuracy"][kind] = accuracy(right_of(rows, found))
        if kind in ("seen", "unseen", "invented"):
            counts = conflation(rows, found)
            total = fractions(counts.sum(axis=0).round())
            out["conflation"][kind] = {**total, "ci95": interval(counts)}
    return out


def systems_of(nlp: Any, rows: Sequence[FormLemma], wordnet: WordNetInventory) -> dict[str, Find]:
    lemmatizer = read_lemmatizer(BUNDLED)
    return {
        "form": lambda rows: [row.form for row in rows],
        **{name: stems_by(name) for name in STEMMERS},
        "wordnet": by_wordnet(wordnet),
        "spacy": by_spacy(nlp, rows),
        "attention": by_attention(lemmatizer),
        "attention without pos": by_attention(lemmatizer, "X"),
    }


def speed() -> Result:
    """Forms a second, each met for the first time; one thread, in turns, the fastest one counts."""
    import torch

    torch.set_num_threads(1)
    rows = random.Random(SEED).sample(read_forms(SEMCOR), N_TIMED)  # noqa: S311 - a sample
    nlp, wordnet = small_pipeline(), WordNetInventory()
    network = read_lemmatizer(BUNDLED).network
    words, pos = [row.form for row in rows], [row.pos for row in rows]
    lemmatizer: Any = nlp.get_pipe("lemmatizer")

    def spacys() -> None:
        lemmatizer.cache.clear()
        lemmatizer(Doc(nlp.vocab, words=words, pos=pos))

    work: dict[str, Callable[[], Any]] = {
        **{name: partial(lambda name: stems_by(name)(rows), name) for name in STEMMERS},
        "wordnet": lambda: by_wordnet(wordnet)(rows),
        "spacy": spacys,
        "attention": lambda: by_attention(LetterLemmatizer(network))(rows),
    }
    times = in_turns(work, TURNS)
    return {name: round(len(rows) / min(spent)) for name, spent in times.items()}


def draw(words: Sequence[Form]) -> str:
    """What the decoder looks at while it writes the lemma of each word, as SVG."""
    from matplotlib.figure import Figure

    found = [read_lemmatizer(BUNDLED).explain(*word) for word in words]
    figure = Figure(figsize=(2.4 * len(words), 2.8), layout="constrained")
    for axes, each in zip(figure.subplots(1, len(words), squeeze=False)[0], found, strict=True):
        axes.imshow(each.weights, cmap="Blues", vmin=0, vmax=1)
        axes.set_anchor("N")  # titles on one line
        first, *letters = each.read
        axes.set_xticks(range(len(each.read)), [first[0], *letters], fontsize=14)
        axes.set_yticks(range(len(each.written)), each.written, fontsize=14)
        axes.tick_params(length=0)
        axes.xaxis.tick_top()
        axes.set_title(f"{''.join(letters)} → {each.lemma}", fontsize=15, pad=10)
    said = "; ".join(f"{''.join(each.read[1:])} becomes {each.lemma}" for each in found)
    return as_svg(Picture("lemma-attention", "Attention between letters", said, figure))


def main() -> None:
    if sys.argv[1:] == ["picture"]:
        PICTURE.write_text(draw(DRAWN), encoding="utf-8")
        return
    need(SEMCOR, "SemCor")
    if sys.argv[1:] == ["speed"]:
        result = {"forms_per_second": speed(), "n": N_TIMED, "turns": TURNS}
        publish("lemmas-speed", result, ".lemmas speed", [BUNDLED, SEMCOR])
        return
    folder = find_wordnet()
    if folder is None:
        raise SystemExit(f"WordNet was not found; install it with: {INSTALL_WORDNET}")
    rows, exceptions, wordnet = read_forms(SEMCOR), read_exceptions(folder), WordNetInventory()
    nlp = small_pipeline("parser", "ner")
    sets = sets_of(rows, exceptions, wordnet)
    if is_quick():
        sets = {kind: each[::20] for kind, each in sets.items()}
    wanted = [row for kind, each in sets.items() if kind != "invented" for row in each]
    finders = systems_of(nlp, wanted, wordnet)
    systems = [measure(name, find, sets) for name, find in finders.items()]
    result = {
        "n": {kind: len(each) for kind, each in sets.items()},
        "n_changed": {
            kind: sum(row.form != row.lemma for row in each) for kind, each in sets.items()
        },
        "model_mb": round(BUNDLED.stat().st_size / 1e6, 2),
        "rows": systems,
    }
    model = f"{nlp.meta['name']} {nlp.meta['version']}"
    publish("lemmas", result, ".lemmas", [BUNDLED, SEMCOR, INVENTED], pipeline=model)


if __name__ == "__main__":
    run_command(main, __doc__, ("speed", "picture"))
