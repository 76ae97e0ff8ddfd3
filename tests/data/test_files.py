"""Finding, verifying and downloading data files, against a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdnbench import api, data, registry
from mdnbench.data import files
from mdnbench.errors import BadFile, DataMissing, MdnbenchError
from mdnbench.spec.specs import DataFile, DatasetSpec

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves one good file, one cut short, one altered, and nothing else."""

    def do_GET(self) -> None:
        """Answer by the last part of the path."""
        self.server.seen.append(self.path)  # type: ignore[attr-defined]
        kind = self.path.rpartition("/")[2]
        if not kind.startswith(("good", "short", "altered")):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        body = CONTENT[:5000] if kind.startswith("short") else CONTENT
        self.wfile.write(bytes([body[0] ^ 1]) + body[1:] if kind.startswith("altered") else body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def server(serving: Callable[..., Any]) -> Any:
    """A server of these answers; `seen` lists the paths that were asked for."""
    server = serving(Handler)
    server.seen = []
    return server


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home and a data folder of the test's own, the network allowed, and no memory of earlier failures."""
    monkeypatch.setenv("MDNBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MDNBENCH_DATA_PATH", str(tmp_path / "first") + os.pathsep + str(tmp_path / "second"))
    monkeypatch.delenv("MDNBENCH_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(files, "_unreachable", {})
    return tmp_path


def file(server: ThreadingHTTPServer | None, *kinds: str, name: str = "a.bin") -> DataFile:
    """A data file that the server is to serve in the given ways, tried in order."""
    port = server.server_address[1] if server else 1
    return DataFile(name, SHA256, len(CONTENT), tuple(f"http://127.0.0.1:{port}/{kind}" for kind in kinds))


def spec(*files: DataFile) -> DatasetSpec:
    """A data set of the given files."""
    images = tuple(each.name for each in files)
    return DatasetSpec("toy", "A toy", "test", 1, images, lambda _: np.zeros((1, 1), np.float32), files)


def put(folder: Path, content: bytes = CONTENT, name: str = "a.bin") -> Path:
    """Write a file into a data folder's place for the toy data set."""
    path = folder / "datasets" / "toy" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def tree(folder: Path) -> set[str]:
    """The names of all files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_missing_file_is_downloaded_to_home(here: Path, server: ThreadingHTTPServer) -> None:
    """A download arrives whole under its own name, with nothing left beside it, and is not repeated."""
    for _ in range(2):
        path = data.locate("datasets/toy", file(server, "good"))
        assert path == here / "home" / "datasets" / "toy" / "a.bin"
        assert path.read_bytes() == CONTENT
    assert tree(here) == {"home/datasets/toy/a.bin"}
    assert server.seen == ["/good"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["short", "altered"])
def test_fault_18_a_damaged_download_is_never_used(here: Path, server: ThreadingHTTPServer, kind: str) -> None:
    """A file that is cut short or altered on the way leaves nothing behind and is named in one line."""
    with pytest.raises(DataMissing) as caught:
        data.locate("datasets/toy", file(server, kind))
    message = str(caught.value)
    assert "\n" not in message
    assert "mdnbench data fetch toy" in message
    assert (SHA256 if kind == "altered" else "broke off") in message
    assert tree(here) == set()


def test_the_next_address_is_tried(here: Path, server: ThreadingHTTPServer) -> None:
    """An address that is gone or serves something else does not hide one that works."""
    path = data.locate("datasets/toy", file(server, "gone", "altered", "short", "good"))
    assert path.read_bytes() == CONTENT
    assert server.seen == ["/gone", "/altered", "/short", "/good"]  # type: ignore[attr-defined]


def test_an_address_that_is_gone_is_named(server: ThreadingHTTPServer) -> None:
    """The message holds the address and its status."""
    with pytest.raises(DataMissing, match="/gone answered 404"):
        data.locate("datasets/toy", file(server, "gone"))


def test_the_data_path_comes_first_and_is_never_written(here: Path, server: ThreadingHTTPServer) -> None:
    """Folders are searched in order before home, and a download never lands in them."""
    put(here / "second")
    put(here / "home")
    before = tree(here)
    assert data.locate("datasets/toy", file(server, "good")) == here / "second" / "datasets" / "toy" / "a.bin"
    first = put(here / "first")
    assert data.locate("datasets/toy", file(server, "good")) == first
    data.locate("datasets/toy", file(server, "good", name="b.bin"))
    assert tree(here) == before | {"first/datasets/toy/a.bin", "home/datasets/toy/b.bin"}
    assert server.seen == ["/good"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", ["first", "home"])
def test_a_file_of_other_content_is_refused(here: Path, server: ThreadingHTTPServer, place: str) -> None:
    """A file that is there but not the pinned one is named with both digests, and not replaced silently."""
    other = put(here / place, b"other")
    with pytest.raises(DataMissing) as caught:
        data.locate("datasets/toy", file(server, "good"))
    message = str(caught.value)
    assert str(other) in message
    assert SHA256 in message
    assert hashlib.sha256(b"other").hexdigest() in message
    assert other.read_bytes() == b"other"
    assert server.seen == []  # type: ignore[attr-defined]


def test_a_file_that_changes_is_verified_again(here: Path) -> None:
    """A verified file is not hashed again until its size or time changes."""
    path = put(here / "first")
    data.locate("datasets/toy", file(None))
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataMissing, match="not the expected file"):
        data.locate("datasets/toy", file(None))


def test_offline_says_what_where_and_how(
    here: Path, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With MDNBENCH_OFFLINE nothing is tried; one line names the file, the folders searched and the command."""
    monkeypatch.setenv("MDNBENCH_OFFLINE", "1")
    with pytest.raises(DataMissing) as caught:
        data.locate("datasets/toy", file(server, "good"))
    message = str(caught.value)
    assert "\n" not in message
    for part in ("datasets/toy/a.bin", "MDNBENCH_OFFLINE", str(here / "first"), str(here / "home"), "data fetch toy"):
        assert part in message
    assert server.seen == []  # type: ignore[attr-defined]
    assert not (here / "home").exists()


def test_without_permission_nothing_is_downloaded(server: ThreadingHTTPServer) -> None:
    """With download=False the network stays untouched."""
    with pytest.raises(DataMissing, match="not downloaded yet"):
        data.locate("datasets/toy", file(server, "good"), download=False)
    assert server.seen == []  # type: ignore[attr-defined]


def test_a_failed_connection_speaks_for_the_host(server: ThreadingHTTPServer) -> None:
    """Once a host does not answer, its other files are not tried; other hosts still are."""
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}/good"
        for name in ("a.bin", "b.bin"):
            with pytest.raises(DataMissing, match="cannot be reached"):
                data.locate("datasets/toy", DataFile(name, SHA256, 0, (dead,)))
        taken.listen()
        start = time.monotonic()
        with pytest.raises(DataMissing, match="cannot be reached"):
            data.locate("datasets/toy", DataFile("c.bin", SHA256, 0, (dead,)))
        assert time.monotonic() - start < 1  # a server that accepts and stays silent was not asked
        good = file(server, "good")
        assert data.locate("datasets/toy", DataFile("d.bin", SHA256, 0, (dead, *good.urls))).exists()


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("datasets/toy", "../../evil"),
        ("datasets/toy", "/etc/passwd"),
        ("datasets/toy", "C:evil.png"),
        ("datasets/toy", "..\\evil.png"),
        ("datasets/toy", ".."),
        ("datasets/toy", ""),
        ("datasets/toy", "a\nb.png"),
        ("datasets/toy", "x" * 300),
        ("datasets/../..", "evil.png"),
        ("/datasets/toy", "evil.png"),
        ("datasets//toy", "evil.png"),
    ],
)
def test_fault_22_names_that_leave_their_folder_are_refused(
    here: Path, server: ThreadingHTTPServer, folder: str, name: str
) -> None:
    """Such a name is refused before anything is read, asked for or written."""
    with pytest.raises(BadFile, match="refused") as caught:
        data.locate(folder, file(server, "good", name=name))
    assert "\n" not in str(caught.value)
    assert tree(here) == set()
    assert server.seen == []  # type: ignore[attr-defined]


