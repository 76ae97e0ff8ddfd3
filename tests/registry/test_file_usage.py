"""What counts as used: modules, distributions and files, each rule by a real process that prints what was counted."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Tell: TypeAlias = Callable[..., Any]
Write: TypeAlias = Callable[..., Path]
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows what C code opens")


def test_modules_beside_a_plugin_count_also_those_that_it_imports_late(repo: Path, tell: Tell, write: Write) -> None:
    """The plugin, its helper, a package's modules and a lazy import: each is there from when it is loaded.

    With each module counts, as absent, the package that Python would load in its place.
    """
    write(
        repo / "plugin.py",
        "import sys; sys.path.insert(0, 'repo')\nimport helper\ndef late():\n    import models.net\n",
    )
    write(repo / "helper.py")
    write(repo / "models/__init__.py")
    write(repo / "models/net.py")
    write(repo / "unused.py")
    first, second = tell(
        "plugin = load(); a = list(seen('plugin')); plugin.late(); print(json.dumps([a, list(seen('plugin'))]))"
    )
    before = ["plugin helper.py", "plugin helper/__init__.py", "plugin plugin.py", "plugin plugin/__init__.py"]
    assert first == before
    later = ["plugin models/__init__.py", "plugin models/net.py", "plugin models/net/__init__.py"]
    assert second == sorted([*before, *later])


def test_bytecode_counts_as_its_source_also_for_a_module_that_is_taken_out_again(
    repo: Path, tell: Tell, write: Write
) -> None:
    """With a .pyc no source is opened, and a module may be gone from sys.modules by the time of `files`."""
    write(repo / "helper.py", "x = 1")
    script = (
        "sys.path.insert(0, 'repo'); import helper; del sys.modules['helper']; print(json.dumps(list(seen('plugin'))))"
    )
    assert tell(script) == ["plugin helper.py"]
    assert list((repo / "__pycache__").glob("helper.*.pyc"))
    assert tell(script) == ["plugin helper.py"]


def test_a_module_that_replaces_another_of_the_same_name_counts_too(repo: Path, tell: Tell, write: Write) -> None:
    """Two repositories with a module of one name: a name in sys.modules stands for another file now."""
    for name in ("a", "b"):
        write(repo / name / "net.py", f"x = {name!r}")
    found = tell("""
        sys.path.insert(0, "repo/a"); import net; usage.files()
        del sys.modules["net"]; sys.path[0] = "repo/b"; importlib.invalidate_caches(); import net
        print(json.dumps([net.x, list(seen("plugin"))]))
    """)
    assert found[0] == "b"
    assert [name for name in found[1] if name.endswith("net.py")] == ["plugin a/net.py", "plugin b/net.py"]


def test_another_repository_counts_by_its_files(repo: Path, workspace: Path, tell: Tell, write: Write) -> None:
    """What sys.path leads to, outside the root, is 'file' with an absolute path."""
    other = write(workspace / "other/models/network.py")
    found = tell("sys.path.insert(0, 'other'); import models.network; print(json.dumps(list(seen('file'))))")
    assert found == [f"file {other}"]


@LINUX
def test_a_compiled_module_counts_by_its_bytes(repo: Path, tell: Tell) -> None:
    """A compiled module of the standard library's, copied next to the plugin."""
    dynload = Path(sysconfig.get_path("stdlib")) / "lib-dynload"
    compiled = next(dynload.glob("_lsprof*.so"))
    shutil.copy(compiled, repo / compiled.name)
    found = tell("sys.path.insert(0, 'repo'); import _lsprof; print(json.dumps([_lsprof.__file__, seen('plugin')]))")
    assert found[0] == str(repo / compiled.name), "the copy is what must have been loaded"
    assert list(found[1]) == [f"plugin {compiled.name}", "plugin _lsprof/__init__.py"]


def test_an_archive_counts_as_the_file_that_it_is(repo: Path, tell: Tell, write: Write) -> None:
    """Modules inside a zip file have no file of their own."""
    shutil.make_archive(str(repo / "code"), "zip", write(repo.parent / "zipped/inside.py").parent)
    found = tell("sys.path.insert(0, 'repo/code.zip'); import inside; print(json.dumps(list(seen('plugin'))))")
    assert found == ["plugin code.zip"]


