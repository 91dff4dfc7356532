"""``examples/``: the classic pipeline assembles, runs in several processes, tells the truth."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

import spacy_attn

ROOT = Path(__file__).parents[1]
TEXTS = ["The old bank bought two ships.", "Anna Kovac gave him a book in Lisbon.", ""]
OURS = ["nltk_stemmer", "nltk_chunker", "nltk_parser", "nltk_ner", "relation_extractor", "word2vec"]


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def assembled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "examples", folder / "examples")
    run(
        "spacy_attn",
        "train-chunker",
        "examples/entities.conll",
        "--task",
        "entities",
        "-o",
        "entities.tagger",
        cwd=folder,
    )
    run("spacy", "assemble", "examples/classic.cfg", "classic_pipeline", cwd=folder)
    # A saved pipeline is whole: it needs neither the model's file nor the grammar's any more.
    (folder / "entities.tagger").unlink()
    shutil.rmtree(folder / "examples")
    return folder / "classic_pipeline"


@pytest.fixture(scope="module")
def nlp(assembled: Path) -> Language:
    return spacy.load(assembled)


def test_no_problems_among_requires_and_assigns(nlp: Language) -> None:
    analysis = nlp.analyze_pipes()
    assert nlp.pipe_names[-len(OURS) :] == OURS
    assert analysis["problems"] == {name: [] for name in nlp.pipe_names}


def seen(doc: Doc) -> dict[str, object]:
    return {
        "stems": [token._.stem for token in doc],
        "chunks": [(span.text, span.label_) for span in doc.spans["chunks"]],
        "trees": [(span._.parse_status, span._.parse_tree) for span in doc.sents],
        "entities": [(span.text, span.label_) for span in doc.ents],
        "relations": [relation.text(doc) for relation in doc._.relations],
    }


@pytest.mark.slow
def test_over_a_docbin_in_two_processes(nlp: Language, assembled: Path, tmp_path: Path) -> None:
    DocBin(docs=[nlp.make_doc(text) for text in TEXTS]).to_disk(tmp_path / "in.spacy")
    script = (
        "import spacy\nfrom spacy.tokens import DocBin\n"
        f"nlp = spacy.load({str(assembled)!r})\n"
        f"docs = DocBin().from_disk({str(tmp_path / 'in.spacy')!r}).get_docs(nlp.vocab)\n"
        "out = DocBin(docs=nlp.pipe(docs, n_process=2, batch_size=1), store_user_data=True)\n"
        f"out.to_disk({str(tmp_path / 'out.spacy')!r})\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=240)
    spacy_attn.install_extensions()
    docs = list(DocBin().from_disk(tmp_path / "out.spacy").get_docs(nlp.vocab))
    assert [doc.text for doc in docs] == TEXTS
    bank, anna, empty = (seen(doc) for doc in docs)
    assert bank["stems"] == ["the", "old", "bank", "bought", "two", "ship", "."]
    assert bank["trees"] == [
        (
            "parsed",
            "(S (NP (DET (DT The)) (NBAR (ADJ (JJ old)) (NBAR (N (NN bank))))) (VP (V (VBD "
            "bought)) (NP (NBAR (N (CD two)) (NBAR (N (NNS ships)))))) (END (. .)))",
        )
    ]
    assert bank["relations"] == ["The old bank | buy | two ships"]
    assert ("The old bank", "NP") in bank["chunks"]  # type: ignore[operator]
    assert anna["relations"] == ["Anna Kovac | give to | him", "Anna Kovac | give | a book"]
    assert [text for text, _ in anna["entities"]] == ["Anna Kovac", "Lisbon"]  # type: ignore[attr-defined]
    assert empty == {"stems": [], "chunks": [], "trees": [], "entities": [], "relations": []}
    assert [seen(nlp(text)) for text in TEXTS] == [bank, anna, empty]


def test_what_a_component_requires_it_misses(nlp: Language) -> None:
    """Each declared requirement is one: without it the component says so, or finds nothing."""
    doc = spacy.blank("en")(TEXTS[0])
    for name in ("nltk_chunker", "nltk_ner", "relation_extractor"):
        with pytest.raises(spacy_attn.ConfigError, match=f"{name!r} (reads|needs)"):
            nlp.get_pipe(name)(doc)
