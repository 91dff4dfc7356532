"""What a dictionary must hold, what coarser answers are worth, and what corrections are."""

from __future__ import annotations

from benchmarks.common import Result, load
from benchmarks.tables.markdown import (
    Column,
    between,
    machine,
    made_with,
    page,
    percent,
    table,
    whole,
    wide_table,
)


def dictionaries() -> str:
    """Definitions and examples."""
    result = load("dictionaries")
    rows = {
        row["method"]: [percent(point["accuracy"]) for point in row["definitions"]]
        + [percent(point["accuracy"]) for point in row["examples"]]
        for row in result["dictionaries"]
    }
    first = result["dictionaries"][0]
    heads = [
        "definitions" if point["size"] == 0 else f"and {point['size']} examples"
        for point in first["definitions"]
    ]
    heads += [f"{point['size']} examples alone" for point in first["examples"]]
    named = {f"`{name}`": cells for name, cells in rows.items()}
    return page(
        f"Accuracy on the test set of *homographs* ({result['n']:,} sentences) with what a user's "
        "own dictionary may hold: definitions alone, with examples of each sense (mean of three "
        "draws), examples alone.",
        wide_table("method", heads, named),
        made_with(".dictionaries"),
    )


def few_examples() -> str:
    """What WordNet adds to few examples."""
    result = load("few-examples")
    columns = ("all", "plain", "near", "far", "cross", "distractor", "shifted")

    def shown(row: Result) -> str:
        n = row["examples"]
        examples = "all examples" if n is None else "no example" if n == 0 else f"examples: {n}"
        return f"{'definitions, ' if row['definitions'] else ''}{examples}"

    pairs = {
        shown(row): [row, other]
        for row in result["rows"]
        for other in result["rows"]
        if not row["wordnet"] and other["wordnet"] and shown(row) == shown(other)
    }
    cells = {
        name: [f"{percent(off[key])} / {percent(on[key])}" for key in columns]
        for name, (off, on) in pairs.items()
    }
    return page(
        f"Accuracy of `attention` on {result['n']:,} sentences of our own that are no test set, "
        "with `wordnet = false` / by default, by what the inventory holds of each sense (mean of "
        f"{result['draws']} draws). The strata are those of the test set.",
        wide_table("the inventory has", columns, cells),
        made_with(".few_examples"),
    )


def granularity() -> str:
    """Fine, coarse, supersense."""
    result = load("dictionaries")["granularity"]
    return page(
        f"Accuracy on *ALLamended* ({result['n']:,} words) where several senses are answered as "
        "one. A group is right if it holds a gold sense, so larger groups are easier: *groups* is "
        "the mean number that a word has.",
        table(
            result["rows"],
            Column("method", lambda row: f"`{row['method']}`"),
            Column("`granularity`", lambda row: f'`"{row["granularity"]}"`'),
            Column("groups", "groups", lambda value: f"{value:.1f}"),
            Column("accuracy", "accuracy", percent),
            Column("95 %", "ci95", between),
        ),
        made_with(".dictionaries"),
    )


def corrections() -> str:
    """What a reader's corrections are worth."""
    result = load("corrections")
    n = result["n"]
    return page(
        f"Accuracy on *homographs* after a simulated reader has corrected words of SemCor and "
        f"MASC ({result['n_reader']:,} for the reader, {n['other sentences']:,} others to "
        "measure). *wrong*: what the method had wrong of the words that the reader saw. Random: "
        "mean of five draws.",
        table(
            result["rows"],
            Column("method", lambda row: f"`{row['method']}`"),
            Column("corrected", "corrected", whole),
            Column("which", "order"),
            Column("wrong, %", lambda row: row.get("wrong"), percent),
            Column("other words", "other sentences", percent),
            Column(f"test set ({n['test set']:,})", "test set", percent),
        ),
        made_with(".corrections"),
    )


def reading() -> str:
    """The reading page of a long text."""
    result = load("reading")
    return page(
        f"A text of {whole(result['words'])} words with the senses of WordNet "
        f"({whole(result['marks'])} marked words) and all layers is a page of "
        f"{result['megabytes']:.1f} MB. Chromium opens it in {result['seconds_to_open']:.2f} s "
        f"(median of {len(result['opened'])}). {machine(result)}.",
        made_with(".reading"),
    )
