"""The comparison of sense methods on the bundled test set: run it, show it, guard it.

    python -m benchmarks run       # all systems, in processes of their own; results/comparison.json
    python -m benchmarks report    # the tables of all pages, and the figures in docs/figures
    python -m benchmarks gate      # a quick check that quality has not fallen

``run`` writes the whole result, instances included, and report.html into build/comparison, and
what the tables need into ``results/``. ``gate`` scores the default method on the open half of the
test set against the floors in ``gate.json``, which are tied to the hashes of set and inventory.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.common import (
    MASC,
    RESULTS,
    ROOT,
    SEED,
    SEMCOR,
    Result,
    load,
    plain_texts,
    publish,
)
from benchmarks.tables import write_pages
from spacy_attn.compare import experiment
from spacy_attn.compare.dataset import BUNDLED
from spacy_attn.compare.experiment import Options
from spacy_attn.compare.manifest import manifest, sha256
from spacy_attn.compare.report.figures import as_svg, draw_all
from spacy_attn.compare.report.html import write_report
from spacy_attn.train.word2vec import train_word2vec
from spacy_attn.train.word2vec_config import Word2VecConfig
from spacy_attn.wsd.inventory.labelled import read_labelled
from spacy_attn.wsd.methods.registry import DATA, SENSE_MODEL, MethodSpec, short_names

GATE = ROOT / "benchmarks" / "gate.json"
BUILD = ROOT / "build" / "comparison"
FIGURES = ROOT / "docs" / "figures"
CORPORA = [path for path in (SEMCOR, MASC) if path.is_file()]
#: Rows beside the methods with their defaults.
MORE: dict[str, MethodSpec] = {
    "attention, untrained encoder": {
        "@sense_methods": "spacy_attn.attention.v1",
        "sense_model": "none",
    },
    "cascade, lesk_extended first": {
        "@sense_methods": "spacy_attn.cascade.v1",
        "cheap": "lesk_extended",
    },
}


def own_vectors(folder: Path) -> Path:
    """Word2Vec trained by the project's own command on the words of SemCor and MASC."""
    vectors, texts = folder / "word2vec", folder / "texts.txt"
    if not vectors.exists():
        folder.mkdir(parents=True, exist_ok=True)
        lines = (text for path in CORPORA for text in plain_texts(path))
        texts.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        train_word2vec([texts], vectors, Word2VecConfig(epochs=10))
    return vectors


def run(half: str | None) -> None:
    """All systems on the bundled test set; a look at one half is no published result."""
    specs: dict[str, MethodSpec] = {**{name: name for name in short_names()}, **MORE}
    if len(CORPORA) == 2:
        specs["word2vec, SemCor and MASC"] = {
            "@sense_methods": "spacy_attn.word2vec.v1",
            "vectors": str(own_vectors(BUILD)),
        }
    else:
        print("without Word2Vec of our own: SemCor or MASC is missing; see benchmarks/README.md")
    result = experiment.run(Options(methods=specs, output=BUILD, half=half, overwrite=True))
    write_report(result, BUILD)
    if half is not None:
        return
    result = {**published(result), "on_plain_text": plain_text()}
    files = [DATA / "homographs.jsonl", BUNDLED, SENSE_MODEL, *CORPORA]
    publish("comparison", result, " run", files, seed=SEED)


def plain_text() -> Result:
    """What ``attention`` has right where no word is given, with the manifest of its run."""
    result = experiment.run(Options(methods={"attention": "attention"}, end_to_end=True))
    (system,) = result["systems"]
    files = [DATA / "homographs.jsonl", BUNDLED, SENSE_MODEL, DATA / "readings.json.gz"]
    made = manifest("python -m benchmarks run --plain-text", files, seed=SEED)
    return {"accuracy": system["accuracy"], "found": system["coverage"], "manifest": made}


def plain_text_anew() -> None:
    """Put it into the committed result; all else there, its manifest too, stays as it was."""
    path = RESULTS / "comparison.json"
    result = {**json.loads(path.read_text(encoding="utf-8")), "on_plain_text": plain_text()}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def frozen_half(result: Result) -> Result:
    """Accuracy on the instances that nobody had looked at, over all and by stratum."""
    numbered = {str(i): item for i, item in enumerate(read_labelled(BUNDLED), 1)}
    rows = [row for row in result["instances"] if numbered[row["id"]].frozen]
    groups = {"all": [row["predictions"] for row in rows]}
    for row in rows:
        groups.setdefault(row["stratum"], []).append(row["predictions"])
    return {
        "n": {name: len(members) for name, members in groups.items()},
        "systems": {
            system["name"]: {
                name: round(sum(each[system["name"]][2] for each in members) / len(members), 4)
                for name, members in groups.items()
            }
            for system in result["systems"]
        },
    }


def published(result: Result) -> Result:
    """What is committed: everything but the instances, which anybody can make again."""
    kept = {key: value for key, value in result.items() if key not in ("instances", "manifest")}
    for system in kept["systems"]:
        if isinstance(system["method"], dict) and "vectors" in system["method"]:
            system["method"]["vectors"] = "trained on the words of SemCor and MASC"
    return {**kept, "frozen": frozen_half(result)}


def report() -> None:
    """The tables of all pages, and the figures that stand beside them."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    for name, picture in draw_all(load("comparison")).items():
        (FIGURES / f"{name}.svg").write_text(as_svg(picture), encoding="utf-8")
    write_pages()


def gate() -> int:
    """Whether the default method still reaches its floors; 1 where it does not."""
    floors = json.loads(GATE.read_text(encoding="utf-8"))
    for name, digest in floors["sha256"].items():
        if sha256(DATA / name) != digest:
            print(f"{name} is not the file that the floors were set for; measure and set them anew")
            return 1
    result = experiment.run(Options(methods={"attention": "attention"}, half="open"))
    (system,) = result["systems"]
    obtained = {"all": system["accuracy"], **system["strata"]}
    failed = 0
    for name, floor in floors["attention"].items():
        failed |= obtained[name] < floor
        verdict = "too low" if obtained[name] < floor else "good"
        print(f"{name}: {obtained[name]:.3f}, floor {floor:.3f}: {verdict}")
    return int(failed)


def main() -> int:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m benchmarks", None, __doc__, formatter_class=formatter
    )
    parser.add_argument("what", choices=["run", "report", "gate"])
    parser.add_argument("--half", choices=["open", "frozen"], help="of run: a look at one half")
    plain = "of run: what plain text gives, anew; the rest of the committed result stays"
    parser.add_argument("--plain-text", action="store_true", help=plain)
    given = parser.parse_args()
    if given.what == "gate":
        return gate()
    if given.what == "report":
        report()
    elif given.plain_text:
        plain_text_anew()
    else:
        run(given.half)
    return 0


if __name__ == "__main__":
    sys.exit(main())
