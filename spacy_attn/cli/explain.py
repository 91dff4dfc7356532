"""``spacy-attn explain``: why a word has its sense here, and how far to believe it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from spacy_attn.cli.options import AS_JSON, INVENTORY, METHOD, MODEL, PIPELINE, check_folder
from spacy_attn.cli.syntax import show_syntax
from spacy_attn.cli.terminal import (
    SafeConsole,
    given_texts,
    json_text,
    messages,
    print_indented,
    visible,
)
from spacy_attn.errors import ConfigError, explain_missing_package

if TYPE_CHECKING:
    from spacy_attn.explain.explanation import Explanation
    from spacy_attn.explain.page import ShadedToken

T = TypeVar("T")

_SHADES = ((0.66, "black on cyan"), (0.33, "black on bright_cyan"), (0.1, "underline"))
_AGAINST = ((0.66, "black on yellow"), (0.33, "black on bright_yellow"), (0.1, "underline"))
_BLOCKS = " ▏▎▍▌▋▊▉█"  # eighths of a column


def explain(
    texts: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT", help="Texts, each in quotes; - reads lines from standard input."
        ),
    ],
    word: Annotated[
        str | None,
        typer.Option(
            help="The word to explain, as in the text or its lemma (default: all).",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C|all",
            help="Attribution methods, separated by commas; the first is shown: occlusion, "
            "integrated_gradients, gradient_x_input, attention, norms, rollout, static, nearness, "
            "random; all: all but nearness and random (default: occlusion; with --layer also "
            "attention and norms).",
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE.html", help="Write one self-contained page.", show_default=False
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw the weights as arcs: a .png or .svg file.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npz",
            help="Write attention, norms and rollout of all layers and heads, for up to 100 "
            "tokens on each side of the word; with --layer and --head also queries, keys and "
            "values.",
            show_default=False,
        ),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(help="Layer of attention, from 1 (default: their mean).", show_default=False),
    ] = None,
    head: Annotated[
        int | None,
        typer.Option(help="Head of that layer, from 1 (default: their mean).", show_default=False),
    ] = None,
    syntax: Annotated[
        bool,
        typer.Option(
            "--syntax",
            help="Show the dependency parse instead, and the heads of attention that follow it.",
        ),
    ] = False,
    method: Annotated[str, METHOD] = "attention",
    model: Annotated[str | None, MODEL] = None,
    inventory: Annotated[str, INVENTORY] = "homographs",
    pipeline: Annotated[str | None, PIPELINE] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Show which words of the context decided the sense of a word, and check it.

    Every explanation shows how far the probability of the sense falls without the words with the
    highest weights, and with these words alone, next to the same for random words.
    """
    texts = given_texts(texts)
    _check_files(html, plot, weights)
    if syntax:
        _refuse_with_syntax(
            {
                "--word": word,
                "--by": by,
                "--html": html,
                "--plot": plot,
                "--weights": weights,
                "--layer": layer,
                "--head": head,
                "--method": None if method == "attention" else method,
                "--model": model,
                "--inventory": None if inventory == "homographs" else inventory,
            }
        )
        show_syntax(texts, pipeline, as_json=as_json)
        return
    names = _names(by, layer, head, is_for_weights=weights is not None)
    from spacy_attn.components.pipeline import load_pipeline
    from spacy_attn.explain.attention import save_attention
    from spacy_attn.explain.attribution import check_attributions
    from spacy_attn.explain.decision import subjects_of
    from spacy_attn.explain.explanation import DEFAULT_ATTRIBUTIONS
    from spacy_attn.explain.explanation import explain as explain_texts
    from spacy_attn.wsd.methods.registry import with_model

    attributions = DEFAULT_ATTRIBUTIONS if names == ("all",) else names
    check_attributions(attributions)  # before models load
    (chosen,) = with_model([method], model)
    console = messages()
    with console.status("Reading models ..."):
        nlp = load_pipeline(pipeline, inventory=inventory, method=chosen)
        if plot is not None or weights is not None:  # refused before the weights are computed
            option = "--plot" if plot is not None else "--weights"
            subject = _only([subject for _, subject in subjects_of(nlp, texts, word, None)], option)
            if weights is not None:
                _ = subject.encoder  # a method without one is refused here
        found = explain_texts(nlp, texts, word, attributions=attributions, layer=layer, head=head)
    written = _write_files(found, html, plot)
    if weights is not None:
        save_attention(_only(found, "--weights").subject, weights, layer=layer, head=head)
        written.append(weights)
    if as_json:
        typer.echo(json_text([each.to_json() for each in found], indent=1))
    else:
        for each in found:
            _print(each)
        if not found:
            typer.echo("no ambiguous word of the inventory in these texts")
    for attribution, reason in _left_out(found).items():
        console.print(f"[yellow]{attribution} was left out:[/] {escape(reason)}", soft_wrap=True)
    for path in written:
        console.print(f"written: {path}", markup=False, soft_wrap=True)


def _names(
    by: str | None, layer: int | None, head: int | None, *, is_for_weights: bool
) -> tuple[str, ...]:
    """The attribution methods; a layer or head that none of them reads is refused."""
    if head is not None and layer is None:
        raise ConfigError(f"--head {head} needs --layer: a head is one of a layer")
    if by is None:
        return ("occlusion",) if layer is None else ("occlusion", "attention", "norms")
    names = tuple(name.strip() for name in by.split(",") if name.strip())
    reads_layers = {"attention", "norms", "rollout", "all"}.intersection(names)
    if layer is not None and not reads_layers and not is_for_weights:
        raise ConfigError(
            f"--layer {layer} with --by {by}: layers are of attention, norms and rollout; add one "
            "of them to --by"
        )
    return names


