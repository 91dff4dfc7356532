"""Files that a component opens: pipes are refused unread, links lead nowhere else."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from spacy_attn.classic.grammar_file import read_grammar_file
from spacy_attn.classic.sequence import SequenceTagger
from spacy_attn.classic.vectors import load_vectors, save_vectors
from spacy_attn.classic.vectors.table import Ngrams
from spacy_attn.compare.dataset import read_keys
from spacy_attn.encoder.checkpoint import open_checkpoint
from spacy_attn.encoder.int8 import Scales
from spacy_attn.encoder.lemmatizer import read_lemmatizer
from spacy_attn.encoder.static_network import read_model
from spacy_attn.errors import SpacyAttnError
from spacy_attn.explain.syntax import known_heads
from spacy_attn.wsd.inventory.corrections import read_corrections
from spacy_attn.wsd.inventory.labelled import read_labelled
from spacy_attn.wsd.inventory.wordnet_files import SynsetFiles
from spacy_attn.wsd.methods.sense_head import SenseHead


@contextmanager
def pipe(path):
    """A named pipe with a silent writer: who opens it reads its end and does not wait."""
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: Path(path).open("wb").close(), daemon=True)
    writer.start()
    try:
        yield path
        assert writer.is_alive()  # nobody has opened it
    finally:
        while writer.is_alive():
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
            writer.join(0.01)


OPENERS: dict[str, Callable[[Path], object]] = {
    "grammar": lambda path: read_grammar_file(path, "the rules"),
    "tagger": SequenceTagger.load,
    "lemmatizer": read_lemmatizer,
    "self-attention": read_model,
    "sense model": SenseHead.load,
    "scales": Scales.load,
    "heads": known_heads,
    "labelled data": lambda path: list(read_labelled(path)),
    "corrections": read_corrections,
    "keys of senses": read_keys,
    "synsets": lambda path: SynsetFiles(path.parent),
    "vectors": load_vectors,
    "encoder": lambda path: open_checkpoint("own", path.parent),
}
NAMES = {"synsets": "data.noun", "encoder": "tokenizer.json"}


@pytest.mark.parametrize("kind", OPENERS)
def test_a_named_pipe_is_refused_unopened(tmp_path, kind):
    with pipe(tmp_path / NAMES.get(kind, "file")) as path:
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
        with pytest.raises(SpacyAttnError, match=re.escape(str(tmp_path))) as raised:
            OPENERS[kind](path)
        assert "\n" not in str(raised.value)


ARRAYS = ("vectors.npy", "starts.npy", "hashes.npy", "rows.npy", "ngrams.npy")
FILES = (*ARRAYS, "words.txt", "vectors.json")


@pytest.fixture
def vectors(tmp_path):
    ngrams = Ngrams(np.eye(2, dtype=np.float32), 1, 2)
    words = ["bat", "ball"]
    return save_vectors(tmp_path / "vectors", words, np.eye(2, dtype=np.float32), ngrams=ngrams)


@pytest.mark.parametrize("name", FILES)
def test_a_named_pipe_in_a_folder_of_vectors_is_refused_unopened(vectors, name):
    (vectors / name).unlink()
    with (
        pipe(vectors / name),
        pytest.raises(SpacyAttnError, match=r"not a regular file|is a folder"),
    ):
        load_vectors(vectors)


@pytest.mark.parametrize("name", FILES)
def test_a_link_out_of_a_folder_of_vectors_is_refused(vectors, tmp_path, name):
    (vectors / name).rename(tmp_path / name)
    (vectors / name).symlink_to(tmp_path / name)
    with pytest.raises(SpacyAttnError, match=f"{name} is a link to a file outside of the folder"):
        load_vectors(vectors)


def test_links_within_a_folder_of_vectors_and_to_it_are_followed(vectors, tmp_path):
    (vectors / "words.txt").rename(vectors / "all.txt")
    (vectors / "words.txt").symlink_to("all.txt")
    (tmp_path / "link").symlink_to("vectors")
    for folder in (vectors, tmp_path / "link"):
        assert [load_vectors(folder).row(word) for word in ("bat", "ball")] == [0, 1]
