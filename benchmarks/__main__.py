"""The comparison of sense methods on the bundled test set: run it, show it, guard it.

    python -m benchmarks run       # all systems, in processes of their own; results/comparison.json
    python -m benchmarks report    # README tables, and the figures in docs/figures
    python -m benchmarks gate      # a quick check that quality has not fallen

``run`` writes the whole result, instances included, and report.html into build/comparison, and
what the tables need into ``results/``. ``gate`` scores the default method on the open half of the
test set against the floors in ``gate.json``, which are tied to the hashes of set and inventory.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.common import DATA, ROOT, manifest, sha256
from spacy_attn.cli import main as command_line
from spacy_attn.compare.dataset import BUNDLED
from spacy_attn.methods import DATA as PACKAGE_DATA
from spacy_attn.methods import METHODS, SENSE_MODEL
from spacy_attn.wsd.inventory.model import read_labelled

RESULT = ROOT / "benchmarks" / "results" / "comparison.json"
GATE = ROOT / "benchmarks" / "gate.json"
BUILD = ROOT / "build" / "comparison"
FIGURES = ROOT / "docs" / "figures"
CORPORA = ("semcor.jsonl.gz", "masc.jsonl.gz")
#: Rows beside the methods with their defaults.
RAW = {"@sense_methods": "spacy_attn.attention.v1", "sense_model": "none"}
LESK_FIRST = {"@sense_methods": "spacy_attn.cascade.v1", "cheap": "lesk_extended"}


def own_vectors(folder: Path) -> Path:
    """Word2Vec trained by the project's own command on the words of SemCor and MASC."""
    vectors = folder / "word2vec"
    texts = folder / "texts.txt"
    if not vectors.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with texts.open("w", encoding="utf-8") as out:
            for name in CORPORA:
                with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
                    for line in file:
                        tokens = " ".join(json.loads(line)["tokens"])
                        out.write(tokens.replace("_", " ") + "\n")
        arguments = ["train-word2vec", str(texts), "-o", str(vectors), "--epochs", "10"]
        if command_line(arguments) != 0:
            sys.exit("the vectors could not be trained; see above")
    return vectors


def run(half: str | None) -> None:
    """All systems on the bundled test set."""
    missing = [name for name in CORPORA if not (DATA / name).is_file()]
    if missing:
        print(f"without Word2Vec of our own: {', '.join(missing)} not found in {DATA}")
    systems = {"attention, untrained encoder": RAW, "cascade, lesk_extended first": LESK_FIRST}
    if not missing:
        systems["word2vec, SemCor and MASC"] = {
            "@sense_methods": "spacy_attn.word2vec.v1", "vectors": str(own_vectors(BUILD)),
        }  # fmt: skip
    arguments = ["compare", "--methods", ",".join(METHODS), "-o", str(BUILD), "--overwrite"]
    for name, block in systems.items():
        arguments += ["--system", f"{name}={json.dumps(block)}"]
    arguments += ["--half", half] if half else []
    if command_line(arguments) != 0:
        sys.exit(1)
    if half is not None:  # a look at one half is no published result
        return
    plain = BUILD / "plain-text"
    arguments = ["compare", "--methods", "attention", "--end-to-end", "-o", str(plain)]
    if command_line([*arguments, "--overwrite"]) != 0:
        sys.exit(1)
    result, ends = (
        json.loads((folder / "results.json").read_text(encoding="utf-8"))
        for folder in (BUILD, plain)
    )
    (system,) = ends["systems"]
    result["on_plain_text"] = {"accuracy": system["accuracy"], "found": system["coverage"]}
    RESULT.write_text(json.dumps(published(result), indent=1) + "\n", encoding="utf-8")


def frozen_half(result: dict[str, Any]) -> dict[str, Any]:
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


def published(result: dict[str, Any]) -> dict[str, Any]:
    """What is committed: everything but the instances, which anybody can make again."""
    kept = {key: value for key, value in result.items() if key not in ("instances", "manifest")}
    kept["frozen"] = frozen_half(result)
    for system in kept["systems"]:
        if isinstance(system["method"], dict) and "vectors" in system["method"]:
            system["method"]["vectors"] = "trained on the words of SemCor and MASC"
    files = [PACKAGE_DATA / "homographs.jsonl", BUNDLED, SENSE_MODEL]
    corpora = [DATA / name for name in CORPORA if (DATA / name).is_file()]
    return {**kept, "manifest": manifest("python -m benchmarks run", [*files, *corpora], seed=0)}


def report() -> None:
    """README tables from the results, and the figures that stand beside them."""
    from benchmarks.tables import write_pages as write_tables
    from spacy_attn.compare.report.figures import as_svg, draw_all

    FIGURES.mkdir(parents=True, exist_ok=True)
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    for name, picture in draw_all(result).items():
        (FIGURES / f"{name}.svg").write_text(as_svg(picture), encoding="utf-8")
    write_tables()


def gate() -> int:
    """Whether the default method still reaches its floors; 1 where it does not."""
    floors = json.loads(GATE.read_text(encoding="utf-8"))
    for name, digest in floors["sha256"].items():
        if sha256(PACKAGE_DATA / name) != digest:
            print(f"{name} is not the file that the floors were set for; measure and set them anew")
            return 1
    folder = BUILD.with_name("gate")
    arguments = ["compare", "--methods", "attention", "--half", "open", "--no-curves"]
    if command_line([*arguments, "-o", str(folder), "--overwrite"]) != 0:
        return 1
    (system,) = json.loads((folder / "results.json").read_text(encoding="utf-8"))["systems"]
    obtained = {"all": system["accuracy"], **system["strata"]}
    console, failed = Console(), 0
    for name, floor in floors["attention"].items():
        is_low = obtained[name] < floor
        failed |= is_low
        colour = "red" if is_low else "green"
        console.print(f"[{colour}]{name}: {obtained[name]:.3f}, floor {floor:.3f}[/]")
    return int(failed)


def main() -> int:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m benchmarks", None, __doc__, formatter_class=formatter
    )
    parser.add_argument("what", choices=["run", "report", "gate"])
    parser.add_argument("--half", choices=["open", "frozen"], help="of run: a look at one half")
    arguments = parser.parse_args()
    if arguments.what == "gate":
        return gate()
    if arguments.what == "report":
        report()
    else:
        run(arguments.half)
    return 0


if __name__ == "__main__":
    sys.exit(main())
