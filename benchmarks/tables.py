"""Write the tables of README.md and of the pages in docs/ from the committed results.

    python -m benchmarks.tables

Numbers stand between ``<!-- NAME -->`` and ``<!-- /NAME -->``, NAME one of ``SECTIONS``, and
are never typed; a test fails where a page and ``benchmarks/results/*.json`` disagree.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks import tables_attention, tables_external
from benchmarks.common import ROOT

__all__ = ["PAGES", "SECTIONS", "replace_between", "sections_of"]

RESULTS = ROOT / "benchmarks" / "results"

#: The pages with generated tables.
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "methods.md",
    *sorted((ROOT / "docs" / "results").glob("*.md")),
)


def _load(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return result


def comparison() -> str:
    """All systems on the bundled test set, stratum by stratum, and what each costs."""
    result = _load("comparison.json")
    strata = ["plain", *(name for name in result["n_by"]["strata"] if name != "plain")]
    counts = ", ".join(f"{name} {result['n_by']['strata'][name]:,}" for name in strata)
    heads = ["system", *strata, "all", "95 %", "p"]
    lines = [
        f"Accuracy on *homographs*: {result['n']:,} instances ({counts}). *p*: McNemar's test "
        f"against `{result['baseline']}` over all instances, Holm-corrected. Rows with a `name` "
        "are the registered methods.",
        "",
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
    ]
    for row in result["systems"]:
        cells = [_label(row), *(_percent(row["strata"][stratum]) for stratum in strata)]
        cells += [_percent(row["accuracy"]), _interval(row), _p_value(row["comparison"])]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *_costs(result)]
    processor, threads = result["manifest"]["processor"], result["manifest"]["threads"]
    lines += [
        "",
        _winners(result, strata),
        "",
        _frozen(result),
        "",
        *_curves(result),
        "",
        f"Words/s: the method alone, {processor}, {threads} threads, one run. Made with "
        "`python -m benchmarks run`.",
    ]
    return "\n".join(lines)


def _label(row: dict[str, Any]) -> str:
    return f"`{row['name']}`" if isinstance(row["method"], str) else str(row["name"])


def _costs(result: dict[str, Any]) -> list[str]:
    """The other measures of each system, and what it costs."""
    heads = ["system", "accuracy", "macro-F1", "ECE", "words/s", "peak MB", "MB on disk", "encoded"]
    lines = [
        "The same systems: macro-F1, expected calibration error (ECE), speed, peak memory of the "
        "process, size of models and vectors on disk, and the share of all tokens that the encoder "
        "read (*encoded*):",
        "",
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
    ]
    for row in result["systems"]:
        cells = [_label(row), _percent(row["accuracy"]), _percent(row["macro_f1"])]
        cells += [f"{row['calibration_error']:.3f}", f"{row['words_per_second']:,.0f}"]
        cells += [f"{row['peak_rss_mb']:,.0f}", f"{row['disk_mb']:,.0f}"]
        cells += [f"{_percent(row['share_of_tokens_encoded'])} %"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


_SUMMARY = ("first_sense", "word2vec", "cascade", "attention", "ensemble")


def summary() -> str:
    """Five methods, what they get right and what they cost."""
    result = _load("comparison.json")
    rows = {row["name"]: row for row in result["systems"]}
    words = {row["name"]: row for row in _load("all-words.json")["given"]["systems"]}
    lines = [
        "| method | accuracy, *homographs* | accuracy, all words | words/s | peak memory, MB |",
        "|---|---|---|---|---|",
    ]
    for name in _SUMMARY:
        row = rows[name]
        all_words = _percent(words[name]["accuracy"]) if name in words else ""
        lines.append(
            f"| `{name}` | {_percent(row['accuracy'])} | {all_words} "
            f"| {row['words_per_second']:,.0f} | {row['peak_rss_mb']:,.0f} |"
        )
    processor, threads = result["manifest"]["processor"], result["manifest"]["threads"]
    lines += [
        "",
        f"*homographs*: the bundled test set ({result['n']:,} sentences). *all words*: the "
        f"ALLamended test set ({_load('all-words.json')['given']['n']:,} words of running text, "
        f"senses of WordNet). Speed and memory: on *homographs*, {processor}, {threads} threads, "
        "models loaded.",
    ]
    return "\n".join(lines)


def _p_value(test: dict[str, Any] | None) -> str:
    if test is None:
        return ""
    return "< 0.001" if test["p_holm"] < 0.001 else f"{test['p_holm']:.3f}"


def _frozen(result: dict[str, Any]) -> str:
    """The frozen half, and the targets."""
    frozen = result["frozen"]
    said = ", ".join(
        f"`{name}` {_percent(row['all'])} ({_percent(row['plain'])} on plain)"
        for name, row in frozen["systems"].items()
        if name in ("lesk_extended", "word2vec", "cascade", "attention", "ensemble")
    )
    ours = next(row for row in result["systems"] if row["name"] == "attention")
    gaps = {"plain": 0.95 - ours["strata"]["plain"], "all": 0.90 - ours["accuracy"]}
    results = {"plain": ours["strata"]["plain"], "all": ours["accuracy"]}
    short = [f"{_percent(results[name])} on {name}" for name, gap in gaps.items() if gap > 0]
    verdict = f"the result is {' and '.join(short)}" if short else "both are reached"
    return (
        f"On the frozen half ({frozen['n']['all']:,} instances): {said}. The targets for "
        f"`attention` were 95 on plain and 90 over all; {verdict}."
    )


_CLASSIC = ("random", "first_sense", "lesk", "lesk_extended", "tfidf", "word2vec")


def _winners(result: dict[str, Any], strata: list[str]) -> str:
    """Where a classic system is more accurate than ours."""
    rows = {row["name"]: row for row in result["systems"]}
    ours = rows["attention"]
    classic = [row for name, row in rows.items() if name.partition(",")[0] in _CLASSIC]
    won = []
    for stratum in strata:
        best = max(classic, key=lambda row: row["strata"][stratum])
        if best["strata"][stratum] > ours["strata"][stratum]:
            won.append(
                f"*{stratum}* ({best['name']} {_percent(best['strata'][stratum])}, attention "
                f"{_percent(ours['strata'][stratum])})"
            )
    best = max(classic, key=lambda row: row["accuracy"])
    words = ours["by_word"]
    n_words = sum(best["by_word"][word] > share for word, share in words.items())
    said = f"A classic system is more accurate on {', '.join(won)}." if won else (
        "No classic system is more accurate on any stratum."
    )  # fmt: skip
    said += (
        f" The best classic system, {best['name']}, is more accurate on {n_words} of {len(words)} "
        "words."
    )
    raw = next((row for name, row in rows.items() if "untrained" in name), None)
    if raw is not None and raw["accuracy"] > ours["accuracy"]:
        said += (
            f" The published encoder without our training ({_percent(raw['accuracy'])}) is more "
            f"accurate here than `attention` ({_percent(ours['accuracy'])}), whose `strength` was "
            "chosen on other sentences."
        )
    return said


def _curves(result: dict[str, Any]) -> list[str]:
    """Few examples, and cues far away, one line for each system."""
    learning, distance = result["learning_curve"], result["distance_curve"]
    sizes = [f"{n} example{'s' * (n > 1)}" for n in learning["sizes"]]
    lines = [f"| accuracy with few examples of each sense | {' | '.join(sizes)} | all |"]
    lines.append(f"|{'---|' * (len(sizes) + 2)}")
    rows = {row["name"]: row for row in result["systems"]}
    for name, points in learning["systems"].items():
        cells = [
            f"{_percent(p['accuracy'])} ({_percent(p['low'])} to {_percent(p['high'])})"
            for p in points
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {_percent(rows[name]['accuracy'])} |")
    tokens = [str(n) for n in distance["distances"]]
    lines += [
        "",
        f"| accuracy with this many unrelated tokens between target and cue "
        f"({', '.join(distance['strata'])}, n = {distance['n']:,}) | {' | '.join(tokens)} |",
        f"|{'---|' * (len(tokens) + 1)}",
    ]
    for name, points in distance["systems"].items():
        lines.append(f"| {name} | {' | '.join(_percent(p['accuracy']) for p in points)} |")
    return lines


def which_method() -> str:
    """Which method for which need, with the figures behind each."""
    rows = {row["name"]: row for row in _load("comparison.json")["systems"]}
    few = _load("comparison.json")["learning_curve"]["systems"]
    words = {row["name"]: row for row in _load("all-words.json")["given"]["systems"]}
    trained = {row["name"]: row for row in _load("coarsewsd20.json")["systems"]}

    def share(name: str, stratum: str | None = None) -> str:
        row = rows[name]
        return _percent(row["accuracy"] if stratum is None else row["strata"][stratum])

    def speed(name: str) -> str:
        return f"{rows[name]['words_per_second']:,.0f} words/s"

    chosen = trained["attention, chosen on training data"]
    lines = [
        f"- **The highest accuracy**: `ensemble`, which combines `attention`, `word2vec` and "
        f"`lesk_extended` ({share('ensemble')} over all; `attention` {share('attention')}) at "
        f"{speed('ensemble')}.",
        "- **A single model, without static vectors**: `attention` "
        f"({share('attention', 'plain')} on plain sentences; `word2vec` "
        f"{share('word2vec', 'plain')}, `lesk_extended` {share('lesk_extended', 'plain')}).",
        f"- **Faster**: `cascade` ({share('cascade')} over all at {speed('cascade')}, attention "
        f"on {_percent(rows['cascade']['share_of_tokens_encoded'])} % of the tokens).",
        f"- **No encoder at all**: `word2vec` ({share('word2vec')} at {speed('word2vec')}); "
        f"without vectors `lesk_extended` ({share('lesk_extended')} at {speed('lesk_extended')}).",
        "- **Only one example of each sense**: `attention` "
        f"{_percent(few['attention'][0]['accuracy'])}, `word2vec` "
        f"{_percent(few['word2vec'][0]['accuracy'])}, `lesk_extended` "
        f"{_percent(few['lesk_extended'][0]['accuracy'])}.",
        "- **Hundreds of labelled sentences for a word**: a classifier over the vectors "
        f"({_percent(chosen['accuracy'])} on CoarseWSD-20), or `spacy-attn train-senses --data`.",
        f'- **All words of a text**: `attention` with `"wordnet"` '
        f"({_percent(words['attention']['accuracy'])} on ALLamended; the first sense has "
        f"{_percent(words['first_sense']['accuracy'])}).",
        "- **The cue is in another sentence**: `ensemble` "
        f"({share('ensemble', 'cross')}), `word2vec` {share('word2vec', 'cross')}, `cascade` "
        f"{share('cascade', 'cross')}, `attention` {share('attention', 'cross')}.",
        "- **A misleading word is near**: no method is good at it (the best has "
        f"{_percent(max(row['strata']['distractor'] for row in rows.values()))}); set `threshold`.",
        "- **A wrong answer is worse than none**: set `threshold`; `compare --tune 0.95` finds it.",
        "- **Measure on your own text**: `spacy-attn compare labels.jsonl --inventory "
        "senses.jsonl`.",
    ]
    return "\n".join(lines)


def classic_and_attention() -> str:
    """What the two are, with a measured figure wherever there can be one."""
    result = _load("comparison.json")
    rows = {row["name"]: row for row in result["systems"]}
    static, ours = rows["word2vec"], rows["attention"]
    distance = result["distance_curve"]
    points = {
        name: {p["distance"]: p["accuracy"] for p in distance["systems"][name]}
        for name in ("word2vec", "attention")
    }

    def pair(key: str, stratum: str | None = None) -> tuple[str, str]:
        values = [row["strata"][stratum] if stratum else row[key] for row in (static, ours)]
        return _percent(values[0]), _percent(values[1])

    plain, rare, near = pair("", "plain"), pair("", "rare"), pair("", "near")
    cross, misled = pair("", "cross"), pair("", "distractor")
    lines = [
        "| | classic (Word2Vec, Lesk, tf-idf) | attention (a contextual encoder) |",
        "|---|---|---|",
        "| word representation | one vector for each word: the two *bats* have similarity 1.000 | "
        "one for each occurrence: plain sentences "
        f"{plain[1]} (classic {plain[0]}), rare senses {rare[1]} ({rare[0]}) |",
        "| context | words nearby, in any order; counts over a corpus | every word of the "
        f"sentence, weighted by relevance: a cue within three tokens {near[1]} ({near[0]}) |",
        f"| strengths | {static['words_per_second']:,.0f} words/s, "
        f"{static['peak_rss_mb']:,.0f} MB; a cue in another sentence {cross[0]}, 100 tokens away "
        f"{_percent(points['word2vec'][100])} | needs no rules and no features; "
        "keeps its accuracy in new registers "
        f"({_percent(ours['strata']['shifted'])} against "
        f"{_percent(static['strata']['shifted'])}) |",
        f"| weaknesses | misled by a distractor ({misled[0]}); ignores word order and "
        f"syntax | costs more: {ours['words_per_second']:,.0f} words/s, "
        f"{ours['peak_rss_mb']:,.0f} MB; misled as well ({misled[1]}); a cue in another "
        f"sentence {cross[1]}, 100 tokens away "
        f"{_percent(points['attention'][100])}; calibration error "
        f"{ours['calibration_error']:.3f} (classic {static['calibration_error']:.3f}) |",
        "| mechanism | counts, overlap, and cosine of one learned vector for each word | layers of "
        "queries, keys and values: the new vector of a word is a weighted mean over all words |",
    ]
    return "\n".join(lines)


def senses() -> str:
    """The methods on CoarseWSD-20, nothing trained on it, and the plain text of both sets."""
    own, coarse = _load("comparison.json"), _load("senses-coarsewsd20.json")
    lines = [
        f"All {coarse['n']:,} test sentences (Loureiro et al. 2021). Nothing was trained or "
        "tuned on "
        "this data set; the senses of *homographs* are mapped to its senses.",
        "",
        "| method | accuracy | 95 % | macro-F1 | words/s |",
        "|---|---|---|---|---|",
    ]
    for system in coarse["systems"]:
        lines.append(
            f"| `{system['name']}` | {_percent(system['accuracy'])} | {_interval(system)} "
            f"| {_percent(system['macro_f1'])} | {system['words_per_second']:,} |"
        )
    lines += ["", _ends(own, coarse), "", _classic_wins(coarse)]
    processor, threads = coarse["manifest"]["processor"], coarse["manifest"]["threads"]
    lines += [
        "",
        "Words/s: the method alone, on tokenised and tagged texts "
        f"({processor}, {threads} threads, one run). Made with "
        "`python -m benchmarks.senses coarsewsd20`.",
    ]
    return "\n".join(lines)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _interval(system: dict[str, Any]) -> str:
    low, high = system["ci95"]
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _ends(own: dict[str, Any], coarse: dict[str, Any]) -> str:
    a, b = own["on_plain_text"], coarse["end_to_end"]
    return (
        "End-to-end accuracy, where the pipeline must find the word first (a missed word counts as "
        f"wrong): `attention` has {_percent(a['accuracy'])} on homographs "
        f"({_percent(a['found'])} % "
        f"found) and {_percent(b['accuracy'])} on CoarseWSD-20 ({_percent(b['found'])} % found; "
        "this set is lower-cased, which misleads the tagger). The rule for mistagged nouns was "
        "written after looking at the tags of this set. No other decision was made on it."
    )


def _classic_wins(coarse: dict[str, Any]) -> str:
    systems = {system["name"]: system for system in coarse["systems"]}
    attention = systems.pop("attention")["by_word"]
    for name in ("cascade", "ensemble"):  # partly attention themselves
        systems.pop(name, None)
    won = []
    for word, best in attention.items():
        name = max(systems, key=lambda s: systems[s]["by_word"][word])
        if systems[name]["by_word"][word] > best:
            score = systems[name]["by_word"][word]
            won.append(f"*{word}* ({name} {_percent(score)}, attention {_percent(best)})")
    if not won:
        return "No classic method beats `attention` on any of the 20 words."
    return f"Words on which a classic method is more accurate: {', '.join(won)}."


def chunks() -> str:
    """Chunkers on CoNLL-2000."""
    result = _load("chunking.json")
    lines = [
        f"Chunks on the CoNLL-2000 test part ({result['n_words']:,} words, "
        f"{result['n_chunks']:,} chunks, with the tags of the corpus):",
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
        "Named entities on NLTK's IEER newswire: five folds by document, exact span and label "
        "(`benchmarks/entities_labels.json` maps spaCy's labels):",
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
    """Differences to spaCy's ``ner``, which was trained on other texts with other guidelines."""
    said = []
    for name, label in (("nltk_trained", "the trained NLTK chunker"), ("attention_probe", "the "
                        "probe over attention vectors")):  # fmt: skip
        low, high = rows[name]["ci95_of_difference"]
        difference = rows[name]["f1"] - rows["spacy_ner"]["f1"]
        sure = "" if low <= 0 <= high else "; significant"
        said.append(
            f"{label} {100 * difference:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}{sure})"
        )
    return (
        f"Difference to spaCy's `ner` in F1, paired by document: {said[0]}, {said[1]}. spaCy's "
        "`ner` was trained on other texts with other guidelines; the other systems were trained on "
        "four fifths of this small corpus. On these documents a linear probe on attention vectors "
        "does not beat the classic chunker."
        if rows["attention_probe"]["f1"] <= rows["nltk_trained"]["f1"]
        else f"Difference to spaCy's `ner` in F1, paired by document: {said[0]}, {said[1]}."
    )


