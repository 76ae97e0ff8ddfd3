"""The script behind the figures of docs/protocols.md: it measures, and replaces what is between the markers alone."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mdnbench import api

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "protocol_shifts.py"
PAGE = ROOT / "docs" / "protocols.md"


@pytest.fixture(scope="module")
def script() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("protocol_shifts", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["protocol_shifts"] = module
    spec.loader.exec_module(module)
    return module


def rows(text: str) -> list[tuple[str, list[str]]]:
    """The lines of a page's tables, PSNR's first: choice and level, and the other columns."""
    lines = [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if line.startswith("|")]
    return [(f"{line[0]} at {line[1]}", line[2:]) for line in lines]


def test_the_page_has_what_was_measured(script: Any) -> None:
    """Every choice is on the page, at both levels where it has them."""
    measured = PAGE.read_text(encoding="utf-8").partition(script.BEGIN)[2].partition(script.END)[0]
    found = [label for label, _ in rows(measured)]
    for words in (*script.WORDS.values(), "noisy image clipped and rounded (`clipped`)", "`ssim[uniform]`"):
        assert f"{words} at 15" in found
        assert f"{words} at 50" in found
    assert any(label.startswith("`bm3d[profile=lc]`") for label in found)
    assert any(label.startswith("another noise seed") for label in found)


def test_only_what_is_between_the_markers_is_replaced(script: Any) -> None:
    """The page around them stays; a page without them is refused."""
    page = f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n"
    assert script.inserted(page, "new") == f"before\n{script.BEGIN}\n\nnew\n\n{script.END}\nafter\n"
    for wrong in ("no markers", f"{script.END}\n{script.BEGIN}", script.BEGIN):
        with pytest.raises(SystemExit, match="lacks the lines"):
            script.inserted(wrong, "new")


@pytest.mark.full
def test_the_script_measures_and_writes(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one image of sk12, its figures are those of the runs that it leaves in the store."""
    page = tmp_path / "page.md"
    page.write_text(f"{script.BEGIN}\n{script.END}\n", encoding="utf-8")
    command = [
        sys.executable, str(SCRIPT), "--dataset", "sk12", "--images", "01", "--methods", "noisy,median", "--sigmas",
        "25", "--seeds", "2", "--profiles", "", "--page", str(page),
    ]  # fmt: skip
    monkeypatch.delenv("MDNBENCH_DATA_PATH", raising=False)  # without LPIPS, which takes longest
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found = dict(reversed(rows(page.read_text(encoding="utf-8"))))  # of equal labels PSNR's, which come first
    known = {name: api.open_run(f"shifts-{name}", workspace_folder=tmp_path / ".mdnbench")
             for name in ("standard", "clipped", "seeds")}  # fmt: skip
    standard, clipped = ([row.means["psnr"] or 0 for row in known[name].means] for name in ("standard", "clipped"))
    assert found["as `standard` has it at 25"] == [f"{mean:.2f}" for mean in standard]
    moved = [f"{other - mean:+.3f}" for mean, other in zip(standard, clipped, strict=True)]
    assert found["noisy image clipped and rounded (`clipped`) at 25"] == moved
    values = known["seeds"].cells.pivot_table(index="seed", columns="method", values="psnr")
    spans = [f"{values[name].max() - values[name].min():.3f}" for name in ("noisy", "median")]
    assert found["the highest of these 2 means less the lowest at 25"] == spans
    shifts = api.rescore(known["standard"], ["float"], jobs=1).shifts
    unrounded = [f"{each.shift:+.3f}" for each in shifts if each.metric == "psnr"]
    assert found["output not rounded (`float`) at 25"] == unrounded
