"""A received store whose manifests name files in ways, or numbers, that no run writes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from mdnbench.errors import StoreError
from mdnbench.registry.code import Digests, changed
from mdnbench.spec.records import UsedFile
from mdnbench.store import manifests
from mdnbench.util import limits

NAMES = (
    ("file", "/usr/../tmp/a.py"), ("file", "/tmp//a.py"), ("file", "/tmp/./a.py"), ("file", "/tmp/a.py/"),
    ("file", "a.py"), ("file", ""), ("plugin", "../a.py"), ("plugin", "b/../a.py"), ("plugin", "/tmp/a.py"),
    ("plugin", ""), ("mdnbench", "../../a.py"), ("mdnbench", "/etc/passwd"), ("package", "../a"), ("else", "a.py"),
    ("file", "/tmp/a\0.py"),
)  # fmt: skip
WRITTEN = (
    ("file", "/tmp/a.py"), ("file", "C:/Users/a.py"), ("file", "C:\\Users\\a.py"), ("plugin", "models/a b.py"),
    ("plugin", "."), ("plugin", "..a/b..py"), ("mdnbench", "evaluation/scoring.py"), ("package", "scikit-image"),
)  # fmt: skip


def text(*files: tuple[str, str]) -> str:
    """A manifest as a store keeps it."""
    return json.dumps({"method": [[root, name, "0" * 64, "0" * 64] for root, name in files]})


@pytest.mark.parametrize(("root", "name"), NAMES)
def test_fault_55_a_manifest_with_a_name_that_no_run_writes(root: str, name: str) -> None:
    """One file would have as many names as somebody likes, or lie outside of its root."""
    with pytest.raises(ValueError, match="which is not how the name"):
        manifests.decoded(text((root, name)))


@pytest.mark.parametrize(("root", "name"), WRITTEN)
def test_names_that_runs_write(root: str, name: str) -> None:
    """They are read as they were written, of another system too."""
    ((file,),) = manifests.decoded(text((root, name))).values()
    assert (file.root, file.name) == (root, name)


def test_fault_55_a_manifest_with_more_files_than_any_run_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted before one is looked at; and what would not be read again is not written."""
    monkeypatch.setattr(limits, "MAX_COUNTED_FILES", 3)
    files = [("plugin", f"{number}.py") for number in range(4)]
    assert len(manifests.decoded(text(*files[:3]))["method"]) == 3
    with pytest.raises(ValueError, match="4 files; at most 3"):
        manifests.decoded(text(*files))
    with pytest.raises(StoreError, match="4 files are behind one result; at most 3"):
        manifests.encoded({"method": tuple(UsedFile("plugin", name, "0", "0") for _, name in files)})


def test_fault_55_one_file_under_many_names_is_read_once(workspace: Path) -> None:
    """A MiB under 1,500 names, by links, in a tenth of the time that it takes to read it so often."""
    place = workspace / "big.bin"
    place.write_bytes(os.urandom(1 << 20))
    time.sleep(2.1)  # a file that is younger is not trusted
    files = []
    for number in range(1500):
        (workspace / f"link-{number}").symlink_to(place)
        files.append(UsedFile("file", str(workspace / f"link-{number}"), "0" * 64, "0" * 64))
    start = time.process_time()
    assert len(changed(files, None, Digests())) == 1500
    assert time.process_time() - start < 0.5


def test_fault_55_a_received_store_with_such_a_manifest(said: Any, stored: Path, other: Path, alter: Any) -> None:
    """Nothing of it comes in."""
    alter(other, "UPDATE manifests SET files = ?", text(("file", "/usr/../tmp/a.py")))
    found = said("store", "merge", "other")
    assert (found.code, "other/results.sqlite" in found.err, "/usr/../tmp/a.py" in found.err) == (3, True, True), found
