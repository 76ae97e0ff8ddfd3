"""Workers: they compute with the images and the plugins that were planned, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mdnbench import api
from mdnbench.data.images import write_png
from mdnbench.util.listener import Listener


class Swaps(Listener):
    """Writes another image over a file once the plan is made, before the cells are computed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, phase: str, total: float) -> None:
        """Write it."""
        if phase == "cells":
            write_png(self._path, np.full((32, 40), 0.5, np.float32))


def test_an_image_that_changed_after_the_plan_is_not_scored(workspace: Path) -> None:
    """Its cells fail and name it and its data set; those of the other image are computed."""
    folder = workspace / "mine"
    folder.mkdir()
    for name, level in (("a", 0.2), ("b", 0.8)):
        write_png(folder / f"{name}.png", np.full((32, 40), level, np.float32))
    found = api.run(
        methods=["noisy"], sigma=[25], dataset=str(folder), metrics=["psnr"], timing=False, jobs=1,
        listener=Swaps(folder / "b.png"),
    )  # fmt: skip
    same, other = found.rows()
    assert (same.image, same.status) == ("a", "ok")
    assert (other.image, other.status) == ("b", "failed")
    assert f"image 'b' of the data set {folder} has changed since the run was planned" in other.reason


# In its first cell this method edits its own file, as a person might while a run goes on, and its worker is lost.
EDITS = """
    import os
    from pathlib import Path

    GAIN = 0.5

    def denoise(noisy, noise):
        if not Path("edited").exists():
            Path("edited").touch()
            file = Path(__file__)
            file.write_text(file.read_text().replace("GAIN = 0.5", "GAIN = 0.7"))
            os._exit(9)
        return noisy * GAIN

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("own", "1", "own", lambda options, device, weights: denoise)]
"""


@pytest.mark.parametrize("source", ["file", "folder"])
def test_a_plugin_that_was_edited_in_mid_run_computes_nothing(
    plugin: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """A fresh worker refuses the new text under the old one's identity; the next run has it, and computes anew."""
    path = plugin(EDITS)
    if source == "folder":
        monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    keys = {"sigma": 50, "dataset": "sk12", "images": ["01", "02"], "metrics": ["psnr"], "timing": False, "jobs": 1}
    asked = keys | {"methods": ["own", "noisy"], "plugins": [path] if source == "file" else []}
    rows = {(row.method, row.image): row for row in api.run(**asked).rows()}
    assert sorted(row.status for row in rows.values()) == ["crashed", "failed", "ok", "ok"]
    (failed,) = (row for row in rows.values() if row.status == "failed")
    assert failed.reason == (
        f"BadPlugin: the plugin {path}, or a file that it is made of, has changed since the run was planned; "
        "put the former file back, or run again with the new one."
    )
    assert {row.method for row in rows.values() if row.status == "ok"} == {"noisy"}
    assert api.run(**asked).counts == {"ok": 4}


NOISE = """
    def apply(clean, rng, by):
        return clean + by / 255

    @mdnbench.hookimpl
    def mdnbench_noises():
        by = mdnbench.Option("by", float)
        return [mdnbench.NoiseSpec("shift", "1", "adds a constant", apply, lambda by: by / 255, (by,))]
"""
METRIC = """
    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [mdnbench.MetricSpec("one", "1", "always 1", "lower", lambda device: lambda denoised, clean: 1.0)]
"""
UNUSED = """
    @mdnbench.hookimpl
    def mdnbench_reporters():
        return [mdnbench.ReporterSpec("unused", "asked for by nobody", lambda results, folder: folder)]
"""


class Edits(Listener):
    """Adds a line of code to a file once the plan is made, before the cells are computed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, phase: str, total: float) -> None:
        """Add it."""
        if phase == "cells":
            self._path.write_text(self._path.read_text(encoding="utf-8") + "EDITED = 1\n", encoding="utf-8")


@pytest.mark.full
def test_noises_and_metrics_are_the_planned_ones_too(
    plugin: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edited noise costs its cells, a metric its scores, and a plugin of the folder that is not asked nothing."""
    noise, metric, unused = (plugin(text, name) for name, text in (("n", NOISE), ("m", METRIC), ("u", UNUSED)))
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(noise.parent))
    keys = {"methods": "noisy", "noise": "shift:9", "dataset": "sk12", "images": "01", "metrics": ["psnr", "one"],
            "timing": False, "jobs": 1, "fresh": True}  # fmt: skip
    (row,) = api.run(**keys, listener=Edits(noise)).rows()
    assert (row.status, f"the plugin {noise}," in row.reason) == ("failed", True)
    (row,) = api.run(**keys, listener=Edits(metric)).rows()
    assert (row.status, row.value("one")) == ("ok", None)
    assert row.value("psnr") is not None
    assert f"the plugin {metric}," in row.scores["one"].reason
    (row,) = api.run(**keys, listener=Edits(unused)).rows()
    assert (row.status, row.value("one")) == ("ok", 1.0)


