"""Tables of speed and memory."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.common import Result, by_processor, load
from benchmarks.tables.markdown import (
    Column,
    between,
    exact,
    machine,
    made_with,
    number,
    page,
    percent,
    table,
    whole,
    wide_table,
)

PRECISIONS = ("float32", "bfloat16", "int8")


def peers() -> str:
    """Contextual vectors: words per second beside peers, on each processor."""
    results = by_processor("speed")
    newest = list(results.values())[-1]

    def cells(of: Mapping[str, Result], name: str) -> list[str]:
        rows = [result["systems"].get(name, {}) for result in of.values()]
        return [
            f"{row['words_per_second']:,.0f} ({number(2)(row.get('times_baseline', 1.0))})"
            if "words_per_second" in row
            else "-"
            for row in rows
        ]

    def rows_of(of: Mapping[str, Result]) -> dict[str, list[str]]:
        systems = list(of.values())[-1]["systems"]
        names = sorted(systems, key=lambda name: -systems[name].get("words_per_second", 0))
        return {name: cells(of, name) for name in names}

    senses = {name: result["senses"] for name, result in results.items()}
    made_on = "; ".join(f"{name}: {machine(result)}" for name, result in results.items())
    return page(
        f"""Contextual vectors of {newest["n_words"]:,} words in {newest["n_documents"]} documents
        of 1 to 20 sentences: words per second, and relative to {newest["baseline"]}. All systems
        use the same MiniLM weights, each in its own process, in turns (median of
        {newest["turns"]}; {made_on}). "auto" is int8 on a processor with AVX2 alone and bfloat16 on
        the others. sentence-transformers returns vectors of wordpieces, without alignment to
        words, and leaves out what is beyond the 256th piece of a text.""",
        wide_table("system", results, rows_of(results)),
        f"""Senses of all words with the same tagger, relative to
        {newest["senses"]["baseline"]} (random because only time is measured):""",
        wide_table("system", senses, rows_of(senses)),
        made_with(".speed.peers"),
    )


def latency() -> str:
    """Milliseconds of one request, beside peers, on each processor."""
    results = by_processor("latency")

    def both(found: Result) -> str:
        return f"{found['p50']:.1f} / {found['p99']:.1f}"

    parts = []
    for kind, result in results.items():
        parts.append(f"{kind} ({machine(result)}):")
        for threads, systems in result["threads"].items():
            rows = {
                name: [both(row[str(n)]) if "error" not in row else "-" for n in result["words"]]
                for name, row in systems.items()
            }
            with_threads = f"{threads} thread{'s' if threads != '1' else ''}"
            corner = f"ms of a text with {with_threads}, by its words"
            parts.append(wide_table(corner, result["words"], rows))
    newest = list(results.values())[-1]
    return page(
        f"""One text at a time, warm: p50 / p99 of {newest["requests"]} requests of each length.
        Senses include the tagger and the lemmatizer.""",
        *parts,
        made_with(".speed.latency"),
    )


def int8() -> str:
    """Products of one layer in 8-bit integers, beside the floating ones."""
    result = load("int8")
    kinds = list(result["rows"]["all"])

    def cells(row: Result) -> list[str]:
        return [f"{sum(row[kind]) / 1000:.1f}" if row.get(kind) else "-" for kind in kinds]

    return page(
        f"""Milliseconds of the four products of one layer over {result["wordpieces"]:,}
        wordpieces, and of the passes that round vectors to uint8, where oneDNN may use these
        instructions alone ({machine(result)}; "-": no fast kernel, or not measured):""",
        wide_table("instructions", kinds, {k: cells(row) for k, row in result["rows"].items()}),
        made_with(".speed.int8"),
    )


def int8_senses() -> str:
    """Senses and vectors in 8-bit integers, beside float32."""
    result = load("int8-senses")
    rows = [
        {**row, "name": f"{name}, {row['name']}"}
        for name, both in result["senses"].items()
        for row in both
    ]

    def changed(row: Result) -> str:
        found = row["comparison"]
        return f"{found['only_this']} / {found['only_baseline']}" if found else ""

    return page(
        """Accuracy of `attention` in both precisions; how many words int8 alone, and float32 alone,
        has right:""",
        table(
            rows,
            Column("set, precision", "name"),
            Column("n", "n", whole),
            Column("accuracy", "accuracy", percent),
            Column("95 %", lambda row: between(row["ci95"])),
            Column("int8 / float32 alone right", changed),
        ),
        "Mean cosine to the vectors of float32, on text that the scales were not made from:",
        table(
            [{"name": name, "cosine": cosine} for name, cosine in result["cosine"].items()],
            Column("default encoder", "name"),
            Column("mean cosine", "cosine", number(4)),
        ),
        f"""Between processors with and without VNNI the mean cosine is
        {result["cosine_without_vnni"]:.6f}. {made_with(".int8_senses")}""",
    )


def processors() -> str:
    """Words per second with the instructions of other processors."""
    result = load("processors")
    rows = result["rows"]
    names = list(dict.fromkeys(name for row in rows.values() for name in row["systems"]))

    def cells(row: Result) -> list[str]:
        found = [row["systems"].get(name, {}) for name in names]
        return [
            f"{each['words_per_second']:,.0f} ({each['times_baseline']:.2f})"
            if "times_baseline" in each
            else "-"
            for each in found
        ] + [row["processor"]]

    return page(
        f"""Words per second of {result["n_words"]:,} words, and relative to a plain loop over
        Hugging Face's model (32 documents as they come, padded), where torch, oneDNN and MKL may
        use these instructions alone (median of {result["turns"]}, 2 threads). Where the processor
        has more, they are emulated:""",
        wide_table(
            "instructions", [*names, "processor"], {name: cells(row) for name, row in rows.items()}
        ),
        made_with(".speed.processors"),
    )


def limits() -> str:
    """Time by stage, share of the matrix peak, cost against size, and loading."""
    result, loading = load("scaling"), load("loading")
    names = [name for name in PRECISIONS if name in result]
    both = [result[name] for name in names]
    stages = {
        stage: [number(1)(row["microseconds_a_word"][stage]) for row in both]
        for stage in both[0]["microseconds_a_word"]
    }
    peaks = [f"{r['gflops']:,} of {r['peak_gflops']:,} ({percent(r['share'])} %)" for r in both]
    stages["GFLOP/s of the forward pass, of the peak of matrix products"] = peaks
    kinds = {
        "length": "tokens in a document",
        "batch_pieces": "wordpieces in a batch",
        "documents": "documents of 25 words",
    }
    by_size = []
    for kind, unit in kinds.items():
        sizes = list(both[0]["words_per_second"][kind])[:: 2 if kind == "length" else 1]
        rows = {
            name: [whole(result[name]["words_per_second"][kind][size]) for size in sizes]
            for name in names
        }
        by_size.append(wide_table(f"words/s by number of {unit}", sizes, rows))
    return page(
        wide_table("microseconds a word", names, stages),
        *by_size,
        """Cold start: a process up to its first annotated document; then single steps, with spaCy
        and torch imported.""",
        table(
            [{"name": name, **row} for name, row in loading["rows"].items()],
            Column("a new process, or a step", "name"),
            Column("ms", lambda row: 1000 * row["seconds"], whole),
            Column(f"relative to {loading['baseline']}", "ratio", number(2)),
        ),
        made_with(".speed.scaling", ".speed.loading"),
    )


def memory() -> str:
    """Long jobs, a long document, the budget."""
    return page(
        table(
            [{"name": name, **row} for name, row in load("memory")["rows"].items()],
            Column("job", "name"),
            Column(
                "growth per 10,000 documents, MB",
                "slope_mb_per_10000_documents",
                lambda slope: f"{slope:+.2f}",
            ),
            Column("peak, MB", "peak_mb", whole),
            Column("growth, MB", "peak_growth_mb", whole),
        ),
        made_with(".speed.memory"),
    )


def more_or_less(ratio: float) -> str:
    """What a ratio says of the cost: ``0.4 % less``."""
    return f"{percent(abs(ratio - 1))} % {'less' if ratio < 1 else 'more'}"


def selective() -> str:
    """What is saved where few words have senses, and by the cascade."""
    result = load("selective")
    chosen, quiet, cascade = result["selective"], result["nothing_to_do"], result["cascade"]
    curve = cascade["held_out"]["word2vec"]
    return page(
        f"""*homographs* on {chosen["n_words"]:,} words of SemCor: time of the component alone as
        a percentage of the time of encoding everything, and accuracy. Documents without a word of
        the inventory cost {more_or_less(quiet["ratio"])} than en_core_web_sm alone.""",
        table(
            [{"name": name, **chosen[name]} for name in PRECISIONS if name in chosen],
            Column("precision", "name"),
            Column("time, %", "ratio", percent),
            Column("accuracy", "accuracy.selective", percent),
            Column("accuracy, everything encoded", "accuracy.full", percent),
        ),
        """`cascade` (`word2vec` first): percentage of words passed to attention, and accuracy, for
        each `margin`, on held-out examples of the inventory:""",
        wide_table(
            "margin",
            [f"{point['margin']:g}" for point in curve],
            {
                "passed to attention": [percent(point["left"]) for point in curve],
                "accuracy": [percent(point["accuracy"]) for point in curve],
            },
        ),
        f"""The default margin, {cascade["default_margin"]:g}, is the smallest that loses at most
        0.3 points. On the test sentences:""",
        table(
            cascade["test_sentences"],
            Column("method", "method"),
            Column("accuracy", "accuracy", percent),
            Column("tokens encoded, %", "tokens_encoded", percent),
        ),
        made_with(".speed.selective"),
    )


def all_words() -> str:
    """What all-words senses add to the cost of the pipeline."""
    result = load("all-words-cost")
    rss = result["rss_mb"]
    loaded = rss["loaded"]["held"]
    return page(
        f"""Tagger, lemmatizer, `attention_encoder` and all-words senses, compared with the same
        pipeline without senses (median of {result["repetitions"]} paired runs). Memory is given in
        MB above a loaded en_core_web_sm; tagger and lemmatizer alone take
        {rss["tagger"]["peak"] - loaded} MB.""",
        table(
            [{"name": name, **result[name], **rss[name]} for name in PRECISIONS if name in result],
            Column("precision", "name"),
            Column("time, relative", "ratio", exact),
            Column("words/s, whole pipeline", "words_per_second.with_senses", whole),
            Column("memory", lambda row: row["held"] - loaded),
            Column("peak memory", lambda row: row["peak"] - loaded),
        ),
        f"{machine(result)}. {made_with('.all_words_cost')}",
    )


def jobs() -> str:
    """A table for planning, and what jobs cost besides the pipeline."""
    result = load("jobs")
    n_words, n_bytes = result["words_of_a_document"], result["bytes_of_a_document"]
    workers, last = result["workers"], result["long"]

    def hours(row: Result) -> float:
        return float(10e9 / n_bytes / row["documents_per_second"] / 3600)

    share = Column("reading and writing, %", "share_of_reading_and_writing", percent)
    return page(
        table(
            [{"name": name, **row} for name, row in result["kinds"].items()],
            Column("what is annotated", "name"),
            Column(
                "million words a day and core",
                lambda row: row["documents_per_second"] * n_words * 86400 / 1e6,
                whole,
            ),
            Column("core hours for 10 GB of JSONL", hours, number(1)),
            Column("hours on 16 cores", lambda row: hours(row) / 16, number(1)),
            share,
        ),
        f"""Documents of {n_words} words from SemCor, one thread for each process. Two workers are
        {workers["ratio"]:.2f} times as fast as one (median of {len(workers["pairs"])} pairs). In
        the longest job, memory grows by {last["mb_per_10000_documents"]:.2f} MB for 10,000
        documents.""",
        table(
            [*result["sizes"], last],
            Column("*homographs*, documents", "documents", whole),
            Column("CPU seconds", "cpu_seconds_of_parent", whole),
            share,
        ),
        "10,000 documents with the same pipeline, seconds, loading included:",
        table(
            [{"n": n, **row} for n, row in result["apply"].items()],
            Column("`--n-process`", "n"),
            Column("`spacy-attn annotate`", lambda row: row["spacy-attn annotate"], number(1)),
            Column("`spacy apply`", lambda row: row["spacy apply"], number(1)),
        ),
        f"{machine(result)}. {made_with('.jobs')}",
    )
