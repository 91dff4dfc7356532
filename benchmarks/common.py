"""What the benchmarks share: data and results, statistics, time and memory.

A result is a committed JSON file in ``benchmarks/results`` with the manifest of its run.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from spacy_attn._types import Encoder, Floats1d, Floats2d, StaticVectors
from spacy_attn.compare.manifest import ROOT as ROOT
from spacy_attn.compare.manifest import manifest as manifest
from spacy_attn.compare.manifest import sha256 as sha256
from spacy_attn.compare.metrics import interval, mcnemar
from spacy_attn.encoder.precision import pick_precision
from spacy_attn.encoder.processor import DEFAULT_SHAPE, cpu_flags, default_scales
from spacy_attn.encoder.tuning import Shape
from spacy_attn.errors import SpacyAttnError
from spacy_attn.models import DEFAULT_PIPELINE, resolve_pipeline
from spacy_attn.wsd.context import Context
from spacy_attn.wsd.methods.registry import SENSE_MODEL, with_model

if TYPE_CHECKING:
    from spacy.language import Language

#: Corpora that are not part of the repository; see benchmarks/README.md.
DATA = Path(os.environ.get("SPACY_ATTN_DATA", ROOT.parent / "shared" / "data"))
SEMCOR, MASC = DATA / "semcor.jsonl.gz", DATA / "masc.jsonl.gz"
RESULTS = ROOT / "benchmarks" / "results"
SEED = 0
#: The method attention with the model of the package spacy-attn-accurate.
(ACCURATE_METHOD,) = with_model(["attention"], "accurate")

Result = dict[str, Any]
T = TypeVar("T")
Bools1d = NDArray[np.bool_]


# -- data and results ----------------------------------------------------------------------------


def need(path: Path, what: str) -> None:
    """End with one sentence, exit code 1, where data are missing."""
    if not path.is_file():
        raise SystemExit(
            f"{what} is missing: {path.name} is looked for in {path.parent}; put it there, or set "
            "SPACY_ATTN_DATA to the folder with the corpora (see benchmarks/README.md)"
        )


@contextmanager
def one_sentence() -> Iterator[None]:
    """End with the sentence of one of our errors, exit code 1."""
    try:
        yield
    except SpacyAttnError as error:
        raise SystemExit(str(error)) from error


def small_pipeline(*exclude: str) -> Language:
    """en_core_web_sm, from spaCy's own package or its mirror, without some components.

    Raises:
        ResourceError: neither is installed.
    """
    import spacy

    return spacy.load(str(resolve_pipeline(DEFAULT_PIPELINE)), exclude=list(exclude))


#: What speeds are told apart by, from the oldest on: the last of these flags that a processor has.
_INSTRUCTIONS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 with VNNI",
    "avx512_bf16": "AVX-512 with bf16",
    "amx_bf16": "AMX",
}


def for_this_processor(name: str) -> str:
    """The name of a result of speeds, which stands beside those of other processors."""
    flags = cpu_flags()
    found = [flag for flag in _INSTRUCTIONS if flag in flags] or ["other"]
    return f"{name}-{found[-1]}"


def by_processor(name: str) -> dict[str, Result]:
    """The results that :func:`for_this_processor` named, by the instructions of the processor.

    Raises:
        FileNotFoundError: there is none.
    """
    names = {f"{name}-{flag}": shown for flag, shown in _INSTRUCTIONS.items()}
    found = {n: shown for n, shown in names.items() if (RESULTS / f"{n}.json").is_file()}
    return {shown: load(n) for n, shown in found.items()} or {"": load(name)}


def precisions() -> list[str]:
    """float32, and what "auto" takes here where that is another."""
    taken = pick_precision("auto", "cpu", Shape.of(*DEFAULT_SHAPE), default_scales())
    return list(dict.fromkeys(("float32", taken)))


_loaded: list[Result] = []  # what load() has read since earlier_models() began


def load(name: str) -> Result:
    """A committed result."""
    result: Result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    _loaded.append(result)
    return result


def earlier_models(make: Callable[[], str]) -> tuple[str, list[str]]:
    """What a function makes of committed results, and the sense models before the present one.

    Returns:
        The text, and the SHA-256 of each earlier sense model with which one of the results was
        measured.
    """
    _loaded.clear()
    text = make()
    files = [result.get("manifest", {}).get("files", {}) for result in _loaded]
    used = {each.get(SENSE_MODEL.name) for each in files}
    return text, sorted(used - {None, sha256(SENSE_MODEL)})


def is_quick() -> bool:
    """Whether ``--quick`` was asked for: a small part of the data, and nothing is written."""
    return "--quick" in sys.argv


_OF_CHILDREN = {"--child", "--row"}  # what benchmarks call themselves with, see in_child()


def run_command(
    main: Callable[[], None], text: str | None, words: Collection[str] | None = ()
) -> None:
    """Run a benchmark, or print its docstring where ``--help`` was asked for.

    One of our errors ends it with its sentence, exit code 1.

    What the benchmark does not know is refused: a slip such as ``--quik`` would otherwise measure
    everything for minutes and write over the committed result.

    Args:
        main: the benchmark.
        text: its docstring, which names its options.
        words: what else may follow; None: anything, such as a path.
    """
    given, text = sys.argv[1:], (text or "").strip()
    if not {"-h", "--help"}.isdisjoint(given):
        print(text)
        return
    options = {*re.findall(r"(?<!\S)--[a-z-]+", text)}

    def is_known(each: str) -> bool:
        return each in options if each.startswith("-") else words is None or each in words

    wrong = [each for each in given if not is_known(each)]
    if wrong and _OF_CHILDREN.isdisjoint(given):
        command = re.search(r"python -m [\w.]+", text)
        raise SystemExit(
            f"{' '.join(wrong)} is not known here; see: {command[0] if command else ''} --help"
        )
    with one_sentence():
        main()


def publish(
    to: str | Path,
    result: Result,
    command: str,
    files: Sequence[Path] = (),
    *,
    shown: str | None = None,
    **more: Any,
) -> None:
    """Write a result with the manifest of its run, and print its table.

    Args:
        to: the name of a committed result; or a path, then nothing is printed.
        result: plain data.
        command: after ``python -m benchmarks``, such as ".wic" or " run".
        files: what it was made of.
        shown: the name of its table, where that is another.
        more: of the manifest.
    """
    if is_quick():
        print(json.dumps(result, indent=1))
        return
    made = manifest(f"python -m benchmarks{command}", files, **more)
    path = RESULTS / f"{to}.json" if isinstance(to, str) else to
    text = json.dumps({**result, "manifest": made}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    if isinstance(to, str):
        from benchmarks.tables import SECTIONS

        if (shown or to) in SECTIONS:
            print(SECTIONS[shown or to]())


def records(path: Path, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """The lines of a compressed JSONL file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from islice(map(json.loads, file), limit)


