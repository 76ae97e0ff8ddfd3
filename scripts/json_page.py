"""Update docs/json.md and the JSON Schemas next to it, which describe the output of every command with `--json`.

With `--check` the script only reports which files are not up to date.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mdnbench.cli.documents import DOCUMENTS, schema_name, schema_of

DOCS = Path(__file__).resolve().parents[1] / "docs"
HEAD = """# JSON

With `--json` a command prints one JSON document in place of tables. This page and the JSON Schemas that it links to are
written by `python scripts/json_page.py` from the records that the commands print, and a test compares them.

- The key `schema` names the document and its version, as `mdnbench.plan/1`. The version counts up if a key goes away or
  changes its meaning; keys may be added.
- Every key is always there. `null` stands for what there is none of.
- Numbers are numbers: seconds end in `_s` or are called `seconds`, sizes are in bytes, PSNR is in dB.
- JSON has no infinite numbers: an infinite number, and one that is none, is `null`. If scores or means are infinite,
  `infinite` lists their metrics.
- A file name whose bytes are no UTF-8 has JSON's own escapes, as `\\udcff`.

The file `run.json` of a run holds its facts as `facts` below, and `timing.json` is in the format of pytest-benchmark,
with the keys of `mdnbench.time`.
"""
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n     +.*)*)", re.MULTILINE)


def files() -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of the page and of every schema."""
    yield DOCS / "json.md", "\n".join([HEAD, *map(_section, DOCUMENTS)])
    for name in DOCUMENTS:
        yield _schema_file(name), json.dumps(schema_of(name), indent=1) + "\n"


def _schema_file(name: str) -> Path:
    return DOCS / "_static" / "schemas" / f"{name}.json"


def _section(name: str) -> str:
    """Return the section of a document: its own keys, then those of the records in it."""
    schema = schema_of(name)
    link = _schema_file(name).relative_to(DOCS).as_posix()
    parts = [f"## {schema_name(name)}", f"`mdnbench {DOCUMENTS[name].command} --json`; [JSON Schema]({link})."]
    parts += _record(schema)
    for title, record in schema["$defs"].items():
        parts += [f"**{title}**", *_record(record)]
    return "\n\n".join(parts) + "\n"


def _record(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the description of a record, and the table of its keys."""
    text, _, attributes = schema.get("description", "").partition("Attributes:\n")
    meanings = {key: " ".join(said.split()) for key, said in _ATTRIBUTE.findall(attributes)}
    if text.strip():
        yield text.strip()
    lines = [f"| `{key}` | {_words(each)} | {meanings.get(key, '')} |" for key, each in schema["properties"].items()]
    yield "\n".join(["| key | value | meaning |", "|---|---|---|", *lines])


def _words(schema: dict[str, Any]) -> str:
    """Return the type of a value in words."""
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(each)}`" for each in schema["enum"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_words, schema["anyOf"])))
    kind = schema.get("type", "any value")
    if kind == "array":
        inner = [_words(each) for each in schema.get("prefixItems", ())]
        return f"list of {', '.join(inner) if inner else _words(schema.get('items', {}))}"
    if kind == "object":
        return f"table of {_words(schema.get('additionalProperties', {}))}"
    names = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    return "number or null" if isinstance(kind, list) else names.get(kind, str(kind))


def main() -> int:
    """Write the files, or only compare them; return 1 if `--check` finds one out of date."""
    wanted = dict(files())
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    stale += [path for path in (DOCS / "_static" / "schemas").glob("*.json") if path not in wanted]
    for path in stale:
        print(f"{path.relative_to(DOCS)} is not up to date.")
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8", newline="\n") if path in wanted else path.unlink()
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
