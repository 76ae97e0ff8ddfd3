"""Stdout whose reader goes away, that lacks characters, or that is a full disk: the exit code stays the command's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]

RUN = ("run", "--methods", "noisy,median", "--sigma", "9", "--dataset", "sk12", "--images", "01", "--metrics", "psnr",
       "--no-timing", "--jobs", "1", "--out", "small")  # fmt: skip


def piped(*arguments: str, to: int, **environment: str) -> tuple[int, str]:
    """A command's exit code and stderr, its stdout the file descriptor `to`."""
    command = [sys.executable, "-m", "mdnbench", *arguments]
    done = subprocess.run(
        command, stdout=to, stderr=subprocess.PIPE, text=True, env=os.environ | environment, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.full
def test_a_reader_that_went_away_changes_no_exit_code(cli: Cli, workspace: Path) -> None:
    """A pass stays 0 and a regression 1, and nothing is said of it."""
    assert cli(*RUN).returncode == 0
    assert cli("check", "small", "--baseline", "base", "--update").returncode == 0
    path = workspace / "base.csv"
    good = path.read_text(encoding="utf-8")
    for text, code in ((good, 0), (good.replace("ok,,2", "ok,,9"), 1)):
        path.write_text(text, encoding="utf-8")
        reader, writer = os.pipe()
        os.close(reader)
        for arguments in (("check", "small", "--baseline", "base"), ("check", "small", "--baseline", "base", "--json")):
            assert piped(*arguments, to=writer) == (code, "")
        os.close(writer)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [("list",), ("list", "--json"), ("--help",)])
def test_a_full_disk_gets_one_line(arguments: tuple[str, ...]) -> None:
    """What cannot be written is an error like others."""
    with Path("/dev/full").open("wb") as full:
        assert piped(*arguments, to=full.fileno()) == (
            3, "mdnbench: the output cannot be written: No space left on device.\n"
        )  # fmt: skip


@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize(
    "gone", ["reader", pytest.param("room", marks=pytest.mark.full), pytest.param("stream", marks=pytest.mark.full)]
)
def test_messages_that_nobody_can_have_change_no_exit_code(cli: Cli, workspace: Path, gone: str) -> None:
    """A run whose notes are not read goes on to its end, and an error is still the error that it is."""
    if gone == "room" and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    noted = [each for each in RUN if each not in ("--dataset", "sk12")]  # Set12 is not available, which is noted
    for arguments, code in ((noted, 0), (("check", "small", "--baseline", "nowhere"), 2), (("describe", "nothing"), 2)):
        assert unheard(*arguments, gone=gone) == code, arguments
    assert "uses sk12 instead" in cli(*noted).stderr


def unheard(*arguments: str, gone: str) -> int:
    """A command's exit code, where its stderr is a pipe that nobody reads, a full disk, or not there."""
    command = [sys.executable, "-m", "mdnbench", *arguments]
    if gone == "stream":
        return subprocess.run(
            ["sh", "-c", '"$@" 2>&-', "sh", *command], stdout=subprocess.DEVNULL, check=False
        ).returncode
    reader, writer = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY) if gone == "room" else writer
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=full, check=False).returncode
    finally:
        for each in {writer, full}:
            os.close(each)


@pytest.mark.parametrize("encoding", [pytest.param("cp1252", marks=pytest.mark.full), "ascii"])
def test_an_encoding_that_lacks_characters(workspace: Path, encoding: str) -> None:
    """An arrow in a heading does not end a run that is computed."""
    with (workspace / "out.txt").open("wb") as file:
        assert piped(*RUN, to=file.fileno(), PYTHONIOENCODING=encoding) == (0, "")
    assert b"PSNR dB \\u2191" in (workspace / "out.txt").read_bytes()


def test_no_stdout_at_all() -> None:
    """A process that was started without one does its work."""
    command = f"{sys.executable} -m mdnbench list >&-"
    done = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
