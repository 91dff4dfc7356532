"""Write the tables of README.md from the committed results.

    python -m benchmarks.tables

Numbers stand between ``<!-- NAME -->`` and ``<!-- /NAME -->``, NAME one of ``SECTIONS``, and
are never typed; a test fails where the text and ``benchmarks/results/*.json`` disagree.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.manifest import ROOT

__all__ = ["SECTIONS", "replace_between"]

RESULTS = ROOT / "benchmarks" / "results"


def _load(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return result


def senses() -> str:
    """The methods on both sets, and the sentences that say what came out."""
    own, coarse = _load("senses-homographs.json"), _load("senses-coarsewsd20.json")
    lines = [
        f"Share of right senses. *homographs*: {own['n']} test sentences written for this "
        "project, none near an example of the inventory. "
        f"*CoarseWSD-20*: all {coarse['n']:,} test sentences (Loureiro et al. 2021), nothing "
        "trained or tuned on that set, our senses mapped to its own.",
        "",
        "| method | homographs | 95 % | macro-F1 | CoarseWSD-20 | 95 % | macro-F1 | words/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    others = {system["name"]: system for system in coarse["systems"]}
    for system in own["systems"]:
        other = others[system["name"]]
        lines.append(
            f"| `{system['name']}` | {_percent(system['accuracy'])} | {_interval(system)} "
            f"| {_percent(system['macro_f1'])} | {_percent(other['accuracy'])} "
            f"| {_interval(other)} | {_percent(other['macro_f1'])} "
            f"| {other['words_per_second']:,} |"
        )
    lines += ["", _ends(own, coarse), "", _classic_wins(coarse)]
    processor, threads = coarse["manifest"]["processor"], coarse["manifest"]["threads"]
    lines += [
        "",
        "Words/s: the method alone over texts that are tokenised and tagged already "
        f"(CoarseWSD-20, {processor}, {threads} threads, one run). "
        "Made with `python -m benchmarks.senses homographs` and `... coarsewsd20`.",
    ]
    return "\n".join(lines)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _interval(system: dict[str, Any]) -> str:
    low, high = system["ci95"]
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _ends(own: dict[str, Any], coarse: dict[str, Any]) -> str:
    a, b = own["end_to_end"], coarse["end_to_end"]
    return (
        "On plain text, where the pipeline must find the word first (a word it does not find "
        f"counts as wrong), `attention` has {_percent(a['accuracy'])} on homographs "
        f"({_percent(a['found'])} found) and {_percent(b['accuracy'])} on CoarseWSD-20 "
        f"({_percent(b['found'])} found; that set is lower-cased, which misleads the tagger)."
        " The rule that takes mistagged nouns for nouns was made after a look at the tags of "
        "that set; no method's decision was."
    )


def _classic_wins(coarse: dict[str, Any]) -> str:
    systems = {system["name"]: system for system in coarse["systems"]}
    attention = systems.pop("attention")["by_word"]
    systems.pop("cascade")  # half attention itself
    won = []
    for word, best in attention.items():
        name = max(systems, key=lambda s: systems[s]["by_word"][word])
        if systems[name]["by_word"][word] > best:
            score = systems[name]["by_word"][word]
            won.append(f"*{word}* ({name} {_percent(score)}, attention {_percent(best)})")
    if not won:
        return "No classic method beats `attention` on any of the 20 words."
    return f"Where a classic method does better on CoarseWSD-20: {', '.join(won)}."


def chunks() -> str:
    """Chunkers on CoNLL-2000."""
    result = _load("chunking.json")
    lines = [
        f"Chunks on the CoNLL-2000 test part ({result['n_words']:,} words, "
        f"{result['n_chunks']:,} chunks, the corpus' own tags):",
        "",
        "| chunker | precision | recall | F1 | 95 % | NP | VP | PP | words/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    names = {
        "most_frequent": "most frequent label of the tag",
        "grammar": "`nltk_chunker`, default grammar",
        "trained": "`nltk_chunker`, trained",
    }
    for row in result["chunkers"]:
        kinds = " | ".join(_percent(row["types"][kind]["f1"]) for kind in ("NP", "VP", "PP"))
        lines.append(
            f"| {names[row['name']]} | {_percent(row['precision'])} | {_percent(row['recall'])} "
            f"| {_percent(row['f1'])} | {_interval(row)} | {kinds} | {row['words_per_second']:,} |"
        )
    return "\n".join([*lines, "", "Made with `python -m benchmarks.chunking`."])


def entities() -> str:
    """Named entities on IEER: classic, CNN and attention on the same documents."""
    result = _load("entities.json")
    lines = [
        "Named entities on NLTK's IEER newswire, five folds by document, exact span and label "
        "(spaCy's labels through a written map, `benchmarks/entities_labels.json`):",
        "",
        "| system | trained on IEER | precision | recall | F1 | 95 % | spans alone, F1 | words/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    names = {
        "nltk_trained": ("`nltk_ner`, trained", "yes"),
        "spacy_ner": ("spaCy's CNN `ner` (en_core_web_sm)", "no"),
        "attention_probe": ("logistic regression over attention vectors", "yes"),
        "most_frequent": ("most frequent label of the word", "yes"),
    }
    speed = {row["name"]: row["words_per_second"] for row in result["systems"]}
    rows = {row["name"]: row for row in result["five_folds"]}
    for name in sorted(rows, key=lambda name: -rows[name]["f1"]):
        row, (label, trained) = rows[name], names[name]
        lines.append(
            f"| {label} | {trained} | {_percent(row['precision'])} | {_percent(row['recall'])} "
            f"| {_percent(row['f1'])} | {_interval(row)} | {_percent(row['span_only']['f1'])} "
            f"| {speed[name]:,} |"
        )
    return "\n".join([*lines, "", _entity_verdict(rows), "Made with `python -m "
                      "benchmarks.entities`."])  # fmt: skip


def _entity_verdict(rows: dict[str, Any]) -> str:
    """Differences to spaCy's recogniser, which was trained on other texts by other rules."""
    said = []
    for name, label in (("nltk_trained", "the trained NLTK chunker"), ("attention_probe", "the "
                        "probe over attention vectors")):  # fmt: skip
        low, high = rows[name]["ci95_of_difference"]
        difference = rows[name]["f1"] - rows["spacy_ner"]["f1"]
        sure = "" if low <= 0 <= high else ", which the interval holds to be real"
        said.append(
            f"{label} {100 * difference:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}{sure})"
        )
    return (
        f"Against spaCy's recogniser, paired by document: {said[0]}, {said[1]}. It learned other "
        "texts by other rules; the others saw four fifths of this small corpus. On these "
        "documents attention vectors with a linear probe do not beat the classic chunker."
        if rows["attention_probe"]["f1"] <= rows["nltk_trained"]["f1"]
        else f"Against spaCy's recogniser, paired by document: {said[0]}, {said[1]}."
    )


