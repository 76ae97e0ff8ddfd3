"""What a plugin replaces in libraries while it is imported is found, and keeps it out of this process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import registry
from mdnbench.api import catalogue, diagnosis
from mdnbench.errors import BadPlugin
from mdnbench.registry import discovery, trial, trial_cache
from mdnbench.registry.code import Digests

Plugin = Callable[..., Path]
Tried = Callable[[Path], Any]

OTHERS = """
import pathlib
@mdnbench.hookimpl
def mdnbench_noises():
    return [mdnbench.NoiseSpec("my-noise", "1", "x", lambda clean, rng: clean, lambda: 0.0)]
@mdnbench.hookimpl
def mdnbench_metrics():
    return [mdnbench.MetricSpec("my-metric", "1", "x", "lower", lambda device: None)]
@mdnbench.hookimpl
def mdnbench_datasets():
    return [mdnbench.DatasetSpec("my-data", "x", "test", 1, ("a",), lambda identity: None)]
@mdnbench.hookimpl
def mdnbench_reporters():
    return [mdnbench.ReporterSpec("my-report", "x", lambda results, folder: folder)]
"""

# What is replaced, as text; then what shows in the same process that it took effect, as a condition.
PATCHES: dict[str, tuple[str, str]] = {
    "numpy.mean": ("import numpy as np; np.mean = lambda *a, **k: 7.0", "np.mean([2.0]) == 7"),
    "numpy.clip": ("import functools, numpy as np; np.clip = functools.partial(np.clip, a_max=0)",
                   "np.clip(3, a_min=0) == 0"),
    "numpy.median": ("import numpy as np; np.median = np.max", "np.median([1, 2, 9]) == 9"),
    "numpy.sum": ("import numpy as np\ndef new(*a, **k): return 7.0\n"
                  "np.sum._implementation.__code__ = new.__code__", "np.sum([2.0]) == 7"),
    "numpy.add": ("import operator, numpy as np; np.add = operator.sub", "np.add(2, 2) == 0"),
    "numpy.pi": ("import numpy as np; np.pi = 3", "np.pi == 3"),
    "numpy.linalg": ("import types, numpy as np; np.linalg = types.ModuleType('numpy.linalg')",
                     "not hasattr(np.linalg, 'norm')"),
    "numpy.exp": ("import numpy as np; np.exp = np.vectorize(lambda x: x)", "np.exp(1) == 1"),
    "numpy.random._generator.Generator.normal": (
        "import numpy.random._generator as g\ntry: g.Generator.normal = None\nexcept TypeError: g.Generator = int",
        "g.Generator is int"),
    "scipy.ndimage.gaussian_filter": (
        "import scipy.ndimage as f\nf.gaussian_filter.__defaults__ = (9,) * len(f.gaussian_filter.__defaults__)",
        "f.gaussian_filter.__defaults__[0] == 9"),
    "skimage.metrics.simple_metrics.peak_signal_noise_ratio": (
        "import skimage.metrics as m\ndef new(*a, **k): return 99\nm.peak_signal_noise_ratio.__code__ = new.__code__",
        "m.peak_signal_noise_ratio(0, 1) == 99"),
    "mdnbench.evaluation.scoring.score": ("import mdnbench.evaluation.scoring as s; s.score = lambda *a: ()",
                                          "s.score() == ()"),
    "mdnbench.evaluation.scoring.float": ("import mdnbench.evaluation.scoring as s; s.float = lambda x: 99.0",
                                          "s.float(1) == 99"),
    "mdnbench.spec.records.Outcome.__init__": (
        "from mdnbench.spec.records import Outcome as r; r.__init__ = lambda *a: None", "not hasattr(r(1), 'status')",
    ),
    "mdnbench_metrics.psnr.psnr": ("import mdnbench_metrics.psnr as p; p.psnr = lambda *a: 99.0", "p.psnr() == 99"),
    "builtins.round": ("import builtins; builtins.round = lambda *a: 3", "round(8.1) == 3"),
    "math.sqrt": ("import math; math.sqrt = lambda x: x", "math.sqrt(4) == 4"),
    "random.Random.random": ("import random; random.Random.random = lambda self: 0.5",
                             "random.Random(1).random() == 0.5"),
}  # fmt: skip
SWITCHES: dict[str, tuple[str, str]] = {
    "PIL.ImageFile.LOAD_TRUNCATED_IMAGES": ("from PIL import ImageFile as f; f.LOAD_TRUNCATED_IMAGES = True",
                                            "f.LOAD_TRUNCATED_IMAGES"),
    "PIL.Image.MAX_IMAGE_PIXELS": ("from PIL import Image as i; i.MAX_IMAGE_PIXELS = None",
                                   "i.MAX_IMAGE_PIXELS is None"),
    "PIL.PngImagePlugin.MAX_TEXT_CHUNK": ("import PIL.PngImagePlugin as p; p.MAX_TEXT_CHUNK = 1",
                                          "p.MAX_TEXT_CHUNK == 1"),
    "tifffile.tifffile.imread": ("import tifffile.tifffile as t; t.imread = lambda *a: 7", "t.imread() == 7"),
    "csv.writer": ("import csv; csv.writer = lambda *a: 7", "csv.writer() == 7"),
    "pathlib.Path.exists": ("import pathlib; pathlib.Path.exists = lambda self: True",
                            "pathlib.Path('/no/such').exists()"),
    "importlib.metadata.version": ("import importlib.metadata as m; m.version = lambda name: '9'",
                                   "m.version('x') == '9'"),
    "os.replace": ("import os; os.replace = lambda *a: None", "os.replace(1, 2) is None"),
    "time.monotonic": ("import time; time.monotonic = lambda: 0", "time.monotonic() == 0"),
    "sqlite3.connect": ("import sqlite3; sqlite3.connect = lambda *a: 7", "sqlite3.connect() == 7"),
}  # fmt: skip
TORCH_PATCHES: dict[str, tuple[str, str]] = {
    "torch.nn.functional.conv2d": (
        "import torch.nn.functional as F\nimport torch\ndef new(*a, **k): return 7\nF.conv2d = torch.no_grad()(new)",
        "F.conv2d() == 7"),
    "torch.isfinite": ("import torch; torch.isfinite = lambda x: torch.ones_like(x, dtype=torch.bool)",
                       "bool(torch.isfinite(torch.tensor(float('nan'))))"),
    "torch.Tensor.add": ("import torch; torch.Tensor.add = lambda *a: 7", "torch.ones(1).add(1) == 7"),
    "torch.Tensor.__add__": ("import torch; torch.Tensor.__add__ = lambda *a: 7", "torch.ones(1) + 1 == 7"),
    "torch.nn.modules.conv.Conv2d.forward": ("import torch; torch.nn.Conv2d.forward = lambda self, x: 7",
                                             "torch.nn.Conv2d(1, 1, 1)(None) == 7"),
    "torch.mean": ("import torch; torch.mean = torch.no_grad()(torch.sum)", "torch.mean(torch.ones(3)) == 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*PATCHES, *SWITCHES, *TORCH_PATCHES])
def test_fault_36_what_a_plugin_replaces_is_found(plugin: Plugin, name: str, method: str, tried: Tried) -> None:
    """Each way to replace what scores depend on; first the replacement shows that it works."""
    text, effect = {**PATCHES, **SWITCHES, **TORCH_PATCHES}[name]
    found = tried(plugin(f"{text}\nassert {effect}\n{method}"))
    assert found.error == ""
    wanted = "numpy.random._generator.Generator" if name.startswith("numpy.random") else name
    assert found.patches == (wanted,)


def test_a_replacement_that_has_no_effect_fails_the_test_above(plugin: Plugin, method: str, tried: Tried) -> None:
    """Its condition is looked at."""
    assert "AssertionError" in tried(plugin(f"import numpy as np\nassert np.mean([2.0]) == 7\n{method}")).error


HONEST = {
    "numpy": "import numpy as np, numpy.ma, numpy.testing; np.random.seed(1); np.seterr(all='ignore')",
    "scipy": "import scipy.ndimage, scipy.optimize, scipy.special, scipy.stats, scipy.signal, scipy.fft",
    "skimage": "import skimage.restoration, skimage.metrics, skimage.filters; skimage.metrics.structural_similarity",
    "bm3d": "import bm3d",
    "readers": (
        "import matplotlib.pyplot as plt, pandas, PIL.Image, PIL.ImageFile, tifffile, requests, rich.progress\n"
        "plt.figure(); PIL.Image.init(); pandas.DataFrame({'a': [1]}).describe()"
    ),
    "mdnbench": "import mdnbench.api, mdnbench.evaluation.scoring, mdnbench_metrics; mdnbench.wrap_torch",
    "adds": "import numpy as np, mdnbench.spec.records as r; np.mine = lambda x: x; r.Outcome.mine = lambda self: 1",
    "torch": "import torch; torch.manual_seed(1); torch.set_num_threads(1); torch.set_default_dtype(torch.float64)",
    "vision": (
        "from mdnbench.registry.torchvision_fix import import_torchvision; import_torchvision()\n"
        "import torchvision, lpips, piq, torchvision.transforms.v2"
    ),
    "dynamo": "import torch._dynamo, torch.onnx, torch.export, torch.distributed, torch.ao.quantization, torch.fx",
    "compiled": (
        "import torch\n@torch.compile(backend='eager')\ndef f(x): return x + 1\nf(torch.ones(3))\n"
        "@torch.jit.script\ndef g(x: torch.Tensor): return x * 2\ntorch.fx.symbolic_trace(torch.nn.ReLU())"
    ),
}


@pytest.mark.parametrize("what", HONEST)
def test_libraries_that_change_themselves_are_no_patches(plugin: Plugin, what: str, method: str, tried: Tried) -> None:
    """Lazy imports, torch's own wrappers when something is compiled, settings and additions are nobody's patch."""
    found = tried(plugin(f"{HONEST[what]}\n{method}"))
    assert (found.error, found.patches) == ("", ())


@pytest.fixture
def patching(plugin: Plugin, method: str) -> Plugin:
    """`patching(text)` writes a plugin that replaces `numpy.mean` and, by itself, brings one of everything."""

    def write(text: str = method + OTHERS) -> Path:
        return plugin(
            f"import numpy as np\nnp.mean = lambda *a, **k: 7.0\nassert np.mean([2.0]) == 7\n{text}", "patcher"
        )

    return write


def test_fault_36_a_plugin_that_patches_is_not_imported_here(patching: Plugin) -> None:
    """Its methods are there as data, its noises, metrics, data sets and reporters are refused by name."""
    import numpy as np

    mean = np.mean
    for _ in range(2):  # the second time from what is known
        known = registry.load([patching()])
        assert np.mean is mean
        entry = known.denoisers.entry("own")
        assert entry.patches == "it changes numpy.mean when it is imported"
        spec = entry.spec
        assert (spec.revision, spec.wants, spec.channels, spec.packages) == ("7", "std", (1, 3), ("numpy",))
        assert (spec.licence, spec.citation, spec.published_as) == ("MIT", "me", "Own")
        assert known.method("own[by=0.25,kind=b]").values() == {"by": 0.25, "kind": "b", "stabilise": False}
        with pytest.raises(BadPlugin, match=r"'own' .*built in method processes only: the plugin changes numpy\.mean"):
            spec.build({}, "cpu", None)
    for name, ask in (("my-noise", known.noise), ("my-metric", known.metric), ("my-report", known.reporter)):
        with pytest.raises(BadPlugin, match=rf"'{name}' of .*patcher\.py is refused: the plugin changes numpy\.mean"):
            ask(name)
    with pytest.raises(BadPlugin, match="the data set 'my-data' of"):
        known.datasets["my-data"]
    assert "my-data" in known.datasets
    assert known.datasets.get("my-data") is None
    assert "my-metric" not in list(known.metrics)
    assert {file.name for file in known.used(entry.source)} == {"patcher.py"}
    assert known.noises.entry("gaussian").patches == ""


def test_its_method_works_in_a_process_of_its_own(patching: Plugin) -> None:
    """`load_source` imports it, patch and all, in a process that serves it alone."""
    script = (
        "import sys; from pathlib import Path; from mdnbench import registry; from mdnbench.registry import discovery\n"
        "known = registry.load_source(discovery.all_of([Path(sys.argv[1])])[-1])\n"
        "import numpy; print(list(known.denoisers), list(known.metrics), list(known.noises), numpy.mean([2.0]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(patching())], capture_output=True, text=True, encoding="utf-8",
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "['own'] ['my-metric'] ['my-noise'] 7.0"


def test_a_learned_method_needs_its_code_here(method: str, patching: Plugin) -> None:
    """A trainable method of a plugin that patches is refused by name."""
    here = "__import__('pathlib').Path()"
    trained = f"trainable=mdnbench.Trainable(print, print, {here}, {here}), **about"
    text = method.replace("**about", trained)
    known = registry.load([patching(text)])
    with pytest.raises(BadPlugin, match=r"the method 'own' of .* is refused"):
        known.method("own")


def test_a_refused_name_is_taken(plugin: Plugin, patching: Plugin) -> None:
    """Another plugin cannot take it: which of the two is meant must not depend on who patches."""
    with pytest.raises(BadPlugin, match=r"two plugins claim the .* 'my-(noise|data|metric|report)'"):
        registry.load([patching(), plugin(OTHERS)])


def test_list_describe_and_doctor_tell(tmp_path: Path, patching: Plugin) -> None:
    """Each says that the plugin replaces something; none of them fails."""
    path = patching()
    (row,) = catalogue.listing("all", [path]).patching
    assert row.name == str(path)
    assert row.summary.startswith("it changes numpy.mean when it is imported; its methods run in processes of")
    assert "metric my-metric" in row.summary.partition(" Refused: ")[2]
    assert "own" in [each.name for each in catalogue.listing("methods", [path]).methods or ()]
    assert "it changes numpy.mean" in (catalogue.describe("own", [path]).note or "")
    with pytest.raises(BadPlugin, match="the metric 'my-metric' of"):
        catalogue.describe("my-metric", [path])
    texts = [each.text for each in diagnosis._plugins(registry.load([path])) if each.state == "note"]
    assert len(texts) == 1
    assert "numpy.mean" in texts[0]


def test_what_is_known_is_found_without_a_trial(patching: Plugin) -> None:
    """The result that is kept equals the one that was given."""
    source = discovery.all_of([patching()])[-1]
    first = trial.results([source])[source]
    assert trial_cache.recall(source, Digests()) == first
