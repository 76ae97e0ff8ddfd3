"""Recipes: what their digest stands for, how they are changed, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from mdnbench import registry
from mdnbench.errors import BadFile, UnknownName
from mdnbench.spec import tomlfile
from mdnbench.training import recipe as recipes
from mdnbench.training.recipe import Mask, Moment, Recipe

CHANGES: dict[str, Any] = {
    "data": "bsd68", "crop": 17, "batch": 3, "patches_per_epoch": 9, "scales": [1.0, 0.5], "flips": "none",
    "jitter": 0.1, "noise": [{"family": "gaussian", "ranges": {"sigma": [20, 31]}}], "blind": False,
    "loss": {"stages": 2}, "mask": {"start": 0.1}, "optimiser": {"lr": 2e-2}, "schedule": {"kind": "wsd"},
    "validation": {"count": 3}, "budget": {"steps": 9}, "ema": 0.6, "precision": "bf16", "channels_last": False,
    "seed": 2,
}  # fmt: skip

REFUSED: dict[str, dict[str, Any]] = {
    "budget": {"budget": {"steps": 3, "minutes": 1}}, "one of minutes": {"budget": {"steps": -1}},
    "noise": {"noise": []}, "low to its high": {"noise": [{"family": "gaussian", "ranges": {"sigma": [30, 20]}}]},
    "weight": {"noise": [{"family": "gaussian", "ranges": {"sigma": [30, 30]}, "weight": 0.0}]},
    "crop": {"crop": 0}, "scales": {"scales": [1.5]}, "ratios": {"mask": {"end": 1.0}}, "patch": {"mask": {"patch": 0}},
    "ema": {"ema": 1.0}, "learning rate": {"optimiser": {"lr": 0.0}}, "cooldown": {"schedule": {"cooldown": 0.0}},
    "validation": {"validation": {"every": 0}}, "must be a whole number": {"crop": {"x": 1}},
    "must be one of": {"loss": {"kind": "huber"}}, "array of 2": {"optimiser": {"betas": [0.9]}},
    "until": {"mask": {"until": 1.5}}, "betas": {"optimiser": {"betas": [2, 0.9]}}, "jitter": {"jitter": -0.1},
    "weight_decay": {"optimiser": {"weight_decay": -1}}, "clip": {"optimiser": {"clip": -1}},
    "final rate": {"schedule": {"final": -1}}, "falls exponentially": {"schedule": {"kind": "exponential", "final": 0}},
}  # fmt: skip


@pytest.mark.parametrize("key", CHANGES)
def test_everything_that_decides_the_result_changes_the_digest(recipe: Recipe, key: str) -> None:
    """Any other value of any key but the summary is another recipe."""
    assert recipes.override(recipe, {key: CHANGES[key]}).digest() != recipe.digest()


def test_no_key_is_forgotten() -> None:
    """The list above has every key of a recipe but its summary."""
    assert {field.name for field in dataclasses.fields(Recipe)} - {"summary"} == CHANGES.keys()


def test_what_changes_nothing_keeps_the_digest(recipe: Recipe) -> None:
    """Another summary, order of keys, whole numbers for floats and defaults written out are the same recipe."""
    table = dataclasses.asdict(recipe) | {"summary": "other words"}
    same = recipes.override(recipe, {"summary": "other words", "jitter": 0, "seed": 1, "loss": {"stages": 0}})
    assert same.digest() == recipe.digest()
    assert dataclasses.replace(recipe, **dict(reversed(table.items()))).summary == "other words"
    assert recipes.override(recipe, dict(reversed(CHANGES.items()))) == recipes.override(recipe, CHANGES)


def test_a_table_changes_key_by_key_and_a_budget_as_a_whole(recipe: Recipe) -> None:
    """`optimiser.lr` leaves the other settings of the optimiser alone; minutes replace steps."""
    changed = recipes.override(recipe, {"optimiser": {"lr": 0.5}, "budget": {"minutes": 2}, "mask": {"patch": 4}})
    assert changed.optimiser == dataclasses.replace(recipe.optimiser, lr=0.5)
    assert (changed.budget.minutes, changed.budget.steps) == (2.0, 0)
    assert changed.mask == Mask(patch=4)
    assert recipe.mask is None


def test_a_budget_from_outside(recipe: Recipe) -> None:
    """Minutes, steps or epochs replace the recipe's own budget; two of them, none above zero and none at all do not."""
    assert recipe.within() is recipe
    assert recipe.within(minutes=0.5).budget == recipes.Budget(minutes=0.5)
    assert recipe.within(epochs=2).budget == recipes.Budget(epochs=2.0)
    for wrong in ({"steps": 0}, {"minutes": -1.0}, {"steps": 3, "epochs": 1.0}):
        with pytest.raises(BadFile, match="one of minutes, steps and epochs"):
            recipe.within(**wrong)


