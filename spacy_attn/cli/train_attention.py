"""``spacy-attn train-attention``: train the model of the method ``self_attention``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_attn.cli.options import CORPUS_SOURCE, check_inputs
from spacy_attn.cli.training import training_progress
from spacy_attn.models import GLOVE


def train_attention(
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for checkpoint, learning curve and result.",
        ),
    ],
    vectors: Annotated[
        str | None,
        typer.Option(help="Static vectors: your own file or folder (default: GloVe 6B 50d)."),
    ] = None,
    inventory: Annotated[
        str,
        typer.Option(
            help="Sense inventory with the examples to learn from: homographs, the path of a "
            ".jsonl file, or none."
        ),
    ] = "homographs",
    data: Annotated[
        Path | None,
        typer.Option(help="Your own labels, JSONL: text, start, end, lemma, pos, sense."),
    ] = None,
    semcor: Annotated[
        Path | None,
        typer.Option(help="SemCor as JSONL (.gz): benchmarks/README.md says where to get it."),
    ] = None,
    masc: Annotated[Path | None, typer.Option(help="MASC as JSONL (.gz), likewise.")] = None,
    layers: Annotated[int, typer.Option(help="Number of attention layers.")] = 1,
    heads: Annotated[int, typer.Option(help="Number of heads; a divisor of the width.")] = 4,
    width: Annotated[int, typer.Option(help="Width of the layer.")] = 64,
    dropout: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Dropout of hidden layers.")
    ] = 0.1,
    attention_dropout: Annotated[float, typer.Option(help="Dropout of attention weights.")] = 0.1,
    mask_words: Annotated[
        float, typer.Option(help="Share of words that are masked in training.")
    ] = 0.1,
    epochs: Annotated[int, typer.Option(help="Passes over the training data.")] = 8,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 2e-3,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Train on this many sentences of SemCor and MASC only, for a test (default: all).",
        ),
    ] = None,
) -> None:
    """Train the model of the method self_attention: layers of attention over static vectors.

    It takes minutes on two cores. It learns from the examples of the inventory. With SemCor or MASC
    it also learns the senses of WordNet, and reads definitions from your own copy of it (see
    spacy-attn doctor). To continue an interrupted run, call the command again with the same
    options. The result is DIR/self_attention.safetensors; use it with
    [b]method = {"@sense_methods": "spacy_attn.self_attention.v1", "model": "..."}[/], and
    with the same vectors.
    """
    if vectors is not None and vectors != GLOVE:
        check_inputs("--vectors", Path(vectors), may_be_folder=True)
    check_inputs("--data", data)
    check_inputs("--semcor", semcor, source=CORPUS_SOURCE)
    check_inputs("--masc", masc, source=CORPUS_SOURCE)
    if data is not None and inventory != "none":
        from spacy_attn.wsd.inventory.jsonl import load_inventory
        from spacy_attn.wsd.inventory.labelled import read_labels_of

        list(read_labels_of(data, load_inventory(inventory)))
    from spacy_attn.encoder.static_network import NetworkConfig
    from spacy_attn.train.run_folder import held_folder
    from spacy_attn.train.self_attention import SelfAttentionConfig
    from spacy_attn.train.self_attention_model import train_self_attention

    network = NetworkConfig(
        0, width, layers, heads, dropout=dropout, attention_dropout=attention_dropout
    )
    config = SelfAttentionConfig(
        epochs=epochs, learning_rate=learning_rate, mask_words=mask_words, seed=seed
    )
    with training_progress("reading") as report, held_folder(output, "self_attention.safetensors"):
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
