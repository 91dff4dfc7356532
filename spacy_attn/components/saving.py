"""Components that are saved as one file: bytes and disk hold the same."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from spacy_attn.errors import ResourceError


class SavedInOneFile:
    """What spaCy asks of a component that it saves; the config of the pipeline has the rest.

    A component gives ``to_bytes`` and ``_restore``. Where ``to_bytes`` gives nothing, no file is
    written.
    """

    name: str
    saved_as: str  # name of the file in the component's folder
    may_lack_file = False  # whether _restore gets b"" where there is no file

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """What is saved."""
        raise NotImplementedError

    def _restore(self, data: bytes, where: str) -> None:
        """Take over what ``to_bytes`` wrote; ``where`` it stood is for messages."""
        raise NotImplementedError

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Self:
        """Take over what ``to_bytes`` wrote; a path in the config is not read.

        Raises:
            ConfigError, ResourceError: the bytes hold something else, or are damaged.
        """
        self._restore(data, "these bytes")
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write what ``to_bytes`` gives into a folder."""
        data = self.to_bytes()
        Path(path).mkdir(parents=True, exist_ok=True)
        if data:
            Path(path, self.saved_as).write_bytes(data)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Self:
        """Take over what ``to_disk`` wrote; a path in the config is not read.

        Raises:
            ConfigError, ResourceError: the folder holds nothing of it, or something damaged.
        """
        file = Path(path, self.saved_as)
        if not file.is_file() and not self.may_lack_file:
            raise ResourceError(
                f"there is no {self.saved_as} of {self.name!r} in {path}; save the pipeline again "
                "with nlp.to_disk"
            )
        self._restore(file.read_bytes() if file.is_file() else b"", str(file))
        return self
