"""The core of all jobs, with a toy pipeline: "bat" is an animal where "flew" follows."""

from __future__ import annotations

import json
import pickle
import sys

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup

from spacy_attn.errors import ConfigError, InventoryError, ResourceError
from spacy_attn.jobs import JobOptions, annotate_files
from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.fields import TextError
from spacy_attn.jobs.fingerprint import describe_job

MADE: list[tuple[str | None, str, str]] = []  # the pipelines made in this process


def find_bats(doc):
    sense = "bat.animal" if "flew" in doc.text else "bat.club"
    records = [
        {
            "start": token.idx,
            "end": token.idx + 3,
            "sense": sense,
            "lemma": "bat",
            "definition": "",
            "score": 2 / 3,
            "margin": 1 / 3,
            "ranked": [],
            "probabilities": [],
            "method": "toy",
        }
        for token in doc
        if token.text == "bat"
    ]
    spans = [Span(doc, token.i, token.i + 1, kb_id=sense) for token in doc if token.text == "bat"]
    doc.spans["senses"] = SpanGroup(doc, name="senses", spans=spans, attrs={"records": records})
    return doc


@Language.component("annotator_toy")
def toy(doc):
    if "explode" in doc.text:
        raise ValueError("boom\nsecond line")
    if "missing" in doc.text:
        raise ResourceError("the model is missing")
    if "nan" in doc.text:
        doc = find_bats(doc)
        doc.spans["senses"].attrs["records"][0]["score"] = float("nan")
        return doc
    if "rewrite" in doc.text:
        return Doc(doc.vocab, words=["other"])
    return find_bats(doc)


def make_toy(pipeline, *, inventory, method):
    MADE.append((pipeline, inventory, method))
    nlp = spacy.blank("en")
    nlp.add_pipe("annotator_toy")
    return nlp


def make_hungry(pipeline, *, inventory, method):
    nlp = make_toy(pipeline, inventory=inventory, method=method)
    nlp.add_pipe("ner").add_label("X")
    nlp.initialize()
    nlp.max_length = 20
    return nlp


def make_dropping(pipeline, *, inventory, method):
    nlp = make_toy(pipeline, inventory=inventory, method=method)
    nlp.set_error_handler(ignore_error)
    return nlp


def ignore_error(proc_name, proc, docs, error):
    """What some pipelines do with errors: nothing."""


def make_broken(pipeline, *, inventory, method):
    raise ConfigError(f"pipeline = {pipeline}: allowed are others")


def sense(start, sense_id):
    return {
        "start": start,
        "end": start + 3,
        "text": "bat",
        "lemma": "bat",
        "sense": sense_id,
        "score": 0.666667,
    }


@pytest.fixture
def annotator():
    return Annotator(factory=make_toy)


def test_senses_in_order_and_by_characters(annotator):
    texts = ["Swing the bat!", "", "no", "\U0001f987 bat, bat flew"]
    assert annotator.annotate(texts) == [
        [sense(10, "bat.club")],
        [],
        [],
        [sense(2, "bat.animal"), sense(7, "bat.animal")],
    ]


def test_no_texts(annotator):
    assert annotator.annotate([]) == []


def test_values_are_plain_and_outlive_the_memory_zone(annotator):
    nlp = annotator.load()
    (first,) = annotator.annotate(["a bat"])
    before = len(nlp.vocab.strings)
    annotator.annotate([f"word{i} bat" for i in range(200)])
    assert len(nlp.vocab.strings) == before
    assert not nlp.vocab.in_memory_zone
    assert first == [sense(2, "bat.club")]
    assert {type(value) for value in first[0].values()} == {int, str, float}


def test_a_zone_that_is_open_already_is_used(annotator):
    with annotator.load().memory_zone():
        assert annotator.annotate(["a bat"]) == [[sense(2, "bat.club")]]


def test_pipeline_is_made_once_with_the_settings():
    MADE.clear()
    annotator = Annotator("p", "i.jsonl", "lesk", factory=make_toy)
    assert MADE == []
    annotator.annotate(["a"])
    annotator.annotate(["b"])
    assert MADE == [("p", "i.jsonl", "lesk")]


def test_pickle_takes_the_settings_and_not_the_pipeline(annotator):
    unloaded = len(pickle.dumps(annotator))
    annotator.load()
    data = pickle.dumps(annotator)
    assert len(data) == unloaded
    copy = pickle.loads(data)  # noqa: S301  # made here
    assert copy == annotator
    MADE.clear()
    assert copy.annotate(["a bat"]) == annotator.annotate(["a bat"])
    assert len(MADE) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a\ud800b", "lone surrogate U+D800 at character 1: it is no character"),
        ("\udcff", "lone surrogate U+DCFF at character 0: it is no character"),
        (None, "the text is not a string but of type NoneType"),
        ("explode", "the pipeline failed: ValueError: boom"),
        (
            "nan bat",
            "the pipeline failed: ValueError: the score at characters 4 to 7 is nan",
        ),
        (
            "rewrite",
            "the pipeline failed: ValueError: a component changed the text, "
            "so that offsets would be wrong",
        ),
    ],
)
def test_bad_texts_are_values_and_leave_their_neighbours_alone(annotator, text, reason):
    assert annotator.annotate(["a bat", text, "bat"]) == [
        [sense(2, "bat.club")],
        TextError(reason),
        [sense(0, "bat.club")],
    ]
    assert annotator.annotate([text]) == [TextError(reason)]
    assert not annotator.load().vocab.in_memory_zone


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_document_that_an_error_handler_drops_is_named():
    annotator = Annotator(factory=make_dropping)
    dropped = TextError("the pipeline failed: ValueError: the pipeline dropped the document")
    assert annotator.annotate(["explode", "bat"]) == [dropped, [sense(0, "bat.club")]]


