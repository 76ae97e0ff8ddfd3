"""No module opens a file for writing but through `mdnbench.util.atomic`, which leaves none half written."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for folder in ("mdnbench", "plugins") for path in (ROOT / folder).rglob("*.py"))
WRITING = {"write_text", "write_bytes", "savefig", "to_parquet", "to_csv", "copyfile", "copy", "copy2", "move"}
SAVING = {"onnx.save", "torch.save", "np.save", "numpy.save", "np.savez"}  # the place comes first, or second
# Modules that write in another way, and why no half of a file is ever read there.
OTHERWISE = {
    "mdnbench/util/atomic.py": "it is the way itself",
    "mdnbench/training/deploy/export.py": "its caller hands it the file that takes the place of the former one",
    "mdnbench/training/deploy/quantise.py": "its caller hands it the file that takes the place of the former one",
    "mdnbench/data/codecs.py": "os.devnull is no file",
    "mdnbench/data/download.py": "a download goes to a file of its own, which is compared before it takes its name",
    "mdnbench/engine/dask/host.py": "parts that arrive are put together in a file that then takes its name",
    "mdnbench/timing/memory.py": "/proc/self/clear_refs is no file",
}  # fmt: skip


def dotted(node: ast.AST) -> str:
    """`onnx.save` for the expression that says so."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def allowed(tree: ast.AST) -> set[str]:
    """The names that stand for a file of `atomic.replacing`, or for memory."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.withitem) and _calls(node.context_expr, "atomic.replacing") and node.optional_vars:
            found.add(dotted(node.optional_vars))
        elif isinstance(node, ast.Assign) and _calls(node.value, "io.BytesIO", "io.StringIO"):
            found |= {dotted(target) for target in node.targets}
    return found - {""}


def _calls(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func) in names


def writes(text: str) -> Iterator[str]:
    """The lines of a module that write to a file directly, with what they call."""
    tree = ast.parse(text)
    names = allowed(tree)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = dotted(call.func) or (call.func.attr if isinstance(call.func, ast.Attribute) else "")
        last = name.rpartition(".")[2]
        places = {dotted(argument) for argument in call.args[:2]}
        if isinstance(call.func, ast.Attribute):
            places.add(dotted(call.func.value))
        writing = last in WRITING or name in SAVING or (last == "open" and _is_for_writing(call))
        if writing and not name.startswith("atomic.") and not places & names and not _is_no_file(call, last):
            yield f"{call.lineno}: {name}"


def _is_for_writing(call: ast.Call) -> bool:
    modes = [*call.args, *(key.value for key in call.keywords if key.arg == "mode")]
    texts = [each.value for each in modes if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return any(set(text) <= set("rwaxbt+") and set(text) & set("wax+") for text in texts)


def _is_no_file(call: ast.Call, last: str) -> bool:
    """Whether it is a copy in memory, of a list or an array: shutil's take two places."""
    return last in ("copy", "copy2", "move") and dotted(call.func).partition(".")[0] != "shutil"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_written_whole_or_not_at_all(path: Path) -> None:
    """Each module writes through `atomic`, or is in the list above with its reason."""
    found = list(writes(path.read_text(encoding="utf-8")))
    if path.relative_to(ROOT).as_posix() not in OTHERWISE:
        assert found == []


def test_the_exceptions_are_there() -> None:
    """A module that is gone, or writes no more, leaves the list."""
    for name in OTHERWISE:
        assert list(writes((ROOT / name).read_text(encoding="utf-8"))), name


@pytest.mark.parametrize(
    "text",
    [
        "path.write_text('x')",
        "(folder / 'x').write_bytes(b'')",
        "open(path, 'w')",
        "open(path, mode='ab')",
        "path.open('x', encoding='utf-8')",
        "figure.savefig(path)",
        "frame.to_parquet(path)",
        "shutil.copyfile(one, path)",
        "onnx.save(model, path)",
    ],
)
def test_the_rules_find_what_they_forbid(text: str) -> None:
    """Each way is seen, so that an empty list means something; the same is allowed for a file of `atomic`."""
    assert list(writes(text))
    assert not list(writes(f"with atomic.replacing(path) as path:\n    {text}")) or "folder" in text


def test_reading_is_no_writing() -> None:
    """What only reads, or writes to memory, is let through."""
    assert not list(writes("path.open('rb')\nopen(path)\nbuffer = io.BytesIO()\nnp.save(buffer, image)\nlist.copy(x)"))
