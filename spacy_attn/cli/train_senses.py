"""``spacy-attn train-senses``: make a sense model from sense-annotated corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spacy_attn.cli.options import CORPUS_SOURCE, check_inputs
from spacy_attn.cli.training import training_progress
from spacy_attn.errors import ConfigError, allowed_names
from spacy_attn.models import sense_model_file

_PRECISIONS = ("bf16", "fp32")


def train_senses(
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for checkpoints, learning curve and result.",
        ),
    ],
    semcor: Annotated[
        Path | None,
        typer.Option(help="SemCor as JSONL (.gz): benchmarks/README.md says where to get it."),
    ] = None,
    masc: Annotated[Path | None, typer.Option(help="MASC as JSONL (.gz), likewise.")] = None,
    written: Annotated[
        Path | None,
        typer.Option(
            help="Folder of written sentences (*.tsv) and running texts (*.jsonl): corpus in the "
            "repository."
        ),
    ] = None,
    tagged: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A further tagged corpus as JSONL (.gz). Repeatable."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Your own labels, JSONL: text, start, end, lemma, pos, sense."),
    ] = None,
    inventory: Annotated[
        str,
        typer.Option(
            help="Sense inventory of --data: homographs, wordnet or the path of a .jsonl file."
        ),
    ] = "homographs",
    start: Annotated[
        Path | None,
        typer.Option(
            help="Sense model to start from (default: none; with --data and without --semcor the "
            "bundled one)."
        ),
    ] = None,
    senses_from: Annotated[
        Path | None,
        typer.Option(
            help="Sense model of another encoder, to learn from its sense vectors (default: none)."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="The encoder to train.")
    ] = "sentence-transformers/all-MiniLM-L6-v2",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the corpora.")] = 3,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of the encoder.")] = 1.5e-4,
    frozen_layers: Annotated[
        int,
        typer.Option(
            min=0, help="Number of the lowest layers of the encoder that are not trained."
        ),
    ] = 0,
    gloss_turns: Annotated[
        int,
        typer.Option(
            min=0,
            help="After each of so many first epochs a second encoder learns to read definitions, "
            "for the vectors of senses that no corpus tags. 1 for all of WordNet or a new "
            "--model; 0, which is faster, for a few words with labels.",
        ),
    ] = 0,
    shift: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="How much of a corpus' own frequencies of senses is discounted; not of SemCor "
            "and running texts.",
        ),
    ] = 0.5,
    cap: Annotated[int, typer.Option(min=0, help="Tags of a sense that count fully; 0: all.")] = 0,
    balance: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Exponent that weighs senses by inverse frequency."),
    ] = 0.0,
    weight_masc: Annotated[
        float, typer.Option(min=0.0, help="Weight of MASC in the loss; 0: only measured.")
    ] = 0.0,
    weight_wordnet: Annotated[
        float, typer.Option(min=0.0, help="Weight of WordNet's example sentences; 0: not read.")
    ] = 1.0,
    weight_texts: Annotated[
        float, typer.Option(min=0.0, help="Weight of the running texts of the written corpus.")
    ] = 1.0,
    batch_pieces: Annotated[int, typer.Option(min=64, help="Wordpieces in a batch.")] = 1024,
    rank: Annotated[
        int, typer.Option(min=1, help="Rank of the saved change of the encoder.")
    ] = 112,
    width: Annotated[int, typer.Option(min=1, help="Dimensions of the saved sense vectors.")] = 192,
    precision: Annotated[
        str, typer.Option(metavar="bf16|fp32", help="Precision of training.")
    ] = "bf16",
    drop_residual: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Dropout of what is learned for single senses; higher for less data.",
        ),
    ] = 0.5,
    average: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="Folder of a finished run to average this run with. Repeatable."
        ),
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Sense model (a file, or accurate) whose probabilities are learned. Repeatable.",
        ),
    ] = None,
    teacher_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the loss that teachers have.")
    ] = 0.5,
    untagged: Annotated[
        bool,
        typer.Option("--untagged", help="Learn from teachers on words without a tag too."),
    ] = False,
    residual_rate: Annotated[
        float, typer.Option(help="Learning rate of what is learned for single senses.")
    ] = 3e-4,
    text_share: Annotated[
        float,
        typer.Option(min=0.0, help="Share of its definition that each sense vector takes."),
    ] = 0.0,
    mean_share: Annotated[
        float,
        typer.Option(min=0.0, help="Share of the mean of its occurrences that each takes."),
    ] = 0.0,
    rare_share: Annotated[
        float,
        typer.Option(min=0.0, help="Further share of the definition for senses with few tags."),
    ] = 0.0,
    prior: Annotated[
        float, typer.Option(min=0.0, help="Weight of the logarithm of WordNet's counts.")
    ] = 0.0,
    final_prior: Annotated[
        float | None,
        typer.Option(min=0.0, help="As --prior, for the finished model (default: --prior)."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="Train on the held-out data too, for a last run.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Train on this many documents only, for a test (default: all)."),
    ] = None,
) -> None:
    """Train the model of the method attention: an encoder and a vector for each sense.

    It takes 25 minutes on two cores with bf16, and minutes on a GPU. It reads definitions and
    examples from your own WordNet 3.0 (see spacy-attn doctor). To continue an interrupted run, call
    the command again with the same options. The result is DIR/senses.safetensors; use it with
    [b]method = {"@sense_methods": "spacy_attn.attention.v1", "sense_model": "..."}[/].

    With --data and without --semcor, the bundled model learns from your labels and keeps what
    it knows. For a larger encoder use --model sentence-transformers/all-mpnet-base-v2.
    """
    if precision not in _PRECISIONS:
        raise ConfigError(f"--precision {precision}; {allowed_names(precision, _PRECISIONS)}")
    teachers = [sense_model_file(str(name)) for name in teacher or ()]
    if untagged and not teachers:
        raise ConfigError("--untagged needs a teacher; name one with --teacher FILE")
    check_inputs("--semcor", semcor, source=CORPUS_SOURCE)
    check_inputs("--masc", masc, source=CORPUS_SOURCE)
    check_inputs("--tagged", *(tagged or ()), source=CORPUS_SOURCE)
    check_inputs("--data", data)
    check_inputs("--start", start)
    check_inputs("--senses-from", senses_from)
    check_inputs("--teacher", *teachers)
    check_inputs("--average", *(average or ()), may_be_folder=True)
    from spacy_attn.train.corpora import corpus_files
    from spacy_attn.train.run_folder import held_folder
    from spacy_attn.train.sense_config import TrainConfig, check_material
    from spacy_attn.wsd.inventory.labelled import labels_to_train_on
    from spacy_attn.wsd.inventory.open import load_inventory
    from spacy_attn.wsd.inventory.sources import check_source

    if written is not None and not corpus_files(written, ".tsv"):
        raise ConfigError(
            f"{written} holds no *.tsv; give the folder corpus of a clone of the repository"
        )
    check_source(inventory)
    check_material(semcor, data)
    if data is not None:
        labels_to_train_on(data, load_inventory(inventory))
    config = TrainConfig(
        epochs=epochs,
        learning_rate=learning_rate,
        frozen_layers=frozen_layers,
        weight_masc=weight_masc,
        weight_wordnet=weight_wordnet,
        weight_texts=weight_texts,
        batch_pieces=batch_pieces,
        precision=precision,
        seed=seed,
        drop_residual=drop_residual,
        gloss_turns=gloss_turns,
        shift=shift,
        cap=cap,
        balance=balance,
        residual_rate=residual_rate,
        text_share=text_share,
        mean_share=mean_share,
        rare_share=rare_share,
        prior=prior,
        final_prior=final_prior,
        teacher_share=teacher_share,
    )
    with training_progress("loading PyTorch") as report, held_folder(output, "senses.safetensors"):
        from spacy_attn.train.sense_model import train_sense_model
        from spacy_attn.train.sense_sources import SenseSources
        from spacy_attn.wsd.methods.registry import SENSE_MODEL

        if semcor is None and data is not None and start is None:
            start = SENSE_MODEL
        sources = SenseSources(
            semcor=semcor,
            masc=masc,
            written=written,
            tagged=tagged or (),
            data=data,
            inventory=inventory,
            start=start,
            senses_from=senses_from,
            average=average or (),
            teachers=teachers,
        )
        path = train_sense_model(
            model,
            output,
            config,
            sources,
            everything=everything,
            rank=rank,
            width=width,
            untagged=untagged,
            report=report,
            limit=limit,
        )
    typer.echo(str(path))
