"""Names made to do harm, of images, folders, runs and options: shown as what they are, wherever they appear."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

Said = Any
Mdnbench = Callable[..., Said]
Cli = Callable[..., subprocess.CompletedProcess[str]]
Plugin = Callable[..., Path]
Folder = Callable[..., Path]

HOSTILE = (
    "a[b]", "[bold red]x[/bold red]".replace("/", "∕"), "=cmd()", "+1", "-5", "@sum", "<script>alert(1)<∕script>",
    "CON", "x" * 240, "pipe|pipe", "*star*_`tick`", "new\nline", "tab\tx", "é∂", "a,b", 'quote"d', "'=x", "\x1b[31mred",
    "‮gnp",
)  # fmt: skip
LABELLED = """
@mdnbench.hookimpl
def mdnbench_denoisers():
    build = lambda options, device, weights: lambda noisy, noise: noisy.clone()
    label = mdnbench.Option("label", str, default="none")
    return [mdnbench.DenoiserSpec("own", "1", "own", build, options=(label,), channels=(1, 3))]
"""


def test_fault_26_hostile_file_names(cli: Cli, workspace: Path, plugin: Plugin, photographs: Folder) -> None:
    """Markup, formulas, devices, control characters, other encodings: shown as what they are, wherever they appear."""
    folder = photographs(workspace / os.fsdecode(b"[red]photos<b>|x\xff"), (*HOSTILE, b"\xff\xfe"))
    path = plugin(LABELLED)
    label = "<script>|*x*`y`"
    done = cli(
        "run", "--plugin", path, "--methods", f"own,own[label={label}]", "--sigma", 50, "--dataset", folder,
        "--metrics", "psnr", "--no-timing", "--jobs", 1, "--out", "=evil|<b>", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    images = {cell["image"] for cell in json.loads(done.stdout)["cells"]}
    assert images == {*HOSTILE, "\\xff\\xfe"}
    (made,) = (workspace / ".mdnbench" / "runs").iterdir()
    assert re.fullmatch(r"[A-Za-z0-9.-]+", made.name)

    with (made / "cells.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (len(HOSTILE) + 1)
    for row in rows:
        for value in (row["image"], row["method"], row["dataset"]):
            assert not value.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert {row["image"].removeprefix("'") for row in rows} == images

    again = cli("report", made, "--to", "md,csv,json,html,latex")  # the folder is found by the bytes of its name
    assert again.returncode == 0, again.stderr
    assert json.loads((made / "run.json").read_text(encoding="utf-8"))["dataset_folder"] == str(folder)
    text = (made / "table.md").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "\\<script\\>\\|\\*x\\*\\`y\\`" in text
    columns = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")}
    assert len(columns) == 1

    shown = cli("run", "--plugin", path, "--methods", f"own[label={label}]", "--sigma", 50, "--dataset", folder,
                "--metrics", "psnr", "--no-timing", "--jobs", 1, "--out", "=evil|<b>")  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert f"own[label={label}]" in shown.stdout
    assert "\x1b[31m" not in shown.stdout


def test_hostile_names_in_refusals_are_one_line(mdnbench: Mdnbench, workspace: Path, photographs: Folder) -> None:
    """A file name with a line break or an escape sequence cannot write a second line or paint the terminal."""
    photographs(workspace / "photos", ("new\nline\x1b[31m",))
    (bad,) = (workspace / "photos").iterdir()
    bad.write_bytes(b"no image")
    said = mdnbench("run", "--sigma", 50, "--dataset", "photos", "--methods", "noisy", "--metrics", "psnr")
    assert "\x1b" not in said.complaint()
    said = mdnbench("run", "--sigma", 50, "--dataset", "no\nsuch\x1b[31m", "--methods", "noisy", "--metrics", "psnr")
    assert "\x1b" not in said.complaint()
    said = mdnbench("run", "--noise", "gaussian:sigma=5\n0", "--dataset", "sk12", "--methods", "noisy")
    assert said.complaint()
