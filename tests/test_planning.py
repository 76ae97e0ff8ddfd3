"""Planning: which cells there are, what their keys depend on, which data set is used, and what is refused."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from mdnbench import api, planning, protocols, registry
from mdnbench.errors import BadImage, BadOption, DataMissing, NothingToDo, UnknownName, UsageError
from mdnbench.planning import Plan, default_name, slug
from mdnbench.records import Cell
from mdnbench.request import Request

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


def plan(**changes: Any) -> Plan:
    """A plan of one cell, changed."""
    keys: dict[str, Any] = {"methods": "noisy", "sigma": 50, "dataset": "sk12", "images": "01", "metrics": "psnr"}
    return api.plan(**{key: value for key, value in (keys | changes).items() if value is not None})


def cell(**changes: Any) -> Cell:
    """The first cell of a plan."""
    planned = plan(**changes)
    return next(planned.cells(planned.works[0]))[1]


def photograph(folder: Path, *names: str, shape: tuple[int, ...] = (32, 40)) -> Path:
    """A folder with images, all different."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        pixels = np.random.default_rng([number, *shape]).integers(0, 256, shape, dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / name)
    return folder


# -- cells ---------------------------------------------------------------------------------------------------------


def test_a_plan_has_every_combination_once() -> None:
    """Methods × noises × images × seeds, each cell with a position and a key of its own."""
    planned = plan(methods=["noisy", "median"], sigma=[15, 25], images=["01", "08", "02"], seeds=2)
    cells = [pair for work in planned.works for pair in planned.cells(work)]
    assert planned.size == len(cells) == 2 * 2 * 3 * 2
    assert sorted(position for position, _ in cells) == list(range(24))
    assert len({each.output for _, each in cells}) == 24
    assert len({each.case for _, each in cells}) == 12


def test_big_images_come_first_and_positions_keep_the_order() -> None:
    """A work begins with its biggest image, so that no core waits at the end; tables keep the data set's order."""
    planned = plan(images=["01", "08", "02"])
    cells = list(planned.cells(planned.works[0]))
    assert [each.image for _, each in cells] == ["08", "01", "02"]
    assert [each.image for _, each in sorted(cells, key=lambda pair: pair[0])] == ["01", "08", "02"]


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
def test_what_is_said_twice_is_done_once(key: str, value: Any, count: int | None) -> None:
    """The same method, noise or image in other words is one, not two."""
    changes: dict[str, Any] = {key: value}
    if key == "noise":
        changes["sigma"] = None
    planned = plan(**changes)
    if count is None:  # the declared default, said aloud
        spec = registry.load().denoisers["median"]
        count = 1 if {option.name: option.default for option in spec.options}.get("size") == 3 else 2
    assert planned.size == count


def test_all_means_every_method_and_metric() -> None:
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
    plugin: Plugin, monkeypatch: pytest.MonkeyPatch, methods: str
) -> None:
    """A broken plugin stands in the plan's notes with its reason, whatever stands beside `all`."""
    path = plugin("import surely_not_installed", "broken")
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(path.parent))
    (note,) = plan(methods=methods).notes
    assert str(path) in note
    assert "surely_not_installed" in note
    assert plan(methods="noisy").notes == ()


# -- identity ------------------------------------------------------------------------------------------------------


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
def test_what_changes_an_output_changes_its_key(plugin: Plugin, changes: dict[str, Any]) -> None:
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
def test_what_changes_no_output_changes_no_key(plugin: Plugin, changes: dict[str, Any]) -> None:
    """Metrics, scoring rule, company, and how it is run leave the key alone; so does noise information not wanted."""
    keys: dict[str, Any] = {"methods": "own", "plugins": [own(plugin)]}
    assert cell(**keys | changes).output == cell(**keys).output


def test_a_method_that_wants_the_noise_has_its_source_in_the_key(plugin: Plugin) -> None:
    """What the method is told is part of what it gives."""
    keys: dict[str, Any] = {"methods": "own", "plugins": [own(plugin, wants="std")]}
    known, estimated, withheld = (cell(noise_info=info, **keys) for info in ("known", "estimated", "withheld"))
    assert len({known.output, estimated.output, withheld.output}) == 3
    assert known.case == estimated.case == withheld.case


