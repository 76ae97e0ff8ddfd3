"""What C code and programs open: for real, with fanotify as the system has it, and with inotify alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mdnbench.registry.file_watch import FileWatch

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows what C code opens")
Watching = Callable[..., FileWatch]


@pytest.fixture
def watching() -> Iterator[Watching]:
    """Start a watch that ends with the test."""
    started: list[FileWatch] = []

    def start(folders: list[Path], watched: list[Path] | None = None, *, exact: bool = True) -> FileWatch:
        started.append(FileWatch(folders, watched or [], exact=exact))
        if exact and not started[-1].exact:
            pytest.skip("the system refuses fanotify here")
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def folder(workspace: Path) -> Path:
    """A folder with two files, one of them further down."""
    made = workspace / "watched"
    (made / "deep/er").mkdir(parents=True)
    (made / "a").write_bytes(b"a")
    (made / "deep/er/b").write_bytes(b"b")
    return made


def names(found: set[str], folder: Path) -> set[str]:
    """Paths as they are below a folder."""
    return {Path(path).relative_to(folder).as_posix() for path in found}


@LINUX
@pytest.mark.parametrize("exact", [True, False])
def test_opening_is_seen_once_at_any_depth(folder: Path, watching: Watching, exact: bool) -> None:
    """By this process and by a program that it starts and that has ended; a second `poll` has nothing more."""
    watch = watching([folder], exact=exact)
    assert watch.exact is exact
    assert watch.poll() == set()
    (folder / "a").read_bytes()
    assert names(watch.poll(), folder) == {"a"}
    subprocess.run(["cat", folder / "deep/er/b"], check=True, capture_output=True)
    assert names(watch.poll(), folder) == {"deep/er/b"}
    assert watch.poll() == set()


@LINUX
@pytest.mark.parametrize("exact", [True, False])
def test_c_code_is_seen_and_what_it_writes_is_told_apart(folder: Path, watching: Watching, exact: bool) -> None:
    """OpenCV opens files without Python; a memory map that only reads is an opening like any other."""
    cv2 = pytest.importorskip("cv2")
    import numpy as np

    cv2.imwrite(str(folder / "deep/image.png"), np.zeros((8, 8), "u1"))
    watch = watching([folder], exact=exact)
    assert cv2.imread(str(folder / "deep/image.png")) is not None
    np.memmap(folder / "a", "u1", mode="r")
    cv2.imwrite(str(folder / "new.png"), np.zeros((8, 8), "u1"))
    assert cv2.imread(str(folder / "new.png")) is not None
    assert names(watch.poll() - watch.written, folder) == {"deep/image.png", "a"}
    assert names(watch.written, folder) == {"new.png"}


@LINUX
@pytest.mark.parametrize("exact", [True, False])
def test_files_that_are_moved_and_folders_that_are_made_are_told(folder: Path, watching: Watching, exact: bool) -> None:
    """An atomic write opens another name than the one that is read afterwards."""
    watch = watching([folder], exact=exact)
    (folder / "part").write_bytes(b"x")
    (folder / "part").replace(folder / "whole")
    (folder / "made").mkdir()
    (folder / "whole").read_bytes()
    assert watch.poll() - watch.written == set()
    assert names(watch.written, folder) >= {"part", "whole"}
    assert names(watch.made, folder) == {"made"}


class Talker:
    """A Python process that runs each line that it gets, and answers each with a line."""

    def __init__(self, *arguments: str) -> None:
        text = "import os, subprocess, sys\nfor line in sys.stdin: exec(line); print(flush=True)"
        self.process = subprocess.Popen(
            [sys.executable, "-c", text, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def do(self, line: str) -> str:
        """Its answer to a line."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def talkers() -> Iterator[Callable[..., Talker]]:
    """Start processes that end with the test."""
    started: list[Talker] = []

    def start(*arguments: str) -> Talker:
        started.append(Talker(*arguments))
        return started[-1]

    yield start
    for each in started:
        each.end()


POLL = "print([os.path.basename(path) for path in watch.poll()], end='')"
CAT = "subprocess.run(['cat', sys.argv[1] + '/a'], stdout=subprocess.DEVNULL)"


@LINUX
def test_another_process_is_told_from_a_child(folder: Path, watching: Watching, talkers: Callable[..., Talker]) -> None:
    """One that lives and one that has ended, neither of them started by the process that watches; then its own."""
    watching([folder])  # skips if the system refuses
    watcher, other = talkers(str(folder)), talkers(str(folder))
    watcher.do("from pathlib import Path; from mdnbench.registry.file_watch import FileWatch")
    watcher.do("watch = FileWatch([Path(sys.argv[1])])")
    other.do("open(sys.argv[1] + '/a').close()")
    assert watcher.do(POLL) == "[]", "a process that lives"
    other.do(CAT)
    assert watcher.do(POLL) == "[]", "a process that has ended"
    watcher.do(CAT)
    assert watcher.do(POLL) == "['a']", "a child that has ended"
    other.do(CAT)
    assert watcher.do(POLL) == "[]", "a process that has ended, with a child before it that has ended as well"
    watcher.do("child = subprocess.Popen(['sh', '-c', 'cat ' + sys.argv[1] + '/a; echo; exec sleep 60'], stdout=-1)")
    watcher.do("child.stdout.readline()")
    assert watcher.do(POLL) == "['a']", "a child of a child, which has ended while its parent lives"
    watcher.do("child.kill(); child.wait()")