def test_length_limit_holds_only_with_parser_or_ner(annotator):
    assert annotator.load().max_length == sys.maxsize
    hungry = Annotator(factory=make_hungry)
    assert hungry.annotate(["x" * 21, "x" * 20]) == [
        TextError(
            "the text has 21 characters and the pipeline's parser or NER, or a whole Doc, takes at "
            "most 20; split it, or use a --pipeline without them"
        ),
        [],
    ]


@pytest.mark.slow
def test_one_megabyte_of_one_line(annotator):
    text = "the bat " * 131_072
    (senses,) = annotator.annotate([text])
    assert len(senses) == 131_072
    assert all(text[item["start"] : item["end"]] == "bat" for item in senses)


@pytest.mark.parametrize(
    "text",
    [
        "\x00\x01\x07\x1b bat \x7f\x85\u2028",
        "עטלף bat \u202eabc\u202c خفاش",
        "<p>The <b> bat </b>&nbsp;</p>",
        "e\u0301 \u200b bat \ufeff \U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\r\n\r\n bat",
    ],
)
def test_odd_characters_keep_their_offsets(annotator, text):
    (senses,) = annotator.annotate([text])
    assert senses == [sense(text.index("bat"), "bat.club")]


def test_errors_that_are_no_texts_fault_stop_the_job(annotator):
    with pytest.raises(ResourceError, match="the model is missing"):
        annotator.annotate(["a", "missing"])
    with pytest.raises(ResourceError, match="the model is missing"):
        annotator.annotate(["missing"])
    assert not annotator.load().vocab.in_memory_zone
    with pytest.raises(ConfigError, match="pipeline = x: allowed are others"):
        Annotator("x", factory=make_broken).annotate(["a"])


def test_pipeline_that_writes_its_senses_elsewhere_is_refused():
    elsewhere = Annotator(factory=make_toy, spans_key="other")
    with pytest.raises(ConfigError, match=r"no span group 'other' \(its groups: 'senses'\); set"):
        elsewhere.annotate(["a bat"])


def test_first_text_prepares_components_before_a_zone_opens():
    zones = []

    class Late:
        def __init__(self, nlp):
            self.nlp = nlp

        def prepared(self):
            zones.append(self.nlp.vocab.in_memory_zone)

        def __call__(self, doc):
            raise InventoryError("late.jsonl:3: no field") if doc.text == "bad" else KeyError("x")

    @Language.factory("annotator_late")
    def make_late(nlp, name):
        return Late(nlp)

    def factory(pipeline, *, inventory, method):
        nlp = spacy.blank("en")
        nlp.add_pipe("annotator_late")
        return nlp

    annotator = Annotator(factory=factory)
    # The component fails on the first text as well: that is no reason to refuse the job.
    assert isinstance(annotator.annotate(["good"])[0], TextError)
    assert zones == [False]
    with pytest.raises(InventoryError, match=r"late.jsonl:3"):
        annotator.annotate(["bad"])


# -- pipelines of users ------------------------------------------------------------------

CODE = """
import os
from pathlib import Path
from spacy.language import Language
from spacy.tokens import Span, SpanGroup

with open("imported", "a") as file:
    file.write(f"{os.getpid()}\\n")

@Language.component("of_the_user_NAME")
def component(doc):
    records = [
        {"start": t.idx, "end": t.idx + 3, "lemma": "bat", "sense": "bat.user", "score": 1.0,
         "method": "toy"}
        for t in doc if t.text == "bat"
    ]
    spans = [Span(doc, t.i, t.i + 1, kb_id="bat.user") for t in doc if t.text == "bat"]
    doc.spans["senses"] = SpanGroup(doc, name="senses", spans=spans, attrs={"records": records})
    return doc
"""


def write_pipeline(folder, *factories):
    """A blank English pipeline on disk, with components that this process need not know."""
    nlp = spacy.blank("en")
    nlp.to_disk(folder / "pipeline")
    path = folder / "pipeline" / "config.cfg"
    lines = path.read_text().replace("pipeline = []", f"pipeline = {json.dumps(factories)}")
    for factory in factories:
        lines += f'\n[components.{factory}]\nfactory = "{factory}"\n'
    path.write_text(lines)
    return str(folder / "pipeline")


