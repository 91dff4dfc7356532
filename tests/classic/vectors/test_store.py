from __future__ import annotations

import json
import mmap
import multiprocessing
import os
import shutil
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from spacy_attn.classic.vectors import copies, load_vectors, read, save_vectors
from spacy_attn.classic.vectors import store as store_module
from spacy_attn.classic.vectors import words as words_module
from spacy_attn.classic.vectors.store import open_store
from spacy_attn.classic.vectors.table import Ngrams, Table
from spacy_attn.classic.vectors.words import MappedWords
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.models import cache_folder

WORDS = ["bat", "Ball", "Höhle", "new york", "\u3000", "a\nb"]
ROWS = np.arange(18, dtype=np.float32).reshape(6, 3) - 4


@pytest.fixture
def store(tmp_path):
    return save_vectors(tmp_path / "store", WORDS, ROWS, about={"seed": 3})


@pytest.fixture
def cached(monkeypatch, tmp_path):
    """Small files get a shared copy too; the folder they go to."""
    monkeypatch.setattr(copies, "WORTH_SHARING", 0)
    monkeypatch.setenv("SPACY_ATTN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vectors"


def copies_in(cached):
    return [path for path in cached.iterdir() if path.is_dir()]


def is_mapped(array):
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    if isinstance(array, memoryview):
        array = array.obj
    return isinstance(array, np.memmap | mmap.mmap)


# -- the folder ---------------------------------------------------------------------------


def test_what_is_saved_is_loaded_and_mapped(store):
    vectors = load_vectors(store)
    np.testing.assert_array_equal(vectors.vectors([*WORDS, "BAT", "x"]), [*ROWS, ROWS[0], [0] * 3])
    assert [vectors.table.word_at(row) for row in range(6)] == WORDS == list(vectors.table.index)
    assert len(vectors) == 6
    assert vectors.identity.startswith("store:")
    assert is_mapped(vectors.table.matrix)
    assert json.loads((store / "vectors.json").read_text())["about"] == {"seed": 3}


def test_numpy_reads_the_rows_without_us(store):
    np.testing.assert_array_equal(np.load(store / "vectors.npy"), ROWS)
    assert (store / "words.txt").read_text(encoding="utf-8").startswith("bat\nBall\nHöhle\n")


def test_identity_follows_the_content(store, tmp_path):
    other = save_vectors(tmp_path / "x" / "store", WORDS, ROWS + 1)
    same = save_vectors(tmp_path / "y" / "store", WORDS, ROWS)
    assert load_vectors(other).identity != load_vectors(store).identity
    assert load_vectors(same).identity == load_vectors(store).identity


def test_ngrams_give_unknown_words_a_vector(tmp_path):
    fasttext = pytest.importorskip("gensim.models.fasttext")
    ngrams = Ngrams(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32), 2, 4)
    save_vectors(tmp_path / "ft", WORDS, ROWS, ngrams=ngrams)
    vectors = load_vectors(tmp_path / "ft", unknown="subword")
    buckets = fasttext.ft_ngram_hashes("bats", 2, 4, 50)
    expected = ngrams.array[buckets].mean(axis=0)
    np.testing.assert_allclose(vectors.vectors(["bat", "bats"]), [ROWS[0], expected], atol=1e-6)
    assert is_mapped(vectors.table.ngrams.array)


def test_subword_rule_needs_ngrams(store):
    with pytest.raises(ConfigError, match=r"needs a fastText model with n-grams.*store has none"):
        load_vectors(store, unknown="subword")


def test_an_equal_hash_of_another_word_changes_nothing(store, monkeypatch, tmp_path):
    monkeypatch.setattr(words_module, "_hash", lambda encoded: len(encoded) % 2)
    colliding = save_vectors(tmp_path / "colliding", WORDS, ROWS)
    vectors = load_vectors(colliding)
    np.testing.assert_array_equal(vectors.vectors([*WORDS, "cat", "four"])[:6], ROWS)
    assert "cat" not in vectors
    assert "four" not in vectors


def test_many_words_equal_a_dictionary(tmp_path):
    rng = np.random.default_rng(7)
    words = list(dict.fromkeys(str(number) for number in rng.integers(0, 5000, 2000)))
    path = save_vectors(tmp_path / "many", words, np.ones((len(words), 1)))
    index = open_store(path).index
    assert isinstance(index, MappedWords)
    expected = {word: row for row, word in enumerate(words)}
    assert {str(i): index.get(str(i)) for i in range(5000)} == {
        str(i): expected.get(str(i)) for i in range(5000)
    }
    with pytest.raises(KeyError, match="none"):
        index["none"]