def _refuse_with_syntax(given: Mapping[str, object]) -> None:
    """Options that say nothing of a parse."""
    extra = [name for name, value in given.items() if value is not None]
    if extra:
        raise ConfigError(f"--syntax shows the parse, without {', '.join(extra)}: leave that out")


def _check_files(html: Path | None, plot: Path | None, weights: Path | None) -> None:
    """What cannot be written is told before models load."""
    for option, path, suffixes in (
        ("--html", html, (".html", ".htm")),
        ("--plot", plot, (".svg", ".png")),
        ("--weights", weights, (".npz",)),
    ):
        if path is None:
            continue
        if path.suffix not in suffixes:
            raise ConfigError(
                f"{option} {path}: allowed are names that end in {' or '.join(suffixes)}"
            )
        check_folder(option, path)
    if plot is not None:
        with explain_missing_package("a picture"):
            import matplotlib  # noqa: F401


def _write_files(found: list[Explanation], html: Path | None, plot: Path | None) -> list[Path]:
    from spacy_attn.explain.page import page
    from spacy_attn.explain.page import plot as draw

    if html is not None:
        html.write_text(page(found), encoding="utf-8")
    if plot is not None:
        only = _only(found, "--plot")
        draw(only, plot, next(iter(only.weights)))
    return [path for path in (html, plot) if path is not None]


def _only(found: list[T], option: str) -> T:
    if len(found) != 1:
        raise ConfigError(f"{option} is for one word, here are {len(found)}; name it with --word")
    return found[0]


def _print(explanation: Explanation) -> None:
    from spacy_attn.explain.attribution import LABELS
    from spacy_attn.explain.page import shaded

    console = SafeConsole(highlight=False)
    record = explanation.to_json()
    attribution = next(iter(explanation.weights))
    console.print()
    console.print(_text_of(shaded(explanation, attribution)), soft_wrap=True)
    said = (
        f"[bold cyan]{visible(record['text'])}[/] is [bold green]{escape(record['sense'])}[/] "
        f"{record['score']:.2f}  {escape(record['definition'])}"
    )
    second = record["runner_up"]
    other = f"{escape(second['sense'])} {second['score']:.2f}  {escape(second['definition'])}"
    print_indented(console, said, 3)
    print_indented(console, f"runner-up {other}", 3, style="dim")
    console.print(_bars(explanation, attribution))
    table = Table(
        "method",
        "top word",
        "without",
        "random",
        "alone",
        "random",
        "agrees",
        box=None,
        padding=(0, 1),
    )
    for name, trust in explanation.trust.items():
        top = explanation.weights[name].top(1)
        word = explanation.subject.context.tokens[top[0]] if top else ""
        numbers = (
            trust.comprehensiveness,
            trust.comprehensiveness_random,
            trust.sufficiency,
            trust.sufficiency_random,
        )
        rho = explanation.agreement.get((attribution, name))
        agrees = "" if rho is None else f"{rho:+.2f}"
        cells = (f"{number:+.2f}" for number in numbers)
        table.add_row(LABELS[name], visible(word), *cells, agrees)
    console.print(table)
    for note in _notes(explanation, attribution):
        print_indented(console, note, 3, style="dim")


def _notes(explanation: Explanation, attribution: str) -> list[str]:
    """What the numbers of the table mean."""
    from spacy_attn.explain.attribution import LABELS

    n_words = next(iter(explanation.trust.values())).n_words
    notes = [
        "without, alone: how far the probability falls without the fifth of the words with the "
        f"highest weights ({n_words} here; higher is better), and with these alone (lower is "
        "better).",
        f"agrees: rank correlation with {LABELS[attribution]}.",
    ]
    gap = next((w.gap for w in explanation.weights.values() if w.gap is not None), None)
    if gap is not None:
        notes.append(f"Integrated gradients leave {100 * gap:.1f} % of the difference unexplained.")
    return notes


def _text_of(tokens: list[ShadedToken]) -> Text:
    out = Text()
    for token in tokens:
        steps = _SHADES if token.weight >= 0 else _AGAINST
        style = next((style for least, style in steps if token.shade >= least), "")
        # visible() escapes for markup, which a Text does not read.
        shown = Text.from_markup(visible(token.text)).plain
        out.append(shown, "bold reverse" if token.is_target else style)
        out.append(token.space)
    return out


def _bars(explanation: Explanation, attribution: str) -> Table:
    """The words that weigh most, with a block for each."""
    weights = explanation.weights[attribution]
    most = max((abs(float(weights.values[i])) for i in weights.words), default=0.0) or 1.0
    table = Table(box=None, padding=(0, 1), show_header=False)
    for i in sorted(weights.words, key=lambda i: -abs(float(weights.values[i])))[:5]:
        value = float(weights.values[i])
        eighths = round(80 * abs(value) / most)
        bar = "█" * (eighths // 8) + (_BLOCKS[eighths % 8] if eighths % 8 else "")
        style = "cyan" if value >= 0 else "yellow"
        word = visible(explanation.subject.context.tokens[i])
        table.add_row(f"   {word}", f"{value:+.2f}", f"[{style}]{bar}[/]")
    return table


def _left_out(found: list[Explanation]) -> dict[str, str]:
    return {attribution: reason for each in found for attribution, reason in each.left_out.items()}
