from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy

from spacy_attn.classic.vectors import load_vectors
from spacy_attn.components import word2vec as component  # registers the factory
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.train import word2vec, word2vec_run
from spacy_attn.train.word2vec import train_word2vec
from spacy_attn.train.word2vec_config import Word2VecConfig

gensim = pytest.importorskip("gensim.models")

ROOT = Path(component.__file__).parents[2]
SMALL: dict[str, Any] = {
    "dimensions": 8,
    "min_count": 2,
    "epochs": 3,
    "seed": 5,
    "tokens": "whitespace",
    "buckets": 300,
    "sample": 0.01,
}


@pytest.fixture(autouse=True)
def many_reports(monkeypatch):
    monkeypatch.setattr(word2vec, "_REPORT_EVERY", 0)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Sentences of words that follow each other, reproducible; 30,000 tokens, several batches."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    starts = rng.integers(0, 60, 3000)
    lines = [" ".join(f"w{(s + i * i) % 70}" for i in range(10)) for s in starts]
    path.write_text("\n".join(lines) + "\nonce\n")
    return path


def train(texts, output, report=None, **options):
    own = {key: options.pop(key) for key in ("text_key", "overwrite", "threads") if key in options}
    inputs = texts if isinstance(texts, list) else [texts]
    return train_word2vec(
        inputs, output, Word2VecConfig(**{**SMALL, **options}), report=report, **own
    )


def arrays(folder):
    return {path.name: np.load(path) for path in sorted(Path(folder).glob("*.npy"))}


def assert_same(one, two):
    one, two = arrays(one), arrays(two)
    assert one.keys() == two.keys()
    assert "vectors.npy" in one
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


class Killed(Exception):
    pass


def stop_after(epoch):
    """A report that ends the run when an epoch is finished."""

    def report(record):
        if record["phase"] == "epoch" and record["epoch"] == epoch:
            raise Killed(f"after epoch {epoch}")

    return report


def stopped(texts, output, epoch=1, **options):
    with pytest.raises(Killed, match=f"after epoch {epoch}"):
        train(texts, output, stop_after(epoch), **options)
    return output.with_name(f"{output.name}.training")


def epoch_of(work):
    with np.load(work / "checkpoint.npz") as saved:
        return int(saved["epoch"])


# -- against gensim alone -------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["skipgram", "cbow"])
@pytest.mark.parametrize("algorithm", ["word2vec", "fasttext"])
def test_equals_gensim(texts, tmp_path, algorithm, architecture):
    settings = {
        "vector_size": 8,
        "min_count": 2,
        "epochs": 3,
        "seed": 5,
        "sample": 0.01,
        "workers": 1,
        "sg": int(architecture == "skipgram"),
        "alpha": 0.025,
        "min_alpha": 0.0001,
    }
    sentences = [line.split() for line in texts.read_text().splitlines()]
    if algorithm == "fasttext":
        oracle = gensim.FastText(bucket=300, **settings)
    else:
        oracle = gensim.Word2Vec(**settings)
    # Equal counts would leave gensim's order to its sort.
    counts = {}
    for sentence in sentences:
        for word in sentence:
            counts[word] = counts.get(word, 0) + 1
    oracle.sorted_vocab = 0
    oracle.build_vocab_from_freq(dict(sorted(counts.items(), key=lambda pair: -pair[1])))
    oracle.train(sentences, total_examples=len(sentences), epochs=3)

    output = train(texts, tmp_path / "v", algorithm=algorithm, architecture=architecture)
    vectors = load_vectors(output, unknown="subword" if algorithm == "fasttext" else "zero")
    words = oracle.wv.index_to_key
    assert list(vectors.table.index) == words
    assert "once" not in words
    np.testing.assert_array_equal(vectors.vectors(words), oracle.wv.vectors)
    if algorithm == "fasttext":
        np.testing.assert_allclose(vectors.vectors(["w99x"])[0], oracle.wv["w99x"], atol=1e-7)


