"""Every command that the README and the pages print: understood on every push, and run in the end.

What is run is what is printed, but for less work: two images instead of a whole data set, two steps instead of minutes
of training, two methods to time. `NOT_RUN` says of what is left what runs it instead.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from mdnbench import data, planning, registry
from mdnbench.cli import options
from mdnbench.cli.app import app
from mdnbench.planning import request
from mdnbench.spec.names import ALL, split_list
from mdnbench.util import devices

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

# By the beginning of the line: why it is not run here.
NOT_RUN = {
    "python3 -m venv .venv": ".ci/run sets up and tests by these lines",
    ".venv/bin/": ".ci/run does the same on every push",
    "bash .ci/run": "it runs this test",
    "npm ": ".ci/run does the same on every push",
    "mdnbench check set12-gaussian-50": ".ci/run holds the whole of Set12 against this baseline; a part is other data",
    "mdnbench weights import dncnn dncnn_50.pth": "no published weights are at hand; test_dncnn.py imports some",
    "mdnbench run --methods 'dncnn,dncnn[weights=kair-50]'": "the same",
    "mdnbench data fetch": "the tests have no network; test_files.py fetches from a server of its own",
    "mdnbench plugin new": "tests/testing/test_scaffold.py writes, installs and tests what is written",
    "mdnbench plugin check my_filter.py": "the same",
    "python -m pip install -e": "the same",
    "torchrun --standalone": "no GPU is at hand; tests/training/test_ranks.py does it in two processes on the CPU",
    "pip install 'mdnbench[": ".ci/run installs these extras with [test]",
    "mdnbench run --methods all --sigma 50 --engine dask --scheduler": "tests/engine/test_dask.py has clusters",
    "dask scheduler": "the same, by the module that this command calls",
    "dask worker": "the same",
    "export DASK_DISTRIBUTED__COMM__TLS__": "the same, in a test of its own",
    "python -m pytest -n 0 tests/benchmarks": ".ci/full runs the benchmarks",
}
PLACES = {"RUN-A": "told", "RUN-B": "estimated", "RUN": "set12-gaussian-50", "PATH": "base", "FOLDER": "photographs"}
FEW = 2  # images


@dataclass(frozen=True)
class Line:
    """A command as it is printed on a page, without its comment."""

    page: Path
    text: str

    @property
    def reason(self) -> str:
        """Why it is not run here; empty where it is."""
        return next((why for start, why in NOT_RUN.items() if self.text.startswith(start)), "")

    def words(self) -> list[str]:
        """The command's words, the program first; what stands for something else is replaced."""
        return [PLACES.get(word, word) for word in shlex.split(self.text)]


