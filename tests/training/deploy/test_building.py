"""Variants as a worker builds them: near to the method itself, on as many threads as torch, or with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdnbench import NoiseInfo, api
from mdnbench.data import images
from mdnbench.errors import Unavailable
from mdnbench.training.deploy import building, models
from mdnbench.weights import Weights
from mdnbench.wrappers.onnx_session import Session

Built = Callable[..., Any]


@pytest.mark.parametrize("backend", [pytest.param("onnxruntime", marks=pytest.mark.full), "openvino"])
def test_another_backend_takes_colour_and_estimates_the_level(
    home: Path, noisy: torch.Tensor, told: NoiseInfo, built: Built, backend: str
) -> None:
    """Channel by channel, as the method itself does it, and with the same estimate where no level is told."""
    whole, onnx = built("unet[weights=own]"), built(f"unet[weights=own,backend={backend}]")
    colour = torch.cat([noisy, noisy.flip(-1), noisy.flip(-2)], dim=1)
    for given, info in ((noisy, told), (colour, told), (noisy, NoiseInfo())):
        before = given.clone()
        result = onnx(given, info)
        assert result.shape == given.shape
        assert result.is_contiguous()
        assert torch.equal(given, before)
        assert float((result - whole(given, info)).abs().max()) < 1e-5


def test_bfloat16_is_near(
    home: Path, noisy: torch.Tensor, told: NoiseInfo, built: Built, psnr: Callable[[torch.Tensor], float]
) -> None:
    """Within 0.05 dB of full precision on a real image, in float32 as it comes out, and not the same."""
    if not building.bfloat16_is_quick("cpu"):
        with pytest.raises(Unavailable, match="no instructions for bfloat16"):
            built("unet[weights=own,precision=bf16]")
        return
    whole, short = built("unet[weights=own]")(noisy, told), built("unet[weights=own,precision=bf16]")(noisy, told)
    assert short.dtype == torch.float32
    assert not torch.equal(short, whole)
    assert abs(psnr(short) - psnr(whole)) < 0.05


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")  # torch's own
@pytest.mark.skipif(not building.compiler(), reason="there is no C++ compiler here")
@pytest.mark.parametrize("variant", ["compile=true", "precision=bf16,compile=true"])
def test_compiled_gives_what_it_gives_uncompiled(
    home: Path, noisy: torch.Tensor, told: NoiseInfo, built: Built, variant: str
) -> None:
    """At two sizes, each compiled by itself, and kept in this home."""
    if "bf16" in variant and not building.bfloat16_is_quick("cpu"):
        pytest.skip("this processor has no instructions for bfloat16")
    plain = built(f"unet[weights=own,{variant.replace(',compile=true', '').replace('compile=true', 'keep=1')}]")
    fast = built(f"unet[weights=own,{variant}]")
    for given in (noisy, noisy[..., :64, :64].contiguous()):
        assert float((fast(given, told) - plain(given, told)).abs().max()) < 0.01
    assert any((home / "deploy" / f"compiled-{torch.get_num_threads()}").rglob("*.cpp"))


def test_without_a_compiler_it_says_so(home: Path, built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PATH has none, and where CXX names one that is not there."""
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(Unavailable, match=r"needs a C\+\+ compiler, .* \(looked for g\+\+, clang\+\+, c\+\+\)"):
        built("unet[weights=own,compile=true]")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Unavailable, match="looked for no-such-compiler"):
        built("unet[weights=own,compile=true]")


@pytest.mark.parametrize(
    ("provider", "wanted", "advice"),
    [("tensorrt", "TensorrtExecutionProvider", "TensorRT"), ("cuda", "CUDAExecutionProvider", "cuDNN")],
)
def test_a_provider_that_is_not_there_is_named(
    home: Path, built: Built, provider: str, wanted: str, advice: str
) -> None:
    """With those that are, and what to install; nothing falls back to another one."""
    import onnxruntime

    if wanted in onnxruntime.get_available_providers():
        with pytest.raises(Unavailable, match="computes on a GPU; run it with --device cuda"):
            built(f"unet[weights=own,backend=onnxruntime,provider={provider}]")
        return
    with pytest.raises(Unavailable, match=f"no {wanted}, only .*CPUExecutionProvider.*onnxruntime-gpu.*{advice}"):
        built(f"unet[weights=own,backend=onnxruntime,provider={provider}]", device="cuda")


