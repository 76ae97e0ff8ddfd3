"""Loading models: once per slot and method, whatever the noises, images and seeds; again only after a fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mdnbench import api

PLUGIN = """
import os, time
from pathlib import Path

def spec(name):
    def build(options, device, weights):
        with open("built.log", "a") as log:
            print(os.getpid(), name, options["strength"], file=log)

        def denoise(noisy, noise):
            time.sleep(0.02)
            if name == "mortal" and not Path("died").exists():
                Path("died").touch()
                os._exit(9)
            return noisy.clone()

        return denoise

    return mdnbench.DenoiserSpec(name, "1", name, build, options=(mdnbench.Option("strength", int, 1),))

@mdnbench.hookimpl
def mdnbench_denoisers():
    return [spec(name) for name in ("one", "two", "mortal")]
"""


def builds(workspace: Path) -> Counter[tuple[str, ...]]:
    """How often each process built each method."""
    return Counter(tuple(line.split()) for line in (workspace / "built.log").read_text().splitlines())


def test_models_are_loaded_once_per_slot_and_method(workspace: Path, plugin: Callable[..., Path]) -> None:
    """Three methods under three noises on four images in two slots: no process builds one twice."""
    results = api.run(
        methods=["one", "two", "one[strength=2]"], sigma=[15, 25, 50], dataset="sk12", images=["01", "02", "04", "05"],
        metrics=["psnr"], timing=False, jobs=2, plugins=[plugin(PLUGIN)], keep_images="none",
    )  # fmt: skip
    assert results.counts == {"ok": 36}
    found = builds(workspace)
    assert {each[1:] for each in found} == {("one", "1"), ("two", "1"), ("one", "2")}
    assert set(found.values()) == {1}
    assert 3 <= len(found) <= 2 * 3


def test_a_slot_whose_worker_died_loads_its_model_again(workspace: Path, plugin: Callable[..., Path]) -> None:
    """The fresh worker builds what the lost one had, once, and the other cells are ok."""
    results = api.run(
        methods=["mortal"], sigma=[25, 50], dataset="sk12", images=["01", "02"], metrics=["psnr"], timing=False, jobs=1,
        plugins=[plugin(PLUGIN)], keep_images="none",
    )  # fmt: skip
    assert results.counts == {"ok": 3, "crashed": 1}
    assert sorted(builds(workspace).values()) == [1, 1]
