"""What a piece of work takes of memory: a process of its own, and its own highest mark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# ru_maxrss of a child begins with that of the process that made it.
_PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024
"""


def output_and_peak(before: str, code: str, *arguments: object, cwd: Path) -> tuple[str, int]:
    """What some code prints, and how much it takes beyond the code before it, in MB."""
    whole = f"{before}{_PEAK}\nbefore = peak()\n{code}\nprint(peak() - before)"
    done = subprocess.run(
        [sys.executable, "-c", whole, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    printed, _, megabytes = done.stdout.strip().rpartition("\n")
    return printed, int(megabytes)
