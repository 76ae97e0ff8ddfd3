"""Accesses to files: reading, writing and updating, by Python, C code and children, each by a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Tell: TypeAlias = Callable[..., Any]
Write: TypeAlias = Callable[..., Path]
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows what C code opens")


def test_files_below_the_root_count_once_and_as_they_were_first(repo: Path, tell: Tell, write: Write) -> None:
    """np.load, a text, a path relative to where the process was, and a file that another process edits meanwhile."""
    write(repo / "a.txt", "one")
    write(repo / "sub/b.txt")
    found = tell("""
        import numpy
        Path("repo/a.txt").read_text(); os.chdir("repo/sub"); open(b"b.txt").close(); os.chdir("../..")
        os.open("repo/a.txt", os.O_RDONLY)
        first = seen("plugin")
        subprocess.run([sys.executable, "-c", "open('repo/a.txt', 'a').write('x')"], start_new_session=True)
        open("repo/a.txt").close()
        print(json.dumps([first, seen("plugin")]))
    """)
    assert list(found[0]) == ["plugin a.txt", "plugin sub/b.txt"]
    assert found[1].get("plugin sub/b.txt") == found[0]["plugin sub/b.txt"]


def test_np_load_counts(repo: Path, tell: Tell) -> None:
    """The usual way to weights."""
    import numpy as np

    np.save(repo / "weights.npy", np.zeros(3))
    np.savez(repo / "more.npz", x=np.zeros(3))
    found = tell(
        "import numpy; numpy.load('repo/weights.npy'); numpy.load('repo/more.npz')['x']; "
        "print(json.dumps(list(seen('plugin'))))"
    )
    assert found == ["plugin more.npz", "plugin weights.npy"]


@pytest.mark.parametrize(
    "writing",
    [
        "open('repo/f', 'w').write('x')",
        "open('repo/f', 'ab').write(b'x')",
        "os.close(os.open('repo/f', os.O_WRONLY | os.O_CREAT))",
        "open('repo/g', 'w').close(); os.replace('repo/g', 'repo/f')",
        "open('repo/f', 'r+').write('y')",
        "os.truncate('repo/f', 0)",
        "open('repo/f').read(); open('repo/f', 'w').write('x')",
        "open('repo/f').read(); usage.files(); open('repo/f', 'w').write('x')",
    ],
)
def test_what_the_process_writes_does_not_count(repo: Path, writing: str, tell: Tell, write: Write) -> None:
    """By any way of writing, before it is read or after."""
    write(repo / "f", "old")
    write(repo / "read.txt")
    found = tell(
        f"{writing}; open('repo/f').read(); open('repo/read.txt').read(); print(json.dumps(list(seen('plugin'))))"
    )
    assert found == ["plugin read.txt"]


def test_folders_that_the_process_makes_do_not_count_and_those_that_were_there_do(
    repo: Path, tell: Tell, write: Write
) -> None:
    """A download into a new folder; makedirs of a folder that exists already makes nothing."""
    write(repo / "there/f.txt")
    found = tell("""
        os.makedirs("repo/there", exist_ok=True); os.makedirs("repo/new/deep")
        subprocess.run([sys.executable, "-c", "open('repo/new/deep/f', 'w').write('x')"])
        os.mkdir("repo/tmp"); open("repo/tmp/g", "w").close(); os.rename("repo/tmp", "repo/moved")
        [open(f"repo/{name}").read() for name in ("there/f.txt", "new/deep/f", "moved/g")]
        print(json.dumps(list(seen("plugin"))))
    """)
    assert found == ["plugin there/f.txt"]


def test_a_file_opened_for_update_counts_until_it_changes(repo: Path, tell: Tell) -> None:
    """np.memmap opens for update unless it is asked not to."""
    import numpy as np

    np.zeros(4096, "u1").tofile(repo / "w.bin")
    found = tell("""
        import numpy
        array = numpy.memmap("repo/w.bin", "u1"); first = list(seen("plugin"))
        array[0] = 1; array.flush()
        print(json.dumps([first, list(seen("plugin"))]))
    """)
    assert found == [["plugin w.bin"], []]


def test_a_file_that_is_missed_counts_as_absent(repo: Path, tell: Tell) -> None:
    """Until the process makes it; what the import system looks for does not count, nor what is missed elsewhere."""
    found = tell("""
        for name in ("repo/none.yaml", "repo/none.py", "repo/cache.npy", "none.yaml"):
            try: open(name)
            except OSError: pass
        try: import not_there
        except ImportError: pass
        open("repo/cache.npy", "w").close()
        print(json.dumps(seen("plugin")))
    """)
    assert found == {"plugin none.yaml": "absent"}


@LINUX
@pytest.mark.parametrize(
    "reading", ["cv2.imread('repo/x.png')", "subprocess.run(['cat', 'repo/x.png'], capture_output=True)"]
)
def test_files_that_c_code_and_programs_open_count(repo: Path, reading: str, tell: Tell) -> None:
    """Python sees neither of them; what C code writes does not count."""
    cv2 = pytest.importorskip("cv2")
    import numpy as np

    cv2.imwrite(str(repo / "x.png"), np.zeros((4, 4), "u1"))
    found = tell(
        f"""
        {reading}
        import numpy; cv2.imwrite("repo/y.png", numpy.zeros((4, 4), "u1")); cv2.imread("repo/y.png")
        print(json.dumps(list(seen("plugin"))))
    """,
        before="import cv2",
    )
    assert found == ["plugin x.png"]


@LINUX
def test_another_process_s_opening_does_not_count(repo: Path, tell: Tell, write: Write) -> None:
    """Neither for the files that count nor for what was opened."""
    write(repo / "x")
    write(repo.parent / "data/y")
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time\nwhile True: open('repo/x').read(), open('data/y').read(), time.sleep(0.01)",
        ]
    )
    try:
        script = "time.sleep(0.3); print(json.dumps([list(seen('plugin')), list(map(str, usage.opened()))]))"
        assert tell(script) == [[], []]
    finally:
        process.kill()
        process.wait()


@FORKS
def test_what_forked_children_import_and_open_counts(repo: Path, tell: Tell, write: Write) -> None:
    """A child, its child, and the workers of a pool: modules, packages, files, and what they write."""
    for name in ("helper.py", "deep.py", "a.txt", "b.txt", "c.txt"):
        write(repo / name, "")
    write(repo / "written.txt", "")
    write(
        repo / "plugin.py",
        """
        import os
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        def work(number):
            import tabulate
            open("repo/b.txt").close()
            return number
        def fork(function):
            child = os.fork()
            if child == 0:
                try: function()
                finally: os._exit(0)
            os.waitpid(child, 0)
        def first():
            import helper
            open("repo/a.txt").close()
            open("repo/written.txt", "w").close()
            fork(second)
        def second():
            import deep
            open("repo/c.txt").close()
    """,
    )
    found = tell("""
        sys.path.insert(0, "repo"); import plugin
        plugin.fork(plugin.first)
        with plugin.ProcessPoolExecutor(1, plugin.get_context("fork")) as pool: list(pool.map(plugin.work, range(3)))
        open("repo/written.txt").close()
        print(json.dumps([[name for name in seen() if not name.startswith("mdnbench")], "helper" in sys.modules]))
    """)
    names = ("a.txt", "b.txt", "c.txt", "deep.py", "helper.py", "plugin.py", "plugin/__init__.py")
    counted = [f"plugin {name}" for name in names]
    assert found == [["package tabulate", "package wcwidth", *counted], False]


@FORKS
def test_children_count_without_any_watch_too(repo: Path, tell: Tell, write: Write) -> None:
    """Through the log alone: outside the root nothing is watched."""
    write(repo.parent / "other/far.py")
    found = tell("""
        sys.path.insert(0, "other")
        child = os.fork()
        if child == 0:
            os.chdir("/"); sys.path[0] = sys.argv[0]; os._exit(0)
        os.waitpid(child, 0); none = list(seen("file"))
        child = os.fork()
        if child == 0:
            import far
            os._exit(0)
        os.waitpid(child, 0)
        print(json.dumps([none, list(seen("file"))]))
    """)
    assert found == [[], [f"file {repo.parent / 'other/far.py'}"]]


def test_a_plugin_that_closes_descriptors_breaks_nothing(repo: Path, tell: Tell, write: Write) -> None:
    """What takes their numbers afterwards is neither read nor written."""
    write(repo / "x", "text")
    found = tell("""
        os.closerange(3, 256)
        files = [open("repo/x") for _ in range(100)]
        child = os.fork() if hasattr(os, "fork") else 1
        if child == 0:
            open("repo/pyproject.toml").close(); os._exit(0)
        os.waitpid(child, 0) if hasattr(os, "fork") else None
        listed = list(seen("plugin")); usage.close()
        print(json.dumps([listed, {file.read() for file in files} == {"text"}, Path("repo/x").read_text()]))
    """)
    assert found == [["plugin x"], True, "text"]


def test_opened_tells_real_paths_of_each_time(repo: Path, tell: Tell, write: Write) -> None:
    """Wherever they are; our own reading of digests is not the plugin's; after `close` nothing is noted."""
    data = write(repo.parent / "data/image.png")
    write(repo / "inner.png")
    (repo / "link.png").symlink_to(data)
    found = tell("""
        def opened(): return [str(path) for path in usage.opened()]
        import colorsys, yaml
        open("repo/link.png").close(); open("repo/inner.png").close(); open("new.txt", "w").close()
        first = opened(); usage.files(); second = opened(); open("data/image.png").close(); third = opened()
        usage.close(); open("data/image.png").close()
        print(json.dumps([first, second, third, opened()]))
    """)
    assert found == [[str(data), str(repo / "inner.png")], [], [str(data)], []]


