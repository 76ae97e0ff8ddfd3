"""What the command line costs before it does anything."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("command", "said", "limit_s"), [("--help", "run", 0.3), ("list", "bm3d", 1), ("plan --sigma 50", "noisy", 2)]
)
def test_starting(command: str, said: str, limit_s: float, benchmark: Any, figure: Any) -> None:
    """Help, the list and a plan come soon, with what they should say."""

    def run() -> str:
        whole = [sys.executable, "-m", "mdnbench", *command.split()]
        return subprocess.run(whole, capture_output=True, text=True, encoding="utf-8", check=True).stdout

    assert said in benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    if benchmark.enabled:
        figure(f"`mdnbench {command}`, median of five", benchmark.stats.stats.median, "s", below=limit_s)
