"""What a large store costs: planning, table, check and comparison over a million scores, in time and in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(1800)
MANY = 1_000_000  # scores, for which the limits are
LIMIT_S, LIMIT_MIB = 10, 1024


@pytest.fixture(scope="module", params=[1_000, pytest.param(MANY, marks=pytest.mark.full)])
def store(request: pytest.FixtureRequest, filled: Callable[[int], Any]) -> Any:
    """A workspace with a thousand scores, or with a million."""
    return filled(request.param)


@pytest.fixture
def asked(store: Any, benchmark: Any, figure: Any, watched: Any) -> Callable[..., str]:
    """`asked("check", …)` runs a command over the store, notes its time and memory, and gives what it prints."""

    def ask(command: str, *arguments: object, code: int = 0) -> str:
        ran = benchmark.pedantic(watched, args=(store.folder, command, *arguments), rounds=1)
        seconds, mib = (LIMIT_S, LIMIT_MIB) if store.scores >= MANY else (None, None)
        figure(f"`{command}` over {store.scores:,} scores", ran.seconds, "s", below=seconds)
        figure(f"memory of `{command}`, {store.scores:,} scores", ran.peak_bytes / 2**20, "MiB", below=mib)
        assert ran.code == code
        return str(ran.out)

    return ask


def test_planning(store: Any, asked: Any) -> None:
    """Every cell is found in the store; nothing is left to compute."""
    estimate = json.loads(asked("plan", *store.arguments, "--json"))
    assert (3 * estimate["cells"], estimate["new_cells"]) == (store.scores, 0)


def test_table(store: Any, asked: Any) -> None:
    """The tables show the mean of what was written of every method under every noise."""
    page = Path(asked("report", "big", "--to", "md").strip()).read_text(encoding="utf-8")
    shown = {}
    for section in re.sub(r"[\\*`]|</?u>", "", page).split("\n## ")[1:]:
        noise, *lines = section.splitlines()
        shown |= {(noise, cells[1]): cells[2] for line in lines if len(cells := line.replace(" ", "").split("|")) > 3}
    for pair, mean in store.means.items():
        assert float(shown[pair]) == pytest.approx(mean, abs=0.0051)


def test_check(asked: Any, store: Any) -> None:
    """The run passes against the baseline that was made of it."""
    verdict = json.loads(asked("check", "big", "--baseline", "before", "--json"))
    assert verdict["gates"]
    assert {gate["state"] for gate in verdict["gates"]} == {"pass"}


@pytest.mark.full
def test_compare(asked: Any, store: Any) -> None:
    """Under each noise the methods come out in the order of the means that were written."""
    families = json.loads(asked("compare", "big", "--json"))["families"]
    for family in families:
        assert len(family["pairs"]) == len(family["means"]) * (len(family["means"]) - 1) / 2 == 190
        if family["column"]["metric"] == "psnr":
            order = [each["method"] for each in family["means"]]
            expected = sorted(order, key=lambda method: -store.means[family["noise"], method])
            assert order == expected
