"""Fault 51: checkpoints as trainers write them. What is taken is said; a choice is left to the person."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mdnbench import api, wrap_torch
from mdnbench.errors import WeightsError
from mdnbench.spec.records import NoiseInfo
from mdnbench.wrappers.torch_module import load
from mdnbench.wrappers.weight_loading import StateSelection


class Net(nn.Module):
    """Two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1))

    def forward(self, image: Any) -> Any:
        """(1, 1, H, W) in and out."""
        return self.body(image)


def states() -> tuple[dict[str, Any], dict[str, Any]]:
    """The right state and another one of the same network."""
    torch.manual_seed(0)
    right = Net().state_dict()
    return dict(right), {key: tensor + 1 for key, tensor in right.items()}


RIGHT, OTHER = states()


def below(prefix: str, state: dict[str, Any] = RIGHT) -> dict[str, Any]:
    """The state with a prefix before its keys."""
    return {prefix + key: tensor for key, tensor in state.items()}


def loaded(content: Any, **choice: Any) -> dict[str, Any]:
    """The state of the network that is filled from a file with this content."""
    torch.save(content, "w.pth")
    return load("mine", Net, Path("w.pth"), StateSelection(**choice)).state_dict()


def refused(content: Any, **choice: Any) -> str:
    """The one line in which the file is refused."""
    with pytest.raises(WeightsError) as caught:
        loaded(content, **choice)
    assert len(str(caught.value).splitlines()) == 1
    assert "w.pth" in str(caught.value)
    return str(caught.value)


def is_right(state: dict[str, Any]) -> bool:
    """Whether every tensor is that of the right state."""
    return all(torch.equal(tensor, RIGHT[key]) for key, tensor in state.items())


