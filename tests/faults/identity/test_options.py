"""An option that a method gets later changes the identity of its outputs, and no name."""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what C code and programs open")

OPTIONS = """
    import mdnbench

    def build(options, device, weights):
        level = options.get("level", 0.5)
        return lambda noisy, noise: noisy * 0 + level

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("growing", "1", "x", build, options=({options}))]
"""
LEVEL = 'mdnbench.Option("level", float, default=0.5, minimum=0, maximum=1),'
BLUR = 'mdnbench.Option("blur", int, default=0),'


def test_fault_35_an_option_with_a_default_is_added(lab: Any, level_plugin: Any) -> None:
    """That method alone is computed again, once; its name and the cells of the others stay as they are."""
    lab.write("growing.py", OPTIONS.format(options=""), plugin=True)
    lab.write("other.py", level_plugin("other", "LEVEL = 0.25"), plugin=True)
    methods = "growing other median"
    first = lab.run(methods)
    lab.write("growing.py", OPTIONS.format(options=LEVEL))
    added = lab.run(methods)
    assert added.renewed(first) == {"growing"}
    assert (added.tally.computed, added.tally.cached) == (2, 4)
    assert "growing.py has changed; 2 stored cells" in added.changes[0]
    again = lab.run(methods)
    assert (again.tally.computed, again.tally.cached, again.changes) == (0, 6, [])
    assert sorted(first.lines) == sorted(added.lines) == ["growing", "median", "other"]
    assert added.values("growing") == first.values("growing")
    named = lab.run("growing[level=0.5]")  # its default, in words
    assert (named.tally.cached, named.lines) == (2, ("growing",))
    lab.write("growing.py", OPTIONS.format(options=BLUR + LEVEL))
    assert lab.run(methods).renewed(added) == {"growing"}
