"""Freed memory goes back to the system, where the C library has a way."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from spacy_attn.encoder import memory
from spacy_attn.encoder.memory import release_freed_memory


def resident() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux" or memory._trim() is None, reason="needs glibc")
def test_gaps_between_living_blocks_are_released():
    blocks = [np.ones(10_000) for _ in range(4000)]  # 80 KB each: from the heap, not mapped
    del blocks[::2]
    before = resident()
    assert release_freed_memory()
    assert before - resident() > 100_000_000
    assert len(blocks) == 2000


def test_another_c_library_is_no_error(monkeypatch):
    monkeypatch.setattr(memory, "_trim", lambda: None)
    assert not release_freed_memory()
