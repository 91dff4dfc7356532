"""Train Word2Vec or fastText with gensim, restartable after each epoch.

The corpus is tokenised once into a folder beside the output (``OUTPUT.training``), which
also gets a checkpoint after each epoch and is removed at the end. A run that was killed
goes on from its last checkpoint when it is called again in the same way; with one thread
it ends with the very vectors of a run that was never stopped.

gensim's own ``save`` is a pickle, and unpickling can run any code. A checkpoint here is
JSON and plain arrays: words, counts, both weight matrices (and fastText's n-grams) and the
state of the random generator. The learning rate follows from the number of the epoch.

* Word2Vec: Mikolov et al. 2013, arXiv:1301.3781 and arXiv:1310.4546 (negative sampling).
* fastText: Bojanowski et al. 2017, arXiv:1607.04606.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import PlainData
from spacy_attn.classic.vectors.store import check_free, save_vectors
from spacy_attn.classic.vectors.table import Damaged, Ngrams
from spacy_attn.classic.vectors.words import map_array
from spacy_attn.errors import ConfigError, ResourceError, explain_missing_package
from spacy_attn.files import locked
from spacy_attn.models import file_sha256
from spacy_attn.train.text_stream import (
    MAX_TOKEN,
    STDIN,
    TOKENS,
    Corpus,
    Report,
    TextFile,
    find_text_files,
    make_tokenizer,
    stdin_sha256,
    tokenise_files,
)

__all__ = ["Word2VecConfig", "train_word2vec"]

logger = logging.getLogger("spacy_attn")

ALGORITHMS: Final = ("word2vec", "fasttext")
ARCHITECTURES: Final = ("skipgram", "cbow")
_FORMAT: Final = "spacy_attn word2vec training"
_VERSION: Final = 1
_BUCKETS_A_WORD: Final = 10
_MAX_DIMENSIONS: Final = 10_000
_MAX_BUCKETS: Final = 2_000_000  # fastText's own number
_REPORT_EVERY: Final = 0.2  # seconds


@dataclass(frozen=True)
class Word2VecConfig:
    """Everything that decides the result of a training run, beside the texts."""

    algorithm: str = "word2vec"
    architecture: str = "skipgram"
    dimensions: int = 100
    window: int = 5  # words each side, at most
    min_count: int = 5  # rarer words get no vector
    epochs: int = 5
    negative: int = 5  # noise words drawn for each word
    learning_rate: float = 0.025  # falls linearly to a 250th of it
    sample: float = 1e-3  # words above this share of the corpus are read less often; 0: never
    min_ngram: int = 3  # characters, fastText only
    max_ngram: int = 6
    buckets: int | None = None  # rows for n-grams; None: 10 for each word, at most 2,000,000
    tokens: str = "spacy"
    lang: str = "en"
    lower: bool = True
    seed: int = 0

    def check(self) -> None:
        """Refuse a setting outside its legal range.

        Raises:
            ConfigError: names the value and the range.
        """
        choices = {"algorithm": ALGORITHMS, "architecture": ARCHITECTURES, "tokens": TOKENS}
        for name, legal in choices.items():
            if getattr(self, name) not in legal:
                raise ConfigError(
                    f"--{name} {getattr(self, name)}: legal are {' and '.join(legal)}"
                )
        if not 1 <= self.dimensions <= _MAX_DIMENSIONS:
            raise ConfigError(f"--dimensions {self.dimensions}: legal is 1 to {_MAX_DIMENSIONS:,}")
        for name in ("window", "min_count", "epochs", "negative", "min_ngram"):
            if getattr(self, name) < 1:
                option = name.replace("_", "-")
                raise ConfigError(f"--{option} {getattr(self, name)}: legal is 1 or more")
        if not 0 < self.learning_rate <= 1:
            raise ConfigError(f"--learning-rate {self.learning_rate}: legal is above 0, at most 1")
        if not 0 <= self.sample < 1:
            raise ConfigError(f"--sample {self.sample}: legal is 0 to below 1")
        if self.max_ngram < self.min_ngram:
            raise ConfigError(
                f"--max-ngram {self.max_ngram}: legal is --min-ngram ({self.min_ngram}) or more"
            )
        if self.buckets is not None and self.buckets < 1:
            raise ConfigError(f"--buckets {self.buckets}: legal is 1 or more")
        if not 0 <= self.seed < 2**32 - 1:
            raise ConfigError(f"--seed {self.seed}: legal is 0 to {2**32 - 2}")


def train_word2vec(
    inputs: Sequence[str | Path],
    output: str | Path,
    config: Word2VecConfig | None = None,
    *,
    text_key: str = "text",
    input_format: str | None = None,
    threads: int = 1,
    processes: int = 1,
    overwrite: bool = False,
    report: Report | None = None,
) -> Path:
    """Train vectors and write them as a folder that ``load_vectors`` and the component read.

    Args:
        inputs: files, folders, patterns or "-", see ``find_text_files``.
        output: folder for the vectors.
        config: see :class:`Word2VecConfig`.
        text_key: field of a JSONL record with its text.
        input_format: "txt" or "jsonl" for all inputs.
        threads: that train. With more than one, two runs differ a little.
        processes: that tokenise.
        overwrite: replace vectors that are in ``output`` already.
        report: hears plain records of what is going on.

    Returns:
        ``output``.

    Raises:
        ConfigError: a setting, an input or the output is wrong, no word occurs often
            enough, a run with other settings or inputs waits to be resumed, or another
            process is at the same run.
        ResourceError: gensim is missing, an input or a checkpoint is damaged, the training
            diverged, or the disk is full.
    """
    config = config or Word2VecConfig()
    config.check()
    for name, number in (("threads", threads), ("n-process", processes)):
        if number < 1:
            raise ConfigError(f"--{name} {number}: legal is 1 or more")
    with explain_missing_package("train-word2vec"):
        import gensim.models  # noqa: F401
    files = find_text_files(inputs, input_format)
    make_tokenizer(config.tokens, config.lang, config.lower)
    output = Path(output).expanduser()
    _check_writable(output, overwrite)
    run = _Run(output, config, files, text_key, report or _ignore)
    with run.alone():
        try:
            words, counts, n_sentences = run.prepare(processes)
            model = _make_model(config, words, counts, n_sentences, threads)
            run.train(model, n_sentences, int(counts.sum()))
            _save(model, config, words, output, overwrite)
        except OSError as error:
            raise ResourceError(
                f"training stopped: {error.strerror or error} ({run.folder}); make room and give "
                f"the same command again"
            ) from error
        shutil.rmtree(run.folder, ignore_errors=True)
    return output


def _ignore(record: PlainData) -> None:
    del record


def _training_folder(output: Path) -> Path:
    return output.with_name(f"{output.name}.training")


def _check_writable(output: Path, overwrite: bool) -> None:
    """Before the work, not after it.

    Raises:
        ConfigError: the output exists, or its folder cannot be written.
    """
    try:
        check_free(output, overwrite)
        output.parent.mkdir(parents=True, exist_ok=True)
        probe = output.with_name(f".{output.name[:100]}.{os.getpid()}")
        probe.mkdir()
        probe.rmdir()
        _training_folder(output).mkdir(exist_ok=True)
    except (Damaged, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"-o {output} cannot be written: {reason or error}") from error


# -- gensim ----------------------------------------------------------------------------


def _make_model(
    config: Word2VecConfig,
    words: Sequence[str],
    counts: NDArray[np.int64],
    n_sentences: int,
    threads: int,
) -> Any:
    """A gensim model whose vocabulary is in the order of ``words``; weights are seeded."""
    from gensim.models import FastText, Word2Vec

    settings: dict[str, Any] = {
        "vector_size": config.dimensions,
        "window": config.window,
        "min_count": config.min_count,
        "sg": int(config.architecture == "skipgram"),
        "negative": config.negative,
        "alpha": config.learning_rate,
        "min_alpha": config.learning_rate / 250,
        "sample": config.sample,
        "epochs": config.epochs,
        "seed": config.seed,
        "workers": threads,
        "sorted_vocab": 0,
    }
    if config.algorithm == "fasttext":
        model = FastText(
            min_n=config.min_ngram,
            max_n=config.max_ngram,
            bucket=config.buckets or min(_MAX_BUCKETS, _BUCKETS_A_WORD * len(words)),
            **settings,
        )
    else:
        model = Word2Vec(**settings)
    model.build_vocab_from_freq(
        dict(zip(words, counts.tolist(), strict=True)), corpus_count=n_sentences
    )
    return model


def _weights(model: Any) -> dict[str, NDArray[np.float32]]:
    """The arrays that training changes."""
    if hasattr(model.wv, "vectors_ngrams"):
        inputs = {"words": model.wv.vectors_vocab, "ngrams": model.wv.vectors_ngrams}
    else:
        inputs = {"words": model.wv.vectors}
    return {**inputs, "output": model.syn1neg}


def _save(
    model: Any, config: Word2VecConfig, words: Sequence[str], output: Path, overwrite: bool
) -> None:
    ngrams = None
    if config.algorithm == "fasttext":
        ngrams = Ngrams(model.wv.vectors_ngrams, config.min_ngram, config.max_ngram)
    if not np.isfinite(model.wv.vectors).all():
        raise ResourceError(
            f"the training diverged (vectors with NaN); give a --learning-rate below "
            f"{config.learning_rate} and another -o"
        )
    about = {"trained_by": "spacy-attn train-word2vec", **asdict(config)}
    save_vectors(output, words, model.wv.vectors, ngrams=ngrams, about=about, overwrite=overwrite)


@contextmanager
def _quiet_gensim() -> Iterator[None]:
    """Gensim warns that the epochs that are passed over hold no sentence."""
    log = logging.getLogger("gensim")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


class _Sentences:
    """The tokenised corpus, once for each epoch; the epochs that are done are empty.

    So gensim itself counts epochs and computes the learning rate, resumed or not.
    """

    def __init__(self, path: Path, done: int, report: Callable[[int, int], None]) -> None:
        self.path, self.done, self.report = path, done, report
        self.epoch = 0  # set by gensim's callback
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[list[str]]:
        if self.epoch < self.done:
            return
        # It runs in a thread of gensim's, which waits for ever when that thread dies.
        try:
            yield from self._read()
        except Exception as error:
            self.error = error

    def _read(self) -> Iterator[list[str]]:
        n_words, reported = 0, time.monotonic()
        with self.path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                words = line.split()
                yield words
                n_words += len(words)
                if time.monotonic() - reported > _REPORT_EVERY:
                    reported = time.monotonic()
                    self.report(self.epoch, n_words)


# -- a run and its folder --------------------------------------------------------------


class _Run:
    """What is on disk of a training run.

    ::

        OUTPUT.training/run.json           settings, inputs, and the corpus once it is read
                        corpus.txt         a sentence a line, tokens between blanks
                        words.txt          the words that get a vector, frequent ones first
                        counts.npy         how often each occurs
                        epoch-3/           weights and random generator after three epochs
                        lock               held by the process that works here
    """

    def __init__(
        self,
        output: Path,
        config: Word2VecConfig,
        files: Sequence[TextFile],
        text_key: str,
        report: Report,
    ) -> None:
        self.folder = _training_folder(output)
        self.config, self.files, self.text_key, self.report = config, files, text_key, report

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes out of the folder.

        Raises:
            ConfigError: one is in it, or it holds something else than a run.
        """
        self._refuse_foreign()
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder / "lock", wait=False))
            except TimeoutError as error:
                raise ConfigError(
                    f"another run is using {self.folder}; wait for its end or give another -o"
                ) from error
            yield

    def _refuse_foreign(self) -> None:
        names = {path.name for path in self.folder.iterdir()}
        if "run.json" not in names and names - {"lock", "run.json.new"}:
            raise ConfigError(
                f"{self.folder} is needed for checkpoints and holds something else; move it "
                f"away or give another -o"
            )

    # -- the corpus --

    def prepare(self, processes: int) -> tuple[list[str], NDArray[np.int64], int]:
        """Words, their counts, and the number of sentences; tokenised now or before."""
        found = self._found()
        if found is not None:
            self._refuse_another(found)
            try:
                words, counts = self._read_words(found)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise self._damaged("corpus", error) from error
            self.report({"phase": "resume", "epochs_done": self._last_epoch()})
            return words, counts, int(found["corpus"]["n_sentences"])
        self._clear()
        self._write_json("run.json", self._description([], None))
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
        self._write_json("run.json", self._description(self._hashes(corpus), facts))
        self.report({"phase": "corpus", **facts})
        return words, counts, corpus.n_sentences

    def _vocabulary(self, corpus: Corpus) -> tuple[list[str], NDArray[np.int64]]:
        skipped = ""
        if corpus.n_skipped:
            skipped = f" ({corpus.n_skipped} lines were skipped, {corpus.first_skipped})"
        if corpus.n_too_long:
            skipped += f" ({corpus.n_too_long} tokens above {MAX_TOKEN:,} characters were skipped)"
        if not corpus.counts:
            self._discard()
            raise ConfigError(f"no usable token in the input{skipped}; give texts with words")
        kept = [(w, c) for w, c in corpus.counts.items() if c >= self.config.min_count]
        if not kept:
            self._discard()
            word, times = corpus.counts.most_common(1)[0]
            raise ConfigError(
                f"no usable token: none of the {len(corpus.counts)} words occurs "
                f"{self.config.min_count} times ({word!r} occurs {times} times){skipped}; give "
                f"more text or --min-count {times}"
            )
        kept.sort(key=lambda pair: -pair[1])  # stable: equal counts keep the order of the text
        return [w for w, _ in kept], np.array([c for _, c in kept], dtype=np.int64)

    def _read_words(self, found: PlainData) -> tuple[list[str], NDArray[np.int64]]:
        words = (self.folder / "words.txt").read_bytes().decode("utf-8").split("\n")[:-1]
        counts = np.array(map_array(self.folder / "counts.npy"))
        size = (self.folder / "corpus.txt").stat().st_size
        if counts.dtype != np.int64 or counts.shape != (len(words),) or not len(words):
            raise ValueError(f"{len(words)} words and counts of shape {counts.shape}")
        if size != found["corpus"]["n_bytes"]:
            raise ValueError(f"corpus.txt has {size} bytes")
        return words, counts

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
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged("run.json", error) from error

    def _refuse_another(self, found: PlainData) -> None:
        now = self._description(self._hashes(None), None)
        differ = [
            f"{key} = {found['settings'].get(key)!r}, not {value!r}"
            for key, value in now["settings"].items()
            if found["settings"].get(key) != value
        ]
        before = [(each["name"], each["sha256"]) for each in found["inputs"]]
        inputs = [(each["name"], each["sha256"]) for each in now["inputs"]]
        if [sha256 for _, sha256 in before] != [sha256 for _, sha256 in inputs]:
            changed = [name for name, sha256 in inputs if (name, sha256) not in before]
            names = ", ".join(changed[:3]) or "fewer or in another order"
            differ.append(f"other inputs ({names})")
        if differ:
            raise ConfigError(
                f"{self.folder} holds an unfinished run with {'; '.join(differ)}; give the same "
                f"options and inputs to resume it, another -o, or start anew after: "
                f"rm -r {shlex.quote(str(self.folder))}"
            )

    def _description(
        self, inputs: list[dict[str, str | None]], corpus: PlainData | None
    ) -> PlainData:
        settings = {
            **asdict(self.config),
            "text_key": self.text_key,
            "formats": [file.format for file in self.files],
        }
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "settings": settings,
            "inputs": inputs,
            "corpus": corpus,
        }

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

    # -- epochs --

    def train(self, model: Any, n_sentences: int, n_words: int) -> None:
        """Train from the last checkpoint on, and write one after each epoch."""
        from gensim.models.callbacks import CallbackAny2Vec

        run, done = self, self._last_epoch()
        if done:
            self._restore(model, done)
        total = n_words * self.config.epochs
        started = time.monotonic()

        def progress(epoch: int, words: int) -> None:
            trained = n_words * epoch + min(words, n_words)
            run.report({"phase": "train", "epoch": epoch + 1, "done": trained, "total": total})

        sentences = _Sentences(self.folder / "corpus.txt", done, progress)

        class Epochs(CallbackAny2Vec):  # type: ignore[misc]  # gensim is untyped
            def on_epoch_end(self, model: Any) -> None:
                if sentences.error is not None:
                    raise sentences.error
                sentences.epoch += 1
                if sentences.epoch > done:
                    run._checkpoint(model, sentences.epoch)
                    seconds = time.monotonic() - started
                    speed = round(n_words * (sentences.epoch - done) / max(seconds, 1e-9))
                    run.report(
                        {
                            "phase": "epoch",
                            "epoch": sentences.epoch,
                            "epochs": run.config.epochs,
                            "words_per_second": speed,
                        }
                    )

        if done < self.config.epochs:
            with _quiet_gensim():
                model.train(
                    sentences,
                    total_examples=n_sentences,
                    epochs=self.config.epochs,
                    callbacks=[Epochs()],
                )
        elif hasattr(model.wv, "adjust_vectors"):
            model.wv.adjust_vectors()  # killed between the last epoch and the result

    def _last_epoch(self) -> int:
        epochs = [path.name.partition("-")[2] for path in self.folder.glob("epoch-*")]
        return max((int(epoch) for epoch in epochs if epoch.isdecimal()), default=0)

    def _checkpoint(self, model: Any, epoch: int) -> None:
        unfinished = self.folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        for name, array in _weights(model).items():
            np.save(unfinished / f"{name}.npy", array)
        state = model.random.get_state(legacy=False)
        np.save(unfinished / "random.npy", state["state"]["key"])
        _write_json(
            unfinished / "state.json",
            {
                "epoch": epoch,
                "position": int(state["state"]["pos"]),
                "has_gauss": int(state["has_gauss"]),
                "gauss": float(state["gauss"]),
            },
        )
        unfinished.rename(self.folder / f"epoch-{epoch}")
        for path in self.folder.glob("epoch-*"):
            if path.name != f"epoch-{epoch}":
                shutil.rmtree(path, ignore_errors=True)

    def _restore(self, model: Any, epoch: int) -> None:
        folder = self.folder / f"epoch-{epoch}"
        try:
            for name, array in _weights(model).items():
                saved = map_array(folder / f"{name}.npy")
                if saved.shape != array.shape or saved.dtype != array.dtype:
                    raise ValueError(f"{name}.npy has shape {saved.shape}")
                array[...] = saved
            state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
            key = np.array(map_array(folder / "random.npy"))
            if key.shape != (624,) or key.dtype != np.uint32 or not 0 <= state["position"] <= 624:
                raise ValueError(f"random.npy has shape {key.shape}")
            model.random.set_state(
                {
                    "bit_generator": "MT19937",
                    "state": {"key": key, "pos": state["position"]},
                    "has_gauss": state["has_gauss"],
                    "gauss": state["gauss"],
                }
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise self._damaged(folder.name, error) from error

    # -- files --

    def _clear(self) -> None:
        """Remove what a run left here, and nothing else."""
        for name in ("corpus.txt", "words.txt", "counts.npy", "run.json.new", "run.json"):
            (self.folder / name).unlink(missing_ok=True)
        for path in [*self.folder.glob("epoch-*"), self.folder / "unfinished"]:
            shutil.rmtree(path, ignore_errors=True)

    def _discard(self) -> None:
        """End a run that cannot be resumed."""
        self._clear()
        (self.folder / "lock").unlink(missing_ok=True)
        self.folder.rmdir()

    def _write_json(self, name: str, content: PlainData) -> None:
        _write_json(self.folder / f"{name}.new", content)
        os.replace(self.folder / f"{name}.new", self.folder / name)

    def _damaged(self, what: str, error: Exception) -> ResourceError:
        reason = " ".join(str(error).split()) or type(error).__name__
        return ResourceError(
            f"the checkpoint {self.folder / what} is damaged ({reason}); start anew after: "
            f"rm -r {shlex.quote(str(self.folder))}"
        )


def _write_json(path: Path, content: PlainData) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
