"""Tables of the classic components."""

from __future__ import annotations

from benchmarks.common import Result, load
from benchmarks.tables.markdown import (
    Column,
    between,
    exact,
    made_with,
    page,
    percent,
    table,
    whole,
    wide_table,
)

SCORES = [
    Column("precision", "precision", percent),
    Column("recall", "recall", percent),
    Column("F1", "f1", percent),
    Column("95 %", "ci95", between),
]
CHUNKERS = {
    "most_frequent": "most frequent label of the tag",
    "grammar": "`nltk_chunker`, default grammar",
    "trained": "`nltk_chunker`, trained",
}
FINDERS = {
    "nltk_trained": "`nltk_ner`, trained",
    "spacy_ner": "spaCy's CNN `ner` (en_core_web_sm)",
    "attention_probe": "logistic regression over attention vectors",
    "most_frequent": "most frequent label of the word",
}
WORDS = Column("words/s", "words_per_second", whole)


def chunks() -> str:
    """Chunkers on CoNLL-2000."""
    result = load("chunking")
    return page(
        f"""Chunks on the CoNLL-2000 test part ({result["n_words"]:,} words,
        {result["n_chunks"]:,} chunks, with the tags of the corpus):""",
        table(
            result["chunkers"],
            Column("chunker", lambda row: CHUNKERS[row["name"]]),
            *SCORES,
            *(Column(kind, f"types.{kind}.f1", percent) for kind in ("NP", "VP", "PP")),
            WORDS,
        ),
        made_with(".chunking"),
    )


def entities() -> str:
    """Named entities on IEER: classic, CNN and attention on the same documents."""
    result = load("entities")
    speed = {row["name"]: row["words_per_second"] for row in result["systems"]}
    rows = sorted(result["five_folds"], key=lambda row: -row["f1"])
    spacy_f1 = next(row["f1"] for row in rows if row["name"] == "spacy_ner")

    def difference(row: Result) -> str | None:
        if "ci95_of_difference" not in row:
            return None
        low, high = row["ci95_of_difference"]
        points = 100 * (row["f1"] - spacy_f1)
        return f"{points:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"

    return page(
        """Named entities on NLTK's IEER newswire: five folds by document, exact span and label
        (`benchmarks/entities_labels.json` maps spaCy's labels). *to spaCy*: difference in F1 to
        spaCy's `ner`, paired by document; it was trained on other texts with other guidelines, the
        other systems on four fifths of this small corpus.""",
        table(
            rows,
            Column("system", lambda row: FINDERS[row["name"]]),
            Column("trained on IEER", lambda row: "no" if row["name"] == "spacy_ner" else "yes"),
            *SCORES,
            Column("to spaCy", difference),
            Column("spans alone, F1", "span_only.f1", percent),
            Column("words/s", lambda row: speed[row["name"]], whole),
        ),
        made_with(".entities"),
    )


def relations() -> str:
    """Relations on hand-written sentences, by class."""
    result = load("relations")
    classes = {name.replace("_", " "): row for name, row in result["classes"].items() if row["n"]}
    return page(
        f"""Relations on {result["n_sentences"]} sentences with {result["n"]} hand-written triples
        (not by the author of the code; a triple is correct when all its parts are exact):
        precision {percent(result["precision"])}, recall {percent(result["recall"])}, F1
        {percent(result["f1"])}.""",
        wide_table(
            "class",
            classes,
            {
                "triples": [str(row["n"]) for row in classes.values()],
                "F1": [percent(row["f1"]) for row in classes.values()],
            },
        ),
        made_with(".relations"),
    )


def cost() -> str:
    """Time of the classic components, and memory of shared vectors."""
    speed, rows = load("classic-speed"), load("word2vec-memory")["rows"]
    shares, words = speed["share_of_en_core_web_sm"], speed["words_per_second"]
    heads = [*(f"`{name}`" for name in shares), "all in one pipeline"]
    times = [*map(exact, shares.values()), exact(speed["ratio"] - 1)]
    return page(
        f"""Time of each component, relative to the whole of en_core_web_sm (= 1), same documents,
        median of {speed["repetitions"]} runs. With all of them the pipeline does
        {words["with_classic"]:,} words/s, without them {words["en_core_web_sm"]:,}.""",
        wide_table("", heads, {"time": times}),
        "Memory that processes with the 400,000 GloVe vectors need together, MB above their start "
        "(proportional set size; ours are memory-mapped, gensim's are read):",
        table(
            rows,
            Column("vectors of", "name"),
            Column("processes", "processes"),
            Column("MB", "pss_growth_mb", whole),
        ),
        made_with(".classic_speed", ".word2vec_memory"),
    )
