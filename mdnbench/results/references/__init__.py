"""Published and claimed numbers, stored in CSV files with one number and its source per line."""

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
    """A published or claimed number.

    Attributes:
        method: The method's name.
        dataset: The data set's name.
        noise: The noise, as canonical text such as `gaussian:sigma=50`.
        image: The image's id, or `mean` for the mean over the whole data set.
        metric: The metric's name.
        value: The number.
        source: Where the number is printed.

    """

    method: str
    dataset: str
    noise: str
    image: str
    metric: str
    value: float
    source: str


def published() -> tuple[Reference, ...]:
    """Return the numbers that papers and repositories print under the protocol `standard`."""
    return read(FOLDER / "published.csv")


def read(path: Path) -> tuple[Reference, ...]:
    """Read a file of references.

    Raises:
        BadFile: If the file cannot be read, or if a line cannot be used; the message names the line.

    """
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
    """Raise BadFile if the header lacks a column."""
    names = tuple(given) if isinstance(given, (list, tuple)) else ()
    if missing := [name for name in COLUMNS if name not in names]:
        raise BadFile(f"{path}, line 1: the columns {', '.join(missing)} are missing; needed are {','.join(COLUMNS)}.")


def _reference(line: Mapping[str, str | None], where: str) -> Reference:
    """Return the reference in a line; `where` names the line in messages."""
    text = {name: (line.get(name) or "").strip() for name in COLUMNS}
    if None in line:  # DictReader's key for fields beyond the last column
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
    """Return the noise's canonical text, made from its name and sigma unless the name includes its parameters."""
    if ":" in name or not sigma:
        return name
    level = _number(sigma, "sigma", where)
    if level < 0:
        raise BadFile(f"{where}: sigma = {sigma} must not be negative; it is on the 0-255 scale.")
    return f"{name}:sigma={show(level)}"


def _number(text: str, name: str, where: str) -> float:
    """Return a text as a finite number; raise BadFile if it is not one."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadFile(f"{where}: {name} = {text!r} is not a number.")
    return value
