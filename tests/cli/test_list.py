"""`mdnbench list` and `describe`: what there is, where it comes from, and what is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench.api.catalogue import Listing, Named
from mdnbench.cli import draw

Mdnbench = Callable[..., Any]
Plugin = Callable[..., Path]

OWN = """
@mdnbench.hookimpl
def mdnbench_denoisers():
    build = lambda options, device, weights: lambda noisy, noise: noisy.clone()
    options = (
        mdnbench.Option("strength", float, default=1.5, minimum=0, maximum=9, unit="levels", help="how much"),
        mdnbench.Option("mode", str, default="a", choices=("a", "b"), help="[bold]which[/bold]"),
    )
    return [mdnbench.DenoiserSpec("own", "7", "[red]mine[/red]", build, options=options, wants="std", channels=(1, 3),
                                  packages=("numpy",), licence="MIT", citation="Nobody, 2026")]
"""


def test_everything_is_listed_by_kind(mdnbench: Mdnbench) -> None:
    """Each kind has its heading and its names, each name its summary."""
    said = mdnbench("list")
    assert (said.code, said.err) == (0, "")
    for word in ("methods", "noises", "data sets", "metrics", "protocols", "reporters", "median", "gaussian", "sk12"):
        assert word in said.out
    found = json.loads(mdnbench("list", "--json").out)
    listed = ("methods", "noises", "datasets", "metrics", "protocols", "reporters")
    assert all(each["summary"] for kind in listed for each in found[kind])
    assert (found["schema"], found["runs"], found["broken"]) == ("mdnbench.list/1", None, [])


@pytest.mark.parametrize(
    ("kind", "name"),
    [("methods", "noisy"), ("noises", "mixed"), ("datasets", "set12"), ("metrics", "lpips"), ("reporters", "csv")],
)
def test_one_kind_is_listed_alone(mdnbench: Mdnbench, kind: str, name: str) -> None:
    """A kind by name lists that kind."""
    found = json.loads(mdnbench("list", kind, "--json").out)
    assert [key for key, rows in found.items() if rows and key != "schema"] == [kind]
    assert name in [each["name"] for each in found[kind]]


def test_an_unknown_kind_is_guessed(mdnbench: Mdnbench) -> None:
    """A misspelt kind gets one line."""
    said = mdnbench("list", "metods")
    assert "no kind is named 'metods'. Did you mean 'methods'?" in said.complaint()
    assert said.code == 2


def test_runs_are_listed(mdnbench: Mdnbench, finished: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs of this folder's store, and none where there is none."""
    assert json.loads(mdnbench("list", "runs", "--json").out)["runs"] == []
    monkeypatch.chdir(finished.store.path.parents[1])
    (run,) = json.loads(mdnbench("list", "runs", "--json").out)["runs"]
    assert run["name"] == "done"
    assert run["summary"].startswith("8 cells, 20")


def test_a_method_is_described(mdnbench: Mdnbench, plugin: Plugin) -> None:
    """Options with type, unit, range, default and help, licence, citation, and the file that it comes from."""
    path = plugin(OWN)
    found = json.loads(mdnbench("describe", "own", "--plugin", path, "--json").out)
    assert (found["kind"], found["licence"], found["citation"]) == ("method", "MIT", "Nobody, 2026")
    assert found["revision"].partition("+")[0] == "7"
    assert found["origin"] == str(path)
    assert found["options"][0] == {
        "name": "strength", "takes": "a number from 0 to 9 (levels)", "default": 1.5, "help": "how much",
    }  # fmt: skip
    assert found["options"][1]["takes"] == "one of a, b"
    shown = mdnbench("describe", "own", "--plugin", path).out
    for word in ("[red]mine[/red]", "[bold]which[/bold]", "a number from 0 to 9 (levels)", path.name):
        assert word in shown


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gaussian", ("noise", "sigma", "from 0 to 255", "the 0-255 scale", "mdnbench_noises (mdnbench")),
        ("sk12", ("dataset", "images", "12", "CC0")),
        ("psnr", ("metric", "higher", "dB")),
        ("standard", ("protocol", "unclipped", "rounded to 8 bit", "KAIR")),
        ("masked-paper", ("1 pixel of border left out",)),
        ("csv", ("reporter", "cells.csv")),
        ("bm3d", ("method", "non-commercial", "profile")),
        ("dncnn", ("method", "recipes", "weights")),
    ],
)
def test_every_kind_is_described(mdnbench: Mdnbench, name: str, words: tuple[str, ...]) -> None:
    """Whatever `list` shows can be described."""
    said = mdnbench("describe", name)
    assert said.code == 0
    for word in words:
        assert word in said.out


@pytest.mark.full
def test_everything_that_is_listed_can_be_described(mdnbench: Mdnbench) -> None:
    """No name in the list is unknown to `describe`."""
    found = json.loads(mdnbench("list", "--json").out)
    for kind in ("methods", "noises", "datasets", "metrics", "protocols", "reporters"):
        for each in found[kind]:
            name = each["name"].partition(" ")[0]
            assert json.loads(mdnbench("describe", name, "--json").out)["name"] == name


def test_an_unknown_name_is_guessed(mdnbench: Mdnbench) -> None:
    """A misspelt name of any kind gets one line with the likeliest."""
    said = mdnbench("describe", "gausian")
    assert "Did you mean 'gaussian'?" in said.complaint()
    assert said.code == 2


def test_broken_plugins_are_listed_with_their_reason(
    mdnbench: Mdnbench, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken file in the folder of plugins stands in the list; describing it says what is wrong."""
    path = plugin("raise OSError('[bold]gone[/bold]')", "lost")
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    said = mdnbench("list")
    assert said.code == 0
    assert "broken plugins" in said.out
    assert "OSError: [bold]gone[/bold]" in said.out
    described = mdnbench("describe", "lost")
    assert "OSError" in described.complaint()
    assert described.code == 2


def test_version_and_help(mdnbench: Mdnbench) -> None:
    """The version stands alone; help names every command; no command at all is help as well."""
    assert mdnbench("--version").out == "mdnbench 0.1.0\n"
    said = mdnbench("--help")
    assert said.code == 0
    for command in ("run", "plan", "list", "describe", "check", "report", "train"):
        assert f" {command} " in said.out
    assert "Usage" in mdnbench().out + mdnbench().err


def test_tables_hold_nothing_that_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Escapes and signs that are none, as in the name of a run in a damaged store, are written out."""
    monkeypatch.setenv("COLUMNS", "80")
    draw.listing(Listing(runs=(Named("\ud7fc", "\x1b[31m8 cells"),)))
    said = capsys.readouterr().out
    assert r"\ud7fc" in said
    assert r"\x1b[31m8 cells" in said
    assert all(sign.isprintable() for sign in said.replace("\n", ""))


def test_digests_stay_whole_in_a_narrow_terminal(mdnbench: Mdnbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns the noises are what gives way: a digest that is broken could not be searched for."""
    monkeypatch.setenv("COLUMNS", "80")
    listed = json.loads(mdnbench("weights", "list", "--json").out)["weights"]
    said = mdnbench("weights", "list").out
    assert max(map(len, said.splitlines())) <= 80
    assert listed
    assert all(each["sha256"][:12] in said and each["method"] in said for each in listed)
