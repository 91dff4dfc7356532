"""Tables of the external sets and of the tasks beyond senses.

Where a classic method wins, the line below the table says so.
"""

from __future__ import annotations

from benchmarks.common import Result, load
from benchmarks.tables.markdown import (
    Column,
    between,
    machine,
    made_with,
    number,
    p_value,
    page,
    percent,
    table,
    wide_table,
)

_SIGNIFICANT = 0.05  # p below


def _score(place: str = "", accuracy: str = "accuracy") -> list[Column]:
    """Accuracy, interval and p of a part of a row."""
    return [
        Column(accuracy, f"{place}accuracy", percent),
        Column("95 %", f"{place}ci95", between),
        Column("p", f"{place}comparison", p_value),
    ]


def _duel(duel: Result) -> str:
    """Which kind is better, by its best row; unless the paired test cannot tell."""
    ours, theirs = duel["accuracies"]
    if duel["p"] >= _SIGNIFICANT:
        verdict = "the best attention and classic systems do not differ significantly"
    else:
        verdict = "attention is better" if ours > theirs else "a classic system is better"
    p = p_value(duel)
    return (
        f"{verdict} ({percent(ours)} for *{duel['attention']}*, {percent(theirs)} for "
        f"*{duel['classic']}*, p {'' if p.startswith('<') else '= '}{p})"
    )


# -- CoarseWSD-20 -----------------------------------------------------------------------------


def coarsewsd20(result: Result | None = None) -> str:
    """CoarseWSD-20 with its training split, and with few examples of it."""
    result = result or load("coarsewsd20")
    folds, curve = result["cross_validation"]["folds"], result["few_shot"]
    papers = [
        {"name": f"*{name}*", "accuracy": accuracy / 100, "macro_f1": f1 / 100}
        for name, (accuracy, f1) in result["from_paper"].items()
    ]
    accuracy, interval, p = _score()
    return page(
        f"""{result["n_words"]} nouns with {result["n_senses"]} coarse senses. Each word has a
        classifier, trained on {result["n_train"]:,} sentences in all and tested on all
        {result["n"]:,} test sentences. Settings were chosen by {folds}-fold cross-validation on the
        training split. *p*: McNemar's test against {result["baseline"]}, Holm-corrected. Rows in
        italics are from the paper (Loureiro et al. 2021).""",
        table(
            [*result["systems"], *papers],
            Column("system", "name"),
            accuracy,
            interval,
            Column("macro-F1", "macro_f1", percent),
            Column("95 %", "macro_f1_ci95", between),
            p,
        ),
        _target(result),
        _words_won(result),
        f"""With few training sentences (accuracy / macro-F1, mean of {curve["draws"]} draws,
        ± standard deviation of the accuracy):""",
        _few_shot(result),
        _zero_shot(),
        made_with(".coarsewsd20"),
    )


def _target(result: Result) -> str:
    """What was to be reached, and how far off the result is."""
    row = next(r for r in result["systems"] if r["name"] == "attention, chosen on training data")
    got = 100 * row["accuracy"], 100 * row["macro_f1"]
    said = []
    for key, label in (("to_reach", "the target was"), ("aim", "the aim was")):
        gaps = [
            f"{goal - score:.1f} points of {name}"
            for goal, score, name in zip(result[key], got, ("accuracy", "macro-F1"), strict=True)
            if round(score, 1) < goal
        ]
        verdict = f"{' and '.join(gaps)} more than the result" if gaps else "reached"
        accuracy, f1 = result[key]
        said.append(f"{label} {accuracy:.1f} / {f1:.1f} ({verdict})")
    chosen = "; ".join(result["chosen"]["attention"])
    return (
        f"*attention, chosen on training data* ({chosen}) has {got[0]:.1f} / {got[1]:.1f}; "
        f"{', '.join(said)}."
    )


def _words_won(result: Result) -> str:
    won = [
        f"*{each['word']}* ({each['system']} {percent(each['accuracy'])}, attention "
        f"{percent(each['attention'])})"
        for each in result["classic_wins"]
    ]
    n = result["n_words"]
    if not won:
        return f"No classic system is more accurate on any of the {n} words."
    return f"A classic system is more accurate on {len(won)} of {n} words: {', '.join(won)}."


