"""Plugins whose repositories have modules of the same names each use their own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what C code and programs open")

NETWORK = """
    import torch

    class Net(torch.nn.Module):
        def forward(self, x):
            return x * 0 + {level}
"""
CLASH = """
    import sys
    from pathlib import Path
    import mdnbench

    ROOT = str(Path(__file__).parent / "{name}")
    {top}

    def late(options, device, weights):
        if ROOT not in sys.path:
            sys.path.insert(0, ROOT)
        from models.network import Net
        net = Net().eval()
        def denoise(noisy, noise):
            from models import extra
            return net(noisy) + extra.MORE
        return denoise

    def apply(clean, rng, w):
        sys.path.insert(0, ROOT)
        from models.judging import noise
        return noise(clean, w)

    def score(denoised, clean):
        sys.path.insert(0, ROOT)
        from models.judging import measure
        return measure(denoised, clean)

    def network():
        sys.path.insert(0, ROOT)
        from models.network import Net
        return Net()

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("late-{name}", "1", "x", late), {more}]

    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [mdnbench.MetricSpec("score-{name}", "1", "x", "lower", lambda device: score)]

    @mdnbench.hookimpl
    def mdnbench_noises():
        w = mdnbench.Option("w", float, help="w")
        return [mdnbench.NoiseSpec("noise-{name}", "1", "x", apply, lambda w: w, (w,), "y = x + c")]
"""
AT_THE_TOP = "sys.path.insert(0, ROOT); import models; from models.network import Net as Loaded"
WRAPPED = 'mdnbench.wrap_torch("net-{name}", {network})'
JUDGING = """
    def noise(clean, w):
        return (clean + w * {level}).astype("float32")

    def measure(denoised, clean):
        return float(abs(denoised - clean).mean()) + {level}
"""


def clash(lab: Any, name: str, level: float, *, top: bool) -> Path:
    """Write a plugin and its repository, whose modules have the names of another one's."""
    folder = f"{name}/models"
    lab.write(f"{folder}/__init__.py", "")
    lab.write(f"{folder}/network.py", NETWORK.format(level=level))
    lab.write(f"{folder}/extra.py", f"MORE = {level / 8}\n")
    lab.write(f"{folder}/judging.py", JUDGING.format(level=level))
    more = WRAPPED.format(name=name, network="Loaded" if top else "network")
    path: Path = lab.write(f"plugin_{name}.py", CLASH.format(name=name, top=AT_THE_TOP if top else "", more=more))
    return path


@pytest.mark.parametrize(
    ("a_top", "b_top"),
    [
        (False, True),
        pytest.param(True, True, marks=pytest.mark.full),
        pytest.param(False, False, marks=pytest.mark.full),
    ],
)
def test_fault_33_two_repositories_with_the_same_modules(lab: Any, a_top: bool, b_top: bool) -> None:
    """Methods, metrics and noises use their own modules: in either order, with two slots, and each as if alone."""
    plugins = {"a": clash(lab, "a", 0.25, top=a_top), "b": clash(lab, "b", 0.75, top=b_top)}

    def run(names: str, jobs: int) -> dict[Any, Any]:
        methods = " ".join(f"late-{name} net-{name}" for name in names)
        ran = lab.run(
            methods, ["gaussian:25", *(f"noise-{name}:0.2" for name in names)], jobs=jobs, fresh=True,
            metrics=["psnr", *(f"score-{name}" for name in names)], plugins=[plugins[name] for name in names],
        )  # fmt: skip
        assert {row.reason for row in ran.rows.values()} == {""}
        scores = {(*key, metric): row.value(metric) for key, row in ran.rows.items() for metric in row.scores}
        digests = {(*key, "noisy"): row.noisy_digest for key, row in ran.rows.items()}
        return scores | digests

    both = run("ab", 1)
    assert run("ba", 2) == both
    alone = run("a", 1) | run("b", 1)
    assert {key: both[key] for key in alone} == alone
    assert len(set(alone.values())) > len(alone) / 4  # they do differ
    values = [both[f"{kind}-{name}", "1", "gaussian:sigma=25", "psnr"] for kind in ("late", "net") for name in "ab"]
    assert len(set(values)) == 4


@pytest.mark.parametrize("hiding", ["first/shown.py", "first/shown/__init__.py", "second/shown/__init__.py"])
def test_fault_31_a_new_file_hides_a_loaded_module(lab: Any, hiding: str) -> None:
    """A module in an earlier folder of `sys.path`, or a package next to the module: Python loads the new one."""
    lab.write("second/shown.py", "LEVEL = 0.5\n")
    lab.write("first/other.py", "")
    lab.write(
        "plugin.py",
        """
        import sys
        from pathlib import Path
        import mdnbench

        HERE = Path(__file__).parent

        def build(options, device, weights):
            sys.path[:0] = [str(HERE / "first"), str(HERE / "second")]
            import shown
            return lambda noisy, noise: noisy * 0 + shown.LEVEL

        @mdnbench.hookimpl
        def mdnbench_denoisers():
            return [mdnbench.DenoiserSpec("shown", "1", "x", build)]
        """,
        plugin=True,
    )
    before = lab.run("shown")
    assert lab.run("shown").tally.cached == 2
    lab.write(hiding, "LEVEL = 0.1\n")
    after = lab.run("shown")
    assert (after.tally.cached, after.tally.computed) == (0, 2)
    assert hiding in after.changes[0]
    assert after.values("shown") != before.values("shown")
