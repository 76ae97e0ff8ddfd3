"""Digests of files, the caches behind them, and which files of a manifest have changed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mdnbench.registry import code
from mdnbench.registry.code import ABSENT, Digests, changed
from mdnbench.registry.distributions import package_entry
from mdnbench.registry.file_origin import CORE
from mdnbench.registry.syntax_digest import syntax_digest
from mdnbench.spec.records import Root, UsedFile


def settled(path: Path, content: bytes = b"") -> Path:
    """A file that is older than two seconds for all that can be seen (the time of its inode cannot be set)."""
    if content:
        path.write_bytes(content)
    time.sleep(2.1)
    return path


def forge(path: Path, content: bytes) -> bool:
    """Change a file's bytes but none of the signs by which large files are trusted; False if that cannot be done."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path.stat().st_ctime_ns == before.st_ctime_ns


def cache() -> Path:
    """Where large files are remembered."""
    return Path(os.environ["MDNBENCH_HOME"]) / "digests" / "files.json"


def test_content_and_code_of_a_file(workspace: Path) -> None:
    """A Python file has two digests, any other file one."""
    (workspace / "a.py").write_bytes(b"x = 1 # one")
    (workspace / "a.txt").write_bytes(b"x = 1 # one")
    sha = hashlib.sha256(b"x = 1 # one").hexdigest()
    assert Digests().of(workspace / "a.py") == (sha, syntax_digest(b"x = 1"))
    assert Digests().of(workspace / "a.txt") == (sha, sha)
    with pytest.raises(FileNotFoundError):
        Digests().of(workspace / "none")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
@pytest.mark.timeout(20)
def test_what_is_no_file_has_no_digest(workspace: Path) -> None:
    """A stranger's manifest may name a pipe that nobody writes to, or a device that never ends."""
    pipe = workspace / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), workspace):
        with pytest.raises(OSError, match=r"is no file|directory"):
            Digests().content(path)
    used = [UsedFile("file", str(path), "0" * 64, "0" * 64) for path in (pipe, Path("/dev/zero"))]
    assert changed(used, None, Digests()) == [str(pipe), "/dev/zero"]


def test_a_file_that_changes_within_one_tick_is_read_again(workspace: Path) -> None:
    """A young file may change without another time stamp: one object reads it each time."""
    path, digests = workspace / "a.txt", Digests()
    for number in range(200):
        path.write_bytes(b"%03d" % number)
        os.utime(path, ns=(10**18, 10**18))
        assert digests.content(path) == hashlib.sha256(b"%03d" % number).hexdigest()


def test_a_large_file_is_trusted_once_it_is_old_enough_and_until_it_changes(workspace: Path) -> None:
    """Across objects; that the cache is what answers shows a false digest that was put into it."""
    path = workspace / "weights.bin"
    path.write_bytes(b"a" * (code.LARGE + 1))
    true = hashlib.sha256(path.read_bytes()).hexdigest()
    assert Digests().content(path) == true
    assert not cache().exists(), "it was too young to be trusted"
    settled(path)
    assert Digests().content(path) == true
    known = json.loads(cache().read_text(encoding="utf-8"))
    assert list(known) == [str(path)]
    cache().write_text(json.dumps({str(path): known[str(path)].replace(true, "0" * 64)}), encoding="utf-8")
    assert Digests().content(path) == "0" * 64, "the cache must have been asked"
    forge(path, b"b")  # same size, same mtime, same inode: the ctime tells
    assert Digests().content(path) == hashlib.sha256(path.read_bytes()).hexdigest() != true


def test_a_small_file_is_read_again_by_a_new_object(workspace: Path) -> None:
    """However old it is, nothing of it is kept."""
    path = settled(workspace / "a.txt", b"one")
    Digests().of(path)
    assert not cache().exists()


