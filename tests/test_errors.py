"""What the errors of other libraries become."""

from __future__ import annotations

import pytest

from spacy_attn.errors import first_line


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("\n  first\nsecond"), "first"),
        (KeyError(), "KeyError"),
        (RuntimeError(" \n "), "RuntimeError"),
        (OSError("x" * 900), "x" * 200),
        ("said by hand", "said by hand"),
    ],
)
def test_a_librarys_error_fits_into_one_sentence(error, shown):
    assert first_line(error) == shown
