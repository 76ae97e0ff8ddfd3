"""Weights: which ones a method uses, which files are refused, what published files become."""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import torch
from torch import nn

from mdnbench import api, data, registry, weights
from mdnbench.api import catalogue
from mdnbench.data import images
from mdnbench.errors import BadOption, StoreError, UnknownName, WeightsError
from mdnbench.registry import Registry
from mdnbench.spec.records import NoiseInfo
from mdnbench.spec.specs import DataFile, DatasetSpec, DenoiserSpec
from mdnbench.spec.weights import Card, NoiseCoverage, Weights
from mdnbench.util import digests

SMALL = {"layer.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3), "count": torch.tensor(70_000)}


@pytest.fixture(scope="module")
def known() -> Registry:
    """All plugins."""
    return registry.load()


@pytest.fixture
def unet(known: Registry, workspace: Path) -> DenoiserSpec:
    """`unet`, with an empty folder of shipped weights."""
    spec = known.denoisers["unet"]
    assert spec.trainable
    (workspace / "shipped").mkdir()
    return dataclasses.replace(spec, trainable=dataclasses.replace(spec.trainable, weights=workspace / "shipped"))


def put(place: str, name: str, low: float, high: float, family: str = "gaussian", **card: Any) -> Weights:
    """Weights of `unet` for noise from low to high: 'shipped', or trained 'here'."""
    folder = {"shipped": Path("shipped"), "here": Path("home/weights/unet")}[place].resolve()
    options = card.pop("options", {"size": "default", "colour": False})
    ranges = {"sigma": (low, high)} if family == "gaussian" else {}
    return weights.save(folder, name, SMALL, Card("unet", options, noise=(NoiseCoverage(family, ranges),), **card))


def chosen(spec: DenoiserSpec, known: Registry, noise: str = "gaussian:25", method: str = "unet") -> tuple[str, str]:
    """The name of what is resolved, and its note; empty where the method must be trained."""
    found = weights.resolve(spec, known.method(method), known.noise(noise))
    return (found.weights.name, found.note) if found else ("", "")


def test_the_order_in_which_weights_are_chosen(unet: DenoiserSpec, known: Registry) -> None:
    """Nothing, then what was trained here, then what is shipped and covers the noise, and what is named above all."""
    assert chosen(unet, known) == ("", "")
    put("here", "own", 25, 25)
    assert chosen(unet, known) == ("own", "")
    put("shipped", "wide", 0, 75)
    assert chosen(unet, known) == ("wide", "")
    put("shipped", "narrow", 20, 30)
    assert chosen(unet, known) == ("narrow", "")
    assert chosen(unet, known, "gaussian:30.5") == ("wide", "")
    assert chosen(unet, known, method="unet[weights=own]") == ("own", "")
    assert chosen(unet, known, "gaussian:50", "unet[weights=own]") == ("own", "")


def test_a_shipped_set_for_another_noise_gives_way_to_a_trained_one_that_covers(
    unet: DenoiserSpec, known: Registry
) -> None:
    """What covers the noise wins, wherever it is from; else the widest, shipped first, and the note says so."""
    put("shipped", "low", 0, 20)
    put("shipped", "lower", 5, 10)
    assert chosen(unet, known, "gaussian:50") == ("low", "trained for gaussian sigma 0–20, not for gaussian:sigma=50")
    put("here", "own", 40, 60)
    assert chosen(unet, known, "gaussian:50") == ("own", "")
    assert chosen(unet, known, "gaussian:30")[0] == "low"
    resolved = weights.resolve(unet, known.method("unet"), known.noise("gaussian:30"), fallback=False)
    assert resolved is None
    put("here", "impulses", 0, 0, family="salt-pepper")
    assert chosen(unet, known, "salt-pepper:0.1") == ("impulses", "")


def test_weights_for_the_same_family_are_nearer_than_wider_ones(unet: DenoiserSpec, known: Registry) -> None:
    """Beyond their levels, Gaussian weights stay the choice for Gaussian noise; any other noise takes the widest."""
    put("shipped", "levels", 0, 75)
    wide = NoiseCoverage("mixed", {"sigma": (5, 50), "peak": (20, 120), "density": (0, 0.1)})
    card = Card("unet", {"size": "default", "colour": False}, noise=(wide,), blind=True)
    weights.save(Path("shipped").resolve(), "everything", SMALL, card)
    assert chosen(unet, known, "gaussian:100")[0] == "levels"
    assert chosen(unet, known, "mixed") == ("everything", "")
    assert chosen(unet, known, "speckle:25")[0] == "everything"
    put("here", "photons", 20, 40, family="poisson")
    assert chosen(unet, known, "poisson:60")[0] == "photons"
    parent = weights.parent(unet, known.method("unet[keep=0.5]"), None)
    assert parent is not None
    assert parent.name == "levels"


def test_weights_are_of_the_network_that_was_asked_for(unet: DenoiserSpec, known: Registry) -> None:
    """Options that make another network need other weights; by name, a mismatch is an error that says what they are."""
    put("shipped", "default", 0, 75)
    put("here", "big", 0, 75, options={"size": "large", "colour": False})
    assert chosen(unet, known) == ("default", "")
    assert chosen(unet, known, method="unet[size=large]") == ("big", "")
    assert chosen(unet, known, method="unet[colour=true]") == ("", "")
    assert chosen(unet, known, method="unet[weights=big]") == ("big", "")
    with pytest.raises(WeightsError, match=r"weights default are of another network \(size=default, colour=False\)"):
        chosen(unet, known, method="unet[size=large,weights=default]")
    with pytest.raises(UnknownName, match=r"weights file of unet is named 'bigg'\. Did you mean 'big'"):
        chosen(unet, known, method="unet[weights=bigg]")


def test_imported_weights_are_used_by_their_name_alone(unet: DenoiserSpec, known: Registry) -> None:
    """Nothing says what they were trained for, so they stand in for nothing."""
    put("here", "published", 0, 0, source="net.pth")
    assert chosen(unet, known, "gaussian:0") == ("", "")
    assert chosen(unet, known, method="unet[weights=published]") == ("published", "")


def test_what_a_cover_holds(known: Registry) -> None:
    """Bounds belong to it, every parameter must lie within, and another family never does."""
    cover = NoiseCoverage("mixed", {"sigma": (5, 50), "peak": (20, 120), "density": (0, 0.1)})
    held = ("mixed:sigma=5,peak=120,density=0", "mixed:sigma=50,peak=20,density=0.1")
    assert all(cover.holds(known.noise(text)) for text in held)
    outside = ("mixed:sigma=4.9,peak=60,density=0", "mixed:sigma=25,peak=121,density=0", "gaussian:25")
    assert not any(cover.holds(known.noise(text)) for text in outside)
    assert str(cover) == "mixed sigma 5–50, peak 20–120, density 0–0.1"
    assert str(NoiseCoverage("gaussian", {"sigma": (25, 25)})) == "gaussian sigma 25"


def test_images_that_training_saw_are_counted() -> None:
    """By the SHA-256 of their files: those under test alone, without those that training left out; archives by name."""
    files = tuple(DataFile(f"{name}.png", name * 64) for name in "abcd")
    tested = DatasetSpec("own", "", "test", 1, tuple("abcd"), lambda _: np.zeros((8, 8), np.float32), files)
    card = Card("unet", data={"x.png": "a" * 64, "y.png": "b" * 64, "z.png": "c" * 64}, left_out=("c",))
    assert weights.seen(card, tested, "abcd") == "its training saw 2 of these 4 images"
    assert weights.seen(card, tested, "bc") == "its training saw 1 of these 2 images"
    assert weights.seen(card, tested, "cd") == ""
    assert weights.seen(Card("unet"), tested, "abcd") == ""
    packed = dataclasses.replace(tested, files=(DataFile("all.zip", "a" * 64),))
    assert weights.seen(card, packed, "a") == "its training saw own itself"


def test_a_plan_says_that_a_method_is_tested_on_its_training_images(known: Registry) -> None:
    """The shipped weights on three photographs of BSD400, one of which their training left out as a leak."""
    if not data.at_hand(known.datasets["bsd400"]):
        pytest.skip("BSD400 is not at hand")
    asked = {"methods": ["unet", "median"], "noise": ["gaussian:25"], "dataset": "bsd400"}
    planned = api.plan(**asked, images=["2018", "2092", "12003"])
    assert [work.note for work in planned.works] == ["its training saw 2 of these 3 images", ""]


def test_tensors_and_card_come_back(unet: DenoiserSpec) -> None:
    """What is saved is read again, counters whole, readable by others, in half precision on request."""
    made = put("shipped", "small", 0, 75, notes="for a test")
    assert weights.read(made.path.with_suffix(".toml")) == made
    assert weights.find(unet, "small") == made
    for half in (False, True):
        copy = weights.export(made, Path("elsewhere"), f"half-{half}", half)
        state = weights.load_state(copy)
        assert torch.equal(state["layer.weight"], SMALL["layer.weight"])
        assert state["layer.weight"].dtype == torch.float32
        assert int(state["count"]) == 70_000
        assert copy.card.notes == "for a test"
        assert copy.path.stat().st_mode & 0o777 == copy.path.with_suffix(".toml").stat().st_mode & 0o777
    sizes = [Path(f"elsewhere/half-{half}.safetensors").stat().st_size for half in (False, True)]
    assert sizes[1] < sizes[0]
    tied = torch.zeros(3)
    assert weights.save(Path("elsewhere"), "tied", {"a": tied, "b": tied}, Card("unet")).card.bytes > 0


def test_a_folder_that_cannot_be_written(unet: DenoiserSpec) -> None:
    """It is named with what to do: another home for what belongs there, another folder for a copy."""
    made = put("here", "own", 25, 25)
    for file, words in (("home/file", "point MDNBENCH_HOME at a folder"), ("file", "choose another folder")):
        path = Path(file).resolve()
        path.write_text("no folder", encoding="utf-8")
        with pytest.raises(StoreError, match=f"cannot be written: .* Make room, or {words}"):
            weights.export(made, path / "weights", "copy", half=False)
    before = sorted(made.path.parent.iterdir())
    made.path.with_name("taken.safetensors").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        weights.export(made, made.path.parent, "taken", half=False)
    assert sorted(made.path.parent.iterdir()) == [*before, made.path.with_name("taken.safetensors")]


def test_damaged_files_are_refused(unet: DenoiserSpec) -> None:
    """Cut short: file, expected and found size; one bit flipped: both digests; gone: where it was. And what to do."""
    made = put("here", "own", 0, 75)
    sound = made.path.read_bytes()

    def message() -> str:
        with pytest.raises(WeightsError) as caught:
            weights.load_state(made)
        text = str(caught.value)
        assert str(made.path) in text
        assert "train it again, with the command that made it: `mdnbench train unet … --name own`; the card" in text
        return text

    made.path.write_bytes(sound[:-7])
    assert f"has {len(sound) - 7} bytes where its card says {len(sound)}" in message()
    for position in (20, len(sound) - 1):
        flipped = bytearray(sound)
        flipped[position] ^= 1
        made.path.write_bytes(flipped)
        assert f"has SHA-256 {digests.of_file(made.path)} where its card says {made.sha256}" in message()
    made.path.unlink()
    assert "is missing" in message()
    assert WeightsError.exit_code == 2
    elsewhere = put("shipped", "given", 0, 75)
    elsewhere.path.write_bytes(sound[:-7])
    with pytest.raises(WeightsError, match=r"install its plugin again, or train others: `mdnbench train unet --name"):
        weights.load_state(elsewhere)


class Trap:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """What an attacker would write."""
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize("form", ["zip", "legacy", "bare"])
def test_a_pickle_that_runs_code_is_refused_and_nothing_runs(known: Registry, form: str) -> None:
    """In each of the forms that PyTorch reads; the message does not advise to load it unsafely."""
    path, content = Path("trap.pth"), {"model.0.weight": torch.zeros(64, 1, 3, 3), "model.0.bias": Trap()}
    if form == "bare":
        path.write_bytes(pickle.dumps(content["model.0.bias"]))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(WeightsError, match="more than tensors, or is damaged; nothing in it was run") as caught:
        weights.import_weights(known.denoisers["dncnn"], path, "trap")
    assert "weights_only" not in str(caught.value)
    assert not Path("sprung").exists()
    assert weights.trained("dncnn") == []


def reference(depth: int, channels: int, norm: bool) -> nn.Sequential:
    """A DnCNN as published code builds it, with random weights and random statistics, in evaluation mode."""
    torch.manual_seed(depth + channels)
    layers: list[nn.Module] = [nn.Conv2d(channels, 64, 3, padding=1, bias=not norm), nn.ReLU()]
    for _ in range(depth - 2):
        layers.append(nn.Conv2d(64, 64, 3, padding=1, bias=not norm))
        layers += [nn.BatchNorm2d(64), nn.ReLU()] if norm else [nn.ReLU()]
    network = nn.Sequential(*layers, nn.Conv2d(64, channels, 3, padding=1, bias=not norm))
    for module in network:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.get_buffer("running_mean"), -0.1, 0.1)
            nn.init.uniform_(module.get_buffer("running_var"), 0.05, 0.2)
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return network.eval()