def plain_texts(path: Path, limit: int | None = None) -> Iterator[str]:
    """The sentences of SemCor or MASC, tokens joined by blanks."""
    for record in records(path, limit):
        yield " ".join(record["tokens"]).replace("_", " ")


def joined(texts: Iterable[str], size: int) -> list[str]:
    """So many neighbouring sentences to a document."""
    sentences = list(texts)
    return [" ".join(sentences[i : i + size]) for i in range(0, len(sentences), size)]


def documents(n_words: int = 20_000) -> list[str]:
    """Neighbouring sentences of SemCor joined to documents of 1 to 20 sentences."""
    rng = random.Random(SEED)  # noqa: S311 - lengths of documents
    out: list[str] = []
    part: list[str] = []
    n, wanted = 0, 1
    for words in plain_texts(SEMCOR):
        part.append(words)
        n += len(words.split())
        if len(part) == wanted or n >= n_words:
            out.append(" ".join(part))
            part, wanted = [], rng.choice((1, 1, 1, 2, 3, 5, 8, 12, 20))
        if n >= n_words:
            break
    return out


def context_of_tokens(tokens: Sequence[str]) -> Context:
    """Given tokens as a text, joined by blanks."""
    offsets, at = [], 0
    for token in tokens:
        offsets.append((at, at + len(token)))
        at += len(token) + 1
    blank = ("",) * len(tokens)
    return Context(" ".join(tokens), tuple(tokens), offsets, blank, blank)


def encoded(
    sentences: Sequence[Sequence[str]], encoder: Encoder
) -> Iterator[tuple[list[Context], list[Floats2d]]]:
    """Tokenised sentences and the vectors of their tokens, some hundred at a time.

    *Shape:* of each sentence (n_tokens, width)
    """
    for first in progress(range(0, len(sentences), 512), "encoding"):
        contexts = [context_of_tokens(tokens) for tokens in sentences[first : first + 512]]
        yield (
            contexts,
            list(encoder.encode([c.text for c in contexts], [c.offsets for c in contexts])),
        )


