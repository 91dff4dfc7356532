"""One contract for every factory and every sense method that this distribution registers.

The names come from the metadata of the installed package. A new factory is covered as soon as
it has an entry in ``TOYS`` (without it the contract fails and says so), a new method at once;
``METHOD_ARGUMENTS`` holds what methods need that read models.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.tokens.underscore import Underscore

from spacy_attn.classic.parse import EXAMPLE_GRAMMAR
from spacy_attn.classic.sequence import train_sequence_tagger
from spacy_attn.wsd.vectors import Texts

ROOT = Path(__file__).parents[1]
ENTRY_POINTS = distribution("spacy-attn").entry_points
FACTORIES = sorted(ENTRY_POINTS.select(group="spacy_factories").names)
SENSE_METHODS = sorted(ENTRY_POINTS.select(group="spacy_attn_sense_methods").names)

#: Alone and in a batch, in this process and in another: padding and threads change the last bits.
TOLERANCE = 1e-4
#: Seconds. A forked child whose first forward pass waits for threads that it has not would
#: wait for ever; two spawned children import spaCy and transformers, far below this.
TIME_LIMIT = 240

TEXTS = [
    "Swing the bat!",
    "The bat flew at night.",
    "",
    " \n\t ",
    "the bank of the river\n\nmoney in the bank",
    "a bat, cafe\u0301 \U0001f987 and\u200b \u05d1\u05e0\u05e7 bank",
    "no word of it here",
    "he hit the ball with the bat and the bat flew at night " * 6,  # more than one window
]
BAT = TEXTS[0]

_WINDOWS = {"model": "$model", "window": 64, "overlap": 16}  # the toy encoder has 64 positions
_ATTENTION = {"@sense_methods": "spacy_attn.attention.v1", "sense_model": "$sense_model"}


@dataclasses.dataclass(frozen=True)
class Toy:
    """How a factory is used on the toy world; ``$model`` and its like become paths."""

    config: dict[str, Any]
    #: What a second instance in the same pipeline has to name anew.
    other: dict[str, str]
    #: A component that goes before it and gives what it requires.
    before: str | None = None
    #: What a process has to run that reads a DocBin and has no pipeline.
    reader: str = "import spacy_attn; spacy_attn.install_extensions()"


TOYS = {
    "attention_encoder": Toy(
        config=_WINDOWS,
        other={"attr": "vectors_2", "token_attr": "vector_2", "model_attr": "model_2"},
    ),
    "sense_disambiguator": Toy(
        config={"inventory": "$inventory", "method": {**_ATTENTION, **_WINDOWS}},
        other={"attr": "sense_2", "spans_key": "senses_2"},
    ),
    "nltk_stemmer": Toy(config={}, other={"attr": "stem_2"}),
    "attention_lemmatizer": Toy(
        config={"model": "$lemmatizer"}, other={"attr": "attn_lemma_2"}, before="toy_annotation"
    ),
    "nltk_parser": Toy(
        config={"grammar": EXAMPLE_GRAMMAR},
        other={"attr": "tree_2", "status_attr": "status_2", "details_attr": "details_2"},
        before="sentencizer",
    ),
    "nltk_chunker": Toy(config={}, other={"spans_key": "chunks_2"}, before="toy_annotation"),
    "nltk_ner": Toy(
        config={"model": "$tagger"}, other={"spans_key": "ents_2"}, before="toy_annotation"
    ),
    "relation_extractor": Toy(config={}, other={"attr": "relations_2"}, before="toy_annotation"),
    "word2vec": Toy(
        config={"vectors": "$vectors"},
        other={"attr": "word2vec_2"},
        reader=(
            "from spacy_attn.components.word2vec import install_word2vec_extension;"
            "install_word2vec_extension(vectors='$vectors')"
        ),
    ),
}

ANIMALS = [
    [("the", "DT", "O"), ("bat", "NN", "B-ANIMAL"), ("flew", "VBD", "O")],
    [("a", "DT", "O"), ("bat", "NN", "B-ANIMAL")],
    [("the", "DT", "O"), ("bank", "NN", "O"), ("flew", "VBD", "O")],
    [("the", "DT", "O"), ("river", "NN", "O"), ("bank", "NN", "O")],
]

METHOD_ARGUMENTS: dict[str, dict[str, Any]] = {
    "spacy_attn.random.v1": {"seed": 1},
    "spacy_attn.first_sense.v1": {},
    "spacy_attn.lesk.v1": {},
    "spacy_attn.lesk_extended.v1": {},
    "spacy_attn.tfidf.v1": {},
    "spacy_attn.word2vec.v1": {"vectors": "$vectors"},
    "spacy_attn.self_attention.v1": {"model": "$self_attention", "vectors": "$vectors"},
    "spacy_attn.cascade.v1": {
        "cheap": {"@sense_methods": "spacy_attn.word2vec.v1", "vectors": "$vectors"},
        "second": {**_ATTENTION, **_WINDOWS},
        "margin": 0.3,
    },
    "spacy_attn.attention.v1": {"sense_model": "$sense_model", **_WINDOWS},
    "spacy_attn.ensemble.v1": {
        "methods": [
            {**_ATTENTION, **_WINDOWS},
            {"@sense_methods": "spacy_attn.word2vec.v1", "vectors": "$vectors"},
            "lesk_extended",
        ],
    },
}


# -- the toy world ---------------------------------------------------------------------


def on_world(value: Any, world: dict[str, str]) -> Any:
    """The value with the paths of the toy world in place of their names."""
    if isinstance(value, dict):
        return {key: on_world(each, world) for key, each in value.items()}
    if isinstance(value, list):
        return [on_world(each, world) for each in value]
    return world.get(value, value) if isinstance(value, str) else value


def make_pipeline(factory: str, world: dict[str, str]) -> Language:
    if factory not in TOYS:
        pytest.fail(f"add a toy config for {factory} to TOYS in tests/test_contract.py")
    nlp = spacy.blank("en")
    add_toy(nlp, factory, world)
    return nlp


def add_toy(nlp: Language, factory: str, world: dict[str, str]) -> None:
    toy = TOYS[factory]
    if toy.before is not None and toy.before not in nlp.pipe_names:
        nlp.add_pipe(toy.before)
    nlp.add_pipe(factory, config=on_world(toy.config, world))


_TAGS = {
    "flew": "VBD",
    "hit": "VBD",
    "swing": "VB",
    "the": "DT",
    "a": "DT",
    "at": "IN",
    "in": "IN",
    "of": "IN",
    "with": "IN",
    "and": "CC",
    "he": "PRP",
    "!": ".",
}
_UPOS = {
    "VBD": "VERB",
    "VB": "VERB",
    "DT": "DET",
    "IN": "ADP",
    "CC": "CCONJ",
    "PRP": "PRON",
    ".": "PUNCT",
    "_SP": "SPACE",
    "NN": "NOUN",
}
_TOY_ASSIGNS = ["token.pos", "token.tag", "token.lemma", "token.dep", "token.head", "doc.sents"]


@Language.component("toy_annotation", assigns=_TOY_ASSIGNS)
def toy_annotation(doc: Doc) -> Doc:
    """Tags by a word list; the first verb is the root, arguments stand on its two sides."""
    tags = [_TAGS.get(token.lower_, "_SP" if token.is_space else "NN") for token in doc]
    root = next((i for i, tag in enumerate(tags) if tag.startswith("VB")), 0)
    rows = []
    for i, (token, tag) in enumerate(zip(doc, tags, strict=True)):
        head, dep = root, "dep"
        if i == root:
            dep = "ROOT"
        elif tag == "DT" and i + 1 < len(doc):
            head, dep = i + 1, "det"
        elif tag == "IN":
            dep = "prep"
        elif tag in ("NN", "PRP"):
            before = [tags[j] for j in range(i) if tags[j] != "DT"]
            after_preposition = bool(before) and before[-1] == "IN" and i > root
            dep = "pobj" if after_preposition else "nsubj" if i < root else "dobj"
            if after_preposition:
                head = max(j for j in range(i) if tags[j] == "IN")
        names = (doc.vocab.strings.add(name) for name in (tag, token.lower_, dep, _UPOS[tag]))
        rows.append([*names, (head - i) % 2**64])
    if rows:
        doc.from_array(["TAG", "LEMMA", "DEP", "POS", "HEAD"], np.array(rows, dtype="uint64"))
    return doc


@contextmanager
def own_extensions() -> Iterator[None]:
    """Extension attributes are global; what is installed here stays here."""
    with pytest.MonkeyPatch.context() as patch:
        for owner in ("doc", "span", "token"):
            patch.setattr(Underscore, f"{owner}_extensions", {})
        yield


@pytest.fixture(autouse=True)
def _own_extensions() -> Iterator[None]:
    with own_extensions():
        yield


@pytest.fixture(scope="module", autouse=True)
def _own_module_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """As ``_own_cache`` of conftest, for the fixtures of this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="module")
def world(
    toy_model: Path,
    toy_vectors: Path,
    toy_inventory: Path,
    toy_sense_model: Path,
    toy_self_attention: Path,
    toy_lemmatizer: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    tagger = tmp_path_factory.mktemp("tagger") / "tagger"
    train_sequence_tagger(ANIMALS, task="entities").save(tagger)
    return {
        "$tagger": str(tagger),
        "$model": str(toy_model),
        "$vectors": str(toy_vectors),
        "$inventory": str(toy_inventory),
        "$sense_model": str(toy_sense_model),
        "$self_attention": str(toy_self_attention),
        "$lemmatizer": str(toy_lemmatizer),
    }


@pytest.fixture(params=FACTORIES)
def factory(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def nlp(factory: str, world: dict[str, str]) -> Language:
    return make_pipeline(factory, world)


# -- what a component wrote, as plain data -----------------------------------------------


def observe(doc: Doc, factory: str, names: dict[str, str] | None = None) -> dict[str, Any]:
    """The values of everything that the factory says it assigns.

    Args:
        doc: what the pipeline gave.
        factory: its declared ``assigns`` are read.
        names: settings of the instance that differ from the default names.
    """
    meta = Language.get_factory_meta(factory)
    default = meta.default_config
    group = {**default, **(names or {})}.get("spans_key")
    named = {default[key]: name for key, name in (names or {}).items()}
    return {target: _observed(doc, target, group, named) for target in meta.assigns}


def _observed(doc: Doc, target: str, group: str | None, named: dict[str, str]) -> Any:
    owner, is_custom, attribute = target.partition("._.")
    attribute = named.get(attribute, attribute)
    if target == "doc.spans":
        return _plain_group(doc, group)
    if target == "doc.ents":
        return [[ent.start_char, ent.end_char, ent.label_] for ent in doc.ents]
    if is_custom and owner == "doc":
        return plain(doc._.get(attribute))
    if is_custom and owner == "token":
        return [plain(token._.get(attribute)) for token in doc]
    if is_custom and owner == "span":
        spans = doc.spans[group] if group is not None else doc.sents
        return [plain(span._.get(attribute)) for span in spans]
    if owner.startswith("token."):
        return [getattr(token, f"{owner.removeprefix('token.')}_") for token in doc]
    raise NotImplementedError(f"teach observe() in tests/test_contract.py to read {target}")


def _plain_group(doc: Doc, group: str | None) -> Any:
    spans = [[s.start_char, s.end_char, s.label_, s.kb_id_] for s in doc.spans[group]]
    return {"spans": spans, "attrs": plain(dict(doc.spans[group].attrs))}


def plain(value: Any) -> Any:
    """The value as JSON holds it."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def assert_same(one: Any, two: Any, tolerance: float = 0.0, where: str = "") -> None:
    """Equal plain data, numbers up to a tolerance."""
    assert type(one) is type(two), f"{where}: {one!r} and {two!r}"
    if isinstance(one, dict):
        assert one.keys() == two.keys(), where
        for key in one:
            assert_same(one[key], two[key], tolerance, f"{where}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(two), f"{where}: {len(one)} and {len(two)} values"
        for i, (a, b) in enumerate(zip(one, two, strict=True)):
            assert_same(a, b, tolerance, f"{where}[{i}]")
    elif isinstance(one, float):
        assert abs(one - two) <= tolerance, f"{where}: {one} and {two}"
    else:
        assert one == two, where


def by_characters(doc: Doc, factory: str) -> dict[tuple[int, int], dict[str, Any]]:
    """What each token has, by the characters that the token covers."""
    names = [
        target.removeprefix("token._.")
        for target in Language.get_factory_meta(factory).assigns
        if target.startswith("token._.")
    ]
    return {
        (token.idx, token.idx + len(token)): {name: plain(token._.get(name)) for name in names}
        for token in doc
    }


def assert_no_stale_values(
    doc: Doc, factory: str, before: dict[tuple[int, int], dict[str, Any]], offset: int = 0
) -> None:
    """After a change of tokens a value is the right one or absent, never that of another token."""
    for target in Language.get_factory_meta(factory).assigns:
        owner, is_custom, attribute = target.partition("._.")
        if owner == "doc" and is_custom:
            value = doc._.get(attribute)
            assert not isinstance(value, np.ndarray) or len(value) == len(doc), target
    for (start, end), values in by_characters(doc, factory).items():
        same_token = before.get((start + offset, end + offset), {})
        for name, expected in same_token.items():
            if name == "sense" and values[name] is not None and not values[name]["method"]:
                # Read from the span: what spaCy has dropped with the group is not known.
                assert expected is not None
                assert values[name]["id"] == expected["id"]
            elif values[name] is not None:
                where = f"token._.{name} of {doc.text[start:end]!r}"
                assert_same(values[name], expected, TOLERANCE, where)


# -- every factory ---------------------------------------------------------------------


def test_the_distribution_registers_factories_and_methods() -> None:
    assert {"attention_encoder", "sense_disambiguator", "word2vec"} <= set(FACTORIES)
    assert len(SENSE_METHODS) >= 6


def test_a_factory_without_toy_config_fails_the_contract() -> None:
    with pytest.raises(pytest.fail.Exception, match="add a toy config for brand_new"):
        make_pipeline("brand_new", {})


def test_what_it_assigns_is_there(nlp: Language, factory: str) -> None:
    observed = observe(nlp(BAT), factory)
    assert observed, f"{factory} declares no assigns"
    for target, value in observed.items():
        values = value if isinstance(value, list) else [value]
        assert any(each is not None for each in values), target
    if "doc.spans" in observed:
        assert observed["doc.spans"]["spans"]


@pytest.mark.parametrize("text", ["", " ", " \n\t ", "\u200b", "!"])
def test_text_without_words(nlp: Language, factory: str, text: str) -> None:
    for doc in [nlp(text), *nlp.pipe([text])]:
        assert doc.text == text
        observed = observe(doc, factory)
        for target, value in observed.items():
            if isinstance(value, list) and target.startswith("token."):
                assert len(value) == len(doc), target
            elif target == "doc.spans":
                assert value["spans"] == []


def test_empty_stream(nlp: Language) -> None:
    assert list(nlp.pipe([])) == []


def test_batch_equals_single(nlp: Language, factory: str) -> None:
    single = [observe(nlp(text), factory) for text in TEXTS]
    for batch_size in (1, 3, 100):
        docs = list(nlp.pipe(TEXTS, batch_size=batch_size))
        assert [doc.text for doc in docs] == TEXTS
        batch = [observe(doc, factory) for doc in docs]
        assert_same(batch, single, TOLERANCE)


def test_doc_bytes(nlp: Language, factory: str) -> None:
    for doc in nlp.pipe(TEXTS):
        back = Doc(nlp.vocab).from_bytes(doc.to_bytes())
        assert_same(observe(back, factory), observe(doc, factory))


def test_pipeline_on_disk_and_as_bytes(nlp: Language, factory: str, tmp_path: Path) -> None:
    expected = [observe(doc, factory) for doc in nlp.pipe(TEXTS)]
    nlp.to_disk(tmp_path / "pipeline")
    from_bytes = type(nlp).from_config(nlp.config).from_bytes(nlp.to_bytes())
    for loaded in (spacy.load(tmp_path / "pipeline"), from_bytes):
        assert loaded.pipe_names == nlp.pipe_names
        assert_same([observe(doc, factory) for doc in loaded.pipe(TEXTS)], expected, TOLERANCE)


def test_a_pipeline_in_use_can_be_pickled(nlp: Language, factory: str) -> None:
    expected = observe(nlp(BAT), factory)
    copy = pickle.loads(pickle.dumps(nlp))  # noqa: S301  our own bytes
    assert_same(observe(copy(BAT), factory), expected, TOLERANCE)


def test_merged_tokens(factory: str, world: dict[str, str]) -> None:
    plain_nlp, nlp = make_pipeline(factory, world), make_pipeline(factory, world)
    ruler = nlp.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": "X", "pattern": "the bat"}, {"label": "X", "pattern": "money"}])
    nlp.add_pipe("merge_entities")
    n_merged = 0
    for doc, before in zip(nlp.pipe(TEXTS), plain_nlp.pipe(TEXTS), strict=True):
        n_merged += len(before) - len(doc)
        assert_no_stale_values(doc, factory, by_characters(before, factory))
    assert n_merged > 0


def test_senses_are_found_in_merged_tokens(world: dict[str, str]) -> None:
    """They are stored by characters; spaCy leaves the indices of span groups as they were."""
    nlp = make_pipeline("sense_disambiguator", world)
    ruler = nlp.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": "X", "pattern": "money in the bank"}])
    before = {token.text: token._.sense for token in nlp("the river and money in the bank")}
    nlp.add_pipe("merge_entities")
    doc = nlp("the river and money in the bank")
    assert [token.text for token in doc] == ["the", "river", "and", "money in the bank"]
    assert before["bank"] is not None
    assert [token._.sense for token in doc] == [None, None, None, before["bank"]]


def test_as_doc(nlp: Language, factory: str) -> None:
    for doc in nlp.pipe(TEXTS):
        before = by_characters(doc, factory)
        for start in (0, 1):
            for end in {len(doc), len(doc) - 1}:
                if start >= end:
                    continue
                span = doc[start:end]
                for copy_user_data in (False, True):
                    part = span.as_doc(copy_user_data=copy_user_data)
                    assert_no_stale_values(part, factory, before, span.start_char)


@pytest.mark.parametrize("order", [1, -1])
def test_from_docs(nlp: Language, factory: str, order: int) -> None:
    docs = list(nlp.pipe([text for text in TEXTS if text.strip()][::order]))
    with warnings.catch_warnings():
        # spaCy says that it drops what belongs to a whole Doc.
        warnings.filterwarnings("ignore", message=r"\[W10[12]\]")
        joined = Doc.from_docs(docs)
    n_tokens = 0
    for doc in docs:
        start = joined[n_tokens].idx
        before = by_characters(doc, factory)
        moved = {(first + start, end + start): v for (first, end), v in before.items()}
        assert_no_stale_values(joined, factory, moved)
        n_tokens += len(doc)
    assert n_tokens == len(joined)


def test_analyze_pipes(nlp: Language) -> None:
    analysis = nlp.analyze_pipes()
    assert analysis["problems"] == {name: [] for name in nlp.pipe_names}
    assert all(analysis["summary"][name]["assigns"] for name in nlp.pipe_names)


def test_memory_zone(nlp: Language, factory: str, world: dict[str, str]) -> None:
    expected = [observe(doc, factory) for doc in make_pipeline(factory, world).pipe(TEXTS)]
    for _ in range(2):  # what the first zone built must not be lost with it
        with nlp.memory_zone():
            assert_same([observe(doc, factory) for doc in nlp.pipe(TEXTS)], expected, TOLERANCE)
    assert_same([observe(doc, factory) for doc in nlp.pipe(TEXTS)], expected, TOLERANCE)


def test_tensor_is_untouched(nlp: Language) -> None:
    """Listeners of spaCy's own components read ``doc.tensor`` at prediction."""
    component = nlp.pipeline[-1][1]
    with nlp.select_pipes(disable=nlp.pipe_names[-1]):
        doc, piped = nlp(BAT), nlp(BAT)
    tensor: Any = np.arange(3.0 * len(doc), dtype=np.float32).reshape(len(doc), 3)
    doc.tensor, piped.tensor = tensor.copy(), tensor.copy()
    pipe = getattr(component, "pipe", partial(map, component))
    for each in (component(doc), *pipe([piped])):
        np.testing.assert_array_equal(each.tensor, tensor)


def test_two_instances(nlp: Language, factory: str, world: dict[str, str]) -> None:
    other = TOYS[factory].other
    config = {**on_world(TOYS[factory].config, world), **other}
    nlp.add_pipe(factory, name="second", config=config)
    for doc in nlp.pipe(TEXTS):
        assert_same(observe(doc, factory, other), observe(doc, factory), TOLERANCE)


# -- other processes -------------------------------------------------------------------


def read_docbins(folder: Path) -> None:
    """In a child: what a process sees that only reads."""
    vocab = spacy.blank("en").vocab
    for path in sorted(folder.glob("*.spacy")):
        docs = DocBin().from_disk(path).get_docs(vocab)
        seen = [observe(doc, path.stem) for doc in docs]
        path.with_suffix(".seen.json").write_text(json.dumps(seen), encoding="utf-8")


@pytest.fixture(scope="module")
def read_elsewhere(
    world: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Any, Any]]:
    """Gives what was written here and what a second process read of it."""
    folder = tmp_path_factory.mktemp("docbins")
    written = {}
    covered = [factory for factory in FACTORIES if factory in TOYS]
    for factory in covered:
        with own_extensions():
            docs = list(make_pipeline(factory, world).pipe(TEXTS))
            written[factory] = [observe(doc, factory) for doc in docs]
            DocBin(docs=docs, store_user_data=True).to_disk(folder / f"{factory}.spacy")
    script = [TOYS[factory].reader for factory in covered]
    for name, path in world.items():
        script = [line.replace(name, path) for line in script]
    script += [
        "from pathlib import Path",
        "from tests.test_contract import read_docbins",
        f"read_docbins(Path({str(folder)!r}))",
    ]
    subprocess.run(
        [sys.executable, "-c", "\n".join(script)], cwd=ROOT, timeout=TIME_LIMIT, check=True
    )

    def both(factory: str) -> tuple[Any, Any]:
        if factory not in TOYS:
            pytest.fail(f"add a toy config for {factory} to TOYS in tests/test_contract.py")
        seen = (folder / f"{factory}.seen.json").read_text(encoding="utf-8")
        return written[factory], json.loads(seen)

    return both


@pytest.mark.slow
def test_docbin_in_a_second_process(
    factory: str, read_elsewhere: Callable[[str], tuple[Any, Any]]
) -> None:
    written, seen = read_elsewhere(factory)
    assert_same(seen, written)


#: More than the 32,768 numbers from which torch splits an operation among threads.
LONG = "the bat flew at night and he hit the ball with the bat in the cave " * 200


def run_workers(world: dict[str, str], out: Path) -> None:
    """In a child: ``n_process=2`` after a forward pass with several threads in the parent."""
    import torch

    torch.set_num_threads(2)
    for start_method, groups in (
        ("fork", [[factory] for factory in FACTORIES if factory in TOYS]),
        # A spawned child imports everything anew, which takes seconds: one pipeline for all.
        ("spawn", [[factory for factory in FACTORIES if factory in TOYS]]),
    ):
        multiprocessing.set_start_method(start_method, force=True)
        for factories in groups:
            nlp = spacy.blank("en")
            for factory in factories:
                add_toy(nlp, factory, world)
            _run_group(nlp, factories, start_method, out)


def _run_group(nlp: Language, factories: Sequence[str], start_method: str, out: Path) -> None:
    texts = [*TEXTS, LONG]
    single = [{f: observe(doc, f) for f in factories} for doc in nlp.pipe(texts)]
    docs = nlp.pipe(texts, n_process=2, batch_size=3)
    several = [{f: observe(doc, f) for f in factories} for doc in docs]
    for factory in factories:
        pair = [[seen[factory] for seen in run] for run in (single, several)]
        (out / f"{start_method}-{factory}.json").write_text(json.dumps(pair), encoding="utf-8")


@pytest.fixture(scope="module")
def workers(world: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder of results, and what the process said."""
    folder = tmp_path_factory.mktemp("workers")
    script = [
        "from pathlib import Path",
        "from tests.test_contract import run_workers",
        f"run_workers({world!r}, Path({str(folder)!r}))",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", "\n".join(script)],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = process.communicate(timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own group: the hanging workers too
        said = f"hung for {TIME_LIMIT} s\n{process.communicate()[0]}"
    return folder, said


@pytest.mark.slow
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_several_processes(factory: str, start_method: str, workers: tuple[Path, str]) -> None:
    folder, said = workers
    if factory not in TOYS:
        pytest.fail(f"add a toy config for {factory} to TOYS in tests/test_contract.py")
    result = folder / f"{start_method}-{factory}.json"
    assert result.is_file(), f"no result with {start_method}:\n{said[-3000:]}"
    single, several = json.loads(result.read_text(encoding="utf-8"))
    assert_same(several, single, TOLERANCE)


# -- every sense method ------------------------------------------------------------------


@pytest.fixture(params=SENSE_METHODS)
def method_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def make_fitted(method_name: str, world: dict[str, str]) -> Callable[..., Any]:
    """Prepares the method anew on the toy inventory."""
    from spacy_attn.components.adapter import resources_of
    from spacy_attn.wsd.inventory.jsonl import load_inventory

    def make(*, pickled: bool = False) -> Any:
        arguments = on_world(METHOD_ARGUMENTS.get(method_name, {}), world)
        method = spacy.registry.sense_methods.get(method_name)(**arguments)
        if pickled:
            method = pickle.loads(pickle.dumps(method))  # noqa: S301  our own bytes
        inventory = load_inventory(world["$inventory"], "en")
        return method.prepare(inventory, resources_of(spacy.blank("en")))

    return make


def toy_targets(world: dict[str, str]) -> tuple[list[Any], list[Any]]:
    """The texts that hold a word of the inventory, and those words."""
    from spacy_attn.components.adapter import context_of
    from spacy_attn.wsd.inventory.find import find_targets
    from spacy_attn.wsd.inventory.jsonl import load_inventory

    inventory = load_inventory(world["$inventory"], "en")
    contexts, targets = [], []
    for doc in spacy.blank("en").tokenizer.pipe([*TEXTS, "bat"]):
        context = context_of(doc)
        found = find_targets(context, inventory, index=len(contexts))
        if found:
            contexts.append(context)
            targets += found
    return contexts, targets


def test_scores(make_fitted: Callable[..., Any], world: dict[str, str]) -> None:
    fitted = make_fitted()
    contexts, targets = toy_targets(world)
    assert len(targets) >= 10
    scores = fitted.score(Texts(contexts), targets)
    for target, array in zip(targets, scores, strict=True):
        assert array.shape == (len(target.candidates),)
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
    assert fitted.temperature > 0


def test_scores_of_a_batch_equal_single_ones(
    make_fitted: Callable[..., Any], world: dict[str, str]
) -> None:
    fitted = make_fitted()
    contexts, targets = toy_targets(world)
    batch = fitted.score(Texts(contexts), targets)
    for target, array in zip(targets, batch, strict=True):
        alone = Texts([contexts[target.context]])
        single = fitted.score(alone, [dataclasses.replace(target, context=0)])
        np.testing.assert_allclose(single[0], array, atol=TOLERANCE)


def test_scores_repeat(make_fitted: Callable[..., Any], world: dict[str, str]) -> None:
    """Also after pickling, because a spawned child prepares the method itself."""
    contexts, targets = toy_targets(world)
    first, second = (
        fitted.score(Texts(contexts), targets)
        for fitted in (make_fitted(), make_fitted(pickled=True))
    )
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


def test_empty_batch_has_no_scores(make_fitted: Callable[..., Any]) -> None:
    assert list(make_fitted().score(Texts([]), [])) == []


def test_result_has_the_short_name(make_fitted: Callable[..., Any], method_name: str) -> None:
    assert make_fitted().name == method_name.split(".")[1]
