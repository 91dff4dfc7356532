"""Tables of the techniques that have a classic tool and a way of attention, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmarks.common import RESULTS, Result, load
from benchmarks.tables.markdown import Column, between, made_with, page, percent, table, whole

LEMMATIZERS = {
    "form": "the form itself",
    "porter": "Porter",
    "snowball": "Snowball",
    "lancaster": "Lancaster",
    "wordnet": "WordNet's morphology",
    "spacy": "spaCy's `lemmatizer`",
    "attention": "`attention_lemmatizer`",
    "attention without pos": "`attention_lemmatizer` without part of speech",
}
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


def lemmas() -> str:
    """Lemmas on seen, unseen, irregular and invented forms; conflation; speed where measured."""
    result = load("lemmas")
    n = result["n"]
    speeds: Result = {}
    if (RESULTS / "lemmas-speed.json").is_file():
        speeds = load("lemmas-speed")["forms_per_second"]

    def accuracy_on(kind: str) -> Column:
        head = f"{kind} ({n[kind]:,})"
        return Column(head, lambda row: with_interval(row["accuracy"][kind]))

    lemmatizers = [row for row in result["rows"] if row["accuracy"]]
    speed = [Column("forms/s", lambda row: speeds.get(row["name"]), whole)] if speeds else []
    return page(
        f"""Lemmas of {n["seen"] + n["unseen"]:,} different forms of SemCor: {n["seen"]:,} that the
        model ({result["model_mb"]} MB) was trained on, {n["unseen"]:,} of lemmas that it has never
        seen, and {n["invented"]} of invented words. Accuracy with 95 % intervals. The others
        have word lists in which nearly all of SemCor's words and most irregular forms stand, seen
        or not.""",
        table(
            lemmatizers,
            Column("", lambda row: LEMMATIZERS[row["name"]]),
            *map(accuracy_on, ("seen", "unseen", "invented")),
        ),
        """Irregular forms, which spelling rules do not give: *listed* are those of WordNet's
        exception lists that the model was trained on and SemCor lacks, *unseen* those of SemCor and
        of the lists whose lemma it has never seen. WordNet's morphology gives a lemma only where
        WordNet has the word.""",
        table(
            lemmatizers,
            Column("", lambda row: LEMMATIZERS[row["name"]]),
            *map(accuracy_on, (kind for kind in n if kind.startswith("irregular"))),
        ),
        """Conflation of the unseen forms: of the pairs of forms that are brought together, those
        that share a lemma (precision), and of those that do, the ones brought together (recall).
        Stemmers also bring together what is derived (*nation*, *national*), by design.""",
        table(
            result["rows"],
            Column("", lambda row: LEMMATIZERS[row["name"]]),
            Column("precision", "conflation.unseen.precision", percent),
            Column("recall", "conflation.unseen.recall", percent),
            Column("F1", lambda row: with_interval(row["conflation"]["unseen"])),
            Column("F1, invented", lambda row: with_interval(row["conflation"]["invented"])),
            *speed,
        ),
        made_with(".lemmas", *([".lemmas speed"] if speeds else [])),
    )


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


def grammar() -> str:
    """NLTK's grammar beside heads, on short sentences."""
    result = load("grammar")
    rows = result["rows"]
    names = {
        "grammar": f"`nltk_parser`, a PCFG of {result['n_productions']:,} productions",
        "probe": "the probe over vectors",
        "heads": "the head of attention known for each relation, which it is told",
        "offset": f"the word at {rows['offset']['offset']:+d}",
    }
    return page(
        f"""NLTK's grammar answers the question without being told the relation.
        {result["n_sentences"]:,} of the other sentences have at most {result["longest"]} tokens
        ({result["n"]:,} arcs); the PCFG is read off the parse of the first ones, with tags for
        words. It has a tree for {result["status"].get("parsed", 0):,} sentences; the arcs of the
        rest are wrong.""",
        table(
            [{"key": key, "shown": name, **rows[key]} for key, name in names.items()],
            Column("who", "shown"),
            Column("accuracy", with_interval),
            Column("words/s", lambda row: result["words_per_second"].get(row["key"]), whole),
        ),
        made_with(".grammar"),
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
    same = {key: f"{each['same']} of {each['n']}" for key, each in result["agreement"].items()}
    return page(
        f"""{result["n_questions"]} questions on {result["n_texts"]} texts of
        {result["n_sentences"] // result["n_texts"]} sentences, written for this project and marked
        by two readers (language models), the second one blind: how often the sentence that answers
        comes first, and what share of {result["n_central"]} sentences taken from each text is among
        its most central ones. The readers agree on {same["answers"]} answers and {same["central"]}
        central sentences; what either marked is right ({percent(result["by_chance"])} % of the
        sentences are central), and *by both* counts the central ones that both marked.""",
        table(
            result["rows"],
            Column("", lambda row: READERS[row["name"]]),
            Column("answer first", lambda row: with_interval(row["answers"])),
            Column("mean reciprocal rank", "answers.mean_reciprocal_rank", percent),
            Column("central sentences", lambda row: with_interval(row["summaries"])),
            Column("by both", lambda row: with_interval(row["summaries_by_both"])),
        ),
        made_with(".questions"),
    )


# -- the overview --------------------------------------------------------------------------------

_Speeds = tuple[float | None, float | None]  # classic, attention


def _speeds(technique: str) -> _Speeds:
    """Words a second of both sides, where they were measured."""
    if not (RESULTS / "technique-speed.json").is_file():
        return None, None
    found = load("technique-speed")["words_per_second"][technique]
    return found.get("classic"), found.get("attention")


def _side(
    technique: str,
    measure: str,
    tools: tuple[str, str],
    found: tuple[Result, Result],
    command: str,
    speeds: _Speeds = (None, None),
) -> Result:
    """A row: classic first, attention second."""
    return {
        "technique": technique,
        "measure": measure,
        "tools": tools,
        "found": found,
        "command": command,
        "speeds": speeds,
    }


def _by_name(rows: Iterable[Result]) -> dict[str, Result]:
    return {row["name"]: row for row in rows}


def _parsing() -> Iterator[Result]:
    result = load("heads")
    inside = result["inside_phrases"]
    yield _side(
        "Parsing: inside noun phrases",
        f"head of the word, relation given (n = {inside['n']:,})",
        ("`nltk_chunker`", "best head by relation"),
        (inside["chunks"], inside["best"]),
        ".heads",
        _speeds("chunks"),
    )
    short = load("grammar")
    by, speeds = short["rows"], short["words_per_second"]
    yield _side(
        f"Parsing: sentences of at most {short['longest']} tokens",
        f"head of the word (n = {short['n']:,})",
        ("`nltk_parser`", "probe over vectors"),
        (by["grammar"], by["probe"]),
        ".grammar",
        (speeds["grammar"], speeds["probe"]),
    )
    total = result["all"]
    yield _side(
        "Parsing: all sentences",
        f"head of the word (n = {total['n']:,})",
        (f"word at {total['offset']['offset']:+d}", "probe over vectors"),
        (total["offset"], total["probe"]),
        ".heads",
        _speeds("heads"),
    )


def _stemming() -> Iterator[Result]:
    result = load("lemmas")
    rows = _by_name(result["rows"])
    speeds: Result = {}
    if (RESULTS / "lemmas-speed.json").is_file():
        speeds = load("lemmas-speed")["forms_per_second"]
    for kind, what, classic in (
        ("unseen", "words of a corpus", "wordnet"),
        ("invented", "invented words", "spacy"),
    ):
        yield _side(
            f"Lemmas: {what}",
            f"lemma of unseen forms (n = {result['n'][kind]:,})",
            (LEMMATIZERS[classic], "`attention_lemmatizer`"),
            (rows[classic]["accuracy"][kind], rows["attention"]["accuracy"][kind]),
            ".lemmas",
            (speeds.get(classic), speeds.get("attention")),
        )
    yield _side(
        "Stems",
        "conflation of unseen forms, F1",
        ("Porter", "`attention_lemmatizer`"),
        (rows["porter"]["conflation"]["unseen"], rows["attention"]["conflation"]["unseen"]),
        ".lemmas",
        (speeds.get("porter"), speeds.get("attention")),
    )


def _names_and_relations() -> Iterator[Result]:
    result = load("entities")
    folds, speeds = _by_name(result["five_folds"]), _by_name(result["systems"])
    names = ("nltk_trained", "attention_probe")
    yield _side(
        "Named entities",
        "exact span and label, F1",
        ("`nltk_ner`, trained", "regression over vectors"),
        (folds[names[0]], folds[names[1]]),
        ".entities",
        (speeds[names[0]]["words_per_second"], speeds[names[1]]["words_per_second"]),
    )
    result = load("relation-pairs")
    rows = _by_name(result["rows"])
    yield _side(
        "Relations",
        f"pairs of subject and object, F1 (n = {result['n_pairs']['test']})",
        ("`relation_extractor`", "regression over vectors"),
        (rows["patterns"], rows["attention"]),
        ".relation_pairs",
        _speeds("relations"),
    )


def _vectors() -> Iterator[Result]:
    result = load("comparison")
    rows = _by_name(result["systems"])
    yield _side(
        "Word vectors: senses",
        f"sense of the word (n = {result['n']:,})",
        ("`word2vec`", "`attention`"),
        (rows["word2vec"], rows["attention"]),
        " run",
        (rows["word2vec"]["words_per_second"], rows["attention"]["words_per_second"]),
    )


def _reading() -> Iterator[Result]:
    result = load("questions")
    rows = _by_name(result["rows"])
    tools = ("static vectors", "`top_sentences`"), ("static vectors", "`summary`")
    for (technique, key), pair in zip(
        (("Questions", "answers"), ("Summaries", "summaries")), tools, strict=True
    ):
        n = result["n_questions"] if key == "answers" else result["n_texts"] * result["n_central"]
        yield _side(
            technique,
            f"{'answer first' if key == 'answers' else 'central sentences'} (n = {n})",
            pair,
            (rows["static"][key], rows["attention"][key]),
            ".questions",
            _speeds(key),
        )


def verdict(row: Result) -> str:
    """Which one is better, where the intervals do not overlap."""
    (classic_low, classic_high), (low, high) = (each["ci95"] for each in row["found"])
    if low > classic_high:
        return "**attention**"
    return "**classic**" if classic_low > high else "not shown"


def overview() -> str:
    """Every technique in one table."""
    rows = [
        row
        for make in (_parsing, _stemming, _names_and_relations, _vectors, _reading)
        for row in make()
    ]

    def side(i: int) -> Column:
        head = ("classic tool", "attention's way")[i]
        return Column(head, lambda row: f"{row['tools'][i]}<br>{with_interval(row['found'][i])}")

    def cost(row: Result) -> str | None:
        classic, attention = row["speeds"]
        if attention is None:
            return None
        return f"{'no cost' if classic is None else whole(classic)}<br>{whole(attention)}"

    return page(
        """In percent, with 95 % intervals. *verdict*: which one is better; *not shown* where the
        intervals overlap. *words/s*: words (for lemmas and stems: forms) a second, the classic tool
        above, attention below; compare them within a row, for rows were measured on different
        days and machines. The classic tool is the best of those that were measured, for stems
        the best stemmer. Each row is measured by `python -m` and its last column; the words/s of
        `benchmarks.heads`, `benchmarks.relation_pairs` and `benchmarks.questions` by
        `benchmarks.technique_speed`, those of `benchmarks.lemmas` by `benchmarks.lemmas speed`.""",
        table(
            rows,
            Column("technique", "technique"),
            Column("measure", "measure"),
            side(0),
            side(1),
            Column("verdict", verdict),
            Column("words/s", cost),
            Column("command", lambda row: f"`benchmarks{row['command']}`"),
        ),
    )
