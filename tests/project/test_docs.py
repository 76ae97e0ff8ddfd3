"""The README and the pages under docs/: what they print is run, and what they list is what there is."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import mdnbench
from mdnbench import api, errors, registry
from mdnbench.evaluation import protocols
from mdnbench.planning import request
from mdnbench.results import references
from mdnbench.spec import hookspecs, specs
from mdnbench.store.rows import MeanRow
from mdnbench.training import recipe

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *PAGES]}

README_BLOCKS = (
    "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt -e . && "
    ".venv/bin/mdnbench run --methods all --sigma 50",
    "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt -e '.[test]' && "
    ".venv/bin/python -m pytest -q",
)
HOOKS = {name: getattr(hookspecs, name) for name in registry.HOOKS}

# -- reading pages -------------------------------------------------------------------------------------------------


def page(name: str) -> str:
    """The text of docs/NAME.md."""
    return TEXTS[f"docs/{name}.md"]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language, as they are printed."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def plugins(text: str) -> list[str]:
    """The fenced Python blocks that are plugins."""
    return [block for block in blocks(text, "python") if "hookimpl" in block]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def headings(text: str) -> list[str]:
    """The headings of a page, without their marks."""
    return [line.lstrip("#").strip() for line in prose(text).splitlines() if re.match(r"#+ ", line)]


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next heading of its level or a higher one."""
    lines = text.splitlines()
    found = [n for n, line in enumerate(lines) if re.fullmatch(rf"#+ {re.escape(heading)}", line)]
    assert found, f"the page that begins with {lines[0]!r} needs the heading {heading}"
    start = found[0]
    level = len(lines[start]) - len(lines[start].lstrip("#"))
    ahead = range(start + 1, len(lines))
    end = next((n for n in ahead if re.match(rf"#{{1,{level}}} ", lines[n])), len(lines))
    return "\n".join(lines[start + 1 : end])


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, backticks dropped."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]


def advice(place: str, listed: Mapping[str, object], wanted: Mapping[str, object]) -> str:
    """What to write at a place, so that what it lists is what there is: the message of a failing test."""
    lines = [f"add {name}: {wanted[name]}" for name in wanted if name not in listed]
    lines += [f"remove {name}" for name in listed if name not in wanted]
    lines += [
        f"change {name}: write {wanted[name]} instead of {listed[name]}"
        for name in wanted
        if listed.get(name, wanted[name]) != wanted[name]
    ]
    return "\n".join([f"{place}:", *lines])


def row_of(*cells: object) -> str:
    """A row of a table, to copy into a page."""
    return f"| {' | '.join(map(str, cells))} |"


def anchor(heading: str) -> str:
    """The address of a heading inside its page."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def command(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """The real command line, where the test is."""
    return subprocess.run(
        [sys.executable, "-m", "mdnbench", *map(str, arguments)],
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=False, env={**os.environ, **variables},
    )  # fmt: skip


# -- links, commands to copy, and what must not be said ------------------------------------------------------------


def test_the_readme_sets_up_in_two_commands() -> None:
    """The first two shell blocks are the two set-up commands, to the letter."""
    found = re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", TEXTS["README.md"], re.MULTILINE | re.DOTALL)
    assert tuple(block.strip() for block in found[:2]) == README_BLOCKS, (
        "README.md: the first two shell blocks must be README_BLOCKS of this test; .ci/run runs them as printed"
    )


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    """Every relative link names a file that is there, and every fragment a heading of it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(TEXTS[name])):
        if target.startswith(("https://", "http://")):
            continue
        file, _, fragment = target.partition("#")
        path = ((ROOT / name).parent / file).resolve() if file else ROOT / name
        assert path.is_relative_to(ROOT), f"{name}: {target} leads out of the repository; write the whole address"
        assert path.exists(), f"{name}: {target} leads nowhere; mend the path, relative to the page"
        if fragment:
            known = [anchor(heading) for heading in headings(path.read_text(encoding="utf-8"))]
            near = difflib.get_close_matches(fragment, known) or known
            assert fragment in known, (
                f"{name}: {target} names no heading of {file or name}; there are {', '.join(near)}"
            )


