"""The page's script is its JavaScript modules, joined; their types describe the data that Python writes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench_reports import javascript, page

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted(path.stem for path in page.FOLDER.glob("*.js"))
NODE = shutil.which("node")

# Names that clash in one scope, a name that only one module may see, both forms of import, and every form of export.
EXAMPLES = {
    "one": """
        const name = "one";
        export const told = [name];
        export function add(text) {
          told.push(text);
        }
        """,
    "two": """
        import { add, told } from "./one.js";
        const name = "two";
        export async function tell() {
          add(name);
          return told.join();
        }
        """,
    "first": """
        import {
          add,
        } from "./one.js";
        import * as two from "./two.js";
        const name = "first";
        add(name);
        two.tell().then((text) => console.log(text, typeof told, (function () { return this; })()));
        """,
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write(name=text, …)` writes modules and returns their folder."""

    def write_modules(**texts: str) -> Path:
        for name, text in texts.items():
            lines = re.sub(r"^ {8}", "", text.strip("\n"), flags=re.MULTILINE)
            (tmp_path / f"{name}.js").write_text(f"{lines.rstrip()}\n", encoding="utf-8")
        (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
        return tmp_path

    return write_modules


def run(path: Path) -> str:
    """What a script or module prints under Node.js."""
    assert NODE
    return subprocess.run([NODE, path], check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
def test_joined_modules_do_what_the_modules_do(write: Callable[..., Path], tmp_path: Path) -> None:
    """Under Node.js the joined script prints what the modules print, and no name gets out of its module."""
    folder = write(**EXAMPLES)
    (tmp_path / "joined.cjs").write_text(javascript.join(folder, "first"), encoding="utf-8")
    assert run(tmp_path / "joined.cjs") == run(folder / "first.js") == "one,first,two undefined undefined\n"


def test_modules_come_after_those_that_they_import(write: Callable[..., Path]) -> None:
    """Each module is there once, under its name, after what it imports."""
    text = javascript.join(write(**EXAMPLES), "first")
    assert text.startswith('"use strict";\n')
    assert re.findall(r"^const (\w+) = \(\(\) => \{$", text, re.MULTILINE) == ["one", "two", "first"]
    assert re.findall(r"^return .*", text, re.MULTILINE) == [
        "return { told, add };",
        "return { tell };",
        "return {  };",
    ]


def test_modules_that_import_each_other_are_an_error(write: Callable[..., Path]) -> None:
    """A circle is named, because no order of the modules would be right."""
    folder = write(one='import * as two from "./two.js";', two='import * as one from "./one.js";')
    with pytest.raises(ValueError, match="one → two → one"):
        javascript.join(folder, "one")


@pytest.mark.parametrize(
    "line",
    [
        'import two from "./two.js";',
        'import "./two.js";',
        'import * as other from "./two.js";',
        'import { one as other } from "./two.js";',
        'import { one } from "two";',
        "export default 1;",
        "export let changing = 1;",
        "export { one };",
        'export * from "./two.js";',
    ],
)
def test_other_forms_of_import_and_export_are_an_error(write: Callable[..., Path], line: str) -> None:
    """What the joined script would not do as the modules do is not joined."""
    with pytest.raises(ValueError, match=f"one.js: .*{re.escape(line)}"):
        javascript.join(write(one=line, two="export const one = 1;"), "one")


def test_the_page_has_every_module_as_it_is_written(whole: Any) -> None:
    """The script of a page has each line of each module, apart from imports and the word `export`."""
    script = next(text for tag, attributes, text in whole.raw if tag == "script" and not attributes)
    parts = dict(re.findall(r"^const (\w+) = \(\(\) => \{\n(.*?)^\}\)\(\);$", script, re.MULTILINE | re.DOTALL))
    assert sorted(parts) == MODULES
    for name, part in parts.items():
        written = (page.FOLDER / f"{name}.js").read_text(encoding="utf-8")
        expected = re.sub(r"^import .*?;$", "", written, flags=re.MULTILINE | re.DOTALL).replace("\nexport ", "\n")
        found = re.sub(r"^const \{[^}]*\} = \w+;$|^return \{[\w\s,]*\};\n\Z", "", part, flags=re.MULTILINE)
        assert found == expected
        exported = re.findall(r"^export (?:async )?\w+ (\w+)", written, re.MULTILINE)
        assert part.rstrip().endswith(f"return {{ {', '.join(exported)} }};")


def test_the_types_of_the_data_are_those_that_python_writes(whole: Any) -> None:
    """`types.d.ts` declares the fields that content.py writes: a new field needs a line there."""
    text = (page.FOLDER / "types.d.ts").read_text(encoding="utf-8")
    interfaces = {
        name: re.findall(r"^  (\w+):", body, re.MULTILINE)
        for name, body in re.findall(r"^interface (\w+) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    }
    assert interfaces["ReportData"] == list(whole.data)
    assert interfaces["Metric"] == list(whole.data["metrics"][0])
    assert interfaces["Scene"] == list(whole.data["scenes"][0])


def test_the_lock_file_pins_what_package_json_asks_for() -> None:
    """The checks are of exact versions, each with its hash, and from whichever registry npm is set to."""
    asked = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert {name: lock[f"node_modules/{name}"]["version"] for name in asked} == asked
    installed = [found for name, found in lock.items() if name]
    assert all(found["integrity"].startswith("sha512-") for found in installed)
    assert not [found for found in installed if "resolved" in found]
