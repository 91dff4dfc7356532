"""The report of a comparison: one HTML file that needs nothing else, and its figures.

The same ``results.json`` gives the same bytes. Jinja2 escapes whatever comes from the data; the
page's policy allows no request and no script but its own, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from spacy_attn.compare.report import figures, tables
from spacy_attn.compare.report.disputes import Part, disputes_of, parts_of
from spacy_attn.compare.report.figures import Picture, as_png, as_svg
from spacy_attn.compare.report.findings import classic_wins
from spacy_attn.errors import ResourceError

if TYPE_CHECKING:
    from markupsafe import Markup


def write_report(result: tables.Result, folder: str | Path) -> list[Path]:
    """Write ``report.html`` and ``figures/NAME.svg`` and ``.png`` into a folder.

    Files of an earlier report are replaced; figures that this one has no data for are removed.

    Args:
        result: the contents of ``results.json``.
        folder: made if needed.

    Returns:
        The files, ``report.html`` first.

    Raises:
        ResourceError: matplotlib or Jinja2 is missing, or a file cannot be written.
    """
    figures.can_be_drawn("the report")
    folder = Path(folder).expanduser()
    pictures = figures.draw_all(result)
    drawn = {name: as_svg(picture) for name, picture in pictures.items()}
    # A lone half of a surrogate pair cannot be written; it becomes a question mark.
    page = report_html(result, pictures, drawn).encode("utf-8", "replace")
    files: dict[Path, bytes | None] = {folder / "report.html": page}
    for name in (*pictures, *figures.NAMES):
        path = folder / "figures" / name
        picture = pictures.get(name)
        files[path.with_suffix(".svg")] = drawn[name].encode("utf-8") if picture else None
        files[path.with_suffix(".png")] = as_png(picture) if picture else None
    for path, contents in files.items():
        try:
            if contents is None:
                path.unlink(missing_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents)
        except OSError as error:
            raise ResourceError(
                f"{path} cannot be written: {error.strerror or error}; give another folder"
            ) from error
    return [path for path, contents in files.items() if contents is not None]


def report_html(
    result: tables.Result, pictures: Mapping[str, Picture], drawn: Mapping[str, str]
) -> str:
    """The page.

    Args:
        result: the contents of ``results.json``.
        pictures: as ``figures.draw_all`` gives them.
        drawn: each of them as SVG.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["sha256"] = _script_hash
    sentences = _sentences(result)
    points = _place_labels(result)
    for i, (sense, parts) in enumerate(sentences):
        points[f"map-point-{i}"] = f"{sense}: {''.join(part.text for part in parts)}"
    inlined = {n: inline_svg(drawn[n], picture, points) for n, picture in pictures.items()}
    page = environment.get_template("page.html.j2").render(
        result=result,
        n_words=len(tables.word_counts(result)),
        n_published=sum(map(tables.is_published, result["systems"])),
        strata=tables.strata_of(result),
        short=tables.short_of_examples(result),
        notes=tables.notes(result),
        wins=classic_wins(result),
        tables=tables.page_tables(result),
        figures=inlined,
        pictures=pictures,
        sentences=sentences,
        disputes=disputes_of(result),
        series=figures.SERIES,
    )
    return page.lstrip()


def _script_hash(script: str) -> str:
    """How a content security policy names a script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


# -- figures in the page -------------------------------------------------------------------


def _sentences(result: tables.Result) -> list[tuple[str, tuple[Part, ...]]]:
    """The senses of the points of the map, and their texts where these may be shown."""
    points = (result.get("vector_map") or {}).get("points") or []
    texts = {item["id"]: parts_of(item) for item in result.get("instances") or [] if "text" in item}
    return [
        (point["sense"], texts.get(point["instance"], (Part(str(point["instance"])),)))
        for point in points
    ]


def _place_labels(result: tables.Result) -> dict[str, str]:
    """What each place of static vectors says, by its id in the drawing."""
    points = (result.get("vector_map") or {}).get("points") or []
    labels = {}
    for k, members in enumerate(figures.map_places(points).values()):
        senses = [points[i]["sense"] for i in members]
        counts = ", ".join(f"{senses.count(sense)} {sense}" for sense in dict.fromkeys(senses))
        noun = "sentence" if len(members) == 1 else "sentences"
        labels[f"map-place-{k}"] = f"{len(members)} {noun} at one place: {counts}"
    return labels


def inline_svg(svg: str, picture: Picture, points: Mapping[str, str]) -> Markup:
    """A figure as part of a page, in the page's colours.

    Ids get the picture's name in front, since a page has many figures; points that can be
    pointed at get a label and a place in the tab order.

    Args:
        svg: as ``as_svg`` gives it.
        picture: what it is of.
        points: labels of points, by their ids.
    """
    from markupsafe import Markup

    root = ElementTree.fromstring(svg)  # noqa: S314 (our own)
    colours = {
        figures.INK: "currentColor",
        figures.FAINT: "var(--line)",
        figures.PAPER: "var(--paper)",
    }
    colours |= {c: f"var(--series-{i})" for i, c in enumerate(figures.SERIES) if c not in colours}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        label = points.get(element.get("id", "")) if element.tag == "g" else None
        here = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        element.attrib.clear()
        for key, value in here.items():
            element.set(key, _moved(value, picture.name, key, colours))
        if label is not None:
            element.attrib |= dict(tabindex="0", role="img") | {
                "class": "point",
                "aria-label": label,
            }
            title = ElementTree.Element("title")
            title.text = label
            element.insert(0, title)
    has_points = root.find(".//g[@class='point']") is not None
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "group" if has_points else "img", "aria-label": picture.alt}
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 (escaped by it)


def _moved(value: str, name: str, key: str, colours: Mapping[str, str]) -> str:
    """An attribute's value with ids that are the picture's own, and the page's colours."""
    if key == "id":
        return f"{name}--{value}"
    if key == "href":
        return value.replace("#", f"#{name}--", 1)
    if key == "style" or value.startswith("url(#"):
        for colour, variable in colours.items():
            value = value.replace(colour, variable)
        return value.replace("url(#", f"url(#{name}--")
    return value
