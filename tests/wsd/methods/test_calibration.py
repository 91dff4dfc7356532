"""The calibration beside a sense model, which travels with it and may be damaged."""

from __future__ import annotations

import pytest

from spacy_attn.errors import ResourceError
from spacy_attn.wsd.methods.calibration import CALIBRATION, calibration_of, temperature_of

COVERAGE = '{"attention": {"examples": {"coverage": %s, "reading_weight": %s}}}'
DAMAGED = [
    "{",
    "[]",
    "[" * 100_000,
    '{"attention": []}',
    '{"attention": {"examples": {}}}',
    '{"temperatures": {"attention": "x"}}',
    '{"temperatures": {"attention": NaN}}',
    '{"temperatures": {"attention": 0}}',
    '{"temperatures": {"attention": 1%s}}' % ("0" * 400),
    '{"temperatures": {"attention": [1]}}',
    COVERAGE % ('{"evil": 1}', 1),
    COVERAGE % ('{"top": "x", "size": 1, "constant": 1}', 1),
    COVERAGE % ('{"top": 1, "size": 1, "constant": 1}', "NaN"),
    "\ufeff{}",
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_one_sentence(tmp_path, text):
    (tmp_path / CALIBRATION).write_text(text, encoding="utf-8")
    for read in (
        lambda: calibration_of("examples", tmp_path / "senses.safetensors"),
        lambda: temperature_of("attention", None, tmp_path / "senses.safetensors"),
    ):
        with pytest.raises(ResourceError, match=r"calibration.json is no calibration") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_what_was_fitted(tmp_path):
    (tmp_path / CALIBRATION).write_text(
        (COVERAGE % ('{"top": 1, "size": 2, "constant": 3}', 0.5))[:-1]
        + ', "temperatures": {"attention": 0.25}}'
    )
    path = tmp_path / "senses.safetensors"
    assert calibration_of("examples", path).coverage == (1, 2, 3)
    assert temperature_of("attention", None, path) == 0.25
