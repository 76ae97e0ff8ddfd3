"""Files from outside: weights cut short or made to run code, a metric's backbone that is missing, baselines, images."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tomli_w

from mdnbench import api, registry, weights
from mdnbench.errors import MdnbenchError
from mdnbench.results import Results
from mdnbench.spec import tomlfile

Cli = Callable[..., subprocess.CompletedProcess[str]]
SK12 = ("--sigma", 50, "--dataset", "sk12", "--images", "01", "--no-timing", "--jobs", 1)


# -- weights -------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(workspace: Path) -> weights.Weights:
    """Weights of DnCNN under MDNBENCH_HOME, as a training would leave them."""
    spec = registry.load().denoisers["dncnn"]
    assert spec.trainable
    found = weights.shipped(spec.trainable)
    if not found:
        pytest.skip("no weights are shipped with dncnn")
    return weights.export(found[0], workspace / "home" / "weights" / "dncnn", "own", half=False)


def _complaint(cli: Cli, own: weights.Weights) -> str:
    """What a run says of the cell whose weights are damaged; the other method's cell is ok."""
    done = cli("run", "--methods", "noisy,dncnn[weights=own]", "--metrics", "psnr", *SK12, "--json")
    assert done.returncode == 4, done.stderr
    (bad,) = [cell for cell in json.loads(done.stdout)["cells"] if cell["status"] != "ok"]
    assert (bad["status"], bad["method"]) == ("failed", "dncnn[weights=own]")
    for part in (str(own.path), "`mdnbench train dncnn … --name own`"):
        assert part in bad["reason"]
    return str(bad["reason"])


def test_fault_16_weights_that_are_cut_short(own: weights.Weights, cli: Cli) -> None:
    """The cell fails with the file, what its size is and should be, and the command that makes it anew."""
    content = own.path.read_bytes()
    own.path.write_bytes(content[:-1000])
    assert f"has {len(content) - 1000} bytes where its card says {len(content)}" in _complaint(cli, own)


