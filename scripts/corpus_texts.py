"""Label running texts with senses of WordNet, and build ``corpus/texts/*.jsonl`` of them.

    python scripts/corpus_texts.py show drafts/ a01 a02    # what a labeller reads
    python scripts/corpus_texts.py check drafts/           # what is missing or cannot be read
    python scripts/corpus_texts.py build drafts/ -o corpus/texts/news.jsonl

A draft is ``NAME.txt``, its labels ``NAME.ans``. ``show`` prints the senses of all words that the
folder has not shown before, then each text with numbers: ``stock/12`` needs an answer (a word with
one sense has it without one), ``over/13?`` may have one (a particle of a verb too). Answers are
separated by white space:

    1=n1 2=v3           the first sense of the noun, the third of the verb (a, r: adjective, adverb)
    5=glass.n.2         of this lemma, where the form can be several
    7-8=pick_up.v.3     these tokens are one word
    7+10=take_off.v.1   a verb and its particle, apart
    4=n1,n4             two senses are equally true
    9=0                 a content word, and no sense is true of it
    9=-                 nothing to label: a name, an auxiliary, a preposition
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from spacy.language import Language
from spacy.tokens import Doc, Span, Token

from spacy_attn import load_pipeline
from spacy_attn.wsd.inventory.forms import plain_form, word_pieces
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet, WordNetSense

POS = {"n": "NOUN", "v": "VERB", "a": "ADJ", "r": "ADV"}
_LETTER = {pos: letter for letter, pos in POS.items()}
_CLITICS = {"'s": ("be", "have"), "'re": ("be",), "'m": ("be",), "'ve": ("have",)}
_AUXILIARIES = ("be", "have", "do")
_OPEN = frozenset({"NOUN", "VERB", "ADJ", "ADV"})
_MOST_TOKENS = 4  # of a word
_PARTICLES = frozenset("aside apart away back by down in off on out over through up".split())
_ANSWER = re.compile(r"(\d+)(?:([-+])(\d+))?=(\S+)")
_SENSE = re.compile(r"(?:(.+)\.)?([nvar])\.?(\d+)")


class Numbered(NamedTuple):
    """A text, its tokens with a number, and what each and each run of them can be."""

    doc: Doc
    number: dict[int, int]  # of a token, from 1
    lemmas: dict[int, dict[str, list[str]]]  # of a token, by the letter of the part of speech
    needed: frozenset[int]
    runs: dict[tuple[int, int], list[tuple[str, str]]]  # first and last token: lemma, letter


@cache
def _wordnet() -> WordNet:
    return WordNet()


def senses(lemma: str, letter: str) -> tuple[WordNetSense, ...]:
    """The senses of a lemma in WordNet's order."""
    return _wordnet().candidates(lemma, POS[letter])


def lemmas_of(token: Token) -> dict[str, list[str]]:
    """What a token can be, by the letter of the part of speech."""
    form = plain_form(token.text)
    if form in _CLITICS:
        return {"v": list(_CLITICS[form])}
    found: dict[str, list[str]] = {}
    for lemma, pos in wordnet_inventory().words_of(form):
        found.setdefault(_LETTER[pos], []).append(lemma.replace(" ", "_"))
    if token.pos_ not in _OPEN and token.lemma_ not in _AUXILIARIES and token.is_stop:
        return {}  # of, the, with
    return found


def runs_of(doc: Doc) -> Iterator[tuple[int, int, str]]:
    """First token, last token and lemma of what WordNet writes as one word."""
    inventory = wordnet_inventory()
    for first, token in enumerate(doc):
        for end in range(first + 2, min(len(doc), first + _MOST_TOKENS) + 1):
            words = [plain_form(each.text) for each in doc[first:end]]
            starts = {words[0], *(w for w, _ in inventory.words_of(words[0])), token.lemma_}
            ends = {words[-1], *(w for w, _ in inventory.words_of(words[-1]))}
            forms = ([start, *words[1:-1], last] for start in starts for last in ends)
            tried = {word_pieces(" ".join(form)) for form in forms}
            for lemma in sorted(filter(None, map(inventory.compound, tried))):
                yield first, end - 1, lemma.replace(" ", "_")


def numbered(text: str) -> Numbered:
    """A text as a labeller sees it."""
    doc = _pipeline()(text)
    runs: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for first, last, lemma in runs_of(doc):
        found = [(lemma, letter) for letter in POS if senses(lemma, letter)]
        runs.setdefault((first, last), []).extend(found)
    of_tokens = {token.i: lemmas_of(token) for token in doc if token.text.strip()}
    lemmas = {i: found for i, found in of_tokens.items() if found}
    needed = frozenset(i for i in lemmas if doc[i].pos_ in _OPEN)
    particles = [token.i for token in doc if token.lower_ in _PARTICLES]  # "took it off"
    for i in (*(i for ends in runs for i in ends), *particles):
        lemmas.setdefault(i, {})
    number = {i: n for n, i in enumerate(sorted(lemmas), 1)}
    return Numbered(doc, number, lemmas, needed, runs)


@cache
def _pipeline() -> Language:
    nlp = load_pipeline()
    nlp.disable_pipe("sense_disambiguator")
    return nlp


