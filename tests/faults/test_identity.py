"""A number is about the code that made it: edits of whatever a method, a noise or a metric really uses are noticed."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import sys
import sysconfig
import textwrap
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import mdnbench
from mdnbench.planning import identity

# ---- 31: each method gives an image of one level, which it has from a file of its own ------------------------------

MANY = """
    import ctypes, os, runpy, sqlite3, subprocess, sys, threading
    from importlib import resources, util
    from pathlib import Path

    import mdnbench

    HERE = Path(__file__).parent
    calls = []


    def beside():
        import beside_level
        return beside_level.LEVEL

    def path():
        sys.path.insert(0, str(HERE.parent / "elsewhere"))
        import path_level
        return path_level.LEVEL

    def relative():
        from .relative_level import LEVEL
        return LEVEL

    def package():
        from parts.deep.level import LEVEL
        return LEVEL

    def loader():
        spec = util.spec_from_file_location("loader_level", HERE / "loader_level.py")
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.LEVEL

    def runpath():
        return runpy.run_path(str(HERE / "runpath_level.py"))["LEVEL"]

    def execute():
        scope = {}
        exec((HERE / "execute_level.py").read_text(), scope)
        return scope["LEVEL"]

    def archive():
        sys.path.insert(0, str(HERE / "archive.zip"))
        import archive_level
        return archive_level.LEVEL

    def resource():
        return float(resources.files("withdata").joinpath("resource.txt").read_text())

    def numpy():
        import numpy
        return numpy.load(HERE / "numpy.npy")

    def mapped():
        import numpy
        return numpy.load(HERE / "mapped.npy", mmap_mode="r")[0]

    def fromfile():
        import numpy
        return numpy.fromfile(HERE / "fromfile.bin", dtype="float64")[0]

    def torch():
        import torch
        return torch.load(HERE / "torch.pt", weights_only=True)["level"]

    def tensor():
        import torch
        return torch.from_file(str(HERE / "tensor.bin"), size=1)[0]

    def opened():
        with open(HERE / "opened.txt") as file:
            return file.read()

    def os_open():
        descriptor = os.open(HERE / "os_open.txt", os.O_RDONLY)
        return os.read(descriptor, 100)

    def cv():
        import cv2
        return round(cv2.imread(str(HERE / "cv.png"))[0, 0, 0] / 255 * 4) / 4

    def database():
        with sqlite3.connect(HERE / "database.sqlite") as connection:
            return connection.execute("select level from levels").fetchone()[0]

    def linked():
        return (HERE / "linked.txt").read_text()

    def changed_folder():
        os.chdir(HERE)
        return open("changed_folder.txt").read()

    def program():
        return subprocess.run(["cat", HERE / "program.txt"], capture_output=True, check=True).stdout

    def forked():
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.write(writing, (HERE / "forked.txt").read_bytes())
            os._exit(0)
        os.wait()
        return os.read(reading, 100)

    def thread():
        found = []
        reading = threading.Thread(target=lambda: found.append((HERE / "thread.txt").read_text()))
        reading.start()
        reading.join()
        return found[0]

    def missing():
        try:
            return (HERE / "missing.txt").read_text()
        except FileNotFoundError:
            return 0.5

    def late():
        return (HERE / "late.txt").read_text()

    def second():
        calls.append(1)
        return 0.5 if len(calls) == 1 else (HERE / "second.txt").read_text()

    def weights():
        import numpy
        return numpy.load(HERE / "weights.npy")[0]

    def extension():
        sys.path.insert(0, str(HERE))
        import xxlimited
        assert xxlimited.__file__.startswith(str(HERE)), xxlimited.__file__
        return 0.5

    def library():
        ctypes.CDLL(str(HERE / "library.so"))
        return 0.5


    def spec(name, level, late=False):
        def build(options, device, weights):
            early = None if late else float(level())
            return lambda noisy, noise: noisy * 0 + (float(level()) if late else early)
        return mdnbench.DenoiserSpec(name, "1", name, build)

    def network():
        from network import Net
        return Net()


    IN_BUILD = (
        beside, path, relative, package, loader, runpath, execute, archive, resource, numpy, mapped, fromfile, torch,
        tensor, opened, os_open, cv, database, linked, changed_folder, program, forked, thread, missing, weights,
        extension, library,
    )
    LATER = (late, second)

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        early = [spec(each.__name__, each) for each in IN_BUILD]
        return [*early, *(spec(each.__name__, each, True) for each in LATER), mdnbench.wrap_torch("network", network)]
