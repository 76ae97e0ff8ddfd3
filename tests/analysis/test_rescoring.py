"""Rescoring: kept outputs under other rules and settings, from the store the second time, and never a method run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdnbench import api, registry
from mdnbench.data.images import read_image
from mdnbench.errors import BadOption, DataMissing, NothingToDo, UnknownName, UsageError
from mdnbench.evaluation import protocols
from mdnbench.results import Results
from mdnbench.store import stored_images


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A run with two seeds, whose first seeds alone are kept; a setting of SSIM is among its metrics."""
    folder = tmp_path_factory.mktemp("run")
    return api.run(
        methods=["noisy", "median"], noise="gaussian:50", dataset="sk12", images=["01", "02"], seeds=2,
        metrics=["psnr", "ssim", "ssim[uniform]"], timing=False, jobs=1, out="run",
        workspace_folder=folder / ".mdnbench",
    )  # fmt: skip


@pytest.fixture(scope="module")
def rescored(run: Results) -> Any:
    """All rules and settings, computed once."""
    return api.rescore(run, jobs=1)


def test_all_rules_and_settings_are_measured(rescored: Any) -> None:
    """Each distinct rule and each setting is a choice; what is the run's own is said and not repeated."""
    assert [choice.name for choice in rescored.choices] == [
        "float", "masked-paper", "ssim[uniform]", "ssim[padded]", "ssim[downsampled]",
    ]  # fmt: skip
    assert "standard scores as this run did." in rescored.notes
    assert any(note.startswith("clipped scores as this run did; its noisy images") for note in rescored.notes)
    assert any(note.startswith("masked-paper means only its scoring rule") for note in rescored.notes)
    assert rescored.failed == ()


def test_what_was_not_kept_is_counted(rescored: Any) -> None:
    """Two of four outputs of each method are kept: the second seeds are left out, but for what the run has itself."""
    assert (rescored.kept, rescored.outputs, rescored.computed) == (4, 8, 12)
    assert {shift.outputs for shift in rescored.shifts if shift.way != "ssim[uniform]"} == {2}
    assert {shift.outputs for shift in rescored.shifts if shift.way == "ssim[uniform]"} == {4}


def test_shifts_are_what_the_metrics_say_of_the_kept_pixels(run: Results, rescored: Any) -> None:
    """Scored here by hand, the kept outputs give the same means as the workers stored."""
    known = registry.load()
    clean = {image: known.datasets["sk12"].load(image) for image in ("01", "02")}
    rows = [row for row in run.rows() if row.method == "median" and row.seed == 0]
    outputs = {row.image: stored_images.load(run.store.images, row.output_digest) for row in rows}
    psnr, uniform = known.metrics["psnr"].build("cpu"), known.metric("ssim[uniform]").build("cpu")
    padded = known.metric("ssim[padded]").build("cpu")
    rule, own = protocols.load("masked-paper").scoring, protocols.load("standard").scoring
    float_rule, ssim = protocols.load("float").scoring, known.metrics["ssim"].build("cpu")
    by_hand = {
        ("masked-paper", "psnr", "psnr"): [
            psnr(rule.crop(rule.apply(outputs[i])), rule.crop(clean[i])) for i in clean
        ],
        ("float", "ssim", "ssim"): [ssim(float_rule.apply(outputs[i]), clean[i]) for i in clean],
        ("float", "ssim[uniform]", "ssim[uniform]"): [uniform(float_rule.apply(outputs[i]), clean[i]) for i in clean],
        ("ssim[padded]", "ssim[padded]", "ssim"): [padded(own.apply(outputs[i]), clean[i]) for i in clean],
    }  # fmt: skip
    for (way, metric, beside), values in by_hand.items():
        (shift,) = (
            s for s in rescored.shifts if (s.way, s.metric, s.beside, s.method) == (way, metric, beside, "median")
        )
        assert shift.other == pytest.approx(float(np.mean(values)), abs=1e-12)
        assert shift.as_run == pytest.approx(float(np.mean([row.value(beside) for row in rows])))
        assert shift.low <= shift.shift <= shift.high