@pytest.mark.slow
def test_code_registers_components_in_every_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.py").write_text(CODE.replace("NAME", "a"))
    (tmp_path / "in.txt").write_text("bat\n" * 4)
    name = write_pipeline(tmp_path, "of_the_user_a", "nltk_stemmer")
    with pytest.raises(ConfigError, match=r"of_the_user_a.*with --code F.py"):
        Annotator(name, fields=("stems",)).load()
    # What is written is of the component itself; the one of ours would need another pipeline.
    annotator = Annotator(name, fields=("stems",), code="code.py")
    annotate_files(["in.txt"], "one.jsonl", annotator)
    annotate_files(["in.txt"], "two.jsonl", annotator, JobOptions(n_process=2, batch_size=1))
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    processes = (tmp_path / "imported").read_text().split()
    assert len(processes) == len(set(processes)) >= 2


@pytest.mark.parametrize(
    ("code", "match"),
    [
        (None, "code / --code code.py is no file: name the Python file to import"),
        ("x = ", "code / --code code.py cannot be imported: SyntaxError"),
        ("1 / 0", "code / --code code.py cannot be imported: ZeroDivisionError"),
    ],
)
def test_code_that_cannot_be_imported_is_refused(tmp_path, monkeypatch, code, match):
    monkeypatch.chdir(tmp_path)
    if code is not None:
        (tmp_path / "code.py").write_text(code)
    with pytest.raises(ConfigError, match=match):
        Annotator(code="code.py").load()


def test_tokens_joined_after_they_were_written_about_are_refused(tmp_path):
    name = write_pipeline(tmp_path, "nltk_stemmer", "merge_entities")
    with pytest.raises(ConfigError, match=r"\(merge_entities\) after nltk_stemmer has written"):
        Annotator(name, fields=("stems",)).load()
    name = write_pipeline(tmp_path, "merge_entities", "nltk_stemmer")
    assert Annotator(name, fields=("stems",)).load().pipe_names[-1] == "nltk_stemmer"


def test_real_pipeline_tells_the_bats_apart():
    annotator = Annotator()
    swing, flew = annotator.annotate(["Swing the bat!", "The bat flew at night."])
    assert isinstance(swing, list)
    assert isinstance(flew, list)
    assert [item["text"] for item in swing + flew] == ["bat", "bat"]
    assert swing[0]["sense"] != flew[0]["sense"]
    assert 0.0 < swing[0]["score"] <= 1.0


def test_settings_of_the_disambiguator_reach_it(toy_inventory):
    annotator = Annotator(
        inventory=str(toy_inventory), method="random", threshold=0.99, backoff="first_sense"
    )
    assert annotator.more_settings == {"threshold": 0.99, "backoff": "first_sense"}
    config = annotator.load().get_pipe("sense_disambiguator").config
    assert (config["threshold"], config["backoff"], config["names"]) == (0.99, "first_sense", False)
    described = describe_job([], annotator, {})
    assert described["threshold"] == 0.99
    assert "threshold" not in describe_job([], Annotator(inventory=str(toy_inventory)), {})


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"threshold": 3}, r"^threshold = 3; allowed is a probability from 0 to 1$"),
        ({"threshold": "0.5"}, r"^threshold = '0\.5'; allowed is a probability from 0 to 1$"),
        ({"threshold": True}, r"^threshold = True; allowed is a probability from 0 to 1$"),
        ({"method": "attentoin"}, r"^method = 'attentoin'; allowed are random, .*'attention'\?$"),
        ({"method": None}, r"^method = None; allowed are random, "),
        ({"backoff": "no"}, r"^backoff = 'no'; allowed are random, "),
        ({"fields": ("sense",)}, r"^fields / --fields has 'sense': allowed are senses, "),
        ({"fields": ()}, r"^fields / --fields has '': allowed are senses, "),
        ({"inventory": "homograph"}, r"^inventory = 'homograph': .* did you mean 'homographs'\?$"),
        ({"granularity": "rough"}, r"^granularity = 'rough'; allowed are fine, coarse, superse"),
        ({"granularity": "coarse"}, r"^granularity = 'coarse' with the inventory 'homographs': al"),
        ({"names": True}, r"^names = True with inventory = 'homographs': allowed is false"),
    ],
)
def test_what_is_not_allowed_is_refused_when_it_is_made(setting, reason):
    with pytest.raises(ConfigError, match=reason):
        Annotator(**setting)


def test_fields_may_be_given_as_on_the_command_line():
    assert Annotator(fields="stems, senses,stems").fields == ("stems", "senses")


def test_what_a_loaded_pipeline_and_a_factory_exclude():
    with pytest.raises(ConfigError, match=r"^pipeline is of type English: allowed is the name or "):
        Annotator(pipeline=spacy.blank("en"))
    with pytest.raises(ConfigError, match=r"^threshold: a factory makes the pipeline; set them th"):
        Annotator(factory=lambda *given, **settings: None, threshold=0.5)
