"""The page, the picture and the record of an explanation."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser

import pytest

from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.explain import explanation as explanation_module
from spacy_attn.explain.attribution import ATTRIBUTIONS
from spacy_attn.explain.explanation import DEFAULT_ATTRIBUTIONS, explain
from spacy_attn.explain.page import arcs, frame, page, plot, shaded

pytest.importorskip("jinja2")
TEXTS = ["he hit the ball with a bat", "the bat flew at night"]
HOSTILE = '<script>alert(1)</script> the bat "flew" & </script><!-- {{ 7 * 7 }} $x^2$ \x07'


@pytest.fixture
def made(toy_nlp, toy_vectors):
    def made(texts=TEXTS, word="bat", **options):
        vectors = shared_vectors(str(toy_vectors), "zero")
        options.setdefault("attributions", DEFAULT_ATTRIBUTIONS)
        return explain(toy_nlp, texts, word, vectors=vectors, **options)

    return made


class Tags(HTMLParser):
    """The elements of a page, and whether each was closed."""

    def __init__(self, source):
        super().__init__()
        self.seen, self.open = [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "path", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_record_is_plain_data(made):
    first, second = (each.to_json() for each in made())
    assert (first["text_index"], second["text_index"]) == (0, 1)
    assert (first["text"], first["start"], first["end"]) == ("bat", 23, 26)
    assert json.loads(json.dumps(first)) == first
    assert first["attributions"] == list(DEFAULT_ATTRIBUTIONS)
    assert [word["text"] for word in first["words"]] == "he hit the ball with a".split()
    for word in first["words"]:
        assert TEXTS[0][word["start"] : word["end"]] == word["text"]
        assert set(word["weights"]) == set(DEFAULT_ATTRIBUTIONS)
    assert set(first["trust"]) == set(DEFAULT_ATTRIBUTIONS)
    assert first["trust"]["integrated_gradients"]["gap"] < 0.05
    assert first["trust"]["occlusion"]["gap"] is None
    for found in first["trust"].values():
        gained = found["comprehensiveness"] - found["comprehensiveness_random"]
        spared = found["sufficiency_random"] - found["sufficiency"]
        worse = min(gained, spared)
        assert abs(worse) < 2e-4 or found["is_better_than_random"] == (worse > 0)
    assert first["runner_up"]["score"] <= first["score"]
    assert (
        len(first["agreement"]) == len(DEFAULT_ATTRIBUTIONS) * (len(DEFAULT_ATTRIBUTIONS) - 1) / 2
    )
    assert first["left_out"] == {}


def test_a_way_that_cannot_run_is_left_out_with_its_reason(toy_nlp, made, monkeypatch):
    (found,) = made(TEXTS[:1], method="lesk", attributions=("occlusion", "attention", "nearness"))
    assert list(found.weights) == ["occlusion", "nearness"]
    assert "looks through no encoder" in found.left_out["attention"]
    with pytest.raises(ConfigError, match="looks through no encoder"):
        made(method="lesk", attributions=("attention",))

    def missing(given):
        raise ResourceError("no vectors; run: pip install")

    monkeypatch.setattr(explanation_module, "_static_vectors", missing)
    (found,) = explain(toy_nlp, TEXTS[:1], attributions=("static", "nearness"))
    assert found.left_out == {"static": "no vectors; run: pip install"}
    assert "no vectors; run: pip install" in found.to_html()


def test_wrong_names_are_told(made):
    with pytest.raises(ConfigError, match=r"attributions? = 'lime'; allowed are occlusion"):
        made(attributions=("occlusion", "lime"))
    with pytest.raises(ConfigError, match="layer = 9; this map has 1, 2, or -1"):
        made(layer=9)


def test_the_page_is_whole_and_needs_nothing_else(made):
    source = page(made())
    tags = Tags(source)
    assert tags.open == []
    assert not re.search(r"https?://|url\(|@import|src=", source)
    names = [tag for tag, _ in tags.seen]
    assert not {"img", "link", "iframe", "object"} & set(names)
    radios = [attrs["id"] for tag, attrs in tags.seen if tag == "input"]
    assert radios == [f"way-{attribution}" for attribution in DEFAULT_ATTRIBUTIONS]
    assert names.count("article") == 2
    assert sum(tag == "button" for tag in names) == 2 * 2 * 2  # texts, layers, heads
    ids = [attrs["id"] for _, attrs in tags.seen if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_the_same_bytes_every_time(made, tmp_path):
    assert page(made()) == page(made())
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "a.png"):
        path, again = tmp_path / name, tmp_path / f"again-{name}"
        plot(made()[0], path, "occlusion")
        plot(made()[0], again, "occlusion")
        assert path.read_bytes() == again.read_bytes()
        assert len(path.read_bytes()) > 1000


def test_markup_in_a_text_stays_text(made):
    (found,) = made([HOSTILE])
    source = page([found])
    tags = Tags(source)
    assert tags.open == []
    scripts = [attrs for tag, attrs in tags.seen if tag == "script"]
    assert scripts == [{"type": "application/json", "class": "head-data"}, {}]
    assert "alert(1)</" not in source
    assert "{{ 7 * 7 }}" in unescape(source)
    data = json.loads(re.search(r'class="head-data">(.*?)</script>', source)[1])
    assert "".join(data["tokens"]).startswith("<script>alert(1)</script>")


def test_the_numbers_are_there_without_colour(made):
    (found,) = made(TEXTS[1:], attributions=("occlusion",))
    source = page([found])
    tokens = {token.text: token for token in shaded(found, "occlusion")}
    for word in ("flew", "night"):
        number = f"{abs(tokens[word].weight):.2f}"
        assert re.search(rf">{word}</span><rt>.?{re.escape(number)}</rt>", source)
    assert tokens["bat"].is_target
    assert max(token.shade for token in tokens.values()) == 1


def test_the_shaded_text_is_the_text(made):
    text = "  the bat\n\nflew ,at  night "
    (found,) = made([text])
    tokens = shaded(found, "occlusion")
    assert "".join(token.text + token.space for token in tokens) == text


def test_arcs_go_from_the_target_to_the_named_words(made):
    (found,) = made(TEXTS[1:], attributions=("nearness",))
    line, drawn = arcs(found, "nearness")
    places = {text: middle for middle, text, _ in line}
    assert [text for _, text, is_target in line if is_target] == ["bat"]
    assert {arc.word for arc in drawn} == {"the", "flew", "at", "night"}
    for arc in drawn:
        assert {arc.left, arc.right} == {places["bat"], places[arc.word]}
    assert len({arc.height for arc in drawn}) == 4


def test_a_word_alone_can_be_shown(made, tmp_path):
    (found,) = made(["bat"], attributions=("occlusion",))
    assert Tags(page([found])).open == []
    pytest.importorskip("matplotlib")
    plot(found, tmp_path / "alone.svg", "occlusion")
    assert b"</svg>" in (tmp_path / "alone.svg").read_bytes()


def test_two_hundred_tokens_stay_under_half_a_megabyte(made):
    text = " ".join(["the bat flew at night", *["and he hit the ball"] * 39])
    (found,) = made([text])
    source = page([found])
    assert len(found.subject.context.tokens) == 200
    # The toy encoder has 4 heads, MiniLM 72: their numbers are what grows.
    heads = len(re.search(r'class="head-data">(.*?)</script>', source)[1])
    assert len(source.encode()) + heads * 17 < 500_000


def test_a_long_document_fits(made):
    """Only what stands round the word is looked into; a whole map would take gigabytes."""
    words = ["river money."] * 100
    text = " ".join([*words, "the bat flew at night.", *words])
    (found,) = made([text])
    assert len(found.subject.context.tokens) > 600
    assert found.left_out == {}
    assert found.attention.weights.nbytes < 1_000_000
    tokens = found.subject.context.tokens
    for attribution in ("occlusion", "integrated_gradients", "attention"):
        assert found.weights[attribution].values[tokens.index("flew")] != 0
    assert f"{len(tokens) - 201} tokens further away" in page([found])


def test_a_notebook_gets_it_in_a_frame(made):
    found = made(TEXTS[:1])[0]
    source = found._repr_html_()
    assert source == frame([found])
    inside = re.search(r'srcdoc="([^"]*)"', source)[1]
    assert unescape(inside) == found.to_html()
    assert 'sandbox="allow-scripts"' in source


def test_what_cannot_be_drawn_is_told(made, tmp_path):
    with pytest.raises(ConfigError, match="there is nothing to show"):
        page([])
    (found,) = made(TEXTS[:1], attributions=("occlusion",))
    with pytest.raises(ConfigError, match=r"a\.gif: allowed are names that end in \.svg or \.png"):
        plot(found, tmp_path / "a.gif", "occlusion")
    with pytest.raises(ConfigError, match="attribution = 'norms'; allowed are occlusion"):
        plot(found, tmp_path / "a.svg", "norms")
    assert set(DEFAULT_ATTRIBUTIONS) < set(ATTRIBUTIONS)


def test_a_long_word_is_cut_under_the_arcs_alone(made):
    word = "pneumono" * 10
    (found,) = made([f"the bat flew over {word}"], attributions=("occlusion",))
    line, _ = arcs(found, "occlusion")
    assert max(len(text) for _, text, _ in line) == 18
    shown = page([found])
    assert word in shown
    assert "Do the attribution methods agree?" not in shown  # of one there is nothing to say