def static_mean(words: Iterable[str], vectors: StaticVectors) -> Floats1d:
    """Mean vector of the words that have one; zero for none. *Shape:* (width,)"""
    rows = np.asarray(vectors.vectors(list(words)), dtype=np.float32).reshape(-1, vectors.width)
    known = rows[rows.any(axis=1)]
    return known.mean(axis=0) if len(known) else np.zeros(vectors.width, np.float32)


def unit(rows: Any) -> Floats2d:
    """Rows to unit length; zeros stay. *Shape:* (n, width), the same"""
    rows = np.asarray(rows, dtype=np.float32)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))


# -- statistics ----------------------------------------------------------------------------------


def rounded(values: Iterable[float]) -> list[float]:
    """Four digits, as results have them."""
    return [round(float(value), 4) for value in values]


def accuracy(right: Bools1d) -> Result:
    """Accuracy and its 95 % bootstrap interval. *Shape:* (n,)"""
    return {"accuracy": round(float(right.mean()), 4), "ci95": rounded(interval(right))}


def duel(names: Sequence[str], kinds: Sequence[str], rights: Sequence[Bools1d]) -> Result:
    """The attention system with most right against the classic one, by McNemar's test.

    Each is the best of its kind by these same scores, which flatters the kind with more rows.

    *Shape:* of each of ``rights`` (n,): what was right
    """

    def best(kind: str) -> int:
        return max((i for i, k in enumerate(kinds) if k == kind), key=lambda i: rights[i].sum())

    ours, theirs = best("attention"), best("classic")
    only_attention, only_classic, p = mcnemar(rights[ours], rights[theirs])
    return {
        "attention": names[ours],
        "classic": names[theirs],
        "accuracies": rounded([rights[ours].mean(), rights[theirs].mean()]),
        "only_attention": only_attention,
        "only_classic": only_classic,
        "p": p,
    }


# -- time and memory -----------------------------------------------------------------------------


def progress(items: Any, what: str) -> Iterable[Any]:
    """The items, with a bar where somebody looks."""
    console = Console(stderr=True)
    return track(items, what, console=console, disable=not console.is_terminal)


def seconds(work: Callable[[], Any]) -> float:
    """How long a function takes, and whatever it yields."""
    started = time.perf_counter()
    made = work()
    if isinstance(made, Iterator):
        for _ in made:
            pass
    return time.perf_counter() - started


def timed(make: Callable[[], T]) -> tuple[T, float]:
    """What a function makes, and the seconds that it took."""
    started = time.perf_counter()
    made = make()
    return made, time.perf_counter() - started


def in_turns(work: Mapping[str, Callable[[], Any]], turns: int) -> dict[str, list[float]]:
    """Seconds of each function in each turn; every other turn has the opposite order.

    Single times on a shared machine mean little: take the median of the ratios of one turn.
    """
    out: dict[str, list[float]] = {name: [] for name in work}
    for turn in progress(range(turns), "timing"):
        for name in list(work)[:: -1 if turn % 2 else 1]:
            out[name].append(seconds(work[name]))
    return out


def median_ratio(times: Sequence[float], base: Sequence[float], digits: int = 3) -> Result:
    """The ratio of each turn, and the median of them."""
    ratios = [a / b for a, b in zip(times, base, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), digits),
        "ratios": [round(ratio, digits) for ratio in ratios],
    }


def memory_mb(name: str = "VmRSS") -> float:
    """MB (2**20 bytes) that this process holds (Linux); "VmHWM": the most that it held."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def forget_peak() -> None:
    """Let the peak of memory begin again at what is held now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def in_child(module: str, *arguments: object, **environ: str) -> Any:
    """What a module prints as its last line, as JSON, in a process of its own.

    Args:
        module: of the benchmarks; it gets the arguments.
        arguments: become text.
        environ: more variables.

    Raises:
        RuntimeError: the process failed; with its last line.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"benchmarks.{module}", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.strip().splitlines()[-1:]))
    return json.loads(done.stdout.strip().splitlines()[-1])


def file_megabytes(files: Sequence[Path]) -> float:
    """Size on disk, in millions of bytes."""
    return round(sum(file.stat().st_size for file in files) / 1e6, 1)
