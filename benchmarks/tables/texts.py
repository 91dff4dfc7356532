"""The table of realistic texts; ``benchmarks/real_text.py`` says what they are."""

from __future__ import annotations

from benchmarks.common import Result, load
from benchmarks.tables.markdown import Column, page, percent, table

__all__ = ["real_text"]


def real_text() -> str:
    """The table."""
    result = load("real-text")
    test = [row for row in result["systems"] if row["half"] == "test"]
    held_out = {
        (row["method"], row["parser"]): row
        for row in result["systems"]
        if row["half"] == "held out"
    }
    n_held_out = next(iter(held_out.values()))["n"]
    whose = {"`attention`": result, "With the accurate model": result["accurate"]}
    return page(
        f"{test[0]['n']} words of twelve texts; in percent, with 95 % intervals. *accepted*: the "
        "sense of the label, or another whose definition two labellers found true of the use. "
        f"*held out*: right of {n_held_out:,} words of texts of the written corpus that no model "
        "was trained on (a temperature and the weight of readings were chosen there).",
        table(
            test,
            Column("method", lambda row: f"`{row['method']}`"),
            Column("pipeline", lambda row: "tagger, parser, NER" if row["parser"] else "tagger"),
            Column("right", lambda row: percent(row["accuracy"])),
            Column("interval", lambda row: " to ".join(map(percent, row["ci95"]))),
            Column("accepted", lambda row: percent(row["accepted"])),
            Column("not found", lambda row: percent(row["not_found"])),
            Column("score above 0.95 and wrong", lambda row: percent(row["sure_and_wrong"])),
            Column(
                "held out",
                lambda row: percent(held_out[row["method"], row["parser"]]["accuracy"]),
            ),
        ),
        table(
            list(result["cases"].items()),
            Column("sentences that the first stage gets wrong", lambda item: item[0]),
            Column("right", lambda item: f"{item[1][0]} of {item[1][1]}"),
        ),
        *(f"{who}: {_covered(found)}" for who, found in whose.items()),
        "Made with `python -m benchmarks.real_text`.",
    )


def _covered(found: Result) -> str:
    """How well uses that no sense covers are told, and how many bats."""
    parts = [
        f"uses of *{name}* that no sense covers, by `none`, AUC {number['auc']:.2f} "
        f"({number['uncovered']} of {number['n']} uses)"
        for name, number in found["none"].items()
    ]
    parts += [f'"bat" with *{name}* {right} of {n}' for name, (right, n) in found["bats"].items()]
    return "; ".join(parts) + "."
