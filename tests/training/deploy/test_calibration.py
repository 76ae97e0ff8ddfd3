"""Calibration: on images that the weights were trained on, and never on anything else."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mdnbench import weights
from mdnbench.errors import Unavailable
from mdnbench.registry import Registry
from mdnbench.training.deploy import quantise
from mdnbench.training.validation import held_out
from mdnbench.weights import Weights


def test_it_draws_from_what_was_trained_on_alone(known: Registry, found: Weights) -> None:
    """Neither the image that overlaps test data nor the one held out is drawn; all others are, the same each time."""
    everything = sorted(known.datasets["own"].images)
    (held,) = held_out(everything, 1)
    assert set(quantise.images(known, found)) == set(everything) - {"cat", held}
    first, again = list(quantise.batches(known, found)), list(quantise.batches(known, found))
    assert len(first) == len(everything) - 2
    for (noisy, std), (same, level) in zip(first, again, strict=True):
        assert torch.equal(noisy, same)
        assert std is not None
        assert level is not None
        assert torch.equal(std, level)
        assert noisy.shape == (1, 1, 128, 128)
        assert 0 <= float(std) <= 75 / 255
    assert len({float(std) for _, std in first if std is not None}) == len(first)


@pytest.mark.parametrize("method", ["dncnn", "unet", "masked-unet"])
def test_what_is_shipped_is_calibrated_on_no_test_image(known: Registry, method: str) -> None:
    """The images are of the training set of the card, less those that the card says overlap test data."""
    shipped = weights.find(known.denoisers[method], "gaussian")
    chosen = set(quantise.images(known, shipped))
    assert len(chosen) == quantise.COUNT
    assert known.datasets[shipped.card.recipe["data"]].split == "train"
    assert chosen <= set(known.datasets[shipped.card.recipe["data"]].images)
    assert not chosen & set(shipped.card.left_out)
    tests = {name for spec in known.datasets.values() if spec.split == "test" for name in spec.images}
    assert not chosen & tests


def test_without_training_data_it_says_so(known: Registry, found: Weights, no_data: None) -> None:
    """Data that is not here, a data set that is unknown, and weights of whose training nothing is known."""
    shipped = weights.find(known.denoisers["unet"], "gaussian")
    with pytest.raises(
        Unavailable, match=r"calibrated on the training images, and these are not here: datasets/bsd400"
    ):
        next(quantise.batches(known, shipped))
    recipe = found.card.recipe | {"data": "elsewhere"}
    strange = dataclasses.replace(found, card=dataclasses.replace(found.card, recipe=recipe))
    with pytest.raises(Unavailable, match="elsewhere, which own was trained on, is no data set here"):
        quantise.images(known, strange)
    imported = dataclasses.replace(found, card=dataclasses.replace(found.card, recipe={}))
    with pytest.raises(Unavailable, match="the card of the weights own does not name their training data"):
        quantise.images(known, imported)
