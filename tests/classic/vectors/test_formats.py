from __future__ import annotations

import gzip
import hashlib
import importlib
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

from spacy_attn import models
from spacy_attn.classic.vectors import (
    GLOVE,
    load_vectors,
    read,
    shared_vectors,
    text,
)
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.models import catalogue

WORDS = ["bat", "Ball", "Höhle", "new york", "cave"]
ROWS = np.array(
    [[1, 0, 0.5], [0, 2, 0.25], [-1, 1e-3, 3], [0.1, 0.2, 0.3], [7, 8, 9]], dtype=np.float32
)
KEYED_VECTORS = ["plain.kv", "beside.kv", "plain.kv.gz", "beside.kv.gz"]
WORD2VEC = ["binary.bin", "binary.bin.gz", "binary", "text.txt", "text.vec", "text.txt.gz", "text"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One file of each format, all written by gensim from the same five words."""
    gensim = pytest.importorskip("gensim.models")
    folder = tmp_path_factory.mktemp("vectors")
    vectors = gensim.KeyedVectors(3)
    vectors.add_vectors(WORDS, ROWS)
    for name in KEYED_VECTORS:
        vectors.save(str(folder / name), sep_limit=0 if name.startswith("beside") else 10**6)
    spaceless = gensim.KeyedVectors(3)
    spaceless.add_vectors([word.replace(" ", "_") for word in WORDS], ROWS)
    for name in WORD2VEC:
        spaceless.save_word2vec_format(str(folder / name), binary=name.startswith("binary"))
    return folder


@pytest.fixture(scope="module")
def fasttext_model():
    fasttext = pytest.importorskip("gensim.models.fasttext")
    texts = [["the", "cat", "sat"], ["the", "catfish", "swam"]]
    return fasttext.FastText(
        texts, vector_size=6, min_count=1, bucket=40, min_n=2, max_n=4, epochs=2, seed=1, workers=1
    )


def words_in(name):
    return WORDS if "kv" in name else [word.replace(" ", "_") for word in WORDS]


@pytest.mark.parametrize("name", KEYED_VECTORS + WORD2VEC)
def test_every_format_gives_the_rows_that_were_written(folder, name):
    vectors = load_vectors(folder / name)
    assert vectors.width == 3
    assert len(vectors) == 5
    obtained = vectors.vectors(words_in(name))
    assert obtained.dtype == np.float32
    np.testing.assert_allclose(obtained, ROWS, rtol=1e-6)


@pytest.mark.parametrize("name", ["binary.bin", "text.txt", "text.txt.gz"])
def test_equals_gensim(folder, name):
    gensim = pytest.importorskip("gensim.models")
    oracle = gensim.KeyedVectors.load_word2vec_format(folder / name, binary="binary" in name)
    np.testing.assert_array_equal(
        load_vectors(folder / name).vectors(oracle.index_to_key), oracle.vectors
    )


def test_text_without_header_may_have_words_with_spaces(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text("the 0.5 -1\n. . . 2 3\n\u00a0 4 5\nthe 9 9\n", encoding="utf-8")
    obtained = load_vectors(path).vectors(["the", ". . .", "\u00a0"])
    np.testing.assert_array_equal(obtained, [[0.5, -1], [2, 3], [4, 5]])


@pytest.mark.parametrize("header", ["", "2 2\n"])
@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz", "v"])
def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path, name, header):
    content = f"\ufeff{header}bat 1 2\ncave 3 4\n".encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    vectors = load_vectors(tmp_path / name)
    assert list(vectors.table.index) == ["bat", "cave"]
    np.testing.assert_array_equal(vectors.vectors(["bat", "cave"]), [[1, 2], [3, 4]])


def test_line_numbers_hold_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_LINES_AT_ONCE", 2)
    path = tmp_path / "v.txt"
    path.write_text("7 2\n" + "".join(f"w{i} {i} {-i}\n" for i in range(7)))
    obtained = load_vectors(path).vectors([f"w{i}" for i in range(7)])
    np.testing.assert_array_equal(obtained, [[i, -i] for i in range(7)])
    path.write_text("7 2\n" + "".join(f"w{i} {i} {'x' if i == 4 else 1}\n" for i in range(7)))
    with pytest.raises(ResourceError, match="line 6 has 'x' where a number belongs"):
        load_vectors(path)


def test_binary_rows_that_end_with_a_line_break(tmp_path):
    # The C tool writes one after each row, gensim does not.
    path = tmp_path / "c.bin"
    rows = [
        (w.encode() + b" " + row.astype("<f4").tobytes())
        for w, row in zip("ab", ROWS[:2], strict=True)
    ]
    path.write_bytes(b"2 3\n" + b"\n".join(rows) + b"\n")
    np.testing.assert_array_equal(load_vectors(path).vectors(["b", "a"]), ROWS[[1, 0]])


def test_no_words_give_no_rows(folder):
    assert load_vectors(folder / "text.txt").vectors([]).shape == (0, 3)


# -- unknown words -----------------------------------------------------------------------


def test_zero_rule_tries_the_form_then_lower_case(folder):
    vectors = load_vectors(folder / "plain.kv")
    obtained = vectors.vectors(["BAT", "Ball", "ball", "bats", ""], ["", "", "", "bat", "bat"])
    np.testing.assert_array_equal(obtained, [ROWS[0], ROWS[1], [0] * 3, [0] * 3, [0] * 3])
    assert "BAT" in vectors
    assert "ball" not in vectors


def test_lemma_rule_tries_the_lemma_last(folder):
    vectors = load_vectors(folder / "plain.kv", unknown="lemma")
    obtained = vectors.vectors(["bats", "Caves", "bat", "x"], ["bat", "CAVE", "cave", ""])
    np.testing.assert_array_equal(obtained, [ROWS[0], ROWS[4], ROWS[0], [0] * 3])
    np.testing.assert_array_equal(vectors.vectors(["bats"]), [[0] * 3])


def test_unknown_rule_is_checked():
    with pytest.raises(ConfigError, match=r"unknown = 'mean' is no rule.*zero, lemma, subword"):
        load_vectors(GLOVE, unknown="mean")


@pytest.mark.parametrize("load", [load_vectors, shared_vectors])
@pytest.mark.parametrize(
    ("path", "unknown", "reason"),
    [
        (None, "subword", f"unknown = 'subword' needs a fastText model.*{GLOVE} has none"),
        (GLOVE, "subword", f"unknown = 'subword' needs a fastText model.*{GLOVE} has none"),
        ("", "zero", "vectors = '' names no file; give the path"),
        (" ", "zero", "vectors = ' ' names no file; give the path"),
    ],
)
def test_what_no_file_could_mend_is_told_before_one_is_read(
    monkeypatch, load, path, unknown, reason
):
    monkeypatch.setattr(read, "_read_glove", lambda: pytest.fail("it was read"))
    monkeypatch.setattr(read, "_read_file", lambda path: pytest.fail("it was read"))
    with pytest.raises(ConfigError, match=reason):
        load(path, unknown=unknown)


def test_subword_rule_needs_ngrams(folder):
    with pytest.raises(ConfigError, match=r"needs a fastText model with n-grams.*plain\.kv has"):
        load_vectors(folder / "plain.kv", unknown="subword")


@pytest.mark.parametrize("kind", ["facebook", "kv", "beside"])
def test_fasttext_equals_gensim(tmp_path, fasttext_model, kind):
    fasttext = pytest.importorskip("gensim.models.fasttext")
    path = tmp_path / ("ft.kv" if kind in {"kv", "beside"} else "ft.bin")
    if path.suffix == ".kv":
        fasttext_model.wv.save(str(path), sep_limit=0 if kind == "beside" else 10**6)
        oracle = fasttext.FastTextKeyedVectors.load(str(path))
    else:
        fasttext.save_facebook_model(fasttext_model, str(path))
        oracle = fasttext.load_facebook_vectors(str(path))
    words = ["cat", "swam", "catfishes", "Zürich", "cat", "q"]
    expected = np.stack([oracle.get_vector(word) for word in words])
    assert expected[2].any()
    obtained = load_vectors(path, unknown="subword").vectors(words)
    np.testing.assert_allclose(obtained, expected, atol=1e-7)
    zero = load_vectors(path).vectors(["cat", "catfishes"])
    np.testing.assert_allclose(zero[0], expected[0], atol=1e-7)
    assert not zero[1].any()


def test_compressed_fasttext_is_refused_with_the_command(tmp_path):
    (tmp_path / "ft.bin.gz").write_bytes(gzip.compress(b"\xba\x16\x4f\x2f\x0c\0\0\0"))
    with pytest.raises(ResourceError, match=r"read uncompressed: gunzip -k .*ft\.bin\.gz"):
        load_vectors(tmp_path / "ft.bin.gz")


def test_fasttext_without_ngrams(tmp_path):
    fasttext = pytest.importorskip("gensim.models.fasttext")
    model = fasttext.FastText(
        [["a", "b"]], vector_size=4, min_count=1, max_n=0, epochs=1, seed=1, workers=1
    )
    model.wv.save(str(tmp_path / "ft.kv"))
    fasttext.save_facebook_model(model, str(tmp_path / "ft.bin"))
    for name in ("ft.kv", "ft.bin"):
        obtained = load_vectors(tmp_path / name).vectors(["b", "a"])
        np.testing.assert_array_equal(obtained, model.wv[["b", "a"]])
        with pytest.raises(ConfigError, match="needs a fastText model with n-grams"):
            load_vectors(tmp_path / name, unknown="subword")


# -- pickles that are something else -----------------------------------------------------


class Evil:
    """A pickle of this creates a file when a careless reader loads it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_malicious_pickle_is_refused_and_not_run(tmp_path):
    path, trace = tmp_path / "evil.kv", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Evil(trace)))
    with pytest.raises(ResourceError, match=r"names posix\.mkdir.*could run any code.*trust"):
        load_vectors(path)
    assert not trace.exists()
    pickle.loads(path.read_bytes())  # noqa: S301  the file is as bad as it looks
    assert trace.exists()


