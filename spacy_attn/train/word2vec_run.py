"""What is on disk of a run of ``train-word2vec``, and how a stopped one is recognised.

::

    OUTPUT.training/run.json         settings, inputs, and the corpus once it is read
                    corpus.txt       a sentence a line, tokens between blanks
                    words.txt        the words that get a vector, frequent ones first
                    counts.npy       how often each occurs
                    checkpoint.npz   weights and random generator after the last finished epoch
                    lock             held by the process that works here

gensim's own ``save`` is a pickle, and unpickling can run any code: a checkpoint here is an
archive of plain arrays.
"""

from __future__ import annotations

import json
import shlex
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import PlainData
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.files import atomic_write, locked
from spacy_attn.models import file_sha256
from spacy_attn.train.corpus import MAX_TOKEN, Corpus, Report, tokenise_files
from spacy_attn.train.text_stream import STDIN, TextFile, stdin_sha256
from spacy_attn.train.word2vec_config import Word2VecConfig

_FORMAT: Final = "spacy_attn word2vec training"
_VERSION: Final = 2
_FILES: Final = ("corpus.txt", "words.txt", "counts.npy", "checkpoint.npz", "run.json")
_NEW: Final = ".new"  # of a file until it is whole
#: What numpy, zipfile and json raise on a damaged file.
_DAMAGE: Final = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RecursionError,
    zipfile.BadZipFile,
)


