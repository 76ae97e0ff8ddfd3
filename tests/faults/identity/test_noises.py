"""All methods have the same noisy image of a case, also when a noise is edited in between."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from mdnbench.errors import StoreError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what C code and programs open")


def test_fault_32_a_noise_is_edited_and_a_method_added(judged: Any, shifting_text: Any) -> None:
    """Both methods are computed under the new noise: one noisy image a case, as after --fresh."""
    judged.run("noisy", noise="brighter:0.1")
    judged.write("shifting.py", shifting_text(2.0))
    both = judged.run("noisy median", noise="brighter:0.1")
    assert "shifting.py has changed; 2 stored cells" in both.changes[0]
    assert both.tally.computed == 4
    digests: dict[str, set[str]] = {}
    for row in both.rows.values():
        digests.setdefault(row.image, set()).add(row.noisy_digest)
    assert {image: len(found) for image, found in digests.items()} == {"1": 1, "2": 1}
    fresh = judged.run("noisy median", noise="brighter:0.1", fresh=True)
    assert {key: row.noisy_digest for key, row in fresh.rows.items()} == {
        key: row.noisy_digest for key, row in both.rows.items()
    }


UNSEEDED = """
    import mdnbench, numpy

    def apply(clean, rng, w):
        drawn = numpy.random.default_rng().normal(size=clean.shape).astype("float32")
        return clean + w * drawn

    @mdnbench.hookimpl
    def mdnbench_noises():
        w = mdnbench.Option("w", float, help="w")
        return [mdnbench.NoiseSpec("dice", "1", "dice", apply, lambda w: w, (w,), "y = x + n")]
"""


@pytest.mark.parametrize("first", ["noisy", pytest.param("", marks=pytest.mark.full)])
def test_fault_32_a_noise_that_draws_by_itself(lab: Any, first: str) -> None:
    """The second method's cells are errors that name the case, whether the first one's are stored or of this run."""
    lab.write("dice.py", UNSEEDED, plugin=True)
    if first:
        lab.run(first, noise="dice:0.1")
    both = lab.run("noisy median", noise="dice:0.1")
    assert [row.status for row in both.of("noisy")] == ["ok", "ok"]
    for row in both.of("median"):
        assert row.status == "failed"
        assert f"image '{row.image}' under dice:w=0.1, seed 0" in row.reason


def test_fault_32_stored_cells_of_a_noise_that_draws_by_itself(lab: Any) -> None:
    """Both methods' cells come from the store, each computed in a run of its own: no table shows them together."""
    lab.write("dice.py", UNSEEDED, plugin=True)
    lab.run("noisy", noise="dice:0.1")
    lab.run("median", noise="dice:0.1")
    with pytest.raises(
        StoreError, match=r"saw different noisy images of one case \(image '.' under dice:w=0.1, seed 0\)"
    ):
        lab.run("noisy median", noise="dice:0.1")


DARKER = """
    import mdnbench

    def plus(clean, rng, by):
        from . import {first}
        return clean + {first}.SIGN * by

    def minus(clean, rng, by):
        from . import {second}
        return clean + {second}.SIGN * by

    @mdnbench.hookimpl
    def mdnbench_noises():
        by = mdnbench.Option("by", float, help="how much")
        calls = {{"{first}": plus, "{second}": minus}}.items()
        return [mdnbench.NoiseSpec(name, "1", "x", call, lambda by: None, (by,), "y = x + c") for name, call in calls]
"""


def test_fault_31_the_files_of_noises_count_for_their_plugin(lab: Any) -> None:
    """The noises of a plugin share a process, which cannot tell who uses a loaded file; another plugin has its own."""
    lab.write("one.py", DARKER.format(first="light", second="dark"), plugin=True)
    lab.write("two.py", DARKER.format(first="bright", second="dim"), plugin=True)
    for name in ("light", "dark", "bright", "dim"):
        lab.write(f"{name}.py", "SIGN = 1")
    noises = ["light:0.1", "dark:0.1", "bright:0.1", "dim:0.1"]
    assert lab.run("noisy", noise=noises).tally.computed == 8
    lab.write("light.py", "SIGN = -1")
    edited = lab.run("noisy", noise=noises)
    assert "light.py has changed" in edited.changes[0]
    assert (edited.tally.cached, edited.tally.computed) == (4, 4)