def test_every_page_is_in_the_index() -> None:
    """The first page leads to all others."""
    for path in PAGES:
        name = path.relative_to(DOCS).as_posix()
        assert path.stem == "index" or f"({name})" in page("index"), (
            f"docs/index.md does not lead to {name}: add `| what I want | [Title]({name}) |` to its first table"
        )


def test_every_page_is_in_the_contents() -> None:
    """The sidebar of the site lists each page once."""
    specification = importlib.util.spec_from_file_location("site_parts", DOCS / "site_parts.py")
    assert specification is not None
    assert specification.loader is not None
    pytest.importorskip("docutils", reason="Sphinx is not installed")
    pytest.importorskip("latex2mathml", reason="latex2mathml is not installed")
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    listed = [pattern for pages in script.CONTENTS.values() for pattern in pages]
    for path in PAGES:
        name = path.relative_to(DOCS).with_suffix("").as_posix()
        found = [pattern for pattern in listed if fnmatch.fnmatch(name, pattern)]
        assert name == "index" or len(found) == 1, f"docs/site_parts.py: add '{name}' to one section of CONTENTS"


def test_each_word_of_the_glossary_is_defined_once_and_in_order() -> None:
    """A word that is looked up is found, and has one meaning."""
    words: dict[str, str] = {}
    for part in re.split(r"^## ", page("glossary"), flags=re.MULTILINE)[1:]:
        title = part.partition("\n")[0]
        found = re.findall(r"^\| \*\*(.+?)\*\* \|", part, re.MULTILINE)
        assert found == sorted(found), (
            f"docs/glossary.md, {title}: put the words into alphabetical order: {sorted(found)}"
        )
        for word in found:
            assert word not in words, (
                f"docs/glossary.md: '{word}' is defined under {words.get(word)} and {title}; keep one"
            )
            words[word] = title
    assert len(words) >= 60


@pytest.mark.parametrize("name", TEXTS)
def test_no_path_of_somebodys_machine_is_printed(name: str) -> None:
    """No page names an absolute path."""
    assert not re.findall(r"(?<![\w.~/>:)])/(?:[a-z]+/)+|[A-Z]:\\|~/", TEXTS[name]), (
        f"{name} names an absolute path; write FOLDER, or a path within the repository"
    )


@pytest.mark.parametrize("name", TEXTS)
def test_modules_that_are_named_are_there(name: str) -> None:
    """A path such as `engine/loop.py` leads to a file of the repository or the package; a plugin's own are examples."""
    for path in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|sh|toml|yml))`", prose(TEXTS[name])):
        ours = [root for root in (ROOT, ROOT / "mdnbench") if (root / path.partition("/")[0]).is_dir()]
        there = not ours or any((root / path).exists() for root in ours)
        assert there, f"{name} names {path}, which is not there: write its new path"


# -- commands ------------------------------------------------------------------------------------------------------


def test_the_reference_is_what_help_says() -> None:
    """Each command and group has its heading and below it what its --help says; none that is gone has one left."""
    specification = importlib.util.spec_from_file_location("commands_page", ROOT / "scripts" / "commands_page.py")
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    wanted, text = script.page(page("commands")).splitlines(), page("commands").splitlines()
    changes = "\n".join(difflib.unified_diff(text, wanted, "docs/commands.md", "as --help says", lineterm="", n=1))
    assert not changes, f"run `python scripts/commands_page.py`, which makes these changes:\n{changes}"
    assert len(list(script.commands())) > 20


# -- plugins -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_its_heading(name: str) -> None:
    """The heading is the hook's exact signature, and every field of its spec stands below it."""
    signature = str(inspect.signature(HOOKS[name])).replace("'", "")
    heading = f"`{name}{signature}`"
    assert heading in headings(page("plugins")), (
        f"docs/plugins.md: add the heading `### {heading}`, and below it a table of the fields"
    )
    below = section(page("plugins"), heading)
    for field in dataclasses.fields(registry.HOOKS[name][1]):
        assert f"`{field.name}`" in below, (
            f"docs/plugins.md, {heading}: add a row for the field, {row_of(f'`{field.name}`', 'its meaning')}"
        )


