"""``spacy-attn inventory``: bring a dictionary, look at it, add examples to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from spacy_attn.cli.added import say_what_is_decided_otherwise
from spacy_attn.cli.options import AS_JSON, MODEL, check_folder, check_inputs
from spacy_attn.cli.terminal import SafeConsole, json_text, messages, visible
from spacy_attn.errors import ConfigError, counted

if TYPE_CHECKING:
    from spacy_attn.wsd.inventory.check import InventoryReport
    from spacy_attn.wsd.inventory.jsonl import Inventory
    from spacy_attn.wsd.inventory.protocol import SenseInventory
    from spacy_attn.wsd.method import SenseMethod
    from spacy_attn.wsd.sense import Sense

_SHOWN = 10  # of each kind of finding
_ENOUGH = 100  # decisions from which a share in percent says more than their number

app = typer.Typer(
    help="Make an inventory of a dictionary, check it, add examples to it, show its senses.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("import", epilog="Example: spacy-attn inventory import glossary.csv -o mine.jsonl")
def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A glossary (.csv, .tsv), a wordnet in WN-LMF (.xml), Wiktionary by Wiktextract "
            "(.jsonl), each also .gz; or wn:LEXICON, such as wn:oewn:2024; - is standard input.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT", help="The .jsonl file to write.")
    ],
    format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Format of FILE: glossary, wn-lmf or wiktextract (default: by its name).",
        ),
    ] = None,
    lang: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Language, such as en; needed where FILE has several (default: that of FILE).",
        ),
    ] = None,
    pos: Annotated[
        str | None,
        typer.Option(
            metavar="NOUN|VERB|ADJ|ADV",
            help="Part of speech of a glossary's terms that name none (default: VERB for 'to run', "
            "else NOUN).",
        ),
    ] = None,
    columns: Annotated[
        str,
        typer.Option(
            metavar="NAME=HEADER,...",
            help="Columns of a glossary by their headers: term, definition, pos, sense, examples, "
            "forms, supersense (default: headers of these or similar names).",
        ),
    ] = "",
    lexicon: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Lexicon of a WN-LMF file that has several, by ID or ID:VERSION, with blanks "
            "between several (default: all of the language).",
        ),
    ] = None,
) -> None:
    """Make an inventory of a glossary, a wordnet or Wiktionary.

    A glossary has a row for each sense: a term, its definition, and optionally part of speech, id,
    examples and forms, with | between several. Definitions alone work, and so do examples alone.
    The word is searched for in each example; mark it with ** on both sides where it is not found.

    Use the result with [b]--inventory OUT[/] or [b]inventory = "OUT"[/] in a config.
    """
    _check_output(output)
    if source == "-":
        source = "/dev/stdin"
    if not source.startswith("wn:"):
        check_inputs("", Path(source), may_be_pipe=True)
    from spacy_attn.wsd.inventory.importers.glossary import parse_columns
    from spacy_attn.wsd.inventory.importers.run import import_inventory

    summary = import_inventory(
        source,
        output,
        format=format,
        lang=lang,
        pos=pos,
        columns=parse_columns(columns),
        lexicon=lexicon,
    )
    console = messages()
    _say(
        console,
        f"{counted(summary.n_senses, 'sense')} of {counted(len(summary.words), 'word')} with "
        f"{counted(summary.n_examples, 'example')}, language "
        f"{summary.lang or 'not named (--lang CODE names it)'}",
    )
    for reason, n in summary.left_out.most_common():
        _say(console, f"left out: {reason} ({n:,})")
    for note in summary.notes:
        _say(console, note)
    typer.echo(str(output))


@app.command(epilog="Example: spacy-attn inventory check mine.jsonl")
def check(
    inventory: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="The inventory: one or several .jsonl files."),
    ],
    pipeline: Annotated[
        str | None,
        typer.Option(help="spaCy pipeline whose tokenizer is tried (default: a blank one)."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(help="Sense method that decides held-out examples; none: it decides none."),
    ] = "attention",
    model: Annotated[str | None, MODEL] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Count the senses of an inventory and show what will not work well.

    Shown are words with one sense, definitions that say nothing or nearly the same as another one
    of the word, words that the tokenizer cuts apart so that they are not found, and examples whose
    marked word is no known form of the word.

    Then the method decides about 300 examples, each while it is held out, and the share of correct
    decisions is shown.
    """
    from spacy_attn.components.adapter import resources_of
    from spacy_attn.components.pipeline import blank_pipeline, load_pipeline
    from spacy_attn.wsd.inventory.check import check_inventory

    chosen = _chosen(method, model)
    loaded = _load(inventory)
    if pipeline is None:
        nlp = blank_pipeline(loaded.lang or "xx")
    else:
        nlp = load_pipeline(pipeline, components=())
    resources = resources_of(nlp)
    report = check_inventory(loaded, resources.tokenize, nlp.Defaults.stop_words)
    console = messages()
    sample = None
    if chosen is not None:
        with console.status("Deciding a sample ..."):
            from spacy_attn.train.sample import decided_sample

            sample = decided_sample(loaded, resources, chosen)
    if as_json:
        record = asdict(report) | {"sample": sample}
        typer.echo(json_text(record, indent=1))
        return
    _print_report(report, sample)


