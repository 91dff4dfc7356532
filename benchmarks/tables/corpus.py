"""The table of the written corpus' learning curve."""

from __future__ import annotations

from benchmarks.common import Result, load
from benchmarks.tables.markdown import made_with, page, percent, wide_table

__all__ = ["scores_of", "written"]


def scores_of(result: Result) -> dict[str, list[float]]:
    """Accuracy by held-out set, a value for each point; MASC's genres together."""
    points, n = result["points"], result["n_held_out"]
    genres = [name for name in n if name.startswith("masc:")]
    total = sum(n[name] for name in genres)

    def masc_of(point: Result, measure: str) -> float:
        return float(sum(n[name] * point[f"{name}:{measure}"] for name in genres) / total)

    return {
        "SemCor": [point["semcor:accuracy"] for point in points],
        "SemCor, not the first sense": [point["semcor:rest"] for point in points],
        "MASC": [masc_of(point, "accuracy") for point in points],
        "written words held out": [point["written:accuracy"] for point in points],
    }


def written() -> str:
    """Accuracy by held-out set and number of written sentences."""
    result = load("written-corpus")
    n, config = result["n_held_out"], result["config"]
    masc = sum(value for name, value in n.items() if name.startswith("masc:"))
    heads = [f"{point['written']:,}" for point in result["points"]]
    rows = {name: map(percent, values) for name, values in scores_of(result).items()}
    return page(
        f"""Accuracy on held-out text after {config["steps"]} steps of {config["batch_pieces"]:,}
        wordpieces, on every fourth training document of SemCor and this many written sentences
        (SemCor: {n["semcor"]:,} words, three genres of MASC: {masc:,}, words of which no written
        sentence was trained on: {n["written"]:,}). The steps stay the same, so more written
        sentences leave fewer steps for SemCor and its frequencies, and no prior of WordNet's counts
        makes up for it here. The bundled model is trained for longer, with that prior.""",
        wide_table("held out", heads, rows),
        made_with(".written_corpus"),
    )