def fenced(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@cache
def lines_of(page: Path) -> tuple[Line, ...]:
    """The commands that a page prints, in their order."""
    joined = "\n".join(fenced(page.read_text(encoding="utf-8"), "(?:sh|bash|shell|console)")).replace("\\\n", " ")
    bare = (re.sub(r"(?:^|\s)#.*", "", line).strip() for line in joined.splitlines())
    return tuple(Line(page, re.sub(r"\s+", " ", line)) for line in bare if line)


LINES = [line for page in PAGES for line in lines_of(page)]


def test_every_line_is_run_or_says_why_not() -> None:
    """A line is a command of ours or is left out with a reason; no reason is left of a line that is gone."""
    assert len(LINES) > 60
    foreign = [line.text for line in LINES if not line.text.startswith(("mdnbench ", "pytest-benchmark "))]
    unknown = [text for text in foreign if not any(text.startswith(start) for start in NOT_RUN)]
    assert unknown == [], "add the beginning of each line to NOT_RUN in this file, with what runs it instead"
    for start in NOT_RUN:
        assert any(line.text.startswith(start) for line in LINES), (
            f"no page prints {start!r} any more: remove it from NOT_RUN"
        )


def parsed(words: list[str]) -> tuple[str, dict[str, Any]]:
    """The command and its values, as the command line itself reads them; nothing is run."""
    node, context = typer.main.get_command(app()), None
    name, rest = "mdnbench", words
    while True:
        context = node.make_context(name, list(rest), parent=context)
        if not hasattr(node, "commands"):
            return context.command_path, context.params
        name, node, rest = node.resolve_command(context, [*context._protected_args, *context.args])


def files(page: Path, folder: Path) -> dict[str, Path]:
    """The files that a page's commands name, as the page prints them."""
    text = page.read_text(encoding="utf-8")
    plugins = [block for block in fenced(text, "python") if "hookimpl" in block]
    blocks = {
        "small.py" if page.stem == "learned" else "blur.py": plugins,
        "plan.toml": [block for block in fenced(text, "toml") if "methods = [" in block],
        "cropped.toml": [block for block in fenced(text, "toml") if 'name = "cropped"' in block],
        "more.csv": fenced(text, "csv"),
        "recipes/best.toml": [recipe()] if page.stem == "learned" else [],
    }
    for name, found in blocks.items():
        if found:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(textwrap.dedent(found[0]), encoding="utf-8")
    return {name: folder / name for name, found in blocks.items() if found}


def recipe() -> str:
    """The recipe that the page on training prints, and that the page on learned methods sends its readers to."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (found,) = [block for block in fenced(text, "toml") if "[[noise]]" in block]
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if lines_of(page)], ids=lambda page: page.stem)
def test_every_command_is_understood(page: Path, workspace: Path) -> None:
    """The command line takes each line as it is printed, and every method, noise, metric and data set is known."""
    files(page, workspace)
    for line in lines_of(page):
        if line.text.startswith("mdnbench "):
            name, values = parsed(line.words()[1:])
            assert name.startswith("mdnbench ")
            known(name, values)


def known(name: str, values: dict[str, Any]) -> None:
    """Look up what a command names: UnknownName or BadOption where there is no such thing."""
    found = registry.load(values.get("plugin") or [])
    for text in split_list(values.get("methods") or ""):
        if text != ALL:
            found.method(text)
    for text in split_list(values.get("metrics") or ""):
        if text != ALL:
            found.metric(text)
    for text in values.get("noise") or ():
        found.noise(text)
    if plan := values.get("plan_file"):
        asked = request.read(Path(plan), {})
        for text in asked.methods:
            assert text == ALL or found.method(text)
    for text in split_list(values["to"]) if name == "mdnbench report" else ():
        found.reporter(text)
    dataset = (values.get("dataset") or "").partition("[")[0]
    assert dataset in {"", "photographs", *found.datasets}


# -- running them --------------------------------------------------------------------------------------------------


def lighter(line: Line) -> list[str] | None:
    """The words to run: as printed, with less work; None where the data are not at hand."""
    words = line.words()
    _, values = parsed(words[1:])
    command = words[1]
    if command in ("run", "plan", "time"):
        name = (values.get("dataset") or "set12").partition("[")[0]
        spec = registry.load().datasets.get(name)
        if spec and not data.at_hand(spec):
            return None
        if command != "time":
            words += [] if values.get("images") or not spec else ["--images", ",".join(spec.images[:FEW])]
            words += [] if values.get("out") else ["--out", name_of(values)]
        if command == "run" and line.page.stem != "timing" and not values.get("no_timing"):
            words.append("--no-timing")
        if command == "time":  # two quick methods, which have time enough on a busy machine too
            words = ["noisy,median" if words[at - 1] == "--methods" else word for at, word in enumerate(words)]
            words += ["--time-budget", "120"]
    if command == "train":
        if not data.at_hand(registry.load().datasets["bsd400"]):
            return None
        words = ["--steps" if word == "--minutes" else "2" if words[at - 1] == "--minutes" else word
                 for at, word in enumerate(words)]  # fmt: skip
        words += [] if "--steps" in words else ["--steps", "2"]
        words = ["batch=4" if word.startswith("batch=") else word for word in words]  # those of a GPU take minutes here
        words = [devices.choose("auto") if words[at - 1] == "--device" else word for at, word in enumerate(words)]
    return words


def name_of(values: dict[str, Any]) -> str:
    """The name that the run has when the whole command is given, so that later commands find it."""
    kept = {key: value for key, value in values.items() if key not in ("plan_file", "plugin", "json")}
    plan = values.get("plan_file")
    asked = request.read(Path(plan) if plan else None, options.overrides(kept))
    noises = [registry.load().noise(text).text for text in asked.noises()]
    return planning.default_name(asked.dataset or "set12", noises, asked)


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A command in a folder, by the programs that stand beside this Python."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which(words[0], path=search)
    assert program, f"there is no {words[0]} beside {sys.executable}"
    return subprocess.run(
        [program, *words[1:]], capture_output=True, encoding="utf-8", check=False, cwd=folder,
        env={**os.environ, "MDNBENCH_HOME": str(folder / "home")},
    )  # fmt: skip


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder with what commands take for granted: runs, a baseline, a folder of images, weights of one's own."""
    if not data.at_hand(registry.load().datasets["set12"]):
        pytest.skip("Set12 is not at hand: MDNBENCH_DATA_PATH names no folder that has it")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "reports" / "baselines").mkdir(parents=True)
        (folder / "photographs").mkdir()
        sk12 = registry.load().datasets["sk12"]
        import PIL.Image

        for image in sk12.images[:FEW]:
            levels = (sk12.load(image) * 255).round().astype("uint8")
            PIL.Image.fromarray(levels).save(folder / "photographs" / f"{image}.png")
        few = ["--images", "01,02", "--no-timing"]
        for words in (
            ["run", "--methods", "bm3d,nlm,unet", "--sigma", "50", *few, "--out", "set12-gaussian-50"],
            ["run", "--methods", "bm3d,nlm", "--sigma", "50", *few, "--out", "told"],
            ["run", "--methods", "bm3d,nlm", "--sigma", "50", *few, "--noise-info", "estimated", "--out", "estimated"],
            ["run", "--methods", "bm3d,median", "--sigma", "50", "--dataset", "sk12", "--images", "01,09", *few[2:],
             "--out", "sk12-gaussian-50"],
            ["check", "set12-gaussian-50", "--baseline", "base", "--update"],
            ["run", "--methods", "median", "--sigma", "50", "--images", "01", "--out", "A"],
            ["run", "--methods", "median,tv", "--sigma", "50", "--images", "01", "--out", "B"],
        ):  # fmt: skip
            done = run(["mdnbench", *words], folder)
            assert done.returncode == 0, f"{words}\n{done.stderr}"
        yield folder


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", [page for page in PAGES if lines_of(page)], ids=lambda page: page.stem)
def test_every_page_runs_from_top_to_bottom(page: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's commands one after the other, and each ends well."""
    monkeypatch.chdir(place)
    files(page, place)
    for line in lines_of(page):
        words = None if line.reason else lighter(line) if line.text.startswith("mdnbench") else line.words()
        if words:
            done = run(words, place)
            assert done.returncode == 0, f"{page.name}: {line.text}\nrun as {shlex.join(words)}\n{done.stderr}"
            assert done.stdout.strip() or done.stderr.strip(), f"{line.text} says nothing"


def blocks_of_python() -> Iterator[str]:
    """The Python of the README, over one image, and of the page on the Python API, which opens a run."""
    (block,) = fenced((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    whole = 'dataset="set12"'
    assert whole in block
    yield block.replace(whole, f'{whole}, images=["09"], timing=False')
    yield from fenced((ROOT / "docs" / "api.md").read_text(encoding="utf-8"), "python")


@pytest.mark.full
def test_the_lines_of_python_run_in_their_order(place: Path) -> None:
    """All blocks one after the other, as in a notebook."""
    script = place / "script.py"
    body = textwrap.indent("\n\n".join(blocks_of_python()), "    ")
    script.write_text(f"if __name__ == '__main__':\n{body}\n", encoding="utf-8")
    done = run(["python", str(script)], place)
    assert done.returncode == 0, done.stderr
