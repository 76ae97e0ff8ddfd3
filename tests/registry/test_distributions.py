"""Distributions: which one a module or a file belongs to, and what stands for it in a manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest

from mdnbench.registry.distributions import distribution_of, distribution_of_file, package_entry
from mdnbench.registry.installed_packages import Distribution, importable, normalised
from mdnbench.spec.records import UsedFile


def install(folder: Path, name: str, files: Iterable[str], **extra: str) -> None:
    """Put a distribution into a folder as installers do."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("", encoding="utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files), encoding="utf-8")
    for file, text in extra.items():
        (info / file.replace("__", ".")).write_text(text, encoding="utf-8")


def test_distributions_and_entry_points_agree_with_importlib_metadata() -> None:
    """Every distribution that is installed here with its name and version, and all its entry points."""
    known = {each.name: each for each in importable()}
    for expected in metadata.distributions():
        found = known.pop(normalised(expected.name), None)
        if found is None:  # a second distribution with the same name, which is not imported
            continue
        assert found.written() == (expected.name, expected.version)
        points = [(point.group, point.name, point.value) for point in expected.entry_points]
        groups = sorted({group for group, _, _ in points})
        assert sorted((group, *point) for group in groups for point in found.entry_points(group)) == sorted(points)
    assert known == {}


def test_the_file_of_entry_points_may_have_other_sections_and_comments(tmp_path: Path) -> None:
    """Only the entry points of the group, with spaces around names and values left out."""
    text = "# ours\n[other]\na = b\n\n[mdnbench]\n# one = two\n lab=lab.plugin : hooks [extra]\n[last]\nc = d\n"
    (tmp_path / "entry_points.txt").write_text(text, encoding="utf-8")
    found = Distribution("lab", "1.0", str(tmp_path))
    assert list(found.entry_points("mdnbench")) == [("lab", "lab.plugin : hooks [extra]")]
    assert list(found.entry_points("none")) == []
    assert found.written() == ("lab", "1.0")


def test_distributions_of_modules_agree_with_importlib_metadata() -> None:
    """Of every module that is installed here; namespaces that several share have no single owner."""
    several = 0
    for module, names in metadata.packages_distributions().items():
        expected = {normalised(name) for name in names}
        if module.startswith("_editable_impl"):
            assert distribution_of(module) is None
        elif len(expected) == 1 and (found := distribution_of(module)):
            assert {found} == expected, module
            several += 1
    assert several > 50
    assert [distribution_of(name) for name in ("cv2", "PIL", "yaml")] == [
        "opencv-python-headless",
        "pillow",
        "pyyaml",
    ]
    assert [distribution_of(name) for name in ("json", "mdnbench", "no_such_module")] == [None] * 3


def test_files_of_namespaces_and_of_no_distribution(workspace: Path) -> None:
    """By RECORD where several share a folder; in whatever order that is."""
    folder = workspace / "site-packages"
    install(folder, "space_one", ["space/one/a.py", "single.py"])
    install(folder, "space_two", ["space/two/a.py", "z/x.py", "space/two/b.py", "z/y.py"])
    install(folder, "unsorted", ["u/x.py", "v/x.py", "u/y.py"])
    (folder / "loose.py").write_text("", encoding="utf-8")
    expected = {
        "space/one/a.py": "space-one",
        "space/two/b.py": "space-two",
        "single.py": "space-one",
        "v/x.py": "unsorted",
    }
    expected |= {"loose.py": "", "space/three.py": ""}
    assert {file: distribution_of_file(folder / file) or "" for file in expected} == expected
    install(folder, "later", ["late.py"])
    os.utime(folder, ns=(1, 1))
    assert distribution_of_file(folder / "late.py") == "later"


def test_entries_of_packages(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version and RECORD; the version alone where RECORD is missing, or says nothing of what is edited."""
    folder = workspace / "site-packages"
    install(folder, "Whole.Thing", ["w.py"])
    install(folder, "edited", ["e.py"], direct_url__json='{"url": "file:///e", "dir_info": {"editable": true}}')
    install(folder, "copied", ["c.py"], direct_url__json='{"url": "file:///c", "dir_info": {}}')
    install(folder, "bare", ["b.py"])
    (folder / "bare-1.0.dist-info/RECORD").unlink()
    monkeypatch.syspath_prepend(str(folder))
    record = (folder / "Whole.Thing-1.0.dist-info/RECORD").read_bytes()
    content = "1.0+" + hashlib.sha256(record).hexdigest()[:16]
    assert (
        package_entry("whole-thing")
        == package_entry("Whole_Thing")
        == UsedFile("package", "whole-thing", content, content)
    )
    assert package_entry("edited") == UsedFile("package", "edited", "1.0", "1.0")
    assert package_entry("bare") == UsedFile("package", "bare", "1.0", "1.0")
    assert (package_entry("copied") or content).content.startswith("1.0+")  # type: ignore[union-attr]
    assert package_entry("none-such") is None
    assert distribution_of_file(folder / "e.py") is None
    numpy = package_entry("numpy")
    assert numpy
    assert numpy.content.startswith(metadata.version("numpy") + "+")