"""
NETWORK = """
    import torch

    class Net(torch.nn.Module):
        def forward(self, x):
            return x * 0 + {level}
"""
IMPORTS = """
    import sys
    from pathlib import Path
    import mdnbench
    {line}

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        build = lambda options, device, weights: lambda noisy, noise: noisy * 0 + LEVEL
        return [mdnbench.DenoiserSpec({name!r}, "1", "x", build)]
"""
# Plugins that import something at their top level, and the file that this is.
AT_TOP = {
    "top": ("from top_level import LEVEL", "top_level.py"),
    "near": ("from .near_level import LEVEL", "near_level.py"),
    "far": ("sys.path.insert(0, str(Path(__file__).parents[1] / 'far_src')); from far_level import LEVEL", ""),
    "repository": ("sys.path.insert(0, str(Path(__file__).parents[1])); from models.level import LEVEL", ""),
}
FIXED = """
    from pathlib import Path
    import mdnbench, numpy

    HERE = Path(__file__).parent

    def half():
        return 0.5

    def quarter():
        return 0.25

    def logs():
        with open(HERE / "log.txt", "a") as log:
            log.write("called\\n")
        (HERE / "last.json").write_text("{}")
        return 0.5

    def caches():
        if not (HERE / "cache.npy").exists():
            numpy.save(HERE / "cache.npy", 0.5)
        return numpy.load(HERE / "cache.npy")

    def tries():
        try:
            return numpy.load(HERE / "tried.npy")
        except FileNotFoundError:
            numpy.save(HERE / "part.npy", 0.5)
            (HERE / "part.npy").rename(HERE / "tried.npy")
            return 0.5

    def spec(level):
        def build(options, device, weights):
            value = float(level())
            return lambda noisy, noise: noisy * 0 + value
        return mdnbench.DenoiserSpec(level.__name__, "1", "x", build)

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [spec(each) for each in (half, quarter, logs, caches, tries)]
"""
CODE = "LEVEL = {level}\n"
HARMLESS = '"""A docstring."""\n\n# a comment\nLEVEL = (\n    {level}  # another\n)\n'


def png(level: float) -> bytes:
    """A picture of one level."""
    return bytes(cv2.imencode(".png", np.full((4, 4), round(level * 256), np.uint8))[1])


def npy(value: Any) -> bytes:
    """An array as numpy.save writes it."""
    content = io.BytesIO()
    np.save(content, np.asarray(value))
    return content.getvalue()


def pt(level: float) -> bytes:
    """A state as torch.save writes it."""
    content = io.BytesIO()
    torch.save({"level": torch.tensor(level)}, content)
    return content.getvalue()


def archive(level: float) -> bytes:
    """A ZIP archive with a module."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        made.writestr(zipfile.ZipInfo("archive_level.py"), CODE.format(level=level))  # with a time that never changes
    return content.getvalue()


def database(level: float) -> bytes:
    """A small SQLite database."""
    import sqlite3

    with sqlite3.connect(":memory:") as made:
        made.execute("create table levels (level)")
        made.execute("insert into levels values (?)", (level,))
        made.commit()
        return made.serialize()


def compiled(level: float) -> bytes:
    """A compiled module; what stands behind its end is not looked at when it is loaded."""
    (module,) = Path(sysconfig.get_path("stdlib"), "lib-dynload").glob("xxlimited.*.so")
    return module.read_bytes() + str(level).encode()


def text(level: float) -> bytes:
    """A number as text."""
    return str(level).encode()


def python(level: float) -> bytes:
    """A module with the level."""
    return CODE.format(level=level).encode()


