"""``spacy-attn calibrate-int8``: find the scales with which an encoder computes in 8 bits."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from spacy_attn.cli.options import check_inputs
from spacy_attn.cli.terminal import messages
from spacy_attn.errors import ConfigError, ResourceError, did_you_mean
from spacy_attn.models import ACCURATE

_ADAPTERS = ("senses", ACCURATE)
_TOGETHER, _PASSAGES = 3, 400


def calibrate_int8(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="Name or folder of the encoder (default: all-MiniLM-L6-v2)."
        ),
    ] = None,
    text: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="File of running text, one passage a line. Repeatable (default: English "
            "sentences of the bundled inventory).",
            show_default=False,
        ),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            help="Sense model that changes the encoder: senses (the bundled one), accurate, or its "
            "path (default: none)."
        ),
    ] = None,
    strength: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Strength of the adapter.")
    ] = 1.0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder (default: where encoders look for scales)."),
    ] = None,
) -> None:
    """Calibrate an encoder for [b]precision = "int8"[/].

    The encoder reads the text once in float32. The range of values of each channel sets its scale,
    by which it is rounded in every text from then on. A few hundred lines that are like your texts
    are enough; it takes seconds. An encoder with an adapter has its own scales for each strength.
    The last line of the output is the mean cosine between the vectors in int8 and float32, on a
    quarter of the text that is held out.
    """
    from spacy_attn.encoder.calibrate import calibrate
    from spacy_attn.encoder.int8 import LEAST_COSINE, scales_path
    from spacy_attn.models import DEFAULT_ENCODER
    from spacy_attn.settings import EncoderSettings
    from spacy_attn.wsd.methods.registry import DATA

    check_inputs("--text", *(text or ()), may_be_pipe=True)
    if adapter is None and strength != 1.0:
        raise ConfigError(f"--strength {strength:g} is of an adapter; give --adapter senses too")
    settings = EncoderSettings(
        model or DEFAULT_ENCODER,
        adapter=None if adapter is None else str(_sense_model(adapter)),
        strength=strength,
    )
    texts = _lines(text) if text else _bundled(DATA / "homographs.jsonl")
    scales, weights, changed_by = calibrate(settings, texts)
    path = scales_path(weights, changed_by, output)
    scales.save(path)
    typer.echo(str(path))
    typer.echo(f"mean cosine to float32: {scales.cosine:.4f}")
    if scales.cosine < LEAST_COSINE:
        messages().print(
            f'[yellow]below {LEAST_COSINE}: precision = "auto" does not take int8 for this encoder',
            soft_wrap=True,
        )


def _sense_model(adapter: str) -> Path:
    """The file of the sense model that is named, or is one."""
    from spacy_attn.models import sense_model_file
    from spacy_attn.wsd.methods.registry import SENSE_MODEL

    path = SENSE_MODEL if adapter == "senses" else sense_model_file(adapter)
    names = " or ".join(_ADAPTERS)
    check_inputs("--adapter", path, source=f"give {names}{did_you_mean(adapter, _ADAPTERS)}")
    return path


def _lines(paths: Iterable[Path]) -> list[str]:
    """The lines of some files that are not empty."""
    lines: list[str] = []
    for path in paths:
        try:
            lines += path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ResourceError(f"{path}: {error.strerror}; give a file with --text") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path} is not UTF-8; save it as UTF-8") from error
    return [line for line in lines if line.strip()]


def _bundled(path: Path) -> list[str]:
    """Example sentences of the bundled inventory, some together as in running text."""
    senses = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    sentences = [each["text"] for sense in senses for each in sense.get("examples", ())]
    random.Random(0).shuffle(sentences)  # noqa: S311
    firsts = range(0, len(sentences), _TOGETHER)[:_PASSAGES]
    return [" ".join(sentences[i : i + _TOGETHER]) for i in firsts]
