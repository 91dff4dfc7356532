from __future__ import annotations

import re
import sys
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest

from spacy_attn.classic.vectors import load_vectors, neighbours, save_vectors
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.explain import neighbourhood
from spacy_attn.explain.neighbourhood import (
    COLOURS,
    _draw,
    _points,
    check_picture,
    neighbourhoods,
    plot_neighbourhoods,
    project,
)

GROUPS = {"bat": 0, "bank": 1, "spring": 2}


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """Three words in three directions, eight words close to each."""
    rng = np.random.default_rng(0)
    words, rows = [], []
    for word, axis in GROUPS.items():
        centre = np.eye(6)[axis]
        words += [word, *(f"{word}{i}" for i in range(8))]
        rows += [centre, *(centre + rng.normal(scale=0.1, size=(8, 6)))]
    folder = tmp_path_factory.mktemp("vectors") / "toy"
    return load_vectors(save_vectors(folder, words, np.array(rows, dtype=np.float32)))


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib")


def test_records_are_the_neighbours(vectors):
    records = neighbourhoods(vectors, ["bat", "Bank"], 3)
    assert [record["word"] for record in records] == ["bat", "Bank"]
    for record in records:
        found = [(near["word"], near["similarity"]) for near in record["neighbours"]]
        assert found == neighbours(vectors, record["word"], 3)
        assert all(word.startswith(record["word"].lower()) for word, _ in found)


def test_pca_equals_the_singular_value_decomposition(vectors):
    rows = vectors.table.matrix
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    centred = (unit - unit.mean(axis=0)).astype(np.float64)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :2] * scale[:2]
    obtained = project(rows)
    signs = np.sign((obtained * expected).sum(axis=0))
    np.testing.assert_allclose(obtained, expected * signs, atol=1e-6)
    np.testing.assert_array_equal(obtained, project(rows))


def test_tsne_keeps_groups_together_and_repeats(vectors):
    rows = vectors.table.matrix
    places = project(rows, "tsne", seed=1)
    np.testing.assert_array_equal(places, project(rows, "tsne", seed=1))
    centres = [places[9 * i : 9 * i + 9].mean(axis=0) for i in range(3)]
    for i, place in enumerate(places):
        assert np.argmin([np.linalg.norm(place - centre) for centre in centres]) == i // 9


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("width", [1, 2, 5])
def test_few_or_short_vectors_have_places(n, method, width):
    assert project(np.ones((n, width), dtype=np.float32) * 2, method).shape == (n, 2)


def test_a_word_near_two_is_drawn_with_the_nearer():
    def record(word, **near):
        found = [{"word": w, "similarity": s} for w, s in near.items()]
        return {"word": word, "neighbours": found}

    points = _points([record("a", x=0.5, b=0.9), record("b", x=0.7, a=0.9, y=0.1)])
    assert {(point.word, point.group) for point in points} == {
        ("a", 0),
        ("b", 1),
        ("x", 1),
        ("y", 1),
    }


def test_svg_says_what_it_shows(vectors, matplotlib, tmp_path):
    path = plot_neighbourhoods(vectors, ["bat", "bank"], tmp_path / "a.svg", n=4)
    namespace = "{http://www.w3.org/2000/svg}"
    shown = [text.text for text in ElementTree.parse(path).iter(f"{namespace}text")]  # noqa: S314
    assert "Nearest words of bat, bank (toy, PCA)" in shown
    expected = {w for word in ("bat", "bank") for w, _ in neighbours(vectors, word, 4)}
    assert expected | {"bat", "bank", "near bat", "near bank"} <= set(shown)
    assert {colour.lower() for colour in COLOURS[:2]} <= set(
        re.findall("#[0-9a-f]{6}", path.read_text().lower())
    )


@pytest.mark.parametrize(("name", "method"), [("a.svg", "pca"), ("a.png", "tsne")])
def test_the_same_picture_each_time(vectors, matplotlib, tmp_path, name, method):
    (tmp_path / "again").mkdir()
    one = plot_neighbourhoods(vectors, ["bat", "bank"], tmp_path / name, method=method)
    two = plot_neighbourhoods(vectors, ["bat", "bank"], tmp_path / "again" / name, method=method)
    assert one.read_bytes() == two.read_bytes()
    if name.endswith("png"):
        assert one.read_bytes().startswith(b"\x89PNG")


