"""Give a finished sense model vectors for words with one sense that share a form with others.

    python scripts/add_rivals.py --semcor ../shared/data/semcor.jsonl.gz --tagged FILE ...

A model that was trained among the senses of given words alone has no vector for *glasses*, and from
plain text nothing to compare with *glass*. The vectors of these rivals are fitted here, against the
occurrences of all forms that can be one (SemCor, further tagged files, the written corpus): a
softmax over the senses of all words that the form can be, each divided by the root of the number
of senses of its word, as in use (``spacy_attn.wsd.decide.log_posterior``). They start from the
definition and are held near it. All other weights of the file stay as they are, so that what the
model says of given words does not change.

``spacy-attn train-senses`` trains rivals with all others: a model that it made needs none of this.
What is printed is of held-out documents and words. Run ``calibrate.py`` and
``calibrate_readings.py`` afterwards.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from calibrate import MODELS  # type: ignore[import-not-found]  # beside
from numpy.typing import NDArray

from spacy_attn._types import Floats1d, Floats2d
from spacy_attn.compare.manifest import sha256
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.settings import EncoderSettings
from spacy_attn.train.corpora import TaggedSentence
from spacy_attn.train.export import add_vectors
from spacy_attn.train.held_out import blank_resources
from spacy_attn.train.rows import RowTarget
from spacy_attn.train.sense_config import TrainConfig
from spacy_attn.train.sense_sources import SenseSources, joined
from spacy_attn.train.sense_table import SenseTable
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.inventory.forms import plain_form
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet
from spacy_attn.wsd.methods.attention import attention_v1
from spacy_attn.wsd.methods.attention_wordnet import AllWordsAttention, SenseVectors
from spacy_attn.wsd.methods.sense_head import SenseHead
from spacy_attn.wsd.vectors import Texts

ROOT = Path(__file__).parents[1]
_AT_ONCE = 2000  # sentences
_BATCH, _RATE = 512, 0.02
NEAR, EPOCHS = 0.0005, 8  # chosen on what is held out


class Occurrence(NamedTuple):
    """A word whose form a rival has too: the synsets of all words that the form can be."""

    rows: tuple[int, ...]
    is_right: tuple[bool, ...]
    shift: Floats1d  # what frequency and the number of senses of its word add to each score
    is_held_out: bool


def occurrences_of(
    parts: Sequence[tuple[Sequence[TaggedSentence], bool]],
    table: SenseTable,
    vectors: SenseVectors,
    method: AllWordsAttention,
) -> tuple[list[Occurrence], Floats2d]:
    """All such words of some sentences, and their vectors in the space of the sense vectors.

    Args:
        parts: sentences, and whether they are held out.
        table: of all words.
        vectors: of the sense model.
        method: reads with it.

    *Shape:* -> (n,), (n, width)
    """
    out, z = [], []
    rivals = set(table.chosen)
    for sentences, is_held_out in parts:
        for first in range(0, len(sentences), _AT_ONCE):
            contexts: list[Context] = []
            asked = []
            for sentence in sentences[first : first + _AT_ONCE]:
                n = len(out)
                for target in (table.target(sentence.tokens, *each) for each in sentence.targets):
                    rows = () if target is None else target.candidates
                    new = {row for row in rows if vectors.rows[row] < 0}
                    if target is None or not new or not new <= rivals:
                        continue
                    shift = shifts(sentence.tokens[target.start], target, table, vectors.prior)
                    out.append(Occurrence(target.candidates, target.allowed, shift, is_held_out))
                    asked.append(Target(len(contexts), target.start, target.end, "", ()))
                if len(out) > n:
                    contexts.append(context_of(sentence.tokens))
            if asked:
                z.append(method.target_vectors(Texts(contexts), asked) @ vectors.project.T)
        print(len(out), "occurrences", flush=True)
    return out, np.concatenate(z)


def context_of(tokens: list[str]) -> Context:
    """Tokens as a text with blanks between them."""
    starts = np.cumsum([0, *(len(token) + 1 for token in tokens)]).tolist()
    offsets = [(at, at + len(token)) for at, token in zip(starts, tokens, strict=False)]
    blank = [""] * len(tokens)
    return Context(" ".join(tokens), tokens, offsets, blank, blank)


def shifts(token: str, target: RowTarget, table: SenseTable, prior: float) -> Floats1d:
    """What is added to the scores of the candidates of a form. *Shape:* (n_candidates,)"""
    n_senses: dict[int, int] = {}
    for word in table.lexicon.words_of(plain_form(token)):
        senses = table.lexicon.candidates(*word)
        for sense in senses:
            n_senses.setdefault(int(table.lexicon.synset_of_row[sense.row]), len(senses))
    sizes = np.array([n_senses[row] for row in target.candidates], dtype=np.float32)
    added = prior * table.log_counts[target.candidates] - np.log(sizes) / 2
    return np.asarray(added, dtype=np.float32)


def first_vectors(
    rivals: Sequence[int], table: SenseTable, vectors: SenseVectors, encoder: str, path: Path
) -> Floats2d:
    """The vectors that definitions give, as those of a user's senses. *Shape:* (n, width)"""
    head, texts = SenseHead.load(path), table.texts(rivals)
    glosses = HuggingFaceEncoder(EncoderSettings(encoder)).embed([texts[row] for row in rivals])
    low = head.scale * (glosses @ head.gloss.T) @ vectors.project.T
    return np.asarray(low, dtype=np.float32)


