"""Train Word2Vec or fastText with gensim, restartable after each epoch.

The corpus is tokenised once into a folder beside the output (``OUTPUT.training``), which
also gets a checkpoint after each epoch and is removed at the end. A run that was killed
goes on from its last checkpoint when it is called again in the same way; with one thread
it ends with the very vectors of a run that was never stopped.

* Word2Vec: Mikolov et al. 2013, arXiv:1301.3781 and arXiv:1310.4546 (negative sampling).
* fastText: Bojanowski et al. 2017, arXiv:1607.04606.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import PlainData
from spacy_attn.classic.vectors.store import check_free, save_vectors
from spacy_attn.classic.vectors.table import Damaged, Ngrams
from spacy_attn.errors import ConfigError, ResourceError, explain_missing_package
from spacy_attn.train.corpus import Report, make_tokenizer
from spacy_attn.train.text_stream import find_text_files
from spacy_attn.train.word2vec_config import Word2VecConfig
from spacy_attn.train.word2vec_run import Run

_BUCKETS_A_WORD: Final = 10
_MAX_BUCKETS: Final = 2_000_000  # fastText's own number
_REPORT_EVERY: Final = 0.2  # seconds


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
        report: called with plain records of the progress.

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
            raise ConfigError(f"--{name} {number}: allowed: 1 or more")
    with explain_missing_package("train-word2vec"):
        import gensim.models  # noqa: F401
    files = find_text_files(inputs, input_format)
    make_tokenizer(config.tokens, config.lang, config.lower)
    output = Path(output).expanduser()
    run = Run(output, config, files, text_key, report or _ignore)
    _check_writable(output, run.folder, overwrite)
    with run.alone():
        try:
            words, counts, n_sentences = run.prepare(processes)
            model = _make_model(config, words, counts, n_sentences, threads)
            _train(run, model, n_sentences, int(counts.sum()))
            _save(model, config, words, output, overwrite)
        except OSError as error:
            raise ResourceError(
                f"training stopped: {error.strerror or error} ({run.folder}); make room and give "
                f"the same command again"
            ) from error
        run.remove()
    return output


def _ignore(record: PlainData) -> None:
    """No report."""


def _check_writable(output: Path, folder: Path, overwrite: bool) -> None:
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
        folder.mkdir(exist_ok=True)
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


def _state(model: Any) -> dict[str, NDArray[Any]]:
    """The arrays that training changes; those of the random generator are copies."""
    if hasattr(model.wv, "vectors_ngrams"):
        inputs = {"words": model.wv.vectors_vocab, "ngrams": model.wv.vectors_ngrams}
    else:
        inputs = {"words": model.wv.vectors}
    generator = model.random.get_state(legacy=False)["state"]
    random = {"random": generator["key"], "position": np.array(generator["pos"])}
    return {**inputs, "output": model.syn1neg, **random}


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


def _train(run: Run, model: Any, n_sentences: int, n_words: int) -> None:
    """Train from the last checkpoint on, and write one after each epoch."""
    from gensim.models.callbacks import CallbackAny2Vec

    epochs, started = run.config.epochs, time.monotonic()
    state = _state(model)
    done = run.read_checkpoint(state)
    if run.is_resumed:
        run.report({"phase": "resume", "epochs_done": done})
    if done:
        position = int(state["position"])
        if not 0 <= position <= len(state["random"]):
            raise run.damaged("checkpoint.npz", ValueError(f"position {position}"))
        generator = {"key": state["random"], "pos": position}
        model.random.set_state({"bit_generator": "MT19937", "state": generator})

    def progress(epoch: int, words: int) -> None:
        trained = n_words * epoch + min(words, n_words)
        total = n_words * epochs
        run.report({"phase": "train", "epoch": epoch + 1, "done": trained, "total": total})

    sentences = _Sentences(run.folder / "corpus.txt", done, progress)

    class Epochs(CallbackAny2Vec):  # type: ignore[misc]  # gensim is untyped
        def on_epoch_end(self, model: Any) -> None:
            if sentences.error is not None:
                raise sentences.error
            sentences.epoch += 1
            if sentences.epoch > done:
                run.write_checkpoint(sentences.epoch, _state(model))
                seconds = time.monotonic() - started
                speed = round(n_words * (sentences.epoch - done) / max(seconds, 1e-9))
                now = {"epoch": sentences.epoch, "epochs": epochs, "words_per_second": speed}
                run.report({"phase": "epoch", **now})

    if done < epochs:
        with _quiet_gensim():
            model.train(sentences, total_examples=n_sentences, epochs=epochs, callbacks=[Epochs()])
    elif hasattr(model.wv, "adjust_vectors"):
        model.wv.adjust_vectors()  # killed between the last epoch and the result