def test_malicious_array_beside_a_good_pickle_is_refused(tmp_path, folder):
    trace = tmp_path / "trace"
    (tmp_path / "v.kv").write_bytes((folder / "beside.kv").read_bytes())
    np.save(tmp_path / "v.kv.vectors.npy", np.array([Evil(trace)], dtype=object))
    with pytest.raises(ResourceError, match=r"v\.kv cannot be read"):
        load_vectors(tmp_path / "v.kv")
    assert not trace.exists()


@pytest.mark.parametrize(
    "forged", [b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n"]
)
def test_state_forged_for_an_admitted_name_changes_nothing(tmp_path, folder, forged):
    # Protocol 2: push the class itself, then BUILD it with {"__setstate__": None}.
    path = tmp_path / "forged.kv"
    path.write_bytes(b"\x80\x02" + forged + b"N}U\x0c__setstate__Ns\x86b.")
    with pytest.raises(ResourceError, match="its pickle is damaged"):
        load_vectors(path)
    assert load_vectors(folder / "plain.kv").vectors(["bat"]).any()


def test_a_whole_model_is_refused_with_a_command_that_converts_it(tmp_path, fasttext_model):
    gensim = pytest.importorskip("gensim.models")
    path = tmp_path / "w.model"
    model = gensim.Word2Vec([["cat", "sat"]], vector_size=4, min_count=1, epochs=1, workers=1)
    model.save(str(path))
    with pytest.raises(ResourceError, match=r"Word2Vec.*if you trust.*python -c") as refused:
        load_vectors(path)
    command = str(refused.value).partition("python -c ")[2]
    subprocess.run(f"{sys.executable} -c {command}", shell=True, check=True)  # noqa: S602
    np.testing.assert_array_equal(
        load_vectors(f"{path}.bin").vectors(["sat", "cat"]), model.wv[["sat", "cat"]]
    )


@pytest.mark.parametrize(
    ("saved", "reason"),
    [
        ({"a": 1}, "something else than gensim KeyedVectors"),
        ([1, 2], "something else than gensim KeyedVectors"),
    ],
)
def test_a_harmless_pickle_is_refused_too(tmp_path, saved, reason):
    (tmp_path / "x.kv").write_bytes(pickle.dumps(saved))
    with pytest.raises(ResourceError, match=reason):
        load_vectors(tmp_path / "x.kv")


def test_words_and_vectors_must_be_as_many(tmp_path):
    gensim = pytest.importorskip("gensim.models")
    vectors = gensim.KeyedVectors(3)
    vectors.add_vectors(WORDS, ROWS)
    vectors.index_to_key = WORDS[:2]
    vectors.save(str(tmp_path / "x.kv"))
    with pytest.raises(ResourceError, match="it has 2 words and 5 vectors"):
        load_vectors(tmp_path / "x.kv")
    vectors.index_to_key = [1, 2, 3, 4, 5]
    vectors.save(str(tmp_path / "x.kv"))
    with pytest.raises(ResourceError, match="its keys are not words"):
        load_vectors(tmp_path / "x.kv")


# -- damaged files -----------------------------------------------------------------------


@pytest.mark.parametrize("name", [*KEYED_VECTORS, "binary.bin", "text.vec", "binary.bin.gz"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncated_file_is_one_sentence(folder, tmp_path, name, kept):
    for file in folder.glob(f"{name}*"):
        if file.name == name or file.suffix in {".npy", ".npz"}:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ResourceError, match=r"cannot be read: .*; fetch or save it again as"):
        load_vectors(tmp_path / name)


def test_array_beside_the_pickle_truncated_or_missing(folder, tmp_path):
    (tmp_path / "v.kv").write_bytes((folder / "beside.kv").read_bytes())
    beside = tmp_path / "v.kv.vectors.npy"
    with pytest.raises(ResourceError, match=r"v\.kv\.vectors\.npy is missing; copy that file"):
        load_vectors(tmp_path / "v.kv")
    data = (folder / "beside.kv.vectors.npy").read_bytes()
    beside.write_bytes(data[:-4])
    with pytest.raises(ResourceError, match=r"cannot be read: .*; fetch or save it again"):
        load_vectors(tmp_path / "v.kv")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("v.txt", b"", "it is empty"),
        ("v.txt", b"3 2\na 1 2\n", "line 1 announces 3 words and 1 follow"),
        ("v.txt", b"1 2\na 1 2\nb 1 2\n", "line 1 announces 1 words and 2 follow"),
        ("v.txt", b"2 3\na 1 2\nb 1 2\n", "line 2 has 2 numbers, expected 3"),
        (
            "v.txt",
            b"2 1\na 1 2\nb 1 2\n",
            "line 2 has more than the 1 numbers that line 1 announces",
        ),
        ("v.txt", b"a 1 2\nb 1\n", "line 2 has 1 numbers, expected 2"),
        ("v.txt", b"a 1 2\nb 1 2,5\n", "line 2 has '2,5' where a number belongs"),
        ("v.txt", b"some prose that is no vector file\n", "line 1 has 'prose'"),
        ("v.txt", b"prose\n", "line 1 is neither 'word number number ...' nor"),
        ("v.txt", b"0 5\n", "line 1 announces 0 words of width 5, and both must be 1 or more"),
        ("v.txt", b"-1 5\nbat 3\n", "line 1 announces -1 words of width 5"),
        ("v.txt", b"1 -5\nbat 3\n", "line 1 announces 1 words of width -5"),
        ("v.txt", b"\xef\xbb\xbf", "line 1 is neither 'word number number ...' nor"),
        ("v.txt", b"a 1 2\nH\xf6hle 1 2\n", "line 2 is not UTF-8.*iconv -f latin1 -t utf-8"),
        ("v.txt", "a 1 2\n".encode("utf-16"), "line 1 is not UTF-8"),
        ("v.bin", b"nonsense", "its first line is not 'n_words width'"),
        ("v.bin", b"1 0\na ", "line 1 announces 1 words of width 0"),
        ("v.bin", b"-1 2\na ", "line 1 announces -1 words of width 2"),
        ("v.bin", b"99999999999 300\na 1234", "it ends within word 1 of the 99999999999 announced"),
        ("v.bin", b"2 1\na 1234b12345", "it ends within word 2 of the 2 announced"),
        ("v.bin", b"1 1\na 1234b 1234", "more follows after the 1 words"),
        ("v.bin", b"1 1\n\xff 1234", "word 1 is not UTF-8.*unicode_errors='replace'"),
        ("v.bin", b"\xba\x16\x4f\x2f\x0c\0\0\0", "cannot be read"),  # fastText and no more
        ("v.txt.gz", b"a 1 2\n", "cannot be read: Not a gzipped file"),
        ("v.txt", b"a 1 2\nb nan 2\n", r"the vector of 'b' \(word 2\) is not finite"),
        ("v.txt", b"a 1 -inf\n", r"the vector of 'a' \(word 1\) is not finite"),
        ("v.bin", b"1 1\na \0\0\xc0\x7f", r"the vector of 'a' \(word 1\) is not finite"),
    ],
)
def test_damaged_file_is_one_sentence(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ResourceError, match=reason) as caught:
        load_vectors(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert 'pip install "spacy-attn[models]"' in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ResourceError, match=r"no\.kv is not there; give vectors = .*pip install"):
        load_vectors(tmp_path / "no.kv")
    with pytest.raises(ResourceError, match="is a folder; give vectors = "):
        load_vectors(tmp_path)


