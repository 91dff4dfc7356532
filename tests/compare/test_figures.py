from __future__ import annotations

import json
import sys
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest

from spacy_attn.compare.report import figures
from spacy_attn.compare.report.figures import (
    INK,
    NAMES,
    SERIES,
    as_png,
    as_svg,
    can_be_drawn,
    draw_all,
    map_places,
)
from spacy_attn.compare.report.tables import pareto_front, strata_of
from spacy_attn.errors import ResourceError

SVG = "{http://www.w3.org/2000/svg}"

#: What each system says of the six instances: right or not.
RIGHT = {
    "attention": [1, 1, 1, 1, 1, 0],
    "lesk": [1, 1, 0, 0, 0, 1],
    "word2vec": [1, 0, 1, 0, 0, 0],
    "peer": [1, 1, 1, 0, 1, 1],
}
TEXTS = [
    ("the bat flew at night", "bat", "bat.animal", "far", "flew"),
    ("swing the bat", "bat", "bat.club", "plain", "swing"),
    ("a bat in the cave", "bat", "bat.animal", "far", "cave"),
    ("he hit the ball with the bat", "bat", "bat.club", "plain", "ball"),
    ("money in the bank", "bank", "bank.money", "plain", "money"),
    ("the bank of the river", "bank", "bank.river", "far", "river"),
]


def toy_result():
    """The contents of a results.json that has every key, six instances and four systems."""
    rows = [
        _row("attention", 600.0, 700.0, 0.05),
        _row("lesk", 30_000.0, 400.0, 0.02),
        _row("word2vec", 20_000.0, 500.0, 0.1),
        _row("peer", None, None, None),
    ]
    points = [
        {
            "instance": f"toy.{i}",
            "sense": TEXTS[i][2],
            "static": [0.5, 1e-9 * (-1) ** i],
            "attention": [i / 2, -i / 4],
        }
        for i in range(4)
    ]
    curve = {"attention": [0.9, 0.8, 0.7], "lesk": [0.5, 0.4, 0.3]}
    return {
        "dataset": "toy",
        "inventory": "toy",
        "n": 6,
        "n_by": {"strata": {"far": 3, "plain": 3}, "pos": {"NOUN": 6}, "subsets": {}},
        "unknown": 0,
        "unreachable": 0,
        "failed": {},
        "end_to_end": False,
        "baseline": "word2vec",
        "systems": rows,
        "distance_curve": {
            "strata": ["far"],
            "n": 3,
            "distances": [0, 10, 400],
            "systems": {
                name: [
                    {"distance": d, "accuracy": a, "ci95": [a - 0.1, a + 0.05]}
                    for d, a in zip([0, 10, 400], values, strict=True)
                ]
                for name, values in curve.items()
            },
        },
        "learning_curve": {
            "sizes": [1, 3, 6],
            "draws": 3,
            "systems": {
                name: [
                    {
                        "size": s,
                        "accuracy": a,
                        "low": a - 0.1,
                        "high": a + 0.05,
                        "short": 2 if s == 6 else 0,
                    }
                    for s, a in zip([1, 3, 6], values[::-1], strict=True)
                ]
                for name, values in curve.items()
            },
        },
        "vector_map": {
            "lemma": "bat",
            "pos": "NOUN",
            "points": points,
            "method": "PCA of 16 dimensions; 41 % of the variance",
        },
        "manifest": {
            "command": "spacy-attn compare toy.jsonl",
            "versions": {"spacy": "3.8"},
            "processor": "a processor",
            "threads": 2,
        },
        "instances": [_instance(i) for i in range(6)],
    }