def test_a_files_content_is_part_of_the_key_and_its_place_is_not(plugin: Plugin, tmp_path: Path) -> None:
    """A plugin from a file that is edited anywhere is another plugin; moved, it is the same."""
    path = Path(own(plugin))
    before = cell(methods="own", plugins=[str(path)]).output
    (tmp_path / "elsewhere").mkdir()
    moved = path.rename(tmp_path / "elsewhere" / "moved.py")
    assert cell(methods="own", plugins=[str(moved)]).output == before
    moved.write_text(moved.read_text() + "# a comment\n")
    assert cell(methods="own", plugins=[str(moved)]).output != before


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


def test_the_same_pixels_are_the_same_case(tmp_path: Path) -> None:
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


# -- data sets -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_data")
def test_sk12_stands_in_for_set12_and_says_so() -> None:
    """With no data set named and Set12 not to be had, the run uses sk12 and notes it in one line."""
    planned = plan(dataset=None, images=None)
    assert planned.dataset.name == "sk12"
    (note,) = planned.notes
    assert "set12" in note
    assert "sk12" in note
    assert "\n" not in note
    assert planned.name.startswith("sk12-")


@pytest.mark.usefixtures("no_data")
def test_an_explicit_set12_that_cannot_be_had_is_an_error() -> None:
    """A data set that was named is never replaced; the message says where to put it and how to fetch it."""
    with pytest.raises(DataMissing, match=r"MDNBENCH_DATA_PATH.*mdnbench data fetch set12"):
        plan(dataset="set12")


def test_set12_is_used_where_it_is_at_hand() -> None:
    """With no data set named, Set12 it is."""
    try:
        planned = plan(dataset="set12", images=None)
    except DataMissing:
        pytest.skip("the files of set12 are not at hand; MDNBENCH_DATA_PATH names folders that hold them")
    assert planned.dataset_digest == plan(dataset=None, images=None).dataset_digest
    assert len(planned.images) == 12


def test_a_folder_is_a_data_set(tmp_path: Path) -> None:
    """A folder of one's own, gray and colour mixed: methods for gray only are skipped with a reason."""
    folder = photograph(tmp_path / "My Photos", "b10.png", "b9.png")
    planned = plan(dataset=str(folder), images=None)
    assert planned.dataset.name == "my-photos"
    assert [image.id for image in planned.images] == ["b9", "b10"]
    photograph(folder, "colour.png", shape=(32, 40, 3))
    mixed = plan(dataset=str(folder), images=None, methods="all")
    for work in mixed.works:
        assert bool(work.skip) == (work.spec.channels == (1,))
        assert not work.skip or "not all gray" in work.skip


def test_a_folder_named_like_a_data_set_needs_a_path(tmp_path: Path) -> None:
    """`sk12` is the data set, `./sk12` the folder."""
    photograph(tmp_path / "sk12", "own.png")
    assert plan(dataset="sk12").dataset.summary != plan(dataset="./sk12", images=None).dataset.summary
    assert [image.id for image in plan(dataset="./sk12", images=None).images] == ["own"]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """A folder without images says what it should hold."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    with pytest.raises(UsageError, match=r"holds no images\. Put files that end in \.png"):
        plan(dataset=str(tmp_path / "empty"), images=None)


def test_a_training_set_is_no_test_set() -> None:
    """An unknown data set is guessed, and an image that it lacks is named."""
    with pytest.raises(UnknownName, match=r"Did you mean 'set12'\?"):
        plan(dataset="sett12")
    with pytest.raises(UnknownName, match="no image of data set 'sk12' is named '99'"):
        plan(images="99")


@pytest.mark.parametrize(
    ("shape", "changes", "fits"),
    [
        ((10, 40), {"metrics": "ssim"}, False),
        ((11, 40), {"metrics": "ssim"}, True),
        ((12, 40), {"metrics": "ssim", "protocol": "masked-paper"}, False),
        ((13, 40), {"metrics": "ssim", "protocol": "masked-paper"}, True),
        ((10, 40), {"metrics": "psnr"}, True),
    ],
)
def test_images_too_small_for_a_metric_are_refused_by_name(
    tmp_path: Path, shape: tuple[int, int], changes: dict[str, Any], fits: bool
) -> None:
    """SSIM's window needs 11 pixels a side after the border is cut; the message names the image and its size."""
    folder = photograph(tmp_path / "small", "tiny.png", shape=shape)
    if fits:
        assert plan(dataset=str(folder), images=None, **changes).size == 1
        return
    with pytest.raises(BadImage, match=f"image 'tiny' is 40x{shape[0]}; ssim needs at least 11 pixels a side"):
        plan(dataset=str(folder), images=None, **changes)


# -- what is refused -----------------------------------------------------------------------------------------------