def test_sessions_have_as_many_threads_as_torch(home: Path, known: Any, found: Weights, noisy: torch.Tensor) -> None:
    """One for a cell; in timings on more threads the session is opened anew, and gives the same to rounding."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        session = Session(models.path_of(known.denoisers["unet"], found, "fp32"), "cpu")
        feeds = {"noisy": noisy.numpy(), "std": np.full((1, 1, 1, 1), 0.2, np.float32)}
        alone = session.run(feeds)
        counts = []
        for count in (1, 2, 1):
            torch.set_num_threads(count)
            assert np.abs(session.run(feeds) - alone).max() < 1e-5
            options = session._ready().get_session_options()
            counts.append((options.intra_op_num_threads, options.inter_op_num_threads))
    finally:
        torch.set_num_threads(before)
    assert counts == [(1, 1), (2, 1), (1, 1)]


def test_without_weights_or_a_network_it_says_so(home: Path, known: Any) -> None:
    """A variant of a method that has no weights is unavailable, as the method itself would be."""
    named = known.method("unet[precision=int8]")
    with pytest.raises(Unavailable, match="has no weights for this noise; train it first"):
        building.build(known, known.denoisers["unet"], named, "cpu", None)


@pytest.fixture
def asked(home: Path, plugin_file: Path, clean: Any) -> dict[str, Any]:
    """A run of unet and two variants of it on one crop of a photograph."""
    folder = home.parent / "images"
    folder.mkdir()
    images.write_png(folder / "crop.png", clean)
    return {
        "methods": ["unet[weights=own]", "unet[weights=own,precision=int8]", "unet[weights=own,backend=onnxruntime]"],
        "sigma": 50, "dataset": "images", "metrics": "psnr", "jobs": 1, "plugins": [str(plugin_file)], "timing": False,
    }  # fmt: skip


def test_variants_run_through_the_same_matrix(asked: dict[str, Any]) -> None:
    """A run's workers build them, and the store keeps them apart and knows the versions behind them."""
    whole, small, onnx = asked["methods"]
    found = api.run(**asked)
    assert found.counts == {"ok": 3}
    means = {row.method: row.means["psnr"] for row in found.means}
    assert means[onnx] == pytest.approx(means[whole], abs=1e-4)
    assert means[small] == pytest.approx(means[whole], abs=0.3)
    assert means[small] != means[whole]
    packages = {row.method: set(row.provenance.packages) for row in found.rows()}
    assert "onnxruntime" in packages[small] & packages[onnx]
    assert "onnxruntime" not in packages[whole]
    assert api.estimate(api.plan(**asked)).new_cells == 0


@pytest.mark.full
def test_a_file_that_cannot_be_made_fails_its_cells_alone(asked: dict[str, Any], convolution: Built) -> None:
    """A network that takes no odd sizes has no ONNX file: its cells say why, and all others run."""
    plugin, _ = convolution("self.layer(noisy) + F.interpolate(F.avg_pool2d(noisy, 2), scale_factor=2)")
    images.write_png(Path("images", "crop.png"), np.zeros((32, 32), np.float32))
    methods = ["noisy", "convolution", "convolution[backend=onnxruntime]"]
    found = api.run(**asked | {"methods": methods, "plugins": [str(plugin)]})
    assert found.counts == {"ok": 2, "failed": 1}
    (row,) = (row for row in found.rows() if row.status == "failed")
    assert row.method == methods[-1]
    assert "were tried on an image of 53x37 pixels" in row.reason


@pytest.mark.full
def test_timings_know_what_each_variant_weighs(asked: dict[str, Any]) -> None:
    """The size of the file stands in the record and in the table: eight bits weigh half of what is shipped."""
    whole, small, onnx = asked["methods"]
    timed = api.time(sizes=[64], threads=[1], budget_s=60, **asked)
    sizes = {each.name: each.extra_info.file_bytes for each in timed.record.benchmarks}
    assert sizes[small] < 0.6 * sizes[whole] < 0.4 * sizes[onnx]
    assert "File MB" in [column.title for column in next(iter(timed.tables)).columns]
    assert timed.exit_code == 0
