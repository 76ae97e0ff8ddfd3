"""Which cells a plan has, in which order, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import registry
from mdnbench.errors import BadOption
from mdnbench.evaluation import protocols

Plugin = Callable[..., Path]


def test_a_plan_has_every_combination_once(plan: Any) -> None:
    """Methods × noises × images × seeds, each cell with a position and a key of its own."""
    planned = plan(methods=["noisy", "median"], sigma=[15, 25], images=["01", "08", "02"], seeds=2)
    cells = [pair for work in planned.works for pair in planned.cells(work)]
    assert planned.size == len(cells) == 2 * 2 * 3 * 2
    assert sorted(position for position, _ in cells) == list(range(24))
    assert len({each.output for _, each in cells}) == 24
    assert len({each.case for _, each in cells}) == 12


def test_big_images_come_first_and_positions_keep_the_order(plan: Any) -> None:
    """A work begins with its biggest image, so that no core waits at the end; tables keep the data set's order."""
    planned = plan(images=["01", "08", "02"])
    cells = list(planned.cells(planned.works[0]))
    assert [each.image for _, each in cells] == ["08", "01", "02"]
    assert [each.image for _, each in sorted(cells, key=lambda pair: pair[0])] == ["01", "02", "08"]


def test_the_order_in_which_images_are_asked_for_says_nothing(plan: Any) -> None:
    """The same images are the same data, with the same digest, which a baseline compares."""
    first, other = plan(images=["01", "02"]), plan(images=["02", "01"])
    assert first.dataset_digest == other.dataset_digest != plan(images=["01"]).dataset_digest
    assert [image.id for image in other.images] == ["01", "02"]


@pytest.mark.parametrize(
    ("key", "value", "count"),
    [
        ("methods", "noisy,noisy", 1),
        ("methods", ["median", "median[size=3]"], None),
        ("sigma", [50, 50.0], 1),
        ("noise", ["gaussian:50", "gaussian:sigma=50"], 1),
        ("images", ["01", "01"], 1),
        ("metrics", ["psnr", "psnr"], 1),
    ],
)
def test_what_is_said_twice_is_done_once(key: str, value: Any, count: int | None, plan: Any) -> None:
    """The same method, noise or image in other words is one, not two."""
    changes: dict[str, Any] = {key: value}
    if key == "noise":
        changes["sigma"] = None
    planned = plan(**changes)
    if count is None:  # the declared default, said aloud
        spec = registry.load().denoisers["median"]
        count = 1 if {option.name: option.default for option in spec.options}.get("size") == 3 else 2
    assert planned.size == count


def test_all_means_every_method_and_metric(plan: Any) -> None:
    """`all` beside other names adds the rest; `all` methods of a data set in gray are all that are installed.

    Metrics that are for naming alone are left out, and computed where they are named.
    """
    known = registry.load()
    planned = plan(methods="median,all", metrics="all")
    assert {method.name for method in planned.methods} == set(known.denoisers)
    assert planned.methods[0].name == "median"
    assert set(planned.metrics) == {name for name, spec in known.metrics.items() if not spec.by_name}
    assert {"psnr", "ssim", "lpips", "gmsd"} == set(plan(metrics="gmsd,all").metrics)


@pytest.mark.parametrize("methods", ["all", "noisy, all"])
def test_all_leaves_broken_plugins_out_with_a_note(
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch, methods: str, plan: Any
) -> None:
    """A broken plugin stands in the plan's notes with its reason, whatever stands beside `all`."""
    path = plugin("import surely_not_installed", "broken")
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    (note,) = plan(methods=methods).notes
    assert str(path) in note
    assert "surely_not_installed" in note
    assert plan(methods="noisy").notes == ()


def test_a_run_needs_a_noise_and_a_method(plan: Any) -> None:
    """Nothing asked for is no run of nothing."""
    with pytest.raises(BadOption, match="no noise was given; say --sigma 50"):
        plan(sigma=None)
    with pytest.raises(BadOption, match="no method was given; say --methods all"):
        plan(methods=[])
    with pytest.raises(BadOption, match="no method was given"):
        plan(methods=",")


def test_a_device_is_cpu_cuda_or_auto(plan: Any) -> None:
    """Another device is refused with what there is."""
    with pytest.raises(BadOption, match="it takes cpu, cuda or auto"):
        plan(device="tpu")
    assert plan(device="cpu").device == "cpu"


def test_the_plan_knows_its_protocol(plan: Any) -> None:
    """The protocol asked for is the plan's, from a file as well."""
    assert plan(protocol="float").protocol == protocols.load("float")
    text = (protocols.FOLDER / "float.toml").read_text()
    Path("own.toml").write_text(text.replace('"float"', '"own"'))
    assert plan(protocol="own.toml").protocol.name == "own"
