"""``spacy-attn train-senses``: make a sense model from sense-annotated corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from spacy_attn.errors import ResourceError

__all__ = ["train_senses"]


def train_senses(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for checkpoints, curve and result.")
    ],
    semcor: Annotated[Path, typer.Option(help="SemCor as JSONL (.gz).")],
    masc: Annotated[Path | None, typer.Option(help="MASC as JSONL (.gz); may be left out.")] = None,
    model: Annotated[
        str, typer.Option(help="The encoder to adapt.")
    ] = "sentence-transformers/all-MiniLM-L6-v2",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the corpora.")] = 4,
    rank: Annotated[int, typer.Option(min=0, help="Of the low-rank factors; 0 trains none.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Of the low-rank factors.")] = 7e-4,
    precision: Annotated[str, typer.Option(help="bf16 or fp32.")] = "bf16",
    seed: Annotated[int, typer.Option(help="Decides order, drops and initial weights.")] = 0,
    limit: Annotated[
        int | None, typer.Option(help="Train on this many documents only, for a trial.")
    ] = None,
) -> None:
    """Train the sense model: about half an hour on two cores with bf16.

    Reads definitions and examples from your own WordNet 3.0 (see spacy-attn doctor). A run
    that was stopped goes on from its last epoch when it is called again with the same
    options. The result is OUTPUT/senses.safetensors; use it with
    [b]method = {"@sense_methods": "spacy_attn.attention.v1", "sense_model": "..."}[/].
    """
    for path in (semcor, masc):
        if path is not None and not path.is_file():
            raise ResourceError(f"{path} does not exist; see benchmarks/README.md for its source")
    from spacy_attn.train.senses import TrainConfig, train_sense_model

    config = TrainConfig(
        epochs=epochs, rank=rank, learning_rate=learning_rate, precision=precision, seed=seed
    )
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("reading corpora", total=None)

        def report(record: dict[str, Any]) -> None:
            if "batch" in record:
                progress.update(
                    bar,
                    description=f"epoch {record['epoch'] + 1}, loss {record['loss']:.3f}",
                    completed=record["batch"],
                    total=record["batches"],
                )
            else:
                console.print(", ".join(f"{key} {value}" for key, value in record.items()))

        path = train_sense_model(model, semcor, masc, output, config, report=report, limit=limit)
    typer.echo(str(path))
