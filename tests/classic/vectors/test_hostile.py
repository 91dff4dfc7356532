"""Files made to do harm, or damaged: little memory, little time, one sentence."""

from __future__ import annotations

import gzip
import json
import pickle
import struct
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import spacy_attn
from spacy_attn.classic.vectors import load_vectors, neighbours, save_vectors, shared_vectors
from spacy_attn.classic.vectors.table import Ngrams
from spacy_attn.errors import ResourceError
from tests.memory import LINUX, output_and_peak

WORDS = ["bat", "Ball", "Höhle"]
ROWS = np.arange(9, dtype=np.float32).reshape(3, 3) + 1
ROOT = Path(spacy_attn.__file__).parents[1]


@pytest.fixture
def store(tmp_path):
    return save_vectors(tmp_path / "store", WORDS, ROWS)


# -- little memory ------------------------------------------------------------------------

IMPORTS = """
import json, os, sys
os.environ["SPACY_ATTN_CACHE"] = "cache"
from spacy_attn.classic.vectors import load_vectors
from spacy_attn.errors import ResourceError

load_vectors(sys.argv[1])  # what reading costs anyway
"""
READ = """
said = {}
for path in sys.argv[2:]:
    try:
        load_vectors(path)
    except ResourceError as error:
        said[path] = str(error)
print(json.dumps(said))
"""


def write_npz(path, n_bytes):
    """gensim's ``.npz`` of zeros, as many as its header says."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("val.npy", "w", force_zip64=True) as file,
    ):
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_bytes // 400, 100)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(n_bytes >> 20):
            file.write(bytes(1 << 20))


@pytest.mark.slow
@LINUX
def test_what_is_refused_was_never_held(tmp_path):
    gensim = pytest.importorskip("gensim.models")
    good = gensim.KeyedVectors(3)
    good.add_vectors(WORDS, ROWS)
    good.save(str(tmp_path / "good.kv"))
    good.save(str(tmp_path / "array.kv.gz"), sep_limit=0)
    write_npz(tmp_path / "array.kv.gz.vectors.npz", 1 << 30)
    line = b"word" + b" 0.0" * 100_000 + b"\n"
    with gzip.open(tmp_path / "text.txt.gz", "wb", compresslevel=1) as file:
        for i in range(1000):
            file.write(b"%d" % i + line)
    with gzip.open(tmp_path / "one-line.txt.gz", "wb", compresslevel=1) as file:
        for _ in range(500):
            file.write(b"1 " * (1 << 19))
    with gzip.open(tmp_path / "pickle.kv.gz", "wb", compresslevel=1) as file:
        file.write(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 30))
        for _ in range(1024):
            file.write(bytes(1 << 20))
    # A memo of 2.3 GB, a frame, a string and bytes of some more.
    number = struct.pack("<I", 150_000_000)
    attacks = {
        "memo.kv": b"\x80\x04N" + b"r" + number + b"0N.",
        "frame.kv": b"\x80\x04\x95" + struct.pack("<Q", 1 << 35) + b"N.",
        "bytes.kv": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 35) + b".",
        "string.kv": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 35) + b".",
        "wide.bin": b"1 99999999999\na ",
        "many.bin": b"99999999999 300\na ",
        "wide.txt": b"1 2000000000\na 1 2\n",
    }
    for name, content in attacks.items():
        (tmp_path / name).write_bytes(content)
    names = [*attacks, "array.kv.gz", "text.txt.gz", "one-line.txt.gz", "pickle.kv.gz"]
    printed, grown = output_and_peak(IMPORTS, READ, "good.kv", *names, cwd=tmp_path)
    said = json.loads(printed)
    assert set(said) == set(names)
    assert "grows more than 50 times" in said["text.txt.gz"]
    assert "grows more than 50 times" in said["array.kv.gz"]
    assert "grows more than 50 times" in said["pickle.kv.gz"]
    assert "it numbers object 150000000 after" in said["memo.kv"]
    assert grown < 300, said  # MB


def test_a_fasttext_file_that_ends_within_its_words_comes_to_an_end(tmp_path):
    """gensim's reader never does."""
    fasttext = pytest.importorskip("gensim.models.fasttext")
    model = fasttext.FastText(
        [["the", "cat"]], vector_size=4, min_count=1, bucket=20, epochs=1, seed=1, workers=1
    )
    fasttext.save_facebook_model(model, str(tmp_path / "whole.bin"))
    whole = (tmp_path / "whole.bin").read_bytes()
    end_of_words = 64 + 28 + 2 * (4 + 9)
    assert len(load_vectors(tmp_path / "whole.bin")) == 2
    for length in (*range(8, end_of_words + 20), len(whole) // 2):
        (tmp_path / "cut.bin").write_bytes(whole[:length])
        with pytest.raises(ResourceError, match=r"cannot be read: .*(ends within|matrix of shape)"):
            load_vectors(tmp_path / "cut.bin")


def test_a_text_line_without_end_is_not_read_to_its_end(tmp_path):
    (tmp_path / "v.txt").write_bytes(b"a 1 2\nb " + b"1" * (3 << 20))
    with pytest.raises(ResourceError, match="line 2 is longer than 1,048,576 bytes"):
        load_vectors(tmp_path / "v.txt")


# -- a folder that was damaged, or says what it should not --------------------------------


def change(path, at, value):
    array = np.load(path)
    array[at] = value
    np.save(path, array)


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        ("starts.npy", partial(change, at=0, value=-5), "does not grow from 0"),
        ("starts.npy", partial(change, at=1, value=1 << 40), "does not grow from 0"),
        ("starts.npy", partial(change, at=2, value=0), "does not grow from 0"),
        ("starts.npy", partial(change, at=3, value=1 << 40), "its words.txt has 16 bytes"),
        ("rows.npy", partial(change, at=1, value=3), "names rows outside 0 to 2"),
        ("rows.npy", partial(change, at=0, value=-1), "names rows outside 0 to 2"),
        ("hashes.npy", partial(change, at=0, value=2**64 - 1), "its hashes.npy is not sorted"),
        ("hashes.npy", partial(change, at=0, value=0), "its words are not those that were written"),
        ("words.txt", lambda path: path.write_bytes(path.read_bytes()[::-1]), "its words are not"),
        ("rows.npy", partial(change, at=slice(0, 2), value=2), "its words are not those"),
        ("vectors.json", lambda path: path.write_text("[" * 100_000), "one of its files is dam"),
    ],
)
def test_damaged_numbers_are_refused(store, name, damage, reason):
    damage(store / name)
    with pytest.raises(ResourceError, match=rf"cannot be read: .*{reason}"):
        load_vectors(store)


