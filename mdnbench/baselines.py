"""Baselines: a `cells.csv` and a TOML file of the same stem that says what the numbers were made of."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import tomlfile
from mdnbench.errors import BadFile

if TYPE_CHECKING:
    from mdnbench.results import Results

SCHEMA = 1

CellKey = tuple[str, str, int, str]


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """A metric as the baseline knew it; `tolerance` may be edited by hand."""

    revision: str
    direction: str
    digits: int
    tolerance: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the numbers of a baseline were made of."""

    schema: int
    dataset: str
    dataset_digest: str
    protocol: str
    protocol_hash: str
    noise_info: str
    device: str
    noises: dict[str, str]
    metrics: dict[str, MetricFacts]
    methods: dict[str, dict[str, str]]
    packages: dict[str, str] = field(default_factory=dict)
    cpu: str = ""
    created: str = ""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline as read: its facts, and each cell's status and values by image, noise, seed and method."""

    path: Path
    facts: Facts
    cells: Mapping[CellKey, Mapping[str, float | None]]
    statuses: Mapping[CellKey, str]


def read(path: Path) -> Baseline:
    """Read a baseline by its stem or by either of its files; BadFile where one is missing or of a newer schema."""
    stem = _stem(path)
    toml, table = stem.with_name(stem.name + ".toml"), stem.with_name(stem.name + ".csv")
    raw = tomlfile.read(toml, "baseline")
    if raw.get("schema", SCHEMA) != SCHEMA:
        raise BadFile(f"the baseline {toml} has schema {raw.get('schema')}; this mdnbench reads {SCHEMA}. Upgrade it.")
    facts = tomlfile.build(Facts, raw, f"baseline {toml}")
    cells, statuses = _read_cells(table, facts)
    return Baseline(stem, facts, cells, statuses)


def write(results: Results, path: Path) -> Path:
    """Write a run as a baseline: the two files of `path`'s stem."""
    import shutil

    import tomli_w

    from mdnbench import registry

    stem = _stem(path)
    stem.parent.mkdir(parents=True, exist_ok=True)
    written = registry.load().reporters["csv"].write(results, stem.parent)
    shutil.move(written, stem.with_name(stem.name + ".csv"))
    text = tomli_w.dumps(asdict(facts_of(results)))
    stem.with_name(stem.name + ".toml").write_text(text, encoding="utf-8")
    return stem


def facts_of(results: Results) -> Facts:
    """The facts of a run that a baseline keeps."""
    facts = results.run.facts
    metrics = {
        name: MetricFacts(facts["metrics"][name], each["direction"], each["digits"], each["tolerance"], each["unit"])
        for name, each in facts["metric_facts"].items()
        if name not in facts["unavailable"]
    }
    return Facts(
        SCHEMA, facts["dataset"], facts["dataset_digest"], facts["protocol"], facts["protocol_hash"],
        facts["noise_info"], facts["device"], dict(facts["noises"]), metrics, _methods(results),
        dict(facts["environment"]["packages"]), facts["environment"]["cpu"], results.run.created,
    )  # fmt: skip


def _methods(results: Results) -> dict[str, dict[str, str]]:
    """Each method's revision, weights and package versions."""
    found: dict[str, dict[str, str]] = {}
    for row in results.rows():
        if row.method not in found:
            versions = results.run.facts["methods"][row.method]["packages"]
            weights = {"weights": row.provenance["weights_digest"]} if row.provenance["weights_digest"] else {}
            found[row.method] = {"revision": row.provenance["revision"], **weights, **versions}
    return found


def _stem(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".toml").removesuffix(".csv"))


def _read_cells(path: Path, facts: Facts) -> tuple[dict[CellKey, dict[str, float | None]], dict[CellKey, str]]:
    cells, statuses = {}, {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                key = (line["image"], line["noise"], int(line["seed"]), line["method"])
                cells[key] = {name: _number(line.get(name)) for name in facts.metrics}
                statuses[key] = line["status"]
    except FileNotFoundError:
        raise BadFile(f"the baseline {path} is missing beside its .toml.") from None
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise BadFile(f"the baseline {path} cannot be read: {type(error).__name__}: {error}.") from None
    return cells, statuses


def _number(text: Any) -> float | None:
    if text in (None, ""):
        return None
    value = float(text)
    return None if math.isnan(value) else value
