"""A method from a PyTorch module and its weights: the same output as the network by itself, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

import mdnbench_masked_unet
from mdnbench import DataFile, NoiseInfo, Option, api, registry, weights, wrap_torch
from mdnbench.data import images
from mdnbench.errors import BadOption, Unavailable, WeightsError
from mdnbench.util import digests
from mdnbench.util.listener import Listener

UNET = Path(mdnbench_masked_unet.__file__).parent / "weights" / "unet"


def unet() -> Any:
    """The network of the shipped U-Net weights, which is told the noise level."""
    from mdnbench_masked_unet.network import make

    return make(False, blind=False, size="default", colour=False)


def test_the_shipped_dncnn_wrapped_is_the_shipped_dncnn(
    noisy: Any, told: NoiseInfo, dncnn: Any, shipped_file: Path, built: Callable[..., Any]
) -> None:
    """One line with a network and a weights file gives what the plugin that ships them gives."""
    plugin = registry.load().denoisers["dncnn"]
    card = weights.shipped(plugin.trainable)[0]  # type: ignore[arg-type]
    expected = plugin.build({"depth": 17, "colour": False}, "cpu", card)(noisy, told)
    result = built(wrap_torch("mine", dncnn, shipped_file))(noisy, told)
    assert float((result - expected).abs().max()) < 1e-5


def test_a_network_that_is_told_the_level_gets_it(noisy: Any, told: NoiseInfo, built: Callable[..., Any]) -> None:
    """As a scalar: what comes out is what the plugin of the U-Net gives, and another level gives another image."""
    plugin = registry.load().denoisers["unet"]
    card = weights.find(plugin, "gaussian")
    expected = plugin.build({"size": "default", "colour": False}, "cpu", card)(noisy, told)
    spec = wrap_torch("mine", unet, card.path, noise_level="scalar")
    assert spec.wants == "std"
    result = built(spec)(noisy, told)
    assert float((result - expected).abs().max()) < 1e-5
    other = built(spec)(noisy, NoiseInfo(std=0.3, source="known"))
    assert float((other - result).abs().max()) > 0.01


class Echo(nn.Module):
    """Gives its last channel back: the level, where that is a plane."""

    def forward(self, image: Any) -> Any:
        """(1, C, H, W) to (1, 1, H, W)."""
        assert image.shape[1] == 2
        return image[:, -1:].clone()


def test_a_plane_holds_the_level_in_the_networks_unit(noisy: Any, told: NoiseInfo, built: Callable[..., Any]) -> None:
    """The plane is the standard deviation times `level_scale`, everywhere, in tiles and in padding too."""
    spec = wrap_torch("echo", Echo, noise_level="plane", level_scale=255.0, multiple=8, tile=48, overlap=16)
    assert torch.allclose(built(spec)(noisy, told), torch.full_like(noisy, 25))


def test_a_level_that_is_not_told_is_that_of_the_whole_image(noisy: Any, clean: Any, built: Callable[..., Any]) -> None:
    """Tiles share one estimate, which is near the truth."""
    mixed = torch.cat([clean, noisy], dim=3)
    levels = built(wrap_torch("echo", Echo, noise_level="plane", tile=48, overlap=16))(mixed, NoiseInfo())
    assert float(levels.std()) < 1e-6
    alone = built(wrap_torch("echo", Echo, noise_level="plane"))(noisy, NoiseInfo())
    assert float(alone.mean()) == pytest.approx(25 / 255, rel=0.1)


def test_a_residual_network_predicts_the_noise(
    noisy: Any, told: NoiseInfo, dncnn: Any, shipped: Any, shipped_file: Path, built: Callable[..., Any]
) -> None:
    """`residual` takes what comes out from what went in, cropped and in place."""

    class Residual(nn.Module):
        """DnCNN's noise instead of its image."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = dncnn().layers

        def forward(self, image: Any) -> Any:
            """(1, 1, H, W) in and out."""
            return self.layers(image)

    result = built(wrap_torch("mine", Residual, shipped_file, residual=True))(noisy, told)
    assert float((result - shipped(noisy)).abs().max()) < 1e-5