def test_words_that_occur_together_are_near(tmp_path):
    lines = ["bat cave night fly", "bank money loan pay"] * 300
    (tmp_path / "t.txt").write_text("\n".join(lines))
    train(tmp_path / "t.txt", tmp_path / "v", epochs=30, sample=0, learning_rate=0.2)
    near = word2vec_neighbours(tmp_path / "v", "bat", 3)
    assert set(near) == {"cave", "night", "fly"}


def word2vec_neighbours(folder, word, n):
    from spacy_attn.classic.vectors import neighbours

    return [w for w, _ in neighbours(load_vectors(folder), word, n)]


def test_the_component_reads_the_result(texts, tmp_path):
    output = train(texts, tmp_path / "v", algorithm="fasttext")
    nlp = spacy.blank("en")
    nlp.add_pipe("word2vec", config={"vectors": str(output), "attr": "own", "unknown": "subword"})
    doc = nlp("W1 w1 w1234")
    np.testing.assert_array_equal(doc[0]._.own, load_vectors(output).vectors(["w1"])[0])
    assert doc[2]._.own.any()
    doc[0].remove_extension("own")


def test_spacy_tokens_and_lower_case(tmp_path):
    (tmp_path / "t.txt").write_text("The bat isn't here.\n" * 5)
    for lower, expected in ((True, "the"), (False, "The")):
        output = train(tmp_path / "t.txt", tmp_path / str(lower), tokens="spacy", lower=lower)
        assert set(load_vectors(output).table.index) == {expected, *"bat is n't here .".split()}


def test_what_was_set_is_kept_with_the_result(texts, tmp_path):
    output = train(texts, tmp_path / "v", window=3)
    about = json.loads((output / "vectors.json").read_text())["about"]
    assert (about["window"], about["algorithm"]) == (3, "word2vec")
    assert not list(tmp_path.glob("v.training"))


def test_several_threads(texts, tmp_path):
    output = train(texts, tmp_path / "v", threads=3)
    assert load_vectors(output).vectors(["w1"]).any()


def test_progress(texts, tmp_path):
    records = []
    train(texts, tmp_path / "v", records.append, epochs=2)
    phases = [record["phase"] for record in records]
    assert [phase for phase in dict.fromkeys(phases) if phase != "read"] == [
        "corpus",
        "train",
        "epoch",
    ]
    corpus = next(record for record in records if record["phase"] == "corpus")
    assert (corpus["n_tokens"], corpus["n_sentences"], corpus["n_words"]) == (30_001, 3001, 70)
    done = [record["done"] for record in records if record["phase"] == "train"]
    assert done == sorted(done)
    assert done[-1] <= records[-2]["total"] == 2 * 30_000


# -- stopped and resumed --------------------------------------------------------------------

CHILD = """
    import json, os, signal, sys
    from spacy_attn.train import word2vec, word2vec_run

    word2vec._REPORT_EVERY = 0
    texts, output, options, phase, epoch, done = (json.loads(each) for each in sys.argv[1:])

    def report(record):
        if record["phase"] == phase and record["epoch"] == epoch and record.get("done", 0) >= done:
            os.kill(os.getpid(), signal.SIGKILL)

    word2vec.train_word2vec([texts], output, word2vec.Word2VecConfig(**options), report=report)
"""


