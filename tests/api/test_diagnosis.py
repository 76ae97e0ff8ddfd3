"""The doctor: what is well, what is worth a note, and each thing that can be wrong, made wrong for real."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from made_records import FACTS

from mdnbench import api, registry, weights
from mdnbench.api import diagnosis
from mdnbench.api.diagnosis import Diagnosis
from mdnbench.training import loop

Cli = Callable[..., subprocess.CompletedProcess[str]]


def of(topic: str, state: str = "") -> list[Diagnosis]:
    """What the doctor finds on a topic."""
    return [each for each in api.doctor() if each.topic == topic and state in ("", each.state)]


def test_a_new_machine_is_well(cli: Cli, workspace: Path) -> None:
    """Nothing is wrong where nothing was done yet: exit 0, every topic is there, and nothing is written."""
    shown = cli("doctor", "--json")
    assert shown.returncode == 0, shown.stdout
    found = json.loads(shown.stdout)
    assert found["well"]
    assert {each["state"] for each in found["findings"]} == {"well", "note"}
    topics = {each["topic"] for each in found["findings"]}
    assert topics == {
        "versions", "cores", "GPU", "memory", "workspace", "home", "network", "plugins", "data", "weights",
        "deployment", "store", "torchvision",
    }  # fmt: skip
    assert list(workspace.iterdir()) == []
    assert not [each for each in found["findings"] if "\n" in each["text"]]


def test_broken_plugins_and_stores_end_with_1(
    cli: Cli, workspace: Path, plugin: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is named with its reason and what to do."""
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(plugin("import surely_not_installed").parent))
    store = workspace / ".mdnbench" / "results.sqlite"
    store.parent.mkdir()
    store.write_bytes(b"my diary, " * 500)
    shown = cli("doctor", COLUMNS="400")
    assert shown.returncode == 1
    assert "2 problems" in shown.stdout.splitlines()[-1]
    assert "surely_not_installed" in shown.stdout
    assert f"{store} cannot be used" in shown.stdout
    assert store.read_bytes() == b"my diary, " * 500


def test_a_folder_of_plugins_that_is_none_is_a_problem(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt MDNBENCH_PLUGINS is named with the folder; an empty folder is well."""
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(workspace / "plugin"))
    (problem,) = of("plugins", "problem")
    assert problem.text.startswith(f"MDNBENCH_PLUGINS is broken: it names {workspace / 'plugin'}, which is no folder;")
    (workspace / "plugin").mkdir()
    assert of("plugins", "problem") == []


def test_data_that_is_missing_is_a_note(no_data: None) -> None:
    """Without data the command that fetches it stands there; what needs none is at hand."""
    notes = [each.text for each in of("data", "note")]
    assert any("`mdnbench data fetch set12`" in text for text in notes)
    assert any("metric lpips" in text for text in notes)
    assert any(each.text.startswith("sk12: available") for each in of("data", "well"))


def test_what_deployment_has_to_work_with(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The providers of ONNX Runtime that there are, whether torch can compile, and bfloat16."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is in the extra 'deploy'")
    (tools, _, _, bfloat16) = [each.text for each in of("deployment")]
    assert "CPUExecutionProvider" in tools
    assert "bfloat16" in bfloat16
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert [each.state for each in of("deployment") if "compiler" in each.text] == ["note"]


def test_damaged_weights_are_a_problem(workspace: Path) -> None:
    """A weights file of this machine that was altered is named."""
    spec = registry.load().denoisers["dncnn"]
    assert spec.trainable
    shipped = weights.shipped(spec.trainable)
    if not shipped:
        pytest.skip("no weights are shipped with dncnn")
    own = weights.export(shipped[0], workspace / "home" / "weights" / "dncnn", "own", half=True)
    assert any("dncnn: " in each.text and "own" in each.text for each in of("weights", "well"))
    content = bytearray(own.path.read_bytes())
    content[-1] ^= 1
    own.path.write_bytes(content)
    (problem,) = of("weights", "problem")
    assert str(own.path) in problem.text


def test_locks_are_told_apart(workspace: Path) -> None:
    """A training that goes on holds its folder; a lock that was left behind stops nobody."""
    folder = workspace / "home" / "training" / "one"
    with loop.locked(folder):
        (held,) = of("locks")
    (left,) = of("locks")
    assert (held.state, left.state) == ("note", "well")
    assert "is going on" in held.text


def test_runs_that_were_not_finished_are_notes(workspace: Path) -> None:
    """They are named, with how to go on."""
    from mdnbench.store import open_store

    store = open_store(workspace / ".mdnbench" / "results.sqlite")
    store.start_run("stopped", 3, FACTS)
    store.close()
    (note,) = of("store", "note")
    assert "'stopped' was not finished" in note.text


def test_the_network_is_tried_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that takes the connection answers; one that does not is a note; offline, none is tried."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/file.png"
        assert "MDNBENCH_OFFLINE" in diagnosis.network([address]).text
        monkeypatch.delenv("MDNBENCH_OFFLINE")
        assert diagnosis.network(["", address]) == Diagnosis("network", "well", "127.0.0.1 answers")
    start = time.monotonic()
    assert diagnosis.network([address]).state == diagnosis.network([]).state == "note"
    assert time.monotonic() - start < diagnosis.NETWORK_TEST_S + 1