@pytest.mark.parametrize(
    ("layout", "depth", "channels", "norm"),
    [("model.", 17, 1, False), ("model.", 20, 3, False), ("dncnn.", 17, 1, True), ("module.dncnn.", 20, 3, True),
     ("module.dncnn.", 17, 3, True), ("module.model.", 20, 1, False)],
)  # fmt: skip
def test_published_layouts_become_the_same_network(
    known: Registry, layout: str, depth: int, channels: int, norm: bool
) -> None:
    """Folded and renamed, the network gives what the published one gives; depth and colour are the tensors'."""
    network = reference(depth, channels, norm)
    state = {layout + key: value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3} if norm else state, "published.pth")
    made = weights.import_weights(known.denoisers["dncnn"], Path("published.pth"), "theirs")
    assert made.card.options == {"depth": depth, "colour": channels == 3}
    assert (made.card.source, made.card.source_sha256) == ("published.pth", digests.of_file(Path("published.pth")))
    text = f"dncnn[depth={depth},colour={str(channels == 3).lower()},weights=theirs]"
    found = weights.resolve(known.denoisers["dncnn"], known.method(text), known.noise("gaussian:25"))
    assert found is not None
    assert found.weights == made
    noisy = torch.rand(1, channels, 23, 18, generator=torch.Generator().manual_seed(1))
    denoise = known.denoisers["dncnn"].build({}, "cpu", made)
    with torch.no_grad():
        torch.testing.assert_close(denoise(noisy, NoiseInfo()), noisy - network(noisy), rtol=0, atol=1e-5)