# The file of each method, below the lab's folder, and what it holds for a level. The two compiled ones give 0.5.
FILES: dict[str, tuple[str, Callable[[float], bytes]]] = {
    "beside": ("many/beside_level.py", python),
    "path": ("elsewhere/path_level.py", python),
    "relative": ("many/relative_level.py", python),
    "package": ("many/parts/deep/level.py", python),
    "loader": ("many/loader_level.py", python),
    "runpath": ("many/runpath_level.py", python),
    "execute": ("many/execute_level.py", python),
    "archive": ("many/archive.zip", archive),
    "resource": ("many/withdata/resource.txt", text),
    "network": ("many/network.py", lambda level: textwrap.dedent(NETWORK.format(level=level)).encode()),
    "numpy": ("many/numpy.npy", npy),
    "mapped": ("many/mapped.npy", lambda level: npy([level])),
    "fromfile": ("many/fromfile.bin", lambda level: np.float64(level).tobytes()),
    "torch": ("many/torch.pt", pt),
    "tensor": ("many/tensor.bin", lambda level: np.float32(level).tobytes()),
    "opened": ("many/opened.txt", text),
    "os_open": ("many/os_open.txt", text),
    "cv": ("many/cv.png", png),
    "database": ("many/database.sqlite", database),
    "linked": ("elsewhere/linked.txt", text),
    "changed_folder": ("many/changed_folder.txt", text),
    "program": ("many/program.txt", text),
    "forked": ("many/forked.txt", text),
    "thread": ("many/thread.txt", text),
    "missing": ("many/missing.txt", text),
    "late": ("many/late.txt", text),
    "second": ("many/second.txt", text),
    "weights": ("many/weights.npy", lambda level: npy(np.full(200_000, level))),
    "extension": (f"many/xxlimited{sysconfig.get_config_var('EXT_SUFFIX')}", compiled),
    "library": ("many/library.so", compiled),
    "top": ("top/top_level.py", python),
    "near": ("near/near_level.py", python),
    "far": ("far_src/far_level.py", python),
    "repository": ("repo/models/level.py", python),
}
CONTROLS = ("half", "quarter", "logs", "caches", "tries")
COMPILED = ("extension", "library")


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what C code and programs open")


@dataclass
class Story:
    """The same command five times: at first, again, after harmless edits, after edits, and when these are undone."""

    first: Any
    again: Any
    harmless: Any
    edited: Any
    undone: Any


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, new_lab: Any) -> Story:
    """All methods above, and those of a plugin that stays as it is."""
    lab = new_lab(tmp_path_factory.mktemp("story"))
    prepare(lab.folder)
    lab.write("many/many.py", MANY, plugin=True)
    lab.write("fixed/fixed.py", FIXED, plugin=True)
    for name, (line, _) in AT_TOP.items():
        folder = "repo/benchmark" if name == "repository" else name
        lab.write(f"{folder}/{name}.py", IMPORTS.format(line=line, name=name), plugin=True)
    methods = " ".join([*FILES, *CONTROLS, "noisy"])

    def put(level: float) -> None:
        for path, content in FILES.values():
            (lab.folder / path).write_bytes(content(level))

    put(0.5)
    missing = lab.folder / FILES["missing"][0]
    missing.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(lab.folder)
        patch.setenv("MDNBENCH_HOME", str(lab.folder / "home"))
        first = lab.run(methods)
        again = lab.run(methods)
        soften(lab.folder)
        harmless = lab.run(methods)
        put(0.5)
        stamps = (lab.folder / FILES["weights"][0]).stat()
        put(0.25)
        os.utime(lab.folder / FILES["weights"][0], ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
        patch.setattr(identity, "SHOWN", 100)
        edited = lab.run(methods)
        put(0.5)
        missing.unlink()
        undone = lab.run(methods)
    return Story(first, again, harmless, edited, undone)


def prepare(folder: Path) -> None:
    """Make the folders, packages and links that the plugins need."""
    for path, _ in FILES.values():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / "repo" / ".git").mkdir()
    for package in ("many/parts", "many/parts/deep", "many/withdata"):
        (folder / package / "__init__.py").write_text("")
    (folder / "many" / "linked.txt").symlink_to(folder / "elsewhere" / "linked.txt")


