"""How numbers are written in tables, on the page and in the generated documentation."""

from __future__ import annotations

from collections.abc import Sequence


def share(value: float | None) -> str:
    """Three digits: 0.833."""
    return "-" if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """One digit, without a sign: 83.3."""
    return "-" if value is None else f"{100 * value:.1f}"


def number(value: float | None, digits: int = 0) -> str:
    """With commas: 12,345."""
    return "-" if value is None else f"{value:,.{digits}f}"


def signed(value: float) -> str:
    """A difference: +0.500."""
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def between(bounds: Sequence[float]) -> str:
    """An interval: 0.700 to 0.900."""
    low, high = bounds
    return f"{low:.3f} to {high:.3f}"


def p_value(p: float | None) -> str:
    """Three digits, and no zero: < 0.001."""
    if p is None:
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