def _row(name, speed, memory, error):
    right = np.array(RIGHT[name])
    far = np.array([row[3] == "far" for row in TEXTS])
    words = np.array([row[1] for row in TEXTS])
    accuracy = float(right.mean())
    bins = [
        {"low": 0.0, "high": 0.5, "n": 2, "confidence": 0.4, "accuracy": 0.5},
        {"low": 0.5, "high": 0.8, "n": 0, "confidence": None, "accuracy": None},
        {"low": 0.8, "high": 1.0, "n": 4, "confidence": 0.9, "accuracy": accuracy},
    ]
    is_peer = name == "peer"
    comparison = {
        "baseline": "word2vec",
        "only_this": 3,
        "only_baseline": 1,
        "p": 0.01,
        "p_holm": 0.03,
    }
    return {
        "name": name,
        "kind": "published predictions" if is_peer else "run",
        "accuracy": accuracy,
        "macro_f1": accuracy / 2,
        "ci95": [accuracy - 0.1, min(accuracy + 0.1, 1.0)],
        "strata": {"far": float(right[far].mean()), "plain": float(right[~far].mean())},
        "pos": {"NOUN": accuracy},
        "subsets": {},
        "by_word": {word: float(right[words == word].mean()) for word in ("bank", "bat")},
        "supersense_accuracy": None,
        "coverage": 1.0,
        "precision": accuracy,
        "calibration_error": error,
        "words_per_second": speed,
        "peak_rss_mb": memory,
        "reliability": None if is_peer else bins,
        "comparison": None if name == "word2vec" else comparison,
        **(
            {}
            if is_peer
            else {
                "method": name,
                "seconds_to_first_result": 0.25,
                "disk_mb": 81.5,
                "share_of_tokens_encoded": 1.0 if name == "attention" else 0.0,
            }
        ),
    }


def _instance(i):
    text, word, sense, stratum, cue = TEXTS[i]
    start, at = text.index(word), text.index(cue)
    other = {
        "bat.animal": "bat.club",
        "bat.club": "bat.animal",
        "bank.money": "bank.river",
        "bank.river": "bank.money",
    }[sense]
    return {
        "id": f"toy.{i}",
        "text": text,
        "start": start,
        "end": start + len(word),
        "lemma": word,
        "pos": "NOUN",
        "gold": [sense],
        "stratum": stratum,
        "cues": [[at, at + len(cue)]],
        "predictions": {
            name: [sense if right[i] else other, None if name == "peer" else 0.75, bool(right[i])]
            for name, right in RIGHT.items()
        },
    }


OPTIONAL = {
    "accuracy-cost": "words_per_second",
    "strata": None,
    "distance": "distance_curve",
    "learning-curve": "learning_curve",
    "reliability": "reliability",
    "vector-map": "vector_map",
}


def without(name):
    """A toy result that lacks what a figure is made of."""
    result = toy_result()
    if name == "strata":
        result["n_by"]["strata"] = {"plain": 6}
    elif name in ("accuracy-cost", "reliability"):
        for system in result["systems"]:
            system[OPTIONAL[name]] = None
    else:
        del result[OPTIONAL[name]]
    return result


@pytest.fixture
def result():
    return toy_result()


@pytest.fixture
def drawn(result):
    pytest.importorskip("matplotlib")
    return draw_all(result)


def lines(figure):
    """The data of each named line of a figure, panel by panel."""
    return {
        (panel, line.get_gid()): line.get_xydata().tolist()
        for panel, axes in enumerate(figure.axes)
        for line in axes.lines
        if line.get_gid()
    }


def test_a_picture_of_each_kind(drawn):
    assert tuple(drawn) == NAMES == tuple(OPTIONAL)
    for name, picture in drawn.items():
        assert picture.name == name
        assert picture.title
        assert len(picture.alt) > 20


@pytest.mark.parametrize("name", NAMES)
def test_without_data_no_picture(name):
    pytest.importorskip("matplotlib")
    assert set(draw_all(without(name))) == set(NAMES) - {name}


def test_empty_data_is_no_data(result):
    pytest.importorskip("matplotlib")
    result |= {"distance_curve": None, "learning_curve": {"systems": {"lesk": []}}}
    result["vector_map"] = {"lemma": "bat", "pos": "NOUN", "points": []}
    assert set(draw_all(result)) == {"accuracy-cost", "strata", "reliability"}


def test_cost_shows_speed_and_accuracy(result, drawn):
    shown = lines(drawn["accuracy-cost"].figure)
    for i, system in enumerate(result["systems"][:3]):
        expected = [[system["words_per_second"], system["accuracy"]]]
        assert shown[0, f"system-{i}"] == expected
    assert (0, "system-3") not in shown  # published: no speed
    # attention 5/6 at 600, lesk 3/6 at 30,000; word2vec 2/6 at 20,000 loses in both to lesk
    assert shown[0, "front"] == [[600.0, 5 / 6], [30_000.0, 0.5]]
    axes = drawn["accuracy-cost"].figure.axes[0]
    assert axes.get_xscale() == "log"
    hollow = [line.get_gid() for line in axes.lines if line.get_markerfacecolor() == figures.PAPER]
    assert hollow == ["system-2"]
    assert {text.get_text() for text in axes.texts} == {"attention", "lesk", "word2vec"}