def test_the_second_time_nothing_is_computed(run: Results, rescored: Any) -> None:
    """The scores are stored under their rule, the run's own tables are as before, and no output was made anew."""
    before = [(row.output, row.seconds, dict(row.scores)) for row in run.rows()]
    again = api.rescore(run, ["float", "ssim[padded]"], jobs=1)
    assert again.computed == 0
    expected = [shift for shift in rescored.shifts if shift.way in ("float", "ssim[padded]")]
    assert list(again.shifts) == expected
    assert [(row.output, row.seconds, dict(row.scores)) for row in run.rows()] == before


@pytest.mark.parametrize(("asked", "says"), [({"jobs": -1}, "jobs = -1 is not"), ({"scoring": []}, "no way to score")])
def test_what_could_not_end_or_begin_is_refused(run: Results, asked: dict[str, Any], says: str) -> None:
    """Less than no workers would be waited for for ever; and of nothing nothing comes."""
    with pytest.raises(BadOption, match=says):
        api.rescore(run, **asked)


def test_mistakes_are_told(run: Results) -> None:
    """Unknown protocols, settings and metrics that the run lacks are named; the run's own rule alone is nothing."""
    for name in ("flaot", "ssim[round]", "lpips[squeeze]"):
        with pytest.raises(UnknownName):
            api.rescore(run, [name])
    with pytest.raises(NothingToDo, match="already"):
        api.rescore(run, ["standard"])


def test_a_protocol_of_ones_own_and_a_folder_of_ones_own(tmp_path: Path) -> None:
    """A file's scoring rule is applied; a run on a folder is scored against that folder, if it is still the same."""
    from PIL import Image

    folder = tmp_path / "mine"
    folder.mkdir()
    image = registry.load().datasets["sk12"].load("01")[:96, :96]
    Image.fromarray(np.uint8(np.round(image * 255))).save(folder / "a.png")
    (tmp_path / "cropped.toml").write_text(
        'name = "cropped"\nversion = 1\nsummary = ""\n[input]\nclamp = false\n'
        "[scoring]\nclamp = true\nbits = 8\nborder = 8\n",
        encoding="utf-8",
    )
    found = api.run(
        methods=["median"], noise="gaussian:50", dataset=str(folder), metrics=["psnr"], timing=False, jobs=1, out="own"
    )
    shift = api.rescore(found, [str(tmp_path / "cropped.toml")], dataset=str(folder), jobs=1).shifts[0]
    rule, row = protocols.read(tmp_path / "cropped.toml").scoring, next(found.rows())
    output = stored_images.load(found.store.images, row.output_digest)
    assert output is not None
    by_hand = (
        registry.load()
        .metrics["psnr"]
        .build("cpu")(rule.crop(rule.apply(output)), rule.crop(read_image(folder / "a.png")))
    )
    assert shift.other == pytest.approx(by_hand)
    Image.fromarray(np.uint8(np.round(image.T * 255))).save(folder / "a.png")
    with pytest.raises(DataMissing, match="is not the one that run 'own' was made on"):
        api.rescore(found, ["float"], dataset=str(folder))


def test_the_plugins_of_the_run_are_known(plugin: Callable[..., Path]) -> None:
    """A noise of one's own need not be named again where the run still knows where it came from."""
    path = plugin(
        """
        @mdnbench.hookimpl
        def mdnbench_noises():
            return [mdnbench.NoiseSpec("mine", "1", "mine", lambda clean, rng: clean + 0.1, lambda: 0.1)]
        """
    )
    found = api.run(
        methods="noisy", noise="mine", dataset="sk12", images="01", metrics="psnr", timing=False, jobs=1, plugins=[path]
    )
    (shift,) = api.rescore(found, ["float"], jobs=1).shifts
    assert shift.other == pytest.approx(20, abs=1)


METRIC = """
    @mdnbench.hookimpl
    def mdnbench_metrics():
        build = lambda device: lambda output, clean: {value}
        return [mdnbench.MetricSpec("mine", "1", "of one's own", "higher", build)]
"""


