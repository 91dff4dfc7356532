"""What a job holds, so that no other one writes its output or its error file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from spacy_attn.errors import ConfigError
from spacy_attn.files import is_replaceable, locked
from spacy_attn.jobs.options import option_name
from spacy_attn.jobs.output_paths import OutputPaths, explain_unwritable

_OTHER_ERROR_FILES: Final = 1000  # names that jobs without an output file try


@contextmanager
def hold(paths: OutputPaths) -> Iterator[Path]:
    """Lock what the job writes, and give its error file.

    Where there is no output to name it by, and another job has it, it is the next name that is
    free.

    Raises:
        ConfigError: another job holds one of them, or they cannot be made.
    """
    with ExitStack() as locks:
        if paths.lock is not None and not _take(locks, paths.lock, paths):
            raise ConfigError(
                f"a running job writes {paths.name}: wait for it, or name another output"
            )
        errors = paths.errors
        for number in range(2, _OTHER_ERROR_FILES):
            if not is_replaceable(errors) or _take(locks, paths.errors_lock(errors), paths):
                break
            if paths.errors_named or paths.part is not None:
                raise ConfigError(
                    f"a running job writes {errors}: name another file with {option_name('errors')}"
                )
            errors = paths.errors.with_suffix(f".{number}.jsonl")
        yield errors


def _take(locks: ExitStack, path: Path, paths: OutputPaths) -> bool:
    try:
        locks.enter_context(locked(path, wait=False, remove=True))
    except TimeoutError:
        return False
    except OSError as error:
        raise explain_unwritable(paths, error) from None
    return True
