"""Tables of the techniques that have a classic tool and a way of attention, side by side."""

from __future__ import annotations

from benchmarks.common import (
    Column,
    Result,
    between,
    load,
    made_with,
    page,
    percent,
    table,
    whole,
)

RELATIONS = {
    "nsubj": "subject",
    "nsubjpass": "subject of a passive",
    "dobj": "object",
    "det": "determiner",
    "amod": "adjective",
    "advmod": "adverb",
    "prep": "preposition",
    "pobj": "object of a preposition",
    "compound": "noun before a noun",
    "poss": "possessor",
    "aux": "auxiliary",
    "auxpass": "auxiliary of a passive",
    "conj": "second of a conjunction",
    "cc": "conjunction",
    "mark": "subordinator",
}
PAIR_FINDERS = {
    "adjacent": "neighbouring phrases with a verb between",
    "patterns": "`relation_extractor`",
    "attention": "regression over attention",
    "both": "regression over attention and patterns",
}
READERS = {
    "position": "the first sentences",
    "tf-idf": "tf-idf",
    "static": "static vectors (GloVe)",
    "attention": "`top_sentences`, `summary`",
    "embedding": "the encoder's sentence vectors",
}


def with_interval(of: Result | None) -> str | None:
    """``71.2 (69.5 to 72.8)``, in percent."""
    if of is None:
        return None
    value = of["accuracy"] if "accuracy" in of else of["f1"]
    return f"{percent(value)} ({between(of['ci95'])})"


def heads() -> str:
    """Heads that follow syntax, by relation."""
    result = load("heads")
    total = result["all"]

    def best(row: Result) -> str:
        way = "up" if row["best"]["direction"] == "dependent to head" else "down"
        return f"{row['best']['layer']}-{row['best']['head']}, {way}"

    def offset(row: Result) -> str:
        return f"{row['offset']['offset']:+d}: {percent(row['offset']['accuracy'])}"

    first, second = result["n_sentences"]
    layers, n_heads = result["n_heads"]
    one = total["head"]
    return page(
        f"""How often the most attended word is the right one, by relation: the best of
        {layers * n_heads} heads of `{result["encoder"].rpartition("/")[2]}` (layer-head; *up*: the
        dependent looks at its head, *down*: the other way), chosen on {first:,} sentences of SemCor
        and measured on {second:,} others ({total["n"]:,} arcs of en_core_web_sm's parse). *offset*:
        the best word at a fixed distance. *probe*: a bilinear map over the vectors of layer
        {total["probe"]["layer"]}, which is not told the relation. *label*: the relation by logistic
        regression, given the right head. Relations with fewer than 300 arcs are in the result
        file.""",
        table(
            [row for row in result["relations"] if row["n"] >= 300],
            Column("relation", lambda row: RELATIONS.get(row["relation"], f"`{row['relation']}`")),
            Column("arcs", "n", whole),
            Column("head", best),
            Column("accuracy", lambda row: with_interval(row["best"])),
            Column("offset", offset),
            Column("chunker", "chunks.accuracy", percent),
            Column("probe", "probe.accuracy", percent),
            Column("label", "label.accuracy", percent),
        ),
        f"""Over all arcs without the relation: the best single head ({one["layer"]}-{one["head"]})
        {with_interval(one)}, the best offset ({total["offset"]["offset"]:+d})
        {with_interval(total["offset"])}, the probe {with_interval(total["probe"])}, head and label
        together {with_interval(total["probe_and_label"])}.""",
        made_with(".heads"),
    )


def pairs() -> str:
    """Related pairs by patterns, attention and both."""
    result = load("relation-pairs")
    n = result["n_pairs"]
    return page(
        f"""Who is related to whom: {n["test"]} pairs of subject and object in
        {result["n_sentences"]["test"]} hand-written sentences, exact words. The regression learns
        from {n["dev"]} pairs in {result["n_sentences"]["dev"]} sentences, chooses among the phrases
        of `nltk_chunker`, and reads no parse; {percent(result["reachable_by_phrases"])} % of the
        pairs are pairs of such phrases.""",
        table(
            result["rows"],
            Column("", lambda row: PAIR_FINDERS[row["name"]]),
            Column("precision", "precision", percent),
            Column("recall", "recall", percent),
            Column("F1", with_interval),
        ),
        made_with(".relation_pairs"),
    )


def questions() -> str:
    """Sentences that answer, sentences that sum up."""
    result = load("questions")
    return page(
        f"""{result["n_questions"]} questions on {result["n_texts"]} texts of
        {result["n_sentences"] // result["n_texts"]} sentences, written and marked for this project:
        how often the sentence that answers comes first, and how many of
        {result["n_central"]} sentences taken from each text are its most central ones.""",
        table(
            result["rows"],
            Column("", lambda row: READERS[row["name"]]),
            Column("answer first", lambda row: with_interval(row["answers"])),
            Column("mean reciprocal rank", "answers.mean_reciprocal_rank", percent),
            Column("central sentences", lambda row: with_interval(row["summaries"])),
        ),
        made_with(".questions"),
    )
