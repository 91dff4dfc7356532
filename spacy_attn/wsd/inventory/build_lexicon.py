"""Makes the package's lexicon from WordNet's own files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacy_attn.errors import ResourceError
from spacy_attn.wsd.inventory.lexicon_file import write_lexicon
from spacy_attn.wsd.inventory.wordnet_files import WordNet
from spacy_attn.wsd.sense import POS_TAGS


def build_lexicon(wordnet: WordNet, path: Path) -> None:
    """Write the lexicon from WordNet's files; the same files give the same bytes.

    Raises:
        ResourceError: WordNet's exception lists are missing.
    """
    words: dict[str, list[tuple[int, ...]]] = {}
    synsets: dict[tuple[str, int], int] = {}
    lemmas = sorted({sense.lemma for sense in wordnet.senses.values()})
    row_of = {lemma: i for i, lemma in enumerate(lemmas)}
    for lemma in lemmas:
        for pos in POS_TAGS:
            for sense in wordnet.candidates(lemma, pos):
                kind, lexfile, lex_id, head, head_id = sense.key.partition("%")[2].split(":")
                synset = synsets.setdefault((pos, sense.offset), len(synsets))
                words.setdefault(lemma, []).append(
                    (
                        int(kind),
                        int(lexfile),
                        int(lex_id),
                        row_of[head] if head else -1,
                        int(head_id or 0),
                        sense.count,
                        synset,
                    )
                )
    columns = np.array([row for lemma in lemmas for row in words[lemma]], dtype=np.int32).T
    names = ("type", "lexfile", "lex_id", "head", "head_id", "count", "synset")
    kinds = ("int8", "int8", "int8", "int32", "int8", "int32", "int32")
    arrays: dict[str, NDArray[Any]] = {
        name: column.astype(kind) for name, column, kind in zip(names, columns, kinds, strict=True)
    }
    blob = "\n".join(lemma.replace("_", " ") for lemma in lemmas)
    arrays |= {
        "lemmas": np.frombuffer(blob.encode("utf-8"), dtype=np.uint8),
        "exceptions": np.frombuffer("\n".join(_exceptions(wordnet)).encode("utf-8"), np.uint8),
        "n_senses": np.array([len(words[lemma]) for lemma in lemmas], dtype=np.int16),
        "offset": np.array([offset for _, offset in synsets], dtype=np.int32),
    }
    write_lexicon(path, arrays)


def _exceptions(wordnet: WordNet) -> Iterator[str]:
    for pos, name in zip(POS_TAGS, ("noun", "verb", "adj", "adv"), strict=True):
        file = wordnet.path / f"{name}.exc"
        if not file.is_file():
            raise ResourceError(f"{file} does not exist; install WordNet whole: wordnet-base")
        for line in file.read_text(encoding="utf-8").splitlines():
            form, lemma, *_ = line.split()
            yield f"{pos}\t{form.replace('_', ' ')}\t{lemma.replace('_', ' ')}"