@pytest.mark.parametrize("words", REFUSED)
def test_what_makes_no_sense_is_refused(recipe: Recipe, words: str) -> None:
    """A recipe that cannot be followed says which key is wrong."""
    with pytest.raises(BadFile, match=words):
        recipes.override(recipe, REFUSED[words])


def test_an_unknown_key_is_refused_with_the_likeliest(recipe: Recipe) -> None:
    """A slip of the pen is answered with the key that was meant."""
    with pytest.raises(UnknownName, match="Did you mean 'optimiser'"):
        recipes.override(recipe, {"optimizer": {"lr": 1}})
    with pytest.raises(UnknownName, match="Did you mean 'stages'"):
        recipes.override(recipe, {"loss": {"stage": 1}})


def test_recipes_are_found_by_name_or_path(plugin_file: Path, recipe: Recipe, tmp_path: Path) -> None:
    """A name is looked up in the method's folder; what ends in .toml is a path."""
    folder = plugin_file.parent / "recipes"
    assert recipes.named(folder, "best") == recipes.named(tmp_path, str(folder / "best.toml")) == recipe
    with pytest.raises(UnknownName, match="Did you mean 'best'"):
        recipes.named(folder, "bests")
    with pytest.raises(BadFile, match=r"there is no recipe file .*nowhere\.toml"):
        recipes.named(folder, "nowhere.toml")


def test_every_recipe_of_every_method_can_be_followed() -> None:
    """The recipes that come with the methods are read, and name noises and data that exist; so do their copies."""
    known = registry.load()
    for name, spec in known.denoisers.items():
        for path in sorted(spec.trainable.recipes.glob("*.toml")) if spec.trainable else []:
            read = recipes.read(path)
            assert read.data in known.datasets, f"{name} {path.stem}"
            assert {noise.family for noise in read.noise} <= set(known.noises), f"{name} {path.stem}"
            assert all(known.noise(text) for text in read.validation.noise)
            assert tomlfile.build(Recipe, recipes.plain(read), "its own table") == read


def test_the_masked_network_and_its_control_differ_in_the_mask_alone() -> None:
    """What is compared is the same recipe but for the mask."""
    known = registry.load()
    masked, plain = (known.denoisers[name].trainable for name in ("masked-unet", "unet"))
    assert masked
    assert plain
    for name in ("best", "article", "mixed"):
        read = recipes.named(masked.recipes, name)
        assert read.mask is not None
        assert dataclasses.replace(read, mask=None) == recipes.named(plain.recipes, name)


def test_how_much_is_hidden_when() -> None:
    """The ratio runs from `start` to `end` until `until`; every `whole_every`-th step hides nothing."""
    mask = Mask(start=0.2, end=0.3, until=0.8, whole_every=5)
    assert mask.ratio(Moment(1, 0.0)) == pytest.approx(0.2)
    assert mask.ratio(Moment(1, 0.4)) == pytest.approx(0.25)
    assert mask.ratio(Moment(1, 0.79999)) == pytest.approx(0.3, abs=1e-4)
    assert mask.ratio(Moment(1, 0.8)) == mask.ratio(Moment(10, 0.1)) == 0.0
