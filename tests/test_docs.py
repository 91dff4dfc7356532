"""README.md and every page of docs/: what they show is what happens, and links lead somewhere."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.markdown_blocks import ROOT, SHELLS, blocks_of, commands_of, faults_of

README = ROOT / "README.md"
DOCS = ROOT / "docs"
GENERATED = {"_build", "api"}
PAGES = [
    README,
    ROOT / "examples" / "README.md",
    *sorted(p for p in DOCS.rglob("*.md") if not GENERATED & {*p.parts}),
]
TEXT = {page: page.read_text(encoding="utf-8") for page in PAGES}
BLOCKS = {page: blocks_of(text) for page, text in TEXT.items()}
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
_TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


WITH_CODE = [
    page
    for page, blocks in BLOCKS.items()
    if any(block.language in {"python", *SHELLS} for block in blocks)
]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_blocks_run_and_print_what_is_shown(page: Path, tmp_path: Path) -> None:
    if "import pandas" in TEXT[page]:
        pytest.importorskip("pandas")
    faults = faults_of(page, tmp_path)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_of_data_are_well_formed(page: Path) -> None:
    languages = {"python", "json", "toml", "text", *SHELLS}
    names = {each.name for each in entry_points(group="spacy_attn_sense_methods")}
    factories = {each.name for each in entry_points(group="spacy_factories")}
    for block in BLOCKS[page]:
        assert block.language in languages or block.language.startswith("{"), block
        if block.language == "toml":
            assert tomllib.loads(block.source)
        if block.language == "json":
            for line in [block.source] if "\n " in block.source else block.source.splitlines():
                value = json.loads(line)
                assert value.get("@sense_methods") in {None, *names}, block
                assert value.get("factory") in {None, *factories}, block


def test_what_shell_lines_name_exists() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    commands = [
        command
        for blocks in BLOCKS.values()
        for block in blocks
        if block.language in SHELLS
        for command in commands_of(block)
    ]
    texts = [
        *commands,
        *(span for text in TEXT.values() for span in re.findall(r"`([^`]+)`", text)),
    ]
    made = {text.split()[1] for text in texts if text.startswith("make ")}
    extras = {
        extra
        for text in texts
        for group in re.findall(r'(?:spacy-attn|"\.)\[([\w,-]+)\]', text)
        for extra in group.split(",")
    }
    modules = {text.split()[2] for text in texts if text.startswith("python -m benchmarks")}
    assert modules
    for name in modules:
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), name
    assert made <= targets
    assert extras <= set(project["optional-dependencies"])


# -- links ---------------------------------------------------------------------------------------


def anchors_of(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```$", "", TEXT[page], flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#{1,4} (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links_of(page: Path) -> set[Path]:
    """The files that a page links to."""
    targets = {(page.parent / path).resolve() for path, _ in _LINK.findall(TEXT[page]) if path}
    for toctree in _TOCTREE.findall(TEXT[page]):
        names = [line for line in toctree.splitlines() if line and not line.startswith(":")]
        targets |= {(page.parent / f"{name}.md").resolve() for name in names}
    return targets


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for path, anchor in _LINK.findall(TEXT[page]):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor and target.stem != "cli":  # whose headings are generated
            assert anchor in anchors_of(target), f"{path}#{anchor}"


def test_every_page_is_two_clicks_from_the_readme() -> None:
    first = links_of(README)
    second = {link for page in first if page in TEXT for link in links_of(page)}
    assert {name_of(page) for page in PAGES} <= {name_of(p) for p in {README, *first, *second}}


#: What users ask, and what they must find where README.md sends them.
QUESTIONS = {
    "my own senses": '"definition"',
    "my own glossary": "inventory import",
    "only the sure answers": '"threshold"',
    "no sense": "`backoff`",
    "Which method": "`ensemble`",
    "How fast": 'precision = "auto"',
    "GPU": '"cuda"',
    "without internet access": "--no-index",
    "missing or broken": "spacy-attn doctor",
    "Why was this sense chosen": "occlusion",
    "folder of Parquet files": "*.parquet",
    "interrupted": "`--resume` continues",
    "train it on my data": "train-senses --data",
    "other languages": "an encoder for the language",
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_readme_leads_to_answers(question: str) -> None:
    (row,) = re.findall(rf"^\| [^|]*{question}[^|]*\| (.+) \|$", TEXT[README], re.MULTILINE)
    ((path, anchor),) = _LINK.findall(row)
    text = TEXT[ROOT / path]
    if anchor:
        sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
        text = next(s for s in sections if anchor in s.partition("\n")[0].lower().replace(" ", "-"))
    assert QUESTIONS[question] in text


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_of_the_repository_exist(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", TEXT[page], flags=re.DOTALL | re.MULTILINE)
    paths = re.findall(r"`((?:spacy_attn|benchmarks|docs|scripts|tests|examples)/[\w./-]*)`", prose)
    made = "docs/_build/html"  # by make docs
    assert [path for path in paths if not (ROOT / path).exists() and path != made] == []


def test_every_public_name_is_in_the_reference() -> None:
    import spacy_attn

    text = TEXT[DOCS / "reference" / "api.md"]
    assert [name for name in spacy_attn.__all__ if name not in text] == []


def test_every_command_is_in_the_reference() -> None:
    import typer

    from spacy_attn.cli.app import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    listed = re.findall(
        r"^\| \[`([\w-]+)`\]\(#\1\)", TEXT[DOCS / "reference" / "cli.md"], re.MULTILINE
    )
    assert set(listed) == set(commands)


# -- the rules of the house ------------------------------------------------------------------------


def test_the_readme_is_short() -> None:
    assert len(TEXT[README].splitlines()) <= 200


def test_attention_by_hand_is_short() -> None:
    assert len(TEXT[DOCS / "attention.md"].splitlines()) < 150


def test_the_counts_of_the_inventory() -> None:
    path = ROOT / "spacy_attn" / "data" / "homographs.jsonl"
    senses = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    n_words = len({sense["lemma"] for sense in senses})
    n_examples = sum(len(sense.get("examples", ())) for sense in senses)
    assert f"has {n_words} ambiguous English words" in TEXT[README]
    counts = f"has {n_words} English words with {len(senses)} senses and {n_examples:,} example"
    assert counts in TEXT[DOCS / "senses.md"]
