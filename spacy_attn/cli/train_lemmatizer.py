"""``spacy-attn train-lemmatizer``: train the model of the component ``attention_lemmatizer``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_attn.cli.options import CORPUS_SOURCE, check_inputs
from spacy_attn.cli.training import training_progress


def train_lemmatizer(
    semcor: Annotated[
        Path,
        typer.Option(
            help="Words with their lemmas: SemCor as JSONL (.gz), which benchmarks/README.md says "
            "where to get, or your own file like it.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the result.")
    ],
    wordnet: Annotated[
        Path | None,
        typer.Option(
            help="Folder of WordNet, to learn its irregular forms too (default: none).",
            show_default=False,
        ),
    ] = None,
    layers: Annotated[
        int, typer.Option(min=1, help="Layers of the encoder, and of the decoder.")
    ] = 2,
    heads: Annotated[int, typer.Option(help="Number of heads; a divisor of the width.")] = 4,
    width: Annotated[int, typer.Option(min=1, help="Width of the layers.")] = 96,
    dropout: Annotated[float, typer.Option(min=0.0, max=0.9, help="Dropout of layers.")] = 0.1,
    epochs: Annotated[int, typer.Option(help="Passes over the forms.")] = 8,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 1.5e-3,
    frequency: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="How much more often a frequent form is shown than a rare one: 0 all alike, 1 as "
            "in the corpus. Low values teach the rules; with --start, 0.5 teaches irregular forms "
            "such as went (default: 1/3).",
            show_default=False,
        ),
    ] = 1 / 3,
    start: Annotated[
        Path | None, typer.Option(help="Model to start from (default: none).", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune", help="Leave out a second tenth of the lemmas, and show the accuracy on it."
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Train on this many forms only, for a test (default: all)."),
    ] = None,
) -> None:
    """Train the model of attention_lemmatizer: an encoder-decoder over letters.

    It takes four minutes on one core. It learns from the words of SemCor, whose sense keys name
    the lemma. A tenth of the rare lemmas is left out, for the benchmark. The result is
    DIR/lemmatizer.safetensors; use it with
    [b]nlp.add_pipe("attention_lemmatizer", config={"model": "..."})[/].
    """
    check_inputs("--semcor", semcor, source=CORPUS_SOURCE)
    check_inputs("--wordnet", wordnet, may_be_folder=True)
    check_inputs("--start", start)
    from spacy_attn.encoder.encoder_decoder import EncoderDecoderConfig
    from spacy_attn.encoder.lemmatizer import N_SYMBOLS
    from spacy_attn.train import lemmatizer
    from spacy_attn.train.run_folder import held_folder

    network = EncoderDecoderConfig(N_SYMBOLS, width, layers, heads, 2 * width, dropout)
    config = lemmatizer.LemmatizerConfig(
        epochs, learning_rate=learning_rate, frequency=frequency, seed=seed
    )
    with training_progress("reading") as report, held_folder(output, "lemmatizer.safetensors"):
        path = lemmatizer.train_lemmatizer(
            semcor,
            output,
            network,
            config,
            wordnet=wordnet,
            start=start,
            tune=tune,
            limit=limit,
            report=report,
        )
    typer.echo(str(path))