@app.command(epilog="Example: spacy-attn inventory add mine.jsonl --from corrections.jsonl")
def add(
    inventory: Annotated[str, typer.Argument(metavar="FILE", help="The inventory, a .jsonl file.")],
    corrections: Annotated[
        Path,
        typer.Option("--from", metavar="FILE", help="Corrections, as the reading page saves them."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="The .jsonl file to write (default: the inventory).",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(help="Sense method that reads the new examples; none: they are not read."),
    ] = "attention",
    model: Annotated[str | None, MODEL] = None,
) -> None:
    """Make examples of corrections, so that the inventory's methods learn from them.

    Lines of "none of these" and "cannot tell" are counted and left out.

    Then the method reads the new examples. Those to which it still gives another sense are shown:
    one example does not always outweigh a dozen others.
    """
    from spacy_attn.wsd.inventory.corrections import (
        add_examples,
        read_corrections,
        write_with_examples,
    )

    if output is not None:
        _check_output(output)
    check_inputs("--from", corrections)
    chosen = _chosen(method, model)
    loaded = _load([inventory])
    path = Path(inventory)
    if not path.is_file():
        if output is None:
            raise ConfigError(f"{inventory} is bundled and stays as it is; name a file with -o")
        path = _bundled(inventory)
    added = add_examples(loaded, read_corrections(corrections))
    write_with_examples(path, {s.id: s.examples for s in added.inventory.senses}, output or path)
    console = messages()
    _say(
        console,
        f"added {counted(len(added.added), 'example')}; there before: {added.n_known:,}; without a "
        f"sense: {added.n_no_sense:,}",
    )
    if added.unknown:
        shown = ", ".join(added.unknown[:_SHOWN])
        _say(console, f"senses that {inventory} does not have, left out: {shown}")
    if added.elsewhere:
        shown = ", ".join(
            f"{each.text[each.start : each.end]!r} for {each.sense}"
            for each in added.elsewhere[:_SHOWN]
        )
        _say(
            console,
            f"places of another word, left out: {shown}; repair start and end, or add to the "
            "word's forms",
        )
    if chosen is not None and added.added:
        say_what_is_decided_otherwise(console, added, chosen, corrections)
    typer.echo(str(output or path))
    if not added.added and (added.unknown or added.elsewhere):
        raise typer.Exit(1)


@app.command(epilog="Example: spacy-attn inventory show bat --inventory homographs")
def show(
    word: Annotated[
        str | None,
        typer.Argument(
            metavar="WORD", help="A word; without it all words are listed.", show_default=False
        ),
    ] = None,
    inventory: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Sense inventory: homographs, wordnet or the path of a .jsonl file. Repeatable "
            "(default: homographs).",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Show the senses of a word, or the words of an inventory."""
    from spacy_attn.wsd.inventory.lines import normal_form
    from spacy_attn.wsd.inventory.open import load_inventory

    names = inventory or ["homographs"]
    loaded = load_inventory(names[0] if len(names) == 1 else names)
    if word is None:
        _print_words(loaded.words, as_json)
        return
    senses = loaded.candidates(normal_form(word))
    if not senses:
        raise ConfigError(
            f"{loaded.name!r} has no word {word!r}{_near(word, loaded)}; all its words: "
            f"spacy-attn inventory show --inventory {names[0]}"
        )
    if as_json:
        typer.echo(json_text([asdict(sense) for sense in senses], indent=1))
    else:
        _print_senses(senses)


# -- what is shown ---------------------------------------------------------------------------


def _check_output(output: Path) -> None:
    """A name that would be taken for another format is told before the work."""
    if output.suffix != ".jsonl":
        raise ConfigError(f"-o {output}: allowed are names that end in .jsonl")
    check_folder("-o", output)


def _load(names: Sequence[str]) -> Inventory:
    from spacy_attn.wsd.inventory.jsonl import load_inventory

    if "wordnet" in names:
        raise ConfigError("wordnet: this command is for inventories of your own, .jsonl files")
    return load_inventory(names[0] if len(names) == 1 else list(names))


def _chosen(method: str, model: str | None) -> SenseMethod | None:
    """The method; a wrong name is told before the inventory is read."""
    from spacy_attn.wsd.methods.registry import sense_method, with_model

    return None if method == "none" else sense_method(with_model([method], model)[0])


def _bundled(name: str) -> Path:
    from importlib.resources import files

    return Path(str(files("spacy_attn").joinpath("data", f"{name}.jsonl")))


def _note_of_encoders(lang: str | None, encoders: Sequence[str]) -> str | None:
    """That an encoder of English has decided words of another language, where that is known."""
    from spacy_attn.models import ACCURATE_ENCODER, DEFAULT_ENCODER

    english = [name for name in encoders if name in (DEFAULT_ENCODER, ACCURATE_ENCODER)]
    if not english or lang in (None, "en"):
        return None
    return f"{english[0]} is an encoder of English: choose one that knows {lang} with --model NAME"


def _print_report(report: InventoryReport, sample: dict[str, Any] | None) -> None:
    out = SafeConsole(highlight=False)
    kinds = ", ".join(f"{n:,} {pos}" for pos, n in report.n_of_pos.items())
    _say(out, f"{report.name}, language {report.lang or 'not named'}")
    if report.lang is None:
        _say(
            out,
            "  it takes that of each pipeline, and is checked with English forms; to name it, add "
            '"lang": "en" to the first line',
        )
    words, senses = counted(report.n_words, "word"), counted(report.n_senses, "sense")
    _say(out, f"  {words}, {senses} ({kinds})")
    _say(out, f"  {counted(report.n_examples, 'example')}")
    _say(out, f"  senses without an example: {len(report.without_examples):,}")
    _say(out, f"  senses without a definition: {len(report.without_definition):,}")
    one = ", ".join(report.one_sense[:_SHOWN])
    _say(out, f"  words with one sense: {len(report.one_sense):,}{one and ': '}{one}")
    alike = [f"{a} and {b} ({share:.0%} of the words)" for a, b, share in report.alike]
    cut = [f"{lemma} becomes {tokens}" for lemma, tokens in report.not_found]
    others = [f"{word} for {sense}" for sense, word in report.other_words]
    for title, found in (
        ("definitions that say nothing", report.says_nothing),
        ("definitions that say nearly the same", alike),
        ("words that are not found, because the tokenizer cuts them apart", cut),
        ("examples with another word, or a form to add to forms", others),
    ):
        _say(out, f"  {title}: {len(found):,}")
        for each in found[:_SHOWN]:
            _say(out, f"    {visible_plain(each)}")
        if len(found) > _SHOWN:
            _say(out, f"    and {len(found) - _SHOWN:,} more: --json shows all")
    encoder = f" ({', '.join(sample['encoders'])})" if sample and sample["encoders"] else ""
    if sample is None:
        _say(out, "  no sample: no word has two senses with examples to try")
    elif "error" in sample:
        _say(out, f"  no sample: {sample['error']}")
    else:
        n, accuracy = sample["n"], sample["accuracy"]
        share = f" ({accuracy:.0%})" if n >= _ENOUGH else ""
        _say(
            out,
            f"  {sample['method']}{encoder} decides {round(accuracy * n):,} of "
            f"{counted(n, 'held-out example')} of {counted(sample['n_words'], 'word')} "
            f"correctly{share}",
        )
    if note := _note_of_encoders(report.lang, sample["encoders"] if sample else ()):
        _say(out, f"  {note}")


def visible_plain(text: str) -> str:
    """Text for a terminal without markup: control characters as symbols."""
    from rich.text import Text

    return Text.from_markup(visible(text)).plain


def _print_words(words: Sequence[tuple[str, str]], as_json: bool) -> None:
    by_lemma: dict[str, list[str]] = {}
    for lemma, pos in words:
        by_lemma.setdefault(lemma, []).append(pos)
    if as_json:
        typer.echo(json_text(by_lemma))
        return
    for lemma, tags in by_lemma.items():
        typer.echo(f"{visible_plain(lemma)}\t{' '.join(tags)}")


def _print_senses(senses: Sequence[Sense]) -> None:
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column(no_wrap=True, style="bold green")
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for sense in senses:
        said = visible(sense.definition)
        if sense.examples:
            first = sense.examples[0]
            marked = (
                f"{visible(first.text[: first.start])}[bold]{visible(_word(first))}[/]"
                f"{visible(first.text[first.end :])}"
            )
            more = f" (and {len(sense.examples) - 1} more)" if len(sense.examples) > 1 else ""
            said += f"\n[dim]{marked}{more}[/]"
        table.add_row(visible(sense.id), sense.pos, said)
    SafeConsole(highlight=False).print(table)


def _word(example: Any) -> str:
    return str(example.text[example.start : example.end])


def _near(word: str, inventory: SenseInventory) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word.lower(), [lemma for lemma, _ in inventory.words], 1, 0.75)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _say(console: SafeConsole, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
