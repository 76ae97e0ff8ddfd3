"""Spaces: plugins in one process whose modules have the same names, and processes that plugins start."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mdnbench import registry
from mdnbench.errors import BadPlugin, MdnbenchError
from mdnbench.registry import module_spaces
from mdnbench.registry.module_spaces import Space

REPOSITORY = """
    import pathlib, sys
    import mdnbench
    ROOT = str(pathlib.Path(__file__).parent / "{name}")
    sys.path.insert(0, ROOT)
    from models.net import LEVEL, Level

    def lazily():
        import models.late
        from models.late import LATE
        assert sys.modules[Level.__module__].Level is Level  # as pickle and dataclasses look for it
        return LATE

    def build(options, device, weights):
        return lambda noisy, noise: lazily()

    def steps():
        import models.later
        for _ in range(2):
            import models.net
            yield models.net.LEVEL + models.later.LATER

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        import models.net
        return [mdnbench.DenoiserSpec("{name}", "1", f"constant {{models.net.LEVEL}}", build)]

    @mdnbench.hookimpl
    def mdnbench_noises():
        by = mdnbench.Option("by", float, 1.0)
        apply, std = (lambda clean, rng, by: lazily()), (lambda by: lazily())
        return [mdnbench.NoiseSpec("{name}", "1", "x", apply, std, (by,))]

    @mdnbench.hookimpl
    def mdnbench_metrics():
        def build(device):
            import models.late
            return lambda denoised, clean: lazily()
        setting = mdnbench.MetricSetting("other", "x", build, lambda download: str(lazily()))
        prepare = lambda download: str(lazily())
        return [mdnbench.MetricSpec("{name}", "1", "x", "lower", build, prepare=prepare, settings=(setting,))]

    @mdnbench.hookimpl
    def mdnbench_datasets():
        return [mdnbench.DatasetSpec("{name}", "x", "test", 1, ("a",), lambda identity: lazily())]

    @mdnbench.hookimpl
    def mdnbench_reporters():
        return [mdnbench.ReporterSpec("{name}", "x", lambda results, folder: steps())]
