"""Published and claimed numbers, as files: one line per number, with its source."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mdnbench.errors import BadFile
from mdnbench.spec.names import show

FOLDER = Path(__file__).parent
COLUMNS = ("method", "dataset", "noise", "sigma", "image", "metric", "value", "source")
MEAN = "mean"  # in place of an image: the mean over the whole data set


@dataclass(frozen=True, slots=True)
class Reference:
    """A number that someone printed: what it was measured on, in the words of our tables, and where it stands.

    `noise` is canonical text, as `gaussian:sigma=50`; `image` an image's id, or `mean` for the whole data set.
    """

    method: str
    dataset: str
    noise: str
    image: str
    metric: str
    value: float
    source: str


def published() -> tuple[Reference, ...]:
    """What papers and repositories print under the protocol `standard`."""
    return read(FOLDER / "published.csv")


def read(path: Path) -> tuple[Reference, ...]:
    """Read a file of references; BadFile names the line that cannot be used."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_header(path, reader.fieldnames or ())
            return tuple(_reference(line, f"{path}, line {reader.line_num}") for line in reader)
    except FileNotFoundError:
        raise BadFile(f"there is no file of references {path}.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadFile(f"the references {path} cannot be read: {error}.") from None


def _check_header(path: Path, given: object) -> None:
    names = tuple(given) if isinstance(given, (list, tuple)) else ()
    if missing := [name for name in COLUMNS if name not in names]:
        raise BadFile(f"{path}, line 1: the columns {', '.join(missing)} are missing; needed are {','.join(COLUMNS)}.")


def _reference(line: Mapping[str, str | None], where: str) -> Reference:
    text = {name: (line.get(name) or "").strip() for name in COLUMNS}
    if None in line:  # DictReader's key for what is beyond the last column
        raise BadFile(f"{where} has more fields than the header; put quotes around texts with commas.")
    for name in ("method", "dataset", "noise", "image", "metric"):
        if not text[name]:
            raise BadFile(f"{where}: {name} is empty.")
    value = _number(text["value"], "value", where)
    noise = _noise(text["noise"], text["sigma"], where)
    return Reference(
        text["method"], text["dataset"], noise, text["image"], text["metric"].lower(), value, text["source"]
    )  # fmt: skip


def _noise(name: str, sigma: str, where: str) -> str:
    """The noise's text: from its name and sigma, or as it stands where it names its parameters itself."""
    if ":" in name or not sigma:
        return name
    level = _number(sigma, "sigma", where)
    if level < 0:
        raise BadFile(f"{where}: sigma = {sigma} must not be negative; it is on the 0-255 scale.")
    return f"{name}:sigma={show(level)}"


def _number(text: str, name: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadFile(f"{where}: {name} = {text!r} is not a number.")
    return value
