"""From the list of words to drafts, and from checked drafts to ``corpus/*.tsv``.

    python scripts/corpus_drafts.py tasks words.jsonl -o drafts/            # what a writer reads
    python scripts/corpus_drafts.py check drafts/003.txt --data ../shared/data
    python scripts/corpus_drafts.py build drafts/ -o corpus/ --data ../shared/data
    python scripts/corpus_drafts.py sample corpus/000.tsv ... -o labels/a   # to label blind
    python scripts/corpus_drafts.py agree labels/ -o agreement.json

A task lists words with all their senses; those marked ``*`` are wanted. A draft has a line for
each sentence, ``12b|The [[match]] went out.``: number of the word, letter of the sense, sentence.
Blind labels are lines like ``17 c``, number of the question and letter of the definition, ``none``
where none fits, ``unclear`` where more than one does.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from spacy_attn.wsd.inventory.wordnet_files import WordNet

_LINE = re.compile(r"^(\d+)([a-z]{1,2})\|(.+)$")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SUFFIXES = {
    "NOUN": (
        ("s", ""),
        ("ses", "s"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
        ("'s", ""),
    ),
    "VERB": (
        ("s", ""),
        ("ies", "y"),
        ("es", "e"),
        ("es", ""),
        ("ed", "e"),
        ("ed", ""),
        ("ing", "e"),
        ("ing", ""),
    ),
    "ADJ": (("er", ""), ("est", ""), ("er", "e"), ("est", "e"), ("ier", "y"), ("iest", "y")),
    "ADV": (("er", ""), ("est", ""), ("er", "e"), ("est", "e"), ("ier", "y"), ("iest", "y")),
}
_BE = {"am", "is", "are", "was", "were", "been", "being", "'s", "'re", "'m", "’s", "’re", "’m"}
_HAVE = {"'ve", "'d", "has", "had", "having", "’ve", "’d"}


def letter(i: int) -> str:
    """a, b, ... z, aa, ab, ..."""
    return chr(97 + i) if i < 26 else chr(96 + i // 26) + chr(97 + i % 26)


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return [word.lower() for word in _WORD.findall(text)]


def ngrams(words: list[str], n: int) -> set[tuple[str, ...]]:
    """All runs of n words."""
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


@cache
def exceptions(pos: str) -> dict[str, list[str]]:
    """WordNet's irregular forms."""
    name = {"NOUN": "noun", "VERB": "verb", "ADJ": "adj", "ADV": "adv"}[pos]
    rows = (WordNet().path / f"{name}.exc").read_text(encoding="utf-8").splitlines()
    return {form: lemmas for form, *lemmas in map(str.split, rows)}


def lemmas(form: str, pos: str) -> set[str]:
    """What a form can be an inflection of."""
    form = form.lower()
    out = {form, *exceptions(pos).get(form, [])}
    for old, new in _SUFFIXES[pos]:
        if form.endswith(old):
            stem = form[: len(form) - len(old)] + new
            out.add(stem)
            if len(stem) > 2 and stem[-1] == stem[-2]:  # batted, bigger
                out.add(stem[:-1])
    if pos == "VERB" and form in _BE:
        out.add("be")
    if pos == "VERB" and form in _HAVE:
        out.add("have")
    if (pos == "VERB" and form == "'d") or form == "’d":
        out.add("would")
    return out


def is_form(text: str, lemma: str, pos: str) -> bool:
    """Whether a bracketed text is a form of a lemma, word by word in multiwords."""
    parts, wanted = (
        text.replace("-", " ").split(),
        lemma.replace("_", " ").replace("-", " ").split(),
    )
    if len(parts) != len(wanted):
        return lemma.replace("_", " ") in lemmas(text, pos)
    return all(
        word in lemmas(part, pos) or word in lemmas(part, "NOUN")
        for part, word in zip(parts, wanted, strict=True)
    )