"""
LEVELS = {"one": 1.0, "two": 2.0}


@pytest.fixture
def repositories(tmp_path: Path) -> list[Path]:
    """Two plugin files, each with a repository whose package `models` (no `__init__.py`) is another one."""
    paths = []
    for name, level in LEVELS.items():
        folder = tmp_path / name / "models"
        folder.mkdir(parents=True)
        (folder / "net.py").write_text(f"LEVEL = {level}\nclass Level: pass\n", encoding="utf-8")
        (folder / "late.py").write_text(f"LATE = {level}\n", encoding="utf-8")
        (folder / "later.py").write_text("LATER = 0\n", encoding="utf-8")
        path = tmp_path / f"plugin_{name}.py"
        path.write_text(textwrap.dedent(REPOSITORY.format(name=name)), encoding="utf-8")
        paths.append(path)
    return paths


def test_fault_33_each_plugin_has_its_own_models(repositories: list[Path]) -> None:
    """Two repositories with `models/net.py`: each gets its own, at import, in hooks, and in functions called later."""
    path, before = list(sys.path), set(sys.modules)
    known = registry.load(repositories)
    for _ in range(2):
        for name, level in LEVELS.items():
            assert known.denoisers[name].summary == f"constant {level}"
            assert known.denoisers[name].build({}, "cpu", None)(None, None) == level  # type: ignore[arg-type]
            assert known.noises[name].apply(None, None, by=1) == known.noises[name].std(by=1) == level
            metric = known.metrics[name]
            assert metric.prepare is not None
            assert (metric.build("cpu")(None, None), metric.prepare(False)) == (level, str(level))  # type: ignore[arg-type]
            other = known.metric(f"{name}[other]")
            assert other.prepare is not None
            assert (other.build("cpu")(None, None), other.prepare(False)) == (level, str(level))  # type: ignore[arg-type]
            assert known.datasets[name].load("a") == level  # type: ignore[comparison-overlap]
    steps = {name: known.reporters[name].write(None, None) for name in LEVELS}
    for _ in range(2):  # step by step, now in one space and now in the other
        assert {name: next(each) for name, each in steps.items()} == LEVELS  # type: ignore[call-overload]
    assert sys.path == path
    assert not [name for name in set(sys.modules) - before if name.partition(".")[0] == "models"]


def test_without_spaces_they_would_mix(repositories: list[Path]) -> None:
    """In one process without spaces the second plugin gets the first one's module: the test above can fail."""
    script = (
        "import sys; from pathlib import Path; from mdnbench import registry; from mdnbench.registry import discovery\n"
        "for path in sys.argv[1:]:\n"
        "    source = discovery.all_of([Path(path)])[-1]\n"
        "    print([spec.summary for spec in registry.load_source(source).denoisers.values()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, repositories)], capture_output=True, text=True, encoding="utf-8",
        check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["['constant 1.0']", "['constant 1.0']"]


def test_the_programs_own_modules_stay_out(repositories: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A `models` that the program itself has imported is not taken for a plugin's, and is there again afterwards."""
    own = ModuleType("models")
    own.__file__ = str(repositories[0].parent / "elsewhere" / "models.py")
    monkeypatch.setitem(sys.modules, "models", own)
    known = registry.load(repositories)
    assert known.datasets["two"].load("a") == 2.0  # type: ignore[comparison-overlap]
    assert sys.modules["models"] is own


def test_the_files_of_an_import_are_known(repositories: list[Path]) -> None:
    """`used` has the plugin's file and its modules, those of the other plugin not, and ours nothing."""
    known = registry.load(repositories)
    source = known.denoisers.entry("one").source
    names = {(file.root, file.name) for file in known.used(source)}
    assert names == {("plugin", "plugin_one.py"), ("plugin", "one/models/net.py")}
    assert known.used(known.noises.entry("gaussian").source) == ()


def test_fault_31_a_neighbour_that_is_edited_is_imported_again(repositories: list[Path]) -> None:
    """In one process, as a notebook; an edit of the same size within the same second counts too."""
    assert registry.load(repositories).denoisers["one"].summary == "constant 1.0"
    net = repositories[0].parent / "one" / "models" / "net.py"
    times = net.stat().st_mtime_ns
    net.write_text(net.read_text(encoding="utf-8").replace("1.0", "9.0"), encoding="utf-8")
    os.utime(net, ns=(times, times))
    assert registry.load(repositories).denoisers["one"].summary == "constant 9.0"


def test_an_error_leaves_the_space(plugin: Callable[..., Path]) -> None:
    """After a plugin's function raises, path and modules are what they were."""
    (plugin("", "beside")).write_text("X = 1\n", encoding="utf-8")
    text = """
        import sys, beside
        def load(identity):
            sys.path = ["elsewhere"]
            raise ValueError("no")
        @mdnbench.hookimpl
        def mdnbench_datasets(): return [mdnbench.DatasetSpec("raises", "x", "test", 1, ("a",), load)]
    """
    known, path = registry.load([plugin(text)]), sys.path
    before = list(path)
    with pytest.raises(ValueError, match="no"):
        known.datasets["raises"].load("a")
    assert sys.path is path
    assert sys.path == before
    assert "beside" not in sys.modules


def test_one_space_at_a_time_for_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread waits until another one has left its space, and not for ever; in one space there may be several."""
    monkeypatch.setattr(module_spaces, "SPACE_WAIT_S", 0.3)
    first, second = Space("first"), Space("second")
    inside, leave, seen = threading.Event(), threading.Event(), list[Any]()

    def stay() -> None:
        with first.inside():
            inside.set()
            leave.wait(10)

    def enter(space: Space) -> None:
        try:
            with space.inside():
                seen.append(space.name)
        except MdnbenchError as error:
            seen.append(str(error))

    thread = threading.Thread(target=stay)
    thread.start()
    assert inside.wait(10)
    enter(first)
    enter(second)
    leave.set()
    thread.join(10)
    enter(second)
    assert seen[0] == "first"
    assert "second waited 0.3 s for first" in seen[1]
    assert seen[2] == "second"


def test_spaces_inside_spaces() -> None:
    """A plugin's function that calls another plugin's: each has its modules, and the outer one gets its own back."""
    first, second = Space("first"), Space("second")
    with first.inside():
        sys.modules["shared"] = here = ModuleType("shared")
        with second.inside():
            assert "shared" not in sys.modules
            with first.inside(), second.inside():
                assert "shared" not in sys.modules
        assert sys.modules["shared"] is here
    assert "shared" not in sys.modules
    with first.inside():
        assert sys.modules["shared"] is here


# ---- Files next to a plugin, and processes that it starts ------------------------------------------------------------

WAYS = {
    "absolute": "import helper\nLEVEL = helper.LEVEL",
    "relative": "from .helper import LEVEL",
    "dataclass": "import dataclasses\n@dataclasses.dataclass\nclass A:\n    level: 'float' = 1.0\nLEVEL = A().level",
}
METHOD = """
@mdnbench.hookimpl
def mdnbench_denoisers():
    return [mdnbench.DenoiserSpec("own", "1", f"level {LEVEL}", lambda options, device, weights: None)]
"""


@pytest.mark.parametrize("way", WAYS)
def test_fault_46_a_plugin_file_imports_what_is_next_to_it(plugin: Callable[..., Path], way: str) -> None:
    """`import helper`, `from .helper import x`, and a dataclass in the plugin file."""
    plugin("LEVEL = 1.0", "helper")
    path = plugin(f"{WAYS[way]}\n{METHOD}")
    known = registry.load([path])
    assert known.denoisers["own"].summary == "level 1.0"
    used = {file.name for file in known.used(known.denoisers.entry("own").source)}
    assert used == ({"own.py"} if way == "dataclass" else {"own.py", "helper.py"})


def test_an_installed_package_wins_over_a_neighbour(plugin: Callable[..., Path]) -> None:
    """A file `pluggy.py` next to a plugin hides nothing."""
    plugin("raise ImportError('the wrong one')", "pluggy")
    known = registry.load([plugin(f"import pluggy\nLEVEL = pluggy.__version__\n{METHOD}")])
    assert known.denoisers["own"].summary.startswith("level 1.")


POOLED = """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    import helper

    class Box:
        def __init__(self, value):
            self.value = value

    def half(box):
        return Box(box.value * helper.LEVEL)

    def run(kind, method):
        context = multiprocessing.get_context(method)
        if kind == "executor":
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                return list(pool.map(half, [Box(3.0)]))[0].value
        with context.Pool(1) as pool:
            return pool.map(half, [Box(3.0)])[0].value

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("pooled", "1", "x", lambda options, device, weights: run)]
"""
# As in the product: a process that is forked, is not daemonic, and serves this one source.
SERVING = """
import multiprocessing, sys
from pathlib import Path

def serve():
    from mdnbench import registry
    from mdnbench.registry import discovery

    source = discovery.all_of([Path(sys.argv[1])])[-1]
    run = registry.load_source(source).denoisers["pooled"].build({}, "cpu", None)
    try:
        print(run(sys.argv[2], sys.argv[3]))
    except RuntimeError as error:
        print(error)

if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=serve)
    process.start()
    process.join(60)
    sys.exit(process.exitcode)
