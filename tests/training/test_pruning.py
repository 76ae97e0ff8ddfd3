"""Pruning: as many channels as promised, fine-tuned by the one loop, and weights that say where they come from."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mdnbench import api, weights
from mdnbench.errors import UsageError, WeightsError
from mdnbench.registry import Registry, variants
from mdnbench.spec import names
from mdnbench.training import pruning
from mdnbench.training.deploy import loaded_network
from mdnbench.weights import Weights
from mdnbench.wrappers import inference

KEEP = 0.7


def multiply_adds(module: Any, weights: Weights) -> int:
    """What one call on 64×64 pixels takes, by torch's counter."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*loaded_network.example(weights, 64, 64))
    return int(counter.get_total_flops()) // 2


@pytest.mark.parametrize("method", ["dncnn", "unet", "masked-unet"])
def test_it_keeps_what_was_promised(known: Registry, method: str, workspace: Path) -> None:
    """70 % of every inner layer's channels, about half of the parameters and multiply-adds, and any image's size.

    Written down and read again it computes the same, without what pruned it.
    """
    spec = known.denoisers[method]
    shipped = weights.find(spec, "gaussian")
    whole, pruned = loaded_network.filled(spec, shipped), pruning.prune(spec, shipped, KEEP)
    before, after = (
        {name: layer for name, layer in module.named_modules() if isinstance(layer, torch.nn.Conv2d)}
        for module in (whole, pruned)
    )
    inner = [name for name, layer in before.items() if layer.in_channels == layer.out_channels]
    assert len(inner) > 10
    for name in inner:
        assert after[name].out_channels == pytest.approx(KEEP * before[name].out_channels, abs=1)
        assert after[name].in_channels == after[name].out_channels
    sizes = [sum(each.numel() for each in module.parameters()) for module in (whole, pruned)]
    assert 0.45 < sizes[1] / sizes[0] < 0.52
    assert 0.45 < multiply_adds(pruned, shipped) / multiply_adds(whole, shipped) < 0.52
    noisy, std = loaded_network.example(shipped, 37, 53, batch=2)
    card = dataclasses.replace(shipped.card, keep=KEEP, pruned_from=shipped.sha256)
    saved = weights.save(workspace / "weights", "lean", pruned.state_dict(), card)
    again = loaded_network.filled(spec, weights.read(saved.path.with_suffix(".toml")))
    with torch.no_grad():
        assert pruned(noisy, std).shape == noisy.shape
        torch.testing.assert_close(again(noisy, std), pruned(noisy, std), rtol=0, atol=1e-5)
    assert repr(again) == repr(pruned)


def test_the_weakest_channels_go(known: Registry) -> None:
    """A channel that was silenced is not among those kept."""
    spec = known.denoisers["dncnn"]
    shipped = weights.find(spec, "gaussian")
    state = weights.load_state(shipped)
    loud = [1, 5, 60]
    state["layers.conv0.weight"][loud] *= 100
    louder = weights.save(Path("weights"), "loud", state, shipped.card)
    kept = pruning.prune(spec, louder, 0.1).state_dict()["layers.conv0.weight"]
    assert kept.shape[0] == 6
    for channel in loud:
        assert any(torch.equal(each, state["layers.conv0.weight"][channel]) for each in kept)


@pytest.fixture
def parent(home: Path, fit: Callable[..., Weights]) -> Weights:
    """The tiny method's weights."""
    return fit(steps=4)


def test_a_run_prunes_and_fine_tunes_what_it_lacks(home: Path, parent: Weights, plugin_file: Path) -> None:
    """Before the cells, within the budget, on training images less leaks; once, and the whole method stays as it is."""
    asked: dict[str, Any] = {
        "methods": ["tiny", "tiny[keep=0.5]"], "noise": ["gaussian:25"], "dataset": "sk12", "images": ["01"],
        "metrics": ["psnr"], "timing": False, "jobs": 1, "train_budget": 0.02, "plugins": [str(plugin_file)],
    }  # fmt: skip
    planned = api.plan(**asked)
    assert [work.training for work in planned.works] == [False, True]
    found = api.run(**asked)
    assert {row.method: row.status for row in found.rows()} == {"tiny": "ok", "tiny[keep=0.5]": "ok"}
    whole, lean = api.plan(**asked).works
    assert whole.weights == parent
    assert lean.weights is not None
    card = lean.weights.card
    assert (card.keep, card.pruned_from, card.left_out) == (0.5, parent.sha256, ("cat",))
    assert card.options == parent.card.options
    assert weights.load_state(lean.weights)["layers.0.weight"].shape == (8, 1, 3, 3)
    assert card.recipe["optimiser"]["lr"] == pytest.approx(pruning.SHARE_OF_RATE * 1e-2)
    assert {work.identity for work in planned.works} & {whole.identity, lean.identity} == {whole.identity}
    assert not api.plan(**asked).works[1].training
    means = {row.method: row.means["psnr"] for row in found.means}
    assert means["tiny"] != means["tiny[keep=0.5]"]


