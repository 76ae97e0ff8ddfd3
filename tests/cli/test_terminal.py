"""The terminal: the Tab key, colours and widths."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from mdnbench.api import catalogue
from mdnbench.cli import progress

HEAVY = ("torch", "numpy", "pandas", "scipy", "skimage", "vl_convert", "PIL.Image")


def complete(line: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What bash is given for the last word of a line, by the program itself."""
    words = line.split()
    position = len(words) - (0 if line.endswith(" ") else 1)
    asked = {"_MDNBENCH_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(position)}
    return subprocess.run(
        [sys.executable, *options, "-m", "mdnbench"],
        capture_output=True, encoding="utf-8", check=False, env={**os.environ, **asked, **variables},
    )  # fmt: skip


def offered(line: str, **variables: str) -> list[str]:
    """The completions of a line, without a word on stderr."""
    done = complete(line, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_names_are_completed(finished: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods in a list by commas, noises, data sets and runs, each where it is asked for."""
    monkeypatch.chdir(finished.store.path.parents[1])
    assert offered("mdnbench run --methods bm") == ["bm3d"]
    assert offered("mdnbench run --methods nlm,medi") == ["nlm,median"]
    assert "median,median" not in offered("mdnbench run --methods median,")
    assert offered("mdnbench run --noise sal") == ["salt-pepper"]
    assert offered("mdnbench plan --dataset sk") == ["sk12"]
    assert offered("mdnbench compare ") == ["done"]
    assert offered("mdnbench describe masked-p") == ["masked-paper"]


@pytest.mark.usefixtures("workspace")
def test_recipes_and_weights_are_those_of_the_method() -> None:
    """Each with what `weights list` says; a word that is no learned method has none."""
    recipes, names = offered("mdnbench train dncnn --recipe "), offered("mdnbench weights export dncnn ")
    assert "best" in recipes
    assert "gaussian" in names
    assert set(names) == {each.name for each in catalogue.weights("dncnn", [])}
    assert offered("mdnbench train unet[size=large] --start gaussian-") == ["gaussian-large"]
    assert offered("mdnbench train median --recipe ") == offered("mdnbench weights export nothing ") == []


@pytest.mark.parametrize(
    ("line", "kind"),
    [("list", "kinds"), ("train", "learned"), ("data fetch", "datasets"), ("report x --to", "reporters")],
)
def test_every_name_of_a_kind_is_offered(line: str, kind: str) -> None:
    """Before the first letter all names of the kind are there, and no other."""
    assert sorted(offered(f"mdnbench {line} ")) == sorted(catalogue.words(kind))


def test_the_tab_key_never_fails(tmp_path: Path) -> None:
    """Plugins that break, print, warn or exit spoil nothing; neither does a name that two of them claim."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "talks.py").write_text(
        "import sys, warnings\nprint('noise')\nsys.stderr.write('x')\nwarnings.warn('w')\n"
    )
    (folder / "breaks.py").write_text("raise OSError('gone')\n")
    assert offered("mdnbench run --methods bm", MDNBENCH_PLUGINS=str(folder)) == ["bm3d"]
    (folder / "exits.py").write_text("raise SystemExit(3)\n")
    assert offered("mdnbench run --methods bm", MDNBENCH_PLUGINS=str(folder)) in ([], ["bm3d"])
    clash = "import mdnbench\n\n@mdnbench.hookimpl\ndef mdnbench_metrics():\n    return [SPEC, SPEC]\n"
    spec = "mdnbench.MetricSpec('psnr', '1', 'x', 'higher', lambda device: None)"
    (folder / "exits.py").write_text(clash.replace("SPEC", spec))
    assert offered("mdnbench run --methods bm", MDNBENCH_PLUGINS=str(folder)) == []
    assert offered("mdnbench compare ", MDNBENCH_HOME=str(tmp_path / "nowhere")) == []


def test_the_tab_key_imports_nothing_heavy(finished: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion is quick because names cost nothing."""
    monkeypatch.chdir(finished.store.path.parents[1])
    for line in ("mdnbench run --methods ", "mdnbench compare "):
        imported = complete(line, "-X", "importtime").stderr
        assert "mdnbench.cli.completion" in imported
        assert not set(re.findall(r"^import time:.*\| +(\S+)$", imported, re.MULTILINE)) & set(HEAVY)


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("command", [("list",), ("describe", "bm3d"), ("run", "--help"), ("compare", "done")])
def test_tables_keep_to_the_width(
    mdnbench: Callable[..., Any], finished: Any, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], width: int
) -> None:
    """No line of a table is longer than the terminal is wide, and room is used where there is some."""
    monkeypatch.chdir(finished.store.path.parents[1])
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERMINAL_WIDTH", str(width))
    said = mdnbench(*command)
    prose = re.compile(r"^\S.* \S+[.:]$")  # a sentence is broken by the terminal, so that a program gets it whole
    lines = [line for line in said.out.splitlines() if not (command[0] == "compare" and prose.match(line))]
    assert len(lines) > 10
    assert [line for line in lines if cell_len(line) > width] == []
    if command == ("list",):
        longest = max(map(len, (each.summary for each in catalogue.listing("methods", []).methods or ())))
        assert max(map(cell_len, lines)) > min(width, longest) * 0.8


TERMINAL = """
import os, pty, sys
def read(fd):
    data = os.read(fd, 4096)
    return data
sys.exit(os.waitstatus_to_exitcode(pty.spawn([sys.executable, "-m", "mdnbench", *sys.argv[1:]], read)))
"""


def on_terminal(*arguments: str, code: int = 1, **variables: str) -> str:
    """What a command that ends with this code prints where it believes that somebody looks."""
    pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    done = subprocess.run(
        [sys.executable, "-c", TERMINAL, *arguments], capture_output=True, encoding="utf-8", check=False,
        env=environment | {"TERM": "xterm-256color", "COLUMNS": "100"} | variables, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_there_is_colour_only_where_somebody_looks(finished: Any, monkeypatch: pytest.MonkeyPatch, cli: Any) -> None:
    """A regression is red on a terminal; a file, a program, and whoever says NO_COLOR get no colour."""
    monkeypatch.chdir(finished.store.path.parents[1])
    monkeypatch.delenv("NO_COLOR")
    command = ("check", "done", "--baseline", "base")
    assert cli(*command, "--update", TERM="xterm-256color").returncode == 0
    with Path("base.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    with Path("base.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows(line | {"psnr": str(float(line["psnr"]) + 1)} for line in lines)
    colour = re.compile(r"\x1b\[[\d;]*(?:3[0-7]|9[0-7]|38;[25])[\d;]*m")
    assert colour.search(on_terminal(*command))
    assert not colour.search(on_terminal(*command, NO_COLOR="1"))
    assert "\x1b" not in cli(*command, TERM="xterm-256color").stdout
    assert "\x1b" not in cli("list", TERM="xterm-256color").stdout


def test_bars_show_brackets_as_they_are(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A phase's name is text, not markup: options stand in brackets, and nothing in them is obeyed."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    phases = ("training unet[size=large]", "checking [/red] x", "testing \x1b[2J")
    with progress.listener() as listener:
        for phase in phases:
            listener.begin(phase, 100)
            listener.progress(phase, 10)
    shown = capsys.readouterr().err
    assert "training unet[size=large]" in shown
    assert "checking [/red] x" in shown
    assert "testing \\x1b[2J" in shown


SLOW = """
    import time
    def write(results, folder):
        path = folder / "began"
        path.write_text("")
        time.sleep(SECONDS)
        return path

    @mdnbench.hookimpl
    def mdnbench_reporters():
        return [mdnbench.ReporterSpec("slow", "takes its time", write)]
"""


@pytest.mark.parametrize(("seconds", "shown"), [(0.0, False), (2.5, True)])
def test_who_waits_sees_what_for(
    finished: Any, plugin: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, seconds: float, shown: bool
) -> None:
    """After a second, what is going on and for how long; before that, and where nobody looks, nothing flickers."""
    path = plugin(SLOW.replace("SECONDS", str(seconds)))
    monkeypatch.chdir(finished.store.path.parents[1])
    command = ("report", "done", "--to", "slow", "--plugin", str(path))
    seen = on_terminal(*command, code=0)
    assert bool(re.search(r"writing slow.*0:00:0[12]", seen)) == shown
    assert "began" in seen.splitlines()[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows delivers Ctrl-C to whole consoles")
def test_ctrl_c_ends_a_short_command_in_one_line(
    finished: Any, plugin: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a traceback, and with the code that shells expect."""
    path = plugin(SLOW.replace("SECONDS", "60"))
    monkeypatch.chdir(finished.store.path.parents[1])
    command = [sys.executable, "-m", "mdnbench", "report", "done", "--to", "slow", "--plugin", str(path)]
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # what the command inherits: a shell may ignore it
    try:
        process = subprocess.Popen([*command, "--out", str(tmp_path)], stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, ours)
    with process:
        while not (tmp_path / "began").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, len(said.splitlines())) == (130, 1), said


def test_no_error_is_taken_for_a_person_who_gave_up(
    finished: Any, plugin: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, cli: Any
) -> None:
    """Typer says "Aborted!" of an EOFError, and exits with 1, which is a regression: it is an error like others."""
    path = plugin(SLOW.replace("time.sleep(SECONDS)", "raise EOFError('no more')"))
    monkeypatch.chdir(finished.store.path.parents[1])
    done = cli("report", "done", "--to", "slow", "--plugin", path)
    assert done.returncode == 3
    assert "EOFError: no more" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("mdnbench: this is an error in mdnbench or in a plugin")


def test_every_command_shows_an_example(mdnbench: Callable[..., Any]) -> None:
    """Help ends no command without a line that can be copied; groups name their commands."""
    import typer

    from mdnbench.cli.app import app

    def leaves(node: Any, path: tuple[str, ...] = ()) -> Any:
        children = getattr(node, "commands", {})
        yield from [(path, node)] if not children else ()
        for name, child in children.items():
            yield from leaves(child, (*path, name))

    lacking = [
        " ".join(path) for path, node in leaves(typer.main.get_command(app())) if "Example: mdnbench" not in node.help
    ]
    assert lacking == []
    assert "Example: mdnbench run" in mdnbench("--help").out
