"""Trials: what a plugin does to its process while it is imported, and how long its result counts."""

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

from mdnbench import registry
from mdnbench.errors import BadPlugin
from mdnbench.registry import importer

Plugin = Callable[..., Path]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]
Tried = Callable[[Path], Any]


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


SLOW = ("hangs", "stops")  # they wait as "hangs in C" does


@pytest.mark.skipif(sys.platform != "linux", reason="signals, and C's library by this name")
@pytest.mark.parametrize("how", [pytest.param(each, marks=pytest.mark.full) if each in SLOW else each for each in ENDS])
def test_fault_45_what_a_plugin_does_at_import(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch, how: str, method: str
) -> None:
    """The others load; it is listed with its reason, and an error if it was given; nothing of it stays."""
    text, says = ENDS[how]
    monkeypatch.setenv("MDNBENCH_TRIAL_SECONDS", "4")
    path = plugin(f"{text}\n{method}", "bad")
    plugin(method.replace('"own"', '"good"'), "good")
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    known = registry.load()
    assert "good" in known.denoisers
    (broken,) = known.broken
    assert broken.source.path == path
    assert says in broken.reason
    with pytest.raises(BadPlugin) as error:
        registry.load([path])
    assert f"the plugin {path} is broken: " in str(error.value)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_plugin_starts_ends_with_its_trial(plugin: Plugin, tmp_path: Path, method: str, tried: Tried) -> None:
    """A child process that a plugin leaves behind at import is ended; the plugin itself is fine."""
    note = tmp_path / "pid"
    start = f"import subprocess; p = subprocess.Popen(['sleep', '1000']); open({str(note)!r}, 'w').write(str(p.pid))"
    assert tried(plugin(f"{start}\n{method}")).error == ""
    assert gone(int(note.read_text(encoding="utf-8")))


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to end a process with its parent")
def test_a_trial_ends_with_its_parent(
    plugin: Plugin, tmp_path: Path, begin: Callable[..., Any], wait: Any, method: str
) -> None:
    """`kill -9` of the command leaves no process that hangs in an import, even one that has stopped itself."""
    note = tmp_path / "pid"
    stop = (
        f"import os, signal; open({str(note)!r}, 'w').write(f'{{os.getpid()}} '); os.kill(os.getpid(), signal.SIGSTOP)"
    )
    command = begin("list", "--plugin", plugin(f"{stop}\n{method}"))
    wait(lambda: note.exists() and note.read_text(encoding="utf-8").endswith(" "))
    os.kill(command.pid, signal.SIGKILL)
    assert gone(int(note.read_text(encoding="utf-8")))


def test_a_plugin_that_forks_at_import_is_answered_once(plugin: Plugin, method: str, tried: Tried) -> None:
    """The copy of the process that goes on as if it were the plugin does not answer in its place."""
    assert tried(plugin(f"import os\nif os.fork() == 0:\n    X = 1 / 0\n{method}")).error == ""


def test_fault_45_the_command_line(plugin: Plugin, cli: Cli, method: str) -> None:
    """`--json` is clean, the plugin is named with its reason, and a command that needs it fails."""
    path = plugin(f"import os; print('HELLO'); os.write(1, b'RAW')\n{method}", "bad")
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


def test_a_plugin_that_loads_the_registry_is_no_endless_chain(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """A plugin in the folder that asks for all plugins at import, itself or through the command line."""
    text = (
        "from mdnbench import registry; registry.load()\n"
        "import subprocess, sys; subprocess.run([sys.executable, '-m', 'mdnbench', 'list'], stdout=2, timeout=20)\n"
    )
    path = plugin(
        f"import os\nif 'ONCE' not in os.environ:\n    os.environ['ONCE'] = '1'\n    exec({text!r})\n{method}"
    )
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    assert "own" in registry.load().denoisers


def test_a_trial_of_a_small_plugin_is_quick(plugin: Plugin, method: str) -> None:
    """The best of three takes less than half a second of processor time, and imports no NumPy."""
    script = (
        "import os, sys; from pathlib import Path; from mdnbench.registry import discovery, trial\n"
        "source = discovery.all_of([Path(sys.argv[1])])[-1]\n"
        "assert trial._try_all([source])[source].error == ''\n"
        "used = os.times(); print(used.children_user + used.children_system)\n"
    )
    path = plugin(f"import sys\nassert 'numpy' not in sys.modules\n{method}")
    seconds = [
        float(subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(seconds) < 0.5


# ---- What is trusted -------------------------------------------------------------------------------------------------


def counting(plugin: Plugin, tmp_path: Path, method: str) -> tuple[Path, Callable[[], int]]:
    """A plugin with a helper, and how often it was imported in trials so far."""
    plugin("LEVEL = 1", "helper")
    note = tmp_path / "imports"
    note.write_text("", encoding="utf-8")
    text = f"import os, helper\nif 'MDNBENCH_TRIAL' in os.environ: open({str(note)!r}, 'a').write('x')\n{method}"
    return plugin(text), lambda: len(note.read_text(encoding="utf-8"))


def test_fault_45_code_is_trusted_until_it_changes(plugin: Plugin, tmp_path: Path, method: str) -> None:
    """One trial for a source; another one when a module that it imports changes, and none for a comment."""
    path, trials = counting(plugin, tmp_path, method)
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
def test_a_damaged_result_is_a_new_trial(plugin: Plugin, tmp_path: Path, damage: str, method: str) -> None:
    """Whatever stands in the file, the source is tried again and the result is whole afterwards."""
    path, trials = counting(plugin, tmp_path, method)
    registry.load([path])
    (kept,) = (tmp_path / "home" / "trials").glob("*.json")
    kept.write_text(damage, encoding="utf-8")
    registry.load([path])
    registry.load([path])
    assert trials() == 2


@pytest.mark.parametrize("key", ["python", "mdnbench", "layout"])
def test_another_version_is_a_new_trial(plugin: Plugin, tmp_path: Path, key: str, method: str) -> None:
    """A result of another Python or another mdnbench does not count."""
    path, trials = counting(plugin, tmp_path, method)
    registry.load([path])
    (kept,) = (tmp_path / "home" / "trials").glob("*.json")
    content = json.loads(kept.read_text(encoding="utf-8"))
    content["under"][key] = "other"
    kept.write_text(json.dumps(content), encoding="utf-8")
    registry.load([path])
    assert trials() == 2


def test_a_home_that_cannot_be_written_is_no_obstacle(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Each load is a trial then."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    importer._temporary_stubs.cache_clear()
    monkeypatch.setenv("MDNBENCH_HOME", str(tmp_path / "file" / "home"))
    path, trials = counting(plugin, tmp_path, method)
    for _ in range(2):
        assert "own" in registry.load([path]).denoisers
    assert trials() == 2
    left = set((tmp_path / "scratch").iterdir())
    assert left == set(map(Path, [importer._temporary_stubs()]))  # which goes with this process


def test_several_are_tried_at_once(plugin: Plugin, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
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
    paths = [plugin(wait + method.replace('"own"', f'"{name}"'), name) for name in ("one", "two")]
    monkeypatch.setenv("MDNBENCH_TRIAL_SECONDS", "30")
    assert {"one", "two"} <= set(registry.load(paths).denoisers)