def without_checksum(store):
    """As folders were written before there was one."""
    path = store / "vectors.json"
    told = json.loads(path.read_text())
    del told["words_crc32"]
    path.write_text(json.dumps(told))


def test_a_folder_without_a_checksum_opens(store):
    without_checksum(store)
    assert len(load_vectors(store)) == len(WORDS)


@pytest.mark.parametrize(("shortest", "longest"), [(1, 1 << 40), (-7, 6), (1, 1 << 31)])
def test_lengths_of_ngrams_that_are_none(tmp_path, shortest, longest):
    """gensim takes a C integer, and fails at the first word."""
    ngrams = Ngrams(np.ones((5, 3), dtype=np.float32), 3, 6)
    store = save_vectors(tmp_path / "v", WORDS, ROWS, ngrams=ngrams)
    told = json.loads((store / "vectors.json").read_text())
    told["ngrams"] = {"shortest": shortest, "longest": longest}
    (store / "vectors.json").write_text(json.dumps(told))
    with pytest.raises(ResourceError, match=f"its n-grams have {shortest} to {longest} characters"):
        load_vectors(store)


def test_a_folder_maps_no_file_but_its_own(store, tmp_path):
    other = save_vectors(tmp_path / "other", WORDS, ROWS * 100)
    identity = load_vectors(store).identity
    path = store / "vectors.json"
    told = json.loads(path.read_text())
    told["vectors"] = {"file": str(other / "vectors.npy"), "offsets": "/dev/zero"}
    told["sources"] = [str(other / "vectors.npy"), "/dev/zero"]
    told["ngrams"] = None
    path.write_text(json.dumps(told))
    vectors = load_vectors(store)
    np.testing.assert_array_equal(vectors.vectors(WORDS), ROWS)
    assert vectors.identity == identity