def test_every_noise_has_what_its_own_weights_are_pruned_to(
    home: Path, fit: Callable[..., Weights], plugin_file: Path
) -> None:
    """Where two noises choose other weights of the whole method, both are pruned, and neither is used for the other."""
    ranges = {"low": [5, 15], "high": [40, 60]}
    parents = {
        name: fit(
            steps=1, name=name,
            changes={"noise": [{"family": "gaussian", "ranges": {"sigma": span}}], "validation": {"count": 1}},
        ).sha256
        for name, span in ranges.items()
    }  # fmt: skip
    asked: dict[str, Any] = {
        "methods": ["tiny[keep=0.5]"], "noise": ["gaussian:10", "gaussian:50"], "dataset": "sk12", "images": ["01"],
        "metrics": ["psnr"], "timing": False, "jobs": 1, "train_budget": 0.01, "plugins": [str(plugin_file)],
    }  # fmt: skip
    found = api.run(**asked)
    assert [row.status for row in found.rows()] == ["ok", "ok"]
    low, high = (work.weights for work in api.plan(**asked).works)
    assert low is not None
    assert high is not None
    assert (low.card.pruned_from, high.card.pruned_from) == (parents["low"], parents["high"])


def test_train_prunes_by_name_and_names_choose(home: Path, parent: Weights, known: Registry, plugin_file: Path) -> None:
    """`train` makes them under a name; that name is theirs alone, and what it was not pruned to is refused."""
    spec = known.denoisers["tiny"]
    made = [
        api.train("tiny[keep=0.5]", plugins=plugin_file, steps=steps, name=name, threads=1)
        for name, steps in (("lean", 2), ("longer", 3))
    ]
    assert [each.card.steps for each in made] == [2, 3]
    card = made[0].path.with_suffix(".toml")  # as on a machine that was busy: fewer steps in more minutes
    card.write_text(re.sub(r"^minutes = .*$", "minutes = 9.0", card.read_text(), flags=re.MULTILINE))
    assert weights.read(card).card.minutes == 9

    def chosen(text: str) -> str:
        found = weights.resolve(spec, known.method(text), known.noise("gaussian:25"))
        return found.weights.name if found else "none"

    assert chosen("tiny") == parent.name
    assert chosen("tiny[keep=0.5]") == "longer"
    assert chosen("tiny[keep=0.25]") == "none"
    assert chosen("tiny[weights=lean,keep=0.5]") == "lean"
    assert chosen(f"tiny[weights={parent.name},keep=0.5]") == "longer"
    with pytest.raises(WeightsError, match=r"are pruned; write tiny\[weights=lean,keep=0.5\]"):
        chosen("tiny[weights=lean]")
    with pytest.raises(UsageError, match="fine-tuned by the recipe that they were trained by, not by 'paper'"):
        api.train("tiny[keep=0.5]", plugins=plugin_file, recipe="paper", steps=1)


@pytest.mark.parametrize(
    ("whole", "option"), [("dncnn[depth=20]", ("depth", 20)), ("dncnn[colour=true]", ("colour", True))]
)
def test_what_is_pruned_is_of_its_parents_network(
    home: Path, known: Registry, fit: Callable[..., Weights], plugin_file: Path, whole: str, option: tuple[str, Any]
) -> None:
    """Pruned from named weights of other options than the defaults, it has theirs on its card, and can be used."""
    fit(whole, steps=1, name="other")
    made = api.train("dncnn[keep=0.5,weights=other]", plugins=plugin_file, steps=1, threads=1)
    assert option in made.card.options.items()
    spec = known.denoisers["dncnn"]
    found = weights.resolve(spec, known.method("dncnn[keep=0.5,weights=other]"), known.noise("gaussian:25"))
    assert found
    assert found.weights.sha256 == made.sha256
    assert loaded_network.filled(spec, found.weights)