def test_labels_do_not_overlap_and_stay_inside(vectors, matplotlib):
    words = list(GROUPS)
    points = _points(neighbourhoods(vectors, words, 8))
    places = project(vectors.vectors([point.word for point in points]))
    figure = _draw(points, places, words, "toy")
    renderer = figure.canvas.get_renderer()
    axes = figure.axes[0]
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert len(boxes) == 27
    for one, two in combinations(boxes, 2):
        width = min(one.x1, two.x1) - max(one.x0, two.x0)
        height = min(one.y1, two.y1) - max(one.y0, two.y0)
        assert width < 0.5 or height < 0.5
    frame = axes.get_window_extent(renderer)
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
    assert all(frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)


def test_colours_are_told_apart_with_every_kind_of_colour_blindness():
    """Machado et al. 2009, full severity; at least 15 units of CIELAB between any two."""
    simulated = {
        "normal": np.eye(3),
        "protan": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deutan": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        "tritan": [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    }
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    hexes = [[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in COLOURS]
    rgb = np.array(hexes)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    for kind, matrix in simulated.items():
        seen = np.clip(linear @ np.array(matrix).T, 0, 1) @ to_xyz.T / [0.9505, 1, 1.089]
        f = np.where(seen > 0.008856, np.cbrt(seen), 7.787 * seen + 16 / 116)
        lab = np.stack(
            [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1
        )
        distances = [np.linalg.norm(a - b) for a, b in combinations(lab, 2)]
        assert min(distances) > 15, kind


def test_labels_of_any_script_are_no_crash(matplotlib, tmp_path, caplog):
    words = ["$x^2$", "蝙蝠", "a" * 80, "\x1b[31m", "bat"]
    folder = save_vectors(tmp_path / "v", words, np.random.default_rng(0).normal(size=(5, 4)))
    with caplog.at_level("WARNING", logger="spacy_attn"):
        path = plot_neighbourhoods(load_vectors(folder), ["bat"], tmp_path / "a.png")
    assert path.stat().st_size > 1000
    assert "no font of matplotlib has all letters" in caplog.text


@pytest.mark.parametrize(
    ("words", "name", "options", "reason"),
    [
        (["bat"], "a.pdf", {}, r"a\.pdf: allowed are files that end in \.png or \.svg"),
        (["bat"], "a.png", {"method": "umap"}, "method 'umap': allowed are pca, tsne"),
        ([], "a.png", {}, "0 words in a picture: allowed are 1 to 8"),
        (list("abcdefghi"), "a.png", {}, "9 words in a picture"),
        (["bat"], "a.png", {"n": 0}, "n = 0 neighbours"),
        (["batt"], "a.png", {}, "'batt' has no vector in toy; words spelled like it: .*bat"),
    ],
)
def test_what_cannot_be_drawn(vectors, matplotlib, tmp_path, words, name, options, reason):
    with pytest.raises(ConfigError, match=reason):
        plot_neighbourhoods(vectors, words, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(vectors, matplotlib, tmp_path):
    with pytest.raises(ResourceError, match=r"a\.png cannot be written: No such file.*another"):
        plot_neighbourhoods(vectors, ["bat"], tmp_path / "none" / "a.png")


def test_a_place_for_the_picture_is_tried_and_left_as_it_was(matplotlib, tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "old.png").write_bytes(b"old")
    for name, reason in (
        ("none/a.png", "No such file"),
        ("folder.png", "Is a directory"),
        ("old.png/a.png", "Not a directory"),
        (f"{'x' * 300}.png", "File name too long"),
    ):
        with pytest.raises(ResourceError, match=rf"\.png cannot be written: {reason}.*; give anot"):
            check_picture(tmp_path / name, ["bat"], "pca")
    for name in ("old.png", "new.png"):
        assert check_picture(tmp_path / name, ["bat"], "pca") == tmp_path / name
    assert (tmp_path / "old.png").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "old.png"]


def test_missing_matplotlib(vectors, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ResourceError, match=r'needs matplotlib.*pip install "spacy-attn\[plots\]"'):
        plot_neighbourhoods(vectors, ["bat"], tmp_path / "a.png")


def test_more_markers_than_colours_are_never_needed():
    assert len(set(neighbourhood._MARKERS)) == len(set(COLOURS)) == 8