@LINUX
def test_data_that_c_code_or_a_program_opens_is_told(repo: Path, tell: Tell, write: Write) -> None:
    """A watched folder outside the root: told as opened, but it does not count as code."""
    data = write(repo.parent / "data/image.png")
    found = tell("""
        subprocess.run(["cat", "data/image.png"])
        print(json.dumps([list(map(str, usage.opened())), list(seen("plugin")), list(seen("file"))]))
    """)
    assert found == [[str(data)], [], []]


def test_the_hook_is_quick_and_lets_odd_things_pass(repo: Path, tell: Tell) -> None:
    """Descriptors, paths that are none, events of the plugin's own; and what an opening costs."""
    found = tell("""
        for args in ((), (1,), (None, None, None), (b"\\xff", 3, "x"), ("", "r", 0), ("a\\0b", "r", 0)):
            for event in ("open", "import", "os.mkdir", "os.rename", "ctypes.dlopen", "sqlite3.connect", "os.truncate"):
                sys.audit(event, *args)
        os.close(os.open(".", os.O_RDONLY)); usage.files(); usage.opened()
        def cost(event, *args, times=20000):
            start = time.thread_time()
            for _ in range(times): sys.audit(event, *args)
            return (time.thread_time() - start) / times * 1e6
        usage.files()
        opening, other = min(cost("open", "/x", "r", 0) for _ in range(3)), min(cost("nothing", 1) for _ in range(3))
        usage.files()
        start = time.thread_time()
        for _ in range(1000): usage.files()
        print(json.dumps([opening, other, (time.thread_time() - start)]))
    """)
    assert found[0] < 10, "microseconds an opening"
    assert found[1] < 3, "microseconds any other event"
    assert found[2] < 0.1, "milliseconds `files` with nothing new"
