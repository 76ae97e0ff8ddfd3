"""Read and write baselines.

A baseline is a `cells.csv` with the scores, and a TOML file of the same stem with the facts behind them.
"""

from __future__ import annotations

import csv
import gc
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import stdev
from sys import intern
from typing import TYPE_CHECKING, NamedTuple

from mdnbench import registry
from mdnbench.analysis.regression import code_record
from mdnbench.errors import BadFile, MdnbenchError, NothingToDo, UnknownName
from mdnbench.registry.variants import without_weights
from mdnbench.spec import tomlfile
from mdnbench.spec.timings import TimingRecord
from mdnbench.store import queries
from mdnbench.store.rows import CellKey
from mdnbench.util import atomic, jsonfile, temporary

if TYPE_CHECKING:
    from mdnbench.results import Results


@contextmanager
def uncollected() -> Iterator[None]:
    """Turn the garbage collector off, which would visit all cells read so far again and again.

    It would take a third of the time of reading a large table.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


SCHEMA = 1
SECONDS = "seconds"  # the key in a table of tolerances for the share by which a median may grow

TIMING = ".timing.json"
QUOTED = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class BaselineMetric:
    """A metric as it was when the baseline was written.

    Attributes:
        revision: The metric's revision.
        direction: 'higher' or 'lower', whichever is better.
        digits: The number of decimals that tables show.
        tolerance: By how much a mean may change between two trainings, as the metric's spec defines it.
        unit: The unit, empty if there is none.
    """

    revision: str
    direction: str
    digits: int
    tolerance: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts behind the numbers of a baseline.

    `tolerances` and `spread` may be edited by hand; `check --update` keeps them.

    Attributes:
        schema: The version of the file's format.
        methods: For each method its revision, the versions of its packages, and the digest of its weights. The digest's
            key is `weights`, or `weights NOISE` if each noise has its own weights.
        tolerances: By how much a mean may change, by metric. The value for `seconds` is a share.
        spread: The standard deviation of the mean over several trainings, by method and metric.
        code: The digests of the files behind each method, noise and metric (see `code_record`); may be empty.
    """

    schema: int
    dataset: str
    dataset_digest: str
    protocol: str
    protocol_hash: str
    noise_info: str
    device: str
    noises: dict[str, str]
    metrics: dict[str, BaselineMetric]
    methods: dict[str, dict[str, str]]
    packages: dict[str, str] = field(default_factory=dict)
    cpu: str = ""
    created: str = ""
    tolerances: dict[str, float] = field(default_factory=dict)
    spread: dict[str, dict[str, float]] = field(default_factory=dict)
    code: dict[str, dict[str, str]] = field(default_factory=dict)

    def weights(self, method: str, noise: str) -> str:
        """Return the digest of the weights that a method used under a noise; empty for a method without weights."""
        each = self.methods.get(method, {})
        return each.get(f"weights {noise}", each.get("weights", ""))


