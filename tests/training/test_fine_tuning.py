"""Trainings that begin from weights that are there: they start where those ended, and their cards say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mdnbench import api, weights
from mdnbench.errors import UnknownName, UsageError, WeightsError
from mdnbench.registry import Registry
from mdnbench.util.listener import Listener
from mdnbench.weights import Weights

STILL = {"optimiser": {"lr": 1e-12, "warmup": 0, "weight_decay": 0.0}, "ema": 0.0}


@pytest.fixture
def first(fit: Callable[..., Weights]) -> Weights:
    """Weights that were trained from random ones."""
    return fit(steps=6, name="first")


def test_a_training_begins_where_the_named_weights_ended(home: Path, first: Weights, plugin_file: Path) -> None:
    """At a rate of next to nothing the parameters stay those of the weights; the card has their digest and steps."""
    made = api.train("tiny", plugins=[plugin_file], start="first", steps=2, changes=STILL, name="second")
    before, after = weights.load_state(first), weights.load_state(made)
    for key in ("layers.0.weight", "layers.0.bias", "layers.4.weight"):
        torch.testing.assert_close(after[key], before[key])
    assert made.card.begun_from == first.sha256
    assert made.card.notes == "begun from the weights first, which were trained for 6 steps"
    assert (made.card.steps, made.card.options) == (2, first.card.options)
    assert weights.read(made.path.with_suffix(".toml")).card == made.card


def test_it_goes_on_learning(home: Path, first: Weights, plugin_file: Path) -> None:
    """More steps from there are better than the weights that it began with."""
    made = api.train("tiny", plugins=[plugin_file], start="first", steps=120, name="second")
    assert made.card.validation_psnr is not None
    assert first.card.validation_psnr is not None
    assert made.card.validation_psnr > first.card.validation_psnr


def test_it_has_checkpoints_of_its_own(home: Path, first: Weights, plugin_file: Path) -> None:
    """The same recipe from random weights, from one set and from another are three trainings."""
    second = api.train("tiny", plugins=[plugin_file], start="first", steps=6, name="second")
    third = api.train("tiny", plugins=[plugin_file], start="second", steps=6, name="third")
    assert len({first.sha256, second.sha256, third.sha256}) == 3
    assert len(list((home / "training").iterdir())) == 3
    again = api.train("tiny", plugins=[plugin_file], start="first", steps=6, name="again")
    assert again.sha256 == second.sha256


class Notes(Listener):
    """Keeps what a person should read."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        """One line."""
        self.said.append(text)


def test_a_name_that_other_weights_have_is_told_of(home: Path, first: Weights, plugin_file: Path) -> None:
    """Another recipe, start or options under the same name replaces the weights, and says so; the same command not."""
    heard = Notes()
    api.train("tiny", plugins=[plugin_file], steps=6, name="first", listener=heard)
    assert not [line for line in heard.said if "first" in line]
    api.train("tiny", plugins=[plugin_file], steps=7, name="first", listener=heard)
    api.train("tiny", plugins=[plugin_file], steps=6, start="first", name="first", listener=heard)
    api.train("tiny[dropout=0.5]", plugins=[plugin_file], steps=6, name="first", listener=heard)
    told = [line for line in heard.said if "first" in line]
    assert [line.partition(" are ")[0] for line in told] == [f"the weights first ({n} steps)" for n in (6, 7, 6)]
    assert all("stop and choose another --name" in line for line in told)


def test_what_cannot_begin_there_is_refused(
    home: Path, first: Weights, known: Registry, plugin_file: Path, fit: Callable[..., Weights]
) -> None:
    """Weights that are not there, of another network, or told what the recipe withholds; a pruned network."""
    with pytest.raises(UnknownName, match=r"no weights file of tiny is named 'frist'\. Did you mean 'first'"):
        api.train("tiny", plugins=[plugin_file], start="frist", steps=1)
    with pytest.raises(WeightsError, match="of another network"):
        api.train("tiny[dropout=0.5]", plugins=[plugin_file], start="first", steps=1)
    with pytest.raises(UsageError, match="add --set blind=true, or begin with other weights"):
        api.train("tiny", plugins=[plugin_file], start="first", steps=1, changes={"blind": False})
    for named in ("first", "nonexistent"):
        with pytest.raises(UsageError, match=f"weights={named} selects what tiny denoises with.* --start {named}"):
            api.train(f"tiny[weights={named}]", plugins=[plugin_file], steps=1)
    with pytest.raises(UsageError, match=r"name them as tiny\[keep=…,weights=first\]"):
        api.train("tiny[keep=0.5]", plugins=[plugin_file], start="first", steps=1)
