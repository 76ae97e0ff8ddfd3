"""`mdnbench plugin new` and `check`, as a person calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

ZOO = Path(__file__).resolve().parents[1] / "testing" / "rules" / "zoo"


def test_new_says_what_it_wrote_and_what_comes_next(workspace: Path, cli: Callable[..., Any]) -> None:
    """Paths on stdout, the next command on stderr; a name that is there already ends with 2."""
    done = cli("plugin", "new", "mine", "--kind", "noise")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["mine.py", "test_mine.py"]
    assert "mdnbench plugin check mine.py" in done.stderr
    done = cli("plugin", "new", "mine")
    assert done.returncode == 2
    assert "exists already" in done.stderr
    done = cli("plugin", "new", "yours", "--package", "--folder", "there", "--json")
    files = json.loads(done.stdout)["files"]
    assert all((workspace / name).is_file() for name in files)
    assert str(Path("there/mdnbench-yours/pyproject.toml")) in files


def test_check_ends_with_1_where_a_rule_is_broken(cli: Callable[..., Any]) -> None:
    """The table names each rule, and below it stands what was expected, what got and how to fix it."""
    done = cli("plugin", "check", ZOO / "metric_direction.py", timeout=300)
    assert done.returncode == 1, done.stderr
    assert "metric metric-direction: metric-direction is broken\nexpected: " in done.stdout
    assert "7 rules: 3 kept, 1 broken, 3 skipped" in done.stdout


def test_check_ends_with_5_where_nothing_could_be_looked_at(
    plugin: Callable[..., Path], cli: Callable[..., Any]
) -> None:
    """A reporter that cannot work here breaks nothing, and has shown nothing."""
    path = plugin("""
        @mdnbench.hookimpl
        def mdnbench_reporters():
            def write(results, folder):
                raise mdnbench.Unavailable("there is no paper in the printer")
            return [mdnbench.ReporterSpec("printed", "on paper", write)]
    """)
    done = cli("plugin", "check", path, "--json", timeout=300)
    assert done.returncode == 5, done.stderr
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["state"] == "skipped"
    assert finding["got"] == "there is no paper in the printer"


def test_check_ends_with_2_for_what_is_not_there(cli: Callable[..., Any]) -> None:
    """An unknown name is told with the likeliest meaning."""
    done = cli("plugin", "check", "medain")
    assert done.returncode == 2
    assert "Did you mean 'median'?" in done.stderr
