"""Damaged files of every format, and kills: bad records are told, nothing else stops a job."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import spacy
from spacy.tokens import DocBin

import spacy_attn
from spacy_attn.errors import SpacyAttnError
from spacy_attn.jobs import JobOptions
from spacy_attn.jobs.readers import check_sources, read_records
from spacy_attn.jobs.records import BadRecord, Record
from spacy_attn.jobs.sources import find_sources
from tests.attack.conftest import SEED
from tests.attack.generate import damaged, texts

ROOT = Path(spacy_attn.__path__[0]).parent


def good_files():
    """A file of each format with the same 40 texts."""
    rows = [{"id": i, "text": text} for i, text in enumerate(texts(SEED, 40))]
    jsonl = "".join(json.dumps(row) + "\n" for row in rows).encode()
    out = {"jsonl": jsonl, "jsonl.gz": gzip.compress(jsonl), "txt": jsonl}
    out["jsonl.zst"] = pa.Codec("zstd").compress(jsonl, asbytes=True)
    for suffix, delimiter in (("csv", ","), ("tsv", "\t")):
        table = io.StringIO()
        writer = csv.DictWriter(table, ["id", "text"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
        out[suffix] = table.getvalue().encode()
    parquet = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), parquet, row_group_size=10)
    out["parquet"] = parquet.getvalue()
    nlp = spacy.blank("en")
    out["spacy"] = DocBin(docs=[nlp(row["text"]) for row in rows]).to_bytes()
    return out


def test_damaged_files_of_jobs(size, tally, tmp_path):
    files = good_files()
    options = JobOptions(max_record_bytes=2**20)
    for number in range(max(200, size // 4)):
        rng = random.Random(f"{SEED}/{number}")  # noqa: S311
        suffix = list(files)[number % len(files)]
        path = tmp_path / f"in.{suffix}"
        path.write_bytes(damaged(files[suffix], rng, tuple(files.values())))
        kind = f"damaged .{suffix}"
        try:
            sources = find_sources([path])
            check_sources(sources, options, ("senses",))
            records = [each for source in sources for each in read_records(source, options)]
        except SpacyAttnError as error:
            tally.check(kind, bool(str(error)), number)
        except BaseException as error:
            tally.check(kind, False, f"number {number}: {error!r}")
        else:
            good = all(isinstance(each, Record | BadRecord) for each in records)
            numbers = [each.line for each in records]
            tally.check(kind, good and numbers == sorted(numbers), number)


JOB = """
import sys
from spacy_attn.jobs import JobOptions, annotate_files
from tests.jobs.toy import TOY
options = JobOptions(resume=True, batch_size=8, n_process=int(sys.argv[1]))
annotate_files(["in.txt"], "out.jsonl", TOY, options)
"""


def test_kills_lose_and_double_nothing(size, tally, tmp_path):
    """The main process is killed at random times, until one is left to finish."""
    rng = random.Random(SEED)  # noqa: S311
    n, kills = 4000, 0
    (tmp_path / "in.txt").write_text("".join(f"bat {i}\n" for i in range(n)))
    wanted, environment = min(200, max(4, size // 500)), {**os.environ, "PYTHONPATH": str(ROOT)}
    while True:
        job = subprocess.Popen(
            [sys.executable, "-c", JOB, str(rng.randint(1, 2))],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        if kills == wanted:
            break
        part = tmp_path / "out.jsonl.part"
        while job.poll() is None and not part.exists():
            time.sleep(0.01)
        time.sleep(rng.random() / 2)
        if job.poll() is None:
            job.send_signal(signal.SIGKILL)
        job.communicate()
        kills += 1
        if (tmp_path / "out.jsonl").exists():  # it was quicker: begin again
            check(tmp_path, n, tally)
            (tmp_path / "out.jsonl").unlink()
            for left in tmp_path.glob("out.jsonl?*"):
                left.unlink()
    tally.check("kills: the last job", job.communicate()[1] == b"" and job.returncode == 0)
    tally.check("kills", True)
    check(tmp_path, n, tally)


def check(folder, n, tally):
    lines = (folder / "out.jsonl").read_bytes().splitlines()
    found = [json.loads(line)["text"] for line in lines]
    for i in range(n):
        tally.check("records of killed jobs", i < len(found) and found[i] == f"bat {i}", i)
    tally.check("records of killed jobs", len(found) == n, len(found))
