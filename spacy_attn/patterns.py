"""The files that an argument means: a file, a folder, or a pattern such as ``texts/**/*.jsonl``.

As ``glob``, which passes over a folder that cannot be read, and follows a link that leads back.
"""

from __future__ import annotations

import errno
import fnmatch
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from glob import has_magic
from typing import NoReturn

from spacy_attn.errors import ConfigError


def find_files(given: str, suffixes: str, is_wanted: Callable[[str], bool]) -> list[str]:
    """The files, sorted; a name that is not there stays, for whoever reads it to tell.

    Args:
        given: a file, a folder or a pattern. A name that is there is no pattern, whatever its
            letters; ``~`` is the user's folder. A file that a pattern reaches by several ways, as
            where a link leads back, is taken once.
        suffixes: of the files that are taken from a folder, for the error.
        is_wanted: whether a file of a folder is taken, by its path. Hidden ones are not, nor those
            that begin with ``_``.

    Raises:
        ConfigError: it means no file, or a folder cannot be read.
    """
    if not given:
        raise ConfigError("an input is empty: give a file, a folder or a pattern")
    if os.path.isdir(given):
        if found := sorted(filter(is_wanted, _files_below(given.rstrip("/") + "/"))):
            return found
        raise ConfigError(f"folder {given} holds no file with a suffix of {suffixes}")
    if os.path.lexists(given):
        return [given]
    if (expanded := os.path.expanduser(given)) != given:
        return find_files(expanded, suffixes, is_wanted)
    if has_magic(given):
        return _matched(given)
    if hint := _hint(given):
        raise ConfigError(f"input {given} is not there: list what is there with ls{hint}")
    return [given]


def check_given_once(names: Sequence[str]) -> None:
    """Refuse a file that is named twice, in whatever way: ``a.txt`` and ``./a.txt`` are one.

    Args:
        names: of files, or "-" for standard input.

    Raises:
        ConfigError: one is.
    """
    files = {name: name if name == "-" else os.path.abspath(name) for name in names}
    times = Counter(files[name] for name in names)
    for name, file in files.items():
        if times[file] > 1:
            raise ConfigError(
                f"input {name} is given {times[file]} times, and would be read as often: "
                "give it once"
            )


def _matched(pattern: str) -> list[str]:
    if any("**" in part and part != "**" for part in pattern.split("/")):
        raise ConfigError(
            f"in the pattern {pattern} other letters stand beside **, which is for folders of any "
            "depth: write it such as texts/**/*.jsonl"
        )
    matched = sorted(_each_once(_match(pattern)))
    if found := [name for name in matched if not os.path.isdir(name)]:
        return found
    if matched:
        raise ConfigError(
            f"{pattern} matches folders alone, such as {matched[0]}: give {pattern.rstrip('/')}/* "
            "for the files in them"
        )
    raise ConfigError(f"no file matches {pattern}: list what is there with ls{_hint(pattern)}")


def _hint(given: str) -> str:
    """What a user may have meant by signs that have not the meaning of the shell here."""
    if "{" in given or "$" in given:
        return "; {a,b} and $NAME are for the shell: give them without quotes"
    return "; for a [ that is part of a name write [[]" if "[" in given else ""


def _files_below(folder: str) -> Iterator[str]:
    """The files of a folder that ends in a slash, and those of linked ones, but for hidden ones."""
    for name in _each_once(_match_in(folder, ["**"])):
        if "/_" not in name[len(folder) - 1 :] and not os.path.isdir(name):
            yield name


def _refuse_unreadable(error: OSError) -> NoReturn:
    raise ConfigError(
        f"folder {error.filename} cannot be read ({error.strerror or error}), and its files would "
        "be missing: make it readable with chmod +rx, or name the other inputs one by one"
    )


def _match(pattern: str) -> Iterator[str]:
    """Names that match, as ``glob`` gives them, but for folders that cannot be read."""
    root, *parts = pattern.split("/")
    if has_magic(root):
        return _match_in("", [root, *parts])
    return _match_in(f"{root}/" if parts else "", parts)


def _match_in(folder: str, parts: Sequence[str], above: tuple[str, ...] = ()) -> Iterator[str]:
    """What matches the parts of a pattern in a folder that ends in a slash, or is empty.

    ``above`` are the real folders that ``**`` has come through: a link back to one is not taken.
    """
    if not parts:
        yield folder.removesuffix("/")
        return
    part, *rest = parts
    if not has_magic(part) or _is_name(folder, part):
        name = folder + part
        if rest or _is_there(name):
            yield from _match_in(f"{name}/" if rest else name, rest)
        return
    if part == "**":
        yield from _match_in(folder, rest)
        above = (*above, os.path.realpath(folder or "."))
    for entry in _entries(folder or "."):
        name = folder + entry.name
        if entry.name[0] == "." and part[0] != ".":
            continue
        if part == "**":
            if _is_folder(entry) and os.path.realpath(name) not in above:
                yield from _match_in(f"{name}/", parts, above)
            elif not rest:
                yield name
        elif fnmatch.fnmatchcase(entry.name, part) and (not rest or _is_folder(entry)):
            yield from _match_in(f"{name}/" if rest else name, rest)


def _is_name(folder: str, part: str) -> bool:
    """Whether a part with brackets is the name of something there."""
    return not {"*", "?"} & {*part} and os.path.lexists(folder + part)


def _is_there(name: str) -> bool:
    try:
        os.lstat(name)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        error.filename = os.path.dirname(name)
        _refuse_unreadable(error)
    return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself, for whoever reads it to tell
            return False
        error.filename = os.path.dirname(entry.path)
        _refuse_unreadable(error)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        _refuse_unreadable(error)


def _each_once(names: Iterable[str]) -> Iterator[str]:
    """The names, without those that reach the same place by another way, through linked folders."""
    seen: set[str] = set()
    for name in sorted(names, key=lambda name: (name.count("/"), name)):
        parent, base = os.path.split(name)
        place = os.path.join(os.path.realpath(parent), base)
        if place not in seen:
            seen.add(place)
            yield name
