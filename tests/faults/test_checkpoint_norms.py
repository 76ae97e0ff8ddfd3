"""Fault 53: batch normalisation's eps is in no state. A layout knows its own, or a person says it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mdnbench import api, registry, wrap_torch
from mdnbench.errors import BadOption, WeightsError
from mdnbench.spec.records import NoiseInfo


class Layout:
    """How code that trains DnCNN builds it: the list's name, which convolutions have a bias, and the eps."""

    def __init__(self, name: str, bias: str, eps: float, depth: int = 17) -> None:
        self.name = name
        self.bias = bias
        self.eps = eps
        self.depth = depth

    def network(self, seed: int = 0) -> nn.Module:
        """The trained network: statistics of the size that training leaves, some of them near nothing."""
        torch.manual_seed(seed)
        first, inner, last = {"all": (True, True, True), "first": (True, False, False)}.get(self.bias, (False,) * 3)
        layers: list[nn.Module] = [nn.Conv2d(1, 64, 3, padding=1, bias=first), nn.ReLU()]
        for _ in range(self.depth - 2):
            layers += [nn.Conv2d(64, 64, 3, padding=1, bias=inner), nn.BatchNorm2d(64, eps=self.eps), nn.ReLU()]
        layers.append(nn.Conv2d(64, 1, 3, padding=1, bias=last))
        for layer in layers:
            if isinstance(layer, nn.BatchNorm2d):
                layer.get_buffer("running_var").copy_(10 ** (-5 + 3 * torch.rand(64)))
                layer.get_buffer("running_mean").copy_(0.02 * torch.randn(64))
                nn.init.uniform_(layer.weight, 0.02, 0.06)
        holder = nn.Module()
        setattr(holder, self.name, nn.Sequential(*layers))
        return holder.eval()

    def clean(self, network: nn.Module, noisy: Any) -> Any:
        """What the trained network makes of an image (1, 1, H, W)."""
        with torch.no_grad():
            return noisy - getattr(network, self.name)(noisy)


KNOWN = [
    Layout("dncnn", "first", 1e-4),  # the authors' training code
    Layout("dncnn", "none", 1e-5),  # the port of DnCNN-S
    Layout("model", "all", 1e-4, depth=20),  # KAIR
]
UNKNOWN = [Layout("dncnn", "all", 1e-5), Layout("model", "none", 1e-3), Layout("layers", "first", 1e-4)]


def apart(result: Any, truth: Any) -> float:
    """The largest difference of two images, as a share of the largest value."""
    return float((result - truth).abs().max() / truth.abs().max())


NOISY = torch.rand(1, 1, 24, 21, generator=torch.Generator().manual_seed(1))


def imported(layout: Layout, prefix: str = "", **keys: Any) -> tuple[Any, Any]:
    """What the imported network makes of the image, and what the trained one does."""
    network = layout.network()
    torch.save({prefix + key: tensor for key, tensor in network.state_dict().items()}, "net.pth")
    made = api.import_weights("dncnn", Path("net.pth"), "net", **keys)
    denoise = registry.load().denoisers["dncnn"].build({}, "cpu", made)
    return denoise(NOISY, NoiseInfo()), layout.clean(network, NOISY)


@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
@pytest.mark.parametrize("layout", KNOWN, ids=lambda layout: f"{layout.name}-{layout.bias}")
def test_fault_53_a_known_layout_knows_its_eps(layout: Layout, prefix: str) -> None:
    """The imported network is the trained one; the wrong eps would be far off."""
    result, truth = imported(layout, prefix)
    assert apart(result, truth) < 1e-4
    other, _ = imported(layout, prefix, eps=1e-5 if layout.eps == 1e-4 else 1e-4)
    assert apart(other, truth) > 1e-2


@pytest.mark.parametrize("layout", UNKNOWN, ids=lambda layout: f"{layout.name}-{layout.bias}")
def test_fault_53_an_unknown_layout_must_be_told(layout: Layout) -> None:
    """Without `--eps` it is refused with the reason; with it, the imported network is the trained one."""
    with pytest.raises(WeightsError, match=r"not in the file and not known for this layout .* say --eps"):
        imported(layout)
    assert list(Path("home").rglob("net.*")) == []
    assert api.inspect_weights(Path("net.pth")).states[0].fits == ("dncnn, with --eps",)
    result, truth = imported(layout, eps=layout.eps)
    assert apart(result, truth) < 1e-4


