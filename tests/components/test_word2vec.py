from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin, Token
from spacy.tokens.underscore import Underscore

from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.components import word2vec  # the import registers the factory
from spacy_attn.components.hooks import restore_hooks
from spacy_attn.components.word2vec import Word2Vec, install_word2vec_extension, static_vectors
from spacy_attn.errors import ConfigError, ResourceError

ROOT = Path(word2vec.__file__).parents[2]
ROWS: dict[str, list[float]] = {
    "swing": [1, 2],
    "the": [0.5, 0.5],
    "bat": [3, -4],
    "flew": [-1, 0],
    "fly": [2, 2],
}


@pytest.fixture(autouse=True)
def own_attributes(monkeypatch):
    """Extensions are global; each test starts without any."""
    monkeypatch.setattr(Underscore, "token_extensions", {})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("".join(f"{word} {a} {b}\n" for word, (a, b) in ROWS.items()))
    return path


def pipeline(file, **config):
    nlp = spacy.blank("en")
    nlp.add_pipe("word2vec", config={"vectors": str(file), **config})
    return nlp


def expected_rows(words):
    return np.array([ROWS.get(word, [0, 0]) for word in words], dtype=np.float32)


def test_tokens_have_the_vectors_of_the_file(file):
    doc = pipeline(file)("Swing the bat!")
    obtained = np.stack([token._.word2vec for token in doc])
    np.testing.assert_array_equal(obtained, expected_rows(["swing", "the", "bat", "!"]))
    np.testing.assert_array_equal(static_vectors(doc, vectors=str(file)), obtained)


def test_nothing_is_stored_on_the_doc(file):
    doc = pipeline(file)("Swing the bat!")
    assert doc.user_data == {}
    assert doc.tensor.size == 0
    assert doc.user_hooks == {}


def test_the_file_is_read_on_first_use(tmp_path):
    nlp = pipeline(tmp_path / "later.txt")
    doc = nlp("the bat")
    with pytest.raises(ResourceError, match=r"later\.txt is not there; give vectors = "):
        doc[0]._.word2vec  # noqa: B018  the getter raises
    (tmp_path / "later.txt").write_text("the 1 2 3\n")
    np.testing.assert_array_equal(doc[0]._.word2vec, [1, 2, 3])


def test_two_instances_read_one_file_once(file):
    nlp = spacy.blank("en")
    nlp.add_pipe("word2vec", name="one", config={"vectors": str(file)})
    nlp.add_pipe("word2vec", name="two", config={"vectors": str(file), "attr": "w2v"})
    token = nlp("bat")[0]
    table = shared_vectors(str(file)).table
    np.testing.assert_array_equal(token._.word2vec, token._.w2v)
    assert shared_vectors(str(file)).table is table


def test_a_file_that_was_written_again_is_read_again(file, monkeypatch):
    now = 0.0
    monkeypatch.setattr(word2vec, "monotonic", lambda: now)
    doc = pipeline(file)("bat")
    np.testing.assert_array_equal(doc[0]._.word2vec, [3, -4])
    file.write_text("bat 5 6\n")
    np.testing.assert_array_equal(doc[0]._.word2vec, [3, -4])  # single tokens: not each time
    np.testing.assert_array_equal(static_vectors(doc, vectors=str(file)), [[5, 6]])
    now = 0.1
    np.testing.assert_array_equal(doc[0]._.word2vec, [5, 6])


def test_two_files_side_by_side(file, tmp_path):
    (tmp_path / "other.txt").write_text("bat 7 7 7\n")
    nlp = pipeline(file)
    other = {"vectors": str(tmp_path / "other.txt"), "attr": "other"}
    nlp.add_pipe("word2vec", name="other", config=other)
    token = nlp("bat")[0]
    np.testing.assert_array_equal(token._.word2vec, [3, -4])
    np.testing.assert_array_equal(token._.other, [7, 7, 7])


def test_another_file_takes_over_the_attribute_and_the_log_says_so(file, tmp_path, caplog):
    pipeline(tmp_path / "mistyped.txt")
    with caplog.at_level("WARNING", logger="spacy_attn"):
        token = pipeline(file)("bat")[0]
    np.testing.assert_array_equal(token._.word2vec, [3, -4])
    assert "no longer" in caplog.text
    assert "mistyped.txt" in caplog.text
    caplog.clear()
    pipeline(file)  # the same again is no change
    assert not caplog.text


def test_two_in_one_pipeline_need_two_names(file):
    nlp = pipeline(file)
    with pytest.raises(ConfigError, match=r"would write token\._\.word2vec.*attr = "):
        nlp.add_pipe("word2vec", name="second", config={"vectors": str(file)})


