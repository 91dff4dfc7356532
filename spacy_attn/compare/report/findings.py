"""Sentences that say where a classic method does better than attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from spacy_attn.compare.report.numbers import share
from spacy_attn.compare.report.tables import Result, Row, is_published, strata_of

_MOST_NAMED: Final = 12  # words that a sentence names
_ATTENTION: Final = ("attention", "self_attention")


def attention_and_classics(result: Result) -> tuple[Row | None, list[Row]]:
    """The row of attention, the best where none has that name; classic rows, the best first."""
    run = sorted(
        (system for system in result["systems"] if not is_published(system)),
        key=lambda system: float(system["accuracy"]),
        reverse=True,
    )
    classics = [system for system in run if _is_classic(system)]
    ours = [system for system in run if _method(system) in _ATTENTION]
    ours.sort(key=lambda system: system["name"] != "attention")
    return (ours[0] if ours else None), classics


def _is_classic(system: Row) -> bool:
    """Whether a row is a sense method that reads no contextual vectors.

    A cascade or an ensemble with attention does; what a function reads is not known.
    """
    return "method" in system and "encoder" not in system and _method(system) not in _ATTENTION


def _method(system: Row) -> str:
    """The short name of a row's method; that of the row where it does not say."""
    method = system.get("method") or system["name"]
    if isinstance(method, dict):
        method = method.get("@sense_methods", "")
    parts = str(method).split(".")  # spacy_attn.lesk.v1
    return parts[-2] if len(parts) > 2 else str(method)


def classic_wins(result: Result) -> list[str]:
    """Where a classic method does better than attention, one sentence each.

    Returns:
        Nothing where the result does not hold both.
    """
    attention, classics = attention_and_classics(result)
    if attention is None or not classics:
        return []
    name = attention["name"]
    wins = list(_wins_by_group(result, attention, classics))
    said = (
        f"A classic method is more accurate than {name} on {'; '.join(wins)}."
        if wins
        else f"No classic method is more accurate than {name} on the set or a part of it."
    )
    return [
        said,
        *_wins_by_word(attention, classics),
        *_wins_in_cost(attention, classics[0]),
        *_wins_in_calibration(attention, classics),
    ]


def _value(system: Row, sort: str, group: str) -> float | None:
    """Accuracy on all instances, or on a group of some sort."""
    found: float | None = system["accuracy"] if not sort else (system.get(sort) or {}).get(group)
    return found


def _leader(systems: Sequence[Row], sort: str, group: str) -> Row:
    return max(systems, key=lambda system: _value(system, sort, group) or 0.0)


def _wins_by_group(result: Result, attention: Row, classics: Sequence[Row]) -> Iterator[str]:
    """All instances, strata and parts of speech on which the best classic method leads."""
    parts = result["n_by"].get("pos", {})
    groups = [("all instances", "", "")]
    groups += [(f"stratum {g} (n = {n:,})", "strata", g) for g, n in strata_of(result).items()]
    if len(parts) > 1:
        groups += [(f"part of speech {g} (n = {n:,})", "pos", g) for g, n in parts.items()]
    for label, sort, group in groups:
        best = _leader(classics, sort, group)
        ours, theirs = _value(attention, sort, group), _value(best, sort, group)
        if ours is not None and theirs is not None and ours < theirs:
            yield f"{label}: {best['name']} {share(theirs)}, {attention['name']} {share(ours)}"


def _wins_by_word(attention: Row, classics: Sequence[Row]) -> Iterator[str]:
    """The words on which the best classic method leads, the largest lead first."""
    words = attention.get("by_word") or {}
    leads = []
    for word, ours in words.items():
        best = _leader(classics, "by_word", word)
        theirs = _value(best, "by_word", word)
        if theirs is not None and theirs > ours:
            said = f"{word} ({best['name']} {theirs:.3f} against {ours:.3f})"
            leads.append((ours - theirs, word, said))
    if leads:
        named = [said for _, _, said in sorted(leads)[:_MOST_NAMED]]
        more = f" and {len(leads) - _MOST_NAMED:,} more" if len(leads) > _MOST_NAMED else ""
        n = f"{len(leads):,} of {len(words):,} words"
        yield f"The best classic method for the word is ahead on {n}: {', '.join(named)}{more}."


def _wins_in_cost(attention: Row, best: Row) -> Iterator[str]:
    """What the most accurate classic method saves."""
    who = f"{best['name']}, the most accurate classic method ({best['accuracy']:.3f}),"
    ours, theirs = attention.get("words_per_second"), best.get("words_per_second")
    if ours and theirs and theirs > ours:
        ratio = theirs / ours
        times = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"
        yield f"{who} decides {times} times as many words a second as {attention['name']}."
    ours, theirs = attention.get("peak_rss_mb"), best.get("peak_rss_mb")
    if ours and theirs and theirs < ours:
        yield f"{who} needs {ours - theirs:,.0f} MB less memory than {attention['name']}."


def _wins_in_calibration(attention: Row, classics: Sequence[Row]) -> Iterator[str]:
    error = attention.get("calibration_error")
    errors = [(system["name"], system.get("calibration_error")) for system in classics]
    closer = [
        f"{n} {e:.3f}" for n, e in errors if e is not None and error is not None and e < error
    ]
    if closer:
        yield f"Better calibrated than {attention['name']} (ECE {error:.3f}): {', '.join(closer)}."