@pytest.mark.parametrize("record", [specs.Trainable, mdnbench.Option, mdnbench.NoiseInfo])
def test_every_field_of_what_plugins_handle_is_explained(record: Any) -> None:
    """No field of Trainable, Option or NoiseInfo is left out."""
    for field in dataclasses.fields(record):
        assert f"`{field.name}`" in page("plugins") + page("learned"), (
            f"docs/plugins.md or docs/learned.md: explain `{field.name}` where {record.__name__} is described"
        )


def written(folder: Path, text: str) -> list[Path]:
    """The plugins of a page as files, exactly as they are printed."""
    paths = [folder / f"plugin_{number}.py" for number in range(len(plugins(text)))]
    for path, block in zip(paths, plugins(text), strict=True):
        path.write_text(block, encoding="utf-8")
    return paths


@pytest.mark.parametrize("name", ["plugins", "learned", "wrappers", "deployment"])
def test_every_plugin_on_the_pages_loads(name: str, tmp_path: Path) -> None:
    """Each fenced plugin brings something through its file's source."""
    for path in written(tmp_path, page(name)):
        known = registry.load([path])
        spec_tables = (known.denoisers, known.noises, known.datasets, known.metrics, known.reporters)
        sources = [shelf.entry(each).source.path for shelf in spec_tables for each in shelf]
        assert path in sources, f"docs/{name}.md: a plugin brings nothing:\n{path.read_text(encoding='utf-8')}"