@pytest.mark.parametrize("damage", ["{", "[]", '{"a": 1}', "", "\x00"])
def test_a_damaged_cache_is_made_anew(workspace: Path, damage: str) -> None:
    """Ignored, and written again."""
    path = settled(workspace / "weights.bin", b"a" * (code.LARGE + 1))
    cache().parent.mkdir(parents=True)
    cache().write_text(damage, encoding="utf-8")
    assert Digests().content(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(json.loads(cache().read_text(encoding="utf-8"))) == [str(path)]


def test_a_home_that_cannot_be_written_is_no_error(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is in its place: root may write into any folder."""
    (workspace / "taken").write_bytes(b"")
    monkeypatch.setenv("MDNBENCH_HOME", str(workspace / "taken"))
    path = settled(workspace / "weights.bin", b"a" * (code.LARGE + 1))
    (workspace / "a.py").write_bytes(b"x = 1")
    digests = Digests()
    assert digests.content(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert digests.of(workspace / "a.py")[1] == syntax_digest(b"x = 1")
    digests.save()


def test_the_cache_does_not_grow_without_bound(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest entries stay."""
    monkeypatch.setattr(code, "KEPT", 5)
    for number in range(8):
        (workspace / "a.py").write_text(f"x = {number}", encoding="utf-8")
        digests = Digests()
        digests.of(workspace / "a.py")
        digests.save()
    kept = json.loads(next(cache().parent.glob("syntax-*.json")).read_text(encoding="utf-8"))
    assert list(kept) == [hashlib.sha256(f"x = {number}".encode()).hexdigest() for number in range(3, 8)]


def test_processes_that_save_at_once_do_no_harm(workspace: Path) -> None:
    """The file is whole at any time, and each process has the right digests."""
    script = """
import sys
from pathlib import Path
from mdnbench.registry.code import Digests
from mdnbench.registry.syntax_digest import syntax_digest
for number in range(40):
    path = Path(f"{sys.argv[1]}-{number}.py")
    path.write_text(f"x = {number}")
    digests = Digests()
    assert digests.of(path)[1] == syntax_digest(path.read_bytes())
    digests.save()
"""
    running = [subprocess.Popen([sys.executable, "-c", script, str(each)]) for each in range(4)]
    reads = 0
    while any(process.poll() is None for process in running):
        for path in cache().parent.glob("syntax-*.json"):
            json.loads(path.read_text(encoding="utf-8"))
            reads += 1
        time.sleep(0.005)
    assert [process.returncode for process in running] == [0] * 4
    assert reads
    assert not list(cache().parent.glob("*.part"))


def used(path: Path, root: Root, name: str) -> UsedFile:
    """A file as it is now."""
    return UsedFile(root, name, *Digests().of(path))


def test_changed_names_what_is_other_code_now(workspace: Path) -> None:
    """Edits of layout change nothing; a file that is gone, new or other code is named, of whatever root it is."""
    for name in ("same.py", "layout.py", "edited.py", "gone.py", "data.bin", "far.py"):
        (workspace / name).write_text("x = 1\n", encoding="utf-8")
    files = [
        used(workspace / name, "plugin", name) for name in ("same.py", "layout.py", "edited.py", "gone.py", "data.bin")
    ]
    files += [
        used(workspace / "far.py", "file", str(workspace / "far.py")),
        used(CORE / "errors.py", "mdnbench", "errors.py"),
    ]
    files += [UsedFile("plugin", name, ABSENT, ABSENT) for name in ("still.yaml", "new.yaml")]
    entry = package_entry("numpy")
    assert entry
    files += [entry, UsedFile("package", "pluggy", "0.1+00", "0.1+00"), UsedFile("package", "none-such", "1", "1")]
    (workspace / "layout.py").write_text("x = (1)  # one\n", encoding="utf-8")
    (workspace / "data.bin").write_text("x = (1)  # one\n", encoding="utf-8")
    (workspace / "edited.py").write_text("x = 2\n", encoding="utf-8")
    (workspace / "far.py").write_text("x = 2\n", encoding="utf-8")
    (workspace / "gone.py").unlink()
    (workspace / "new.yaml").write_text("", encoding="utf-8")
    found = changed(files, workspace, Digests())
    assert found == ["edited.py", "gone.py", "data.bin", str(workspace / "far.py"), "new.yaml", "pluggy", "none-such"]
    assert "same.py" in changed(files, None, Digests()), "without a root nothing below it can be found"
    files[6] = UsedFile("mdnbench", "errors.py", "0", "0")
    assert "errors.py" in changed(files, workspace, Digests())


def test_files_are_in_order_and_hash(workspace: Path) -> None:
    """Manifests are sorted, and compared."""
    one, two = UsedFile("file", "a", "1", "1"), UsedFile("plugin", "a", "0", "0")
    assert sorted([two, one]) == [one, two]
    assert len({one, two, UsedFile("file", "a", "1", "1")}) == 2