def kill_child(tmp_path, texts, output, options, *when):
    """Train in a process that gets SIGKILL at a given point."""
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(CHILD))
    given = [str(texts), str(output), {**SMALL, **options}, *when]
    done = subprocess.run(
        [sys.executable, str(script), *map(json.dumps, given)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["word2vec", "fasttext"])
def test_a_killed_run_ends_with_the_same_vectors(texts, tmp_path, algorithm):
    undisturbed = train(texts, tmp_path / "undisturbed", algorithm=algorithm)
    output = tmp_path / "killed"
    kill_child(tmp_path, texts, output, {"algorithm": algorithm}, "epoch", 1, 0)
    work = tmp_path / "killed.training"
    assert epoch_of(work) == 1
    assert not output.exists()
    kill_child(tmp_path, texts, output, {"algorithm": algorithm}, "train", 2, 40_000)
    assert epoch_of(work) == 1
    records = []
    train(texts, output, records.append, algorithm=algorithm)
    assert records[0] == {"phase": "resume", "epochs_done": 1}
    assert [r["epoch"] for r in records if r["phase"] == "epoch"] == [2, 3]
    assert_same(output, undisturbed)
    assert not work.exists()


@pytest.mark.parametrize("algorithm", ["word2vec", "fasttext"])
def test_stopped_after_the_last_epoch(texts, tmp_path, algorithm):
    stopped(texts, tmp_path / "v", 3, algorithm=algorithm)
    train(texts, tmp_path / "v", algorithm=algorithm)
    assert_same(tmp_path / "v", train(texts, tmp_path / "w", algorithm=algorithm))


def test_stopped_while_reading_starts_anew(texts, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise Killed("while reading")

    with monkeypatch.context() as patch:
        patch.setattr(word2vec_run, "tokenise_files", broken)
        with pytest.raises(Killed, match="while reading"):
            train(texts, tmp_path / "v")
    (tmp_path / "v.training" / "corpus.txt").write_text("half a senten")
    assert_same(train(texts, tmp_path / "v"), train(texts, tmp_path / "w"))


def test_an_unfinished_checkpoint_counts_for_nothing(texts, tmp_path):
    work = stopped(texts, tmp_path / "v")
    (work / "checkpoint.npz.new").write_bytes(b"half")
    assert_same(train(texts, tmp_path / "v"), train(texts, tmp_path / "w"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"dimensions": 9}, "dimensions = 8, not 9"),
        ({"algorithm": "fasttext", "seed": 6}, "algorithm = 'word2vec', not 'fasttext'; seed = 5"),
        ({"epochs": 4}, "epochs = 3, not 4"),
        ({"text_key": "body"}, "text_key = 'text', not 'body'"),
    ],
)
def test_other_options_refuse_to_resume(texts, tmp_path, options, reason):
    stopped(texts, tmp_path / "v")
    with pytest.raises(ConfigError, match=rf"unfinished run with {reason}.*rm -r .*v\.training"):
        train(texts, tmp_path / "v", **options)


def test_other_inputs_refuse_to_resume(texts, tmp_path):
    mine, other = tmp_path / "mine.txt", tmp_path / "other.txt"
    for path in (mine, other):
        path.write_bytes(texts.read_bytes())
    stopped([mine, other], tmp_path / "v")
    with pytest.raises(ConfigError, match="fewer or in another order"):
        train([mine], tmp_path / "v")
    other.write_text(other.read_text().replace("w1 ", "w2 "))
    with pytest.raises(ConfigError, match=r"other inputs \(.*other\.txt\); give the same"):
        train([mine, other], tmp_path / "v")