"""


def serving(folder: Path, plugin: Path, kind: str, method: str) -> str:
    """What a plugin's pool gives in a process as the product has it; it must end within a minute."""
    (folder / "serving.py").write_text(SERVING, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "serving.py", str(plugin), kind, method], capture_output=True, text=True, encoding="utf-8",
        timeout=90, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("kind", ["executor", "pool"])
def test_fault_39_a_plugin_shares_its_work_between_processes(
    plugin: Callable[..., Path], tmp_path: Path, kind: str, method: str
) -> None:
    """Functions and classes of a plugin file go to the processes of a pool and come back, however they are started."""
    plugin("LEVEL = 0.5", "helper")
    assert serving(tmp_path, plugin(POOLED, "pooled"), kind, method) == "1.5"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
@pytest.mark.parametrize("kind", ["executor", "pool"])
def test_fault_39_a_pool_that_cannot_work_fails_at_once(plugin: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    """A plugin file that cannot be imported in the pool's processes: the reason comes back, instead of nothing."""
    plugin("LEVEL = 0.5", "helper")
    path = plugin(
        "import os\nif 'IN_A_POOL' in os.environ:\n    raise ImportError('not here')\nos.environ['IN_A_POOL'] = '1'\n"
        + textwrap.dedent(POOLED.replace("[Box(3.0)]", "[3.0]")),
        "pooled",
    )
    said = serving(tmp_path, path, kind, "spawn")
    assert "pooled.py cannot be imported in a process of its pool: ImportError('not here')" in said


def test_a_file_that_has_changed_since_is_not_loaded(plugin: Callable[..., Path]) -> None:
    """What another process would import must be what was planned; comments do not count."""
    from mdnbench.registry import discovery

    path = plugin(f"LEVEL = 1\n{METHOD}")
    source = discovery.all_of([path])[-1]
    plugin(f"LEVEL = 1  # one\n{METHOD}")
    assert "own" in registry.load_source(source).denoisers
    plugin(f"LEVEL = 2\n{METHOD}")
    with pytest.raises(BadPlugin, match="has changed since the run was planned"):
        registry.load_source(source)
