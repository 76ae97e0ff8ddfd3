"""How long this process waited for a processor."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from mdnbench.timing import cpu_wait
from mdnbench.timing.cpu_wait import DISTURBED, Waiting, disturbed


@pytest.mark.parametrize(("waits", "found"), [
    ([0.0, 0.0, 0.0], False), ([0.9, 0.0, 0.0], False), ([0.9, 0.9, 0.0], True), ([DISTURBED] * 3, False), ([], False),
])  # fmt: skip
def test_more_than_half_of_the_calls_decide(waits: list[float], found: bool) -> None:
    """A median is a disturbed call only if most calls are."""
    assert disturbed([1.0] * len(waits), waits) is found


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone counts it")
@pytest.mark.parametrize("threads", [1, 2])
def test_the_scheduler_is_asked(threads: int) -> None:
    """The count never falls while no thread ends, and it stands for seconds, not for nanoseconds."""
    found = Waiting(threads)
    before = found.seconds()
    sum(range(100_000))
    assert 0 <= before <= found.seconds() < 1e5


def test_elsewhere_nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the scheduler's file nothing was waited for; a thread that has just ended is passed over."""
    monkeypatch.setattr(cpu_wait, "LEADER", tmp_path / "none")
    assert Waiting().seconds() == 0.0
    assert cpu_wait._delay_of(tmp_path / str(threading.get_native_id())) == 0.0
    assert cpu_wait._delay_s(b"12 3000000000 7\n") == 3.0
    assert cpu_wait._delay_s(b"") == 0.0