def test_a_touched_or_moved_input_resumes(texts, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_bytes(texts.read_bytes())
    stopped(mine, tmp_path / "v")
    moved = mine.rename(tmp_path / "moved.txt")
    os.utime(moved, (1, 1))
    train(moved, tmp_path / "v", threads=2)  # how many threads is no matter of the result
    assert load_vectors(tmp_path / "v").vectors(["w1"]).any()


def test_standard_input_resumes_when_it_is_the_same(texts, tmp_path, monkeypatch):
    def pipe(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    pipe(texts.read_bytes())
    stopped(["-"], tmp_path / "v")
    pipe(texts.read_bytes() + b"more\n")
    with pytest.raises(ConfigError, match=r"other inputs \(-\)"):
        train(["-"], tmp_path / "v")
    pipe(texts.read_bytes())
    train(["-"], tmp_path / "v")
    assert_same(tmp_path / "v", train(texts, tmp_path / "w"))


def change_checkpoint(path, **arrays):
    with np.load(path) as saved:
        kept = dict(saved)
    kept.update(arrays)
    np.savez(path, **{name: array for name, array in kept.items() if array is not None})


def test_a_checkpoint_is_never_unpickled(texts, tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "trace"),))

    for name in ("words", "output", "random"):
        work = stopped(texts, tmp_path / name)
        change_checkpoint(work / "checkpoint.npz", **{name: np.array([Evil()], dtype=object)})
        with pytest.raises(ResourceError, match=r"checkpoint\.npz is damaged .*rm -r "):
            train(texts, tmp_path / name)
    assert not (tmp_path / "trace").exists()
    assert not [path for path in work.rglob("*") if path.suffix in {".pkl", ".pickle", ".model"}]


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("checkpoint.npz", cut),
        ("checkpoint.npz", flip),
        ("checkpoint.npz", lambda path: path.write_bytes(b"")),
        ("checkpoint.npz", partial(change_checkpoint, words=np.ones((2, 2), dtype="f4"))),
        ("checkpoint.npz", partial(change_checkpoint, output=None)),
        ("checkpoint.npz", partial(change_checkpoint, epoch=None)),
        ("checkpoint.npz", partial(change_checkpoint, random=np.ones(3, dtype="u4"))),
        ("checkpoint.npz", partial(change_checkpoint, position=np.array(10**6))),
        ("run.json", lambda path: path.write_text("[" * 100_000)),
        ("run.json", cut),
        ("run.json", lambda path: path.write_text('{"format": "other"}')),
        ("words.txt", cut),
        ("counts.npy", lambda path: np.save(path, np.ones(3))),
        ("corpus.txt", cut),
    ],
)
def test_a_damaged_checkpoint_is_one_sentence(texts, tmp_path, name, damage):
    work = stopped(texts, tmp_path / "v")
    damage(work / name)
    with pytest.raises(ResourceError, match=r"the checkpoint .* is damaged \(.*rm -r ") as caught:
        train(texts, tmp_path / "v")
    assert "\n" not in str(caught.value)


def test_a_folder_of_somebody_else_is_left_alone(texts, tmp_path):
    (tmp_path / "v.training").mkdir()
    (tmp_path / "v.training" / "corpus.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"v\.training is needed for checkpoints and holds some"):
        train(texts, tmp_path / "v")
    assert (tmp_path / "v.training" / "corpus.txt").read_text() == "mine"
    assert len(list((tmp_path / "v.training").iterdir())) == 1


# -- what goes wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"algorithm": "glove"}, "--algorithm glove: allowed are word2vec, fasttext"),
        ({"architecture": "x"}, "--architecture x: allowed are skipgram, cbow"),
        ({"tokens": "x"}, "--tokens x: allowed are spacy, whitespace"),
        ({"dimensions": 0}, "--dimensions 0: allowed: 1 to 10,000"),
        ({"dimensions": 10_000_000}, "--dimensions 10000000: allowed: 1 to 10,000"),
        ({"min_count": 0}, "--min-count 0: allowed: 1 or more"),
        ({"negative": 0}, "--negative 0: allowed: 1 or more"),
        ({"epochs": -1}, "--epochs -1: allowed: 1 or more"),
        ({"learning_rate": 0.0}, "--learning-rate 0.0: allowed: above 0, at most 1"),
        ({"learning_rate": float("nan")}, "--learning-rate nan: allowed: above 0"),
        ({"sample": 1.0}, "--sample 1.0: allowed: 0 to below 1"),
        ({"max_ngram": 2}, r"--max-ngram 2: allowed: --min-ngram \(3\) or more"),
        ({"buckets": 0}, "--buckets 0: allowed: 1 or more"),
        ({"seed": -1}, "--seed -1: allowed: 0 to"),
        ({"threads": 0}, "--threads 0: allowed: 1 or more"),
        (
            {"tokens": "spacy", "lang": "qq"},
            "--lang qq: spaCy has no tokenizer for 'qq'; allowed are af, ",
        ),
    ],
)
def test_illegal_settings(texts, tmp_path, options, reason):
    with pytest.raises(ConfigError, match=reason):
        train(texts, tmp_path / "v", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"no usable token in the input; give texts with words"),
        (b"\n \t \n\xe2\x80\x83\n", r"no usable token in the input; give texts"),
        (b"\xff\n\xfe\n", r"no usable token in the input \(lines skipped: 2, .*line 1: not UT"),
        (
            b"x" * 1001 + b" " + b"y" * 1001,
            r"no usable token in the input \(skipped tokens above 1,000 characters: 2\)",
        ),
        (
            b"a b c\na",
            r"none of the words, 3 in all, occurs 3 times \('a' occurs 2 times\).*--min-count 2",
        ),
    ],
)
def test_a_corpus_without_a_usable_token(tmp_path, content, reason):
    (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=reason):
        train(tmp_path / "t.txt", tmp_path / "v", min_count=3)
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]