def test_fault_17_weights_with_one_bit_flipped(own: weights.Weights, cli: Cli) -> None:
    """The cell fails with both digests."""
    content = bytearray(own.path.read_bytes())
    content[len(content) // 2] ^= 4
    own.path.write_bytes(content)
    assert f"where its card says {own.sha256}" in _complaint(cli, own)


class Trap:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """What an attacker would write."""
        return os.mkdir, ("sprung",)


def test_fault_21_weights_that_run_code(cli: Cli, workspace: Path) -> None:
    """`weights import` refuses them in one line, runs nothing of them, and takes nothing in."""
    (workspace / "trap.pth").write_bytes(pickle.dumps(Trap()))
    refused = cli("weights", "import", "dncnn", "trap.pth", "--name", "trap")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "trap.pth" in line
    assert "nothing in it was run" in line
    assert not (workspace / "sprung").exists()
    assert not list((workspace / "home").rglob("*trap*"))


@pytest.mark.full
@pytest.mark.usefixtures("no_data")
def test_fault_19_lpips_without_its_backbone(cli: Cli) -> None:
    """Offline and without the file, LPIPS is skipped with the command that fetches it; PSNR and SSIM are intact."""
    done = cli("run", "--methods", "noisy", "--metrics", "all", *SK12, "--json", "--out", "w")
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    assert cell["scores"]["lpips"] is None
    (usual,) = json.loads(
        cli("run", "--methods", "noisy", "--metrics", "psnr,ssim", *SK12, "--json", "--fresh").stdout
    )["cells"]
    assert [cell["scores"][name] for name in ("psnr", "ssim")] == [usual["scores"][name] for name in ("psnr", "ssim")]
    assert cell["scores"]["psnr"] > 10
    (table,) = api.open_run("w").tables
    assert [column.name for column in table.columns if "mdnbench data fetch lpips" in column.absent] == ["lpips"]


# -- images --------------------------------------------------------------------------------------------------------


def test_fault_24_images_that_are_not_scored(cli: Cli, workspace: Path) -> None:
    """Each is refused by name, in one line, before anything is run; a good one beside it does not help."""
    folder = workspace / "photos"
    folder.mkdir()
    good = np.random.default_rng(0).integers(0, 255, (24, 32), dtype=np.uint8)
    PIL.Image.fromarray(good).save(folder / "good.png")
    bad: dict[str, Callable[[Path], Any]] = {
        "huge.png": lambda path: path.write_bytes(_png_header(100_000, 100_000)),
        "zero.png": lambda path: path.write_bytes(_png_header(0, 20)),
        "alpha.png": lambda path: PIL.Image.fromarray(good).convert("LA").save(path),
        "bits.png": lambda path: PIL.Image.fromarray(good).convert("1").save(path),
        "nan.tif": lambda path: PIL.Image.fromarray(np.full((24, 32), np.nan, np.float32)).save(path),
        "tiny.png": lambda path: PIL.Image.fromarray(good[:9]).save(path),
    }
    for name, write in bad.items():
        write(folder / name)
        said = cli("run", "--methods", "noisy", "--sigma", 50, "--dataset", folder, "--metrics", "ssim", "--no-timing")
        assert said.returncode == 2, said.stdout
        (line,) = said.stderr.splitlines()
        assert name.removesuffix(".png") in line
        (folder / name).unlink()
    assert not (workspace / ".mdnbench" / "results.sqlite").exists()


def _png_header(width: int, height: int) -> bytes:
    """The first bytes of a PNG that claims this size, and nothing after them."""
    import struct
    import zlib

    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


# -- baselines -----------------------------------------------------------------------------------------------------


def _refusal(found: Results, baseline: Path) -> MdnbenchError:
    with pytest.raises(MdnbenchError) as caught:
        api.check(found, baseline)
    assert "\n" not in str(caught.value)
    return caught.value


def test_fault_27_baselines_that_cannot_be_compared(finished: Results, tmp_path: Path) -> None:
    """Missing, of a newer schema, of another protocol, of other cells: each has its own message, and exit 2 or 5."""
    stem = api.write_baseline(finished, tmp_path / "sound")
    assert api.check(finished, stem).exit_code == 0

    def changed(name: str, **keys: Any) -> Path:
        shutil.copy(f"{stem}.csv", tmp_path / f"{name}.csv")
        facts = tomlfile.read(Path(f"{stem}.toml"), "baseline") | keys
        (tmp_path / f"{name}.toml").write_text(tomli_w.dumps(facts), encoding="utf-8")
        return tmp_path / name

    cases = {
        "there is no baseline": (tmp_path / "nowhere", 2),
        "has schema 99": (changed("newer", schema=99), 2),
        "protocol": (changed("other", protocol="float", protocol_hash="0" * 8), 2),
    }
    for says, (path, code) in cases.items():
        error = _refusal(finished, path)
        assert says in str(error)
        assert error.exit_code == code
    _rewrite(changed("foreign"), lambda row: {**row, "image": f"9{row['image']}"})
    nothing = _refusal(finished, tmp_path / "foreign")
    assert nothing.exit_code == 5
    assert "not a pass" in str(nothing)


def test_fault_27_a_run_that_covers_fewer_cells(finished: Results, tmp_path: Path) -> None:
    """What the baseline has and the run lacks is a regression, told cell by cell or method by method."""
    stem = api.write_baseline(finished, tmp_path / "sound")
    verdict = api.check(finished, stem)
    assert verdict.missing == ()
    rows = _rows(stem)
    more = [{**row, "image": "07"} for row in rows if row["image"] == "01"]
    _write(stem, [*rows, *more])
    verdict = api.check(finished, stem)
    assert verdict.exit_code == 1
    assert len(verdict.missing) == len(more)
    assert dataclasses.is_dataclass(verdict)


def _rows(stem: Path) -> list[dict[str, str]]:
    with Path(f"{stem}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(stem: Path, rows: list[dict[str, str]]) -> None:
    with Path(f"{stem}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def _rewrite(stem: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    _write(stem, [change(row) for row in _rows(stem)])