WRAPPED: dict[str, Any] = {
    "bare": RIGHT,
    "EMA alone": {"params_ema": RIGHT},
    **{name: {name: RIGHT} for name in ("params", "state_dict", "model_state_dict", "model", "net", "netG", "ema")},
    "nested": {"model_weight": {"denoiser": RIGHT}, "epoch": 3},
    "compiled": below("_orig_mod."),
    "DataParallel": below("module."),
    "DataParallel of compiled": below("module._orig_mod."),
    "Lightning": {"state_dict": below("model."), "epoch": 3, "hyper_parameters": {"lr": 1e-3}},
    "Lightning with a loss": {"state_dict": below("model.") | {"loss.vgg.weight": torch.ones(3)}},
    "mmagic": {"meta": {}, "state_dict": below("generator.") | {"step_counter": torch.ones(1)}},
    "averaged": below("module.") | {"n_averaged": torch.tensor(7)},
    "an optimiser": {
        "net": RIGHT, "optimizer": {"state": {0: {"exp_avg": torch.ones(4)}}, "param_groups": [{"lr": 1.0}]},
    },
    "a discriminator": {"netG": RIGHT, "netD": {"fc.weight": torch.ones(2, 2)}},
    "a best score": {"state_dict": RIGHT, "best_psnr": torch.tensor(31.2), "epoch": 7},
    "the same twice": {"params": RIGHT, "params_ema": dict(RIGHT)},
    "equal twice": {"params": RIGHT, "params_ema": {key: tensor.clone() for key, tensor in RIGHT.items()}},
    "parameters": {key: nn.Parameter(tensor) for key, tensor in RIGHT.items()},
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPED)
def test_fault_51_checkpoints_as_trainers_write_them(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """One state and one prefix fit: they are taken, and the log says which."""
    caplog.set_level(logging.INFO)
    assert is_right(loaded(WRAPPED[name]))
    (said,) = [record.getMessage() for record in caplog.records if record.name.startswith("mdnbench.wrappers")]
    assert "4 tensors" in said
    if "." in name or name in ("compiled", "DataParallel of compiled", "mmagic"):
        assert "without the prefix" in said


CHOICES = {
    "params": ({"params": OTHER, "params_ema": RIGHT}, {"state": "params_ema"}, ("params", "params_ema")),
    "state_dict": ({"state_dict": OTHER, "state_dict_ema": RIGHT}, {"state": "state_dict_ema"}, ("state_dict_ema",)),
    "nested": ({"a": {"x": OTHER, "y": RIGHT}}, {"state": "a/y"}, ("a/x", "a/y")),
    "dotted": ({"a": {"x": OTHER, "y": RIGHT}}, {"state": "a.y"}, ("a/x", "a/y")),
    "numbered": ({0: OTHER, 1: RIGHT}, {"state": "1"}, ("0", "1")),
    "beside": ({**OTHER, "ema": RIGHT}, {"state": "ema"}, (".", "ema")),
    "itself": ({**RIGHT, "ema": OTHER}, {"state": "."}, (".", "ema")),
    "prefix": (below("generator.", OTHER) | below("generator_ema."), {"prefix": "generator_ema."}, ("generator.",)),
    "no dot": (below("net.", OTHER) | below("ema."), {"prefix": "ema"}, ("net.", "ema.")),
}


@pytest.mark.parametrize("name", CHOICES)
def test_fault_51_a_choice_is_the_persons(name: str) -> None:
    """Two networks that fit with different values: refused with both named, and taken as chosen."""
    content, choice, named = CHOICES[name]
    message = refused(content)
    assert "with different values" in message
    assert f"--{next(iter(choice))}" in message
    assert all(each in message for each in named)
    assert is_right(loaded(content, **choice))


def test_fault_51_a_choice_that_is_not_there() -> None:
    """A state or a prefix that the file does not have is refused with those that it has."""
    both = {"params": below("module."), "params_ema": OTHER}
    assert "no state 'ema'; it has 'params', 'params_ema'" in refused(both, state="ema")
    assert "no keys that begin with 'net.'; they begin with module." in refused(both, state="params", prefix="net")
    assert "it is one itself" in refused(RIGHT, state="ema")
    assert "Missing keys: body.0.weight" in refused(both, state="params", prefix="")


def test_fault_51_the_keys_that_tell() -> None:
    """Whatever does not fit, the first few of the missing, the unexpected and the others are in the message."""
    wrong: dict[str, Any] = {f"stranger{number}": torch.ones(1) for number in range(9)}
    message = refused({"net": wrong, "aux": {"x": torch.ones(2)}})
    assert "Missing keys: body.0.weight, body.0.bias, body.1.weight, body.1.bias." in message
    assert "Unexpected keys:" in message
    assert "The file holds the states net, aux" in message
    message = refused(below("module.", wrong | {"body.0.weight": torch.ones(4, 1, 5, 5)}))
    assert "Unexpected keys: stranger0, stranger1, stranger2, stranger3 and 5 more." in message
    assert "Other shapes: body.0.weight (4, 1, 5, 5), but the network has (4, 1, 3, 3)." in message
    message = refused(RIGHT | {"body.0.weight": torch.ones(4, 1, 3, 3, dtype=torch.int8)})
    assert "Other kinds of number: body.0.weight torch.int8, but the network has torch.float32." in message
    assert "Unexpected keys: a\\nb." in refused(RIGHT | {"a\nb": torch.ones(1)})
    assert "holds no tables of tensors, but epoch (int)" in refused({"epoch": 3})
    assert "holds list, not a table" in refused([RIGHT])


def test_fault_51_entries_among_the_tensors() -> None:
    """What is no tensor is not left out of a state without a word."""
    assert "holds more than tensors: scale (float)" in refused(RIGHT | {"scale": 2.0})
    assert "scale (a NumPy value)" in refused(RIGHT | {"scale": np.float32(2)})


def test_fault_51_the_choice_is_part_of_the_method(built: Callable[..., Any]) -> None:
    """`wrap_torch` takes `state` and `prefix`; another choice is another revision, and none is the revision of old."""
    torch.save({"params": OTHER, "params_ema": below("module.")}, "w.pth")
    specs = [
        wrap_torch("mine", Net, "w.pth", state=state, prefix=prefix)
        for state, prefix in (("params_ema", "module."), ("params_ema", None), ("params", None), ("", None))
    ]
    assert len({spec.revision for spec in specs}) == 4
    image = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    right = Net()
    right.load_state_dict(RIGHT)
    for spec in specs[:2]:
        assert torch.equal(built(spec)(image, NoiseInfo()), right(image))
    with pytest.raises(WeightsError, match="Choose one"):
        built(specs[3])


@pytest.fixture
def built() -> Callable[..., Any]:
    """`built(spec)` is a spec's denoiser on the CPU."""
    return lambda spec: spec.build({}, "cpu", None)


def test_fault_51_the_command_line_shows_and_takes(mdnbench: Callable[..., Any], workspace: Path) -> None:
    """`weights inspect` shows the states; `weights import` refuses to choose, and says what it has taken."""
    torch.manual_seed(1)
    widths = [(1, 64), *[(64, 64)] * 15, (64, 1)]
    state = {}
    for number, (inputs, outputs) in enumerate(widths):
        layer = nn.Conv2d(inputs, outputs, 3)
        state |= {f"module.model.{2 * number}.weight": layer.weight, f"module.model.{2 * number}.bias": layer.bias}
    torch.save({"params": {key: value * 2 for key, value in state.items()}, "params_ema": state}, "net.pth")
    shown = mdnbench("weights", "inspect", "net.pth", "--json")
    facts = json.loads(shown.out)
    assert [each["name"] for each in facts["states"]] == ["params", "params_ema"]
    for each in facts["states"]:
        assert (each["tensors"], each["values"], each["dtypes"]) == (34, 555137, {"float32": 34})
        assert (each["prefix"], each["batch_norm"]) == ("module.model.", False)
        assert each["fits"] == ["dncnn[depth=17,colour=false]"]
    table = mdnbench("weights", "inspect", "net.pth", "--state", "params_ema")
    assert table.code == 0
    assert "module.model.32.bias" in table.out
    refusal = mdnbench("weights", "import", "dncnn", "net.pth", "--name", "ema")
    assert (refusal.code, refusal.out) == (2, "")
    assert "params, params_ema. Choose one, as --state params_ema" in refusal.err
    taken = mdnbench("weights", "import", "dncnn", "net.pth", "--name", "ema", "--state", "params_ema")
    assert taken.code == 0, taken.err
    assert "34 tensors: the state 'params_ema', not 'params'" in taken.err
    made = api.import_weights("dncnn", Path("net.pth"), "ema2", state="params_ema", prefix="module.")
    assert "without the prefix 'module.'" in made.card.notes