@pytest.mark.parametrize(
    ("words", "rows", "reason"),
    [
        (["a"], [[1.0], [2.0]], r"1 words do not fit vectors of shape \(2, 1\)"),
        (["a"], [1.0], r"1 words do not fit vectors of shape \(1,\)"),
        ([], np.zeros((0, 3)), r"0 words do not fit vectors of shape \(0, 3\)"),
        (["a"], np.zeros((1, 0)), r"1 words do not fit vectors of shape \(1, 0\)"),
        (["a", "a"], [[1.0], [2.0]], "a word is there twice"),
        (["a", "b"], [[1.0], [np.nan]], r"the vector of 'b' \(word 2\) is not finite"),
        (["a"], [[-np.inf]], r"the vector of 'a' \(word 1\) is not finite"),
    ],
)
def test_what_cannot_be_saved(tmp_path, words, rows, reason):
    with pytest.raises(ResourceError, match=reason):
        save_vectors(tmp_path / "v", words, np.array(rows))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", [".", "..", "/"])
def test_a_path_without_a_name_cannot_be_saved_to(tmp_path, monkeypatch, folder):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(ResourceError, match="it is no name for a new folder; give one"):
        save_vectors(folder, ["a"], np.ones((1, 2), dtype=np.float32))
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_ngrams_must_be_finite(tmp_path):
    with pytest.raises(ResourceError, match="the vector of an n-gram is not finite"):
        save_vectors(tmp_path / "v", WORDS, ROWS, ngrams=Ngrams(np.full((2, 3), np.nan), 2, 3))