def test_the_standard_library_does_not_count_and_installed_packages_count_as_one(repo: Path, tell: Tell) -> None:
    """Many modules, one entry with the version."""
    found = tell("import colorsys, tomllib, tabulate, yaml; print(json.dumps(seen()))")
    assert [name for name in found if not name.startswith("mdnbench ")] == [
        "package pyyaml",
        "package tabulate",
        "package wcwidth",
    ]
    from importlib import metadata

    assert found["package tabulate"].startswith(metadata.version("tabulate") + "+")


def test_an_editable_distribution_counts_by_its_files(repo: Path, workspace: Path, tell: Tell, write: Write) -> None:
    """Also one that puts its package into site-packages as a link, whose RECORD says nothing about it."""
    packages = workspace / "env/lib/site-packages"
    source = write(workspace / "src/flexible/__init__.py")
    write(packages / "flexible-1.0.dist-info/direct_url.json", '{"url": "file:///x", "dir_info": {"editable": true}}')
    write(packages / "flexible-1.0.dist-info/RECORD", "flexible/__init__.py,,\n")
    (packages / "flexible").symlink_to(source.parent)
    write(packages / "loose.py")
    found = tell(
        "sys.path.insert(0, 'env/lib/site-packages'); import flexible, loose; print(json.dumps(list(seen('file'))))"
    )
    assert found == [f"file {packages / 'flexible/__init__.py'}", f"file {packages / 'loose.py'}"]


def test_distributions_loaded_before_count_if_they_are_named(repo: Path, tell: Tell, write: Write) -> None:
    """NumPy always; others if an import statement of a counted file names them, or `packages` does."""
    write(repo / "plugin.py", "def f():\n    from yaml import safe_load\n")
    before = "import numpy, yaml, tabulate, packaging.version"
    found = tell("load(); print(json.dumps(list(seen('package'))))", before=before)
    assert found == ["package numpy", "package pyyaml"]
    found = tell("load(); print(json.dumps(list(seen('package'))))", before=before, packages=("Packaging", "nothing"))
    assert found == ["package numpy", "package packaging", "package pyyaml"]


def test_of_mdnbench_the_rooms_count_that_make_numbers(repo: Path, tell: Tell) -> None:
    """Whether they were loaded before or after."""
    found = tell(
        "first = list(seen('mdnbench')); import mdnbench.evaluation.outputs; print(json.dumps([first, list(seen())]))",
        before="import mdnbench.evaluation.rng, mdnbench.spec.records",
    )
    assert "mdnbench evaluation/rng.py" in found[0]
    assert "mdnbench evaluation/outputs.py" in found[1]
    assert {name.split(" ")[1].split("/")[0] for name in found[1] if name.startswith("mdnbench ")} == {"evaluation"}
    assert not [name for name in found[1] if name.startswith("file ")]


@pytest.mark.parametrize(
    "name", [".git/HEAD", ".venv/x", ".mdnbench/store.db", "node_modules/x", "f.lock", "n.nbi", "__pycache__/x.nbc"]
)
def test_folders_of_tools_and_caches_do_not_count(repo: Path, name: str, tell: Tell, write: Write) -> None:
    """Nor does the home below the root."""
    write(repo / name)
    write(repo / "home/weights")
    write(repo / "seen")
    script = f"""
        for name in ({name!r}, 'home/weights', 'seen'): open('repo/' + name).read()
        print(json.dumps(list(seen('plugin'))))
    """
    assert tell(script, MDNBENCH_HOME=str(repo / "home")) == ["plugin seen"]


def test_outside_the_root_what_was_there_counts(repo: Path, workspace: Path, tell: Tell, write: Write) -> None:
    """But for folders of the system, of data, and for temporary files; a link below the root is of the root."""
    before = write(workspace / "elsewhere/weights.bin")
    write(workspace / "temporary/x")
    write(workspace / "data/x")
    (repo / "link").symlink_to(before)
    script = """
        subprocess.run([sys.executable, "-c", "open('elsewhere/young', 'w')"])
        for name in ("elsewhere/weights.bin", "repo/link", "temporary/x", "data/x", "elsewhere/young", os.devnull):
            open(name).read()
        if os.path.exists("/etc/passwd"): open("/etc/passwd").read()
        print(json.dumps([name for name in seen() if name.startswith(("file", "plugin"))]))
    """
    surroundings = {"TMPDIR": str(workspace / "temporary"), "MDNBENCH_DATA_PATH": str(workspace / "data")}
    assert tell(script, **surroundings) == [f"file {before}", "plugin link"]
