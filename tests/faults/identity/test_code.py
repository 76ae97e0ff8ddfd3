"""Whatever file a method reads, and however, counts for its identity; how its code is written does not."""

from __future__ import annotations

import io
import os
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

from mdnbench.planning import identity

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what C code and programs open")

PLUGINS = Path(__file__).parent / "plugins"

NETWORK = """
    import torch

    class Net(torch.nn.Module):
        def forward(self, x):
            return x * 0 + {level}
"""
# Plugins that import something at their top level, and the file that this is.
AT_TOP = {
    "top": ("from top_level import LEVEL", "top_level.py"),
    "near": ("from .near_level import LEVEL", "near_level.py"),
    "far": ("sys.path.insert(0, str(Path(__file__).parents[1] / 'far_src')); from far_level import LEVEL", ""),
    "repository": ("sys.path.insert(0, str(Path(__file__).parents[1])); from models.level import LEVEL", ""),
}
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


@dataclass
class Story:
    """The same command five times: at first, again, after harmless edits, after edits, and when these are undone."""

    first: Any
    again: Any
    harmless: Any
    edited: Any
    undone: Any


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, new_lab: Any, level_plugin: Any) -> Story:
    """All methods with files, and those of a plugin that stays as it is."""
    lab = new_lab(tmp_path_factory.mktemp("story"))
    prepare(lab.folder)
    lab.write("many/many.py", (PLUGINS / "many.py").read_text(), plugin=True)
    lab.write("fixed/fixed.py", (PLUGINS / "fixed.py").read_text(), plugin=True)
    for name, (line, _) in AT_TOP.items():
        folder = "repo/benchmark" if name == "repository" else name
        lab.write(f"{folder}/{name}.py", level_plugin(name, line), plugin=True)
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


MADE = ("linked", "appended")


def test_fault_31_weights_that_the_method_itself_links_to_or_opens_to_add(lab: Any) -> None:
    """They are its weights all the same: it is computed again when they are other ones later."""
    lab.write("makes.py", (PLUGINS / "makes.py").read_text(), plugin=True)
    for name in MADE:
        lab.write(f"{name}.txt", "0.5")
    first = lab.run(" ".join(MADE))
    assert lab.run(" ".join(MADE)).renewed(first) == set()
    for name in MADE:
        lab.write(f"{name}.txt", "0.1")
    assert lab.run(" ".join(MADE)).renewed(first) == set(MADE)


def test_fault_31_the_root_is_the_same_in_every_process(
    lab: Any, level_plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project file in the folder for temporary files, which is nobody's repository, makes no run forget the last."""
    monkeypatch.setenv("TMPDIR", str(lab.folder / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    lab.write("temporary/pyproject.toml", "")
    lab.write("temporary/work/helper.py", "LEVEL = 0.5\n")
    lab.write("temporary/work/own.py", level_plugin("own", "from helper import LEVEL"), plugin=True)
    assert lab.run("own").tally.computed == 2
    assert lab.run("own").tally.cached == 2


OPTIONAL = """
    from pathlib import Path
    import mdnbench

    def denoise(noisy, noise):
        try:
            level = float((Path(__file__).parent / "level.txt").read_text())
        except OSError:
            level = 0.25
        return noisy * 0 + level

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("optional", "1", "x", lambda options, device, weights: denoise)]
"""


def test_fault_31_a_file_that_is_gone(lab: Any) -> None:
    """The cells that it was used for are computed again, and it is named as gone; when it is back, so are they."""
    lab.write("optional.py", OPTIONAL, plugin=True)
    lab.write("level.txt", "0.5")
    first = lab.run("optional")
    (lab.folder / "level.txt").unlink()
    gone = lab.run("optional")
    assert "level.txt (gone) has changed; 2 stored cells" in gone.changes[0]
    assert gone.tally.computed == 2
    assert gone.values("optional") != first.values("optional")
    lab.write("level.txt", "0.5")
    back = lab.run("optional")
    assert back.tally.cached == 2
    assert back.values("optional") == first.values("optional")
