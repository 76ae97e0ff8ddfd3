"""Join the page's JavaScript modules into one script, because the page is one file and users need no build tool.

Each module becomes a constant of its name that holds its exports. The rest of the module stays inside a function.
Modules use only these forms, and any other form is an error:

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
    """Return a script that runs each module after all modules that it imports.

    Args:
        folder: The folder with the modules.
        first: The name of the first module, without `.js`.

    Raises:
        ValueError: If modules import each other in a circle, or if an import or export has another form.

    """
    parts: dict[str, str] = {}
    _add(parts, folder, first, ())
    return "\n".join(['"use strict";', *parts.values()])


def _add(parts: dict[str, str], folder: Path, name: str, importers: tuple[str, ...]) -> None:
    """Add a module to the parts, after the modules that it imports."""
    if name in importers:
        raise ValueError(f"modules import each other: {' → '.join((*importers, name))}")
    if name in parts:
        return
    text = (folder / f"{name}.js").read_text(encoding="utf-8")
    for found in _IMPORT.finditer(text):
        _add(parts, folder, found["module"], (*importers, name))
    parts[name] = _wrap(name, text)


def _wrap(name: str, text: str) -> str:
    """Return a module as a constant that holds its exports."""
    exports = ", ".join(found["name"] for found in _EXPORT.finditer(text))
    body = _EXPORT.sub("", _IMPORT.sub(_import, text))
    other = _OTHER_FORM.search(body)
    if other:
        raise ValueError(f"{name}.js: imports and exports of this form cannot be joined: {other[0]}")
    return f"const {name} = (() => {{\n{body}return {{ {exports} }};\n}})();\n"


def _import(found: re.Match[str]) -> str:
    """Return the statement that replaces an import."""
    what, module = found["what"], found["module"]
    if what == f"* as {module}":
        return ""  # the module's constant has this name already
    return f"const {what} = {module};" if what.startswith("{") else found[0]