def show(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """The senses not shown before, then the texts."""
    record = folder / ".shown"
    shown = set(record.read_text(encoding="utf-8").split()) if record.exists() else set()
    texts = {name: numbered((folder / f"{name}.txt").read_text(encoding="utf-8")) for name in names}
    words = {
        (lemma, letter)
        for text in texts.values()
        for found in text.lemmas.values()
        for letter, lemmas in found.items()
        for lemma in lemmas
    }
    words |= {word for text in texts.values() for found in text.runs.values() for word in found}
    for lemma, letter in sorted(words):
        if f"{lemma}.{letter}" in shown:
            continue
        shown.add(f"{lemma}.{letter}")
        yield f"{lemma}.{letter}"
        for n, sense in enumerate(senses(lemma, letter), 1):
            others = [w.replace("_", " ") for w in _wordnet().synonyms(sense) if w != lemma]
            yield f"  {letter}{n} {_wordnet().gloss(sense)[0]} [{', '.join(others[:2])}]"
    record.write_text("\n".join(sorted(shown)), encoding="utf-8")
    for name, text in texts.items():
        yield f"##### {name}"
        yield "".join(
            f"{t.text}/{text.number[t.i]}{'' if t.i in text.needed else '?'}{t.whitespace_}"
            if t.i in text.number
            else t.text_with_ws
            for t in text.doc
        )
        for i, found in text.lemmas.items():
            if any(lemmas != [plain_form(text.doc[i].text)] for lemmas in found.values()):
                yield f"  {text.number[i]}: " + ", ".join(
                    f"{'|'.join(lemmas)}.{letter}" for letter, lemmas in found.items()
                )
        for (first, last), run in sorted(text.runs.items()):
            name_of = ", ".join(f"{lemma}.{letter}" for lemma, letter in run)
            yield f"  {text.number[first]}-{text.number[last]}: {name_of}"


def labels_of(text: Numbered, answers: str) -> tuple[list[tuple[int, int, list[str]]], list[str]]:
    """First and last token and keys of each label, and what is wrong with the answers."""
    token_of = {number: i for i, number in text.number.items()}
    labels, wrong, done = [], [], set[int]()
    for answer in answers.split():
        match = _ANSWER.fullmatch(answer)
        first = token_of.get(int(match[1])) if match else None
        last = token_of.get(int(match[3] or match[1])) if match else None
        if match is None or first is None or last is None or last < first:
            wrong.append(f"{answer}: no answer, or no such number")
            continue
        here = {first, last} if match[2] == "+" else set(range(first, last + 1))
        if here & done:
            wrong.append(f"{answer}: a word of it has an answer already")
            continue
        done |= here
        if match[4] == "-":
            continue
        try:
            named = [] if match[4] == "0" else match[4].split(",")
            keys = [key_of(text.lemmas[first] if first == last else {}, each) for each in named]
        except ValueError as error:
            wrong.append(f"{answer}: {error}")
            continue
        labels.append((first, first if match[2] == "+" else last, keys))
    for i in sorted(text.needed - done):
        only = [(lemma, p) for p, lemmas in text.lemmas[i].items() for lemma in lemmas]
        if len(only) == 1 and len(senses(*only[0])) == 1:
            labels.append((i, i, [senses(*only[0])[0].key]))
        else:
            wrong.append(f"{text.number[i]} ({text.doc[i].text}) has no answer")
    return sorted(labels), wrong


def seen(span: Span) -> tuple[int, int]:
    """First and end character of a span, less the line break that its token may hold."""
    text = span.text
    return (
        span.start_char + len(text) - len(text.lstrip()),
        span.end_char - len(text) + len(text.rstrip()),
    )


def key_of(lemmas: dict[str, list[str]], said: str) -> str:
    """The sense key of "n1" or "glass.n.1".

    Raises:
        ValueError: it names none.
    """
    match = _SENSE.fullmatch(said)
    if match is None:
        raise ValueError(f"cannot read {said}")
    lemma, letter, n = match[1], match[2], int(match[3])
    if lemma is None:
        if len(lemmas.get(letter, ())) != 1:
            raise ValueError(f"name the lemma, one of {lemmas.get(letter, [])}")
        lemma = lemmas[letter][0]
    found = senses(lemma, letter)
    if not 1 <= n <= len(found):
        raise ValueError(f"{lemma}.{letter} has {len(found)} senses")
    return found[n - 1].key


def main() -> None:
    """Show, check or build."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=("show", "check", "build"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="texts (default: all)")
    parser.add_argument("-o", "--output", type=Path, help="the .jsonl that build writes")
    args = parser.parse_args()
    if args.command == "build" and args.output is None:
        parser.error("build needs -o FILE.jsonl")
    names = args.names or sorted(path.stem for path in args.folder.glob("*.txt"))
    if args.command == "show":
        print("\n".join(show(args.folder, names)))
        return
    lines, n_labels, n_wrong = [], 0, 0
    for name in names:
        text = numbered((args.folder / f"{name}.txt").read_text(encoding="utf-8"))
        answers = args.folder / f"{name}.ans"
        labels, wrong = labels_of(
            text, answers.read_text(encoding="utf-8") if answers.exists() else ""
        )
        for each in wrong:
            print(f"{name}: {each}")
        n_labels, n_wrong = n_labels + len(labels), n_wrong + len(wrong)
        doc = text.doc
        found = [[*seen(doc[a : b + 1]), keys] for a, b, keys in labels]
        lines.append(json.dumps({"text": doc.text, "senses": found}, ensure_ascii=False) + "\n")
    print(f"{len(names)} texts, {n_labels} labels, {n_wrong} faults")
    if n_wrong:
        raise SystemExit(1)
    if args.command == "build":
        args.output.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
