"""Colour from end to end: photographs in colour through planning, workers, scoring and tables."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage

from mdnbench import api, registry
from mdnbench.data import images
from mdnbench.spec.records import NoiseInfo
from mdnbench_datasets import manifest

CROPS = {"astronaut": ("astronaut.png", 20, 180), "cat": ("chelsea.png", 80, 150)}
CLASSICAL = ("noisy", "median", "wavelet", "tv", "nlm")
BM3D = "bm3d[profile=lc]"
SIGMA = 50


def photographs(folder: Path, ending: str = "png") -> Path:
    """A folder with crops of colour photographs that scikit-image installs with itself."""
    folder.mkdir()
    for name, (file, top, left) in CROPS.items():
        whole = images.read_image(Path(skimage.__file__).parent / "data" / file)
        images.write_png(folder / f"{name}.{ending}", whole[top : top + 64, left : left + 72])
    return folder


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of BM3D and the classical methods over them."""
    base = tmp_path_factory.mktemp("colour")
    return api.run(
        methods=[BM3D, *CLASSICAL], sigma=SIGMA, dataset=str(photographs(base / "photographs")),
        metrics=["psnr", "ssim"], timing=False, jobs=1, workspace_folder=base / ".mdnbench",
    )  # fmt: skip


def test_every_method_for_colour_has_every_cell(found: Any) -> None:
    """Nothing is skipped, nothing fails, and each method gains what it should over the noise."""
    assert found.exit_code == 0
    means = {row.method: row.means for row in found.means}
    assert set(means) == {BM3D, *CLASSICAL}
    assert dict(found.counts) == {"ok": len(CROPS) * len(means)}
    assert means["noisy"]["psnr"] == pytest.approx(20 * np.log10(255 / SIGMA), abs=1.0)  # clamped, it is a little more
    for method in ("wavelet", "tv", "nlm"):
        assert means[method]["psnr"] > means["noisy"]["psnr"] + 6, method
    assert means["median"]["psnr"] > means["noisy"]["psnr"] + 3
    assert means[BM3D]["psnr"] == max(each["psnr"] for each in means.values())
    assert means[BM3D]["ssim"] == max(each["ssim"] for each in means.values())


def test_bm3d_in_colour_beats_bm3d_channel_by_channel(found: Any, tmp_path: Path) -> None:
    """Colour BM3D matches blocks in the luminance and shares them: that is worth half a decibel and more."""
    denoise = registry.load().denoisers["bm3d"].build({"engine": "own", "profile": "lc"}, "cpu", None)
    import torch

    clean = images.read_image(photographs(tmp_path / "again") / "cat.png")
    noisy = clean + SIGMA / 255 * np.random.default_rng(3).standard_normal(clean.shape).astype(np.float32)
    planes = torch.from_numpy(noisy.transpose(2, 0, 1).copy())[None]
    told = NoiseInfo("gaussian", {"sigma": SIGMA}, SIGMA / 255, "known")
    jointly = denoise(planes, told)
    apart = torch.cat([denoise(planes[:, c : c + 1], told) for c in range(3)], dim=1)
    errors = [float(((each[0].numpy().transpose(1, 2, 0) - clean) ** 2).mean()) for each in (jointly, apart)]
    assert 10 * np.log10(errors[1] / errors[0]) > 0.5


def test_the_same_images_in_gray_are_other_cells(found: Any) -> None:
    """With --gray nothing of the colour run is taken for an answer, and the name of the data set says why."""
    turned = api.run(
        methods=["median"], sigma=SIGMA, dataset=found.run.facts.dataset_folder, gray=True, metrics=["psnr"],
        timing=False, jobs=1, workspace_folder=found.folder.parents[1],
    )  # fmt: skip
    assert turned.run.facts.dataset == "photographs[gray]"
    assert not set(turned.run.facts.images.values()) & set(found.run.facts.images.values())
    assert turned.name != found.name


def test_a_colour_set_with_a_manifest_runs_from_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As CBSD68, Kodak24 and McMaster do: a manifest, pinned files in a data folder, images in colour."""
    folder = photographs(tmp_path / "files")
    rows = [",".join(manifest.COLUMNS)]
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        rows.append(f"{path.name},{hashlib.sha256(content).hexdigest()},{len(content)},72,64,RGB")
    (tmp_path / "own.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "own.toml").write_text(
        'name = "own"\nsummary = "two"\nsplit = "test"\nchannels = 3\nlicence = "CC0"\ncitation = ""\n'
        'addresses = ["https://images.invalid/"]\n'
    )
    place = tmp_path / "data" / "datasets" / "own"
    place.parent.mkdir(parents=True)
    folder.rename(place)
    monkeypatch.setenv("MDNBENCH_DATA_PATH", str(tmp_path / "data"))
    plugin = tmp_path / "own.py"
    plugin.write_text(
        "from pathlib import Path\nfrom mdnbench import hookimpl\nfrom mdnbench_datasets import manifest\n\n\n"
        "@hookimpl\ndef mdnbench_datasets():\n"
        '    return [manifest.read(Path(__file__).with_name("own.toml"))]\n'
    )
    for name, channels in (("own", 3), ("own[gray]", 1)):
        planned = api.plan(methods="noisy", sigma=25, dataset=name, metrics="psnr", plugins=[str(plugin)])
        assert planned.dataset.name == name
        assert {len(image.shape) for image in planned.images} == {3 if channels == 3 else 2}
        assert [image.id for image in planned.images] == sorted(CROPS)
    (place / "cat.png").write_bytes(b"something else")
    with pytest.raises(Exception, match=r"cat\.png is not the expected file"):
        api.plan(methods="noisy", sigma=25, dataset="own[gray]", metrics="psnr", plugins=[str(plugin)])
