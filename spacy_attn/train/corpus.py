"""A corpus for training: tokenised once, a sentence a line, its words counted.

Training reads a corpus many times. It is therefore tokenised once, into a file with a
sentence a line and a blank between tokens, while the words are counted.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from spacy_attn._types import PlainData
from spacy_attn.batches import batches
from spacy_attn.errors import ConfigError, ResourceError, allowed_names
from spacy_attn.models.languages import no_tokenizer
from spacy_attn.train.text_stream import STDIN, TextFile, read_texts

Report: TypeAlias = Callable[[PlainData], None]
Tokenizer: TypeAlias = Callable[[list[str]], list[list[str]]]

TOKENS: Final = ("spacy", "whitespace")
MAX_SENTENCE: Final = 10_000  # tokens; gensim ignores what follows in a longer one
MAX_TOKEN: Final = 1_000  # characters; a longer one is data, such as base64, and no word
_CHUNK: Final = 1 << 18  # characters that a worker gets
_REPORT_EVERY: Final = 0.2  # seconds


@dataclass
class Corpus:
    """What a corpus holds, after it was tokenised."""

    counts: Counter[str] = field(default_factory=Counter)
    n_tokens: int = 0
    n_sentences: int = 0
    n_skipped: int = 0  # lines that are no JSON record with a text, or not UTF-8
    first_skipped: str = ""
    n_too_long: int = 0  # tokens of more than MAX_TOKEN characters, left out
    stdin_sha256: str | None = None

    def skip(self, file: str, line: int, reason: str) -> None:
        """Count a line that cannot be used."""
        self.n_skipped += 1
        self.first_skipped = self.first_skipped or f"{file} line {line}: {reason}"


def make_tokenizer(tokens: str, lang: str, lower: bool) -> Tokenizer:
    """Texts to lists of tokens without white space.

    Args:
        tokens: "spacy" or "whitespace".
        lang: language of spaCy's tokenizer.
        lower: whether tokens are lower-cased, after they are found.

    Raises:
        ConfigError: ``tokens`` is neither, or spaCy has no tokenizer for the language.
    """
    if tokens == "whitespace":
        return partial(_split_at_whitespace, lower=lower)
    if tokens != "spacy":
        raise ConfigError(f"--tokens {tokens}: {allowed_names(tokens, TOKENS)}")
    import spacy

    try:
        nlp = spacy.blank(lang)
    except (ImportError, ValueError) as error:
        raise no_tokenizer(f"--lang {lang}", lang, error, ", or --tokens whitespace") from error
    return partial(_split_by_spacy, nlp=nlp, lower=lower)


def _split_at_whitespace(texts: list[str], *, lower: bool) -> list[list[str]]:
    return [(text.lower() if lower else text).split() for text in texts]


def _split_by_spacy(texts: list[str], *, nlp: Any, lower: bool) -> list[list[str]]:
    out = []
    with nlp.memory_zone():  # else the strings of the whole corpus would be kept
        for doc in nlp.tokenizer.pipe(texts):
            words = [token.text for token in doc]
            text = " ".join(word for word in words if not word.isspace())
            if len(text.split()) != text.count(" ") + 1:  # white space within a token
                text = " ".join("_".join(word.split()) for word in words if not word.isspace())
            out.append((text.lower() if lower else text).split())
    return out


_worker_tokenizer: list[Tokenizer] = []  # one, in a process of the pool


def _start_worker(tokens: str, lang: str, lower: bool) -> None:
    _worker_tokenizer[:] = [make_tokenizer(tokens, lang, lower)]


def _in_worker(texts: list[str]) -> list[list[str]]:
    return _worker_tokenizer[0](texts)


def _tokenised(
    chunks: Iterable[list[str]], tokens: str, lang: str, lower: bool, processes: int
) -> Iterator[list[list[str]]]:
    """Chunks in their order; a few are on their way at any time, never all."""
    if processes == 1:
        yield from map(make_tokenizer(tokens, lang, lower), chunks)
        return
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(
        processes, get_context("spawn"), _start_worker, (tokens, lang, lower)
    )
    waiting: deque[Future[list[list[str]]]] = deque()
    try:
        with pool:
            for chunk in chunks:
                waiting.append(pool.submit(_in_worker, chunk))
                if len(waiting) > 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise ResourceError(
            "a process that tokenises died, perhaps for want of memory; give --n-process 1"
        ) from error


def tokenise_files(
    files: Sequence[TextFile],
    target: Path,
    *,
    tokens: str = "spacy",
    lang: str = "en",
    lower: bool = True,
    text_key: str = "text",
    processes: int = 1,
    max_types: int = 10_000_000,
    report: Report | None = None,
) -> Corpus:
    """Write all texts as lines of tokens and count the words.

    A text of more than ``MAX_SENTENCE`` tokens becomes several lines. Lines that cannot be
    used, and tokens of more than ``MAX_TOKEN`` characters, are counted and skipped.

    Args:
        files: as :func:`find_text_files` gives them.
        target: the file to write.
        tokens: "spacy" or "whitespace".
        lang: language of spaCy's tokenizer.
        lower: whether to lower-case.
        text_key: field of a JSONL record with its text.
        processes: that tokenise at a time.
        max_types: with more different words than this the rarest are forgotten.
        report: called with ``{"phase", "done", "total", "tokens"}``; bytes of the input.

    Raises:
        ConfigError: as :func:`make_tokenizer`.
        ResourceError: a file ends in the middle or is damaged, or a worker died.
        OSError: the target cannot be written.
    """
    make_tokenizer(tokens, lang, lower)  # raises here, not in a worker
    corpus = Corpus()
    sizes = [file.size for file in files]
    total = None if None in sizes else sum(cast("list[int]", sizes))
    done = [0] * len(files)
    texts = _texts_of(files, sizes, text_key, corpus, done)
    chunks = batches((text for text in texts if text and not text.isspace()), len, _CHUNK)
    reported = 0.0
    with target.open("w", encoding="utf-8", newline="\n") as out:
        for lines in _tokenised(chunks, tokens, lang, lower, processes):
            for words in lines:
                _write(words, out, corpus)
            if len(corpus.counts) > max_types:
                _forget_rarest(corpus.counts, max_types)
            if report is not None and time.monotonic() - reported > _REPORT_EVERY:
                reported = time.monotonic()
                state = {"done": sum(done), "total": total, "tokens": corpus.n_tokens}
                report({"phase": "read", **state})
    return corpus


def _texts_of(
    files: Sequence[TextFile],
    sizes: Sequence[int | None],
    text_key: str,
    corpus: Corpus,
    done: list[int],
) -> Iterator[str]:
    """All texts; ``done`` says how many bytes of each file were read."""
    digest = hashlib.sha256()
    for i, file in enumerate(files):
        try:
            advance = partial(done.__setitem__, i)
            yield from read_texts(file, text_key, corpus.skip, advance, digest)
        except (OSError, EOFError, zlib.error) as error:
            raise ResourceError(
                f"input {file.name} cannot be read to its end: {error}; copy or compress it again"
            ) from error
        done[i] = sizes[i] or 0
        if file.name == STDIN:
            corpus.stdin_sha256 = digest.hexdigest()


def _write(words: list[str], out: Any, corpus: Corpus) -> None:
    kept = [word for word in words if len(word) <= MAX_TOKEN]
    corpus.n_too_long += len(words) - len(kept)
    corpus.counts.update(kept)
    corpus.n_tokens += len(kept)
    rest = iter(kept)
    while sentence := list(islice(rest, MAX_SENTENCE)):
        corpus.n_sentences += 1
        out.write(" ".join(sentence) + "\n")


def _forget_rarest(counts: Counter[str], max_types: int) -> None:
    """Make room for new words; a word that comes back is counted from 0."""
    min_count = 1
    while len(counts) > 0.8 * max_types:
        min_count += 1
        for word in [word for word, count in counts.items() if count < min_count]:
            del counts[word]