@LINUX
def test_without_privileges_this_process_is_seen(watching: Watching, talkers: Callable[..., Talker]) -> None:
    """And nothing that another one opens."""
    if os.getuid() != 0:
        pytest.skip("only root can give privileges up; without them the other tests have shown it")
    with tempfile.TemporaryDirectory() as name:  # not below pytest's folder, which others may not enter
        folder = Path(name)
        watching([folder])
        folder.chmod(0o755)
        (folder / "a").write_bytes(b"a")
        watcher, other = talkers(name), talkers(name)
        watcher.do("from pathlib import Path; from mdnbench.registry.file_watch import FileWatch")
        watcher.do("os.setgid(65534); os.setuid(65534); watch = FileWatch([Path(sys.argv[1])])")
        assert watcher.do("print(watch.exact, os.getuid(), end='')") == "True 65534"
        other.do("open(sys.argv[1] + '/a').close()")
        assert watcher.do(POLL) == "[]"
        watcher.do("open(sys.argv[1] + '/a').close()")
        assert watcher.do(POLL) == "['a']"


@LINUX
@pytest.mark.parametrize("exact", [True, False])
def test_watched_folders_are_left_alone_if_nobody_tells_who_opens(
    folder: Path, workspace: Path, watching: Watching, exact: bool
) -> None:
    """Another program's look at the data would make cells invalid."""
    data = workspace / "data"
    data.mkdir()
    (data / "image").write_bytes(b"")
    watch = watching([folder], [data], exact=exact)
    (data / "image").read_bytes()
    assert watch.poll() == ({str(data / "image")} if exact else set())


@LINUX
@pytest.mark.parametrize("exact", [True, False])
def test_more_openings_than_the_system_keeps_lose_some_and_break_nothing(
    workspace: Path, watching: Watching, exact: bool
) -> None:
    """The queue runs over; afterwards the watch goes on."""
    folder = workspace / "many"
    folder.mkdir()
    for number in range(20_000):
        os.close(os.open(folder / str(number), os.O_CREAT | os.O_WRONLY))
    watch = watching([folder], exact=exact)
    for number in range(20_000):
        os.close(os.open(folder / str(number), os.O_RDONLY))
    assert 1000 < len(watch.poll()) < 20_000
    os.close(os.open(folder / "5", os.O_RDONLY))
    assert watch.poll() == {str(folder / "5")}


@LINUX
@pytest.mark.parametrize("exact", [True, False])
def test_tools_folders_and_folders_that_come_later_are_not_watched(
    folder: Path, watching: Watching, exact: bool
) -> None:
    """Links to folders are followed, round in circles too; bytecode is seen if it is known who loads it."""
    for name in (".git", ".venv", "__pycache__"):
        (folder / name).mkdir()
        (folder / name / "x").write_bytes(b"")
    (folder / "deep/round").symlink_to(folder)
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "w").write_bytes(b"")
    (folder / "link").symlink_to(outside)
    watch = watching([folder], exact=exact)
    (folder / "late").mkdir()
    (folder / "late/x").write_bytes(b"")
    for name in (".git/x", ".venv/x", "__pycache__/x", "late/x", "link/w"):
        (folder / name).read_bytes()
    assert names(watch.poll(), folder) == ({"__pycache__/x", "link/w"} if exact else {"link/w"})


@LINUX
def test_the_watch_survives_a_fork_and_keeps_no_file_open(folder: Path, watching: Watching) -> None:
    """A child takes none of its parent's events, and what it opens is its parent's."""
    watch = watching([folder])
    child = os.fork()
    if child == 0:
        (folder / "a").read_bytes()
        os._exit(len(watch.poll()))
    assert os.waitpid(child, 0)[1] == 0
    assert names(watch.poll(), folder) == {"a"}
    held = [str(link.resolve()) for link in Path("/proc/self/fd").iterdir()]
    assert not [path for path in held if path.startswith(str(folder))]
    watch.close()
    (folder / "a").read_bytes()
    assert watch.poll() == set()


def test_a_folder_that_is_missing_is_no_error(workspace: Path, watching: Watching) -> None:
    """On no system."""
    assert watching([workspace / "none"], exact=False).poll() == set()


WATCHER = """
import subprocess, sys
from pathlib import Path
from mdnbench.registry.file_watch import FileWatch

watch = FileWatch([Path(sys.argv[1])])
print(watch.exact, flush=True)
sys.stdin.readline()
subprocess.run(["true"], check=True)
print(*sorted(Path(path).name for path in watch.poll()), flush=True)
"""


@LINUX
def test_a_log_that_others_write_and_read_is_not_ours(folder: Path) -> None:
    """A reader that has ended may have been a child, as this process has had one; another program's log is no input."""
    command = [sys.executable, "-c", WATCHER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdin is not None
        assert watcher.stdout is not None
        if watcher.stdout.readline() != "True\n":
            pytest.skip("the system refuses fanotify here")
        with (folder / "train.log").open("a") as log:
            log.write("step 1\n")
        for name in ("train.log", "a"):
            subprocess.run(["cat", folder / name], check=True, capture_output=True)
        watcher.stdin.write("\n")
        watcher.stdin.flush()
        assert watcher.stdout.readline().split() == ["a"]  # nobody wrote this one: it counts, perhaps by mistake