def wrong_states() -> dict[str, Any]:
    """Files that are no DnCNN, by the words that say so."""
    sound = {f"model.{key}": value for key, value in reference(17, 1, False).state_dict().items()}
    normed = {f"dncnn.{key}": value for key, value in reference(17, 1, True).state_dict().items()}
    short = {key: value for key, value in sound.items() if not key.startswith("model.2.")}
    return {
        "holds list, not a table": [torch.zeros(1)],
        "'encoder.weight' is in no known DnCNN layout": {"encoder.weight": torch.zeros(1)},
        "a DnCNN has 17 or 20": short,
        "neither a 3×3 convolution": sound | {"model.0.weight": torch.zeros(64, 1, 5, 5)},
        r"layer 0 has a bias of \(3,\) for 64 outputs": sound | {"model.0.bias": torch.zeros(3)},
        "1 or 3 channels at both ends": sound | {"model.0.weight": torch.zeros(64, 2, 3, 3)},
        "lacks running_var": {key: value for key, value in normed.items() if key != "dncnn.3.running_var"},
        "does not fit the convolution": normed | {"dncnn.3.running_mean": torch.zeros(5)},
        "these are 0 convolutions": {},
    }


def test_files_of_other_networks_are_refused(known: Registry) -> None:
    """What is no DnCNN is told why it is none, and leaves nothing behind."""
    for words, state in wrong_states().items():
        torch.save(state, "other.pth")
        with pytest.raises(WeightsError, match=words):
            weights.import_weights(known.denoisers["dncnn"], Path("other.pth"), "other")
    assert weights.trained("dncnn") == []