def test_a_metric_that_was_changed_is_left_out(plugin: Callable[..., Path]) -> None:
    """Values of another revision are not filed under the run's: it is said, and refused where nothing is left."""
    path = plugin(METRIC.format(value="1.0"))
    found = api.run(
        methods=["noisy"], noise="gaussian:50", dataset="sk12", images=["01"], metrics=["psnr", "mine"], timing=False,
        jobs=1, out="changed", plugins=[path],
    )  # fmt: skip
    plugin(METRIC.format(value="2.0"))
    scored = api.rescore(found, ["float"], plugins=[path], jobs=1)
    assert {shift.metric for shift in scored.shifts} == {"psnr"}
    (note,) = scored.notes
    assert note == "mine is left out: its code has changed since run 'changed' was scored; run it again."
    assert [row[0] for row in found.store.select("SELECT value FROM scores WHERE metric = 'mine'")] == [1.0]
    alone = api.run(
        methods=["noisy"], noise="gaussian:50", dataset="sk12", images=["01"], metrics=["mine"], timing=False, jobs=1,
        out="alone", plugins=[path],
    )  # fmt: skip
    plugin(METRIC.format(value="3.0"))
    with pytest.raises(UsageError, match="nothing can be scored again: mine is left out"):
        api.rescore(alone, ["float"], plugins=[path], jobs=1)


def test_a_metric_that_fails_is_told(plugin: Callable[..., Path], cli: Any) -> None:
    """A metric that raises under another rule is a failure with its reason and exit code 4; the others are stored."""
    value = "1 / float((output * 255 % 1 == 0).all())"  # of rounded outputs alone
    path = plugin(METRIC.format(value=value))
    found = api.run(
        methods=["noisy"], noise="gaussian:50", dataset="sk12", images=["01"], metrics=["psnr", "mine"], timing=False,
        jobs=1, out="fails", plugins=[path],
    )  # fmt: skip
    assert found.exit_code == 0
    scored = api.rescore(found, ["float"], plugins=[path], jobs=1)
    assert scored.failed == ("noisy on 01: mine failed: ZeroDivisionError: float division by zero",)
    assert (scored.computed, {shift.metric for shift in scored.shifts}) == (0, {"psnr"})
    done = cli("rescore", found.folder, "--scoring", "float", "--plugin", path)
    assert done.returncode == 4
    assert "noisy on 01: mine failed: ZeroDivisionError" in done.stdout


def test_another_data_set_is_refused_at_once(plugin: Callable[..., Path]) -> None:
    """The run's own data set may be named; another one is refused, though its images are called and look alike."""
    path = plugin("""
        from mdnbench import registry

        @mdnbench.hookimpl
        def mdnbench_datasets():
            def load(identity):
                return registry.load().datasets["sk12"].load(identity)
            return [mdnbench.DatasetSpec("twin", "the same", "test", channels=1, images=("01",), load=load)]
    """)
    found = api.run(
        methods=["noisy"], noise="gaussian:50", dataset="sk12", images=["01"], metrics=["psnr"], timing=False, jobs=1,
        out="own",
    )  # fmt: skip
    with pytest.raises(UsageError, match="was made on sk12, not on twin"):
        api.rescore(found, ["float"], dataset="twin", plugins=[path], jobs=1)
    scored = api.rescore(found, ["float"], dataset="sk12", jobs=1)
    assert (scored.computed, scored.failed) == (1, ())


def test_without_kept_outputs_there_is_nothing_to_score(run: Results, cli: Any) -> None:
    """A run that kept nothing, or whose kept files are damaged, ends with exit code 5 and what to do."""
    found = api.run(
        methods=["noisy"], noise="gaussian:25", dataset="sk12", images=["01"], metrics=["psnr"], timing=False, jobs=1,
        keep_images="none", out="none",
    )  # fmt: skip
    done = cli("rescore", found.folder)
    assert done.returncode == 5
    assert "--keep-images all" in done.stderr


