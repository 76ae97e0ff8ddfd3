"""Outputs that cannot be scored as they are: each is named for what it is, and none enters a mean in silence."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdnbench import api, registry
from mdnbench.results import Results

# What comes back for the small image; the big one is always answered well, so that every method has a mean.
PLUGIN = """
    import mdnbench, numpy, torch

    WRONG = {
        "nan": lambda noisy: torch.where(noisy > 0.99, torch.nan, noisy),
        "infinite": lambda noisy: noisy / 0,
        "perfect": None,
        "flat": lambda noisy: noisy[0, 0],
        "smaller": lambda noisy: noisy[..., 1:].clone(),
        "one-pixel": lambda noisy: noisy.mean(dim=(2, 3), keepdim=True),
        "half": lambda noisy: noisy.half(),
        "double": lambda noisy: noisy.double(),
        "bytes": lambda noisy: (noisy.clamp(0, 1) * 255).byte(),
        "scaled": lambda noisy: noisy * 255,
        "complex": lambda noisy: torch.fft.fft2(noisy),
        "array": lambda noisy: noisy.numpy(),
        "objects": lambda noisy: numpy.array([[None]], dtype=object),
        "nothing": lambda noisy: None,
        "gpu-like": lambda noisy: noisy.to("meta"),
        "sparse": lambda noisy: noisy.to_sparse(),
    }

    def spec(name, wrong):
        def build(options, device, weights):
            def denoise(noisy, noise):
                if noisy.shape[-1] == 512:
                    return noisy.clone()
                if wrong is None:
                    return torch.from_numpy(numpy.load(__file__.replace("wrong.py", "known.npy")))[None, None]
                return wrong(noisy)
            return denoise
        return mdnbench.DenoiserSpec(name, "1", name, build)

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [spec(name, wrong) for name, wrong in WRONG.items()]
"""
SAYS = {
    "nan": "NaN or infinite pixels", "infinite": "NaN or infinite pixels", "flat": "expected shape (1, 1, 256, 256)",
    "smaller": "got (1, 1, 256, 255)", "one-pixel": "got (1, 1, 1, 1)", "half": "expected dtype torch.float32, got",
    "double": "got torch.float64", "bytes": "got torch.uint8", "scaled": "0-255?", "complex": "got torch.complex64",
    "array": "expected a torch tensor, got ndarray", "objects": "expected a torch tensor, got ndarray",
    "nothing": "expected a torch tensor, got NoneType", "gpu-like": "on device meta", "sparse": "torch.sparse_coo",
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """One run of all the methods above, in one worker that survives them all."""
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "wrong.py").write_text(textwrap.dedent(PLUGIN), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        np.save("known.npy", registry.load().datasets["sk12"].load("01"))  # as a method that has learned it by heart
        return api.run(
            methods=[*SAYS, "perfect"], sigma=50, dataset="sk12", images=["01", "08"], metrics=["psnr", "ssim"],
            timing=False, jobs=1, plugins=["wrong.py"],
        )  # fmt: skip


def cells(results: Results, method: str) -> dict[str, dict[str, Any]]:
    """The two cells of a method, by image."""
    return {record["image"]: record for record in results.records() if record["method"] == method}


@pytest.mark.parametrize("method", SAYS)
def test_fault_13_what_breaks_the_contract_is_invalid(results: Results, method: str) -> None:
    """Wrong shape, type, scale or nothing at all: `invalid`, with what was expected and what came."""
    bad = cells(results, method)["01"]
    assert (bad["status"], bad["psnr"]) == ("invalid", None)
    assert SAYS[method] in bad["reason"]


def test_fault_11_nan_and_infinity_are_never_averaged(results: Results) -> None:
    """The mean is the one good cell's, and the table says that one of two is missing and why."""
    for method in ("nan", "infinite"):
        (row,) = [row for row in results.means if row.method == method]
        assert (row.ok, row.total, row.problems) == (1, 2, {"invalid": 1})
        assert row.means["psnr"] == cells(results, method)["08"]["psnr"]
        assert f"{method}: 1 of 2 cells are missing (1 invalid: expected finite" in "\n".join(results.tables[0].notes)


def test_fault_12_a_perfect_output_is_shown_as_infinite(
    results: Results, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """∞ where every cell is perfect, null with a flag in JSON, left out of a mean, and the table says so."""
    from mdnbench.cli import draw, run_document, run_tables

    perfect = cells(results, "perfect")["01"]
    assert (perfect["status"], perfect["psnr"]) == ("ok", float("inf"))
    (row,) = [row for row in results.means if row.method == "perfect"]
    assert row.infinite == {"psnr": 1}
    assert row.means["psnr"] == cells(results, "perfect")["08"]["psnr"]
    assert "perfect: PSNR is infinite in 1 cell; the mean leaves them out." in results.tables[0].notes
    draw.data("run", run_document.of(results))
    (cell,) = [each for each in json.loads(capsys.readouterr().out)["cells"] if each["infinite"]]
    assert (cell["method"], cell["scores"]["psnr"], cell["infinite"]) == ("perfect", None, ["psnr"])
    (tmp_path / "wrong.py").write_text(textwrap.dedent(PLUGIN), encoding="utf-8")
    np.save(tmp_path / "known.npy", registry.load().datasets["sk12"].load("01"))
    alone = api.run(
        methods=["perfect"], sigma=50, dataset="sk12", images=["01"], metrics=["psnr"], timing=False, jobs=1,
        plugins=["wrong.py"],
    )  # fmt: skip
    run_tables.draw(alone)
    assert re.search(r"perfect +∞ ", capsys.readouterr().out)
    assert "∞" in (alone.folder / "table.md").read_text(encoding="utf-8")