def relations() -> str:
    """Relations on hand-written sentences, by class."""
    result = _load("relations.json")
    classes = {k: v for k, v in result["classes"].items() if v["n"]}
    lines = [
        f"Relations on {result['n_sentences']} sentences with {result['n']} hand-written triples "
        "(by another author than the code's; a triple counts when all its parts are exact): "
        f"precision {_percent(result['precision'])}, recall {_percent(result['recall'])}, F1 "
        f"{_percent(result['f1'])}.",
        "",
        f"| class | {' | '.join(name.replace('_', ' ') for name in classes)} |",
        f"|---|{'---|' * len(classes)}",
        f"| triples | {' | '.join(str(row['n']) for row in classes.values())} |",
        f"| F1 | {' | '.join(_percent(row['f1']) for row in classes.values())} |",
        "",
        "Made with `python -m benchmarks.relations`.",
    ]
    return "\n".join(lines)


def classic_cost() -> str:
    """Time of the classic components, and memory of shared vectors."""
    speed, memory = _load("classic-speed.json"), _load("word2vec-memory.json")
    words = speed["words_per_second"]
    rows = {(row["name"], row["processes"]): row for row in memory["rows"]}
    ours, theirs = rows["spacy_attn", 4], rows["gensim", 4]
    shares = " | ".join(f"{share:.3f}" for share in speed["share_of_en_core_web_sm"].values())
    names = [f"`{name}`" for name in speed["share_of_en_core_web_sm"]]
    return "\n".join(
        [
            "Time of each component beside en_core_web_sm as a whole (= 1), same run, same "
            f"documents, median of {speed['repetitions']}:",
            "",
            f"| {' | '.join(names)} | all, in one pipeline |",
            f"|{'---|' * (len(names) + 1)}",
            f"| {shares} | {speed['ratio'] - 1:.3f} |",
            "",
            f"That is {words['with_classic']:,} words/s with all of them, "
            f"{words['en_core_web_sm']:,} without. Made with `python -m benchmarks.classic_speed`.",
            "",
            "Four processes with the 400,000 GloVe vectors take "
            f"{ours['pss_growth_mb']:.0f} MB together (proportional set size; gensim's "
            f"KeyedVectors {theirs['pss_growth_mb']:.0f} MB), because the file is mapped, not "
            "read. Made with `python -m benchmarks.word2vec_memory`.",
        ]
    )