def test_fault_53_an_eps_that_cannot_be_used() -> None:
    """No number, a negative one, or one for a network that has nothing to normalise."""
    layout = KNOWN[0]
    for eps in (float("nan"), -1e-5, 1.0, float("inf")):
        with pytest.raises(BadOption, match="is not allowed"):
            imported(layout, eps=eps)
    state = {key: value for key, value in layout.network().state_dict().items() if ".0." in key}
    torch.save(state, "plain.pth")
    with pytest.raises(WeightsError, match="no running statistics of batch normalisation; leave --eps away"):
        api.import_weights("dncnn", Path("plain.pth"), "plain", eps=1e-4)


def test_fault_53_the_command_line_takes_eps(mdnbench: Callable[..., Any], workspace: Path) -> None:
    """`weights import --eps`, and what was taken is said and kept in the card."""
    torch.save(UNKNOWN[0].network().state_dict(), "net.pth")
    refused = mdnbench("weights", "import", "dncnn", "net.pth", "--name", "net")
    assert refused.code == 2
    assert len(refused.err.splitlines()) == 1
    done = mdnbench("weights", "import", "dncnn", "net.pth", "--name", "net", "--eps", "1e-5")
    assert done.code == 0, done.err
    assert "eps of batch normalisation 1e-05" in done.err
    assert "eps of batch normalisation 1e-05" in next(Path("home").rglob("net.toml")).read_text(encoding="utf-8")


def test_fault_53_a_wrapped_network_keeps_its_own_eps_or_is_told() -> None:
    """`wrap_torch` computes with the eps of the network's code; `eps` replaces it."""
    trained = Layout("dncnn", "first", 1e-4)
    network = trained.network()
    torch.save(network.state_dict(), "net.pth")

    def make(eps: float) -> Callable[[], nn.Module]:
        class Net(nn.Module):
            """The same network with another eps in its code."""

            def __init__(self) -> None:
                super().__init__()
                self.dncnn = Layout("dncnn", "first", eps).network(seed=3).dncnn

            def forward(self, image: Any) -> Any:
                """(1, 1, H, W) in and out."""
                return image - self.dncnn(image)

        return Net

    truth = trained.clean(network, NOISY)
    right, wrong, told = (
        wrap_torch("mine", make(1e-4), "net.pth"),
        wrap_torch("mine", make(1e-5), "net.pth"),
        wrap_torch("mine", make(1e-5), "net.pth", eps=1e-4),
    )
    outputs = [spec.build({}, "cpu", None)(NOISY, NoiseInfo()) for spec in (right, wrong, told)]
    assert torch.equal(outputs[0], truth)
    assert apart(outputs[1], truth) > 1e-2
    assert torch.equal(outputs[2], truth)
    assert told.revision != wrong.revision == right.revision
    torch.save(nn.Conv2d(1, 1, 3).state_dict(), "conv.pth")
    plain = wrap_torch("mine", lambda: nn.Conv2d(1, 1, 3), "conv.pth", eps=1e-4)
    with pytest.raises(BadOption, match="has no batch normalisation"):
        plain.build({}, "cpu", None)


@pytest.mark.full
def test_fault_53_a_network_that_is_trained_here() -> None:
    """Training for some steps as the authors' code does, saving, importing: the same image to rounding."""
    layout = Layout("dncnn", "first", 1e-4)
    torch.manual_seed(0)
    network = layout.network()
    network.train()
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    clean = torch.nn.functional.avg_pool2d(torch.rand(4, 1, 44, 44), 5, 1)
    for _ in range(20):
        noisy = clean + 25 / 255 * torch.randn_like(clean)
        loss = ((noisy - network.dncnn(noisy)) - clean).square().sum()  # type: ignore[operator]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    torch.save(network.state_dict(), "trained.pth")
    made = api.import_weights("dncnn", Path("trained.pth"), "trained")
    result = registry.load().denoisers["dncnn"].build({}, "cpu", made)(NOISY, NoiseInfo())
    assert apart(result, layout.clean(network, NOISY)) < 1e-4
