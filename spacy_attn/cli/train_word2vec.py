"""``spacy-attn train-word2vec``: static vectors from one's own texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from spacy_attn.cli.terminal import messages
from spacy_attn.errors import counted


def train_word2vec(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IN",
            help=".txt and .jsonl files (also .gz), folders, patterns; - is standard input.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="VECTORS", help="Folder for the result."),
    ],
    algorithm: Annotated[
        str, typer.Option(metavar="word2vec|fasttext", help="fasttext also learns parts of words.")
    ] = "word2vec",
    architecture: Annotated[
        str,
        typer.Option(
            metavar="skipgram|cbow",
            help="skipgram predicts the context from the word, cbow the word.",
        ),
    ] = "skipgram",
    dimensions: Annotated[int, typer.Option(help="Number of dimensions, up to 10,000.")] = 100,
    window: Annotated[int, typer.Option(help="Words on each side that are the context.")] = 5,
    min_count: Annotated[int, typer.Option(help="Words with fewer occurrences get no vector.")] = 5,
    epochs: Annotated[int, typer.Option(help="Passes over the texts.")] = 5,
    negative: Annotated[int, typer.Option(help="Negative samples for each word.")] = 5,
    learning_rate: Annotated[
        float, typer.Option(help="Initial learning rate; it decreases to 1/250 of it.")
    ] = 0.025,
    sample: Annotated[
        float, typer.Option(help="Words with a larger share of the text are downsampled; 0: none.")
    ] = 1e-3,
    min_ngram: Annotated[
        int, typer.Option(help="Letters of the shortest part of a word; fasttext only.")
    ] = 3,
    max_ngram: Annotated[
        int, typer.Option(help="Letters of the longest part of a word; fasttext only.")
    ] = 6,
    buckets: Annotated[
        int | None,
        typer.Option(
            help="Buckets for parts of words; fasttext only (default: 10 a word, up to 2,000,000).",
            show_default=False,
        ),
    ] = None,
    tokens: Annotated[str, typer.Option(metavar="spacy|whitespace", help="Tokenizer.")] = "spacy",
    lang: Annotated[str, typer.Option(help="Language of spaCy's tokenizer.")] = "en",
    lower: Annotated[bool, typer.Option("--lower/--no-lower", help="Lower-case words.")] = True,
    text_key: Annotated[
        str, typer.Option("--text-key", "-tk", help="Field of a JSONL record that has the text.")
    ] = "text",
    input_format: Annotated[
        str | None,
        typer.Option(
            metavar="txt|jsonl",
            help="Format of all inputs (default: by suffix; of standard input txt).",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    threads: Annotated[
        int,
        typer.Option(
            help="Training threads; with more than 1 the result is not exactly repeatable."
        ),
    ] = 1,
    n_process: Annotated[
        int, typer.Option("--n-process", "-n", help="Processes that tokenize.")
    ] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the vectors in VECTORS, if there are any.")
    ] = False,
) -> None:
    """Train Word2Vec or fastText vectors on texts of any size.

    Plain text has one sentence or document on each line, JSONL one object. A line that cannot be
    read is counted and skipped.

    The texts are tokenized once, into the folder VECTORS.training, which needs about as much disk
    space as the texts. A checkpoint is saved after each epoch. To continue an interrupted run, call
    the command again with the same options and inputs; with one thread the vectors are the same as
    without the interruption.

    Use the result with [b]nlp.add_pipe("word2vec", config={"vectors": "VECTORS"})[/], or look at it
    with [b]spacy-attn neighbours WORD --vectors VECTORS[/].
    """
    from spacy_attn.train.word2vec import train_word2vec as train
    from spacy_attn.train.word2vec_config import Word2VecConfig

    config = Word2VecConfig(
        algorithm=algorithm,
        architecture=architecture,
        dimensions=dimensions,
        window=window,
        min_count=min_count,
        epochs=epochs,
        negative=negative,
        learning_rate=learning_rate,
        sample=sample,
        min_ngram=min_ngram,
        max_ngram=max_ngram,
        buckets=buckets,
        tokens=tokens,
        lang=lang,
        lower=lower,
        seed=seed,
    )
    console = messages()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading texts", total=None)

        def report(record: dict[str, Any]) -> None:
            if "total" in record:
                bar.update(
                    task, description=_now(record), completed=record["done"], total=record["total"]
                )
            for line in _said(record):
                console.print(line, markup=False, soft_wrap=True)

        try:
            path = train(
                inputs,
                output,
                config,
                text_key=text_key,
                input_format=input_format,
                threads=threads,
                processes=n_process,
                overwrite=overwrite,
                report=report,
            )
        except KeyboardInterrupt:
            console.print("give the same command again to go on from the last finished epoch")
            raise
    typer.echo(str(path))


def _now(record: dict[str, Any]) -> str:
    if record["phase"] == "read":
        return f"reading texts, {record['tokens']:,} tokens"
    return f"epoch {record['epoch']}"


def _said(record: dict[str, Any]) -> list[str]:
    if record["phase"] == "resume":
        return [f"resumed after epoch {record['epochs_done']}"]
    if record["phase"] == "epoch":
        speed = f"{record['words_per_second']:,} words/s"
        return [f"epoch {record['epoch']} of {record['epochs']}, {speed}"]
    if record["phase"] != "corpus":
        return []
    from spacy_attn.train.corpus import MAX_TOKEN

    said = [
        f"{record['n_tokens']:,} tokens in {record['n_sentences']:,} lines; "
        f"{record['n_words']:,} words get a vector"
    ]
    if record["n_skipped"]:
        said.append(
            f"{counted(record['n_skipped'], 'line')} skipped, the first: {record['first_skipped']}"
        )
    if record["n_too_long"]:
        said.append(
            f"{counted(record['n_too_long'], 'token')} above {MAX_TOKEN:,} characters skipped"
        )
    return said