def _few_shot(result: Result) -> str:
    curve = result["few_shot"]
    full = {row["name"]: row for row in result["systems"]}

    def both(scores: Result, deviation: str = "") -> str:
        return f"{percent(scores['accuracy'])}{deviation} / {percent(scores['macro_f1'])}"

    rows = {
        name: [*(both(p, f" ± {percent(p['accuracy_sd'])}") for p in points), both(full[name])]
        for name, points in curve["systems"].items()
    }
    return wide_table("examples of each sense", [*curve["sizes"], "all"], rows)


def _zero_shot() -> str:
    scores = [
        f"`{row['name']}` {percent(row['accuracy'])} / {percent(row['macro_f1'])}"
        for row in load("senses-coarsewsd20")["systems"]
        if row["name"] not in ("random", "cascade")
    ]
    return (
        "Without training sentences, with the inventory *homographs* mapped to these senses: "
        f"{', '.join(scores)}."
    )


# -- WiC and tasks ----------------------------------------------------------------------------


def wic(result: Result | None = None) -> str:
    """Same sense or not."""
    result = result or load("wic")
    n, seen, unseen = result["n"], result["n_dev_with_wordnet_example"], result["n_unseen"]
    places = {
        "dev": "On the development pairs, among systems without †,",
        "unseen": "On the unseen pairs",
    }
    return page(
        f"""Has a word the same sense in two sentences? {n} development pairs; thresholds and
        regressions are fitted on {result["n_train"]:,} training pairs. In half of the pairs the
        sense is the same. *p*: McNemar's test against *{result["baseline"]}*, Holm-corrected.
        {seen} of the {n} development pairs contain an example sentence of WordNet. Systems with †
        have seen these sentences with their senses, in training or in glosses. *unseen*: {unseen}
        pairs of both parts without such a sentence (regressions are fitted on other such pairs);
        for systems with † this is the fair figure.""",
        table(
            result["systems"],
            Column("system", lambda row: f"{row['name']}{' †' if row['has_read'] else ''}"),
            *_score(),
            *_score("unseen.", "unseen"),
        ),
        " ".join(f"{places[name]} {_duel(duel)}." for name, duel in result["duels"].items()),
        made_with(".wic"),
    )


def tasks(result: Result | None = None) -> str:
    """Sentiment and question type, with the cost beside them."""
    result = result or load("tasks")
    names = list(result["n"])
    sizes = " and ".join(
        f"*{name}* ({result['n'][name]:,} test sentences, {result['n_classes'][name]} classes)"
        for name in names
    )
    rows: dict[str, Result] = {}
    for row in result["systems"]:
        rows.setdefault(row["name"], {"name": row["name"], **row})[row["task"]] = row
    columns: list[Column] = []
    for name in names:
        accuracy, interval, p = _score(f"{name}.", name)
        f1 = Column("macro-F1", f"{name}.macro_f1", percent)
        columns += [accuracy, interval, f1, p, Column("ms", f"{name}.ms_per_sentence", number(2))]
    return page(
        f"""{sizes}: logistic regression on one vector for each sentence, with the same splits; the
        penalty is chosen on the training part. *p*: McNemar's test against *{result["baseline"]}*,
        Holm-corrected. *ms*: from tokens to the vector, one run ({machine(result)}).""",
        table(
            rows.values(),
            Column("sentence vector", "name"),
            *columns,
            Column("tokens encoded", "share_of_tokens_encoded", lambda x: f"{100 * x:.0f} %"),
            Column("MB on disk", "disk_mb", number(1)),
        ),
        "\n".join(_task_verdict(result, name) for name in names),
        made_with(".tasks"),
    )


def _task_verdict(result: Result, task: str) -> str:
    duel = result["duels"][task]
    ms = {row["name"]: row["ms_per_sentence"] for row in result["systems"] if row["task"] == task}
    ratio = ms[duel["attention"]] / max(ms[duel["classic"]], 1e-9)
    return (
        f"{task[0].upper()}{task[1:]}: {_duel(duel)}; attention takes {ratio:,.0f} times the time "
        "for a sentence's vector."
    )