def test_an_output_that_cannot_be_written_is_found_before_training(texts, tmp_path):
    (tmp_path / "file").write_text("mine")
    records = []
    for output in (tmp_path / "file" / "v", Path("/proc/none/v"), tmp_path / "file"):
        with pytest.raises(ConfigError, match=r"-o .* cannot be written: "):
            train(texts, output, records.append)
    assert records == []
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("output", [".", "", "..", "/"])
def test_an_output_without_a_name_is_refused(texts, tmp_path, monkeypatch, output):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(ConfigError, match=r"-o .* cannot be written: it is no name for a new fol"):
        train(texts, output)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_two_runs_with_one_output(texts, tmp_path):
    """The second is refused while the first works, and the first is not disturbed."""
    refused = []

    def report(record):
        if record["phase"] in ("corpus", "epoch"):
            with pytest.raises(ConfigError, match=r"another run is using .*v\.training; wait") as e:
                train(texts, tmp_path / "v")
            refused.append(str(e.value))

    train(texts, tmp_path / "v", report)
    assert len(refused) == 1 + SMALL["epochs"]
    assert [path.name for path in tmp_path.iterdir()] == ["v"]
    train(texts, tmp_path / "alone")
    assert_same(tmp_path / "v", tmp_path / "alone")


def test_a_description_that_was_not_finished_is_no_hindrance(texts, tmp_path):
    (tmp_path / "v.training").mkdir()
    for name in ("lock", "run.json.new"):  # killed before run.json got its name
        (tmp_path / "v.training" / name).write_text("{")
    train(texts, tmp_path / "v")
    assert [path.name for path in tmp_path.iterdir()] == ["v"]


def test_a_finished_output_is_kept_unless_asked(texts, tmp_path):
    train(texts, tmp_path / "v")
    with pytest.raises(ConfigError, match=r"there are vectors already; .*--overwrite"):
        train(texts, tmp_path / "v", dimensions=4)
    train(texts, tmp_path / "v", dimensions=4, overwrite=True)
    assert load_vectors(tmp_path / "v").width == 4
    assert [path.name for path in tmp_path.iterdir()] == ["v"]


def test_a_full_disk_is_one_sentence_and_resumes(texts, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(word2vec_run.Run, "write_checkpoint", full)
        with pytest.raises(ResourceError, match=r"stopped: No space left on .*make room and give"):
            train(texts, tmp_path / "v")
    train(texts, tmp_path / "v")
    assert load_vectors(tmp_path / "v").width == 8


def test_an_error_in_gensims_thread_is_no_hang(texts, tmp_path, monkeypatch):
    def broken(self):
        yield ["w1", "w2"]
        raise Killed("in the thread")

    monkeypatch.setattr(word2vec._Sentences, "_read", broken)
    with pytest.raises(Killed, match="in the thread"):
        train(texts, tmp_path / "v")


def test_diverged_training_is_refused(texts, tmp_path, monkeypatch):
    original = word2vec._train

    def diverge(run, model, *rest):
        original(run, model, *rest)
        model.wv.vectors[3] = np.nan

    monkeypatch.setattr(word2vec, "_train", diverge)
    with pytest.raises(ResourceError, match=r"training diverged .* --learning-rate below 0\.025"):
        train(texts, tmp_path / "v")
    assert not (tmp_path / "v").exists()


def test_missing_gensim(texts, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim", None)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(ResourceError, match=r"train-word2vec needs gensim.*pip install gensim"):
        train(texts, tmp_path / "v")
