"""A method that was asked for by name, and not through `all`, does not end without a result unnoticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from mdnbench import api

PLUGIN = """
import mdnbench

def absent(options, device, weights):
    raise mdnbench.Unavailable("its package is not installed")

def gray(options, device, weights):
    return lambda noisy, noise: noisy.clone()

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [
        mdnbench.DenoiserSpec("absent", "1", "never at hand", absent),
        mdnbench.DenoiserSpec("gray-only", "1", "gray images alone", gray, channels=(1,)),
    ]
"""
UNTRAINED = "unet[colour=true]"


@pytest.fixture
def ready(lab: Any) -> Any:
    """A lab with the plugin, and a folder with a colour image."""
    lab.write("own.py", PLUGIN, plugin=True)
    (lab.folder / "colours").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(lab.folder / "colours" / "1.png")
    return lab


def run(lab: Any, methods: list[str], dataset: str = "pics", **keys: Any) -> Any:
    """The results of a run without its timing phase."""
    usual: dict[str, Any] = {"noise": "gaussian:25", "metrics": "psnr", "jobs": 1, "timing": False, "train_budget": 0.0}
    return api.run(methods=methods, dataset=str(lab.folder / dataset), plugins=lab.plugins, **usual | keys)


@pytest.mark.parametrize(("method", "dataset", "why"), [
    ("absent", "pics", "its package is not installed"),
    ("gray-only", "colours", "gray-only takes gray images only"),
    (UNTRAINED, "colours", "it has no weights"),
])  # fmt: skip
def test_fault_58_a_named_method_without_a_result_is_a_failure(
    ready: Any, cli: Callable[..., Any], method: str, dataset: str, why: str
) -> None:
    """Without package, channels or weights: exit code 4, the reason on stderr; in the API and later alike."""
    found = run(ready, ["noisy", method], dataset, out="named")
    assert found.counts["ok"] > 0
    assert {row.status for row in found.rows() if row.method == method} == {"skipped"}  # it took effect
    assert found.exit_code == 4
    assert list(found.unmet) == [method]
    assert why in found.unmet[method]
    assert api.open_run("named").exit_code == 4

    folder = ready.folder / dataset
    command = [
        "run", "--methods", f"noisy,{method}", "--noise", "gaussian:25", "--dataset", folder, "--metrics", "psnr",
        "--no-timing", "--jobs", 1, "--train-budget", 0, f"--plugin={ready.plugins[0]}",
    ]  # fmt: skip
    said = cli(*command)
    assert said.returncode == 4, said.stderr
    assert f"{method} was asked for by name and has no cell that is ok; skipped: {why}" in said.stderr
    assert "Traceback" not in said.stderr
    printed = cli(*command, "--json")
    facts = json.loads(printed.stdout)
    assert (printed.returncode, facts["exit_code"]) == (4, 4)
    assert why in facts["unmet"][method]


def test_fault_58_through_all_it_is_no_failure(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `all` stands for may be absent; named beside `all`, it may not."""
    from mdnbench.planning import planner

    # The methods themselves do not matter here, and some take long.
    monkeypatch.setattr(planner, "_split", lambda registry: (["noisy", "absent"], {}))
    found = run(ready, ["all"])
    assert found.counts == {"ok": 2, "skipped": 2}
    assert (found.exit_code, found.unmet) == (0, {})
    found = run(ready, ["all", "absent"])
    assert found.counts == {"ok": 2, "skipped": 2}
    assert (found.exit_code, list(found.unmet)) == (4, ["absent"])


def test_fault_58_a_method_that_failed_everywhere_has_its_reason(ready: Any, cli: Callable[..., Any]) -> None:
    """Not skipped but raising: the reason is on stderr too, and options are part of the name."""
    ready.write("raises.py", """
        import mdnbench
        def build(options, device, weights):
            raise OSError("gone")
        @mdnbench.hookimpl
        def mdnbench_denoisers():
            option = mdnbench.Option("size", int, 3, "pixels")
            return [mdnbench.DenoiserSpec("raises", "1", "", build, options=(option,))]
        """, plugin=True)  # fmt: skip
    done = cli(*ready.arguments("noisy raises[size=5]"))
    assert done.returncode == 4, done.stderr
    assert "raises[size=5] was asked for by name and has no cell that is ok; failed: OSError: gone" in done.stderr
    assert list(json.loads(done.stdout)["unmet"]) == ["raises[size=5]"]


def test_fault_58_one_cell_that_is_ok_is_enough(ready: Any) -> None:
    """A folder with a gray and a colour image is not all gray; a method that takes both has its cells."""
    Path(ready.folder / "pics" / "9.png").write_bytes((ready.folder / "colours" / "1.png").read_bytes())
    found = run(ready, ["noisy", "gray-only"])
    assert (found.exit_code, list(found.unmet)) == (4, ["gray-only"])
    found = run(ready, ["noisy", "gray-only"], images=["1"])
    assert (found.exit_code, found.unmet) == (0, {})