WRAPPED = """
    from pathlib import Path
    from mdnbench import wrap_torch

    class Gain:
        def __new__(cls):
            import torch

            class Module(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.gain = torch.nn.Parameter(torch.ones(1))

                def forward(self, noisy):
                    return noisy * self.gain

            return Module()

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [wrap_torch("gain", Gain, Path("gain.pth"), licence="MIT", citation="none")]
"""


class Retrains(Listener):
    """Writes other weights once the plan is made."""

    def begin(self, phase: str, total: float) -> None:
        """Write them."""
        if phase == "cells":
            torch.save({"gain": torch.full((1,), 0.5)}, "gain.pth")


def test_weights_of_a_wrapped_network_that_were_replaced_are_not_used(plugin: Callable[..., Path]) -> None:
    """They would be kept under the identity of those that were there when the run was planned."""
    torch.save({"gain": torch.ones(1)}, "gain.pth")
    keys = {"methods": "gain,noisy", "sigma": 50, "dataset": "sk12", "images": "01", "metrics": ["psnr"],
            "timing": False, "jobs": 1, "plugins": [plugin(WRAPPED)]}  # fmt: skip
    first, other = api.run(**keys, listener=Retrains()).rows()
    assert (first.status, other.status) == ("failed", "ok")
    assert "the method 'gain' of" in first.reason
    assert "has changed since the run was planned" in first.reason
    assert api.run(**keys).counts == {"ok": 2}


UNTIDY = """
    def untidy(options, device, weights):
        import numpy as np
        import torch
        np.seterr(all="raise")
        torch.set_float32_matmul_precision("medium")
        torch.set_default_device("meta")
        torch.set_grad_enabled(False)
        torch.backends.mkldnn.enabled = False
        torch.set_flush_denormal(True)
        return lambda noisy, noise: noisy.clone()

    def tidy(options, device, weights):
        import numpy as np
        import torch

        def denoise(noisy, noise):
            np.divide(np.zeros(1), np.zeros(1))
            assert torch.get_float32_matmul_precision() == "highest"
            assert torch.backends.cudnn.allow_tf32
            assert torch.backends.mkldnn.conv.fp32_precision == "none"
            assert torch.zeros(1).device.type == "cpu"
            assert torch.backends.mkldnn.enabled
            assert torch.tensor(1e-39) * 0.5 > 0
            return noisy.clone()

        return denoise

    def newer(options, device, weights):
        import torch
        torch.backends.fp32_precision = "tf32"
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        return lambda noisy, noise: noisy.clone()

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec(each.__name__, "1", "none", each) for each in (untidy, newer, tidy)]
"""


@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_one_method_sets_the_next_one_does_not_find(plugin: Callable[..., Path]) -> None:
    """NumPy's errors, the precision of products, the default device and backends are as in a fresh process."""
    found = api.run(
        methods="untidy,newer,tidy", sigma=50, dataset="sk12", images="01", metrics=["psnr"], timing=False, jobs=1,
        plugins=[plugin(UNTIDY)],
    )  # fmt: skip
    assert {(row.method, row.status, row.reason) for row in found.rows()} == {
        ("untidy", "ok", ""), ("newer", "ok", ""), ("tidy", "ok", ""),
    }  # fmt: skip


EXITS = """
    def build(device):
        raise SystemExit(5)

    def score(denoised, clean):
        raise SystemExit(5)

    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [
            mdnbench.MetricSpec("never", "1", "cannot be built", "lower", build),
            mdnbench.MetricSpec("exits", "1", "ends the program", "lower", lambda device: score),
        ]
"""


def test_a_metric_that_exits_takes_no_other_with_it(plugin: Callable[..., Path]) -> None:
    """The cell stays ok, and so does its PSNR."""
    (row,) = api.run(
        methods="noisy", sigma=50, dataset="sk12", images="01", metrics=["psnr", "never", "exits"], timing=False,
        jobs=1, plugins=[plugin(EXITS)],
    ).rows()  # fmt: skip
    assert (row.status, row.value("never"), row.value("exits")) == ("ok", None, None)
    assert row.value("psnr") is not None
