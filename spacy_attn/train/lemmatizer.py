"""Train the lemmatizer of the component ``attention_lemmatizer`` on forms with their lemmas.

The forms are those that SemCor's annotators gave a sense: its key begins with the lemma. Irregular
forms are few and have to be learnt one by one, so those of WordNet's exception lists can be added.
A tenth of the lemmas that are not frequent, with all their forms, is never trained on
(:func:`held_out`); the published figures of unseen words are theirs. Frequent words are the ones
that every user has.
"""

from __future__ import annotations

import hashlib
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from spacy_attn.encoder.device import training
from spacy_attn.encoder.encoder_decoder import PAD, EncoderDecoder, EncoderDecoderConfig
from spacy_attn.encoder.lemmatizer import (
    N_SYMBOLS,
    START,
    Form,
    LetterLemmatizer,
    packed,
    padded,
    read_lemmatizer,
    source_symbols,
    target_symbols,
    unpacked,
)
from spacy_attn.errors import ConfigError, RecordError, ResourceError
from spacy_attn.files import regular_file
from spacy_attn.models import file_sha256
from spacy_attn.train.corpora import read_records
from spacy_attn.train.finished import is_finished, run_of
from spacy_attn.train.run_folder import write_tensors
from spacy_attn.train.schedule import check_rate, linear_schedule
from spacy_attn.wsd.inventory.forms import english_forms
from spacy_attn.wsd.inventory.wordnet_files import POS_OF_TYPE

RESULT = "lemmatizer.safetensors"
_NAMES = {"person", "group", "location", "other"}  # SemCor's lemmas of all names
_NAME_TYPE = "1:03:00::"
_FREQUENT = 20  # times that a lemma is met
_LONGEST = 32  # letters of a form to learn from
_LISTS = {"NOUN": "noun.exc", "VERB": "verb.exc", "ADJ": "adj.exc", "ADV": "adv.exc"}
_LINE = '{"tokens": ["He", "stared"], "senses": [[1, ["stare%2:39:00::"]]]}'
_UNKNOWN_LETTER = "?"  # any that the model does not know

Report = Callable[[dict[str, Any]], None]


class FormLemma(NamedTuple):
    """A form in lower case, its part of speech, its lemma, and how often it was met."""

    form: str
    pos: str
    lemma: str
    n: int


@dataclass(frozen=True)
class LemmatizerConfig:
    """Everything that decides the result of a run, beside data and network."""

    epochs: int = 8
    batch: int = 64  # forms of a step
    learning_rate: float = 1.5e-3
    warmup: float = 0.05  # share of the steps
    frequency: float = 1 / 3  # a form is drawn by its frequency to this power
    irregular: int = 8  # an irregular form of WordNet counts as met at least this often
    any_pos: float = 0.1  # share of forms that are read without their part of speech
    unknown_letter: float = 0.05  # share of forms in which a letter is made unknown
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "irregular"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}; allowed is 1 or more")
        check_rate("learning_rate", self.learning_rate)


def read_forms(semcor: Path) -> list[FormLemma]:
    """The forms of SemCor with the lemma that they have most often.

    Left out are words of several parts, words with anything but letters, and names.

    Raises:
        RecordError: the file is damaged, or a line is no sentence with senses.
    """
    counts: dict[Form, Counter[str]] = {}
    for number, record in enumerate(read_records(semcor), 1):
        try:
            found = [
                (form_of(record["tokens"][index], keys), *keys[0].partition("%")[::2])
                for index, keys in record["senses"]
            ]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise RecordError(f"{semcor}, line {number}: must be like {_LINE}") from error
        for form, lemma, rest in found:
            is_name = lemma in _NAMES and rest == _NAME_TYPE
            letters = form[0].isalpha() and lemma.isalpha()
            if letters and not is_name and len(form[0]) <= _LONGEST:
                counts.setdefault(form, Counter())[lemma] += 1
    return [
        FormLemma(form, pos, *lemmas.most_common(1)[0])
        for (form, pos), lemmas in sorted(counts.items())
    ]


def form_of(token: str, keys: Sequence[str]) -> Form:
    """A token with a sense, in lower case, and its part of speech."""
    _, _, rest = keys[0].partition("%")
    return token.lower(), POS_OF_TYPE[rest[0]]


