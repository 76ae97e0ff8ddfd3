"""The collector of cycles waits, and goes on as it was."""

from __future__ import annotations

import gc
from contextlib import suppress

import pytest

from mdnbench.analysis.regression.baselines import uncollected


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_goes_on_as_it_was(enabled: bool) -> None:
    """It is off inside, also when something goes wrong there, and afterwards as before."""
    (gc.enable if enabled else gc.disable)()
    inside = []
    try:
        with suppress(ValueError), uncollected():
            inside.append(gc.isenabled())
            raise ValueError
        assert inside == [False]
        assert gc.isenabled() == enabled
    finally:
        gc.enable()