def soften(folder: Path) -> None:
    """Edit comments, docstrings and layout of all code, touch all other files, and add files that nothing uses."""
    for path, content in FILES.values():
        if content is python:
            (folder / path).write_text(HARMLESS.format(level=0.5))
        elif (folder / path).exists():
            (folder / path).write_bytes(content(0.5))
    for plugin in ("many/many.py", "top/top.py"):
        lines = (folder / plugin).read_text()
        (folder / plugin).write_text(f'"""What this plugin brings."""\n\n\n# a comment\n{lines}\n\n# the end\n')
    (folder / "many" / "unused.py").write_text("LEVEL = 7\n")
    (folder / "many" / "notes.txt").write_text("unused\n")


def test_fault_31_nothing_changed_nothing_computed(story: Story) -> None:
    """The same command again finds everything, also for methods that write logs and caches next to their plugin."""
    assert {row.status: row.reason for row in story.first.rows.values()} == {"ok": ""}
    assert story.first.values("half") == story.first.values("beside") != story.first.values("quarter")
    assert (story.again.tally.computed, story.again.changes) == (0, [])


def test_fault_31_comments_docstrings_and_layout_do_not_count(story: Story) -> None:
    """Nor do new time stamps of the same bytes, and files that nothing has opened."""
    assert story.harmless.renewed(story.first) == set()
    assert (story.harmless.tally.computed, story.harmless.changes) == (0, [])


def test_fault_31_an_edit_is_computed_again_and_named(story: Story) -> None:
    """Each method has its new level in both images, and the note of its plugin names the file that changed."""
    new = story.edited.values("quarter")
    wrong = {name: story.edited.values(name) for name in FILES if name not in COMPILED and name != "second"}
    assert {name: values for name, values in wrong.items() if values != new} == {}
    assert story.edited.values("second") == [story.first.values("half")[0], new[1]]
    unnamed = []
    for method, (path, _) in FILES.items():
        plugin = method if method in AT_TOP else "many"
        (note,) = (note for note in story.edited.changes if f"{plugin}.py:" in note)
        if Path(path).name not in note:
            unnamed.append(path)
    assert unnamed == []


def test_fault_31_only_what_was_edited_is_computed(story: Story) -> None:
    """Methods whose files are as they were keep their cells, also in the same plugin."""
    assert story.edited.renewed(story.first) == set(FILES)
    assert story.edited.tally.computed == 2 * len(FILES)
    assert len(story.edited.changes) == len({"many", *AT_TOP})


def test_fault_31_an_edit_that_is_undone_finds_the_former_results(story: Story) -> None:
    """Nothing is computed, and all numbers are the first ones."""
    assert (story.undone.tally.computed, story.undone.changes) == (0, [])
    assert story.undone.renewed(story.first) == set()


MAKES = """
    from pathlib import Path
    import mdnbench

    HERE = Path(__file__).parent

    def linked():
        link = HERE / "current.txt"
        link.unlink(missing_ok=True)
        link.symlink_to(HERE / "linked.txt")
        return link.read_text()

    def appended():
        (HERE / "appended.txt").open("a").close()
        return (HERE / "appended.txt").read_text()

    def spec(level):
        def build(options, device, weights):
            value = float(level())
            return lambda noisy, noise: noisy * 0 + value
        return mdnbench.DenoiserSpec(level.__name__, "1", "x", build)

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [spec(each) for each in (linked, appended)]
"""
MADE = ("linked", "appended")


def test_fault_31_weights_that_the_method_itself_links_to_or_opens_to_add(lab: Any) -> None:
    """They are its weights all the same: it is computed again when they are other ones later."""
    lab.write("makes.py", MAKES, plugin=True)
    for name in MADE:
        lab.write(f"{name}.txt", "0.5")
    first = lab.run(" ".join(MADE))
    assert lab.run(" ".join(MADE)).renewed(first) == set()
    for name in MADE:
        lab.write(f"{name}.txt", "0.1")
    assert lab.run(" ".join(MADE)).renewed(first) == set(MADE)


