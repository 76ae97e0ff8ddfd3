"""Windows and macOS: text with its encoding said, names that every file system takes, and nothing only Linux has."""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.results import Results
from mdnbench.util.slugs import slug
from mdnbench_reports import json_facts

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for folder in ("mdnbench", "plugins", "scripts", "docs") for path in (ROOT / folder).rglob("*.py")]
OPENERS = {"open", "fdopen", "read_text", "write_text", "NamedTemporaryFile", "TextIOWrapper"}
RUNNERS = {"run", "Popen", "check_output", "check_call"}
# Modules and functions that some systems lack, and what must stand around their use.
RARE = {"resource", "fcntl", "pwd", "grp", "termios", "winreg", "msvcrt"}
RARE_OF_OS = {"fork", "setsid", "killpg", "getuid", "getpgid", "sched_getaffinity", "getloadavg", "statvfs", "mkfifo"}
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)', re.IGNORECASE)


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, with the last part of the name that is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""), node


def without_encoding(name: str, call: ast.Call) -> bool:
    """Whether a call reads or writes text in whatever encoding the machine happens to have."""
    keywords = {keyword.arg for keyword in call.keywords}
    if "encoding" in keywords:
        return False
    if name in RUNNERS:
        return bool(keywords & {"text", "universal_newlines"})
    modes = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    if name in OPENERS:
        on_path = isinstance(call.func, ast.Attribute) and not call.args  # `path.open()`, not `open(path)`
        foreign = ast.unparse(call.func).startswith(("PIL.", "Image.", "webbrowser.", "os.open"))
        return (
            not foreign and not any("b" in mode and len(mode) <= 3 for mode in modes) and (bool(call.args) or on_path)
        )
    return False


def test_the_ban_finds_what_it_bans() -> None:
    """Each way of forgetting the encoding is caught, and binary files and other people's `open` are not."""
    banned = ["open(p)", "open(p, 'w')", "p.open()", "p.read_text()", "p.write_text('x')", "run(c, text=True)"]
    allowed = ["open(p, 'rb')", "p.open('xb')", "p.read_text(encoding='utf-8')", "PIL.Image.open(p)", "run(c)"]
    for text in (*banned, *allowed):
        call = ast.parse(text).body[0].value  # type: ignore[attr-defined]
        name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id
        assert without_encoding(name, call) == (text in banned), text


def test_every_text_has_its_encoding() -> None:
    """No file and no child's output is read or written in the encoding of whoever's machine it is."""
    assert len(SOURCES) > 150
    found = [f"{path.relative_to(ROOT)}:{call.lineno}" for path in SOURCES for name, call in calls(path)
             if without_encoding(name, call)]  # fmt: skip
    assert found == []


@pytest.mark.full
def test_what_some_systems_lack_is_asked_for_first() -> None:
    """A module that is not everywhere is imported inside `try`, a function of `os` used below `hasattr`."""
    bare = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            guarded = [line for line in text.splitlines()[: getattr(node, "lineno", 1) - 1][-3:] if "try:" in line]
            bare += [f"{path.name}: {name}" for name in names if name in RARE and not guarded]
            if isinstance(node, ast.Attribute) and node.attr in RARE_OF_OS and ast.unparse(node.value) == "os":
                bare += [] if f'hasattr(os, "{node.attr}")' in text else [f"{path.name}: os.{node.attr}"]
    assert bare == []


def test_every_file_that_is_written_has_a_name_for_every_system(finished: Results, tmp_path: Path) -> None:
    """Store, kept images, run and reports: no name holds what Windows forbids, none differ by case alone."""
    base = finished.store.path.parent
    shutil.copytree(base, tmp_path / "copy")
    api.report(finished, ["html", "md", "latex", "csv", "json", "figures"], folder=tmp_path / "copy" / "written")
    names = [path.relative_to(tmp_path) for path in (tmp_path / "copy").rglob("*")]
    assert len(names) > 20
    assert [name for name in names if any(FORBIDDEN.search(part) for part in name.parts)] == []
    assert len({str(name).lower() for name in names}) == len(names)
    assert max(len(str(name)) for name in names) < 120, "long paths are cut off on Windows"


@pytest.mark.parametrize("text", ["a:b", "CON", "nul.txt", "a/b\\c", "x" * 300, "…", "trailing. ", "gaussian:sigma=50"])
def test_any_name_of_a_run_becomes_a_folder_everywhere(text: str) -> None:
    """Whatever a run is called, its folder has a name that every file system takes."""
    assert not FORBIDDEN.search(slug(text))
    assert 0 < len(slug(text)) <= 80


def test_a_run_knows_its_store_wherever_both_are(finished: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path between them has forward slashes; where there is none between two drives, the whole one stands there."""
    assert json_facts.content(finished, finished.folder)["store"] == "../../results.sqlite"

    def two_drives(*_: Any) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", two_drives)
    stored = json_facts.content(finished, finished.folder)["store"]
    assert Path(stored) == finished.store.path.resolve()
