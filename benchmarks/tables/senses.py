"""Tables of sense accuracy: the bundled test set, CoarseWSD-20 untrained, all words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from benchmarks.common import Result, load
from benchmarks.tables.markdown import (
    Column,
    between,
    exact,
    machine,
    made_with,
    p_value,
    page,
    percent,
    table,
    whole,
    wide_table,
)

SUMMARY = ("first_sense", "word2vec", "cascade", "attention", "ensemble")
FROZEN = ("lesk_extended", "word2vec", "cascade", "attention", "ensemble")
NOT_CLASSIC = ("attention", "cascade", "ensemble")
SINGLE = ("attention", "word2vec", "ensemble")
SEVERAL = (*SINGLE, "cascade")
COMPARISON = "results/senses.md#accuracy-and-cost"
OWN_DICTIONARY = "[your own dictionary](results/senses.md#your-own-dictionary)"


def _rows(name: str, part: str | None = None) -> dict[str, Result]:
    """The systems of a result by name."""
    result = load(name)
    return {row["name"]: row for row in (result[part] if part else result)["systems"]}


def _label(row: Result) -> str:
    """Registered methods as code."""
    is_method = isinstance(row.get("method", row["name"]), str)
    return f"`{row['name']}`" if is_method else str(row["name"])


METHOD = Column("method", _label)
ACCURACY = (Column("accuracy", "accuracy", percent), Column("95 %", "ci95", between))
MACRO_F1 = Column("macro-F1", "macro_f1", percent)
ECE = Column("ECE", "calibration_error", exact)
WORDS = Column("words/s", "words_per_second", whole)


def summary() -> str:
    """Five methods, what they get right and what they cost."""
    result, words = load("comparison"), _rows("all-words", "given")
    rows = _rows("comparison")
    return page(
        table(
            [rows[name] for name in SUMMARY],
            METHOD,
            Column("accuracy, *homographs*", "accuracy", percent),
            Column(
                "accuracy, all words", lambda r: words.get(r["name"], {}).get("accuracy"), percent
            ),
            WORDS,
            Column("peak memory, MB", "peak_rss_mb", whole),
        ),
        f"""*homographs*: the bundled test set ({result["n"]:,} sentences). *all words*: the
        ALLamended test set ({load("all-words")["given"]["n"]:,} words of running text, senses of
        WordNet). Speed and memory: on *homographs*, {machine(result)}, models loaded.""",
    )


def accurate() -> str:
    """The default model beside the accurate one: what is right, and the cost."""
    names = ("attention", "attention, accurate")
    rows, words = _rows("accurate"), _rows("all-words", "given")
    plain, masc = _rows("all-words", "end_to_end"), _rows("all-words", "masc")

    def each(of: dict[str, Result], what: Callable[[Result], Any], show: Any) -> list[str]:
        return [show(what(of[name])) for name in names]

    strata = rows["attention"]["strata"]
    measures = {
        "ALLamended, words given": each(words, itemgetter("accuracy"), percent),
        "... where the first sense is wrong": each(
            words, lambda row: row["subsets"]["not_first"], percent
        ),
        "... from plain text": each(plain, itemgetter("accuracy"), percent),
        "MASC, all genres": each(masc, itemgetter("accuracy"), percent),
        "*homographs*": each(rows, itemgetter("accuracy"), percent),
        **{f"... {name}": [percent(rows[one]["strata"][name]) for one in names] for name in strata},
        "words/s": each(rows, itemgetter("words_per_second"), "{:,.0f}".format),
        "peak memory, MB": each(rows, itemgetter("peak_rss_mb"), "{:,.0f}".format),
    }
    return page(
        wide_table("", ("default", "accurate"), measures),
        f"Speed and memory: on *homographs*, {machine(load('accurate'))}, models loaded.",
        made_with(".accurate"),
    )


def which_method() -> str:
    """Which method for which need, with the figures behind each."""
    rows, words = _rows("comparison"), _rows("all-words", "given")
    trained = _rows("coarsewsd20")["attention, chosen on training data"]
    all_ = {name: row["accuracy"] for name, row in rows.items()}
    plain = {name: row["strata"]["plain"] for name, row in rows.items()}
    cross = {name: row["strata"]["cross"] for name, row in rows.items()}
    few = load("comparison")["learning_curve"]["systems"]
    one = {name: points[0]["accuracy"] for name, points in few.items()}
    own = {row["method"]: row for row in load("dictionaries")["dictionaries"]}
    no_example = {name: row["definitions"][0]["accuracy"] for name, row in own.items()}
    no_definition = {name: row["examples"][0]["accuracy"] for name, row in own.items()}
    speed = {name: f"{row['words_per_second']:,.0f} words/s" for name, row in rows.items()}
    encoded = percent(rows["cascade"]["share_of_tokens_encoded"])
    misled = percent(max(row["strata"]["distractor"] for row in rows.values()))
    needs = {
        "The highest accuracy": f"`ensemble`, which combines `attention`, `word2vec` and "
        f"`lesk_extended` ({percent(all_['ensemble'])} over all; `attention` "
        f"{percent(all_['attention'])}) at {speed['ensemble']}.",
        "A single model, without static vectors": "`attention` "
        f"({percent(plain['attention'])} on plain sentences; `word2vec` "
        f"{percent(plain['word2vec'])}, `lesk_extended` {percent(plain['lesk_extended'])}).",
        "Faster": f"`cascade` ({percent(all_['cascade'])} over all at {speed['cascade']}, "
        f"attention on {encoded} % of the tokens).",
        "No encoder at all": f"`word2vec` ({percent(all_['word2vec'])} at {speed['word2vec']}); "
        f"without vectors `lesk_extended` ({percent(all_['lesk_extended'])} at "
        f"{speed['lesk_extended']}).",
        "Own senses with definitions alone": f"{_ranked(no_example, SINGLE)}, as measured for "
        f"{OWN_DICTIONARY}.",
        "Own senses with one example of each and no definition": f"{_ranked(no_definition, SINGLE)}"
        f", as measured for {OWN_DICTIONARY}.",
        "Own senses with definitions and one example of each": f"{_ranked(one, SEVERAL)} "
        f"in the [learning curve]({COMPARISON}).",
        "Hundreds of labelled sentences for a word": "`spacy-attn train-senses --data`, or a "
        f"classifier over the vectors ({percent(trained['accuracy'])} on CoarseWSD-20), such as "
        "scikit-learn's with `examples/features.py`.",
        "All words of a text": f'`attention` with `"wordnet"` '
        f"({percent(words['attention']['accuracy'])} on ALLamended; the first sense has "
        f"{percent(words['first_sense']['accuracy'])}).",
        "The cue is in another sentence": f"{_ranked(cross, SEVERAL)}.",
        "A misleading word is near": f"no method is good at it (the best has {misled}); set "
        "`threshold`.",
        "A wrong answer is worse than none": "set `threshold`; `compare --tune 0.95` finds it.",
        "Measure on your own text": "`spacy-attn compare labels.jsonl --inventory senses.jsonl`.",
    }
    return "\n".join(f"- **{need}**: {answer}" for need, answer in needs.items())


def _ranked(accuracy: dict[str, float], names: Sequence[str]) -> str:
    """Methods with their accuracies, the best first."""
    best, *others = sorted(names, key=lambda name: -accuracy[name])
    rest = ", ".join(f"`{name}` {percent(accuracy[name])}" for name in others)
    return f"`{best}` ({percent(accuracy[best])}); {rest}"


def classic_and_attention() -> str:
    """The same measures of both kinds, side by side."""
    rows, curve = _rows("comparison"), load("comparison")["distance_curve"]["systems"]
    both = [rows["word2vec"], rows["attention"]]

    def of(key: str, form: Any, stratum: str | None = None) -> list[str]:
        return [form(row["strata"][stratum] if stratum else row[key]) for row in both]

    far = [next(p["accuracy"] for p in curve[row["name"]] if p["distance"] == 100) for row in both]
    measures = {
        "vectors": ["one for each word: both *bats* the same", "one for each occurrence"],
        "reads": ["the words around, in any order", "the sentence, each word by its relevance"],
        "accuracy, plain sentences": of("", percent, "plain"),
        "rare senses": of("", percent, "rare"),
        "the cue within three tokens": of("", percent, "near"),
        "the cue in another sentence": of("", percent, "cross"),
        "100 unrelated tokens between": [percent(each) for each in far],
        "a distractor near": of("", percent, "distractor"),
        "another register": of("", percent, "shifted"),
        "expected calibration error": of("calibration_error", exact),
        "words/s": of("words_per_second", whole),
        "peak memory, MB": of("peak_rss_mb", whole),
    }
    heads = ["classic (`word2vec`)", "attention (a contextual encoder)"]
    return wide_table("", heads, measures)


def comparison() -> str:
    """All systems on the bundled test set, stratum by stratum, and what each costs."""
    result = load("comparison")
    by_stratum, frozen = result["n_by"]["strata"], result["frozen"]
    strata = ["plain", *(name for name in by_stratum if name != "plain")]
    columns = [Column(name, f"strata.{name}", percent, is_best=True) for name in strata]
    counts = ", ".join(f"{name} {by_stratum[name]:,}" for name in strata)
    system, rows = Column("system", _label), result["systems"]
    every = Column("all", "accuracy", percent, is_best=True)
    return page(
        f"""Accuracy on *homographs*: {result["n"]:,} instances ({counts}). *p*: McNemar's test
        against `{result["baseline"]}` over all instances, Holm-corrected. Rows with a `name` are
        the registered methods. The highest value of a column is bold.""",
        table(rows, system, *columns, every, ACCURACY[1], Column("p", "comparison", p_value)),
        """The same systems: macro-F1, expected calibration error (ECE), speed, peak memory of the
        process, size of models and vectors on disk, and the percentage of all tokens that the
        encoder read (*encoded*):""",
        table(
            rows,
            system,
            ACCURACY[0],
            MACRO_F1,
            ECE,
            WORDS,
            Column("peak MB", "peak_rss_mb", whole),
            Column("MB on disk", "disk_mb", whole),
            Column("encoded", "share_of_tokens_encoded", percent),
        ),
        f"On the frozen half ({frozen['n']['all']:,} instances):",
        wide_table(
            "method",
            ["plain", "all"],
            {
                f"`{name}`": [percent(frozen["systems"][name][key]) for key in ("plain", "all")]
                for name in FROZEN
            },
        ),
        *_curves(result),
        f"Words/s: the method alone, {machine(result)}, one run. {made_with(' run')}",
    )


def _curves(result: Result) -> list[str]:
    """Few examples, and cues far away, one line for each system."""
    learning, distance = result["learning_curve"], result["distance_curve"]
    overall = {row["name"]: percent(row["accuracy"]) for row in result["systems"]}
    few = {
        name: [
            *(f"{percent(p['accuracy'])} ({between([p['low'], p['high']])})" for p in points),
            overall[name],
        ]
        for name, points in learning["systems"].items()
    }
    far = {
        name: [percent(p["accuracy"]) for p in points]
        for name, points in distance["systems"].items()
    }
    sizes = [f"{n} example{'s' * (n > 1)}" for n in learning["sizes"]]
    corner = (
        f"accuracy with this many unrelated tokens between target and cue "
        f"({', '.join(distance['strata'])}, n = {distance['n']:,})"
    )
    return [
        wide_table("accuracy with few examples of each sense", [*sizes, "all"], few),
        wide_table(corner, distance["distances"], far),
    ]


def without_training() -> str:
    """The methods on CoarseWSD-20, nothing trained on it, and the plain text of both sets."""
    own, coarse = load("comparison")["on_plain_text"], load("senses-coarsewsd20")
    ends = {"homographs": own, "CoarseWSD-20": coarse["end_to_end"]}
    return page(
        f"""All {coarse["n"]:,} test sentences (Loureiro et al. 2021). Nothing was trained or tuned
        on this data set; the senses of *homographs* are mapped to its senses.""",
        table(coarse["systems"], METHOD, *ACCURACY, MACRO_F1, WORDS),
        """End to end, where the pipeline must find the word first (a missed word counts as
        wrong):""",
        table(
            [{"name": name, **row} for name, row in ends.items()],
            Column("`attention` on", "name"),
            ACCURACY[0],
            Column("found, %", "found", percent),
        ),
        _classic_wins(coarse["systems"]),
        f"""Words/s: the method alone, on tokenised and tagged texts ({machine(coarse)}, one run).
        {made_with(".senses coarsewsd20")}""",
    )


def _classic_wins(systems: list[Result]) -> str:
    by_word = {row["name"]: row["by_word"] for row in systems}
    attention = by_word["attention"]
    classic = {name: words for name, words in by_word.items() if name not in NOT_CLASSIC}
    won = []
    for word, ours in attention.items():
        best = max(classic, key=lambda name: classic[name][word])
        if classic[best][word] > ours:
            score = percent(classic[best][word])
            won.append(f"*{word}* ({best} {score}, attention {percent(ours)})")
    if not won:
        return f"No classic method beats `attention` on any of the {len(attention)} words."
    return f"Words on which a classic method is more accurate: {', '.join(won)}."


def all_words() -> str:
    """Words of running text: our methods beside published predictions."""
    results = load("all-words")
    given, subsets = results["given"], results["given"]["n_by"]["subsets"]
    parts = {"nouns": "NOUN", "verbs": "VERB", "adjectives": "ADJ", "adverbs": "ADV"}

    def name(row: Result) -> str:
        mark = "*" if row["kind"] == "published predictions" else "`"
        return f"{mark}{row['name']}{mark}"

    papers = "; ".join(f"{name} {percent(x)}" for name, x in results["from_papers"].items())
    return page(
        f"""Accuracy on *ALLamended* ({given["n"]:,} words of running text with two or more
        candidate senses; nothing was trained or tuned on it). *not first*: the
        {subsets["not_first"]:,} words whose gold sense is not WordNet's first sense. *unseen*: the
        {subsets["unseen_sense"]:,} words whose gold senses do not occur in our training corpora.
        *ECE*: expected calibration error. Rows in italics are published predictions of other
        systems, scored by the same code.""",
        table(
            given["systems"],
            Column("system", name),
            Column("all", "accuracy", percent),
            ACCURACY[1],
            *(Column(head, f"pos.{pos}", percent) for head, pos in parts.items()),
            Column("not first", "subsets.not_first", percent),
            Column("unseen", "subsets.unseen_sense", percent),
            Column("supersense", "supersense_accuracy", percent),
            ECE,
        ),
        f"Reported in papers on another version of the set, so not directly comparable: {papers}.",
        """End to end on plain text, where en_core_web_sm finds words, tags and lemmas (a word that
        it misses or tags differently counts as wrong):""",
        table(
            results["end_to_end"]["systems"],
            METHOD,
            *ACCURACY,
            Column("coverage, %", "coverage", percent),
        ),
        _genres(results["masc"]),
        made_with(".all_words"),
    )


def _genres(masc: Result) -> str:
    rows = {row["name"]: row for row in masc["systems"]}
    own, first = rows["attention"], rows["first_sense"]
    genres = own["strata"]
    better = sum(genres[genre] > first["strata"][genre] for genre in genres)
    low, high = min(genres, key=genres.get), max(genres, key=genres.get)
    return f"""MASC ({masc["n"]:,} words of {len(genres)} written and spoken genres, not trained
        on): `attention` {percent(own["accuracy"])}, `first_sense` {percent(first["accuracy"])}.
        `attention` is more accurate in {better} of {len(genres)} genres; its accuracy is between
        {percent(genres[low])} ({low}) and {percent(genres[high])} ({high}). The labels of MASC are
        mapped from another dictionary, which limits every system."""
