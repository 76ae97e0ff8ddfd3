"""What plugins raise outside of workers: one line that names them, whatever they raise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mdnbench import api
from mdnbench.errors import BadPlugin, Unavailable, UsageError
from mdnbench.registry.plugin_errors import named_errors

Plugin = Callable[..., Path]

DATA = """
    import numpy as np

    def load(name):
        if name == "exits":
            raise SystemExit(0)
        if name == "raises":
            return {}["nothing"]
        return {
            "bytes": np.zeros((64, 64), np.uint8), "large": np.full((64, 64), 255, np.float32),
            "negative": np.full((64, 64), -1, np.float32), "nan": np.full((64, 64), np.nan, np.float32),
            "planes": np.zeros((1, 64, 64), np.float32), "colour": np.zeros((64, 64, 3), np.float32),
            "empty": np.zeros((0, 64), np.float32), "none": None,
        }[name]

    @mdnbench.hookimpl
    def mdnbench_datasets():
        names = ("exits", "raises", "bytes", "large", "negative", "nan", "planes", "colour", "empty", "none")
        return [mdnbench.DatasetSpec("own", "own", "test", 1, names, load)]
"""


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("exits", r"loads image 'exits': SystemExit: 0 \(own.py, line \d+\)"),
        ("raises", r"loads image 'raises': KeyError: 'nothing' \(own.py, line \d+\)"),
        ("bytes", "must give float32 for 'bytes', and gave uint8"),
        ("large", r"must give values in \[0, 1\] for 'large', and gave 255 to 255"),
        ("negative", "gave -1 to -1"), ("nan", "gave nan to nan"),
        ("planes", r"must give \(H, W\) or \(H, W, 3\) for 'planes', and gave \(1, 64, 64\)"),
        ("colour", "must give 1 channels, as declared"), ("empty", r"gave \(0, 64\)"), ("none", "gave NoneType"),
    ],
)  # fmt: skip
def test_a_data_set_that_gives_no_images(plugin: Plugin, image: str, says: str) -> None:
    """Nothing is computed from what is no image, and nothing that a plugin raises ends the program."""
    with pytest.raises(BadPlugin, match=says):
        api.run(
            methods="noisy", sigma=25, dataset="own", images=image, metrics=["psnr"], timing=False,
            plugins=[plugin(DATA)],
        )  # fmt: skip
    assert not Path(".mdnbench").exists()


OTHERS = """
    def prepare(download):
        raise ValueError("not ready")

    def write(results, folder):
        raise SystemExit(0)

    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [mdnbench.MetricSpec("own", "1", "own", "lower", lambda device: None, prepare=prepare)]

    @mdnbench.hookimpl
    def mdnbench_reporters():
        return [mdnbench.ReporterSpec("exits", "ends the program", write)]
"""


def test_metrics_and_reporters(plugin: Plugin) -> None:
    """A metric that cannot get ready, and a reporter that ends the program, are named."""
    path = plugin(OTHERS)
    keys = {"methods": "noisy", "sigma": 25, "dataset": "sk12", "images": "01", "timing": False, "jobs": 1}
    with pytest.raises(BadPlugin, match="the metric 'own' gets ready: ValueError: not ready"):
        api.run(**keys, metrics=["psnr", "own"], plugins=[path])
    found = api.run(**keys, metrics=["psnr"])
    with pytest.raises(BadPlugin, match=r"the reporter .exits. ended the program"):
        api.report(found, ["exits"], plugins=[path])


def test_our_own_errors_pass() -> None:
    """What is meant for a person is said as it is."""
    for error in (Unavailable("no"), UsageError("no")):
        with pytest.raises(type(error), match=r"^no$"), named_errors("somebody"):
            raise error


WANTING = """
    @mdnbench.hookimpl
    def mdnbench_denoisers():
        build = lambda options, device, weights: lambda noisy, noise: noisy.clone()
        option = mdnbench.Option("k", float)
        return [mdnbench.DenoiserSpec("wanting", "1", "must be told k", build, options=(option,))]
"""


def test_a_method_that_must_be_told_something_is_not_of_all(plugin: Plugin) -> None:
    """It stops nobody's `all`, a note says what it lacks, and by its name it is still asked for it."""
    planned = api.plan(methods="all", sigma=25, dataset="sk12", metrics=["psnr"], plugins=[plugin(WANTING)])
    assert "wanting" not in [method.name for method in planned.methods]
    assert "wanting is left out of `all`: it must be given k." in planned.notes
    with pytest.raises(UsageError, match="'wanting' needs k: a number"):
        api.plan(methods="wanting", sigma=25, dataset="sk12", metrics=["psnr"], plugins=[plugin(WANTING)])