def test_attribute_of_somebody_else_is_refused(file):
    Token.set_extension("word2vec", default=1)
    with pytest.raises(ConfigError, match=r"Token\._\.word2vec already exists.*attr = "):
        pipeline(file)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"unknown": "mean"}, "unknown = 'mean' is no rule.*zero, lemma, subword"),
        ({"attr": "no name"}, "attr = 'no name' cannot be an attribute name"),
        ({"vectors": ""}, "vectors = '' names no file; give the path of a gensim"),
        ({"vectors": None, "unknown": "subword"}, "'subword' needs a fastText.*glove-6b-50d has"),
        ({"vectors": "glove-6b-50d", "unknown": "subword"}, "'subword' needs a fastText model"),
    ],
)
def test_illegal_settings(file, config, reason):
    with pytest.raises(ConfigError, match=reason):
        pipeline(file, **config)
    settings = {"vectors": file, "attr": "word2vec", "unknown": "zero", **config}
    with pytest.raises(ConfigError, match=reason):
        install_word2vec_extension(**settings)
    assert not Token.has_extension("word2vec")


def test_default_vectors_are_refused_for_another_language(file):
    with pytest.raises(ConfigError, match=r"default vectors are English .* lang = 'de'"):
        spacy.blank("de").add_pipe("word2vec")
    nlp = spacy.blank("de")
    nlp.add_pipe("word2vec", config={"vectors": str(file)})
    np.testing.assert_array_equal(nlp("bat")[0]._.word2vec, [3, -4])


def test_lemma_rule(file):
    nlp = pipeline(file, unknown="lemma")
    doc = nlp("bats flying")
    doc[0].lemma_ = "bat"
    np.testing.assert_array_equal(doc[0]._.word2vec, [3, -4])
    np.testing.assert_array_equal(doc[1]._.word2vec, [0, 0])  # nothing set its lemma