class Padded(NamedTuple):
    """Some occurrences, their candidates side by side.

    *Shape:* z (n, width), the others (n, most candidates)
    """

    z: torch.Tensor
    known: torch.Tensor  # scores of senses that have a vector, -inf for none
    new: torch.Tensor  # index of a vector to fit, or -1
    shift: torch.Tensor
    is_right: torch.Tensor

    def scores(self, fitted: torch.Tensor) -> torch.Tensor:
        """With such vectors of rivals. *Shape:* (n_rivals, width) -> (n, most candidates)"""
        dots = torch.einsum("nw,ncw->nc", self.z, fitted[self.new.clamp(min=0)])
        return torch.where(self.new >= 0, dots + self.shift, self.known)

    def loss(self, fitted: torch.Tensor) -> torch.Tensor:
        """Mean of minus the logarithm of what the right senses have."""
        log_p = self.scores(fitted).log_softmax(-1)
        return -log_p.masked_fill(~self.is_right, float("-inf")).logsumexp(-1).mean()


def padded(
    some: Sequence[Occurrence], z: Floats2d, vectors: SenseVectors, index: NDArray[np.int64]
) -> Padded:
    """See :class:`Padded`. *Shape:* z (n, width), index (n_synsets,): of each rival, else -1"""
    shape = len(some), max(len(each.rows) for each in some)
    known = np.full(shape, -np.inf, dtype=np.float32)
    new, shift = np.full(shape, -1), np.zeros(shape, dtype=np.float32)
    is_right = np.zeros(shape, dtype=bool)
    for i, each in enumerate(some):
        n, rows = len(each.rows), np.array(each.rows)
        at = vectors.rows[rows]
        dots = (vectors.vectors[at].astype(np.float32) @ z[i]) * vectors.scales[at]
        known[i, :n] = np.where(at >= 0, dots + each.shift, -np.inf)
        new[i, :n], shift[i, :n], is_right[i, :n] = index[rows], each.shift, each.is_right
    return Padded(*(torch.from_numpy(x) for x in (z, known, new, shift, is_right)))


def fit(
    first: Floats2d, steps: Sequence[Padded], held_out: Sequence[Padded], near: float, epochs: int
) -> Floats2d:
    """The vectors of rivals that decide best: a share of the definitions', the same vector for all,
    and what is learnt for each, which is held near zero.

    *Shape:* (n_rivals, width), the same
    """
    start = torch.from_numpy(first)
    share = torch.tensor(0.5, requires_grad=True)
    same = torch.zeros(first.shape[1], requires_grad=True)
    own = torch.zeros_like(start).requires_grad_(True)
    optimizer = torch.optim.Adam([share, same, own], lr=_RATE)
    draw = random.Random(0)  # noqa: S311 - an order, no secret
    for epoch in range(epochs):
        order = list(steps)
        draw.shuffle(order)
        for number, step in enumerate(order):
            rate = _RATE * (1 - (epoch + number / len(order)) / epochs)
            optimizer.param_groups[0]["lr"] = rate
            rows = step.new[step.new >= 0].unique()
            fitted = share * start + same + own
            loss = step.loss(fitted) + near * own[rows].square().sum(1).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            fitted = share * start + same + own
            right = [s.is_right.gather(1, s.scores(fitted).argmax(1)[:, None]) for s in held_out]
            n = sum(map(len, right))
            losses = sum(float(s.loss(fitted)) * len(s.z) for s in held_out) / n
            print(epoch, "held out: loss", losses, "right", float(torch.cat(right).sum()) / n)
    return (share * start + same + own).detach().numpy()


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--semcor", type=Path, required=True)
    parser.add_argument("--tagged", type=Path, action="append", default=[])
    parser.add_argument("--model", choices=MODELS, default="default")
    given = parser.parse_args()
    encoder, path = MODELS[given.model]
    vectors, wordnet = SenseVectors.load(path), WordNet()
    table = SenseTable(wordnet, wordnet_inventory(), rivals=True)
    rivals = [row for row in table.chosen if vectors.rows[row] < 0]
    if not rivals:
        print(f"{path} has the vectors of all rivals already")
        return
    sources = SenseSources(semcor=given.semcor, written=ROOT / "corpus", tagged=given.tagged)
    corpora, config = sources.corpora(wordnet), TrainConfig()
    assert corpora is not None  # noqa: S101 - SemCor is given
    train = [sentence for document in corpora.train for sentence in joined(document, config)]
    held_out = [s for document in corpora.held_out.values() for s in joined(document, config)]
    resources = blank_resources(load_inventory("homographs"))
    method = attention_v1(encoder, str(path)).prepare(wordnet_inventory(), resources)
    assert isinstance(method, AllWordsAttention)  # noqa: S101 - of WordNet
    found, z = occurrences_of([(train, False), (held_out, True)], table, vectors, method)
    index = np.full(len(vectors.rows), -1)
    index[rivals] = np.arange(len(rivals))
    order = sorted(range(len(found)), key=lambda i: len(found[i].rows))  # little padding
    parts = [
        [i for i in order if not found[i].is_held_out],
        [i for i in order if found[i].is_held_out],
    ]
    steps, asked = (
        [
            padded(
                [found[i] for i in some[a : a + _BATCH]], z[some[a : a + _BATCH]], vectors, index
            )
            for a in range(0, len(some), _BATCH)
        ]
        for some in parts
    )
    first = first_vectors(rivals, table, vectors, encoder, path)
    fit(first, steps, asked, NEAR, EPOCHS)
    print("now on everything", flush=True)
    fitted = fit(first, [*steps, *asked], asked, NEAR, EPOCHS)
    before = {"given_words_as": sha256(path), "rivals": "python scripts/add_rivals.py"}
    add_vectors(path, rivals, fitted, **before)


if __name__ == "__main__":
    main()
