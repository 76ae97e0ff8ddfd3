"""Fault 56: a download that is longer than its manifest says is cut off at once, whatever the server says of it."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from mdnbench import data
from mdnbench.data import download, files
from mdnbench.errors import DataMissing
from mdnbench.spec.specs import DataFile

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ENDLESS = 1 << 40


class Handler(BaseHTTPRequestHandler):
    """Serves the file in ways named by the path, and counts the bytes that went out."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer by the last part of the path."""
        kind = self.path.rpartition("/")[2]
        self.close_connection = True
        try:
            getattr(self, f"_{kind}")()
        except OSError:  # the other side has hung up
            self.server.hung_up.set()  # type: ignore[attr-defined]

    def _begin(self, **headers: object) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def _send(self, piece: bytes) -> None:
        self.wfile.write(piece)
        self.server.sent += len(piece)  # type: ignore[attr-defined]

    def _without_end(self, piece: bytes, head: bytes = b"") -> None:
        self._send(head)
        while self.server.sent < 1 << 30:  # type: ignore[attr-defined]
            self._send(piece)

    def _good(self) -> None:
        self._begin(Content_Length=len(CONTENT))
        self._send(CONTENT)

    def _chunked(self) -> None:
        self._begin(Transfer_Encoding="chunked")
        for start in range(0, len(CONTENT), 5000):
            piece = CONTENT[start : start + 5000]
            self._send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self._send(b"0\r\n\r\n")

    def _gzip(self) -> None:
        packed = gzip.compress(CONTENT)
        self._begin(Content_Length=len(packed), Content_Encoding="gzip")
        self._send(packed)

    def _announced(self) -> None:
        self._begin(Content_Length=ENDLESS)
        self._without_end(bytes(1 << 16))

    def _silent(self) -> None:
        self._begin()  # no length: until the connection ends
        self._without_end(bytes(1 << 16), CONTENT)

    def _one_byte_more(self) -> None:
        self._begin()
        self._send(CONTENT + b"x")

    def _chunks(self) -> None:
        self._begin(Transfer_Encoding="chunked")
        self._without_end(b"10000\r\n" + bytes(1 << 16) + b"\r\n")

    def _bomb(self) -> None:
        packed = gzip.compress(bytes(50_000_000))
        self._begin(Content_Length=len(packed), Content_Encoding="gzip")
        self._send(packed)

    def _deflate_bomb(self) -> None:
        packer = zlib.compressobj(9)
        piece = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
        self._begin(Content_Encoding="deflate")
        self._without_end(packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH), piece)

    def _empty_blocks(self) -> None:
        packer = zlib.compressobj(wbits=31)
        self._begin(Content_Encoding="gzip")
        self._without_end(b"\0\0\0\xff\xff" * 1000, packer.compress(b"x") + packer.flush(zlib.Z_SYNC_FLUSH))

    def _brotli(self) -> None:
        self._begin(Content_Length=5, Content_Encoding="br")
        self._send(b"abcde")

    def _no_gzip(self) -> None:
        self._begin(Content_Length=len(CONTENT), Content_Encoding="gzip")
        self._send(CONTENT)

    def _lies_short(self) -> None:
        self._begin(Content_Length=100)
        self._send(CONTENT)

    def _lies_long(self) -> None:
        self._begin(Content_Length=len(CONTENT))
        self._send(CONTENT[:-1])

    def _nonsense(self) -> None:
        self._begin(Content_Length="many")
        self._without_end(bytes(1 << 16))

    def _redirected(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/announced")
        self.send_header("Content-Length", "0")
        self.send_header("Connection", self.headers["Connection"])
        self.end_headers()

    def _drip(self) -> None:
        self._begin(Content_Length=len(CONTENT))
        for _ in range(1000):
            self._send(b"x")
            self.wfile.flush()
            time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def server(serving: Callable[..., Any]) -> Any:
    """A server of these answers; `sent` counts the bytes that it has sent."""
    server = serving(Handler)
    server.sent = 0
    server.hung_up = threading.Event()
    return server


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home, the network allowed, and no memory of earlier failures."""
    monkeypatch.setenv("MDNBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MDNBENCH_DATA_PATH", raising=False)
    monkeypatch.delenv("MDNBENCH_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(files, "_unreachable", {})
    return tmp_path


def locate(server: Any, *kinds: str, size: int = len(CONTENT)) -> Path:
    """Find a file that the server is to serve in these ways."""
    addresses = tuple(f"http://127.0.0.1:{server.server_address[1]}/{kind}" for kind in kinds)
    return data.locate("datasets/toy", DataFile("a.bin", SHA256, size, addresses))


def left(folder: Path) -> list[str]:
    """The files that are there."""
    return [path.name for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ["good", "chunked", "gzip"])
@pytest.mark.parametrize("size", [len(CONTENT), 0])
def test_fault_56_what_has_its_size_is_taken(server: Any, kind: str, size: int) -> None:
    """With a length, in chunks, or compressed without being asked to be: all of it arrives."""
    assert locate(server, kind, size=size).read_bytes() == CONTENT


LONG = [
    "announced",
    "silent",
    "one_byte_more",
    "chunks",
    "bomb",
    "deflate_bomb",
    "empty_blocks",
    "nonsense",
    "redirected",
]


@pytest.mark.parametrize("kind", LONG)
def test_fault_56_what_is_longer_is_cut_off_at_once(here: Path, server: Any, kind: str) -> None:
    """The reason names both lengths, little has been transferred, and no file stays."""
    begun = time.monotonic()
    with pytest.raises(DataMissing) as caught:
        locate(server, kind)
    message = str(caught.value)
    assert "\n" not in message
    assert "where 102,400 bytes are expected; it was cut off" in message
    assert left(here) == []
    assert time.monotonic() - begun < 15
    assert server.sent < 30e6  # what fits into the buffers of both sides


def test_fault_56_the_next_address_is_tried(here: Path, server: Any) -> None:
    """An address that gives too much does not hide one that works."""
    assert locate(server, "silent", "announced", "good").read_bytes() == CONTENT
    assert left(here) == ["a.bin"]


@pytest.mark.parametrize("kind", ["brotli", "no_gzip", "lies_short", "lies_long"])
def test_fault_56_what_is_not_as_announced_is_refused(here: Path, server: Any, kind: str) -> None:
    """An encoding that nobody asked for, no gzip at all, a length that is not true: no file stays."""
    with pytest.raises(DataMissing, match=r"encoded as 'br'|broke off|SHA-256"):
        locate(server, kind)
    assert left(here) == []


def test_fault_56_without_a_size_there_is_still_a_limit(
    here: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest that names no size does not take whatever comes."""
    monkeypatch.setattr(files, "MAX_DOWNLOAD_BYTES", 1_000_000)
    with pytest.raises(DataMissing, match="where 1,000,000 bytes are expected"):
        locate(server, "silent", size=0)
    assert left(here) == []


def test_fault_56_a_server_that_drips_is_given_up(here: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, but the whole would take for ever."""
    monkeypatch.setattr(download, "READ_TIMEOUT_S", 0.5)
    monkeypatch.setattr(download, "SLOWEST_BYTES_PER_S", 200_000)
    begun = time.monotonic()
    with pytest.raises(DataMissing, match="is too slow"):
        locate(server, "drip")
    assert time.monotonic() - begun < 10
    assert left(here) == []
