"""Lemmas letter by letter: decoding with a proposal is greedy decoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import spacy
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save

from spacy_attn.components.attention_lemmatizer import BUNDLED
from spacy_attn.encoder import lemmatizer as module
from spacy_attn.encoder.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from spacy_attn.encoder.lemmatizer import (
    END,
    N_SYMBOLS,
    START,
    LetterLemmatizer,
    lemmatizer_of,
    packed,
    padded,
    read_lemmatizer,
    source_symbols,
    target_symbols,
    unpacked,
)
from spacy_attn.errors import ResourceError
from spacy_attn.jobs import Annotator, JobOptions, annotate_files


def untrained(seed, scale=1.0):
    torch.manual_seed(seed)
    network = EncoderDecoder(EncoderDecoderConfig(N_SYMBOLS, 16, 1, 2, 32, 0.0))
    with torch.no_grad():
        network.embedding.weight.mul_(scale)
        network.is_copied.bias.fill_(1.0)  # so that proposals are right now and then
    return LetterLemmatizer(network)


def greedy(network, form, pos, most):
    """One symbol after the other, nothing proposed; None where no end comes."""
    source, written = padded([source_symbols(form, pos)]), []
    memory, present = network.encode(source)
    while len(written) <= most:
        logs, _ = network.decode(torch.tensor([[START, *written]]), source, memory, present)
        best = int(logs[0, -1].argmax())
        if best == END:
            return written
        written.append(best)
    return None


@pytest.mark.parametrize("seed", range(12))
@torch.inference_mode()
def test_proposals_do_not_change_the_lemma(seed):
    lemmatizer = untrained(seed, scale=3.0)
    forms = [("bats", "NOUN"), ("flew", "VERB"), ("a", "X"), ("riverbank", "NOUN"), ("oo", "ADJ")]
    sources = [source_symbols(*form) for form in forms]
    found = lemmatizer._decoded(sources)
    for row, form, source in zip(found, forms, sources, strict=True):
        assert row == greedy(lemmatizer.network, *form, len(source) + module._MOST_MORE)


def test_what_was_learnt(toy_lemmatizer):
    lemmatizer = read_lemmatizer(toy_lemmatizer)
    forms = [("bats", "NOUN"), ("flew", "VERB"), ("hit", "VERB"), ("banks", "NOUN")]
    assert lemmatizer.lemmas(forms) == ["bat", "fly", "hit", "bank"]
    assert lemmatizer.lemmas([forms[1], forms[0], forms[1]]) == ["fly", "bat", "fly"]
    assert lemmatizer.lemmas([]) == []


def test_a_lemma_does_not_depend_on_its_batch(toy_lemmatizer):
    network = read_lemmatizer(toy_lemmatizer).network
    forms = [("bats", "NOUN"), ("flewflewflewflew", "VERB"), ("x", "ADJ"), ("swing", "VERB")]
    alone = [LetterLemmatizer(network).lemmas([form])[0] for form in forms]
    assert LetterLemmatizer(network).lemmas(forms) == alone


def test_a_form_without_letters_is_its_own_lemma():
    assert untrained(0).lemmas([("", "NOUN")]) == [""]


def test_of_a_long_form_the_end_is_read():
    """Read whole, three of these came out garbled."""
    lemmatizer = read_lemmatizer(BUNDLED)
    words = ["internationalizations", "antidisestablishmentarianisms", "counterrevolutionaries"]
    lemmas = ["internationalization", "antidisestablishmentarianism", "counterrevolutionary"]
    assert lemmatizer.lemmas([(word, "NOUN") for word in words]) == lemmas
    assert lemmatizer.lemmas([("pneumonoultramicroscopic", "ADJ")]) == ["pneumonoultramicroscopic"]
    found = lemmatizer.explain(words[0], "NOUN")
    assert (found.lemma, found.read) == (lemmas[0], ("NOUN", *"lizations"))
    assert found.written == (*"lization", "end")
    assert found.weights.shape == (9, 10)
    assert lemmatizer.lemmas([("x" * 100_000 + "ies", "NOUN")])[0].startswith("x" * 99_000)


def test_no_lemma_is_empty():
    lemmatizer = untrained(0)
    lemmatizer._decoded = lambda sources: [[], [module.UNKNOWN]]
    assert lemmatizer.lemmas([("bats", "NOUN"), ("caves", "NOUN")]) == ["bats", "caves"]


def test_a_lemma_without_end_is_the_form():
    lemmatizer = untrained(0)
    with torch.no_grad():
        lemmatizer.network.embedding.weight[END] = 0
        lemmatizer.network.is_copied.bias.fill_(-60.0)
        lemmatizer.network.embedding.weight[15] *= 100  # some letter, for ever
    assert lemmatizer._decoded([source_symbols("bats", "NOUN")]) == [None]
    assert lemmatizer.lemmas([("bats", "NOUN")]) == ["bats"]


def test_letters_that_the_model_does_not_know_keep_their_order():
    symbols = target_symbols("caféñs")[:-1]
    assert module._spelled(symbols, "caféñs") == "caféñs"
    assert module._spelled(symbols[:-1], "caféñs") == "caféñ"
    assert module._spelled([*symbols, *symbols], "caféñs") == "caféñscafs"


@given(st.text(max_size=40), st.sampled_from(["NOUN", "VERB", "X", "PUNCT", ""]))
def test_any_text_has_a_lemma(form, pos):
    assert isinstance(_UNTRAINED.lemmas([(form, pos)])[0], str)


_UNTRAINED = untrained(1)


def test_memory_of_forms_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "_CACHE_SIZE", 4)
    lemmatizer = untrained(0)
    forms = [(letter, "NOUN") for letter in "abcdefgh"]
    first = lemmatizer.lemmas(forms)
    assert [lemmatizer.lemmas([form])[0] for form in forms] == first
    assert len(lemmatizer._known) <= 8


def test_attention_between_letters(toy_lemmatizer):
    found = read_lemmatizer(toy_lemmatizer).explain("bats", "NOUN")
    assert (found.lemma, found.read) == ("bat", ("NOUN", "b", "a", "t", "s"))
    assert found.written == ("b", "a", "t", "end")
    assert found.weights.shape == (4, 5)
    assert found.weights.sum(1) == pytest.approx(1, abs=1e-5)
    assert 0.5 < found.probability <= 1


def test_weights_in_8_bits():
    state = {"matrix": torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]]), "bias": torch.ones(3)}
    tensors = packed(state)
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {
        "matrix": torch.int8,
        "matrix.scale": torch.float16,
        "bias": torch.float16,
    }
    back = unpacked(tensors)
    torch.testing.assert_close(back["matrix"], state["matrix"], atol=2 / 127, rtol=0)
    assert back["bias"].tolist() == [1.0, 1.0, 1.0]
    again = unpacked(packed(back))
    assert all(torch.equal(again[name], tensor) for name, tensor in back.items())


def test_files_that_are_no_lemmatizer(tmp_path, toy_self_attention):
    with pytest.raises(ResourceError, match=r"none.safetensors cannot be read \(No such file"):
        read_lemmatizer(tmp_path / "none.safetensors")
    with pytest.raises(ResourceError, match=r"is no lemmatizer .*; train one with: spacy-attn"):
        read_lemmatizer(toy_self_attention)
    with pytest.raises(ResourceError, match="this file is no lemmatizer"):
        lemmatizer_of(b"x" * 40)


def crafted(path, change=None, **network):
    """The bytes of a lemmatizer after a change of its weights and of what it says it is."""
    with safe_open(path, framework="pt") as file:
        manifest = json.loads(file.metadata()["manifest"])
    tensors = load_file(path)
    if change is not None:
        change(tensors)
    manifest["network"] |= network
    return save(tensors, {"manifest": json.dumps(manifest)})


def of_any_size(tensors):
    """Two rows of numbers whose product would have 40 GB."""
    tensors["embedding.weight"] = torch.ones(100_000, 1, dtype=torch.int8)
    tensors["embedding.weight.scale"] = torch.ones(1, 100_000, dtype=torch.float16)


def deep(data):
    header = b'{"__metadata__": ' + b"[" * 100_000
    return len(header).to_bytes(8, "little") + header + data


def with_metadata(path, **metadata):
    """The weights of a lemmatizer under another description."""
    return save(load_file(path), metadata or None)


def of_symbols(n):
    """Weights of a vocabulary of another size, which fit each other."""

    def change(tensors):
        for name in ("embedding.weight", "embedding.weight.scale"):
            rows = tensors[name]
            tensors[name] = torch.cat([rows, rows])[:n].clone()

    return change


def without_layers(tensors):
    for name in list(tensors):
        if ".layers." in name or name.startswith("decoder."):
            del tensors[name]


def huge(tensors):
    for name in list(tensors):
        tensors[name] = torch.full(tensors[name].shape, 3e38)


def changed(name, change):
    def apply(tensors):
        tensors[name] = change(tensors[name]).contiguous()

    return apply


def infinite(tensor):
    return tensor * float("inf") + 1


DAMAGED = {
    "empty": (lambda path: b"", "Error"),
    "cut": (lambda path: path.read_bytes()[:-100], "Error"),
    "cut within the header": (lambda path: path.read_bytes()[:60], "Error"),
    "other bytes behind it": (lambda path: path.read_bytes() + b"x" * 40, "Error"),
    "no metadata": (with_metadata, "__metadata__"),
    "other metadata": (lambda path: with_metadata(path, format="pt"), "KeyError: 'manifest'"),
    "metadata no JSON": (lambda path: with_metadata(path, manifest="{"), "JSONDecodeError"),
    "metadata a list": (lambda path: with_metadata(path, manifest="[1]"), "TypeError"),
    "metadata deep": (lambda path: with_metadata(path, manifest="[" * 100_000), "RecursionError"),
    "network a list": (lambda path: with_metadata(path, manifest='{"network": [1]}'), "TypeError"),
    "header deep": (lambda path: deep(path.read_bytes()), "Error"),
    "not finite": (
        lambda path: crafted(path, changed("is_copied.bias", lambda t: t * float("nan"))),
        "is_copied.bias are not finite",
    ),
    "scale infinite": (
        lambda path: crafted(path, changed("embedding.weight.scale", infinite)),
        "embedding.weight are not finite",
    ),
    "huge": (lambda path: crafted(path, huge), "no probability|not finite"),
    "scale of any size": (
        lambda path: crafted(path, of_any_size),
        r"embedding.weight.scale has shape \(1, 100000\)",
    ),
    "another shape": (
        lambda path: crafted(path, changed("is_copied.weight", lambda t: t[:, :8])),
        "RuntimeError",
    ),
    "one weight less": (
        lambda path: crafted(path, lambda tensors: tensors.pop("is_copied.bias")),
        "RuntimeError",
    ),
    "layers": (lambda path: crafted(path, layers=10**9), "layers = 1000000000; allowed: 0 to"),
    "no layers": (lambda path: crafted(path, without_layers, layers=0), "Error"),
    "heads": (lambda path: crafted(path, heads=5), "heads = 5; allowed are divisors"),
    "no heads": (lambda path: crafted(path, heads=0), "heads = 0; allowed are divisors"),
    "heads a word": (lambda path: crafted(path, heads="many"), "TypeError"),
    "another setting": (lambda path: crafted(path, rooms=3), "TypeError"),
    "vocabulary without weights": (lambda path: crafted(path, n_symbols=10**12), "Error"),
    "vocabulary too small": (
        lambda path: crafted(path, of_symbols(20), n_symbols=20),
        f"n_symbols = 20; allowed: {N_SYMBOLS}",
    ),
    "vocabulary too large": (
        lambda path: crafted(path, of_symbols(40), n_symbols=40),
        f"n_symbols = 40; allowed: {N_SYMBOLS}",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_lemmatizers_are_refused(toy_lemmatizer, tmp_path, kind):
    """One sentence, from the bytes, from the file, and from the component in a pipeline."""
    damage, reason = DAMAGED[kind]
    path = tmp_path / "lemmatizer.safetensors"
    path.write_bytes(damage(toy_lemmatizer))
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_lemmatizer", config={"model": str(path)})
    for read in (lambda: lemmatizer_of(path.read_bytes()), lambda: nlp("bats")):
        with pytest.raises(
            ResourceError, match=rf"no lemmatizer .*({reason}).*; train one with"
        ) as e:
            read()
        assert "\n" not in str(e.value)


def test_a_job_with_a_damaged_lemmatizer_stops_at_its_start(toy_lemmatizer, tmp_path):
    path = tmp_path / "lemmatizer.safetensors"
    path.write_bytes(toy_lemmatizer.read_bytes())
    nlp = spacy.blank("en")
    nlp.add_pipe("attention_lemmatizer", config={"model": str(path)})
    nlp.to_disk(tmp_path / "pipeline")
    (stored,) = [
        each
        for each in (tmp_path / "pipeline").rglob("*")
        if each.stat().st_size == len(path.read_bytes())
    ]
    stored.write_bytes(path.read_bytes()[:-100])
    (tmp_path / "in.txt").write_text("bats\n" * 100)
    annotator = Annotator(pipeline=str(tmp_path / "pipeline"), fields=("tokens",))
    with pytest.raises(ResourceError, match=r"no lemmatizer .*; train one with: spacy-attn"):
        annotate_files([tmp_path / "in.txt"], tmp_path / "out.jsonl", annotator, JobOptions())
    assert not list(tmp_path.glob("out*"))


def test_a_lemmatizer_that_was_trained_again_is_read_again(toy_lemmatizer, tmp_path):
    path = tmp_path / "lemmatizer.safetensors"
    path.write_bytes(toy_lemmatizer.read_bytes())
    first = read_lemmatizer(path)
    assert read_lemmatizer(path) is first
    path.write_bytes(crafted(path, lambda tensors: tensors["is_copied.bias"].add_(1.0)))
    assert read_lemmatizer(path).identity != first.identity


FORKED = """
import os, sys
from pathlib import Path
from spacy_attn.encoder.lemmatizer import read_lemmatizer

lemmatizer = read_lemmatizer(Path(sys.argv[1]))
forms = [(f"{a}{b}bats", "NOUN") for a in "abcdefghij" for b in "abcdefghijklmnopqrst"]
lemmatizer.lemmas(forms)
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
lemmatizer.lemmas([(f"x{form}", pos) for form, pos in forms])
os._exit(7)
"""


@pytest.mark.slow
def test_a_fork_by_the_system_does_not_hang(toy_lemmatizer):
    """Servers fork by ``os.fork``, of which multiprocessing knows nothing."""
    made = subprocess.run(
        [sys.executable, "-c", FORKED, str(toy_lemmatizer)],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        timeout=120,
        check=False,
    )
    assert made.returncode == 7