def test_words_that_are_no_text(store):
    without_checksum(store)
    content = (store / "words.txt").read_bytes()
    (store / "words.txt").write_bytes(content.replace(b"Ball", b"\xff\xff\xff\xff"))
    with pytest.raises(ResourceError, match=r"word 2 of a folder of vectors is not UTF-8"):
        neighbours(load_vectors(store), "bat")


def test_nan_in_a_folder_has_no_neighbours(store):
    change(store / "vectors.npy", (2, 0), np.nan)
    with pytest.raises(ResourceError, match=r"vectors of store are not finite"):
        neighbours(load_vectors(store), "bat")


def test_a_shape_that_is_none(tmp_path):
    gensim = pytest.importorskip("gensim.models")
    vectors = gensim.KeyedVectors(3)
    vectors.add_vectors(WORDS, ROWS)
    vectors.vectors = np.zeros((3, 0), dtype=np.float32)
    vectors.save(str(tmp_path / "v.kv"))
    with pytest.raises(ResourceError, match=r"its array vectors has shape \(3, 0\)"):
        load_vectors(tmp_path / "v.kv")


@pytest.mark.parametrize("saved", [b"", b"N", b"]", b"\x80", b"(" * 100_000])
def test_pickles_that_are_none(tmp_path, saved):
    (tmp_path / "v.kv").write_bytes(b"\x80\x04" + saved)
    with pytest.raises(ResourceError, match="its pickle is damaged"):
        load_vectors(tmp_path / "v.kv")


def test_a_pickle_as_gensim_writes_it_passes_the_check(tmp_path):
    for protocol in (2, 3, 4, 5):
        (tmp_path / "v.kv").write_bytes(pickle.dumps([{"a": "b"}] * 300, protocol=protocol))
        with pytest.raises(ResourceError, match="something else than gensim KeyedVectors"):
            load_vectors(tmp_path / "v.kv")


# -- what a process has read already ------------------------------------------------------


def test_vectors_that_were_trained_again_are_read_again(store):
    before = shared_vectors(str(store))
    identity = before.identity
    save_vectors(store, WORDS, -ROWS, overwrite=True)
    after = shared_vectors(str(store))
    np.testing.assert_array_equal(after.vectors(WORDS), -ROWS)
    np.testing.assert_array_equal(before.vectors(WORDS), ROWS)  # who has them keeps them
    assert after.identity != identity
    assert shared_vectors(str(store)).table is after.table


def test_a_text_file_that_was_written_again(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("bat 1 2\n")
    assert shared_vectors(str(path)).vectors(["bat"]).tolist() == [[1, 2]]
    path.write_text("bat 2 1\n")  # the same size
    assert shared_vectors(str(path)).vectors(["bat"]).tolist() == [[2, 1]]
    path.unlink()
    assert shared_vectors(str(path)).vectors(["bat"]).tolist() == [[2, 1]]


def test_a_relative_path_means_the_folder_of_now(tmp_path, monkeypatch):
    for i in (1, 2):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "v.txt").write_text(f"bat {i} 0\n")
        monkeypatch.chdir(tmp_path / str(i))
        assert shared_vectors("v.txt").vectors(["bat"]).tolist() == [[i, 0]]


def test_few_files_are_kept(tmp_path):
    tables = []
    for i in range(6):
        (tmp_path / f"{i}.txt").write_text(f"bat {i} 0\n")
        tables.append(shared_vectors(str(tmp_path / f"{i}.txt")).table)
    assert shared_vectors(str(tmp_path / "5.txt")).table is tables[5]
    assert shared_vectors(str(tmp_path / "2.txt")).table is tables[2]
    assert shared_vectors(str(tmp_path / "0.txt")).table is not tables[0]