@pytest.mark.parametrize("kind", ["plain", "beside"])
def test_nan_in_keyed_vectors(tmp_path, kind):
    gensim = pytest.importorskip("gensim.models")
    vectors = gensim.KeyedVectors(3)
    vectors.add_vectors(WORDS, np.where(ROWS == 3, np.nan, ROWS))
    vectors.save(str(tmp_path / "x.kv"), sep_limit=0 if kind == "beside" else 10**6)
    with pytest.raises(ResourceError, match=r"the vector of 'Höhle' \(word 3\) is not finite"):
        load_vectors(tmp_path / "x.kv")


# -- identity and sharing ----------------------------------------------------------------


def test_identity_follows_name_and_content(folder, tmp_path):
    same = tmp_path / "text.txt"
    same.write_bytes((folder / "text.txt").read_bytes())
    identity = load_vectors(same).identity
    assert identity == load_vectors(folder / "text.txt").identity
    assert identity.startswith("text.txt:")
    same.write_text(same.read_text().replace("8.0", "8.5").replace(" 8 ", " 9 "))
    assert load_vectors(same).identity != identity


def test_identity_covers_the_array_beside(folder, tmp_path):
    for name in ("beside.kv", "beside.kv.vectors.npy"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    identity = load_vectors(tmp_path / "beside.kv").identity
    assert identity == load_vectors(folder / "beside.kv").identity
    np.save(tmp_path / "beside.kv.vectors.npy", ROWS + 1)
    assert load_vectors(tmp_path / "beside.kv").identity != identity


def test_a_file_is_read_once_whatever_the_rule(folder):
    path = str(folder / "plain.kv")
    assert shared_vectors(path).table is shared_vectors(path, "lemma").table


# -- the GloVe wheel ---------------------------------------------------------------------


@pytest.fixture
def toy_wheel(tmp_path, monkeypatch):
    """The wheel's layout with three words; its code must never run."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    data = tmp_path / "toy_glove_wheel" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise RuntimeError('imported')\n")
    np.save(data / "glove_6B_50d_emb.npy", np.asfortranarray(ROWS[:3]))
    parquet.write_table(arrow.table({"index": WORDS[:3]}), data / "glove_6B_index.parquet")
    monkeypatch.syspath_prepend(tmp_path)
    pins = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in data.iterdir()}
    wheel = models.Wheel("toy==1.0", "toy_glove_wheel", "data", pins)
    known = models.KnownModel(name=GLOVE, kind="vectors", license="PDDL-1.0", wheel=wheel)
    monkeypatch.setattr(catalogue, "KNOWN_MODELS", (known,))
    return data


@pytest.mark.parametrize("path", [None, GLOVE])
def test_wheel_is_read_by_path(toy_wheel, path):
    vectors = load_vectors(path)
    np.testing.assert_array_equal(vectors.vectors(["Höhle", "bat", "x"]), [*ROWS[[2, 0]], [0] * 3])
    assert vectors.identity.startswith("glove-6b-50d:")
    assert "toy_glove_wheel" not in sys.modules


@pytest.mark.parametrize("name", ["glove_6B_50d_emb.npy", "glove_6B_index.parquet"])
def test_damaged_wheel_is_refused(toy_wheel, name):
    with (toy_wheel / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ResourceError, match=rf"{name} is not the .*pip install --force-reinstall"):
        load_vectors(None)


def test_missing_wheel(toy_wheel):
    shutil.rmtree(toy_wheel.parent)
    importlib.invalidate_caches()
    with pytest.raises(ResourceError, match=r'not on this .*pip install "spacy-attn\[models\]"'):
        load_vectors(None)


def test_missing_pyarrow(toy_wheel, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ResourceError, match=r'needs pyarrow.*pip install "spacy-attn\[models\]"'):
        load_vectors(None)


def test_missing_gensim(tmp_path, monkeypatch, fasttext_model):
    fasttext_model.wv.save(str(tmp_path / "ft.kv"))
    monkeypatch.setitem(sys.modules, "gensim.models.fasttext", None)
    with pytest.raises(
        ResourceError, match="needs gensim, which is not installed; run pip install"
    ):
        load_vectors(tmp_path / "ft.kv")


def test_real_glove_equals_raw_rows():
    if models.locate(GLOVE, "vectors") is None:
        pytest.skip("the GloVe wheel of the extra [models] is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    matrix, index = models.glove_files()
    raw = np.load(matrix, mmap_mode="r")
    words = parquet.read_table(index)["index"].to_pylist()
    king, queen = (raw[words.index(word)].astype(np.float64) for word in ("king", "queen"))
    expected = king @ queen / np.sqrt((king @ king) * (queen @ queen))

    vectors = load_vectors(None)
    one, two, unknown = vectors.vectors(["King", "queen", "qwertzuiopü"])
    obtained = one @ two / (np.linalg.norm(one) * np.linalg.norm(two))
    assert vectors.width == 50
    assert obtained == pytest.approx(expected, abs=1e-6)
    assert expected == pytest.approx(0.7839, abs=1e-4)  # known from the published vectors
    assert not unknown.any()