def test_options_reach_the_network(noisy: Any, told: NoiseInfo, built: Callable[..., Any]) -> None:
    """What a person writes in brackets is an argument of the function that makes the network."""

    def make(gain: float) -> Any:
        layer = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(layer.weight, gain)
        return layer

    spec = wrap_torch("gain", make, options=(Option("gain", float, 0.5, minimum=0, maximum=1),))
    assert torch.allclose(built(spec)(noisy, told), noisy / 2)
    assert torch.allclose(built(spec, gain=0.25)(noisy, told), noisy / 4)


# -- weights files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapping", [None, "params", "state_dict", "module."])
def test_files_as_trainers_write_them(
    tmp_path: Path, noisy: Any, told: NoiseInfo, dncnn: Any, shipped: Any, shipped_file: Path,
    built: Callable[..., Any], wrapping: str | None,
) -> None:  # fmt: skip
    """A state_dict bare, inside a checkpoint, or with DataParallel's prefix is the same network."""
    state: dict[str, Any] = dict(weights.tensors_in(shipped_file))
    if wrapping == "module.":
        state = {wrapping + key: tensor for key, tensor in state.items()}
    path = tmp_path / "mine.pth"
    torch.save({wrapping: state, "epoch": 3} if wrapping in ("params", "state_dict") else state, path)
    result = built(wrap_torch("mine", dncnn, path))(noisy, told)
    assert float((result - shipped(noisy)).abs().max()) < 1e-5


def test_the_files_content_is_in_the_revision_and_its_name_is_not(tmp_path: Path, dncnn: Any) -> None:
    """Other weights are another revision; a copy elsewhere is the same; so are settings that change the output."""
    first, copy, other = (tmp_path / name for name in ("a.pth", "b.pth", "c.pth"))
    first.write_bytes(b"one")
    copy.write_bytes(b"one")
    other.write_bytes(b"two")
    one, same, two = (wrap_torch("mine", dncnn, path).revision for path in (first, copy, other))
    assert one == same != two
    other.write_bytes(b"three")
    assert wrap_torch("mine", dncnn, other).revision != two
    changes: list[dict[str, Any]] = [{"residual": True}, {"tile": 128}, {"multiple": 8}, {"noise_level": "plane"}]
    assert len({one, *(wrap_torch("mine", dncnn, first, **change).revision for change in changes)}) == 5


def test_a_missing_file_is_skipped_with_its_place(tmp_path: Path, dncnn: Any, built: Callable[..., Any]) -> None:
    """A plugin whose weights are not there is listed as ever; its cells say where the file should be."""
    spec = wrap_torch("mine", dncnn, tmp_path / "missing.pth")
    with pytest.raises(Unavailable, match=r"put it at .*missing\.pth"):
        built(spec)
    (tmp_path / "missing.pth").write_bytes(b"here now")
    assert wrap_torch("mine", dncnn, tmp_path / "missing.pth").revision != spec.revision


def test_a_pinned_file_is_found_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noisy: Any, told: NoiseInfo, dncnn: Any, shipped: Any,
    shipped_file: Path, built: Callable[..., Any],
) -> None:  # fmt: skip
    """A DataFile is looked for as weights/METHOD/FILE; one with other content, or none, is refused with a reason."""
    monkeypatch.setenv("MDNBENCH_DATA_PATH", str(tmp_path / "data"))
    place = tmp_path / "data" / "weights" / "mine" / "mine.safetensors"
    spec = wrap_torch("mine", dncnn, DataFile("mine.safetensors", digests.of_file(shipped_file)))
    with pytest.raises(Unavailable, match=r"weights/mine/mine\.safetensors is missing"):
        built(spec)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"something else")
    with pytest.raises(Unavailable, match="is not the expected file"):
        built(spec)
    place.write_bytes(shipped_file.read_bytes())
    assert float((built(spec)(noisy, told) - shipped(noisy)).abs().max()) < 1e-5


