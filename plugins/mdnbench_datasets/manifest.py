"""Read manifests: NAME.toml describes a data set, and NAME.csv next to it lists its files."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from mdnbench import DataFile, DatasetSpec, data
from mdnbench.data import images
from mdnbench.data.folders import natural_key
from mdnbench.errors import BadFile
from mdnbench.spec import tomlfile
from mdnbench.spec.specs import Image
from mdnbench_datasets import sk12

COLUMNS = ["file", "sha256", "bytes", "width", "height", "mode"]


@dataclass(frozen=True, slots=True)
class DatasetManifest:
    """The contents of NAME.toml: files come from `addresses`, or `images` are crops of scikit-image's photographs."""

    name: str
    summary: str
    split: Literal["train", "test"]
    channels: int
    licence: str
    citation: str
    addresses: tuple[str, ...] = ()
    images: tuple[sk12.Crop, ...] = ()


def folder() -> Path:
    """Return the folder of the manifests: inside an installed wheel, otherwise `datasets/` of the repository."""
    here = Path(__file__).resolve().parent
    inside = here / "manifests"
    return inside if inside.is_dir() else here.parents[1] / "datasets"


def read_all() -> list[DatasetSpec]:
    """Return the data sets of all manifests, sorted by name."""
    return [read(path) for path in sorted(folder().glob("*.toml"))]


def read(path: Path) -> DatasetSpec:
    """Return the data set that a manifest describes; raise BadFile if the manifest is not valid."""
    manifest = tomlfile.build(DatasetManifest, tomlfile.read(path, "manifest"), f"the manifest {path.name}")
    if manifest.images:
        crops = {crop.id: crop for crop in manifest.images}
        return _spec(manifest, tuple(crops), lambda identity: sk12.load(crops[identity]))
    return _of_files(manifest, _files(path.with_suffix(".csv"), manifest.addresses))


def _of_files(manifest: DatasetManifest, files: list[DataFile]) -> DatasetSpec:
    ordered = sorted(files, key=lambda file: natural_key(file.name))
    by_id = {file.name.rpartition(".")[0]: file for file in ordered}

    def load(identity: str) -> Image:
        return images.read_image(data.locate(f"datasets/{manifest.name}", by_id[identity]))

    return _spec(manifest, tuple(by_id), load, tuple(by_id.values()))


def _files(path: Path, addresses: tuple[str, ...]) -> list[DataFile]:
    """Return the files in the rows of NAME.csv; an optional seventh column has the folder below the addresses."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        if header[:6] != COLUMNS:
            raise ValueError(f"its first columns must be {', '.join(COLUMNS)}")
        return [_file(row, addresses) for row in rows]
    except (OSError, ValueError, csv.Error) as error:
        raise BadFile(f"the manifest {path} cannot be read: {error}.") from None


def _file(row: list[str], addresses: tuple[str, ...]) -> DataFile:
    name, sha256, size, _, _, _, *below = row
    place = "/".join([*below, quote(name)])
    return DataFile(name, sha256, int(size), tuple(address + place for address in addresses))


def _spec(
    manifest: DatasetManifest, ids: tuple[str, ...], load: Callable[[str], Image], files: tuple[DataFile, ...] = ()
) -> DatasetSpec:
    return DatasetSpec(
        name=manifest.name,
        summary=manifest.summary,
        split=manifest.split,
        channels=manifest.channels,
        images=ids,
        load=load,
        files=files,
        licence=manifest.licence,
        citation=manifest.citation,
    )