def tasks(args: argparse.Namespace) -> None:
    """Cut the list into tasks of about ``--senses`` wanted senses."""
    wordnet = WordNet()
    args.output.mkdir(parents=True, exist_ok=True)
    number, n_wanted, out = 0, 0, []

    def close() -> None:
        nonlocal number, n_wanted, out
        if out:
            (args.output / f"{number:03d}.task.txt").write_text(
                "\n".join(out) + "\n", encoding="utf-8"
            )
            print(f"{number:03d}: {n_wanted} senses")
            number, n_wanted, out = number + 1, 0, []

    for index, line in enumerate(args.words.read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        if all(n >= args.enough for _, n in row["senses"]):
            continue
        out.append(f"#{index} {row['lemma'].replace('_', ' ')} {row['pos']}")
        for i, (key, n) in enumerate(row["senses"]):
            sense = wordnet.senses[key]
            definition, examples = wordnet.gloss(sense)
            same = [w for w in wordnet.synonyms(sense) if w.lower() != row["lemma"]][:4]
            star = "*" if n < args.enough else " "
            text = f"{letter(i)}{star} {definition}"
            text += f" = {', '.join(same).replace('_', ' ')}" if same else ""
            text += f' e.g. "{examples[0]}"' if examples else ""
            out.append(text)
            n_wanted += n < args.enough
        if n_wanted >= args.senses:
            close()
    close()


class Checker:
    """What a sentence has to fulfil; sets that must not be shared are read once."""

    def __init__(self, words: Path, data: Path | None) -> None:
        self.wordnet = WordNet()
        self.words = [json.loads(line) for line in words.read_text(encoding="utf-8").splitlines()]
        self.held = (
            set().union(*map(lambda t: ngrams(words_of(t), 8), evaluation(data))) if data else set()
        )

    def problem(self, number: int, name: str, sentence: str) -> str | None:
        """Why a sentence is refused, or None."""
        if number >= len(self.words):
            return "no such word"
        row = self.words[number]
        names = [letter(i) for i in range(len(row["senses"]))]
        if name not in names:
            return f"{row['lemma']} has no sense {name}"
        marked = re.findall(r"\[\[(.+?)\]\]", sentence)
        if len(marked) != 1 or sentence.count("[[") != 1 or sentence.count("]]") != 1:
            return "needs exactly one [[word]]"
        if not is_form(marked[0], row["lemma"], row["pos"]):
            return f"[[{marked[0]}]] is no form of {row['lemma']} as {row['pos']}"
        words = words_of(sentence)
        if not 5 <= len(words) <= 38:
            return f"has {len(words)} words; allowed are 5 to 35"
        if any(c in sentence for c in "\t\n_{}<>") or not sentence.isprintable():
            return "holds a tab, an underscore or another odd sign"
        mine = ngrams(words, 5)
        for sense, _ in row["senses"]:
            for example in self.wordnet.gloss(self.wordnet.senses[sense])[1]:
                if mine & ngrams(words_of(example), 5):
                    return "shares five words in a row with an example of WordNet"
        if ngrams(words, 8) & self.held:
            return "shares eight words in a row with an evaluation set"
        return None


def evaluation(data: Path) -> Iterator[str]:
    """The texts of the evaluation sets and of the bundled test set."""
    with gzip.open(data / "wsd" / "ALLamended.data.xml.gz", "rt", encoding="utf-8") as file:
        for sentence in file.read().split("</sentence>"):
            yield " ".join(re.findall(r">([^<>]+)</(?:wf|instance)>", sentence))
    with gzip.open(data / "coarsewsd20.jsonl.gz", "rt", encoding="utf-8") as file:
        yield from (" ".join(json.loads(line)["tokens"]) for line in file)
    for part in ("train", "dev"):
        with gzip.open(data / "wic" / f"{part}.data.txt.gz", "rt", encoding="utf-8") as file:
            for line in file:
                yield from line.rstrip("\n").split("\t")[3:5]
    bundled = Path(__file__).parents[1] / "spacy_attn" / "data" / "homographs.test.jsonl"
    yield from (json.loads(x)["text"] for x in bundled.read_text(encoding="utf-8").splitlines())


def read_draft(path: Path) -> Iterator[tuple[int, int, str, str] | tuple[int, str]]:
    """(line, word, letter, sentence) of each line, or (line, problem)."""
    for at, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.match(line.strip())
        if match is None:
            yield at, f"is not like 12b|The [[word]] here.: {line[:60]!r}"
        else:
            yield at, int(match[1]), match[2], " ".join(match[3].split())


def review(path: Path, checker: Checker) -> tuple[list[tuple[int, str, str]], list[str]]:
    """The good sentences of a draft and what is wrong with the others."""
    good: list[tuple[int, str, str]] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    starts: dict[int, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for item in read_draft(path):
        if len(item) == 2:
            problems.append(f"line {item[0]} {item[1]}")
            continue
        at, number, name, sentence = item
        problem = checker.problem(number, name, sentence)
        plain = " ".join(words_of(sentence))
        if problem is None and plain in seen:
            problem = f"is the same as line {seen[plain]}"
        first = tuple(words_of(sentence)[:3])
        starts[number][first] += 1
        if problem is None and starts[number][first] > 2:
            problem = f"is the third of this word to begin with {' '.join(first)!r}"
        seen.setdefault(plain, at)
        if problem is None:
            good.append((number, name, sentence))
        else:
            problems.append(f"line {at} {problem}: {sentence[:80]}")
    return good, problems


def lacking(path: Path, good: Iterable[tuple[int, str, str]]) -> list[str]:
    """The wanted senses of a draft's task with fewer than four sentences."""
    counts = Counter((number, name) for number, name, _ in good)
    out, number, lemma = [], -1, ""
    for line in path.with_suffix("").with_suffix(".task.txt").read_text("utf-8").splitlines():
        if head := re.match(r"#(\d+) (.+)", line):
            number, lemma = int(head[1]), head[2]
        elif star := re.match(r"([a-z]{1,2})\* ", line):
            n = counts[number, star[1]]
            if n < 4:
                out.append(f"{number}{star[1]} ({lemma}) has {n}")
    return out


def check(args: argparse.Namespace) -> None:
    """Print what is wrong with one draft."""
    good, problems = review(args.draft, Checker(args.words, args.data))
    print(*problems[:80], sep="\n")
    missing = lacking(args.draft, good)
    print(f"{len(good)} good, {len(problems)} refused, {len(missing)} wanted senses under four")
    print("; ".join(missing[:60]))
    sys.exit(bool(problems))


def build(args: argparse.Namespace) -> None:
    """Write the good sentences of all drafts as ``corpus/*.tsv``, a file for each task."""
    checker = Checker(args.words, args.data)
    total = 0
    seen: set[str] = set()
    for draft in sorted(args.drafts.glob("[0-9][0-9][0-9].txt")):
        good, problems = review(draft, checker)
        rows = sorted({(n, len(a), a, s) for n, a, s in good})
        lines = []
        for number, _, name, sentence in rows:
            key = checker.words[number]["senses"][_index(name)][0]
            plain = sentence.replace("[[", "").replace("]]", "").lower()
            if plain in seen:
                print(f"stands in an earlier file: {sentence}")
                continue
            seen.add(plain)
            lines.append(f"{key}\t{sentence}")
        args.output.mkdir(exist_ok=True)
        (args.output / f"{draft.stem}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        total += len(lines)
        print(f"{draft.stem}: {len(lines)} sentences, {len(problems)} refused")
    print(f"{total} sentences")


def sample(args: argparse.Namespace) -> None:
    """Questions for a labeller (``.txt``) and the answers that the writer meant (``.key.json``)."""
    wordnet = WordNet()
    rows = []
    for file in args.files:
        lines = file.read_text(encoding="utf-8").splitlines()
        rng = random.Random(f"{args.seed} {file.stem}")  # noqa: S311 - a draw, not a secret
        rows += [(file.stem, *line.split("\t")) for line in rng.sample(lines, len(lines) // 10)]
    rng = random.Random(args.seed)  # noqa: S311
    rng.shuffle(rows)
    questions, keys = [], []
    for i, (stem, key, sentence) in enumerate(rows):
        sense = wordnet.senses[key]
        senses = list(wordnet.candidates(sense.lemma, sense.pos))
        rng.shuffle(senses)
        lemma = sense.lemma.replace("_", " ")
        questions.append(f"#{i} {lemma} {sense.pos}: {sentence}")
        questions += [f"  {letter(k)} {wordnet.gloss(s)[0]}" for k, s in enumerate(senses)]
        meant = letter([s.key for s in senses].index(key))
        keys.append(
            {
                "file": stem,
                "key": key,
                "meant": meant,
                "n_senses": len(senses),
                "pos": sense.pos,
                "sentence": sentence,
            }
        )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.with_suffix(".txt").write_text("\n".join(questions) + "\n", encoding="utf-8")
    args.output.with_suffix(".key.json").write_text(json.dumps(keys), encoding="utf-8")
    print(f"{len(rows)} questions")


def agree(args: argparse.Namespace) -> None:
    """How often blind labels are what the writer meant; the others are listed."""
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    disputed = []
    for file in sorted(args.labels.glob("*.key.json")):
        keys = json.loads(file.read_text(encoding="utf-8"))
        answers = file.with_name(file.name.replace(".key.json", ".labels.txt"))
        said = dict(line.split()[:2] for line in answers.read_text("utf-8").splitlines() if line)
        for i, key in enumerate(keys):
            answer = said.get(str(i))
            if answer is None:
                continue
            n = key["n_senses"]
            size = "2" if n == 2 else "3 to 5" if n < 6 else "6 to 10" if n < 11 else "11 and more"
            outcome = "agree" if answer == key["meant"] else answer
            outcome = outcome if outcome in ("agree", "none", "unclear") else "other"
            for group in ("all", f"file {key['file']}", key["pos"], f"senses {size}"):
                groups[group][outcome] += 1
            if outcome != "agree":
                disputed.append({**key, "said": answer})
    table = {
        name: {"n": sum(c.values()), "agreement": round(c["agree"] / sum(c.values()), 4), **c}
        for name, c in sorted(groups.items())
    }
    args.output.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    rest = args.output.with_suffix(".disputed.jsonl")
    rest.write_text("".join(json.dumps(row) + "\n" for row in disputed), encoding="utf-8")
    print(*agreement_rows(table), sep="\n")


def agreement_rows(table: dict[str, dict[str, float]]) -> list[str]:
    """The table of ``corpus/README.md``, but for single files."""
    rows = [
        "| | labelled | agree | another sense | none fits | cannot tell |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in table.items():
        if not name.startswith("file "):
            counts = (row.get(key, 0) for key in ("other", "none", "unclear"))
            share = f"{100 * row['agreement']:.1f} %"
            rows.append(f"| {name} | {row['n']:,} | {share} | {' | '.join(map(str, counts))} |")
    files = [row["agreement"] for name, row in table.items() if name.startswith("file ")]
    rows.append(f"\nThe lowest agreement of a file is {100 * min(files):.1f} %.")
    return rows


def _index(name: str) -> int:
    return ord(name) - 97 if len(name) == 1 else (ord(name[0]) - 96) * 26 + ord(name[1]) - 97


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    cut = commands.add_parser("tasks", help="cut the list of words into tasks for writers")
    cut.add_argument("words", type=Path)
    cut.add_argument("--senses", type=int, default=350)
    cut.add_argument("--enough", type=int, default=8)
    cut.add_argument("-o", "--output", type=Path, required=True)
    cut.set_defaults(run=tasks)
    one = commands.add_parser("check", help="say what is wrong with a draft")
    one.add_argument("draft", type=Path)
    one.set_defaults(run=check)
    every = commands.add_parser("build", help="write corpus/*.tsv")
    every.add_argument("drafts", type=Path)
    every.add_argument("-o", "--output", type=Path, required=True)
    every.set_defaults(run=build)
    draw = commands.add_parser("sample", help="draw a tenth of some files, to label blind")
    draw.add_argument("files", type=Path, nargs="+")
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("-o", "--output", type=Path, required=True, help="name without a suffix")
    draw.set_defaults(run=sample)
    compared = commands.add_parser("agree", help="agreement of blind labels with what was meant")
    compared.add_argument("labels", type=Path, help="folder with .key.json and .labels.txt")
    compared.add_argument("-o", "--output", type=Path, required=True)
    compared.set_defaults(run=agree)
    for each in (one, every):
        each.add_argument("--words", type=Path, required=True, help="list of corpus_words.py")
        each.add_argument("--data", type=Path, help="folder with the evaluation sets")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