class Run:
    """The folder of one run."""

    def __init__(
        self,
        output: Path,
        config: Word2VecConfig,
        files: Sequence[TextFile],
        text_key: str,
        report: Report,
    ) -> None:
        self.folder = output.parent / f"{output.name}.training"
        self.config, self.files, self.text_key, self.report = config, files, text_key, report
        self.is_resumed = False  # whether the corpus is that of an earlier process

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes out of the folder.

        Raises:
            ConfigError: one is in it, or it holds something else than a run.
        """
        names = {path.name for path in self.folder.iterdir()}
        if "run.json" not in names and names - {"lock", f"run.json{_NEW}"}:
            raise ConfigError(
                f"{self.folder} is needed for checkpoints and holds something else; move it "
                f"away or give another -o"
            )
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder / "lock", wait=False))
            except TimeoutError as error:
                raise ConfigError(
                    f"another run is using {self.folder}; wait for its end or give another -o"
                ) from error
            yield

    def remove(self) -> None:
        """Remove the folder of a run that is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- the corpus --

    def prepare(self, processes: int) -> tuple[list[str], NDArray[np.int64], int]:
        """Words, their counts, and the number of sentences; tokenised now or before.

        Raises:
            ConfigError: another run is in the folder, or no word occurs often enough.
            ResourceError: a file of the run is damaged.
        """
        found = self._found()
        if found is not None:
            self._refuse_another(found)
            try:
                words, counts = self._read_words(found)
            except _DAMAGE as error:
                raise self.damaged("corpus", error) from error
            self.is_resumed = True
            return words, counts, int(found["corpus"]["n_sentences"])
        self._clear()
        self._write_description([], None)
        corpus = tokenise_files(
            self.files,
            self.folder / "corpus.txt",
            tokens=self.config.tokens,
            lang=self.config.lang,
            lower=self.config.lower,
            text_key=self.text_key,
            processes=processes,
            report=self.report,
        )
        words, counts = self._vocabulary(corpus)
        (self.folder / "words.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        np.save(self.folder / "counts.npy", counts)
        facts = {
            "n_sentences": corpus.n_sentences,
            "n_tokens": corpus.n_tokens,
            "n_words": len(words),
            "n_skipped": corpus.n_skipped,
            "n_too_long": corpus.n_too_long,
            "first_skipped": corpus.first_skipped,
            "n_bytes": (self.folder / "corpus.txt").stat().st_size,
        }
        # Last, so that a run with this line has all of the rest.
        self._write_description(self._hashes(corpus), facts)
        self.report({"phase": "corpus", **facts})
        return words, counts, corpus.n_sentences

    def _vocabulary(self, corpus: Corpus) -> tuple[list[str], NDArray[np.int64]]:
        skipped = ""
        if corpus.n_skipped:
            skipped = f" (lines skipped: {corpus.n_skipped:,}, {corpus.first_skipped})"
        if corpus.n_too_long:
            skipped += f" (skipped tokens above {MAX_TOKEN:,} characters: {corpus.n_too_long:,})"
        kept = [(w, c) for w, c in corpus.counts.items() if c >= self.config.min_count]
        if not kept:
            self._clear()
            (self.folder / "lock").unlink(missing_ok=True)
            self.folder.rmdir()
            if not corpus.counts:
                raise ConfigError(f"no usable token in the input{skipped}; give texts with words")
            word, times = corpus.counts.most_common(1)[0]
            raise ConfigError(
                f"no usable token: none of the words, {len(corpus.counts):,} in all, occurs "
                f"{self.config.min_count} times ({word!r} occurs {times} times){skipped}; give "
                f"more text or --min-count {times}"
            )
        kept.sort(key=lambda pair: -pair[1])  # stable: equal counts keep the order of the text
        return [w for w, _ in kept], np.array([c for _, c in kept], dtype=np.int64)

    def _read_words(self, found: PlainData) -> tuple[list[str], NDArray[np.int64]]:
        words = (self.folder / "words.txt").read_bytes().decode("utf-8").split("\n")[:-1]
        counts: NDArray[np.int64] = np.load(self.folder / "counts.npy", allow_pickle=False)
        size = (self.folder / "corpus.txt").stat().st_size
        if counts.dtype != np.int64 or counts.shape != (len(words),) or not len(words):
            raise ValueError(f"{len(words)} words and counts of shape {counts.shape}")
        if size != found["corpus"]["n_bytes"]:
            raise ValueError(f"corpus.txt has {size} bytes")
        return words, counts

    def _clear(self) -> None:
        """Remove what a run left here, and nothing else."""
        for name in _FILES:
            (self.folder / name).unlink(missing_ok=True)
            (self.folder / f"{name}{_NEW}").unlink(missing_ok=True)

    # -- whether it is the same run --

    def _found(self) -> PlainData | None:
        """The description of a run that read its corpus to the end; None for none."""
        path = self.folder / "run.json"
        if not path.is_file():
            return None
        try:
            found: PlainData = json.loads(path.read_text(encoding="utf-8"))
            if found["format"] != _FORMAT or found["version"] != _VERSION:
                raise ValueError(f"not {_FORMAT}, version {_VERSION}")
            return found if found["corpus"] is not None else None
        except _DAMAGE as error:
            raise self.damaged("run.json", error) from error

    def _refuse_another(self, found: PlainData) -> None:
        differ = [
            f"{key} = {found['settings'].get(key)!r}, not {value!r}"
            for key, value in self._settings().items()
            if found["settings"].get(key) != value
        ]
        before = [(each["name"], each["sha256"]) for each in found["inputs"]]
        inputs = [(each["name"], each["sha256"]) for each in self._hashes(None)]
        if [sha256 for _, sha256 in before] != [sha256 for _, sha256 in inputs]:
            changed = [name for name, sha256 in inputs if (name, sha256) not in before]
            names = ", ".join(map(str, changed[:3])) or "fewer or in another order"
            differ.append(f"other inputs ({names})")
        if differ:
            raise ConfigError(
                f"{self.folder} holds an unfinished run with {'; '.join(differ)}; give the same "
                f"options and inputs to resume it, another -o, or start anew after: "
                f"rm -r {shlex.quote(str(self.folder))}"
            )

    def _settings(self) -> PlainData:
        formats = [file.format for file in self.files]
        return {**asdict(self.config), "text_key": self.text_key, "formats": formats}

    def _hashes(self, corpus: Corpus | None) -> list[dict[str, str | None]]:
        """Name and content of each input; standard input is read for it unless it was."""
        out: list[dict[str, str | None]] = []
        for file in self.files:
            if file.name != STDIN:
                sha256: str | None = file_sha256(Path(file.name))
            else:
                sha256 = stdin_sha256() if corpus is None else corpus.stdin_sha256
            out.append({"name": file.name, "sha256": sha256})
        return out

    def _write_description(
        self, inputs: list[dict[str, str | None]], corpus: PlainData | None
    ) -> None:
        description = {
            "format": _FORMAT,
            "version": _VERSION,
            "settings": self._settings(),
            "inputs": inputs,
            "corpus": corpus,
        }
        path = self.folder / "run.json"
        with atomic_write(path, unfinished=self.folder / f"run.json{_NEW}") as file:
            file.write(json.dumps(description, ensure_ascii=False, indent=1).encode() + b"\n")

    # -- checkpoints --

    def write_checkpoint(self, epoch: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays as the state after an epoch, in the place of the last one."""
        path = self.folder / "checkpoint.npz"
        with atomic_write(path, unfinished=self.folder / f"checkpoint.npz{_NEW}") as file:
            np.savez(file, allow_pickle=False, epoch=np.array(epoch), **arrays)

    def read_checkpoint(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        """Fill arrays with the state after the last epoch; the number of epochs that are done.

        Raises:
            ResourceError: the checkpoint is damaged, or an array in it has another shape.
        """
        path = self.folder / "checkpoint.npz"
        if not path.is_file():
            return 0
        try:
            # numpy leaves a damaged archive open that it opened itself.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
                epoch = int(saved["epoch"])
                for name, array in arrays.items():
                    found = saved[name]
                    if found.shape != array.shape or found.dtype != array.dtype:
                        raise ValueError(f"{name} has shape {found.shape}, type {found.dtype}")
                    array[...] = found
        except _DAMAGE as error:
            raise self.damaged(path.name, error) from error
        return epoch

    def damaged(self, what: str, error: Exception) -> ResourceError:
        """The error where a file of the run is damaged."""
        reason = " ".join(str(error).split()) or type(error).__name__
        return ResourceError(
            f"the checkpoint {self.folder / what} is damaged ({reason}); start anew after: "
            f"rm -r {shlex.quote(str(self.folder))}"
        )