def relations() -> str:
    """Relations on hand-written sentences, by class."""
    result = _load("relations.json")
    classes = {k: v for k, v in result["classes"].items() if v["n"]}
    lines = [
        f"Relations on {result['n_sentences']} sentences with {result['n']} hand-written triples "
        "(not by the author of the code; a triple is correct when all its parts are exact): "
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
            "Time of each component, relative to the whole of en_core_web_sm (= 1), same "
            "documents, "
            f"median of {speed['repetitions']} runs:",
            "",
            f"| {' | '.join(names)} | all in one pipeline |",
            f"|{'---|' * (len(names) + 1)}",
            f"| {shares} | {speed['ratio'] - 1:.3f} |",
            "",
            f"With all of them the pipeline does {words['with_classic']:,} words/s, without them "
            f"{words['en_core_web_sm']:,}. Made with `python -m benchmarks.classic_speed`.",
            "",
            "Four processes with the 400,000 GloVe vectors share "
            f"{ours['pss_growth_mb']:.0f} MB (proportional set size), because the file is memory-"
            f"mapped; with gensim's KeyedVectors they need {theirs['pss_growth_mb']:.0f} MB. "
            "Made with `python -m benchmarks.word2vec_memory`.",
        ]
    )


def all_words() -> str:
    """Words of running text: our methods beside published predictions."""
    results = _load("all-words.json")
    given, plain, masc = results["given"], results["end_to_end"], results["masc"]
    n_by = given["n_by"]
    lines = [
        f"Accuracy on *ALLamended* ({given['n']:,} words of running text with two or more "
        "candidate "
        "senses; nothing was trained or tuned on it). *not first*: the "
        f"{n_by['subsets']['not_first']:,} words whose gold sense is not WordNet's first sense. "
        f"*unseen*: the {n_by['subsets']['unseen_sense']:,} words whose gold senses do not occur "
        "in our training corpora. *ECE*: expected calibration error. Rows in italics are published "
        "predictions of other systems, scored by the same code.",
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
        f"Reported in papers on another version of the set, so not directly comparable: {papers}.",
    ]
    lines += ["", _plain_text(plain), "", _genres(masc), "", _prior(results)]
    return "\n".join(lines)