def read_exceptions(wordnet: Path) -> list[FormLemma]:
    """The irregular forms of WordNet's exception lists that no spelling rule gives.

    Left out are words of several parts and words with anything but letters. Of several lemmas the
    first is taken.

    Args:
        wordnet: folder of WordNet.

    Raises:
        ResourceError: it has no such lists.
    """
    out = []
    for pos, name in _LISTS.items():
        try:
            lines = regular_file(wordnet / name).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ResourceError(
                f"{wordnet / name} cannot be read ({error.strerror}); give the folder of WordNet "
                "with --wordnet FOLDER"
            ) from error
        for form, lemma, *_ in map(str.split, lines):
            letters = form.isalpha() and lemma.isalpha() and len(form) <= _LONGEST
            if letters and form not in english_forms(lemma, pos):
                out.append(FormLemma(form, pos, lemma, 0))
    return list({(row.form, row.pos): row for row in reversed(out)}.values())[::-1]


def held_out(rows: Iterable[FormLemma], tenth: int = 0) -> set[str]:
    """The lemmas of a tenth of those that are met less than 20 times.

    Args:
        rows: all of SemCor, and of WordNet's exceptions, which are met 0 times.
        tenth: 0 is never trained on, 1 is for tuning.
    """
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row.lemma] += row.n
    return {
        lemma
        for lemma, n in counts.items()
        if n < _FREQUENT and hashlib.sha256(lemma.encode()).digest()[0] % 10 == tenth
    }


def with_exceptions(
    rows: Sequence[FormLemma], exceptions: Sequence[FormLemma], least: int
) -> list[FormLemma]:
    """The rows and the irregular forms, each of these met at least so often.

    Where both have a form, the lemma is the corpus's.
    """
    irregular = {(row.form, row.pos) for row in exceptions}
    known = {(row.form, row.pos) for row in rows}
    raised = [
        row._replace(n=max(row.n, least)) if (row.form, row.pos) in irregular else row
        for row in rows
    ]
    new = [row._replace(n=least) for row in exceptions if (row.form, row.pos) not in known]
    return raised + new


def with_lemmas(rows: Sequence[FormLemma]) -> list[FormLemma]:
    """The rows, and each lemma as a form of itself where the corpus has only others of it."""
    known = {(row.form, row.pos) for row in rows}
    added = {(row.lemma, row.pos) for row in rows} - known
    return [*rows, *(FormLemma(lemma, pos, lemma, 1) for lemma, pos in sorted(added))]


@training()
def train_lemmatizer(
    semcor: Path,
    output: Path,
    network: EncoderDecoderConfig | None = None,
    config: LemmatizerConfig | None = None,
    *,
    wordnet: Path | None = None,
    start: Path | None = None,
    tune: bool = False,
    limit: int | None = None,
    report: Report | None = None,
) -> Path:
    """Train on SemCor's forms and write the model.

    Args:
        semcor: SemCor as JSONL (.gz).
        output: folder of the result.
        network: its sizes.
        config: of the training.
        wordnet: folder of WordNet, whose irregular forms are trained on too.
        start: a model to go on from; it has the sizes, and ``network`` the dropout alone.
        tune: leave out a second tenth of the lemmas too, and report on these; nothing is ever
            chosen on the first.
        limit: train on this many forms only.
        report: called with the state of the run.

    Returns:
        The model, ``output/lemmatizer.safetensors``.

    Raises:
        ConfigError: a setting is not allowed, there is nothing to train on, or the result of other
            options stands in ``output``.
        RecordError: as :func:`read_forms`.
        ResourceError: ``start`` is no such model, ``wordnet`` has no exception lists, or nothing
            can be written to ``output``.
    """
    network, config = network or EncoderDecoderConfig(N_SYMBOLS), config or LemmatizerConfig()
    lists = [wordnet / name for name in _LISTS.values()] if wordnet else []
    train, tuning = _split(semcor, wordnet, config.irregular, limit, tune=tune)
    run = run_of(
        {**asdict(network), **asdict(config), "tune": tune, "limit": limit},
        {"semcor": semcor, "wordnet": lists, "start": start},
    )
    if is_finished(output / RESULT, run, report):
        return output / RESULT
    if not train:
        raise ConfigError(f"{semcor} has no forms to train on; give SemCor with --semcor FILE")
    torch.manual_seed(config.seed)
    model = _model(network, start)
    _check_writable(output)
    if report:
        report({"forms": len(train), "parameters": sum(p.numel() for p in model.parameters())})
    curve = list(_epochs(model, train, config, report, tuning))
    model.load_state_dict(unpacked(packed(model.state_dict())))  # what is scored is what is written
    lemmatizer = LetterLemmatizer(model)
    manifest = {
        "run": run,
        "network": asdict(model.config),
        "config": asdict(config),
        "curve": curve,
        "forms": len(train),
        "seen": round(accuracy(lemmatizer, train), 4),
        "start": None if start is None else file_sha256(start),
        "corpora": {path.name: file_sha256(path) for path in (semcor, *lists)},
    }
    if report:
        report({"seen": manifest["seen"]})
    write_tensors(output / RESULT, packed(model.state_dict()), manifest)
    return output / RESULT


