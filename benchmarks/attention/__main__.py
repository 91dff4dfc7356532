"""What attention itself adds: the same vectors, examples, head and size, with and without it.

    python -m benchmarks.attention rows      # every system, five seeds: results/attention.json
    python -m benchmarks.attention claims    # a row for each claim: results/attention-claims.json
    python -m benchmarks.attention domains   # trained on SemCor and some genres of MASC, tested
                                             # on the others: results/attention-domains.json
    ... --seeds 1 --epochs 2 --limit 300 -o trial.json    # a look, in a minute
    ... --within 280     # begin no run after so many seconds; the same command again goes on
    ... --part 0 2       # beside --part 1 2: two processes share the runs; then once without
    python -m benchmarks.attention try --mixer cnn        # one system, and its accuracy
    python -m benchmarks.attention.cost      # time and memory against length

Every system is trained on the examples of *homographs* over GloVe and tested on the bundled test
set (``domains``: on WordNet's senses). Finished runs are kept in ``build/attention``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks.attention import claims, domains, rows, runs
from benchmarks.attention.mixers import MIXERS
from benchmarks.attention.patterns import PATTERNS
from benchmarks.attention.runs import Bench, Run, Settings, Spec
from benchmarks.common import ROOT, SEED, Result, one_sentence, publish
from benchmarks.kept import Kept, OutOfTime
from spacy_attn.compare.dataset import BUNDLED
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.methods.registry import DATA

#: Of each table: what makes it, of which systems, how long they are trained, and its result.
TABLES: dict[str, tuple[Callable[[Bench], Result], Callable[[], list[Spec]], int, str]] = {
    "rows": (rows.run, rows.specs, 8, "attention"),
    "claims": (claims.run, claims.specs, 8, "attention-claims"),
    "domains": (domains.run, domains.specs, 2, "attention-domains"),
}


def try_one(given: argparse.Namespace) -> None:
    """Train one system and say what it gives."""
    inventory = load_inventory("homographs")
    if given.examples is not None:
        inventory = inventory.with_examples(given.examples, 0)
    world = runs.make_world(inventory, given.limit)
    name = f"{given.mixer} {given.layers} x {given.heads}, {given.pattern}"
    runs.SYSTEMS[name] = (given.mixer, given.layers, given.heads)
    changes = {"pattern": given.pattern}
    if given.pattern == "low_rank":
        changes["attention_dropout"] = 0.0
    for seed in range(given.seeds or 1):
        found = runs.measure(world, Run(name, seed, given.epochs or 8, tuple(changes.items())))
        print(
            f"{name}, seed {seed}: accuracy {found['right'].mean():.4f}, "
            f"{found['parameters'][0]:,} parameters, {found['seconds']:.1f} s"
        )


def make_table(given: argparse.Namespace) -> None:
    """Make the runs of a table, and its result."""
    run, specs, epochs, name = TABLES[given.what]
    settings = Settings(given.seeds or 5, given.epochs or epochs, given.examples, given.limit)
    kind = domains.DomainBench if given.what == "domains" else Bench
    bench = kind(load_inventory("homographs"), Kept(given.kept, given.within), settings)
    try:
        bench.prepare(specs(), given.part or (0, 1))
    except OutOfTime as error:
        raise SystemExit(str(error)) from error
    if given.part:
        return  # the other processes may still be at theirs
    result = run(bench)
    is_text = given.what == "domains"
    files = list(domains.CORPORA) if is_text else [DATA / "homographs.jsonl", BUNDLED]
    asked = {key: value for key, value in asdict(settings).items() if value is not None}
    options = " ".join(f"--{key} {value}" for key, value in asked.items())
    command = f".attention {given.what} {options}"
    publish(given.output or name, result, command, files, seed=SEED)


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m benchmarks.attention", None, __doc__, formatter_class=formatter
    )
    parser.add_argument("what", choices=[*TABLES, "try"])
    parser.add_argument("--seeds", type=int, help="trainings of each system; 5, of try 1")
    parser.add_argument("--epochs", type=int, help="passes over the training data")
    parser.add_argument("--examples", type=int, help="of a sense that are trained on; else all")
    parser.add_argument("--limit", type=int, help="test instances (domains: sentences of a corpus)")
    parser.add_argument("--within", type=float, help="seconds after which no run is begun")
    parser.add_argument("--part", type=int, nargs=2, help="which of how many processes this is")
    parser.add_argument(
        "--kept",
        type=Path,
        default=ROOT / "build" / "attention",
        help="folder of the finished runs",
    )
    parser.add_argument("-o", "--output", type=Path, help="where a trial's result goes")
    one = parser.add_argument_group("of try")
    one.add_argument("--mixer", choices=MIXERS, default="attention")
    one.add_argument("--pattern", choices=PATTERNS, default="full")
    one.add_argument("--layers", type=int, default=1)
    one.add_argument("--heads", type=int, default=4)
    given = parser.parse_args()
    with one_sentence():
        (try_one if given.what == "try" else make_table)(given)


if __name__ == "__main__":
    main()
