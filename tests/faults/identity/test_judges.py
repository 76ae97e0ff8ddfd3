"""The code of a metric counts for its scores, the code of a noise for the cells under it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what C code and programs open")


def test_fault_31_the_helper_of_a_metric_or_a_noise(judged: Any, measure_text: Any, shifting_text: Any) -> None:
    """A metric's helper changes its own scores alone, a noise's helper the cells under this noise alone."""
    noises = ["gaussian:25", "brighter:0.1"]
    asked: dict[str, Any] = {"noise": noises, "metrics": ["psnr", "mine"]}
    first = judged.run("noisy", **asked)
    judged.write("measure.py", "# a comment\n" + measure_text(0))
    judged.write("shifting.py", "# a comment\n" + shifting_text(1.0))
    assert judged.run("noisy", **asked).tally.cached == 4
    judged.write("measure.py", measure_text(1))
    measured = judged.run("noisy", **asked)
    (note,) = measured.changes
    assert "measure.py has changed" in note
    assert measured.tally.cached == 0
    assert measured.values("noisy") == first.values("noisy")
    assert measured.values("noisy", "mine") == pytest.approx([value + 1 for value in first.values("noisy", "mine")])
    judged.write("shifting.py", shifting_text(2.0))
    shifted = judged.run("noisy", **asked)
    (note,) = shifted.changes
    assert "shifting.py has changed; 2 stored cells" in note
    assert (shifted.tally.cached, shifted.tally.computed) == (2, 2)
    kept, moved = "gaussian:sigma=25", "brighter:by=0.1"
    assert shifted.values("noisy", noise=kept) == measured.values("noisy", noise=kept)
    assert max(shifted.values("noisy", noise=moved)) < min(measured.values("noisy", noise=moved))
