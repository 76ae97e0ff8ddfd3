"""Update docs/commands.md: the `--help` of every command, followed by the notes that people wrote on the page.

With `--check` the script only reports whether the page is up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from mdnbench.cli.app import app

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"
PLACEHOLDERS = {"str": "TEXT", "path": "PATH", "int": "N", "int range": "N", "float": "X"}


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command and group with its full name."""

    def walk(name: str, node: Any) -> Iterator[tuple[str, Any]]:
        yield name, node
        for key, child in getattr(node, "commands", {}).items():
            yield from walk(f"{name} {key}", child)

    return walk("mdnbench", typer.main.get_command(app()))


def reference(name: str, node: Any) -> str:
    """Return the generated part of a command's section: summary, usage, arguments and options, examples."""
    arguments = [_metavar(each) for each in node.params if each.param_type_name == "argument"]
    usage = " ".join([name, *arguments, "[OPTIONS]" if len(node.params) > len(arguments) else ""]).strip()
    if hasattr(node, "commands"):
        usage = f"{name} COMMAND"
    summary, *examples = node.help.split("\n\n")
    shown = [f"Example: `{each.removeprefix('Example: ')}`" for each in examples]
    return "\n\n".join([summary, f"    {usage}", *_table(node.params), *shown])


def page(text: str) -> str:
    """Return the page as it should be.

    Args:
        text: The page as it is. Its order of commands and its handwritten notes are kept.
    """
    intro, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    notes = {heading.strip(): _notes(body) for heading, _, body in (each.partition("\n") for each in sections)}
    known = dict(commands())
    order = [*(name for name in notes if name in known), *(name for name in known if name not in notes)]
    written = [f"## {name}\n\n{reference(name, known[name])}\n\n{notes.get(name, '')}".rstrip() for name in order]
    return "\n\n".join([intro.rstrip(), *written]) + "\n"


def _notes(body: str) -> str:
    """Return the handwritten part of a section, below its usage, tables and examples."""
    paragraphs = [each.strip("\n") for each in body.strip("\n").split("\n\n")]
    made = [n for n, each in enumerate(paragraphs) if each.startswith(("    mdnbench", "| argument", "Example: `"))]
    return "\n\n".join(paragraphs[(made[-1] if made else -1) + 1 :])


def _table(params: list[Any]) -> list[str]:
    lines = [f"| `{_flag(each)}` | {each.help}{_default(each)} |" for each in params]
    return ["\n".join(["| argument or option | meaning |", "|---|---|", *lines])] if lines else []


def _metavar(argument: Any) -> str:
    text = argument.name.upper() + ("…" if argument.nargs == -1 else "")
    return text if argument.required else f"[{text}]"


def _default(param: Any) -> str:
    """Return the default as `--help` adds it; empty if there is none, or if the help text already mentions it."""
    shown = param.show_default and not getattr(param, "is_flag", False) and param.default not in (None, "")
    return f" [default: {param.default}]" if shown else ""


def _flag(param: Any) -> str:
    if param.param_type_name == "argument":
        return str(param.name.upper())
    return param.opts[0] if param.is_flag else f"{param.opts[0]} {PLACEHOLDERS[param.type.name]}"


def main() -> int:
    """Write the page, or only compare it; return 1 if `--check` finds it out of date."""
    text = PAGE.read_text(encoding="utf-8")
    wanted = page(text)
    if "--check" not in sys.argv:
        PAGE.write_text(wanted, encoding="utf-8", newline="\n")
    if text != wanted:
        print(f"{PAGE.name} is {'not up to date' if '--check' in sys.argv else 'brought up to date'}.")
    return int(text != wanted and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
