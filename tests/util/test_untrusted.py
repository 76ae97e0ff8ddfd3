"""Opening what others made: regular files of a bounded size, and no wait."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from mdnbench.engine.orders import failure_of
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
    for more in ("", "x", "xy", "xyz"):
        text = more + character * 100_000 + more
        short = untrusted.cut(text)
        start, note, end = short.split(" … ")
        assert note == f"(cut: {len(text):,} characters in all)"
        for kept in (start, end):
            assert 32 * 1024 - 4 < len(kept.encode()) <= 32 * 1024
        if character != "\udc80":  # part of a file name that is not UTF-8, shown as its code
            assert text.startswith(start)
            assert text.endswith(end)
        assert untrusted.cut(short) == short


def test_a_long_traceback_keeps_the_line_of_its_exception() -> None:
    """It is the last one, after any number of calls."""
    calls = [f"def f{number}(): f{number - 1}()" for number in range(1, 500)]
    code = "\n".join(["def f0(): raise ValueError('no such layer')", *calls])
    functions: dict[str, Any] = {}
    exec(compile(code, "a_long_path/" * 20, "exec"), functions)
    with pytest.raises(ValueError, match="no such layer") as raised:
        functions["f499"]()
    trace = failure_of(raised.value).traceback
    assert "(cut: " in trace
    assert trace.endswith("\nValueError: no such layer\n")


def test_a_short_text_is_not_cut() -> None:
    """Up to the limit in bytes."""
    for text in ("", "\udc80", "a" * 64 * 1024, "🙂" * 16 * 1024):
        assert untrusted.cut(text) == text