def _by_name(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {system["name"]: system for system in result["systems"]}


def _plain_text(plain: dict[str, Any]) -> str:
    rows = _by_name(plain)
    own, first = rows["attention"], rows["first_sense"]
    return (
        "End-to-end accuracy on plain text, where en_core_web_sm finds words, tags and lemmas (a "
        "word that it misses or tags differently counts as wrong): `attention` "
        f"{_percent(own['accuracy'])}, `first_sense` {_percent(first['accuracy'])}; coverage "
        f"{_percent(own['coverage'])} %."
    )


def _genres(masc: dict[str, Any]) -> str:
    rows = _by_name(masc)
    own, first = rows["attention"], rows["first_sense"]
    better = sorted(g for g in own["strata"] if own["strata"][g] > first["strata"][g])
    low, high = (f(own["strata"], key=own["strata"].get) for f in (min, max))
    return (
        f"MASC ({masc['n']:,} words of {len(own['strata'])} written and spoken genres, not trained "
        f"on): `attention` {_percent(own['accuracy'])}, `first_sense` "
        f"{_percent(first['accuracy'])}. `attention` is more accurate in {len(better)} of "
        f"{len(own['strata'])} genres; its accuracy is between {_percent(own['strata'][low])} "
        f"({low}) and {_percent(own['strata'][high])} ({high}). The labels of MASC are mapped from "
        "another dictionary, which limits every system."
    )


def _prior(results: dict[str, Any]) -> str:
    tried = results["prior_on_held_out_semcor"]
    shown = ", ".join(f"{_percent(x)} with weight {weight}" for weight, x in tried.items())
    return (
        "Accuracy on held-out documents of SemCor with a first-sense prior (a weight times the "
        f"logarithm of WordNet's counts): {shown}. The default is no prior; the best weight has a "
        "row in the table."
    )


def all_words_cost() -> str:
    """What all-words senses add to the cost of the pipeline."""
    result = _load("all-words-cost.json")
    rss = result["rss_mb"]
    loaded = rss["loaded"]["held"]
    lines = [
        "Tagger, lemmatizer, `attention_encoder` and all-words senses, compared with the same "
        f"pipeline without senses (median of {result['repetitions']} paired runs). Memory is given "
        "in MB above a loaded en_core_web_sm; tagger and lemmatizer alone take "
        f"{rss['tagger']['peak'] - loaded} MB.",
        "",
        "| precision | time, relative | words/s, whole pipeline | memory | peak memory |",
        "|---|---|---|---|---|",
    ]
    for name in ("float32", "bfloat16"):
        row = result[name]
        lines.append(
            f"| {name} | {row['ratio']:.3f} | {row['words_per_second']['with_senses']:,} "
            f"| {rss[name]['held'] - loaded} | {rss[name]['peak'] - loaded} |"
        )
    processor, threads = result["manifest"]["processor"], result["manifest"]["threads"]
    made = f"{processor}, {threads} threads. Made with `python -m benchmarks.all_words_cost`."
    return "\n".join([*lines, "", made])


def speed() -> str:
    """Contextual vectors: words per second beside peers."""
    result = _load("speed.json")
    processor, threads = result["manifest"]["processor"], result["manifest"]["threads"]
    lines = [
        f"Contextual vectors of {result['n_words']:,} words in {result['n_documents']} documents "
        "of 1 to 20 sentences. All systems use the same MiniLM weights, each in its own process, "
        f"in turns (median of {result['turns']}; {processor}, {threads} threads):",
        "",
        f"| system | words/s | relative to {result['baseline']} |",
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
        '"auto" is bfloat16 on this processor. sentence-transformers returns vectors of '
        "wordpieces, "
        "without alignment to words. Made with `python -m benchmarks.speed.peers`.",
    ]
    senses = result["senses"]["systems"]
    ours, theirs = senses["spacy_attn, all words"], senses["spacy-glossbert, random weights"]
    if "error" not in theirs:
        lines += [
            "",
            f"Senses of all words with the same tagger: {ours['words_per_second']:,.0f} words/s; "
            f"spacy-glossbert 0.1.0: {theirs['words_per_second']:,.1f} words/s (BERT-base with "
            "random weights, because only time is measured).",
        ]
    return "\n".join(lines)


def limits_of_speed() -> str:
    """Time by stage, share of the matrix peak, cost against size, and loading."""
    result, loading = _load("scaling.json"), _load("loading.json")
    precisions = ("float32", "bfloat16")
    lines = ["| microseconds a word | " + " | ".join(precisions) + " |", "|---|---|---|"]
    stages = {name: result[name]["microseconds_a_word"] for name in precisions}
    for stage in stages["float32"]:
        cells = [f"{stages[name][stage]:.1f}" for name in precisions]
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    peaks = "; ".join(
        f"{name} {row['gflops']:,} of {row['peak_gflops']:,} GFLOP/s ({_percent(row['share'])} %)"
        for name, row in ((name, result[name]) for name in precisions)
    )
    lines += ["", f"The forward pass, compared with the peak of matrix products: {peaks}."]
    kinds = {
        "length": "tokens in a document",
        "batch_pieces": "wordpieces in a batch",
        "documents": "documents of 25 words",
    }
    for kind, unit in kinds.items():
        speeds = {name: result[name]["words_per_second"][kind] for name in precisions}
        step = 2 if kind == "length" else 1
        sizes = list(speeds["float32"])[::step]
        lines += ["", f"| words/s by number of {unit} | {' | '.join(sizes)} |"]
        lines.append(f"|---|{'---|' * len(sizes)}")
        for name in precisions:
            cells = [f"{speeds[name][size]:,.0f}" for size in sizes]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    rows, baseline = loading["rows"], loading["baseline"]
    ratios = ", ".join(
        f"{name} {row['ratio']:.2f}" for name, row in rows.items() if row.get("ratio", 1.0) != 1.0
    )
    steps = ", ".join(
        f"{name} {1000 * row['seconds']:,.0f} ms"
        for name, row in rows.items()
        if "ratio" not in row
    )
    lines += [
        "",
        f"Cold start to the first annotated document, relative to {baseline} alone "
        f"({rows[baseline]['seconds']:.1f} s): {ratios}. Single steps, with spaCy and torch "
        f"imported: {steps}.",
        "",
        "Made with `python -m benchmarks.speed.scaling` and `python -m benchmarks.speed.loading`.",
    ]
    return "\n".join(lines)


def memory() -> str:
    """Long jobs, a long document, the budget."""
    rows = _load("memory.json")["rows"]
    lines = [
        "| job | growth per 10,000 documents, MB | peak, MB | growth, MB |",
        "|---|---|---|---|",
    ]
    for name, row in rows.items():
        slope = row.get("slope_mb_per_10000_documents")
        cells = ["" if slope is None else f"{slope:+.2f}"]
        cells += [
            "" if row.get(key) is None else f"{row[key]:,}" for key in ("peak_mb", "peak_growth_mb")
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Made with `python -m benchmarks.speed.memory`."])


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
        f"*homographs* on {chosen['n_words']:,} words of SemCor, time of the component alone: "
        f"{shares}. Documents without a word of the inventory cost "
        f"{100 * (quiet['ratio'] - 1):.1f} % more than en_core_web_sm alone.",
        "",
        f"`cascade` (`{name}` first): percentage of words passed to attention, and accuracy, for "
        "each `margin`, on held-out examples of the inventory:",
        "",
        "| margin | " + " | ".join(f"{point['margin']:g}" for point in curve) + " |",
        "|---|" + "---|" * len(curve),
        "| passed to attention | " + " | ".join(_percent(p["left"]) for p in curve) + " |",
        "| accuracy | " + " | ".join(_percent(p["accuracy"]) for p in curve) + " |",
        "",
        f"The default margin, {cascade['default_margin']:g}, is the smallest that loses at most "
        "0.3 points. On the test sentences: "
        + "; ".join(
            f"{row['method']} {_percent(row['accuracy'])} with {_percent(row['tokens_encoded'])} % "
            "of the tokens encoded"
            for row in cascade["test_sentences"]
        )
        + ". Made with `python -m benchmarks.speed.selective`.",
    ]
    return "\n".join(lines)


def explanations() -> str:
    """Which attribution method points at the word that decides."""
    result = _load("explanations.json")
    whole = result["n_looked_at"] >= result["of"]
    drawn = "all" if whole else f"{result['n_looked_at']:,}, drawn at random, of"
    lines = [
        f"{result['n']:,} words that `attention` decides correctly, from {drawn} {result['of']:,} "
        "instances of the frozen half of the test set. *pointing*: how often the word with the "
        "highest weight is a cue; *precision*: precision at k, k the number of cues; "
        "*comprehensiveness*: how far the probability of the chosen sense falls without the fifth "
        "of the words with the highest weights (higher is better); *sufficiency*: how far it falls "
        "with these words alone (lower is better).",
        "",
        "| attribution | pointing | 95 % | precision | comprehensiveness | sufficiency |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["ways"]:
        cells = [_way(row["name"], result), _percent(row["pointing"])]
        cells += [_interval(row), _percent(row["precision_at_k"])]
        cells += [f"{row['comprehensiveness']:.3f}", f"{row['sufficiency']:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        *_by_layer(result["layers"]),
        "",
        f"Best layers and heads were chosen on {result['open_half']['n']:,} words of the open "
        f"half. Integrated gradients use {result['steps']} steps; the median gap between their "
        f"sum and the explained difference is {100 * result['gap_median']:.2f} %. Made with "
        f"`{result['manifest']['command']}` in {result['seconds'] / 60:.0f} minutes.",
    ]
    return "\n".join(lines)


def _by_layer(rows: list[dict[str, Any]]) -> list[str]:
    """Pointing of each layer, mean over its heads."""
    rates = {(row["kind"], row["layer"]): row["pointing"] for row in rows}
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    layers = sorted({row["layer"] for row in rows})
    return [
        f"| *pointing*, by layer | {' | '.join(map(str, layers))} |",
        f"|---|{'---|' * len(layers)}",
        *(
            f"| {kind} | {' | '.join(_percent(rates[kind, layer]) for layer in layers)} |"
            for kind in kinds
        ),
    ]


def _way(name: str, result: dict[str, Any]) -> str:
    """The name of a row, with the layer and head that were chosen."""
    where = result["open_half"]["best"].get(name)
    if where is None:
        return name.replace("_", " ")
    head = "" if where["head"] is None else f", head {where['head']}"
    return f"{name} (layer {where['layer']}{head})"


def jobs() -> str:
    """A table for planning, and what jobs cost besides the pipeline."""
    if not (RESULTS / "jobs.json").is_file():
        return ""
    result = _load("jobs.json")
    n_words = result["words_of_a_document"]
    lines = _planning(result) if "kinds" in result else []
    lines += [f"Documents of {n_words} words from SemCor, one thread for each process.", ""]
    if "workers" in result:
        workers = result["workers"]
        lines.append(
            f"- Two workers are {workers['ratio']:.2f} times as fast as one (median of "
            f"{len(workers['pairs'])} pairs)."
        )
    rows = [*result["sizes"], result["long"]]
    last = rows[-1]
    seconds = ", ".join(
        f"{row['documents']:,} documents {row['cpu_seconds_of_parent']:,.0f} s" for row in rows
    )
    lines.append(
        f"- *homographs*, CPU time by size: {seconds}. In the longest job, reading and writing "
        "take "
        f"{last['share_of_reading_and_writing']:.1%} of the time, and memory grows by "
        f"{last['mb_per_10000_documents']:.2f} MB for 10,000 documents."
    )
    for count, row in result.get("apply", {}).items():
        lines.append(
            f"- 10,000 documents with `--n-process {count}`, loading included: `spacy-attn "
            "annotate` "
            f"{row['spacy-attn annotate']:,.1f} s, `spacy apply` with the same pipeline "
            f"{row['spacy apply']:,.1f} s."
        )
    processor = result["manifest"]["processor"]
    lines += ["", f"{processor}. Made with `python -m benchmarks.jobs`."]
    return "\n".join(lines)


def _planning(result: dict[str, Any]) -> list[str]:
    lines = [
        "| senses or field | words a day and core | core hours for 10 GB of JSONL | hours on 16 "
        "cores | reading and writing |",
        "|---|---|---|---|---|",
    ]
    for kind, row in result["kinds"].items():
        rate = row["documents_per_second"]
        hours = 10e9 / result["bytes_of_a_document"] / rate / 3600
        words = rate * result["words_of_a_document"] * 86400 / 1e6
        lines.append(
            f"| {kind} | {words:,.0f} million | {hours:,.1f} | {hours / 16:,.1f} "
            f"| {row['share_of_reading_and_writing']:.1%} |"
        )
    return [*lines, ""]


#: The text between the markers of each name.
SECTIONS: dict[str, Callable[[], str]] = {
    "summary": summary,
    "which-method": which_method,
    "classic-and-attention": classic_and_attention,
    "comparison": comparison,
    "coarsewsd20": tables_external.coarsewsd20,
    "wic": tables_external.wic,
    "tasks": tables_external.tasks,
    "attention": tables_attention.rows,
    "attention-claims": tables_attention.claims,
    "attention-cost": tables_attention.cost,
    "speed": speed,
    "limits-of-speed": limits_of_speed,
    "memory": memory,
    "selective": selective,
    "results": senses,
    "all-words": all_words,
    "all-words-cost": all_words_cost,
    "chunks": chunks,
    "entities": entities,
    "relations": relations,
    "classic-cost": classic_cost,
    "explanations": explanations,
    "jobs": jobs,
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


def sections_of(text: str) -> list[str]:
    """The names of the sections that a page has markers for."""
    return [name for name in SECTIONS if f"<!-- {name} -->" in text]


def main() -> None:
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for name in sections_of(text):
            text = replace_between(text, name, SECTIONS[name]())
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
