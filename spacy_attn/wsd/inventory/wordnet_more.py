"""What else the package knows of WordNet 3.0, in a file of its own that few programs read.

``data/wordnet_more.npz``, made by ``python scripts/wordnet_more.py``::

    first (n_synsets,)   which of a synset's lemmas, in alphabetical order, WordNet names first
    coarse (n_senses,)   the group of each sense among those of its lemma and part of speech

The lexicon itself stays as it is: trained sense models name its digest.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spacy_attn.errors import ResourceError

FILE = Path(str(files("spacy_attn").joinpath("data", "wordnet_more.npz")))
_NAMES = ("first", "coarse")


def read_more(lexicon: str) -> dict[str, NDArray[np.uint8]]:
    """The arrays of the file.

    Args:
        lexicon: digest of the lexicon whose synsets and senses are meant.

    *Shape:* see the module

    Raises:
        ResourceError: the file is missing, damaged, or was made for another lexicon.
    """
    try:
        with np.load(FILE, allow_pickle=False) as archive:
            made_for = archive["lexicon"].tobytes().hex()
            arrays = {name: archive[name] for name in _NAMES}
    except Exception as error:  # numpy's, zipfile's and lzma's own
        raise ResourceError(
            f"{FILE} cannot be read ({error}); reinstall with: "
            "pip install --force-reinstall --no-deps spacy-attn"
        ) from error
    if made_for != lexicon:
        raise ResourceError(
            f"{FILE} was made for a lexicon with hash {made_for[:12]}, this one has "
            f"{lexicon[:12]}; reinstall with: pip install --force-reinstall --no-deps spacy-attn"
        )
    return arrays


def write_more(path: Path, lexicon: str, arrays: Mapping[str, NDArray[np.uint8]]) -> None:
    """Write the file; the same arrays give the same bytes. *Shape:* see the module"""
    digest = np.frombuffer(bytes.fromhex(lexicon), dtype=np.uint8)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in {**{name: arrays[name] for name in _NAMES}, "lexicon": digest}.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_LZMA)
