"""A lemmatizer that reads and writes letters: an encoder-decoder with cross-attention.

The source is the part of speech and the letters of a form, the target the letters of its lemma::

    VERB s t a r e d  ->  s t a r e

A letter that the model does not know (``é``) is one symbol to it; such letters come out in the
order in which they went in. Of a long form only the end is read, where English inflects: the
training has few long words, and copying 18 letters went wrong two times in three.

The lemma is what greedy decoding gives, one symbol after the other, in fewer steps: the rest of
the form is proposed as the rest of the lemma, all of it is checked in one pass, and what stands
before the first symbol that the decoder would not have chosen is kept (Sun et al. 2021,
"Instantaneous Grammatical Error Correction with Shallow Aggressive Decoding").
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from spacy_attn._types import Floats2d
from spacy_attn.encoder.batching import batch_by_length
from spacy_attn.encoder.device import inference, on_processor, one_thread_in_children
from spacy_attn.encoder.encoder_decoder import PAD, EncoderDecoder, EncoderDecoderConfig
from spacy_attn.encoder.loading import check_finite
from spacy_attn.errors import ResourceError, first_line
from spacy_attn.files import regular_file
from spacy_attn.models import FileState, model_state

START, END, UNKNOWN = 1, 2, 3
#: Parts of speech that are told apart; "X" is any, and every other one.
POS = ("X", "NOUN", "VERB", "ADJ", "ADV")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SYMBOL_OF_POS = {pos: UNKNOWN + 1 + i for i, pos in enumerate(POS)}
_SYMBOL_OF = {letter: UNKNOWN + 1 + len(POS) + i for i, letter in enumerate(_LETTERS)}
_LETTER_OF = {symbol: letter for letter, symbol in _SYMBOL_OF.items()}
N_SYMBOLS = UNKNOWN + 1 + len(POS) + len(_LETTERS)

_WHOLE = 13  # letters of a form that is read whole
_END = 9  # letters that are read of a longer one
_MOST_MORE = 4  # letters of a lemma beyond those of its form
_BATCH_SYMBOLS = 8192
_CACHE_SIZE = 65_536  # forms with their lemmas, about 20 MB

Form = tuple[str, str]  # lower case, part of speech


@dataclass(frozen=True, eq=False)
class Lemma:
    """One lemma and what the decoder looked at while it wrote it.

    *Shape:* weights (len(written), len(read)), rows sum to 1
    """

    lemma: str
    probability: float  # of all its symbols together
    read: tuple[str, ...]  # part of speech and letters, of a long form those of its end
    written: tuple[str, ...]  # letters, and "end"
    weights: Floats2d  # of the last cross-attention, mean over its heads


def source_symbols(form: str, pos: str) -> list[int]:
    """What the encoder reads: the part of speech, then the letters."""
    first = _SYMBOL_OF_POS.get(pos, _SYMBOL_OF_POS["X"])
    return [first, *(_SYMBOL_OF.get(letter, UNKNOWN) for letter in form)]


def target_symbols(lemma: str) -> list[int]:
    """What the decoder writes: the letters, then the end."""
    return [*(_SYMBOL_OF.get(letter, UNKNOWN) for letter in lemma), END]


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Rows of symbols, short ones filled up at their end. *Shape:* (len(rows), longest)"""
    out = torch.full((len(rows), max(map(len, rows), default=0)), PAD)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    return out


class LetterLemmatizer:
    """See the module. Safe to use from several threads.

    Args:
        network: the trained network; it is put into evaluation mode.
        sha256: of its file.
    """

    def __init__(self, network: EncoderDecoder, sha256: str = "untrained") -> None:
        self.network = network.eval()
        self.identity = f"lemmatizer/{sha256[:16]}"
        self._known: dict[Form, str] = {}

    def lemmas(self, forms: Sequence[Form]) -> list[str]:
        """The lemma of each form.

        Args:
            forms: (letters in lower case, part of speech); one without letters is its own lemma.
        """
        known = self._known
        new = [form for form in dict.fromkeys(forms) if form not in known]
        found = dict(zip(new, self._compute(new), strict=True))
        out = [found[form] if form in found else known[form] for form in forms]
        if len(known) + len(found) > _CACHE_SIZE:
            known = self._known = {}
        known.update(found)
        return out

    def explain(self, form: str, pos: str) -> Lemma:
        """The lemma of one form with the attention between its letters and those of the form."""
        lemma = self.lemmas([(form, pos)])[0]
        start, read = _cut(form)
        end = lemma[len(start) :]
        target = target_symbols(end)
        with inference():
            source = padded([source_symbols(read, pos)])
            memory, present = self.network.encode(source)
            written = padded([[START, *target[:-1]]])
            logs, weights = self.network.decode(written, source, memory, present)
            total = float(logs[0].gather(1, torch.tensor(target)[:, None]).sum().exp())
            mean: Floats2d = weights[0].mean(0).numpy()
        return Lemma(lemma, total, (pos, *read), (*end, "end"), mean)

    @inference()
    def _compute(self, forms: Sequence[Form]) -> list[str]:
        out = [form for form, _ in forms]
        cut = [_cut(form) for form in out]
        places = [i for i, form in enumerate(out) if form]
        if not places:
            return out
        one_thread_in_children()
        for batch in batch_by_length([len(cut[i][1]) for i in places], _BATCH_SYMBOLS):
            chosen = [places[j] for j in batch]
            rows = self._decoded([source_symbols(cut[i][1], forms[i][1]) for i in chosen])
            for i, row in zip(chosen, rows, strict=True):
                start, read = cut[i]
                if row and (lemma := start + _spelled(row, read)):
                    out[i] = lemma
        return out

    def _decoded(self, sources: Sequence[list[int]]) -> list[list[int] | None]:
        """The symbols of each lemma; None where no end came."""
        source = padded(sources)
        memory, present = self.network.encode(source)
        rows: list[list[int] | None] = [None] * len(sources)
        written: list[list[int]] = [[] for _ in sources]
        open_rows = list(range(len(sources)))
        while open_rows:
            # The source without its part of speech, from here on, is the proposal.
            drafts = [written[i] + sources[i][1 + len(written[i]) :] for i in open_rows]
            target = padded([[START, *draft] for draft in drafts])
            logs, _ = self.network.decode(
                target, source[open_rows], memory[open_rows], present[open_rows]
            )
            for i, draft, best in zip(open_rows, drafts, logs.argmax(-1).tolist(), strict=True):
                kept = len(written[i])
                while kept < len(draft) and best[kept] == draft[kept]:
                    kept += 1
                written[i] = draft[:kept]
                if best[kept] == END:
                    rows[i] = written[i]
                else:
                    written[i] = [*draft[:kept], best[kept]]
            open_rows = [
                i
                for i in open_rows
                if rows[i] is None and len(written[i]) <= len(sources[i]) + _MOST_MORE
            ]
        return rows


