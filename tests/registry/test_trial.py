"""Trials: what a plugin does to its process while it is imported, and what it replaces in libraries."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import catalogue, doctor, registry
from mdnbench.errors import BadPlugin
from mdnbench.registry import discovery, importing, trial, trust
from mdnbench.registry.code import Digests

Plugin = Callable[..., Path]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]

METHOD = """
@mdnbench.hookimpl
def mdnbench_denoisers():
    build = lambda options, device, weights: lambda noisy, noise: noisy.clone()
    by = mdnbench.Option("by", float, 0.5, "how much", minimum=0, maximum=1)
    kind = mdnbench.Option("kind", str, "a", choices=("a", "b"))
    return [mdnbench.DenoiserSpec("own", "7", "x", build, (by, kind), "std", (1, 3), ("numpy",), "MIT", "me", "Own")]
"""
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


def verdict(path: Path) -> trust.Verdict:
    """What a trial finds of a plugin file."""
    door = discovery.all_of([path])[-1]
    return trial.verdicts([door])[door]


def gone(pid: int) -> bool:
    """Whether a process has ended, waiting five seconds for it."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


# ---- What a plugin does to its process -------------------------------------------------------------------------------

ENDS = {
    "os._exit": ("import os; os._exit(0)", "the plugin ended its process with exit code 0 while it was imported."),
    "code 3": ("import os; os._exit(3)", "the plugin ended its process with exit code 3 while it was imported."),
    "sys.exit": ("import sys; sys.exit(0)", "SystemExit: 0"),
    "hangs": ("import time; time.sleep(1000)", "it did not finish its import within 4 s."),
    "hangs in C": ("import re; re.match(r'(a+)+$', 'a' * 60 + 'b')", "it did not finish its import within 4 s."),
    "stops": ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", "it did not finish its import within 4 s."),
    "segfault": (
        "import ctypes; ctypes.string_at(0)", "the plugin's process was killed by SIGSEGV while it was imported.",
    ),
    "interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt: no message"),
    "own class": ("class Mine(BaseException): pass\nraise Mine('bad')", "Mine: bad"),
    "descriptor 1": ("import os; os.write(1, b'RAW')", "it writes to file descriptor 1 while it is imported;"),
    "much to 1": ("import os\nfor _ in range(99): os.write(1, b'RAW' * 9999)", "BlockingIOError"),
    "C's printf": (
        "import ctypes; ctypes.CDLL(None).printf(b'RAW')", "it writes to file descriptor 1 while it is imported;",
    ),
    "closes all": ("import os; os.closerange(1, 5000)", "the plugin ended its process with exit code"),
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="signals, and C's library by this name")
@pytest.mark.parametrize("how", ENDS)
def test_fault_45_what_a_plugin_does_at_import(plugin: Plugin, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """The others load; it is listed with its reason, and an error if it was given; nothing of it stays."""
    text, says = ENDS[how]
    monkeypatch.setenv("MDNBENCH_TRIAL_SECONDS", "4")
    path = plugin(f"{text}\n{METHOD}", "bad")
    plugin(METHOD.replace('"own"', '"good"'), "good")
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    known = registry.load()
    assert "good" in known.denoisers
    (broken,) = known.broken
    assert broken.door.path == path
    assert says in broken.reason
    with pytest.raises(BadPlugin) as error:
        registry.load([path])
    assert f"the plugin {path} is broken: " in str(error.value)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_plugin_starts_ends_with_its_trial(plugin: Plugin, tmp_path: Path) -> None:
    """A child process that a plugin leaves behind at import is ended; the plugin itself is fine."""
    note = tmp_path / "pid"
    start = f"import subprocess; p = subprocess.Popen(['sleep', '1000']); open({str(note)!r}, 'w').write(str(p.pid))"
    assert verdict(plugin(f"{start}\n{METHOD}")).error == ""
    assert gone(int(note.read_text(encoding="utf-8")))


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to end a process with its parent")
def test_a_trial_ends_with_its_parent(plugin: Plugin, tmp_path: Path, begin: Callable[..., Any], wait: Any) -> None:
    """`kill -9` of the command leaves no process that hangs in an import, even one that has stopped itself."""
    note = tmp_path / "pid"
    stop = (
        f"import os, signal; open({str(note)!r}, 'w').write(f'{{os.getpid()}} '); os.kill(os.getpid(), signal.SIGSTOP)"
    )
    command = begin("list", "--plugin", plugin(f"{stop}\n{METHOD}"))
    wait(lambda: note.exists() and note.read_text(encoding="utf-8").endswith(" "))
    os.kill(command.pid, signal.SIGKILL)
    assert gone(int(note.read_text(encoding="utf-8")))


def test_a_plugin_that_forks_at_import_is_answered_once(plugin: Plugin) -> None:
    """The copy of the process that goes on as if it were the plugin does not answer in its place."""
    assert verdict(plugin(f"import os\nif os.fork() == 0:\n    X = 1 / 0\n{METHOD}")).error == ""


def test_fault_45_the_command_line(plugin: Plugin, cli: Cli) -> None:
    """`--json` is clean, the plugin is named with its reason, and a command that needs it fails."""
    path = plugin(f"import os; print('HELLO'); os.write(1, b'RAW')\n{METHOD}", "bad")
    folder = {"MDNBENCH_PLUGINS": str(path.parent)}
    listed = cli("list", "--json", **folder)
    assert listed.returncode == 0, listed.stderr
    (broken,) = json.loads(listed.stdout)["broken"]
    assert broken["name"] == str(path)
    assert "file descriptor 1" in broken["summary"]
    for command in (["describe", "bad"], ["plan", "--methods", "bad", "--sigma", 25, "--dataset", "sk12"]):
        done = cli(*command, **folder)
        assert (done.returncode, done.stdout) == (2, "")
        assert "file descriptor 1" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_plugin_that_loads_the_registry_is_no_endless_chain(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin in the folder that asks for all plugins at import, itself or through the command line."""
    text = (
        "from mdnbench import registry; registry.load()\n"
        "import subprocess, sys; subprocess.run([sys.executable, '-m', 'mdnbench', 'list'], stdout=2, timeout=20)\n"
    )
    path = plugin(
        f"import os\nif 'ONCE' not in os.environ:\n    os.environ['ONCE'] = '1'\n    exec({text!r})\n{METHOD}"
    )
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    assert "own" in registry.load().denoisers


# ---- What is trusted -------------------------------------------------------------------------------------------------


def counting(plugin: Plugin, tmp_path: Path) -> tuple[Path, Callable[[], int]]:
    """A plugin with a helper, and how often it was imported in trials so far."""
    plugin("LEVEL = 1", "helper")
    note = tmp_path / "imports"
    note.write_text("", encoding="utf-8")
    text = f"import os, helper\nif 'MDNBENCH_TRIAL' in os.environ: open({str(note)!r}, 'a').write('x')\n{METHOD}"
    return plugin(text), lambda: len(note.read_text(encoding="utf-8"))


def test_fault_45_code_is_trusted_until_it_changes(plugin: Plugin, tmp_path: Path) -> None:
    """One trial for a source; another one when a module that it imports changes, and none for a comment."""
    path, trials = counting(plugin, tmp_path)
    for _ in range(2):
        registry.load([path])
    assert trials() == 1
    plugin("LEVEL = 1  # one", "helper")
    registry.load([path])
    assert trials() == 1
    plugin("LEVEL = 2", "helper")
    registry.load([path])
    assert trials() == 2
    path.write_text(path.read_text(encoding="utf-8") + "\nMORE = 1\n", encoding="utf-8")
    registry.load([path])
    assert trials() == 3


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"layout": "1"}', "\0" * 100])
def test_a_damaged_verdict_is_a_new_trial(plugin: Plugin, tmp_path: Path, damage: str) -> None:
    """Whatever stands in the file, the source is tried again and the verdict is whole afterwards."""
    path, trials = counting(plugin, tmp_path)
    registry.load([path])
    (kept,) = (tmp_path / "home" / "trials").glob("*.json")
    kept.write_text(damage, encoding="utf-8")
    registry.load([path])
    registry.load([path])
    assert trials() == 2


@pytest.mark.parametrize("key", ["python", "mdnbench", "layout"])
def test_another_version_is_a_new_trial(plugin: Plugin, tmp_path: Path, key: str) -> None:
    """A verdict of another Python or another mdnbench does not count."""
    path, trials = counting(plugin, tmp_path)
    registry.load([path])
    (kept,) = (tmp_path / "home" / "trials").glob("*.json")
    content = json.loads(kept.read_text(encoding="utf-8"))
    kept.write_text(json.dumps(content | {key: "other"}), encoding="utf-8")
    registry.load([path])
    assert trials() == 2


def test_a_home_that_cannot_be_written_is_no_obstacle(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each load is a trial then."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    importing._temporary_stubs.cache_clear()
    monkeypatch.setenv("MDNBENCH_HOME", str(tmp_path / "file" / "home"))
    path, trials = counting(plugin, tmp_path)
    for _ in range(2):
        assert "own" in registry.load([path]).denoisers
    assert trials() == 2
    left = set((tmp_path / "scratch").iterdir())
    assert left == set(map(Path, [importing._temporary_stubs()]))  # which goes with this process


def test_several_are_tried_at_once(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two imports that wait for each other, in two sources, both come through."""
    wait = (
        "import pathlib, time\nhere = pathlib.Path(__file__)\n(here.parent / (here.stem + '.began')).touch()\n"
        "start = time.monotonic()\n"
        "while len(list(here.parent.glob('*.began'))) < 2:\n"
        "    if time.monotonic() - start > 20: raise TimeoutError\n"
        "    time.sleep(0.01)\n"
    )
    if (os.cpu_count() or 1) < 2:
        pytest.skip("there is one core")
    paths = [plugin(wait + METHOD.replace('"own"', f'"{name}"'), name) for name in ("one", "two")]
    monkeypatch.setenv("MDNBENCH_TRIAL_SECONDS", "30")
    assert {"one", "two"} <= set(registry.load(paths).denoisers)


# ---- What a plugin replaces ------------------------------------------------------------------------------------------

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
    "mdnbench.records.Outcome.__init__": ("import mdnbench.records as r; r.Outcome.__init__ = lambda self, *a: None",
                                          "not hasattr(r.Outcome(1), 'status')"),
    "mdnbench_metrics.psnr.psnr": ("import mdnbench_metrics.psnr as p; p.psnr = lambda *a: 99.0", "p.psnr() == 99"),
    "builtins.round": ("import builtins; builtins.round = lambda *a: 3", "round(8.1) == 3"),
    "math.sqrt": ("import math; math.sqrt = lambda x: x", "math.sqrt(4) == 4"),
    "random.Random.random": ("import random; random.Random.random = lambda self: 0.5",
                             "random.Random(1).random() == 0.5"),
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


@pytest.mark.parametrize("name", [*PATCHES, *TORCH_PATCHES])
def test_fault_36_what_a_plugin_replaces_is_found(plugin: Plugin, name: str) -> None:
    """Each way to replace what scores depend on; first the replacement shows that it works."""
    text, effect = {**PATCHES, **TORCH_PATCHES}[name]
    found = verdict(plugin(f"{text}\nassert {effect}\n{METHOD}"))
    assert found.error == ""
    wanted = "numpy.random._generator.Generator" if name.startswith("numpy.random") else name
    assert found.patches == (wanted,)


def test_a_replacement_that_has_no_effect_fails_the_test_above(plugin: Plugin) -> None:
    """Its condition is looked at."""
    assert "AssertionError" in verdict(plugin(f"import numpy as np\nassert np.mean([2.0]) == 7\n{METHOD}")).error


HONEST = {
    "numpy": "import numpy as np, numpy.ma, numpy.testing; np.random.seed(1); np.seterr(all='ignore')",
    "scipy": "import scipy.ndimage, scipy.optimize, scipy.special, scipy.stats, scipy.signal, scipy.fft",
    "skimage": "import skimage.restoration, skimage.metrics, skimage.filters; skimage.metrics.structural_similarity",
    "bm3d": "import bm3d",
    "mdnbench": "import mdnbench.api, mdnbench.evaluation.scoring, mdnbench_metrics; mdnbench.wrap_torch",
    "adds": "import numpy as np, mdnbench.records as r; np.mine = lambda x: x; r.Outcome.mine = lambda self: 1",
    "torch": "import torch; torch.manual_seed(1); torch.set_num_threads(1); torch.set_default_dtype(torch.float64)",
    "vision": (
        "from mdnbench.evaluation.vision import import_torchvision; import_torchvision()\n"
        "import torchvision, lpips, piq, torchvision.transforms.v2"
    ),
    "dynamo": "import torch._dynamo, torch.onnx, torch.export, torch.distributed, torch.ao.quantization, torch.fx",
    "compiled": (
        "import torch\n@torch.compile(backend='eager')\ndef f(x): return x + 1\nf(torch.ones(3))\n"
        "@torch.jit.script\ndef g(x: torch.Tensor): return x * 2\ntorch.fx.symbolic_trace(torch.nn.ReLU())"
    ),
}


@pytest.mark.parametrize("what", HONEST)
def test_libraries_that_change_themselves_are_no_patches(plugin: Plugin, what: str) -> None:
    """Lazy imports, torch's own wrappers when something is compiled, settings and additions are nobody's patch."""
    found = verdict(plugin(f"{HONEST[what]}\n{METHOD}"))
    assert (found.error, found.patches) == ("", ())


def patching(plugin: Plugin, what: str = METHOD + OTHERS) -> Path:
    """A plugin that replaces `numpy.mean` and brings one of everything."""
    return plugin(f"import numpy as np\nnp.mean = lambda *a, **k: 7.0\nassert np.mean([2.0]) == 7\n{what}", "patcher")


def test_fault_36_a_plugin_that_patches_is_not_imported_here(plugin: Plugin) -> None:
    """Its methods are there as data, its noises, metrics, data sets and reporters are refused by name."""
    import numpy as np

    mean = np.mean
    for _ in range(2):  # the second time from what is known
        known = registry.load([patching(plugin)])
        assert np.mean is mean
        entry = known.denoisers.entry("own")
        assert entry.patches == "it replaces numpy.mean when it is imported"
        spec = entry.spec
        assert (spec.revision, spec.wants, spec.channels, spec.packages) == ("7", "std", (1, 3), ("numpy",))
        assert (spec.licence, spec.citation, spec.published_as) == ("MIT", "me", "Own")
        assert known.method("own[by=0.25,kind=b]").values() == {"by": 0.25, "kind": "b"}
        with pytest.raises(BadPlugin, match=r"'own' .*built in method processes only: the plugin replaces numpy\.mean"):
            spec.build({}, "cpu", None)
    for name, ask in (("my-noise", known.noise), ("my-metric", known.metric), ("my-report", known.reporter)):
        with pytest.raises(BadPlugin, match=rf"'{name}' of .*patcher\.py is refused: the plugin replaces numpy\.mean"):
            ask(name)
    with pytest.raises(BadPlugin, match="the data set 'my-data' of"):
        known.datasets["my-data"]
    assert "my-data" in known.datasets
    assert known.datasets.get("my-data") is None
    assert "my-metric" not in list(known.metrics)
    assert {file.name for file in known.used(entry.door)} == {"patcher.py"}
    assert known.noises.entry("gaussian").patches == ""


def test_its_method_works_in_a_process_of_its_own(plugin: Plugin) -> None:
    """`load_source` imports it, patch and all, in a process that serves it alone."""
    script = (
        "import sys; from pathlib import Path; from mdnbench import registry; from mdnbench.registry import discovery\n"
        "known = registry.load_source(discovery.all_of([Path(sys.argv[1])])[-1])\n"
        "import numpy; print(list(known.denoisers), list(known.metrics), list(known.noises), numpy.mean([2.0]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(patching(plugin))], capture_output=True, text=True, encoding="utf-8",
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "['own'] ['my-metric'] ['my-noise'] 7.0"


def test_a_learned_method_needs_its_code_here(plugin: Plugin) -> None:
    """A trainable method of a plugin that patches is refused by name."""
    here = "__import__('pathlib').Path()"
    text = METHOD.replace('"Own")', f'"Own", mdnbench.Trainable(print, print, {here}, {here}))')
    known = registry.load([patching(plugin, text)])
    with pytest.raises(BadPlugin, match=r"the method 'own' of .* is refused"):
        known.method("own")


def test_a_refused_name_is_taken(plugin: Plugin) -> None:
    """Another plugin cannot take it: which of the two is meant must not depend on who patches."""
    with pytest.raises(BadPlugin, match=r"two plugins claim the .* 'my-(noise|data|metric|report)'"):
        registry.load([patching(plugin), plugin(OTHERS)])


def test_list_describe_and_doctor_tell(plugin: Plugin, tmp_path: Path) -> None:
    """Each says that the plugin replaces something; none of them fails."""
    path = patching(plugin)
    (row,) = catalogue.listing("all", [path])["patching"]
    assert row["name"] == str(path)
    assert row["summary"].startswith("it replaces numpy.mean when it is imported; its methods run in processes of")
    assert "metric my-metric" in row["summary"].partition(" Refused: ")[2]
    assert "own" in [each["name"] for each in catalogue.listing("methods", [path])["methods"]]
    assert "it replaces numpy.mean" in catalogue.describe("own", [path])["note"]
    with pytest.raises(BadPlugin, match="the metric 'my-metric' of"):
        catalogue.describe("my-metric", [path])
    texts = [each.text for each in doctor._plugins(registry.load([path])) if each.state == "note"]
    assert len(texts) == 1
    assert "numpy.mean" in texts[0]


def test_a_trial_of_a_small_plugin_is_quick(plugin: Plugin) -> None:
    """The best of three takes less than half a second of processor time, and imports no NumPy."""
    script = (
        "import os, sys; from pathlib import Path; from mdnbench.registry import discovery, trial\n"
        "door = discovery.all_of([Path(sys.argv[1])])[-1]\n"
        "assert trial._try_all([door])[door].error == ''\n"
        "used = os.times(); print(used.children_user + used.children_system)\n"
    )
    path = plugin(f"import sys\nassert 'numpy' not in sys.modules\n{METHOD}")
    seconds = [
        float(subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(seconds) < 0.5


def test_what_is_known_is_found_without_a_trial(plugin: Plugin) -> None:
    """The verdict that is kept equals the one that was given."""
    door = discovery.all_of([patching(plugin)])[-1]
    first = trial.verdicts([door])[door]
    assert trust.recall(door, Digests()) == first