JUDGE = """
    import mdnbench

    def build(device):
        from .measure import measure
        return measure

    @mdnbench.hookimpl
    def mdnbench_metrics():
        return [mdnbench.MetricSpec("mine", "1", "mine", "lower", build)]
"""
SPOIL = """
    import mdnbench

    def brighter(clean, rng, by):
        import shifting
        return shifting.shifted(clean, by) + rng.normal(clean.shape) * 0.01

    @mdnbench.hookimpl
    def mdnbench_noises():
        by = mdnbench.Option("by", float, help="how much")
        return [mdnbench.NoiseSpec("brighter", "1", "brighter", brighter, lambda by: None, (by,), "y = x + c")]
"""
MEASURE = "def measure(denoised, clean):\n    return float(abs(denoised - clean).mean()) + {more}\n"
SHIFTING = "def shifted(clean, by):\n    return clean + by * {factor}\n"


@pytest.fixture
def judged(lab: Any) -> Any:
    """A lab with plugins of a metric and of a noise, each with a helper that is imported late."""
    lab.write("judge.py", JUDGE, plugin=True)
    lab.write("spoil.py", SPOIL, plugin=True)
    lab.write("measure.py", MEASURE.format(more=0))
    lab.write("shifting.py", SHIFTING.format(factor="1.0"))
    return lab


def test_fault_31_the_helper_of_a_metric_or_a_noise(judged: Any) -> None:
    """A metric's helper changes its own scores alone, a noise's helper the cells under this noise alone."""
    noises = ["gaussian:25", "brighter:0.1"]
    asked: dict[str, Any] = {"noise": noises, "metrics": ["psnr", "mine"]}
    first = judged.run("noisy", **asked)
    judged.write("measure.py", "# a comment\n" + MEASURE.format(more=0))
    judged.write("shifting.py", "# a comment\n" + SHIFTING.format(factor="1.0"))
    assert judged.run("noisy", **asked).tally.cached == 4
    judged.write("measure.py", MEASURE.format(more=1))
    measured = judged.run("noisy", **asked)
    (note,) = measured.changes
    assert "measure.py has changed" in note
    assert measured.tally.cached == 0
    assert measured.values("noisy") == first.values("noisy")
    assert measured.values("noisy", "mine") == pytest.approx([value + 1 for value in first.values("noisy", "mine")])
    judged.write("shifting.py", SHIFTING.format(factor="2.0"))
    shifted = judged.run("noisy", **asked)
    (note,) = shifted.changes
    assert "shifting.py has changed; 2 stored cells" in note
    assert (shifted.tally.cached, shifted.tally.computed) == (2, 2)
    kept, moved = "gaussian:sigma=25", "brighter:by=0.1"
    assert shifted.values("noisy", noise=kept) == measured.values("noisy", noise=kept)
    assert max(shifted.values("noisy", noise=moved)) < min(measured.values("noisy", noise=moved))


@pytest.fixture
def checkout(tmp_path: Path) -> dict[str, str]:
    """A copy of mdnbench, and the variables with which Python imports that one in place of ours."""
    root, copy = Path(mdnbench.__file__).parents[1], tmp_path / "checkout"
    for name in ("mdnbench", "plugins", "datasets"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("site", "src"):
        (tmp_path / name).mkdir()
    folders = [copy, copy / "plugins", tmp_path / "site", tmp_path / "src"]
    return {"PYTHONPATH": os.pathsep.join(map(str, folders))}


EDITABLE = """
    import mdnbench

    def build(options, device, weights):
        from lab_plugin.inner import LEVEL
        return lambda noisy, noise: noisy * 0 + LEVEL

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("installed", "1", "x", build)]
"""


def install(folder: Path, record: str = "", *, editable: bool = True) -> None:
    """Write what an installer writes about the package lab_plugin."""
    about = folder / "lab_plugin-1.0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lab_plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[mdnbench]\nlab = lab_plugin\n")
    (about / "RECORD").write_text(record or "lab_plugin-1.0.dist-info/RECORD,,\n")
    if editable:
        (about / "direct_url.json").write_text('{"url": "file:///src", "dir_info": {"editable": true}}')


