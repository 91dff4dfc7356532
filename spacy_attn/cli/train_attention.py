"""``spacy-attn train-attention``: train the model of the method ``self_attention``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_attn.cli.training import training_progress
from spacy_attn.errors import ResourceError

__all__ = ["train_attention"]


def train_attention(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for checkpoint, curve and result.")
    ],
    vectors: Annotated[
        str | None,
        typer.Option(help="Static vectors: a file or folder of your own; else GloVe 6B 50d."),
    ] = None,
    inventory: Annotated[
        str, typer.Option(help="Whose examples are learnt from: homographs, a file, or none.")
    ] = "homographs",
    data: Annotated[
        Path | None,
        typer.Option(help="Labels of your own, JSONL: text, start, end, lemma, pos, sense."),
    ] = None,
    semcor: Annotated[Path | None, typer.Option(help="SemCor as JSONL (.gz).")] = None,
    masc: Annotated[Path | None, typer.Option(help="MASC as JSONL (.gz).")] = None,
    layers: Annotated[int, typer.Option(help="Of attention, one after the other.")] = 1,
    heads: Annotated[int, typer.Option(help="Of each layer; a divisor of the width.")] = 4,
    width: Annotated[int, typer.Option(help="Of the contextual vectors.")] = 64,
    dropout: Annotated[float, typer.Option(min=0.0, max=0.9, help="Of hidden layers.")] = 0.1,
    attention_dropout: Annotated[float, typer.Option(help="Of attention weights.")] = 0.1,
    mask_words: Annotated[
        float, typer.Option(help="Share of words that training makes unknown.")
    ] = 0.1,
    epochs: Annotated[int, typer.Option(help="Passes over the occurrences.")] = 8,
    learning_rate: Annotated[float, typer.Option(help="At its highest.")] = 2e-3,
    seed: Annotated[int, typer.Option(help="Decides order, drops and initial weights.")] = 0,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Sentences of SemCor and MASC, for a trial.")
    ] = None,
) -> None:
    """Train the model of the method self_attention: layers of attention over static vectors.

    On two cores in minutes: from the inventory's examples alone, or from SemCor and MASC too (then
    it knows WordNet, whose definitions it reads from your own copy, see spacy-attn doctor). A run
    that was stopped goes on from its last epoch when it is called again with the same options. The
    result is OUTPUT/self_attention.safetensors; use it with
    [b]method = {"@sense_methods": "spacy_attn.self_attention.v1", "model": "..."}[/], and
    with the same vectors.
    """
    for path in (data, semcor, masc):
        if path is not None and not path.is_file():
            raise ResourceError(f"{path} does not exist; see benchmarks/README.md for its source")
    from spacy_attn.encoder.static_network import NetworkConfig
    from spacy_attn.train.self_attention import SelfAttentionConfig
    from spacy_attn.train.self_attention_model import train_self_attention

    network = NetworkConfig(
        0, width, layers, heads, dropout=dropout, attention_dropout=attention_dropout
    )
    config = SelfAttentionConfig(
        epochs=epochs, learning_rate=learning_rate, mask_words=mask_words, seed=seed
    )
    with training_progress("reading") as report:
        path = train_self_attention(
            output,
            network,
            config,
            vectors=vectors,
            inventory=None if inventory == "none" else inventory,
            data=data,
            semcor=semcor,
            masc=masc,
            limit=limit,
            report=report,
        )
    typer.echo(str(path))
