"""New plugins from templates: working, typed and tested, as one file with its test or as a package."""

from __future__ import annotations

import keyword
import re
import sys
from importlib import metadata
from pathlib import Path
from string import Template

from mdnbench import __version__, registry
from mdnbench.errors import BadOption, MdnbenchError, UnknownName, UsageError
from mdnbench.spec import names
from mdnbench.util import atomic
from mdnbench.util.limits import MAX_MODULE_NAME_CHARACTERS

TEMPLATES = Path(__file__).parent / "templates" / "plugin"

# The command that CI runs for each kind. `mdnbench check` then compares the run with a baseline.
COMMON = "--dataset sk12 --images 01,08 --no-timing --out ci"
RUNS = {
    "denoiser": f"mdnbench run --methods noisy,$name --sigma 25 {COMMON}",
    "learned": f"mdnbench run --methods noisy,$name --sigma 25 {COMMON} --train-budget 2",
    "noise": f"mdnbench run --methods noisy,median --noise $name:50 {COMMON}",
    "metric": f"mdnbench run --methods noisy,median --sigma 25 --metrics psnr,$name {COMMON}",
    "dataset": "mdnbench run --methods noisy,median --sigma 25 --dataset $name --no-timing --out ci",
    "reporter": f"mdnbench run --methods noisy,median --sigma 25 {COMMON} && mdnbench report ci --to $name",
}
KINDS = tuple(RUNS)


def write(name: str, kind: str, *, package: bool = False, folder: Path = Path()) -> tuple[Path, ...]:
    """Write the files of a new plugin. Existing files are never overwritten.

    Args:
        name: The name of the new method, noise, metric, data set or reporter.
        kind: One of KINDS.
        package: Whether to write an installable package instead of a single file.
        folder: The folder to write to.

    Returns:
        The paths of the files; the plugin's own comes first.

    Raises:
        BadOption: The name cannot be used.
        UnknownName: There is no such kind.
        UsageError: The name is taken, or a file exists already.
        MdnbenchError: The files cannot be written.
    """
    _check(name, kind)
    texts = _package(name, kind) if package else _file(name, kind)
    paths = [folder / place for place in texts]
    if taken := [path for path in paths if path.exists()]:
        raise UsageError(f"{taken[0]} exists already, and is left alone; choose another name or --folder.")
    try:
        atomic.write_all(dict(zip(paths, texts.values(), strict=True)))
    except OSError as error:
        raise MdnbenchError(
            f"the plugin cannot be written to {folder}: {error}. Make room, or choose another --folder."
        ) from error
    return tuple(paths)


def _check(name: str, kind: str) -> None:
    if kind not in KINDS:
        raise UnknownName("kind of plugin", kind, KINDS)
    names.check_declared(name)
    if not re.match("[a-z]", name) or len(name) > MAX_MODULE_NAME_CHARACTERS or keyword.iskeyword(_module(name)):
        raise BadOption(
            f"{name!r} cannot name a module; begin with a letter, use at most {MAX_MODULE_NAME_CHARACTERS}, and "
            "take no word of Python."
        )
    if _module(name) in sys.stdlib_module_names or _module(name) in metadata.packages_distributions():
        raise BadOption(f"{name!r} names a module that is installed here, and would hide it; choose another name.")
    known = registry.load()
    for specs in (known.denoisers, known.noises, known.datasets, known.metrics, known.reporters):
        if name in specs:
            address = specs.entry(name).source.address
            raise UsageError(f"the name {name!r} is taken by a {specs.kind} of {address}; choose another one.")


def _file(name: str, kind: str) -> dict[str, str]:
    """Return the files of a plugin in one module: the module, and the test next to it."""
    module = _module(name)
    words = _words(name, kind, module, f"{module}_")
    texts = {f"{module}.py": _filled(f"{kind}.py", words), f"test_{module}.py": _filled(f"test_{kind}.py", words)}
    return texts | _recipes(kind, f"{module}_recipes", words)


def _package(name: str, kind: str) -> dict[str, str]:
    """Return the files of a plugin as a package: its module first, then tests, settings, a workflow and a readme."""
    module = f"mdnbench_{_module(name)}"
    words = _words(name, kind, module, "")
    root, source = words["distribution"], f"{words['distribution']}/src/{module}"
    return {
        f"{source}/__init__.py": _filled(f"{kind}.py", words),
        f"{source}/py.typed": "",
        **_recipes(kind, f"{source}/recipes", words),
        f"{root}/tests/test_{module}.py": _filled(f"test_{kind}.py", words),
        f"{root}/pyproject.toml": _filled("pyproject.toml", words),
        f"{root}/.github/workflows/tests.yml": _filled("workflow.yml", words),
        f"{root}/README.md": _filled("readme.md", words),
        f"{root}/.gitignore": _filled("gitignore", words),
    }


def _recipes(kind: str, folder: str, words: dict[str, str]) -> dict[str, str]:
    return {f"{folder}/best.toml": _filled("best.toml", words)} if kind == "learned" else {}


def _words(name: str, kind: str, module: str, prefix: str) -> dict[str, str]:
    """Return the values of the templates' placeholders."""
    return {
        "name": name,
        "kind": {"learned": "learned denoiser", "dataset": "data set"}.get(kind, kind),
        "module": module,
        "distribution": f"mdnbench-{name}",
        "version": __version__,
        "recipes": f"{prefix}recipes",
        "weights": f"{prefix}weights",
        "run": Template(RUNS[kind]).substitute(name=name),
    }


def _filled(template: str, words: dict[str, str]) -> str:
    return Template((TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")).substitute(words)


def _module(name: str) -> str:
    return re.sub(r"[.-]", "_", name)