def test_fault_31_built_in_and_editable_installed_plugins_and_evaluation(
    lab: Any, checkout: dict[str, str], cli: Any, printed_cells: Any, tmp_path: Path
) -> None:
    """Each edit computes what used the file; the code of evaluation counts for all cells, the engine's for none."""
    install(tmp_path / "site")
    lab.write("src/lab_plugin/__init__.py", EDITABLE)
    lab.write("src/lab_plugin/inner.py", "LEVEL = 0.5\n")
    lab.write("own.py", IMPORTS.format(line="LEVEL = 0.25", name="own"), plugin=True)
    arguments = lab.arguments("median installed own")

    def run() -> tuple[dict[Any, Any], str]:
        done = cli(*arguments, **checkout)
        assert done.returncode == 0, done.stderr
        return printed_cells(done.stdout), done.stderr

    def renewed(before: dict[Any, Any], after: dict[Any, Any]) -> set[str]:
        return {key[0] for key in after if after[key]["output"] != before[key]["output"]}

    def add(path: str, line: str) -> None:
        with (tmp_path / path).open("a") as file:
            file.write(line)

    first, _ = run()
    add("checkout/mdnbench/evaluation/cases.py", "# a comment\n")
    add("checkout/plugins/mdnbench_classical/filters.py", "# a comment\n")
    add("checkout/plugins/mdnbench_classical/wavelet.py", "# a comment\n")
    add("checkout/mdnbench/engine/loop.py", "UNUSED = 1\n")
    add("checkout/mdnbench/cli/progress.py", "UNUSED = 1\n")
    harmless, said = run()
    assert (renewed(first, harmless), "changed" in said) == (set(), False)
    add("checkout/plugins/mdnbench_classical/filters.py", "UNUSED = 1\n")
    lab.write("src/lab_plugin/inner.py", "LEVEL = 0.1\n")
    edited, said = run()
    assert renewed(harmless, edited) == {"median", "installed"}
    assert re.search(r"mdnbench_classical .*filters\.py has changed; 2 stored cells", said)
    assert re.search(r"lab_plugin .*inner\.py has changed; 2 stored cells", said)
    assert edited["installed", "1"]["psnr"] != first["installed", "1"]["psnr"]
    add("checkout/mdnbench/evaluation/scoring.py", "UNUSED = 1\n")
    judged, said = run()
    assert renewed(edited, judged) == {"median", "installed", "own"}
    assert "mdnbench: evaluation/scoring.py has changed; 6 stored cells" in " ".join(said.split())