def test_nothing_is_replaced_unasked(store, tmp_path):
    with pytest.raises(ResourceError, match=r"there are vectors already; .*--overwrite"):
        save_vectors(store, ["x"], ROWS[:1])
    assert len(load_vectors(store)) == 6
    save_vectors(store, ["x"], ROWS[:1], overwrite=True)
    assert len(load_vectors(store)) == 1
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    for target in ("notes", "notes/mine.txt"):
        with pytest.raises(ResourceError, match="something else is there; give another name"):
            save_vectors(tmp_path / target, ["x"], ROWS[:1], overwrite=True)
    assert (tmp_path / "notes" / "mine.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert len(load_vectors(save_vectors(tmp_path / "empty", ["x"], ROWS[:1]))) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"store", "notes", "empty"}


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def with_object(path):
    np.save(path, np.array([print], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        ("vectors.npy", cut, "one of its files is damaged"),
        ("vectors.npy", lambda path: path.unlink(), "its vectors.npy is missing"),
        ("vectors.npy", lambda path: path.write_bytes(b""), "one of its files is damaged"),
        ("vectors.npy", with_object, "one of its files is damaged"),
        ("vectors.npy", lambda path: np.save(path, ROWS[:, :2]), r"has shape \(6, 2\)"),
        ("vectors.npy", lambda path: np.save(path, ROWS[:5]), r"has shape \(5, 3\)"),
        ("vectors.npy", lambda path: np.save(path, ROWS.astype("f8")), "type float64"),
        ("words.txt", cut, "its words.txt has 28 bytes, expected 33"),
        ("words.txt", lambda path: path.write_bytes(b""), "one of its files is damaged"),
        ("rows.npy", cut, "one of its files is damaged"),
        ("hashes.npy", lambda path: np.save(path, np.arange(6)), "type int64, expected"),
        ("starts.npy", lambda path: path.unlink(), "its starts.npy is missing"),
        ("vectors.json", cut, "one of its files is damaged"),
        ("vectors.json", lambda path: path.write_text("[]"), "one of its files is damaged"),
        ("vectors.json", partial(change, version=99), "is not of format spacy_attn vectors"),
        ("vectors.json", partial(change, n_words=0), "it holds no words"),
        ("vectors.json", partial(change, width=0), "its vectors have length 0"),
    ],
)
def test_a_damaged_folder_is_one_sentence(store, name, damage, reason):
    damage(store / name)
    with pytest.raises(ResourceError, match=rf"cannot be read: .*{reason}") as caught:
        load_vectors(store)
    assert "\n" not in str(caught.value)


def test_nan_that_came_later_is_refused_when_it_is_read(store):
    rows = ROWS.copy()
    rows[1, 1] = np.nan
    np.save(store / "vectors.npy", rows)
    vectors = load_vectors(store)
    np.testing.assert_array_equal(vectors.vectors(["bat"]), ROWS[:1])
    with pytest.raises(ResourceError, match=r"vectors of store are not finite \(NaN or infinity"):
        vectors.vectors(["bat", "Ball"])


# -- the cache ----------------------------------------------------------------------------


def write_text(path, rows=ROWS):
    lines = [" ".join([f"w{i}", *map(str, row)]) for i, row in enumerate(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_text_is_converted_once(cached, tmp_path, monkeypatch):
    path = write_text(tmp_path / "v.txt")
    first = load_vectors(path)
    monkeypatch.setattr(read, "read_text", None)  # a second reading would fail
    second = load_vectors(path)
    for vectors in (first, second):
        assert is_mapped(vectors.table.matrix)
        assert isinstance(vectors.table.index, MappedWords)
        np.testing.assert_array_equal(vectors.vectors(["w5", "w0"]), ROWS[[5, 0]])
    assert first.identity == second.identity
    assert first.identity.startswith("v.txt:")


def test_a_changed_file_is_converted_again_and_the_old_copy_goes(cached, tmp_path):
    path = write_text(tmp_path / "v.txt")
    load_vectors(path)
    write_text(path, ROWS[:, :2])
    np.testing.assert_array_equal(load_vectors(path).vectors(["w5"]), ROWS[5:, :2])
    assert len(copies_in(cached)) == 1


def test_what_a_killed_process_left_goes_too(cached, tmp_path):
    path = write_text(tmp_path / "v.txt")
    load_vectors(path)
    (copy,) = copies_in(cached)
    copy.rename(copy.with_name(f".{copy.name}.1a2b3c4d"))
    load_vectors(path)
    assert copies_in(cached) == [copy]


def test_a_damaged_copy_is_made_anew(cached, tmp_path):
    path = write_text(tmp_path / "v.txt")
    load_vectors(path)
    cut(copies_in(cached)[0] / "vectors.npy")
    np.testing.assert_array_equal(load_vectors(path).vectors(["w5"]), ROWS[5:])
    assert np.load(copies_in(cached)[0] / "vectors.npy").shape == (6, 3)


def test_a_cache_that_cannot_be_written_is_no_error(cached, tmp_path, caplog):
    cached.parent.write_text("a file where the folder should be")
    path = write_text(tmp_path / "v.txt")
    with caplog.at_level("INFO", logger="spacy_attn"):
        np.testing.assert_array_equal(load_vectors(path).vectors(["w5"]), ROWS[5:])
    assert "is read into memory, not shared" in caplog.text


def test_a_full_disk_is_no_error(cached, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module, "_write_rows", full)
    path = write_text(tmp_path / "v.txt")
    np.testing.assert_array_equal(load_vectors(path).vectors(["w5"]), ROWS[5:])
    assert not copies_in(cached)


def test_damaged_sources_leave_no_copy(cached, tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("a 1 2\nb 1 nan\n")
    with pytest.raises(ResourceError, match=r"the vector of 'b' \(word 2\) is not finite"):
        load_vectors(path)
    assert not copies_in(cached)


def test_small_files_get_no_copy(tmp_path):
    load_vectors(write_text(tmp_path / "small.txt"))
    found = cache_folder() / "vectors"
    described = found.glob("*/vectors.json") if found.is_dir() else []
    assert not any("small.txt" in path.read_text() for path in described)


def test_every_kind_of_file_gets_a_copy_that_is_mapped(cached, tmp_path):
    gensim = pytest.importorskip("gensim.models")
    vectors = gensim.KeyedVectors(3)
    vectors.add_vectors([f"w{i}" for i in range(6)], ROWS)
    vectors.save(str(tmp_path / "v.kv"), sep_limit=0)
    vectors.save_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    for name in ("v.kv", "v.bin"):
        for _ in range(2):
            loaded = load_vectors(tmp_path / name)
            assert isinstance(loaded.table.index, MappedWords)
            assert is_mapped(loaded.table.matrix)
            np.testing.assert_array_equal(loaded.vectors(["w5", "w0", "w5"]), ROWS[[5, 0, 5]])
        (tmp_path / name).write_bytes(b"another program writes it in place")
        np.testing.assert_array_equal(loaded.vectors(["w5"]), ROWS[5:])  # we have our copy
    assert len(copies_in(cached)) == 2


def test_a_changed_array_beside_the_pickle_counts_as_a_change(cached, tmp_path):
    gensim = pytest.importorskip("gensim.models")
    vectors = gensim.KeyedVectors(3)
    vectors.add_vectors([f"w{i}" for i in range(6)], ROWS)
    vectors.save(str(tmp_path / "v.kv"), sep_limit=0)
    load_vectors(tmp_path / "v.kv")
    np.save(tmp_path / "v.kv.vectors.npy", ROWS[::-1].astype("f8"))
    np.testing.assert_array_equal(load_vectors(tmp_path / "v.kv").vectors(["w0"]), ROWS[5:])


@pytest.mark.parametrize("name", ["ft.kv", "beside.kv", "ft.bin"])
def test_fasttext_through_the_cache_equals_gensim(cached, tmp_path, name):
    fasttext = pytest.importorskip("gensim.models.fasttext")
    model = fasttext.FastText(
        [["the", "cat", "sat"], ["the", "catfish"]],
        vector_size=6,
        min_count=1,
        bucket=40,
        min_n=2,
        max_n=4,
        epochs=2,
        seed=1,
        workers=1,
    )
    if name == "ft.bin":
        fasttext.save_facebook_model(model, str(tmp_path / name))
    else:
        model.wv.save(str(tmp_path / name), sep_limit=0 if name == "beside.kv" else 10**6)
    words = ["cat", "catfishes", "the"]
    expected = np.stack([model.wv.get_vector(word) for word in words])
    for _ in range(2):
        vectors = load_vectors(tmp_path / name, unknown="subword")
        np.testing.assert_allclose(vectors.vectors(words), expected, atol=1e-7)
        assert is_mapped(vectors.table.ngrams.array)


def test_repeated_words_keep_the_first_row(cached, tmp_path):
    (tmp_path / "v.txt").write_text("the 1 2\ncat 3 4\nthe 9 9\ndog 5 6\n")
    for _ in range(2):
        vectors = load_vectors(tmp_path / "v.txt")
        np.testing.assert_array_equal(
            vectors.vectors(["the", "cat", "dog"]), [[1, 2], [3, 4], [5, 6]]
        )
        assert [vectors.table.word_at(row) for row in range(len(vectors))] == ["the", "cat", "dog"]


def load_and_leave(path, results):
    results.put(load_vectors(path).vectors(["w5"]).tolist())


@pytest.mark.slow
def test_workers_that_start_together(cached, tmp_path):
    path = write_text(tmp_path / "v.txt")
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    workers = [context.Process(target=load_and_leave, args=(path, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [results.get() for _ in workers] == [ROWS[5:].tolist()] * 4
    assert len(copies_in(cached)) == 1
    assert not list(cached.glob(".*"))


def test_a_vanished_source_is_said(cached, tmp_path):
    path = write_text(tmp_path / "v.txt")
    load_vectors(path)
    path.unlink()
    with pytest.raises(ResourceError, match=r"v\.txt is not there"):
        load_vectors(path)
    shutil.rmtree(cached)


SHARING = """
    import re, sys
    from pathlib import Path
    from spacy_attn.classic.vectors import load_vectors

    vectors = load_vectors(sys.argv[1])
    total = float(vectors.table.matrix.sum())
    maps = re.split(r"\\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())
    (entry,) = [entry for entry in maps if "vectors.npy" in entry.splitlines()[0]]
    for name in ("Rss", "Pss", "Private_Dirty"):
        print(re.search(rf"^{name}: +(\\d+) kB", entry, re.M)[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux' smaps")
def test_processes_share_one_copy(tmp_path):
    """This process and a child have read the same 4 MB: each accounts for half of them."""
    words = [f"w{i}" for i in range(10_000)]
    store = save_vectors(tmp_path / "v", words, np.ones((10_000, 100), dtype=np.float32))
    mine = load_vectors(store)
    assert float(mine.table.matrix.sum()) == 1e6
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SHARING), str(store)],
        env={**os.environ, "PYTHONPATH": str(Path(store_module.__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=200,
    )
    rss, pss, dirty = map(int, done.stdout.split())
    assert rss >= 3900  # kB
    assert pss <= 0.6 * rss
    assert dirty == 0


def test_norms_equal_numpy():
    table = Table({}, WORDS.__getitem__, ROWS, ())
    np.testing.assert_allclose(table.norms, np.linalg.norm(ROWS, axis=1), rtol=1e-6)