class Bomb:
    """Unpickled, it would leave a trace."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("exploded"),)


def test_a_file_that_holds_more_than_tensors_is_refused(tmp_path: Path, dncnn: Any, built: Callable[..., Any]) -> None:
    """Nothing in a weights file is ever run."""
    path = tmp_path / "bomb.pth"
    torch.save({"layers.conv0.weight": Bomb()}, path)
    with pytest.raises(WeightsError, match="nothing in it was run"):
        built(wrap_torch("mine", dncnn, path))
    assert not Path("exploded").exists()


def test_damaged_files_and_those_of_another_network_are_refused(
    tmp_path: Path, dncnn: Any, shipped_file: Path, built: Callable[..., Any]
) -> None:
    """The message names the file, and what does not fit."""
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(shipped_file.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"damaged\.safetensors .* is damaged"):
        built(wrap_torch("mine", dncnn, damaged))
    with pytest.raises(WeightsError, match=r"of another network than Conv2d: .*Missing key"):
        built(wrap_torch("mine", lambda: nn.Conv2d(1, 1, 3), shipped_file))


def test_a_network_whose_package_is_missing_is_skipped(built: Callable[..., Any]) -> None:
    """An import inside the function that makes the network may fail: the cells say which package is missing."""

    def make() -> Any:
        import surely_not_installed

        return surely_not_installed.Network()

    with pytest.raises(Unavailable, match="surely_not_installed"):
        built(wrap_torch("mine", make))


def test_a_level_of_no_known_kind_is_refused(dncnn: Any) -> None:
    """A misspelt kind of level is a mistake at the moment the plugin is listed."""
    with pytest.raises(BadOption, match="one of none, plane, scalar"):
        wrap_torch("mine", dncnn, noise_level="map")  # type: ignore[arg-type]


FILE = """
from pathlib import Path
from mdnbench import hookimpl, wrap_torch

def make():
    from mdnbench_dncnn.network import DnCNN
    return DnCNN(17, 1, norm=False)

@hookimpl
def mdnbench_denoisers():
    weights = Path(__file__).with_name("mine.safetensors")
    return [wrap_torch("mine", make, weights, by_channel=True, tile=64, overlap=36, licence="MIT")]
"""


def test_a_plugin_file_beside_its_weights_runs(
    tmp_path: Path, plugin: Callable[..., Path], shipped_file: Path, clean: Any
) -> None:
    """A worker rebuilds it from the file; the result is DnCNN's to the table's last digit."""
    (tmp_path / "mine.safetensors").write_bytes(shipped_file.read_bytes())
    (tmp_path / "images").mkdir()
    images.write_png(tmp_path / "images" / "crop.png", clean[0, 0].numpy())
    found = api.run(
        methods=["dncnn", "mine"], sigma=25, dataset="images", metrics="psnr", timing=False, jobs=1,
        plugins=[str(plugin(FILE))],
    )  # fmt: skip
    means = {row.method: row.means["psnr"] for row in found.means}
    assert found.exit_code == 0
    assert means["mine"] == pytest.approx(means["dncnn"], abs=1e-3)


class Notes(Listener):
    """The notes of a run."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Remember a note."""
        self.notes.append(text)


def test_a_run_says_which_state_of_a_checkpoint_it_took(
    tmp_path: Path, plugin: Callable[..., Path], shipped_file: Path, clean: Any
) -> None:
    """Once for each method, whatever the number of its cells; a plugin's own log messages are no notes."""
    state = safetensors.torch.load_file(shipped_file)
    torch.save({"ema": {f"module.{key}": tensor for key, tensor in state.items()}}, tmp_path / "mine.pth")
    (tmp_path / "images").mkdir()
    for name in ("one", "two"):
        images.write_png(tmp_path / "images" / f"{name}.png", clean[0, 0].numpy())
    heard = Notes()
    text = FILE.replace("mine.safetensors", "mine.pth") + "    logging.getLogger('own').warning('chatter')\n"
    found = api.run(
        methods=["mine"], sigma=25, dataset="images", metrics="psnr", timing=False, jobs=1, listener=heard,
        plugins=[str(plugin("import logging\n" + text))],
    )  # fmt: skip
    assert found.exit_code == 0
    taken = [note for note in heard.notes if note.startswith("mine: ")]
    assert len(taken) == 1
    assert "mine.pth" in taken[0]
    assert "the state 'ema', without the prefix 'module.'" in taken[0]
    assert not [note for note in heard.notes if "chatter" in note]