def test_relative_path_survives_a_change_of_folder(file, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(file.parent)
    nlp = pipeline("v.txt")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    np.testing.assert_array_equal(nlp("bat")[0]._.word2vec, [3, -4])


@pytest.mark.parametrize("hooks", [False, True])
def test_pipe_keeps_the_order_and_empty_docs(file, hooks):
    nlp = pipeline(file, hooks=hooks)
    texts = ["bat", "", "the bat", "!"]
    docs = list(nlp.pipe(texts, batch_size=2))
    assert [doc.text for doc in docs] == texts
    for doc in docs:
        alone = nlp(doc.text)
        np.testing.assert_array_equal(alone.vector, doc.vector)
        assert bool(doc.user_hooks) is hooks


def test_config_travels_through_bytes_and_disk(file, tmp_path):
    one = Word2Vec(vectors=file, attr="w2v", unknown="lemma", hooks=True)
    one.to_disk(tmp_path / "saved")
    for two in (
        Word2Vec(vectors=file).from_bytes(one.to_bytes()),
        Word2Vec(vectors=file).from_disk(tmp_path / "saved"),
    ):
        assert (two.vectors, two.attr, two.unknown, two.hooks) == (str(file), "w2v", "lemma", True)
    assert file.stat().st_size > 0
    assert len(one.to_bytes()) < 1000


def test_pipeline_travels_through_disk(file, tmp_path):
    pipeline(file, attr="w2v").to_disk(tmp_path / "nlp")
    nlp = spacy.load(tmp_path / "nlp")
    np.testing.assert_array_equal(nlp("bat")[0]._.w2v, [3, -4])


FOREIGN = [
    b"",
    b"[]",
    b'{"vectors": null}',
    b"\xff",
    b"[" * 100_000,
    b'{"vectors": null, "attr": 3, "unknown": "zero", "hooks": false}',
    b'{"vectors": null, "attr": "x", "unknown": ["zero"], "hooks": false}',
    b'{"vectors": {}, "attr": "x", "unknown": "zero", "hooks": 1}',
]


@pytest.mark.parametrize("data", FOREIGN)
def test_foreign_bytes_are_refused(file, tmp_path, data):
    with pytest.raises(ConfigError, match="no config of word2vec in these bytes"):
        Word2Vec(vectors=file).from_bytes(data)
    (tmp_path / "config.json").write_bytes(data)
    with pytest.raises(ConfigError, match=r"no config of word2vec in .*config\.json"):
        Word2Vec(vectors=file).from_disk(tmp_path)


def test_component_is_declared_to_analyze_pipes(file):
    analysis = pipeline(file).analyze_pipes()
    assert analysis["summary"]["word2vec"]["assigns"] == ["token._.word2vec"]
    assert analysis["problems"]["word2vec"] == []


# -- hooks -------------------------------------------------------------------------------


def test_hooks_equal_numpy(file):
    doc = pipeline(file, hooks=True)("Swing the bat!")
    rows = expected_rows(["swing", "the", "bat", "!"]).astype(np.float64)
    np.testing.assert_allclose(doc.vector, rows.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(doc[1:3].vector, rows[1:3].mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(doc[2].vector, rows[2])
    assert doc[2].vector_norm == pytest.approx(5.0)
    assert [token.has_vector for token in doc] == [True, True, True, False]
    cosine = rows[0] @ rows[2] / np.sqrt((rows[0] @ rows[0]) * (rows[2] @ rows[2]))
    assert doc[0].similarity(doc[2]) == pytest.approx(cosine, abs=1e-6)
    assert doc[3].similarity(doc[2]) == 0.0


def test_hooks_follow_merged_tokens_and_as_doc(file):
    doc = pipeline(file, hooks=True)("the bat flew")
    np.testing.assert_array_equal(doc[1:3].as_doc().vector, expected_rows(["bat", "flew"]).mean(0))
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    np.testing.assert_array_equal(doc.vector, expected_rows(["the bat", "flew"]).mean(axis=0))


def test_hooks_come_back_by_restore_hooks(file):
    nlp = pipeline(file, hooks=True)
    doc = nlp("the bat")
    again = Doc(nlp.vocab).from_bytes(doc.to_bytes(exclude=["user_hooks"]))
    assert again.vector.shape == (0,)
    restore_hooks(again, nlp)
    np.testing.assert_array_equal(again.vector, doc.vector)


def test_restore_hooks_needs_the_switch(file):
    nlp = pipeline(file, hooks=False)
    with pytest.raises(ConfigError, match=r"\['word2vec'\] has hooks = true"):
        restore_hooks(nlp("bat"), nlp)


# -- other processes ---------------------------------------------------------------------

WORKERS = """
    import multiprocessing, sys
    import spacy
    import spacy_attn.components.word2vec

    def in_own_child(file):
        nlp = pipeline(file, True)
        assert nlp("bat").vector.tolist() == [3.0, -4.0]

    def pipeline(file, hooks):
        nlp = spacy.blank("en")
        nlp.add_pipe("word2vec", config={"vectors": file, "hooks": hooks})
        return nlp

    if __name__ == "__main__":
        method, file = sys.argv[1:]
        multiprocessing.set_start_method(method)
        nlp = pipeline(file, False)
        assert nlp("bat")[0]._.word2vec.tolist() == [3.0, -4.0]  # the parent is warm
        docs = list(nlp.pipe(["the bat", "", "flew"] * 2, n_process=2, batch_size=2))
        assert [doc.text for doc in docs] == ["the bat", "", "flew"] * 2
        assert docs[3][1]._.word2vec.tolist() == [3.0, -4.0]

        child = multiprocessing.Process(target=in_own_child, args=(file,))
        child.start()
        child.join()
        assert child.exitcode == 0

        try:
            list(pipeline(file, True).pipe(["a", "b", "c"], n_process=2, batch_size=1))
        except ValueError as error:
            print(error)
        else:
            print("not refused")
"""

READER = """
    import sys
    import spacy
    from spacy.tokens import DocBin
    from spacy_attn.components.word2vec import install_word2vec_extension

    file, docs = sys.argv[1:]
    install_word2vec_extension(vectors=file)
    doc, = DocBin().from_disk(docs).get_docs(spacy.blank("en").vocab)
    print([token._.word2vec.tolist() for token in doc])
"""


def run_script(tmp_path, code, *arguments):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(code))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes(file, tmp_path, method):
    """Getters work with n_process=2; hooks work in a child of the user's and are refused here."""
    output = run_script(tmp_path, WORKERS, method, file)
    assert "hooks = true of 'word2vec' cannot be combined with n_process > 1" in output
    assert "not refused" not in output


@pytest.mark.slow
def test_docbin_read_in_another_process(file, tmp_path):
    store = DocBin(docs=[pipeline(file)("the bat")])
    store.to_disk(tmp_path / "docs.spacy")
    output = run_script(tmp_path, READER, file, tmp_path / "docs.spacy")
    assert output.strip() == "[[0.5, 0.5], [3.0, -4.0]]"


def test_extension_without_a_component(file):
    install_word2vec_extension("w2v", vectors=file)
    install_word2vec_extension("w2v", vectors=str(file))
    np.testing.assert_array_equal(spacy.blank("en")("bat")[0]._.w2v, [3, -4])


def test_import_needs_no_heavy_library():
    """Every Language() imports this module, so it must not need gensim or pyarrow."""
    code = (
        "import sys; sys.modules.update(gensim=None, pyarrow=None, transformers=None); "
        "import spacy_attn.components.word2vec, spacy; nlp = spacy.blank('en'); "
        "nlp.add_pipe('word2vec'); print(nlp('the bat').text)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.stdout.strip() == "the bat", done.stderr
