"""One module defines all limits: a number that bounds what comes from outside, or a wait, stands nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import mdnbench

ROOT = Path(mdnbench.__file__).parent
LIMITS = ROOT / "util" / "limits.py"
BOUND = re.compile(
    r"_?(MAX|MOST|LONGEST|LARGEST)_\w+|\w+_(S|BYTES|PIXELS|CHARACTERS|CELLS|FILES|FOLDERS|MINUTES|TIMEOUT)|LONGEST|TIMEOUT"
)
# What has such a name and bounds neither: how often something is looked at or drawn, parts of an algorithm, sizes of a
# format, and what a table or a picture shows.
OTHERS = {
    "api/notebook.py": "PAUSE_S", "cli/progress.py": "QUIET_S PATIENCE_S", "data/download.py": "CHUNK_BYTES",
    "data/leaks/keypoints.py": "_MOST_PIXELS _MOST_ELONGATED _LARGEST_ENTRY",
    "data/pillow_formats.py": "HEADER_BYTES", "data/tiff.py": "_BATCH_BYTES", "data/tiff_kind.py": "_MOST_LISTED",
    "engine/coordinator.py": "LONG_S", "engine/dask/engine.py": "MUSTER_S", "engine/dask/host.py": "ANCHOR_S",
    "engine/dask/transfer.py": "CHUNK_BYTES", "engine/loop.py": "WATCH_S", "engine/orders.py": "WAIT_S",
    "engine/processes.py": "LOOK_S", "engine/server.py": "LOOK_S", "registry/importer.py": "OLD_S",
    "registry/trial.py": "POLL_S", "results/figure.py": "LONGEST", "results/numbers.py": "SHORTEST_S",
    "results/tables.py": "LONGEST_REASON", "testing/rules/cheating.py": "SHORT_S",
    "timing/phase.py": "TURN_S", "timing/process.py": "USED_S ONE_ROUND_S",
    "timing/selftests.py": "TURN_S LEAST_GAIN_S", "training/deploy/export.py": "LARGEST_DIFFERENCE",
    "training/loop.py": "REPORT_EVERY_S SAVE_EVERY_S", "util/time_limit.py": "ACTION_BYTES",
    "util/watchdog.py": "TICK_S",
}  # fmt: skip


def numbers(path: Path) -> Iterator[str]:
    """The names that a module gives to numbers."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            value, targets = node.value, node.targets
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            value, targets = node.value, [node.target]
        else:
            continue
        parts = list(ast.walk(value))
        if any(isinstance(part, ast.Constant) and isinstance(part.value, (int, float)) for part in parts) and not any(
            isinstance(part, (ast.Dict, ast.Set, ast.Call, ast.ListComp)) for part in parts
        ):
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_limits_are_defined_in_one_module() -> None:
    """Every other number of such a name is listed above, and what is listed is there."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        names = [name for name in numbers(path) if BOUND.fullmatch(name)] if path != LIMITS else []
        if names:
            found[path.relative_to(ROOT).as_posix()] = " ".join(names)
    assert found == OTHERS, "move a limit to mdnbench/util/limits.py; list here what is none"


def test_every_limit_is_used() -> None:
    """A limit that nothing compares with would only seem to be one."""
    defined = {name for name in numbers(LIMITS) if name.isupper()}
    text = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py") if path != LIMITS)
    own = LIMITS.read_text(encoding="utf-8")
    unused = {name for name in defined if not re.search(rf"\b{name}\b", text) and own.count(name) == 1}
    assert unused == set()
