"""Plugins at import: what lies beside them, what is none, and a torchvision that does not fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api
from mdnbench.registry import torchvision_fix

BESIDE = {
    "absolute": "import helper; STRENGTH = helper.STRENGTH",
    "relative": "from .helper import STRENGTH",
    "dotted": "from parts.deep import STRENGTH",
    "inside": "def strength():\n    from .parts.deep import STRENGTH\n    return STRENGTH\nSTRENGTH = strength()",
    "dataclass": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom helper import STRENGTH as FOUND\n"
        "@dataclass(frozen=True, slots=True)\nclass Kept:\n    strength: float = FOUND\nSTRENGTH = Kept().strength"
    ),
}
METHOD = """
import mdnbench

@mdnbench.hookimpl
def mdnbench_denoisers():
    def build(options, device, weights):
        return lambda noisy, noise: noisy * STRENGTH
    return [mdnbench.DenoiserSpec("own", "1", "x", build)]
"""
BROKEN = "raise RuntimeError('this is no plugin')\n"


@pytest.fixture
def beside(workspace: Path) -> Callable[[str], Path]:
    """`beside("relative")` is a plugin file that imports from what lies next to it in this way."""

    def make(how: str) -> Path:
        folder = workspace / "own"
        (folder / "parts").mkdir(parents=True, exist_ok=True)
        (folder / "helper.py").write_text("STRENGTH = 0.5\n", encoding="utf-8")
        (folder / "parts" / "deep.py").write_text("STRENGTH = 0.5\n", encoding="utf-8")
        path = folder / "own.py"
        path.write_text(BESIDE[how] + METHOD, encoding="utf-8")
        return path

    return make


@pytest.mark.parametrize("how", BESIDE)
def test_fault_46_modules_beside_a_plugin_file(beside: Callable[[str], Path], how: str) -> None:
    """They are imported in each process in every way that people write it, and they count."""
    path = beside(how)
    keys: dict[str, Any] = {
        "methods": ["own"], "sigma": 25, "dataset": "sk12", "images": ["01"], "metrics": ["psnr"], "timing": False,
        "jobs": 1, "plugins": [path],
    }  # fmt: skip
    (before,) = api.run(**keys).rows()
    assert before.status == "ok", before.reason
    for name in ("helper.py", "parts/deep.py"):
        (path.parent / name).write_text("STRENGTH = 0.75\n", encoding="utf-8")
    again = api.run(**keys)
    assert again.tally is not None
    assert again.tally.computed == 1
    (after,) = again.rows()
    assert after.output_digest != before.output_digest


def test_fault_46_tests_and_private_modules_in_a_folder_of_plugins(workspace: Path, cli: Any) -> None:
    """They are no plugins and are never imported; what `plugin new` writes there is, and the doctor is content."""
    folder = workspace / "plugins"
    made = cli("plugin", "new", "my-filter", "--folder", folder)
    assert made.returncode == 0, made.stderr
    for name in ("test_more.py", "conftest.py", "_private.py"):
        (folder / name).write_text(BROKEN, encoding="utf-8")
    listed = cli("list", "methods", "--json", MDNBENCH_PLUGINS=str(folder))
    assert "my-filter" in listed.stdout
    examined = cli("doctor", "--json", MDNBENCH_PLUGINS=str(folder))
    assert examined.returncode == 0, examined.stdout
    found = [each for each in json.loads(examined.stdout)["findings"] if each["topic"] == "plugins"]
    assert {each["state"] for each in found} == {"well"}
    (folder / "broken.py").write_text(BROKEN, encoding="utf-8")  # which shows that the others were not imported
    assert "this is no plugin" in cli("doctor", MDNBENCH_PLUGINS=str(folder), COLUMNS="400").stdout


# ---- 47 ------------------------------------------------------------------------------------------------------------

USES = """
    import multiprocessing
    {top}

    def build(options, device, weights):
        {build}
        def denoise(noisy, noise):
            {call}
            import torchvision
            return noisy * float(torchvision.__name__ == "torchvision")
        return denoise

    @mdnbench.hookimpl
    def mdnbench_denoisers():
        return [mdnbench.DenoiserSpec("sees", "1", "x", build)]

    @mdnbench.hookimpl
    def mdnbench_metrics():
        def made(device):
            import torchvision
            return lambda denoised, clean: float(abs(denoised - clean).mean())
        return [mdnbench.MetricSpec("mine", "1", "x", "lower", made)]
"""
WHERE = {
    "at the top": {"top": "import torchvision", "build": "", "call": ""},
    "in build": {"top": "", "build": "from torchvision import transforms", "call": ""},
    "in a call": {"top": "", "build": "", "call": "import torchvision.models"},
}


def is_unfit() -> bool:
    """Whether torchvision cannot be imported here without a remedy."""
    done = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, text=True, check=False)
    return done.returncode != 0 and torchvision_fix.STUMBLES in done.stderr


@pytest.fixture(scope="module")
def unfit(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of an environment in which torchvision does not fit: this one, or one with a stand-in for it."""
    if is_unfit():
        return {}
    folder = tmp_path_factory.mktemp("unfit") / "torchvision"
    folder.mkdir()
    (folder / "__init__.py").write_text("from torchvision import extension, models, transforms\n", encoding="utf-8")
    (folder / "extension.py").write_text(
        'import torch\n\n@torch.library.register_fake("torchvision::nms")\ndef fake(*given):\n    return given[0]\n',
        encoding="utf-8",
    )
    for name in ("models", "transforms"):
        (folder / f"{name}.py").touch()
    found = {"PYTHONPATH": str(folder.parent)}
    done = subprocess.run(
        [sys.executable, "-c", "import torchvision"], capture_output=True, text=True, check=False,
        env=os.environ | found,
    )  # fmt: skip
    assert torchvision_fix.STUMBLES in done.stderr, "the stand-in does not stumble"
    return found


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.full)])
@pytest.mark.parametrize(
    "where", ["in build", *(pytest.param(each, marks=pytest.mark.full) for each in ("at the top", "in a call"))]
)
def test_fault_47_a_torchvision_that_does_not_fit(
    workspace: Path, cli: Any, unfit: dict[str, str], where: str, start: str
) -> None:
    """A plugin imports it at its top, in `build` or later, in its method's process and its metric's: all work."""
    path = workspace / "sees.py"
    path.write_text("import mdnbench\n" + textwrap.dedent(USES.format(**WHERE[where])), encoding="utf-8")
    done = cli("run", "--plugin", path, "--methods", "sees", "--sigma", 25, "--dataset", "sk12", "--images", "01",
               "--metrics", "mine", "--no-timing", "--jobs", 1, "--json", MDNBENCH_START=start, **unfit)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    assert (cell["status"], cell["scores"]["mine"] > 0) == ("ok", True)


def test_fault_47_the_doctor_names_it(cli: Any, unfit: dict[str, str]) -> None:
    """A note with both versions and what to do; the doctor is content all the same."""
    done = cli("doctor", "--json", **unfit)
    (found,) = [each for each in json.loads(done.stdout)["findings"] if each["topic"] == "torchvision"]
    assert found["state"] == "note"
    assert "do not fit torch" in found["text"]
    assert done.returncode == 0
