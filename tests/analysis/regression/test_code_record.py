"""The code behind a run as a baseline has it, and what of it explains a mean."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from mdnbench import api
from mdnbench.analysis.regression import code_record, compatibility
from mdnbench.analysis.regression.baselines import Facts, facts_with_code
from mdnbench.analysis.regression.compatibility import Difference
from mdnbench.results import Results
from mdnbench.spec.records import UsedFile


@pytest.fixture
def facts(finished: Results) -> Facts:
    """The facts of the finished run, with its code."""
    return facts_with_code(finished)


def changed(facts: Facts, key: str, name: str, value: str) -> Facts:
    """The facts with another entry in a table of code."""
    return replace(facts, code=facts.code | {key: facts.code[key] | {name: value}})


def test_a_run_knows_the_code_of_all_that_made_it(facts: Facts) -> None:
    """Methods, noises, metrics and the evaluation, each with its files and packages; nothing of this machine."""
    assert set(facts.code) == {
        "evaluation", "method median", "method noisy", "metric psnr", "metric ssim", "noise gaussian:sigma=25",
        "noise gaussian:sigma=50",
    }  # fmt: skip
    median = facts.code["method median"]
    assert median["plugin"] == "mdnbench_classical"
    assert len(median["plugin: filters.py"]) == code_record.SHORT
    assert code_record.packages(median)["scipy"] == facts.methods["median"]["scipy"]
    assert not any("evaluation/" in name for name in median)
    assert "mdnbench: evaluation/scoring.py" in facts.code["evaluation"]
    assert not any(name.partition(": ")[2].startswith("/") for table in facts.code.values() for name in table)


def test_files_elsewhere_are_named_without_their_folder() -> None:
    """Two of one name stand together; what is absent stays so, and a version keeps its local part."""
    table: dict[str, dict[str, str]] = {}
    code_record._add(table, "method m", [
        UsedFile("file", "/a/net.pt", "1" * 64, "1" * 64), UsedFile("file", "/b/net.pt", "0" * 64, "0" * 64),
        UsedFile("plugin", "options.toml", "absent", "absent"),
        UsedFile("package", "torch", "2.1+cpu+ab", "2.1+cpu+ab"),
    ])  # fmt: skip
    assert table["method m"] == {
        "plugin: options.toml": "absent", "package: torch": "2.1+cpu", "file: net.pt": f"{'0' * 12} {'1' * 12}",
    }  # fmt: skip


def test_a_file_is_named_once_with_all_that_uses_it(facts: Facts) -> None:
    """One line for a module that both methods load, and it concerns both."""
    other = changed(facts, "method median", "plugin: filters.py", "old")
    other = changed(other, "method noisy", "plugin: filters.py", "old")
    (found,) = compatibility.differences(facts, other)
    assert (found.what, found.before) == ("code of median, noisy (mdnbench_classical: filters.py)", "old")
    for method in ("median", "noisy"):
        assert compatibility.explaining([found], "gaussian:sigma=50", method, "psnr") == (found,)
    assert compatibility.explaining([found], "gaussian:sigma=50", "bm3d", "psnr") == ()


@pytest.mark.parametrize(("key", "explains"), [
    ("noise gaussian:sigma=50", {"50"}), ("metric ssim", set()), ("metric psnr", {"50", "25"}),
    ("evaluation", {"50", "25"}),
])  # fmt: skip
def test_code_concerns_what_it_made(facts: Facts, key: str, explains: set[str]) -> None:
    """A noise's code its own levels, a metric's its own means, the evaluation's everything."""
    found = compatibility.differences(facts, changed(facts, key, "plugin: new.py", "old"))
    assert [each.kind for each in found] == ["code"]
    assert str(found[0]).endswith("old → none")
    levels = {
        level for level in ("50", "25") if compatibility.explaining(found, f"gaussian:sigma={level}", "median", "psnr")
    }
    assert levels == explains


def test_a_package_concerns_what_loads_it(facts: Facts) -> None:
    """As far as the code is known; without it, any package may explain any mean."""
    other = replace(facts, packages=facts.packages | {"torchvision": "0.1"})
    (found,) = compatibility.differences(facts, other)
    assert (found.kind, found.concerns) == ("packages", ())
    (found,) = compatibility.differences(facts, replace(other, code={}))
    assert found.concerns is None
    other = changed(facts, "metric ssim", "package: numpy", "1.0")
    (found,) = compatibility.differences(facts, other)
    assert (str(found).partition(" →")[0], found.concerns) == ("package numpy: 1.0", ("metric ssim",))


def test_weights_of_one_noise_concern_it_alone(facts: Facts) -> None:
    """Where each noise has its own weights."""
    mine = facts.methods["median"] | {"weights gaussian:sigma=50": "a" * 64}
    found = compatibility.differences(replace(facts, methods=facts.methods | {"median": mine}), facts)
    assert [each.kind for each in found] == ["weights"]
    assert compatibility.explaining(found, "gaussian:sigma=50", "median", "psnr") == tuple(found)
    assert compatibility.explaining(found, "gaussian:sigma=25", "median", "psnr") == ()


def test_a_difference_that_concerns_all_explains_all() -> None:
    """Another processor may change any mean."""
    found = Difference("CPU", "one", "another", "machine")
    assert compatibility.explaining([found], "n", "m", "psnr") == (found,)


def test_a_store_without_manifests_knows_no_code(finished: Results, tmp_path: Path) -> None:
    """As one of earlier days: what it cannot tell is left out."""
    folder = tmp_path / ".mdnbench"
    shutil.copytree(finished.store.path.parent, folder)
    with sqlite3.connect(folder / "results.sqlite") as store:
        store.execute("UPDATE outputs SET manifest = NULL")
        store.execute("DELETE FROM manifests")
    assert code_record.of_run(api.open_run("done", workspace_folder=folder)) == {}
