"""What commands print with `--json` fits the published schemas, and the page that describes them is up to date."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import PIL.Image
import pytest

from mdnbench import registry
from mdnbench.cli import documents, draw
from mdnbench.planning.estimate import Estimate
from mdnbench.store.row_checks import Health

ROOT = Path(__file__).resolve().parents[2]
DONE = (
    "--methods", "noisy,median", "--noise", "gaussian:50", "--noise", "gaussian:25", "--dataset", "sk12", "--images",
    "01,02", "--metrics", "psnr,ssim", "--out", "done",
)  # fmt: skip
COMMANDS: dict[str, tuple[object, ...]] = {
    "run": ("run", *DONE, "--no-timing"),
    "plan": ("plan", *DONE),
    "list": ("list",),
    "describe": ("describe", "median"),
    "update": ("check", "done", "--baseline", "base", "--update"),
    "check": ("check", "done", "--baseline", "base"),
    "compare": ("compare", "done"),
    "claims": ("claims", "done", "--references", "printed.csv"),
    "rescore": ("rescore", "done", "--scoring", "float"),
    "doctor": ("doctor",),
    "weights-list": ("weights", "list", "dncnn"),
    "data-verify": ("data", "verify", "sk12"),
    "data-leaks": ("data", "leaks", "--train", "pictures", "--test", "pictures"),
    "store-check": ("store", "check"),
    "store-compact": ("store", "compact"),
    "store-merge": ("store", "merge", "other"),
    "plugin-new": ("plugin", "new", "my-filter"),
}
SLOW: dict[str, tuple[object, ...]] = {
    "time": ("time", "--methods", "noisy", "--sigma", 50, "--dataset", "sk12", "--sizes", 64, "--threads", 1),
    "export": ("export", "dncnn", "--out", "dncnn.onnx"),
    "weights-inspect": ("weights", "inspect", "dncnn.safetensors"),
    "plugin-check": ("plugin", "check", "csv"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, finished: Any) -> Path:
    """A copy of a workspace with a finished run, and next to it what the commands read."""
    made = tmp_path_factory.mktemp("documents")
    shutil.copytree(finished.store.path.parent, made / ".mdnbench")
    shutil.copytree(finished.store.path.parent, made / "other")
    (made / "pictures").mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (48, 48), np.uint8)
    PIL.Image.fromarray(pixels).save(made / "pictures" / "a.png")
    (made / "printed.csv").write_text(
        "method,dataset,noise,sigma,image,metric,value,source\nnoisy,sk12,gaussian,50,01,psnr,14.1,a report\n",
        encoding="utf-8",
    )
    trainable = registry.load().denoisers["dncnn"].trainable
    assert trainable is not None
    shutil.copy(trainable.weights / "gaussian.safetensors", made / "dncnn.safetensors")
    return made


def test_every_document_is_tried() -> None:
    """A new document needs a command in the lists above."""
    assert {*COMMANDS, *SLOW} == set(documents.DOCUMENTS)


@pytest.mark.parametrize("name", [*COMMANDS, *(pytest.param(name, marks=pytest.mark.full) for name in SLOW)])
def test_what_a_command_prints_fits_its_schema(
    folder: Path, mdnbench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Every key is there, no other one is, and each value is of its type."""
    monkeypatch.chdir(folder)
    said = mdnbench(*(COMMANDS | SLOW)[name], "--json")
    assert said.code in (0, 1), said.err
    found = json.loads(said.out)
    assert found["schema"] == f"mdnbench.{name}/1"
    jsonschema.validate(found, documents.schema_of(name))


def test_a_schema_refuses_what_its_record_does_not_have() -> None:
    """Keys that are missing or unknown and values of other types; a number may be null."""
    sound = {"schema": "mdnbench.store-check/1", "outputs": 1, "scores": 2, "runs": 3, "images": 4, "without_image": 5,
             "problems": []}  # fmt: skip
    schema = documents.schema_of("store-check")
    jsonschema.validate(sound, schema)
    less = {key: value for key, value in sound.items() if key != "runs"}
    for wrong in (less, sound | {"more": 1}, sound | {"runs": "3"}, sound | {"schema": "mdnbench.store-check/2"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
    seconds = documents.schema_of("plan")["properties"]["seconds"]
    assert seconds["type"] == ["number", "null"]


def test_numbers_are_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """Seconds, bytes and counts of an estimate are no sentences; what is infinite is null."""
    draw.data("plan", Estimate(
        "r", "sk12", "d", 2, "standard", "h", ("psnr",), {}, (), 8, 3, (), 2**20, "images", float("inf"), False, (),
    ))  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["new_cells"], found["kept_bytes"], found["seconds"]) == (2, 3, 1048576, None)
    draw.data("store-check", Health(1, 2, 3, 4, 5, ("a \udcff",)), exit_code=4)
    assert json.loads(capsys.readouterr().out)["problems"] == ["a \udcff"]


def test_the_page_and_the_schemas_are_up_to_date() -> None:
    """`docs/json.md` describes the documents as they are."""
    specification = importlib.util.spec_from_file_location("json_page", ROOT / "scripts" / "json_page.py")
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    stale = [
        path.name for path, text in script.files() if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    assert not stale, f"`python scripts/json_page.py` brings these up to date: {', '.join(stale)}"
