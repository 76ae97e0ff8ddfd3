"""What the keys of cases and outputs depend on, and what leaves them alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import planning, registry
from mdnbench.planning.request import Request

Plugin = Callable[..., Path]

OWN = """
@mdnbench.hookimpl
def mdnbench_denoisers():
    build = lambda options, device, weights: lambda noisy, noise: noisy.clone()
    strength = mdnbench.Option("strength", float, default=1, minimum=0)
    return [mdnbench.DenoiserSpec("own", "{revision}", "own", build, options=(strength,), wants="{wants}",
                                  channels=(1, 3), packages={packages})]
"""


def own(plugin: Plugin, *, name: str = "own", revision: str = "1", wants: str = "nothing", packages: str = "()") -> str:
    """A plugin file with one method."""
    return str(plugin(OWN.format(revision=revision, wants=wants, packages=packages), name))


@pytest.mark.parametrize(
    "changes",
    [
        {"images": "02"},
        {"sigma": 25},
        {"sigma": None, "noise": "speckle:50"},
        {"methods": "median"},
        {"methods": "own[strength=2]"},
        {"protocol": "clipped"},
    ],
)
def test_what_changes_an_output_changes_its_key(plugin: Plugin, changes: dict[str, Any], cell: Any) -> None:
    """Image, noise, method, option and input rule are each part of the key."""
    keys: dict[str, Any] = {"methods": "own", "plugins": [own(plugin)]}
    assert cell(**keys | changes).output != cell(**keys).output


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": ["psnr", "ssim"]},
        {"protocol": "float"},
        {"images": ["01", "02"]},
        {"methods": "own[strength=1.0]"},
        {"methods": ["own", "noisy"]},
        {"sigma": [50, 25]},
        {"seeds": 3},
        {"jobs": 2},
        {"fresh": True},
        {"timeout": 5.0},
        {"out": "elsewhere"},
        {"noise_info": "withheld"},
        {"keep_images": "all"},
    ],
)
def test_what_changes_no_output_changes_no_key(plugin: Plugin, changes: dict[str, Any], cell: Any) -> None:
    """Metrics, scoring rule, company, and how it is run leave the key alone; so does noise information not wanted."""
    keys: dict[str, Any] = {"methods": "own", "plugins": [own(plugin)]}
    assert cell(**keys | changes).output == cell(**keys).output


def test_a_method_that_wants_the_noise_has_its_source_in_the_key(plugin: Plugin, cell: Any) -> None:
    """What the method is told is part of what it gives."""
    keys: dict[str, Any] = {"methods": "own", "plugins": [own(plugin, wants="std")]}
    known, estimated, withheld = (cell(noise_info=info, **keys) for info in ("known", "estimated", "withheld"))
    assert len({known.output, estimated.output, withheld.output}) == 3
    assert known.case == estimated.case == withheld.case


def test_neither_a_files_place_nor_its_text_is_in_the_base_key(plugin: Plugin, tmp_path: Path, cell: Any) -> None:
    """A plugin that is moved is the same one; its code is compared by itself, when a run asks the store."""
    path = Path(own(plugin))
    before = cell(methods="own", plugins=[str(path)]).output
    (tmp_path / "elsewhere").mkdir()
    moved = path.rename(tmp_path / "elsewhere" / "moved.py")
    assert cell(methods="own", plugins=[str(moved)]).output == before
    moved.write_text(moved.read_text() + "EDITED = 1\n")
    assert cell(methods="own", plugins=[str(moved)]).output == before


def test_an_option_with_a_default_is_not_in_the_key(plugin: Plugin, cell: Any) -> None:
    """A method that gets one more option keeps its keys, where that is at its default."""
    path = own(plugin)
    before = cell(methods="own", plugins=[path])
    text = Path(path).read_text()
    more = text.replace("options=(strength,)", 'options=(strength, mdnbench.Option("more", int, 3))')
    assert more != text
    Path(path).write_text(more)
    after = cell(methods="own", plugins=[path])
    assert (after.output, after.method) == (before.output, before.method)
    assert cell(methods="own[more=4]", plugins=[path]).output != before.output


def test_a_revision_and_a_packages_version_are_part_of_the_key(
    plugin: Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method that declares a package is computed anew when another version of it is installed."""
    known = registry.load([own(plugin, packages="('acme',)")])

    def key(revision: str = "1") -> str:
        entry = known.denoisers.entry("own")
        changed = dataclasses.replace(entry, spec=dataclasses.replace(entry.spec, revision=revision))
        monkeypatch.setitem(known.denoisers._entries, "own", changed)
        asked = Request(methods=("own",), sigma=(50,), dataset="sk12", images=("01",), metrics=("psnr",))
        planned = planning.make(asked, known)
        return next(planned.cells(planned.works[0]))[1].output

    keys = [key()]
    for version in ("1.0", "2.0"):
        info = tmp_path / version / f"acme-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme\nVersion: {version}\n")
        monkeypatch.syspath_prepend(info.parent)
        keys.append(key())
    keys.append(key(revision="2"))
    assert len(set(keys)) == 4
    assert key() == keys[2]


def test_the_same_pixels_are_the_same_case(tmp_path: Path, cell: Any, photograph: Any) -> None:
    """A copy of an image under another name, in another data set, has the same noise and the same key."""
    folder = photograph(tmp_path / "mine", "a.png")
    (folder / "a.png").rename(folder / "b.png")
    before = cell(dataset=str(folder), images=None)
    (folder / "b.png").rename(folder / "c.png")
    folder = folder.rename(tmp_path / "yours")
    after = cell(dataset=str(folder), images=None)
    assert (before.image, after.image) == ("b", "c")
    assert (before.dataset, after.dataset) == ("mine", "yours")
    assert (before.case, before.output) == (after.case, after.output)