@pytest.mark.parametrize("speeds", [(160_000, 460_000), (3_000, 9_000), (500, 700_000)])
def test_speeds_of_any_range_can_be_read(result, speeds):
    pytest.importorskip("matplotlib")
    result["systems"] = result["systems"][:2]
    for system, speed in zip(result["systems"], speeds, strict=True):
        system["words_per_second"] = float(speed)
    axes = draw_all(result)["accuracy-cost"].figure.axes[0]
    low, high = axes.get_xlim()
    assert sum(low <= tick <= high for tick in axes.get_xticks()) >= 2
    assert f"{axes.get_xticks()[0]:,.0f}" == axes.get_xticklabels()[0].get_text()


@pytest.mark.parametrize("seed", range(20))
def test_the_front_equals_its_definition(seed):
    rng = np.random.default_rng(seed)
    systems = [
        {"name": str(i), "accuracy": float(a), "words_per_second": float(s) or None}
        for i, (a, s) in enumerate(rng.integers(0, 5, size=(8, 2)))
    ]
    timed = [system for system in systems if system["words_per_second"]]

    def beats(one, other):
        ours, theirs = ((s["accuracy"], s["words_per_second"]) for s in (one, other))
        return ours != theirs and all(a >= b for a, b in zip(ours, theirs, strict=True))

    expected = {s["name"] for s in timed if not any(beats(other, s) for other in timed)}
    found = pareto_front(systems)
    assert set(found) == expected
    assert len(found) == len(expected)
    speeds: list[float] = [systems[int(name)]["words_per_second"] for name in found]  # type: ignore[misc]
    assert speeds == sorted(speeds)


def test_strata_plain_first(result, drawn):
    figure = drawn["strata"].figure
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["plain (3)", "far (3)"]
    low, high = axes.get_ylim()
    assert low > high  # the first is on top
    shown = lines(figure)
    for i, system in enumerate(result["systems"]):
        values = [x for x, _ in shown[0, f"system-{i}"]]
        assert values == [system["strata"]["plain"], system["strata"]["far"]]
        assert [round(y) for _, y in shown[0, f"system-{i}"]] == [0, 1]
    assert list(strata_of(result)) == ["plain", "far"]


def test_a_stratum_that_a_system_lacks(result):
    pytest.importorskip("matplotlib")
    del result["systems"][0]["strata"]["plain"]
    shown = lines(draw_all(result)["strata"].figure)
    assert [x for x, _ in shown[0, "system-0"]] == [result["systems"][0]["strata"]["far"]]


def test_curves_show_values_and_bands(drawn):
    for name, xs in (("distance", [0, 10, 400]), ("learning-curve", [1, 3, 6])):
        axes = drawn[name].figure.axes[0]
        shown = lines(drawn[name].figure)
        assert [x for x, _ in shown[0, "system-0"]] == xs
        expected = [0.9, 0.8, 0.7] if name == "distance" else [0.7, 0.8, 0.9]
        assert [y for _, y in shown[0, "system-0"]] == expected
        band = axes.collections[0].get_paths()[0].get_extents()
        assert (band.y0, band.y1) == pytest.approx((0.7 - 0.1, 0.9 + 0.05))
        assert [label.get_text() for label in axes.get_xticklabels()] == [str(x) for x in xs]


def test_sizes_that_some_senses_do_not_reach_are_hollow(drawn):
    shown = lines(drawn["learning-curve"].figure)
    assert shown[0, "short-system-0"] == [[6, 0.9]]
    assert shown[0, "short-system-1"] == [[6, 0.5]]


def test_reliability_has_a_panel_for_each_system(result, drawn):
    figure = drawn["reliability"].figure
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.axison]
    assert titles == ["attention", "lesk", "word2vec"]  # peers have no probabilities
    shown = lines(figure)
    for i, system in enumerate(result["systems"][:3]):
        assert shown[i, f"system-{i}"] == [[0.4, 0.5], [0.9, system["accuracy"]]]
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([2 / 6, 4 / 6])


def test_panels_without_a_system_are_not_seen(result):
    pytest.importorskip("matplotlib")
    row = result["systems"][0]
    result["systems"] = [{**row, "name": str(i)} for i in range(5)]
    axes = draw_all(result)["reliability"].figure.axes
    assert [each.axison for each in axes] == [True] * 5 + [False] * 3