@pytest.mark.full
def test_fault_31_a_package_that_pip_has_installed_editable(lab: Any, cli: Any, printed_cells: Any) -> None:
    """The same with the real pip, which writes its own files about the package."""
    import subprocess

    target = lab.folder / "target"
    lab.write("project/pyproject.toml", """
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"
        [project]
        name = "lab-plugin"
        version = "1.0"
        [project.entry-points.mdnbench]
        lab = "lab_plugin"
    """)  # fmt: skip
    lab.write("project/lab_plugin/__init__.py", EDITABLE)
    lab.write("project/lab_plugin/inner.py", "LEVEL = 0.5\n")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--target", target]
    done = subprocess.run([*command, "-e", lab.folder / "project"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip cannot install here: {done.stderr[-200:]}")
    path = os.pathsep.join([str(target), *(each.read_text().strip() for each in target.glob("*.pth"))])
    found = []
    for level in ("0.5", "0.1", "0.1"):
        lab.write("project/lab_plugin/inner.py", f"LEVEL = {level}\n")
        done = cli(*lab.arguments("installed noisy"), PYTHONPATH=path)
        assert done.returncode == 0, done.stderr
        found.append((printed_cells(done.stdout)["installed", "1"]["psnr"], "inner.py has changed" in done.stderr))
    assert [note for _, note in found] == [False, True, False]
    assert found[0][0] != found[1][0] == found[2][0]


def test_fault_31_the_root_is_the_same_in_every_process(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project file in the folder for temporary files, which is nobody's repository, makes no run forget the last."""
    monkeypatch.setenv("TMPDIR", str(lab.folder / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    lab.write("temporary/pyproject.toml", "")
    lab.write("temporary/work/helper.py", "LEVEL = 0.5\n")
    lab.write("temporary/work/own.py", IMPORTS.format(line="from helper import LEVEL", name="own"), plugin=True)
    assert lab.run("own").tally.computed == 2
    assert lab.run("own").tally.cached == 2


# ---- 32 ------------------------------------------------------------------------------------------------------------


def test_fault_32_a_noise_is_edited_and_a_method_added(judged: Any) -> None:
    """Both methods are computed under the new noise: one noisy image a case, as after --fresh."""
    judged.run("noisy", noise="brighter:0.1")
    judged.write("shifting.py", SHIFTING.format(factor="2.0"))
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


# ---- 33 ------------------------------------------------------------------------------------------------------------

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


# ---- 34 ------------------------------------------------------------------------------------------------------------


def package(folder: Path, level: float) -> str:
    """Install lab_plugin, version 1.0, with this level, into a folder of packages; its place for PYTHONPATH."""
    inner = folder / "site-packages"
    (inner / "lab_plugin").mkdir(parents=True)
    (inner / "lab_plugin" / "__init__.py").write_text(textwrap.dedent(EDITABLE))
    (inner / "lab_plugin" / "inner.py").write_text(f"LEVEL = {level}\n")
    record = []
    for name in ("__init__.py", "inner.py"):
        digest = hashlib.sha256((inner / "lab_plugin" / name).read_bytes()).hexdigest()
        record.append(f"lab_plugin/{name},sha256={digest},\n")
    install(inner, "".join(record), editable=False)
    return str(inner)


def test_fault_34_a_worker_with_other_code_in_a_plugin(
    lab: Any, dask_cluster: Any, cli: Any, printed_cells: Any, tmp_path: Path
) -> None:
    """Refused and named with the reason; one with the same code computes, also a file plugin with its neighbours."""
    here = package(tmp_path / "here", 0.5)
    same, other = package(tmp_path / "same", 0.5), package(tmp_path / "other", 0.75)
    lab.write("fileplugin/own.py", IMPORTS.format(line="from helper import LEVEL", name="own"), plugin=True)
    lab.write("fileplugin/helper.py", "from inner.deep import LEVEL\n")
    lab.write("fileplugin/inner/deep.py", "LEVEL = 0.5\n")
    arguments = lab.arguments("installed own noisy")
    cluster = ("--engine", "dask", "--scheduler", dask_cluster.address)
    dask_cluster.worker("other", PYTHONPATH=other)
    refused = cli(*arguments, *cluster, PYTHONPATH=here)
    assert refused.returncode == 2, refused.stderr
    assert "no worker of the Dask cluster can be used" in refused.stderr
    assert re.search(r"inner\.py of the plugin lab is \w+ there and \w+ here|lab.plugin", refused.stderr)
    dask_cluster.worker("same", PYTHONPATH=same)
    done = cli(*arguments, *cluster, PYTHONPATH=here)
    assert done.returncode == 0, done.stderr
    assert re.search(r"the Dask worker \S+ is not used: .*lab", done.stderr)
    local = cli(*arguments, "--fresh", "--out", "local", PYTHONPATH=here)
    assert local.returncode == 0, local.stderr
    names = ("psnr", "noisy_digest", "output_digest", "output", "status")

    def digits(printed: str) -> dict[Any, Any]:
        return {key: [cell[name] for name in names] for key, cell in printed_cells(printed).items()}

    assert digits(done.stdout) == digits(local.stdout)


# ---- 35 ------------------------------------------------------------------------------------------------------------

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


def test_fault_35_an_option_with_a_default_is_added(lab: Any) -> None:
    """That method alone is computed again, once; its name and the cells of the others stay as they are."""
    lab.write("growing.py", OPTIONS.format(options=""), plugin=True)
    lab.write("other.py", IMPORTS.format(line="LEVEL = 0.25", name="other"), plugin=True)
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