def test_imported_weights_replace_no_others(known: Registry) -> None:
    """A file is taken in twice under one name, but another file is refused there, and so is a trained one's name."""
    spec, path = known.denoisers["dncnn"], Path("published.pth")
    torch.save({f"model.{key}": value for key, value in reference(17, 1, False).state_dict().items()}, path)
    first = weights.import_weights(spec, path, "theirs")
    assert weights.import_weights(spec, path, "theirs") == first
    torch.save({f"model.{key}": value for key, value in reference(20, 1, False).state_dict().items()}, "other.pth")
    with pytest.raises(BadOption, match=r"'theirs'.* imported from published\.pth; choose another --name"):
        weights.import_weights(spec, Path("other.pth"), "theirs")
    weights.save(first.path.parent, "mine", SMALL, Card("dncnn"))
    with pytest.raises(BadOption, match=r"'mine'.* trained here"):
        weights.import_weights(spec, path, "mine")
    assert weights.load_state(first).keys() == weights.load_state(weights.find(spec, "theirs")).keys()


def test_damaged_published_files_are_refused(known: Registry) -> None:
    """Missing, a folder, empty, cut short anywhere, of another kind: one error, whatever torch makes of them."""
    torch.save({"model.0.weight": torch.zeros(64, 1, 3, 3)}, "new.pth")
    torch.save({"model.0.weight": torch.zeros(64, 1, 3, 3)}, "old.pth", _use_new_zipfile_serialization=False)
    path = Path("cut.pth")
    for sound in (Path("new.pth").read_bytes(), Path("old.pth").read_bytes()):
        for length in (0, 1, 40, len(sound) // 3, len(sound) // 2, len(sound) - 1):
            path.write_bytes(sound[:length])
            with pytest.raises(WeightsError):
                weights.import_weights(known.denoisers["dncnn"], path, "cut")
    for wrong, words in (("nowhere.pth", "there is no weights file"), (".", "cannot be read")):
        with pytest.raises(WeightsError, match=words):
            weights.import_weights(known.denoisers["dncnn"], Path(wrong), "cut")
    with pytest.raises(WeightsError, match="takes no published weights"):
        weights.import_weights(known.denoisers["unet"], Path("new.pth"), "cut")


def test_names_that_could_not_be_used_are_refused(known: Registry, unet: DenoiserSpec) -> None:
    """No paths, no brackets, not the word that lets mdnbench choose, not the name of a shipped set."""
    for name in ("../up", "a/b", "a,b", "a=b", "a]", "auto", "", ".hidden", "a\nb"):
        with pytest.raises(BadOption, match="cannot be the name of weights"):
            weights.import_weights(known.denoisers["dncnn"], Path("nowhere.pth"), name)
    put("shipped", "gaussian", 0, 75)
    assert unet.trainable
    taking = dataclasses.replace(unet.trainable, convert=lambda state: (dict(state), {}))
    with pytest.raises(BadOption, match="'gaussian' is the name of weights that are shipped with unet"):
        weights.import_weights(dataclasses.replace(unet, trainable=taking), Path("nowhere.pth"), "gaussian")


def test_published_weights_from_import_to_export(
    cli: Callable[..., subprocess.CompletedProcess[str]], workspace: Path, no_data: None
) -> None:
    """Published weights are taken in, listed, used by a run that names them in its notes, and copied; a trap is not."""
    state = {f"model.{key}": value * 0.5 for key, value in reference(17, 1, False).state_dict().items()}
    torch.save(state, "net.pth")
    assert api.import_weights("dncnn", Path("net.pth"), "Net.1").name == "Net.1"
    photograph = images.to_gray(images.read_image(Path(skimage.__file__).parent / "data" / "coffee.png"))
    Path("own").mkdir()
    images.write_png(Path("own/coffee.png"), photograph[:32, :40])
    found = api.run(
        methods="dncnn[weights=Net.1]", noise="gaussian:25", dataset="own", metrics="psnr", timing=False, jobs=1
    )
    assert [row.status for row in found.rows()] == ["ok"]
    (made,) = weights.trained("dncnn")
    assert any(f"weights Net.1 ({made.sha256[:12]}" in note for note in found.run.facts.notes)
    assert api.export_weights("dncnn", "Net.1", Path("out")).read_bytes() == made.path.read_bytes()
    (row,) = (row for row in catalogue.weights("dncnn", []) if row.name == "Net.1")
    assert row.source == "net.pth"

    torch.save({"model.0.weight": Trap()}, "trap.pth")
    refused = cli("weights", "import", "dncnn", "trap.pth", "--name", "trap", cwd=workspace)
    assert refused.returncode == 2
    assert refused.stderr.startswith("mdnbench: the weights file trap.pth holds more than tensors")
    assert refused.stderr.count("\n") == 1
    assert not Path("sprung").exists()


def test_what_is_shipped_is_small(known: Registry, tmp_path: Path) -> None:
    """The networks of default options take at most 25 MiB together, a large one at most 15; a copy is the same file."""
    shipped = [each for spec in known.denoisers.values() if spec.trainable for each in weights.shipped(spec.trainable)]
    large = [each for each in shipped if each.card.options.get("size") == "large"]
    assert large
    assert sum(each.path.stat().st_size for each in shipped if each not in large) <= 25 * 2**20
    for each in large:
        assert each.path.stat().st_size <= 15 * 2**20
    for each in shipped:
        assert weights.is_half(each)
        assert weights.export(each, tmp_path, each.name, half=False).sha256 == each.sha256