def test_the_map_has_one_static_place_and_a_point_for_each_sentence(drawn):
    figure = drawn["vector-map"].figure
    shown = lines(figure)
    assert shown[0, "map-place-0"] == [[0.5, 0.0]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["4 sentences, 2 senses"]
    for i in range(4):
        assert shown[1, f"map-point-{i}"] == [[i / 2, -i / 4]]
    assert "1 place" in figure.axes[0].get_title(loc="left")


def test_places_are_told_apart(result):
    points = result["vector_map"]["points"]
    assert map_places(points) == {(0.5, 0.0): [0, 1, 2, 3]}
    points[1]["static"] = [0.7, 0.0]
    points[2]["static"] = None
    assert map_places(points) == {(0.5, 0.0): [0, 3], (0.7, 0.0): [1]}


def test_a_map_without_static_vectors(result):
    pytest.importorskip("matplotlib")
    for point in result["vector_map"]["points"]:
        point["static"] = None
    figure = draw_all(result)["vector-map"].figure
    assert len(figure.axes) == 1
    assert len(lines(figure)) == 4


def test_a_system_looks_the_same_in_all_figures(drawn):
    looks = {}
    for name in ("accuracy-cost", "strata", "distance", "learning-curve", "reliability"):
        for axes in drawn[name].figure.axes:
            for line in axes.lines:
                gid = line.get_gid() or ""
                if gid.startswith("system-"):
                    looks.setdefault(gid, set()).add((line.get_color(), line.get_marker()))
    assert {gid: len(found) for gid, found in looks.items()} == {f"system-{i}": 1 for i in range(4)}
    assert len(set.union(*looks.values())) == 4


def test_colour_and_marker_are_a_pair_of_their_own():
    styles = figures._style_each([str(i) for i in range(88)])
    assert len({(style["color"], style["marker"]) for style in styles.values()}) == 88
    assert len({style["marker"] for style in list(styles.values())[:11]}) == 11
    assert len(set(SERIES)) == 8
    assert INK in SERIES


@pytest.mark.slow
def test_the_same_bytes_each_time(result, drawn):
    import matplotlib as mpl

    again = draw_all(json.loads(json.dumps(result)))
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        other = draw_all(result)
        for name, picture in drawn.items():
            svg, png = as_svg(picture), as_png(picture)
            for each in (again[name], other[name]):
                assert as_svg(each) == svg
                assert as_png(each) == png
            assert png.startswith(b"\x89PNG")


def test_svg_holds_text_and_no_date(drawn):
    svg = as_svg(drawn["strata"])
    shown = [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314
    assert {"plain (3)", "far (3)", "attention", "accuracy"} <= set(shown)
    assert "dc:date" not in svg


def test_hostile_names_are_text(result):
    pytest.importorskip("matplotlib")
    names = ["_hidden", "$x^2$", "<script>\x1b[31m\x00", "蝙蝠" * 30]
    for system, name in zip(result["systems"], names, strict=True):
        system["name"] = name
    result["distance_curve"]["systems"]["_hidden"] = result["distance_curve"]["systems"]["lesk"]
    expected = {"_hidden", "$x^2$", "<script>\ufffd[31m\ufffd", "蝙蝠" * 13 + "蝙…"}
    drawn = draw_all(result)
    for name in ("strata", "accuracy-cost"):
        svg = as_svg(drawn[name])
        shown = {text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")}  # noqa: S314
        assert len(expected & shown) == (4 if name == "strata" else 3)
    assert len(as_png(drawn["strata"])) > 1000
    legend = drawn["distance"].figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["attention", "lesk", "_hidden"]


def test_names_beside_points_do_not_overlap(result):
    pytest.importorskip("matplotlib")
    row = result["systems"][0]
    result["systems"] = [
        {
            **row,
            "name": f"system number {i}",
            "accuracy": 0.9 + i % 3 / 1000,
            "words_per_second": 1000.0 * 1.05**i,
        }
        for i in range(9)
    ]
    figure = draw_all(result)["accuracy-cost"].figure
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert len(boxes) == 9
    for one, two in combinations(boxes, 2):
        width = min(one.x1, two.x1) - max(one.x0, two.x0)
        height = min(one.y1, two.y1) - max(one.y0, two.y0)
        assert width < 0.5 or height < 0.5


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_missing_package(monkeypatch, package):
    pytest.importorskip("matplotlib")
    for name in list(sys.modules):
        if name.partition(".")[0] == package:
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    reason = rf'the report needs {package}, which .*; run: pip install "spacy-attn\[plots\]"$'
    with pytest.raises(ResourceError, match=reason):
        can_be_drawn("the report")
