"""Opening what others made: regular files of a bounded size, and no wait."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mdnbench.util import untrusted


def test_a_file_is_read(tmp_path: Path) -> None:
    """As far as its size is allowed, through links as well."""
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    assert untrusted.read_bytes(tmp_path / "a", 3) == untrusted.read_bytes(str(tmp_path / "link"), 3) == b"abc"
    with pytest.raises(OSError, match="it has 3 bytes, and at most 2 are read"):
        untrusted.read_bytes(tmp_path / "a", 2)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    """A folder, a pipe, a device, a socket, and nothing at all."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath((tmp_path / "socket").relative_to(Path.cwd())))
        cases = {tmp_path: "irectory", tmp_path / "pipe": "a pipe", Path("/dev/null"): "a device",
                 tmp_path / "socket": "No such device", tmp_path / "none": "No such file"}  # fmt: skip
        for path, reason in cases.items():
            with pytest.raises(OSError, match=reason):
                untrusted.read_bytes(path, 10)


def test_a_change_meanwhile_is_noticed_even_after_an_error(tmp_path: Path) -> None:
    """What a parser says of a file that is half old and half new is not the reason."""
    path = tmp_path / "a"
    path.write_bytes(b"abc")

    def read(error: Exception | None) -> None:
        with untrusted.opened(path, 100):
            path.write_bytes(path.read_bytes() + b"d")
            if error:
                raise error

    for error in (None, ValueError("damaged")):
        with pytest.raises(OSError, match="changed while it was read"):
            read(error)


@pytest.mark.parametrize("character", ["a", "é", "€", "🙂", "\udc80"])
def test_a_text_is_cut_at_64_kib(character: str) -> None:
    """Of UTF-8, whatever its characters; none of them is cut in two, and a text that was cut stays as it is."""
    for start in ("", "x", "xy", "xyz"):
        text = start + character * 100_000
        short = untrusted.cut(text)
        kept, _, note = short.partition(" … ")
        assert note == f"(cut: {len(text):,} characters in all)"
        size = len(kept.encode())
        assert 64 * 1024 - 4 < size <= 64 * 1024
        if character != "\udc80":  # part of a file name that is not UTF-8, shown as its code
            assert text.startswith(kept)
        assert untrusted.cut(short) == short


def test_a_short_text_is_not_cut() -> None:
    """Up to the limit in bytes."""
    for text in ("", "\udc80", "a" * 64 * 1024, "🙂" * 16 * 1024):
        assert untrusted.cut(text) == text