def test_fault_22_a_link_in_home_is_replaced_not_followed(here: Path, server: ThreadingHTTPServer) -> None:
    """A dangling link at a file's place is replaced by the file; nothing is written where it points."""
    place = put(here / "home")
    place.unlink()
    place.symlink_to(here / "elsewhere.bin")
    path = data.locate("datasets/toy", file(server, "good"))
    assert not path.is_symlink()
    assert path.read_bytes() == CONTENT
    assert not (here / "elsewhere.bin").exists()


@pytest.mark.parametrize("sha256", ["", "abc", SHA256.upper()])
def test_a_file_without_a_digest_is_refused(server: ThreadingHTTPServer, sha256: str) -> None:
    """Nothing is located that is not pinned by a full SHA-256."""
    with pytest.raises(BadFile, match="SHA-256"):
        data.locate("datasets/toy", DataFile("a.bin", sha256, 0, file(server, "good").urls))


def test_a_home_that_cannot_be_written_is_named(
    here: Path, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where home is a file, the message says which folder cannot be written and how to choose another."""
    (here / "file").write_text("not a folder")
    monkeypatch.setenv("MDNBENCH_HOME", str(here / "file"))
    with pytest.raises(MdnbenchError, match="set MDNBENCH_HOME") as caught:
        data.locate("datasets/toy", file(server, "good"))
    assert caught.value.exit_code == 3


def test_fetch_at_hand_and_verify_tell_the_same_story(here: Path, server: ThreadingHTTPServer) -> None:
    """A data set goes from missing to complete, with progress, and damage is then found by verify."""
    put(here / "first", name="f0")
    files = [file(server, "good", name=f"f{index}") for index in range(6)]
    toy, steps = spec(*files), []
    assert not data.at_hand(toy)
    assert len(data.verify(toy)) == 5
    assert data.fetch(toy, lambda done, total: steps.append((done, total))) == 5
    assert steps == [(done, 5) for done in range(1, 6)]
    assert data.at_hand(toy)
    assert data.verify(toy) == []
    assert data.fetch(toy) == 0
    put(here / "home", CONTENT[::-1], "f3")
    (problem,) = data.verify(toy)
    assert "f3 is not the expected file" in problem
    put(here / "home", b"short", "f3")
    assert not data.at_hand(toy)


def test_fetch_stops_at_the_first_failure(here: Path, server: ThreadingHTTPServer) -> None:
    """A file that is not available ends the fetch; what arrived before it stays."""
    files = [file(server, "good", name="f0"), file(server, "gone", name="f1")]
    files += [file(server, "good", name=f"f{index}") for index in range(2, 40)]
    with pytest.raises(DataMissing, match="f1 is missing"):
        data.fetch(spec(*files))
    assert "home/datasets/toy/f0" in tree(here)
    assert not any(".part" in name for name in tree(here))


def test_requests_is_imported_only_to_download() -> None:
    """Looking for files costs no slow import."""
    code = "import sys, mdnbench.data; print(sorted({'urllib3', 'requests', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_fetching_for_a_metric_brings_what_its_settings_need_too(
    here: Path, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`data fetch METRIC` is what the reasons of a metric's settings advise, so it must help them as well."""
    (here / "plugins").mkdir()
    (here / "plugins" / "stars.py").write_text(
        METRIC.format(address=f"http://127.0.0.1:{server.server_address[1]}/", sha256=SHA256, size=len(CONTENT))
    )
    monkeypatch.setenv("MDNBENCH_PLUGINS", str(here / "plugins"))
    setting = registry.load().metric("stars[bright]")
    assert setting.prepare is not None
    assert "mdnbench data fetch stars" in (setting.prepare(False) or "")
    assert api.fetch_data("stars") == 2
    assert setting.prepare(False) is None
    assert api.fetch_data("stars") == 0


METRIC = """
from mdnbench import DataFile, MetricSetting, MetricSpec, data, hookimpl
from mdnbench.errors import DataMissing

FILES = {{name: DataFile(name, "{sha256}", {size}, ("{address}" + name,)) for name in ("good-own", "good-bright")}}

def need(name):
    def prepare(download):
        try:
            data.locate("weights/stars", FILES[name], download)
        except DataMissing as error:
            return str(error)
    return prepare

def build(device):
    return lambda output, clean: 0.0

@hookimpl
def mdnbench_metrics():
    bright = MetricSetting("bright", "of bright stars", build, need("good-bright"))
    return [MetricSpec("stars", "1", "stars", "higher", build, prepare=need("good-own"), settings=(bright,))]
"""