def test_a_damaged_file_counts_as_not_kept(run: Results, rescored: Any, tmp_path: Path) -> None:
    """A kept image whose pixels are not what its name says is not scored."""
    row = next(row for row in run.rows() if row.method == "noisy" and row.seed == 0)
    path = stored_images.path_of(run.store.images, row.output_digest)
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-4] + b"\0\0\0\0")
        assert api.rescore(run, ["float"], jobs=1).kept == rescored.kept - 1
    finally:
        path.write_bytes(whole)


def test_the_command_shows_the_shifts(run: Results, rescored: Any, cli: Any) -> None:
    """`mdnbench rescore` prints one table for each of the run's metrics, each shift in its own place."""
    done = cli("rescore", run.folder, "--scoring", "float,ssim[uniform]")
    assert done.returncode == 0, done.stderr
    assert "4 of 8 outputs are stored; the other 4 are left out" in done.stdout
    shifts = {(s.way, s.beside): f"{s.shift:+.5f}" for s in rescored.shifts if s.method == "median"}
    _, *tables = re.split(r"\n.* · (\S+) ?.*↑\n", done.stdout)
    lines = dict(zip(tables[::2], tables[1::2], strict=True))
    for title, ways in (("SSIM", ["float", "ssim[uniform]"]), ("SSIM[UNIFORM]", ["float"])):
        (row,) = re.findall(r"^ median +\S+ +(.*\S)", lines[title], re.M)
        assert row.split() == [shifts[way, title.lower()] for way in ways]


def test_shifts_fit_a_narrow_terminal(run: Results, rescored: Any, cli: Any) -> None:
    """Where the ways do not fit side by side they stand below each other; `--json` has the shifts as data."""
    done = cli("rescore", run.folder, COLUMNS="60")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^ Method +noisy +median *$", done.stdout, re.M)
    assert re.search(r"^ \[downsampled\] +[+-]", done.stdout, re.M)
    found = json.loads(cli("rescore", run.folder, "--scoring", "float", "--json").stdout)
    assert {shift["way"] for shift in found["shifts"]} == {"float"}
    assert all(shift["shift"] == pytest.approx(shift["other"] - shift["as_run"]) for shift in found["shifts"])


def test_a_run_may_have_a_setting_alone(tmp_path: Path) -> None:
    """A run by `ssim[uniform]` and no plain SSIM is rescored by what it has, and compared."""
    found = api.run(
        methods=["noisy"], noise="gaussian:50", dataset="sk12", images=["01", "02"], metrics=["ssim[uniform]"],
        timing=False, jobs=1, out="alone",
    )  # fmt: skip
    assert {shift.beside for shift in api.rescore(found, ["float"], jobs=1).shifts} == {"ssim[uniform]"}
    assert api.compare(found).families[0].column.name == "ssim[uniform]"
    with pytest.raises(UnknownName, match=r"metric in the run"):
        api.rescore(found, ["ssim[padded]"])


def test_a_setting_of_a_metric_can_be_run_like_a_metric(cli: Any, tmp_path: Path) -> None:
    """`--metrics ssim[padded]` is a column of its own."""
    done = cli(
        "run", "--methods", "noisy", "--sigma", "25", "--dataset", "sk12", "--images", "01", "--no-timing", "--jobs", 1,
        "--metrics", "ssim,ssim[padded]", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    means = json.loads(done.stdout)["tables"][0]["lines"][0]["means"]
    assert means["ssim"] < means["ssim[padded]"]


@pytest.mark.parametrize("name", ["squeeze", "unstretched"])
def test_the_settings_of_lpips_are_other_distances(name: str) -> None:
    """Another backbone, and images that were not stretched to [-1, 1], give other numbers."""
    known = registry.load()
    spec = known.metric(f"lpips[{name}]")
    assert spec.prepare is not None
    if reason := spec.prepare(False):
        pytest.skip(reason)
    clean = known.datasets["sk12"].load("01")[:96, :96]
    noisy = np.clip(clean + np.float32(0.1) * np.random.default_rng(0).standard_normal(clean.shape, np.float32), 0, 1)
    assert abs(spec.build("cpu")(noisy, clean) - known.metrics["lpips"].build("cpu")(noisy, clean)) > 0.005