def _model(network: EncoderDecoderConfig, start: Path | None) -> EncoderDecoder:
    """A new network, or a copy of the one to go on from."""
    if start is None:
        return EncoderDecoder(network)
    first = read_lemmatizer(start).network
    model = EncoderDecoder(replace(first.config, dropout=network.dropout))
    model.load_state_dict(first.state_dict())
    return model


def _split(
    semcor: Path, wordnet: Path | None, irregular: int, limit: int | None, *, tune: bool
) -> tuple[list[FormLemma], list[FormLemma]]:
    """The forms to train on, and with ``tune`` those of a second tenth of the lemmas."""
    rows, exceptions = read_forms(semcor), read_exceptions(wordnet) if wordnet else []
    for_tuning = held_out([*rows, *exceptions], 1) if tune else set()
    left_out = held_out([*rows, *exceptions]) | for_tuning
    rows = with_exceptions(rows, exceptions, irregular)
    train = with_lemmas([row for row in rows if row.lemma not in left_out][:limit])
    return train, [row for row in rows if row.lemma in for_tuning]


def accuracy(lemmatizer: LetterLemmatizer, rows: Sequence[FormLemma]) -> float:
    """Share of the forms whose lemma is right, each counted once."""
    found = LetterLemmatizer(lemmatizer.network).lemmas([(row.form, row.pos) for row in rows])
    return sum(a == row.lemma for a, row in zip(found, rows, strict=True)) / len(rows)


def _epochs(
    model: EncoderDecoder,
    rows: Sequence[FormLemma],
    config: LemmatizerConfig,
    report: Report | None,
    tuning: Sequence[FormLemma],
) -> Iterator[dict[str, Any]]:
    """Train; a record after each epoch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=0.01)
    rng = random.Random(config.seed)  # noqa: S311 - order and noise, no secret
    n_batches = -(-len(rows) // config.batch)
    for epoch in range(config.epochs):
        model.train()
        started, losses = time.perf_counter(), []
        for number, batch in enumerate(_batches(rows, config, rng)):
            done = (epoch * n_batches + number) / (config.epochs * n_batches)
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * linear_schedule(done, config.warmup)
            noisy = [_with_noise(row, config, rng) for row in batch]
            source = padded([source_symbols(row.form, row.pos) for row in noisy])
            targets = [target_symbols(row.lemma) for row in noisy]
            target = padded([[START, *symbols[:-1]] for symbols in targets])
            logs = model(source, target)
            loss = nn.functional.nll_loss(
                logs.flatten(0, 1), padded(targets).flatten(), ignore_index=PAD
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
            if report and number % 20 == 19:
                mean = sum(losses[-50:]) / len(losses[-50:])
                report({"epoch": epoch, "batch": number + 1, "batches": n_batches, "loss": mean})
        record = {
            "epoch": epoch + 1,
            "loss": round(sum(losses) / len(losses), 5),
            "seconds": round(time.perf_counter() - started, 1),
        }
        if tuning:
            record["tuning"] = round(accuracy(LetterLemmatizer(model), tuning), 4)
        if report:
            report(record)
        yield record


def _batches(
    rows: Sequence[FormLemma], config: LemmatizerConfig, rng: random.Random
) -> Iterable[Sequence[FormLemma]]:
    """As many draws as there are rows, in batches of similar length, in random order.

    Frequent forms are drawn more often: irregular ones are few and frequent, and each has to be
    learnt by heart.
    """
    size, weights = config.batch, [row.n**config.frequency for row in rows]
    drawn = rng.choices(rows, weights, k=len(rows))
    order = sorted(drawn, key=lambda row: len(row.form) + 3 * rng.random())
    out = [order[i : i + size] for i in range(0, len(order), size)]
    rng.shuffle(out)
    return out


def _with_noise(row: FormLemma, config: LemmatizerConfig, rng: random.Random) -> FormLemma:
    """A row as it is, without its part of speech, or with a letter that the model does not know."""
    form, pos, lemma, n = row
    if rng.random() < config.any_pos:
        pos = "X"
    if rng.random() < config.unknown_letter:
        at = rng.randrange(len(form))
        if form[: at + 1] == lemma[: at + 1]:  # a letter of the stem
            form = form[:at] + _UNKNOWN_LETTER + form[at + 1 :]
            lemma = lemma[:at] + _UNKNOWN_LETTER + lemma[at + 1 :]
    return FormLemma(form, pos, lemma, n)


def _check_writable(folder: Path) -> None:
    """Make the folder, and refuse one that takes no file, before the work and not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ResourceError(
            f"cannot write to {folder} ({error.strerror}); name a folder that you may write to"
        ) from error