def test_the_fifteen_line_plugin_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has fifteen lines, and the command below it puts it into the table."""
    monkeypatch.chdir(tmp_path)
    first = plugins(page("plugins"))[0]
    assert len(first.splitlines()) == 15
    Path("blur.py").write_text(first, encoding="utf-8")
    line = blocks(page("plugins"), "sh")[0].splitlines()[0]
    assert line.endswith("--dataset sk12 --images 01 --no-timing")
    done = command(*(part.strip("'") for part in line.split()[1:]), "--json")
    assert done.returncode == 0, done.stderr
    assert "blur[strength=12]" in done.stdout


@pytest.mark.full
def test_the_other_plugins_run_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise, data set and metric in one run, and the reporter through the plugins' folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "own"
    folder.mkdir()
    written(folder, page("plugins"))
    done = command(
        "run", "--methods", "blur", "--noise", "uniform:100", "--dataset", "photos", "--images", "coins",
        "--metrics", "psnr,max-error", "--no-timing", "--out", "done", MDNBENCH_PLUGINS=str(folder),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "MAX-ERROR levels" in done.stdout
    done = command("report", "done", "--to", "means", MDNBENCH_PLUGINS=str(folder))
    assert done.returncode == 0, done.stderr
    assert "uniform:width=100\tblur\t" in Path(done.stdout.strip()).read_text(encoding="utf-8")


def test_the_learned_plugin_trains(tmp_path: Path) -> None:
    """Its network takes what the loop gives it, and its loss can be followed downhill."""
    import torch

    trainable = registry.load(written(tmp_path, page("learned"))).denoisers["small"].trainable
    assert trainable is not None
    network = trainable.network(blind=False, features=8)
    clean, std = torch.full((2, 1, 12, 17), 0.5), torch.full((2, 1, 1, 1), 0.1)
    loss = trainable.loss(network, clean, clean + std, std, None, recipe.Moment(0, 0.0), None)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network(clean[:1], std[:1]).shape == (1, 1, 12, 17)


# -- what is listed is what there is -------------------------------------------------------------------------------


def test_the_plan_file_is_one() -> None:
    """The plan that is printed is read, and every key of a request is in the table, with its default."""
    text = page("main-job")
    request.from_values(tomllib.loads(blocks(text, "toml")[0]), "the plan in docs/main-job.md")
    listed = {row[0]: row[1] for row in rows(section(text, "Plan files"))[1:]}
    wanted = {
        field.name: list(field.default) if isinstance(field.default, tuple) else field.default
        for field in dataclasses.fields(request.Request)
    }
    found = {key: tomllib.loads(f"x = {default}")["x"] for key, default in listed.items()}
    assert found == wanted, advice("docs/main-job.md, the table of Plan files (key: default)", found, wanted)


def test_the_protocols_are_those_listed(tmp_path: Path) -> None:
    """Names and hashes in the table are right, and the protocol that is printed is read."""
    listed = {row[0].split()[0]: row[1] for row in rows(page("protocols")) if re.fullmatch("[0-9a-f]{8}", row[1])}
    wanted = {name: protocol.hash for name, protocol in protocols.known().items()}
    assert listed == wanted, advice("docs/protocols.md, the first table (name: hash)", listed, wanted)
    path = tmp_path / "own.toml"
    path.write_text(blocks(page("protocols"), "toml")[0], encoding="utf-8")
    assert protocols.read(path).scoring.border == 8


def test_the_recipe_is_one(tmp_path: Path) -> None:
    """The recipe that is printed is read, and every key of a recipe is explained."""
    path = tmp_path / "best.toml"
    path.write_text(blocks(page("training"), "toml")[0], encoding="utf-8")
    assert recipe.read(path).budget.minutes == 5
    keys = " ".join(row[0].strip("[]") for row in rows(section(page("training"), "A recipe")))
    for field in dataclasses.fields(recipe.Recipe):
        assert field.name in keys.replace("[", " ").replace("]", " ").replace(",", " ").split(), (
            f"docs/training.md, A recipe: add a row for the key, {row_of(f'`{field.name}`', 'default', 'meaning')}"
        )


def test_the_noises_are_those_explained() -> None:
    """Every noise that ships has its heading and its formula, and no other has."""
    known, text = registry.load().noises, page("noises")
    section_of = "a section with the formula, what it means and its source"
    listed = dict.fromkeys([each.strip("`") for each in headings(text) if each.startswith("`")], section_of)
    wanted = dict.fromkeys(known, section_of)
    assert listed == wanted, advice("docs/noises.md, headings ## `NAME`", listed, wanted)
    for name, spec in known.items():
        assert f"    {spec.formula}\n" in section(text, f"`{name}`"), (
            f"docs/noises.md: below the heading `{name}` write, indented by four spaces, {spec.formula}"
        )


def test_the_metrics_are_those_explained() -> None:
    """Unit, direction, digits, tolerance and smallest side of every metric that ships are as it declares them."""
    known, text = registry.load().metrics, page("metrics")
    listed = {row[0]: row_of(*row[1:]) for row in rows(text.partition("\n## ")[0])[1:]}
    wanted = {
        name: row_of(spec.unit, spec.direction, spec.digits, f"{spec.tolerance:g}",
                     f"{spec.min_size} pixel{'s' if spec.min_size > 1 else ''}")
        for name, spec in known.items()
    }  # fmt: skip
    assert listed == wanted, advice(
        "docs/metrics.md, the first table (metric: the other cells of its row)", listed, wanted
    )
    for name in known:
        assert f"`{name}`" in headings(text), (
            f"docs/metrics.md: add a section ## `{name}` with the definition and its source"
        )
    settings = {f"{name}[{each.name}]": each.summary for name, spec in known.items() for each in spec.settings}
    found = {row[0]: row[1] for row in rows(section(text, "Other settings"))[1:]}
    assert found == settings, advice("docs/metrics.md, the table of Other settings (setting: summary)", found, settings)


def test_the_data_sets_are_those_listed() -> None:
    """Every data set that ships stands in the tables of data sets and of licences."""
    known, text = registry.load().datasets, page("data")
    listed = {row[0].split()[0]: row[-1] for row in rows(section(text, "Data sets"))[1:]}
    wanted = {name: spec.split for name, spec in known.items()}
    assert listed == wanted, advice("docs/data.md, the table of Data sets (name: split)", listed, wanted)
    licences = re.split(r"[,\s]+", " ".join(row[0] for row in rows(section(text, "Licences"))))
    for name in known:
        assert name in licences, f"docs/data.md, Licences: add a row, {row_of(f'`{name}`', 'its terms')}"


def test_names_are_written_as_the_page_says() -> None:
    """Each name in the table has the canonical text that stands beside it."""
    known, pairs = registry.load(), rows(section(page("names"), "One grammar"))[1:]
    assert len(pairs) >= 5
    for text, canonical in pairs:
        parse = known.noise if re.split(r"[:\[]", text)[0] in known.noises else known.method
        place = f"docs/names.md, One grammar: the canonical text of `{text}` is `{parse(text).text}`, not `{canonical}`"
        assert parse(text).text == canonical, place
        assert parse(canonical).text == canonical, place


def _bare(function: Any) -> str:
    """A function's arguments with their defaults, without annotations."""
    signature = inspect.signature(function)
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def test_the_python_functions_are_those_listed() -> None:
    """Every public function of mdnbench.api stands on its page with its arguments."""
    functions = {name: getattr(api, name) for name in api.__all__}
    text = page("api")
    for name, function in functions.items():
        row = row_of(f"`{name}{_bare(function)}`", "what it does")
        assert row.removesuffix("what it does |") in text, f"docs/api.md, Functions of `mdnbench`: write the row {row}"
    listed = {row[0].partition("(")[0] for row in rows(section(text, "Functions of `mdnbench`"))[1:]} - {"function"}
    gone = ", ".join(sorted(listed - set(functions)))
    assert listed == set(functions), f"docs/api.md, Functions of `mdnbench`: remove the rows of {gone}"
    for row in rows(section(text, "Functions of `mdnbench`").partition("\nThese are")[0])[1:]:
        name = row[0].partition("(")[0]
        assert name in mdnbench.__all__, f"docs/api.md: move the row of {name} below `These are in mdnbench.api only`"


