"""The script behind docs/experiments/masking.md: fair budgets, right differences, and a page made from the store."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdnbench import registry
from mdnbench.training import recipe as recipes

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "masking_experiment.py"


@pytest.fixture(scope="module")
def masking() -> Iterator[Any]:
    """The experiment's package, which the script finds beside itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)
        yield importlib.import_module("masking")


@pytest.fixture(scope="module")
def networks(masking: Any) -> Any:
    """Its networks."""
    return importlib.import_module("masking.networks")


@pytest.fixture(scope="module")
def page(masking: Any) -> Any:
    """Its page."""
    return importlib.import_module("masking.page")


def recipe_of(network: Any) -> recipes.Recipe:
    """The recipe that a network of the experiment follows."""
    trainable = recipes.trainable_of(registry.load().denoisers[network.method])
    return recipes.override(recipes.named(trainable.recipes, network.recipe), dict(network.changes))


def scores(page: Any, gaps: tuple[float, float]) -> Any:
    """Twelve images, one test noise; masked is above plain by `gaps`, one for each training seed."""
    images = np.linspace(25, 30, 12)
    jitter = np.linspace(-0.02, 0.02, 12)
    made = {}
    for seed, gap in zip((1, 2), gaps, strict=True):
        made[f"unet[weights=masking-gaussian-plain-{seed}]"] = images
        made[f"masked-unet[weights=masking-gaussian-masked-{seed}]"] = images + gap + jitter
    values = np.stack(list(made.values()))[None, :, :, None]  # (noises, methods, images, seeds)
    return page.Scores(("gaussian:sigma=25",), tuple(made), dict.fromkeys(page.METRICS, values))


def test_masks_are_all_that_differs(networks: Any) -> None:
    """Each pair of networks has one recipe but for the mask: noise, crops, optimiser, budget, seed."""
    found = {network.name: network for network in networks.networks()}
    for kind in ("gaussian", "mixed"):
        for seed in (1, 2):
            plain, masked = (recipe_of(found[f"masking-{kind}-{side}-{seed}"]) for side in ("plain", "masked"))
            assert plain.mask is None
            assert masked.mask is not None
            assert recipes.override(masked, {"mask": None, "summary": plain.summary}) == plain
            assert plain.seed == seed


def test_the_sweep_differs_in_the_share_alone(networks: Any) -> None:
    """Every swept network hides its own share in masked steps, and is otherwise the main masked one of seed 1."""
    found = {network.name: recipe_of(network) for network in networks.networks()}
    main = found["masking-gaussian-masked-1"]
    for ratio in networks.RATIOS:
        swept = found[f"masking-ratio-{ratio:g}"]
        assert swept.mask.ratio(recipes.Moment(1, 0.5)) == ratio
        assert recipes.override(swept, {"mask": {"start": 0.2, "end": 0.3}}) == main


def test_budgets_are_equal_in_pixels(networks: Any) -> None:
    """The article's recipe, with larger crops, gets as many pixels as ours, to half a step."""
    for network in networks.networks():
        recipe = recipe_of(network)
        ours, its = 3000 * 12 * 128**2, networks.steps_of(network, 3000) * recipe.batch * recipe.crop**2
        assert abs(its - ours) <= recipe.batch * recipe.crop**2 / 2


def test_a_difference_is_masked_less_plain(page: Any) -> None:
    """Its mean, each seed's own, and clear where images and seeds agree."""
    (row,) = page.contrast(scores(page, (0.2, 0.3)), "gaussian", ["gaussian:sigma=25"])
    assert row.pair.difference == pytest.approx(0.25)
    assert row.by_seed == pytest.approx((0.2, 0.3))
    assert row.masked - row.plain == pytest.approx(0.25)
    assert row.clear
    assert "**+0.25**" in page._table([row])


def test_seeds_that_disagree_prove_nothing(page: Any) -> None:
    """However sure the images are, a difference that turns with the training seed is not called proven."""
    (row,) = page.contrast(scores(page, (0.5, -0.1)), "gaussian", ["gaussian:sigma=25"])
    assert row.pair.significant
    assert not row.clear
    said = next(page._verdict(None, {"gaussian": [row], "mixed": []}))
    assert "no difference is proven under `gaussian:sigma=25`" in said
    assert "helps" not in said
    assert "hurts" not in said


@pytest.mark.full
@pytest.mark.timeout(1500)
@pytest.mark.skipif(not os.environ.get("MDNBENCH_DATA_PATH"), reason="BSD400 and Set12 are not at hand")
def test_the_page_is_made_from_networks_and_store(workspace: Path) -> None:
    """One step each, two images: thirteen networks, every table, and nothing trained twice."""

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False, timeout=1200
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    call("train", "--steps", "1")
    again = call("train", "--steps", "1").splitlines()
    assert len(again) == 13
    assert all(line.endswith("is there already") for line in again)
    call("run", "--images", "01,02")
    page = call("page", "--show")
    for heading in ("Verdict", "Trained on mixed noise", "How much to hide", "The article's recipe beside ours"):
        assert f"## {heading}" in page
    assert "nan" not in page