class StoredCell(NamedTuple):
    """A cell of a baseline: its status, its noisy image's digest, and a value for each metric of the facts."""

    status: str
    noisy: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline that was read: its facts, its cells by image, noise, seed and method, and its timing, if any."""

    path: Path
    facts: Facts
    cells: Mapping[CellKey, StoredCell]
    timing: TimingRecord | None = None


def exists(path: Path) -> bool:
    """Return whether there is a baseline with this stem."""
    return _beside(_stem(path), ".toml").is_file()


def read(path: Path) -> Baseline:
    """Read a baseline.

    Args:
        path: The stem of the baseline, or one of its files.

    Returns:
        The baseline with all its cells.

    Raises:
        BadFile: If a file is missing or cannot be read, or if its schema is not the one of this version of mdnbench.
        UnknownName: If there is a tolerance for an unknown metric.
    """
    stem = _stem(path)
    toml, table = _beside(stem, ".toml"), _beside(stem, ".csv")
    raw = tomlfile.read(toml, "baseline")
    if (schema := raw.get("schema")) != SCHEMA:
        raise BadFile(
            f"the baseline {toml} has schema {schema}; this mdnbench reads {SCHEMA}. Upgrade mdnbench, or remove the "
            "baseline and write it anew (`mdnbench check --update`)."
        )
    facts = tomlfile.build(Facts, raw, f"baseline {toml}")
    _check(facts, toml)
    return Baseline(stem, facts, _read_cells(table, facts), _read_timing(_beside(stem, TIMING)))


def write(results: Results, path: Path) -> Path:
    """Write a run as a baseline.

    Tolerances and spreads that were edited by hand in an earlier baseline are kept.

    Args:
        results: The results of the run.
        path: The stem of the baseline, or one of its files.

    Returns:
        The stem.

    Raises:
        NothingToDo: If the run has no cell that is ok, or was interrupted. Such a baseline would miss regressions.
        MdnbenchError: If the files cannot be written.
    """
    _require_whole(results)
    stem = _stem(path)
    facts = _edited(facts_with_code(results), _beside(stem, ".toml"))
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        _write_files(results, facts, stem)
    except OSError as error:
        raise MdnbenchError(
            f"the baseline cannot be written to {stem.parent}: {error}. Make room, or choose another folder."
        ) from error
    return stem


def _write_files(results: Results, facts: Facts, stem: Path) -> None:
    """Write all files of a baseline into a temporary folder, then move them into place."""
    import tomli_w

    record = results.timing
    with temporary.folder(stem.name, stem.parent) as folder:  # the folder of the baseline may hold another cells.csv
        made = {".csv": registry.load().reporters["csv"].write(results, folder), ".toml": folder / "facts.toml"}
        atomic.write(made[".toml"], tomli_w.dumps(asdict(facts)))
        if record:
            made[TIMING] = folder / TIMING
            jsonfile.write(made[TIMING], record)
        for ending, path in made.items():  # only when all of them are complete, because they belong together
            path.replace(_beside(stem, ending))
    if not record:
        _beside(stem, TIMING).unlink(missing_ok=True)


def _require_whole(results: Results) -> None:
    reason = "" if results.counts["ok"] else "has no cell that is ok"
    if not results.run.finished:
        reason = "was interrupted; the same `mdnbench run` goes on from there"
    if reason:
        raise NothingToDo(f"no baseline is written: run {results.name!r} {reason}.")


def facts_of(results: Results) -> Facts:
    """Return the facts of a run that a baseline keeps, without the code."""
    facts = results.run.facts
    metrics = {
        name: BaselineMetric(facts.metrics[name], each.direction, each.digits, each.tolerance, each.unit)
        for name, each in facts.metric_facts.items()
        if name not in facts.unavailable
    }
    return Facts(
        SCHEMA, facts.dataset, facts.dataset_digest, facts.protocol, facts.protocol_hash,
        facts.noise_info, facts.device, dict(facts.noises), metrics, _methods(results),
        dict(facts.environment.packages), facts.environment.cpu, results.run.created,
        spread=_spread(results),
    )  # fmt: skip


def facts_with_code(results: Results) -> Facts:
    """Return the facts of a run with the digests of its code, to write a baseline or to compare with one."""
    return replace(facts_of(results), code=code_record.of_run(results))


def _methods(results: Results) -> dict[str, dict[str, str]]:
    """Return the revision, the package versions and the digests of weights of each method."""
    found: dict[str, dict[str, str]] = {}
    weights: dict[str, dict[str, str]] = {}
    for noise, method, provenance in queries.provenances(results.store, results.run):
        versions = results.run.facts.methods[method].packages
        found.setdefault(method, {"revision": provenance.revision, **versions})
        if provenance.weights_digest:
            weights.setdefault(method, {})[noise] = provenance.weights_digest
    for method, each in weights.items():
        one = len(set(each.values())) == 1
        found[method] |= {"weights": next(iter(each.values()))} if one else {f"weights {n}": d for n, d in each.items()}
    return found


def _spread(results: Results) -> dict[str, dict[str, float]]:
    """Return the spreads of methods that the run has with several weights.

    A spread is the standard deviation of the mean over the different weights. The noise with the largest one counts.
    The spread is stored under the method with each of the weights, and under the method without weights.
    """
    texts: dict[str, set[str]] = {}
    for method in results.run.facts.methods:
        plain = without_weights(method)
        texts.setdefault(plain, {plain}).add(method)
    if all(len(each) == 1 for each in texts.values()):
        return {}  # without computing the means, which takes seconds if there are many cells
    copies: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in results.means:
        for metric, mean in row.means.items():
            if mean is not None:
                copies.setdefault((without_weights(row.method), metric), {}).setdefault(row.noise, []).append(mean)
    found: dict[str, dict[str, float]] = {}
    for (plain, metric), by_noise in copies.items():
        several = [stdev(means) for means in by_noise.values() if len(means) > 1]
        for text in texts[plain] if several else ():
            found.setdefault(text, {})[metric] = max(several)
    return found


def _edited(facts: Facts, earlier: Path) -> Facts:
    """Return the facts with the tolerances of an earlier baseline, and with its spreads if none were measured now."""
    try:
        raw = tomlfile.read(earlier, "baseline")
        tolerances, spread = raw.get("tolerances", {}), raw.get("spread", {})
        return replace(facts, tolerances=dict(tolerances), spread={**spread, **facts.spread})
    except (BadFile, TypeError, ValueError):
        return facts


def _check(facts: Facts, where: Path) -> None:
    for name, value in facts.tolerances.items():
        if name not in facts.metrics and name != SECONDS and name not in registry.load().metrics:
            raise UnknownName(f"metric in [tolerances] of {where}", name, (*facts.metrics, SECONDS))
        if not 0 <= value < math.inf:
            raise BadFile(f"baseline {where}: tolerances.{name} = {value} must be a number of at least 0.")


def _stem(path: Path) -> Path:
    if not path.name:
        raise BadFile(f"{str(path)!r} is a folder; name a baseline in it, as reports/baselines/set12-sigma50.")
    return path.with_name(path.name.removesuffix(TIMING).removesuffix(".toml").removesuffix(".csv"))


def _beside(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)


@uncollected()
def _read_cells(path: Path, facts: Facts) -> dict[CellKey, StoredCell]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _once(_cells(csv.reader(file), tuple(facts.metrics)))
    except FileNotFoundError:
        raise BadFile(f"the baseline {path} is missing next to its .toml file.") from None
    except (OSError, UnicodeDecodeError, KeyError, IndexError, ValueError, csv.Error) as error:
        raise BadFile(f"the baseline {path} cannot be read: {type(error).__name__}: {error}.") from None


def _once(cells: Iterable[tuple[CellKey, StoredCell]]) -> dict[CellKey, StoredCell]:
    """Return the cells by key; raise ValueError if two lines have the same key."""
    found: dict[CellKey, StoredCell] = {}
    for key, cell in cells:
        if found.setdefault(key, cell) is not cell:
            raise ValueError(f"two lines are of {key[3]} on {key[0]} ({key[1]}, seed {key[2]})")
    return found


def _cells(lines: Iterator[list[str]], metrics: Sequence[str]) -> Iterator[tuple[CellKey, StoredCell]]:
    """Yield the cells of a table.

    Names are interned to save memory, because a million cells share a few of them.
    """
    columns = {name: place for place, name in enumerate(next(lines, []))}
    image, noise, seed, method, status = (columns[name] for name in ("image", "noise", "seed", "method", "status"))
    noisy = columns.get("noisy_digest")
    places = [columns.get(name) for name in metrics]
    for line in filter(None, lines):
        key = (intern(_named(line[image])), intern(line[noise]), int(line[seed]), intern(line[method]))
        values = tuple([None if place is None else _number(line[place]) for place in places])
        yield key, StoredCell(intern(line[status]), "" if noisy is None else line[noisy], values)


def _read_timing(path: Path) -> TimingRecord | None:
    if not path.exists():
        return None
    return jsonfile.read(path, "timing of the baseline,", TimingRecord)


def _named(text: str) -> str:
    """Return a name without the quote that the CSV file adds to keep spreadsheets from reading a formula."""
    return text[1:] if QUOTED.match(text) else text


def _number(text: str) -> float | None:
    """Return the number, or None if the text is empty or not a number."""
    value = float(text or "nan")
    return value if value == value else None