def _cut(form: str) -> tuple[str, str]:
    """What stays of a form as it is, and what is read."""
    return ("", form) if len(form) <= _WHOLE else (form[:-_END], form[-_END:])


def _spelled(symbols: Sequence[int], form: str) -> str:
    """The letters of symbols; those that the model does not know are taken from the form."""
    unknown = iter([letter for letter in form if letter not in _SYMBOL_OF])
    return "".join(
        next(unknown, "") if symbol == UNKNOWN else _LETTER_OF.get(symbol, "") for symbol in symbols
    )


_SCALE = ".scale"


def packed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights as a file has them: matrices in 8 bits, with a scale for each row, else 16."""
    out = {}
    for name, tensor in state.items():
        if tensor.dim() < 2:
            out[name] = tensor.half().contiguous()
            continue
        scale = (tensor.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127).half().float()
        out[name] = (tensor / scale).round().clamp(-127, 127).to(torch.int8).contiguous()
        out[name + _SCALE] = scale.half().contiguous()
    return out


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a file, as the network has them.

    Raises:
        ValueError: a matrix has not one scale for each row.
    """
    out = {}
    for name, tensor in tensors.items():
        if name.endswith(_SCALE):
            continue
        out[name] = tensor.float()
        if (scale := tensors.get(name + _SCALE)) is not None:
            if scale.shape != tensor[:, :1].shape:  # else the product may be of any size
                raise ValueError(f"{name}{_SCALE} has shape {tuple(scale.shape)}")
            out[name] *= scale.float()
    return out


def read_lemmatizer(path: Path) -> LetterLemmatizer:
    """The lemmatizer of a file that ``spacy-attn train-lemmatizer`` wrote.

    A file is read once in each process, and again when it has changed.

    Raises:
        ResourceError: the file is missing or is no such model.
    """
    return _read_lemmatizer(path, model_state(path))


@lru_cache(maxsize=4)
def _read_lemmatizer(
    path: Path,
    state: tuple[FileState, ...],  # of the file: another one is read anew
) -> LetterLemmatizer:
    try:
        data = regular_file(path).read_bytes()
    except OSError as error:
        raise ResourceError(
            f"{path} cannot be read ({error.strerror}); train a model with: spacy-attn "
            "train-lemmatizer -o FOLDER"
        ) from error
    return lemmatizer_of(data, str(path))


@on_processor()
def lemmatizer_of(data: bytes, where: str = "this file") -> LetterLemmatizer:
    """The lemmatizer of the bytes of such a file.

    Args:
        data: all bytes of the file.
        where: what they were read from, for the error.

    Raises:
        ResourceError: the bytes are no such model.
    """
    from safetensors.torch import load

    try:
        state = unpacked(load(data))
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        manifest = json.loads(header["__metadata__"]["manifest"])
        with torch.device("meta"):  # nothing is made that the file does not hold
            network = EncoderDecoder(EncoderDecoderConfig(**manifest["network"]))
        network.load_state_dict(state, assign=True)
        for name, tensor in state.items():
            check_finite(tensor, name)
        lemmatizer = LetterLemmatizer(network, hashlib.sha256(data).hexdigest())
        if network.config.n_symbols != N_SYMBOLS:
            raise ValueError(f"n_symbols = {network.config.n_symbols}; allowed: {N_SYMBOLS}")
        if not math.isfinite(lemmatizer.explain("z", "ADV").probability):
            raise ValueError("its weights are so large that a lemma has no probability")
    except Exception as error:  # those of torch, safetensors and json
        raise ResourceError(
            f"{where} is no lemmatizer ({type(error).__name__}: {first_line(error)}); "
            "train one with: spacy-attn train-lemmatizer -o FOLDER"
        ) from error
    return lemmatizer