def all_words() -> str:
    """Words of running text: our methods beside published predictions."""
    results = _load("all-words.json")
    given, plain, masc = results["given"], results["end_to_end"], results["masc"]
    n_by = given["n_by"]
    lines = [
        f"Share of right senses on *ALLamended* ({given['n']:,} words of running text, each with "
        "two senses or more; nothing trained or tuned on it). *not first*: the "
        f"{n_by['subsets']['not_first']:,} words whose answer is not WordNet's first sense. "
        f"*unseen*: the {n_by['subsets']['unseen_sense']:,} words of whose right senses our "
        "training corpora hold none. *ECE*: calibration error. Rows in italics are the systems' "
        "own published predictions, scored by the same code.",
        "",
        "| system | all | 95 % | nouns | verbs | adjectives | adverbs | not first | unseen "
        "| supersense | ECE |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for system in given["systems"]:
        is_published = system["kind"] == "published predictions"
        name = f"*{system['name']}*" if is_published else f"`{system['name']}`"
        error = system["calibration_error"]
        cells = [
            _percent(system["accuracy"]), _interval(system),
            *(_percent(system["pos"][pos]) for pos in ("NOUN", "VERB", "ADJ", "ADV")),
            *(_percent(system["subsets"][name]) for name in ("not_first", "unseen_sense")),
            _percent(system["supersense_accuracy"]), "" if error is None else f"{error:.3f}",
        ]  # fmt: skip
        lines.append(f"| {name} | {' | '.join(cells)} |")
    papers = "; ".join(f"{name} {_percent(x)}" for name, x in results["from_papers"].items())
    lines += [
        "",
        f"From papers alone, on another set and so not comparable line by line: {papers}.",
    ]
    lines += ["", _plain_text(plain), "", _genres(masc), "", _prior(results)]
    return "\n".join(lines)


def _by_name(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {system["name"]: system for system in result["systems"]}


def _plain_text(plain: dict[str, Any]) -> str:
    rows = _by_name(plain)
    own, first = rows["attention"], rows["first_sense"]
    return (
        "On plain text, where en_core_web_sm finds words, tags and lemmas (what it misses or "
        f"tags otherwise counts as wrong), `attention` has {_percent(own['accuracy'])} and "
        f"`first_sense` {_percent(first['accuracy'])}; {_percent(own['coverage'])} % of the words "
        "are found."
    )


def _genres(masc: dict[str, Any]) -> str:
    rows = _by_name(masc)
    own, first = rows["attention"], rows["first_sense"]
    better = sorted(g for g in own["strata"] if own["strata"][g] > first["strata"][g])
    low, high = (f(own["strata"], key=own["strata"].get) for f in (min, max))
    return (
        f"MASC, {masc['n']:,} words of {len(own['strata'])} written and spoken genres, none of "
        f"them trained on: `attention` {_percent(own['accuracy'])}, `first_sense` "
        f"{_percent(first['accuracy'])}; better in {len(better)} of {len(own['strata'])} genres, "
        f"from {_percent(own['strata'][low])} ({low}) to {_percent(own['strata'][high])} ({high}). "
        "MASC's labels are mapped from another dictionary, which limits every system."
    )


def _prior(results: dict[str, Any]) -> str:
    tried = results["prior_on_held_out_semcor"]
    shown = ", ".join(f"{_percent(x)} with weight {weight}" for weight, x in tried.items())
    return (
        "A first-sense prior (logarithm of WordNet's counts, times a weight) on held-out "
        f"documents of SemCor: {shown}. None is used by default; the best weight above 0 has a "
        "row of its own."
    )


def all_words_cost() -> str:
    """What all-words senses add to the pipeline before them."""
    result = _load("all-words-cost.json")
    rss = result["rss_mb"]
    loaded = rss["loaded"]["held"]
    parts = [
        f"{name}: x {result[name]['ratio']:.3f} "
        f"({result[name]['words_per_second']['with_senses']:,} words/s in all; "
        f"{rss[name]['held'] - loaded} MB above a loaded en_core_web_sm, "
        f"{rss[name]['peak'] - loaded} at the peak, of which tagger and lemmatizer alone take "
        f"{rss['tagger']['peak'] - loaded})"
        for name in ("float32", "bfloat16")
    ]
    processor, threads = result["manifest"]["processor"], result["manifest"]["threads"]
    return (
        "Time of tagger, lemmatizer, `attention_encoder` and all-words senses against the same "
        f"without senses, median of {result['repetitions']} paired runs: {'; '.join(parts)}. "
        f"{processor}, {threads} threads. Made with `python -m benchmarks.all_words_cost`."
    )


def speed() -> str:
    """Contextual vectors: words per second beside peers."""
    result = _load("speed.json")
    processor, threads = result["manifest"]["processor"], result["manifest"]["threads"]
    lines = [
        f"Contextual vectors of {result['n_words']:,} words in {result['n_documents']} documents "
        "of 1 to 20 sentences: the same MiniLM weights, each system in a process of its own, in "
        f"turns (median of {result['turns']}; {processor}, {threads} threads each):",
        "",
        f"| system | words/s | times {result['baseline']} |",
        "|---|---|---|",
    ]
    rows = result["systems"]
    for name in sorted(rows, key=lambda name: -rows[name].get("words_per_second", 0)):
        row = rows[name]
        if "error" in row:
            lines.append(f"| {name} | did not run: {row['error']} | |")
        else:
            lines.append(f"| {name} | {row['words_per_second']:,} | {row['times_baseline']:.2f} |")
    lines += [
        "",
        '"auto" is bfloat16 here. sentence-transformers gives vectors of wordpieces and aligns '
        "none of them to words. Made with `python -m benchmarks.speed.peers`.",
    ]
    return "\n".join(lines)


def selective() -> str:
    """What is saved where few words have senses, and by the cascade."""
    result = _load("selective.json")
    chosen, quiet, cascade = result["selective"], result["nothing_to_do"], result["cascade"]
    shares = "; ".join(
        f"{name}: {_percent(chosen[name]['ratio'])} % of the time of encoding everything, accuracy "
        f"{_percent(chosen[name]['accuracy']['selective'])} (everything: "
        f"{_percent(chosen[name]['accuracy']['full'])})"
        for name in ("float32", "bfloat16")
    )
    name = "word2vec"
    curve = cascade["held_out"][name]
    lines = [
        f"*homographs* over {chosen['n_words']:,} words of SemCor, the component's own time: "
        f"{shares}. Documents without a word of the inventory cost "
        f"{100 * (quiet['ratio'] - 1):.1f} % over en_core_web_sm.",
        "",
        f"`cascade` (`{name}` first): words left to attention, and accuracy, by margin, on "
        "held-out examples of the inventory:",
        "",
        "| margin | " + " | ".join(f"{point['margin']:g}" for point in curve) + " |",
        "|---|" + "---|" * len(curve),
        "| left to attention | " + " | ".join(_percent(p["left"]) for p in curve) + " |",
        "| accuracy | " + " | ".join(_percent(p["accuracy"]) for p in curve) + " |",
        "",
        f"The default margin, {cascade['default_margin']:g}, is the smallest that loses at "
        "most 0.3 points. On the test sentences: "
        + "; ".join(
            f"{row['method']} {_percent(row['accuracy'])} with {_percent(row['tokens_encoded'])} % "
            "of the tokens encoded"
            for row in cascade["test_sentences"]
        )
        + ". Made with `python -m benchmarks.speed.selective`.",
    ]
    return "\n".join(lines)


#: What stands between the markers of each name.
SECTIONS: dict[str, Callable[[], str]] = {
    "speed": speed,
    "selective": selective,
    "results": senses,
    "all-words": all_words,
    "all-words-cost": all_words_cost,
    "chunks": chunks,
    "entities": entities,
    "relations": relations,
    "classic-cost": classic_cost,
}


def replace_between(text: str, name: str, new: str) -> str:
    """The text with what stands between the markers of a name replaced.

    Raises:
        ValueError: the text has no such markers.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no {start} ... {end}")
    return f"{before}{start}\n{new}\n{end}{after}"


def main() -> None:
    path = Path(ROOT / "README.md")
    text = path.read_text(encoding="utf-8")
    for name, section in SECTIONS.items():
        text = replace_between(text, name, section())
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