def test_what_is_pruned_is_not_pruned_again(home: Path, parent: Weights, plugin_file: Path) -> None:
    """Named as what to prune, pruned weights are refused, with the name of those that they were pruned from."""
    api.train("tiny[keep=0.5]", plugins=plugin_file, steps=1, name="lean", threads=1)
    with pytest.raises(UsageError, match=rf"pruned already, from {parent.name}; name those: tiny\[keep=…,weights="):
        api.train("tiny[keep=0.5,weights=lean]", plugins=plugin_file, steps=1)
    parent.path.unlink()
    parent.path.with_suffix(".toml").unlink()
    with pytest.raises(UsageError, match="from weights that are not here any more; name whole ones to prune"):
        api.train("tiny[keep=0.5,weights=lean]", plugins=plugin_file, steps=1)


def test_fault_16_a_damaged_parent_is_refused(home: Path, parent: Weights, plugin_file: Path) -> None:
    """Cut short or missing, with the words that any damaged weights get."""
    sound = parent.path.read_bytes()
    for remains in (sound[:60], sound[:-1], None):
        parent.path.unlink()
        if remains is not None:
            parent.path.write_bytes(remains)
        with pytest.raises(WeightsError, match=rf"train it again, .*: `mdnbench train tiny … --name {parent.name}`"):
            api.train("tiny[keep=0.5]", plugins=plugin_file, steps=1)
        parent.path.touch()


def test_a_parent_from_a_large_gpu_is_fine_tuned_in_small_steps(
    home: Path, fit: Callable[..., Weights], known: Registry
) -> None:
    """The batch is the method's own recipe's where the parent had a larger one; so is the rate where it was smaller."""
    spec, named = known.denoisers["tiny"], known.method("tiny[keep=0.5]")
    for name, batch, rate, expected in (("large", 12, 1e-3, (2, 0.5e-2)), ("small", 1, 4e-2, (1, 2e-2))):
        parent = fit(steps=1, name=name, changes={"batch": batch, "optimiser": {"lr": rate}})
        recipe = pruning.task(spec, named, parent, lambda recipe: recipe).recipe
        assert (recipe.batch, recipe.optimiser.lr) == pytest.approx(expected)


def test_the_start_of_fine_tuning_is_the_pruned_network(home: Path, parent: Weights, known: Registry) -> None:
    """What the loop is given begins with the parent's kept channels, not with random ones, and keeps its precision."""
    spec, named = known.denoisers["tiny"], known.method("tiny[keep=0.5]")
    task = pruning.task(spec, named, parent, lambda recipe: recipe.within(steps=1))
    assert task.spec.trainable is not None
    begun = task.spec.trainable.network(blind=True).state_dict()["layers.0.weight"]
    whole = weights.load_state(parent)["layers.0.weight"]
    assert begun.shape == (8, 1, 3, 3)
    assert all(any(torch.equal(each, other) for other in whole) for each in begun)
    assert not task.half
    half = weights.export(parent, home / "weights" / "tiny", "half", half=True)
    assert pruning.task(spec, named, half, lambda recipe: recipe.within(steps=1)).half
    assert names.split_method(named.text)[0] == task.spec.name == "tiny"
    assert variants.of(spec, named).keep == 0.5


def test_a_file_of_other_sizes_than_its_card_says_is_refused(home: Path, parent: Weights, known: Registry) -> None:
    """Only a card that says so lets tensors be smaller; and then the names must still be the network's."""
    spec = known.denoisers["tiny"]
    assert spec.trainable is not None
    lean = pruning.prune(spec, parent, 0.5).state_dict()
    wrong = weights.save(Path("weights"), "wrong", lean, parent.card)
    with pytest.raises(WeightsError, match="another network than their card says"):
        inference.fill(spec.trainable.network(blind=True), wrong)
    card = dataclasses.replace(parent.card, keep=0.5)
    strange = weights.save(Path("weights"), "strange", {f"x.{key}": each for key, each in lean.items()}, card)
    with pytest.raises(WeightsError, match="another network than their card says"):
        inference.fill(spec.trainable.network(blind=True), strange)


def test_without_torch_pruning_it_says_what_to_install(
    home: Path, parent: Weights, plugin_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a reason to skip these cells; the whole method runs."""
    import sys

    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    found = api.run(
        methods=["tiny", "tiny[keep=0.5]"], sigma=25, dataset="sk12", images=["01"], metrics=["psnr"], timing=False,
        jobs=1, train_budget=0.02, plugins=[str(plugin_file)],
    )  # fmt: skip
    rows = {row.method: row for row in found.rows()}
    assert rows["tiny"].status == "ok"
    assert rows["tiny[keep=0.5]"].status == "skipped"
    assert "pip install 'mdnbench[deploy]'" in rows["tiny[keep=0.5]"].reason