def test_a_run_needs_a_noise_and_a_method() -> None:
    """Nothing asked for is no run of nothing."""
    with pytest.raises(BadOption, match="no noise was given; say --sigma 50"):
        plan(sigma=None)
    with pytest.raises(NothingToDo, match="no method"):
        plan(methods=[])
    with pytest.raises(NothingToDo, match="no method"):
        plan(methods=",")


def test_a_device_is_cpu_cuda_or_auto() -> None:
    """Another device is refused with what there is."""
    with pytest.raises(BadOption, match="it takes cpu, cuda or auto"):
        plan(device="tpu")
    assert plan(device="cpu").device == "cpu"


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noises", "changes", "name"),
    [
        (["gaussian:sigma=50"], {}, "sk12-gaussian-50"),
        (["gaussian:sigma=15", "poisson:peak=30"], {}, "sk12-gaussian-15-poisson-peak-30"),
        (["gaussian:sigma=50"], {"protocol": "float"}, "sk12-gaussian-50-float"),
        (["gaussian:sigma=50"], {"noise_info": "withheld"}, "sk12-gaussian-50-withheld"),
        (["gaussian:sigma=50"], {"methods": ("bm3d", "nlm[patch=5]")}, "sk12-gaussian-50-bm3d-nlm-patch-5"),
        (["gaussian:sigma=50"], {"methods": ("all",), "plugins": ("a/own.py",)}, "sk12-gaussian-50-own"),
        (["gaussian:sigma=50"], {"metrics": ("psnr",), "seeds": 5}, "sk12-gaussian-50-psnr-5-seeds"),
        (["gaussian:sigma=50"], {"images": ("01", "02"), "device": "cpu"}, "sk12-gaussian-50-images-01-02-cpu"),
        (["gaussian:sigma=50"], {"jobs": 2, "timing": False, "fresh": True, "timeout": 5.0}, "sk12-gaussian-50"),
    ],
)
def test_a_run_is_named_after_what_it_is(noises: list[str], changes: dict[str, Any], name: str) -> None:
    """The same command means the same run; whatever makes other cells or scores makes another name."""
    assert default_name("sk12", noises, Request(**changes)) == name


@pytest.mark.parametrize("many", ["noises", "methods", "images"])
def test_long_lists_that_differ_at_their_end_have_two_names(many: str) -> None:
    """Of many noises, methods or images three are named, and a digest tells the others apart."""
    lists = [("a", "b", "c", "d", last) for last in "ef"]
    if many == "noises":
        first, second = (default_name("sk12", each, Request()) for each in lists)
    else:
        first, second = (default_name("sk12", ["n"], Request(**{many: each})) for each in lists)  # type: ignore[arg-type]
    assert re.search(r"-a-b-c-and-2-more-[0-9a-f]{4}$", first)
    assert first != second


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a/b\\c:d*e", "a-b-c-d-e"),
        ("../../etc/passwd", "etc-passwd"),
        ("<script>=cmd()", "script-cmd"),
        ("x" * 80, "x" * 80),
    ],
)
def test_a_slug_is_a_plain_file_name(text: str, safe: str) -> None:
    """Whatever a name holds, its file name is letters, digits, dots and dashes, and cannot leave its folder."""
    assert slug(text) == safe


@pytest.mark.parametrize("text", ["", "...", "é", "ж" * 300, "x" * 300, "x" * 90 + "y", "x" * 70 + "-y" * 9])
def test_a_slug_of_a_lost_name_has_a_digest(text: str) -> None:
    """Where a name is cut or has no plain letters, a digest keeps it apart from the next one."""
    assert re.fullmatch(r"[a-z-]{3,71}-[0-9a-f]{8}", slug(text))
    assert slug(text) != slug(text + "z")


@pytest.mark.parametrize("name", ["CON", "con", "NUL.txt", "com1", "LPT9"])
def test_a_slug_is_no_device(name: str) -> None:
    """The names that Windows reserves for devices are not used as they are."""
    reserved = {"con", "prn", "aux", "nul", *(f"{kind}{number}" for kind in ("com", "lpt") for number in range(10))}
    assert slug(name).partition(".")[0].lower() not in reserved


def test_the_plan_knows_its_protocol() -> None:
    """The protocol asked for is the plan's, from a file as well."""
    assert plan(protocol="float").protocol == protocols.load("float")
    text = (protocols.FOLDER / "float.toml").read_text()
    Path("own.toml").write_text(text.replace('"float"', '"own"'))
    assert plan(protocol="own.toml").protocol.name == "own"