def test_the_numbers_of_ones_own_are_read(tmp_path: Path) -> None:
    """The file of references that is printed is one, and its noises are written as names are."""
    path = tmp_path / "more.csv"
    path.write_text(blocks(page("claims"), "csv")[0], encoding="utf-8")
    known = registry.load()
    for each in references.read(path):
        assert known.noise(each.noise).text == each.noise


def test_the_errors_are_those_listed() -> None:
    """Every kind of error stands on the page of the Python API."""
    for name, each in vars(errors).items():
        if inspect.isclass(each) and issubclass(each, errors.MdnbenchError):
            assert f"`{name}`" in page("api"), (
                f"docs/api.md, Errors: add a row, {row_of(f'`{name}`', each.exit_code, 'when')}"
            )


def test_what_results_hold_is_listed() -> None:
    """Every public attribute of Results stands on the page, and no other does."""
    cells = [cell[0] for cell in rows(section(page("api"), "Results"))[1:]]
    bare = [cell.partition("(")[0] if "=" in cell or ", " not in cell else cell.replace("()", "") for cell in cells]
    listed = {name.strip() for cell in bare for name in cell.split(",")}
    public = {name for name in dir(mdnbench.Results) if not name.startswith("_")}
    gone, new = listed - {"name", "folder", "tally"} - public, public - listed - {"columns"}
    assert not gone, f"docs/api.md, Results: remove the rows of {', '.join(sorted(gone))}"
    assert not new, f"docs/api.md, Results: add a row for each of {', '.join(sorted(new))}"
    for name in ("table", "show"):
        arguments = _bare(getattr(mdnbench.Results, name)).replace("(self, ", "(")
        assert f"| `{name}{arguments}` |" in page("api"), f"docs/api.md, Results: write the row `{name}{arguments}`"
    assert {"noise", "method", "means", "seconds", "ok", "total", "problems", "infinite"} <= {
        field.name for field in dataclasses.fields(MeanRow)
    }


def test_the_python_example_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first example of the Python API gives a table of cells."""
    monkeypatch.chdir(tmp_path)
    code = blocks(page("api"), "python")[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"median\s+\d\d\.\d+\s+0\.\d+", done.stdout)
