"""The page's JavaScript modules, joined into one script: the page stays one file, and no user needs a build tool.

Each module becomes a constant of its name that holds its exports; everything else of it stays inside a function.
Modules use only these forms, and any other is an error:

- `import { one, other } from "./module.js";`, or `import * as module from "./module.js";` with the module's own name;
- `export function`, `export async function` and `export const`.
"""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(
    r'^import (?P<what>\{\s*\w+(?:,\s*\w+)*,?\s*\}|\* as \w+) from "\./(?P<module>\w+)\.js";$', re.MULTILINE
)
_EXPORT = re.compile(r"^export (?=(?:async function|function|const) (?P<name>\w+))", re.MULTILINE)
_OTHER_FORM = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def join(folder: Path, first: str) -> str:
    """Return a script that runs a module after all modules that it imports.

    Args:
        folder: Where the modules are.
        first: Name of the module, without `.js`.

    Raises:
        ValueError: If modules import each other in a circle, or if an import or export has another form.

    """
    parts: dict[str, str] = {}
    _add(parts, folder, first, ())
    return "\n".join(['"use strict";', *parts.values()])


def _add(parts: dict[str, str], folder: Path, name: str, importers: tuple[str, ...]) -> None:
    if name in importers:
        raise ValueError(f"modules import each other: {' → '.join((*importers, name))}")
    if name in parts:
        return
    text = (folder / f"{name}.js").read_text(encoding="utf-8")
    for found in _IMPORT.finditer(text):
        _add(parts, folder, found["module"], (*importers, name))
    parts[name] = _wrap(name, text)


def _wrap(name: str, text: str) -> str:
    exports = ", ".join(found["name"] for found in _EXPORT.finditer(text))
    body = _EXPORT.sub("", _IMPORT.sub(_import, text))
    other = _OTHER_FORM.search(body)
    if other:
        raise ValueError(f"{name}.js: imports and exports of this form cannot be joined: {other[0]}")
    return f"const {name} = (() => {{\n{body}return {{ {exports} }};\n}})();\n"


def _import(found: re.Match[str]) -> str:
    what, module = found["what"], found["module"]
    if what == f"* as {module}":
        return ""  # the constant of the module has this name already
    return f"const {what} = {module};" if what.startswith("{") else found[0]
