from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise, permutations

import numpy as np
import pytest

from spacy_attn.compare.report.disputes import MOST_SHOWN, Part, parts_of
from spacy_attn.compare.report.figures import NAMES, as_svg, draw_all
from spacy_attn.compare.report.findings import classic_wins
from spacy_attn.compare.report.html import report_html, write_report
from spacy_attn.errors import ResourceError
from tests.compare.test_figures import RIGHT, TEXTS, toy_result, without

pytest.importorskip("matplotlib")

VOID = {"meta", "link", "br", "img", "input", "hr"}
HOSTILE = "</script><script>alert('1')</script>\" onload=\"x' & <b>"


class Page(HTMLParser):
    """A page as elements: (tag, attributes, text inside), in the order of their beginnings."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.source = source
        self.elements, self.open = [], []
        self.feed(source)
        self.close()
        assert self.open == [], f"never closed: {[tag for tag, _, _ in self.open]}"

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute twice: {attrs}"
        element = (tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, text in self.open:
            text.append(data)

    def find(self, tag, **wanted):
        return [
            (attributes, "".join(text))
            for name, attributes, text in self.elements
            if name == tag and wanted.items() <= attributes.items()
        ]

    def texts(self, tag, **wanted):
        return [" ".join(text.split()) for _, text in self.find(tag, **wanted)]


def source_of(result):
    """The page without its pictures, which take most of the time."""
    return report_html(result, {}, {})


def drawn_page(result):
    pictures = draw_all(result)
    return Page(report_html(result, pictures, {n: as_svg(p) for n, p in pictures.items()}))


@pytest.fixture
def result():
    return toy_result()


@pytest.fixture(scope="module")
def page():
    return drawn_page(toy_result())


def table(source, caption):
    """Cells of the table with a caption, heads first."""
    start = source.index(f">{caption}</caption>")
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", source[start : source.index("</table>", start)], re.S)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]


def test_files(result, tmp_path):
    paths = write_report(result, tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    assert paths[0] == folder / "report.html"
    expected = {folder / "figures" / f"{name}.{end}" for name in NAMES for end in ("svg", "png")}
    assert set(paths[1:]) == expected
    assert {path for path in folder.rglob("*") if path.is_file()} == set(paths)


@pytest.mark.slow
def test_the_same_bytes_each_time(result, tmp_path):
    one = write_report(result, tmp_path / "1")
    two = write_report(json.loads(json.dumps(result)), tmp_path / "2")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_figures_of_an_earlier_report_go(result, tmp_path):
    write_report(result, tmp_path)
    (tmp_path / "figures" / "mine.svg").write_text("mine", encoding="utf-8")
    paths = write_report(without("vector-map"), tmp_path)
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        *(path.name for path in paths[1:]),
        "mine.svg",
    }


def test_a_folder_that_cannot_be_made(result, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ResourceError, match=r"report\.html cannot be written: .*another folder"):
        write_report(result, tmp_path / "file")
    (tmp_path / "figures").write_text("", encoding="utf-8")
    for each in (result, without("vector-map")):
        with pytest.raises(ResourceError, match=r"figures/.*\.svg cannot be written: "):
            write_report(each, tmp_path)


def test_the_page_asks_for_nothing(page):
    """No attribute names another file; the policy would not let it be asked for."""
    for tag, attributes, _ in page.elements:
        assert "src" not in attributes
        for key in ("href", "action", "data", "poster", "srcset"):
            assert attributes.get(key, "#").startswith(("#", "data:,")), (tag, attributes)
        for key, value in attributes.items():
            assert "http:" not in (value or "")
            assert "https:" not in (value or ""), (tag, key)
            assert "url(" not in (value or "").replace("url(#", "")
            assert not key.startswith("on")
    (style,) = page.texts("style")
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = page.find("meta", **{"http-equiv": "Content-Security-Policy"})
    (script,) = page.find("script")
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert "default-src 'none'" in policy[0]["content"]
    assert f"script-src 'sha256-{digest}'" in policy[0]["content"]


def test_structure(page):
    assert page.find("html", lang="en")
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes, _ in page.elements:
        for key in ("aria-labelledby", "for"):
            assert attributes.get(key, ids[0]) in ids
        for key, value in attributes.items():
            if key == "href" and value.startswith("#"):
                assert value[1:] in ids
            for used in re.findall(r"url\(#([^)]*)\)", value or ""):
                assert used in ids
    assert len(page.find("caption")) == len(page.find("table")) > 5
    assert all("scope" in attributes for attributes, _ in page.find("th"))
    assert page.find("main", id="main")


def test_figures_have_words_for_those_who_do_not_see_them(result, page):
    labels = [attributes["aria-label"] for attributes, _ in page.find("svg")]
    assert labels == [picture.alt for picture in draw_all(result).values()]
    roles = [attributes["role"] for attributes, _ in page.find("svg")]
    assert roles == ["img"] * 5 + ["group"]  # what is inside an img cannot be reached
    assert len(page.find("figcaption")) == len(page.find("figure")) == 6


def test_figures_take_the_colours_of_the_page(page):
    styles = [attributes["style"] for _, attributes, _ in page.elements if "style" in attributes]
    colours = set(re.findall(r"(?:fill|stroke): ?([^;]+)", "; ".join(styles)))
    named = {"none", "currentColor", "var(--line)", "var(--paper)"}
    assert all(c in named or re.fullmatch(r"var\(--series-\d\)", c) for c in colours), colours
    assert {"currentColor", "var(--line)", "var(--series-0)"} <= colours


def test_headline_has_the_numbers_of_the_result(result):
    source = source_of(result)
    heads, *rows = table(source, "toy, inventory toy, n = 6")
    assert heads[:4] == ["system", "plain", "accuracy", "95 %"]
    assert heads[4:7] == ["against word2vec", "only this : only baseline", "p (Holm)"]
    for row, system in zip(rows, result["systems"], strict=True):
        assert row[0].startswith(system["name"])
        assert row[1] == f"{system['strata']['plain']:.3f}"
        assert row[2] == f"{system['accuracy']:.3f}"
    # attention 5/6, word2vec 2/6
    assert rows[0][4:7] == ["+0.500 *", "3 : 1", "0.030"]
    assert rows[2][4:7] == ["baseline", "-", "-"]
    assert "corrected for 3 comparisons after Holm" in source


@pytest.mark.parametrize(
    ("p", "shown", "stars"),
    [
        (0.05, "0.050", ""),
        (0.0499, "0.050", " *"),
        (0.0099, "0.010", " **"),
        (0.0009, "&lt; 0.001", " ***"),
    ],
)
def test_significance_marks(result, p, shown, stars):
    result["systems"][1]["comparison"]["p_holm"] = p
    result["systems"][1]["accuracy"] = result["systems"][2]["accuracy"] - 0.25
    source = source_of(result)
    row = table(source, "toy, inventory toy, n = 6")[2]
    assert row[4:7] == [f"\N{MINUS SIGN}0.250{stars}", "3 : 1", shown]


def test_other_tables(page):
    source = page.source
    assert table(source, "Accuracy by stratum")[0] == ["system", "plain (3)", "far (3)"]
    words = table(source, "Accuracy by word")
    assert words[0] == ["word", "n", *RIGHT]
    assert words[1][:3] == ["bank", "2", "0.500"]
    assert words[2][:3] == ["bat", "4", "1.000"]
    cost = table(source, "What it costs")
    assert cost[1] == ["attention", "0.833", "600", "0.25", "700", "81.5", "1.000", "yes"]
    assert [row[-1] for row in cost[1:]] == ["yes", "yes", "-"]
    assert "Not run here, so without a cost: peer." in source
    far = table(source, "Accuracy by tokens before the cue")
    assert far[0] == ["system", "0", "10", "400"]
    assert far[2] == [
        "lesk",
        *(f"{a:.3f} ({a - 0.1:.3f} to {a + 0.05:.3f})" for a in (0.5, 0.4, 0.3)),
    ]
    assert "senses with fewer examples use all that they have (2 at 6)" in source
    stated = (2 * 0.4 + 4 * 0.9) / 6
    assert table(source, "Calibration")[1][:3] == ["attention", "0.050", f"{stated:.3f}"]
    assert ["versions.spacy", "3.8"] in table(source, "Manifest")


def test_what_was_measured_and_its_warnings(result):
    result |= {"unknown": 2, "failed": {"tfidf": "it needs scikit-learn"}}
    page = Page(source_of(result))
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Instances"] == "6 of 2 words"
    assert facts["Strata"] == "plain 3, far 3"
    assert facts["Systems"] == "3 run here, 1 published"
    assert facts["Machine"] == "a processor, 2 threads"
    listed = page.texts("li")
    assert any("2 of 6 instances have a word without candidates" in text for text in listed)
    assert "tfidf was left out: it needs scikit-learn." in listed


def test_strata_are_explained_for_the_bundled_set_only(result, page):
    assert "plain" not in page.texts("dt")
    result["dataset"] = "homographs"
    page = Page(source_of(result))
    said = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert said["plain"] == "ordinary sentences"
    assert "12 tokens away" in said["far"]


@pytest.mark.parametrize(
    ("name", "section"),
    [("distance", "distance"), ("learning-curve", "learning"), ("vector-map", "map")],
)
def test_a_section_without_data_is_left_out(page, name, section):
    full, less = page, drawn_page(without(name))
    assert full.find("h2", id=section)
    assert full.find("a", href=f"#{section}")
    assert not less.find("h2", id=section)
    assert not less.find("a", href=f"#{section}")
    assert len(less.find("svg")) == 5


def test_a_result_of_today_without_the_new_keys(result):
    """Nothing but what is always there."""
    for key in ("baseline", "learning_curve", "distance_curve", "vector_map", "manifest"):
        del result[key]
    for system in result["systems"]:
        for key in (
            "reliability",
            "comparison",
            "seconds_to_first_result",
            "disk_mb",
            "share_of_tokens_encoded",
        ):
            system.pop(key, None)
    result["n_by"]["strata"] = {"plain": 6}
    sections = [attributes["id"] for attributes, _ in drawn_page(result).find("h2")]
    assert sections == ["measured", "results", "cost", "strata", "calibration", "disagreements"]
    source = source_of(result)
    assert table(source, "What it costs")[0] == [
        "system",
        "accuracy",
        "words/s",
        "peak MB",
        "on the front",
    ]


def test_nothing_but_one_published_system(result):
    result["systems"] = result["systems"][3:]
    for key in ("baseline", "learning_curve", "distance_curve", "vector_map"):
        del result[key]
    for item in result["instances"]:
        item["predictions"] = {"peer": item["predictions"]["peer"]}
    page = drawn_page(result)
    sections = [attributes["id"] for attributes, _ in page.find("h2")]
    assert sections == ["measured", "results", "strata", "manifest"]


# -- hostile data ------------------------------------------------------------------------------


def hostile_result():
    """A result whose every text tries to become markup."""
    result = json.loads(json.dumps(toy_result()).replace("lesk", "LESK"))
    result = json.loads(json.dumps(result).replace("LESK", json.dumps(HOSTILE)[1:-1]))
    for item in result["instances"]:
        item["text"] = f"{item['text']} {HOSTILE}"
        item["gold"], item["lemma"], item["stratum"] = [HOSTILE], HOSTILE, item["stratum"]
        for prediction in item["predictions"].values():
            prediction[0] = f"{HOSTILE}{prediction[0]}"
    result["vector_map"] |= {"lemma": HOSTILE, "method": HOSTILE}
    for point in result["vector_map"]["points"]:
        point["sense"] = f"{HOSTILE}{point['sense']}"
    result |= {"dataset": HOSTILE, "inventory": HOSTILE, "failed": {HOSTILE: HOSTILE}}
    result["manifest"]["command"] = HOSTILE
    return result


def test_hostile_data_is_text():
    result = hostile_result()
    page = drawn_page(result)
    test_the_page_asks_for_nothing(page)
    test_structure(page)
    assert len(page.find("script")) == 1
    assert not page.find("b")
    assert HOSTILE in page.find("title")[0][1]
    assert [text for _, text in page.find("option")][1] == HOSTILE
    (listed,) = page.find("ol", id="disputed")
    assert HOSTILE in listed[1]
    for attributes, _ in page.find("li"):
        if "data-said" in attributes:
            said = json.loads(attributes["data-said"])
            assert len(said) == len(result["systems"])
            assert all(each.startswith(HOSTILE) for each in said)


def test_a_lone_surrogate_becomes_a_question_mark(result, tmp_path):
    result["instances"][0]["text"] += " \ud83e."
    result["systems"][0]["name"] = "half \ud83e"
    for item in result["instances"]:
        item["predictions"]["half \ud83e"] = item["predictions"].pop("attention")
    page = Page(write_report(result, tmp_path)[0].read_text(encoding="utf-8"))
    assert "half ?" in [text for _, text in page.find("option")]


# -- who is right where others are wrong -------------------------------------------------------


def test_every_pair_is_counted(result):
    source = source_of(result)
    caption = "Instances that the system of the row gets right and that of the column wrong"
    heads, *rows = table(source, caption)
    assert heads == ["right", *RIGHT]
    for (i, one), (j, other) in permutations(enumerate(RIGHT), 2):
        expected = sum(a > b for a, b in zip(RIGHT[one], RIGHT[other], strict=True))
        assert rows[i][j + 1] == str(expected), (one, other)


def test_without_the_script_attention_and_the_best_classic_method(page):
    chosen = [(text, "selected" in attributes) for attributes, text in page.find("option")]
    assert [text for text, is_chosen in chosen if is_chosen] == ["attention", "lesk"]
    (menus,) = page.find("div", id="menus")
    assert "hidden" in menus[0]
    listed = [(a, " ".join(text.split())) for a, text in page.find("li") if "data-rank" in a]
    shown = [text for attributes, text in listed if "hidden" not in attributes]
    assert len(shown) == 3  # instances 2, 3 and 4
    for i, text in zip((2, 3, 4), shown, strict=True):
        assert text.startswith(TEXTS[i][0])
        assert f"attention: {TEXTS[i][2]} (0.75) · lesk: " in text
    assert all("0" in a["data-right"] and "1" in a["data-right"] for a, _ in listed)
    assert page.texts("span", id="count-n") == ["3"]
    assert page.texts("span", id="count-back") == ["1"]
    (left,) = page.find("span", id="left-out")
    assert "hidden" in left[0]


def test_what_all_get_right_is_not_listed(page):
    listed = [text for a, text in page.find("li") if "data-rank" in a]
    assert len(listed) == 5
    assert not any(TEXTS[0][0] in text for text in listed)  # all four are right


def test_a_long_list_is_cut_and_says_so(result):
    rng = np.random.default_rng(0)
    first = result["instances"][2]
    n = MOST_SHOWN + 57
    result["instances"] = [
        {
            **first,
            "id": f"long.{i}",
            "predictions": {
                name: [*said[:2], name == "attention" or bool(rng.integers(2) and name == "peer")]
                for name, said in first["predictions"].items()
            },
        }
        for i in range(n)
    ]
    page = Page(source_of(result))
    listed = [attributes for attributes, _ in page.find("li") if "data-rank" in attributes]
    shown = [attributes for attributes in listed if "hidden" not in attributes]
    assert len(shown) == MOST_SHOWN
    assert page.texts("span", id="count-n") == [str(n)]
    assert page.texts("span", id="count-left") == ["57"]
    # Of every pair the lowest ranks are in the page, so the script finds all that it may show.
    ranks = [hashlib.sha256(f"long.{i}".encode()).digest() for i in range(n)]
    rank = {i: k for k, i in enumerate(sorted(range(n), key=ranks.__getitem__))}
    assert {int(a["data-rank"]) for a in shown} == set(range(MOST_SHOWN))
    wrong_peer = [
        rank[i] for i, item in enumerate(result["instances"]) if not item["predictions"]["peer"][2]
    ]
    assert set(sorted(wrong_peer)[:MOST_SHOWN]) <= {int(a["data-rank"]) for a in listed}


def test_texts_that_may_not_be_quoted_are_not_there(result):
    result["instances"] = [
        {"id": item["id"], "predictions": item["predictions"]} for item in result["instances"]
    ]
    page = drawn_page(result)
    assert page.find("h2", id="disagreements")
    assert not page.find("ol", id="disputed")
    assert not page.find("select")
    assert not any(text in source_of(result) for text, *_ in TEXTS)
    assert "bat.animal: toy.0" in [a["aria-label"] for a, _ in page.find("g") if "tabindex" in a]


def test_cues_are_marked(page):
    marked = [text for _, text in page.find("mark")]
    assert {"cave", "ball", "money", "flew", "swing", "river"} <= set(marked)
    assert {"bat", "bank"} <= {text for _, text in page.find("strong")}


@pytest.mark.parametrize(
    ("word", "cues", "expected"),
    [
        ((4, 7), [], [("the ", 0, 0), ("bat", 1, 0), (" flew", 0, 0)]),
        ((4, 7), [[8, 12]], [("the ", 0, 0), ("bat", 1, 0), (" ", 0, 0), ("flew", 0, 1)]),
        ((4, 7), [[0, 3], [0, 7]], [("the", 0, 1), (" ", 0, 1), ("bat", 1, 1), (" flew", 0, 0)]),
        ((0, 12), [[5, 6]], [("the b", 1, 0), ("a", 1, 1), ("t flew", 1, 0)]),
        ((4, 7), [[8, 99]], [("the ", 0, 0), ("bat", 1, 0), (" ", 0, 0), ("flew", 0, 1)]),
    ],
)
def test_parts_of_a_text(word, cues, expected):
    item = {"text": "the bat flew", "start": word[0], "end": word[1], "cues": cues}
    assert parts_of(item) == tuple(Part(t, bool(w), bool(c)) for t, w, c in expected)


def test_points_of_the_map_are_reached_and_labelled(page):
    points = [attributes for attributes, _ in page.find("g") if "tabindex" in attributes]
    labels = [attributes["aria-label"] for attributes in points]
    assert labels == [
        "4 sentences at one place: 2 bat.animal, 2 bat.club",
        *(f"{sense}: {text}" for text, _, sense, _, _ in TEXTS[:4]),
    ]
    assert {attributes["role"] for attributes in points} == {"img"}
    for i in range(4):
        (entry,) = page.texts("li", id=f"sentence-{i}")
        assert entry == f"{TEXTS[i][0]}{TEXTS[i][2]}"


# -- where a classic method wins ---------------------------------------------------------------


def test_a_win_is_said(result):
    said = classic_wins(result)
    # bank: attention is right on one of two, and so is lesk; no group is won
    assert (
        said[0] == "No classic method is more accurate than attention on the set or a part of it."
    )
    assert said[1:] == [
        "lesk, the most accurate classic method (0.500), decides 50 times as many words a second "
        "as attention.",
        "lesk, the most accurate classic method (0.500), needs 300 MB less memory than attention.",
        "Better calibrated than attention (ECE 0.050): lesk 0.020.",
    ]
    result["systems"][1]["strata"]["far"] = 0.9
    result["systems"][2]["by_word"]["bank"] = 0.75
    said = classic_wins(result)
    assert said[0] == (
        "A classic method is more accurate than attention on stratum far (n = 3): lesk 0.900, "
        "attention 0.667."
    )
    assert said[1] == (
        "The best classic method for the word is ahead on 1 of 2 words: bank (word2vec 0.750 "
        "against 0.500)."
    )


def test_wins_need_both_sides(result):
    assert classic_wins({**result, "systems": result["systems"][1:]}) == []
    assert classic_wins({**result, "systems": result["systems"][:1]}) == []


def test_a_row_is_known_by_its_method(result):
    result["systems"][1] |= {
        "name": "mine",
        "method": {"@sense_methods": "spacy_attn.lesk_extended.v1", "window": 3},
    }
    result["systems"][2] |= {"name": "lesk", "method": "own.thing.v1"}
    assert any("mine, the most accurate classic method" in text for text in classic_wins(result))


def test_a_method_that_reads_contextual_vectors_is_not_classic(result):
    result["systems"][1]["encoder"] = "the identity of an encoder"  # such as a cascade
    assert any("word2vec, the most accurate classic" in text for text in classic_wins(result))
    del result["systems"][2]["method"]  # a function, which may read anything
    assert classic_wins(result) == []


def test_many_words_are_cut(result):
    words = {f"word{i:02}": 0.5 for i in range(20)}
    result["systems"][0]["by_word"] = words
    result["systems"][1]["by_word"] = {word: 0.5 + i / 100 for i, word in enumerate(words)}
    (said,) = [text for text in classic_wins(result) if "for the word" in text]
    assert "ahead on 19 of 20 words: word19 (lesk 0.690 against 0.500), word18" in said
    assert said.endswith("word08 (lesk 0.580 against 0.500) and 7 more.")
