"""ONNX files in OpenVINO: as many threads as torch, on any core, and reasons where it cannot compute."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mdnbench.errors import BadFile, Unavailable
from mdnbench.wrappers.openvino_session import OpenvinoSession

pytest.importorskip("openvino", reason="OpenVINO is in the extra 'openvino'")


@pytest.fixture
def doubling(tmp_path: Path) -> Path:
    """An ONNX file that adds its input to itself."""
    onnx = pytest.importorskip("onnx", reason="onnx is in the extra 'deploy'")
    sizes = [1, 1, "height", "width"]
    given, returned = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sizes) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "x"], ["y"])], "doubling", [given], [returned])
    path = tmp_path / "doubling.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.fixture
def threads() -> Iterator[None]:
    """Torch has its former number of threads again afterwards."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_it_computes_images_of_any_size(doubling: Path) -> None:
    """The input has its name, and the output is a new array."""
    session = OpenvinoSession(doubling, "cpu")
    assert [each.name for each in session.inputs] == ["x"]
    first = session.run({"x": np.full((1, 1, 5, 7), 0.25, np.float32)})
    second = session.run({"x": np.full((1, 1, 8, 3), 1.5, np.float32)})
    assert np.array_equal(first, np.full((1, 1, 5, 7), 0.5, np.float32))
    assert np.array_equal(second, np.full((1, 1, 8, 3), 3, np.float32))


def test_it_has_as_many_threads_as_torch_and_no_core_of_its_own(doubling: Path, threads: None) -> None:
    """Threads that are pinned would share one core with those of every other process."""
    torch.set_num_threads(1)
    session = OpenvinoSession(doubling, "cpu")
    for number in (1, 2):
        torch.set_num_threads(number)
        session.run({"x": np.zeros((1, 1, 4, 4), np.float32)})
        assert session._model.get_property("INFERENCE_NUM_THREADS") == number
        assert session._model.get_property("ENABLE_CPU_PINNING") is False


def test_it_sends_no_telemetry(doubling: Path, tmp_path: Path) -> None:
    """OpenVINO's import looks a host up and writes an identifier below the home folder, unless its telemetry is off."""
    home = tmp_path / "home"
    home.mkdir()
    code = f"""
import socket, sys
def refuse(*given): print("looked up", given[0], flush=True); raise OSError("no network here")
socket.getaddrinfo = socket.gethostbyname = refuse
from pathlib import Path
from mdnbench.wrappers.openvino_session import OpenvinoSession
OpenvinoSession(Path({str(doubling)!r}), "cpu")
import time; time.sleep(1)  # it would be sent by a thread
"""
    environment = os.environ | {"HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    assert done.stdout == ""
    assert not list(home.rglob("*"))


def test_what_it_cannot_do_has_a_reason(doubling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another device, a file that is no ONNX, and a package that is not installed."""
    with pytest.raises(Unavailable, match="computes on the CPU here; leave --device cuda out"):
        OpenvinoSession(doubling, "cuda")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no ONNX")
    with pytest.raises(BadFile, match=r"OpenVINO cannot read the ONNX file .*broken\.onnx"):
        OpenvinoSession(broken, "cpu")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(Unavailable, match=r"install it with: pip install 'mdnbench\[openvino\]'"):
        OpenvinoSession(doubling, "cpu")
