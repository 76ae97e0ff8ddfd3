"""Files that are written whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mdnbench.errors import StoreError
from mdnbench.util import atomic


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """A reader sees the former content while the new one is being written, and folders are made as needed."""
    path = tmp_path / "deep" / "file"
    for content in ("first", "second"):
        before = path.read_text() if path.exists() else None
        with atomic.replacing(path) as part:
            part.write_text(content)
            assert (path.read_text() if path.exists() else None) == before
        assert path.read_text() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    """Whatever ends the writing, Ctrl-C included, the half-written file goes and the former one stays."""
    path = tmp_path / "file"
    path.write_text("former")

    def write() -> None:
        with atomic.replacing(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_threads_that_write_one_file_write_apart(tmp_path: Path) -> None:
    """Two threads in one process use files of their own; the last one wins, and neither leaves anything behind."""
    path, both = tmp_path / "file", threading.Barrier(2)

    def write(text: str) -> None:
        with atomic.replacing(path) as part:
            both.wait()
            part.write_text(text * 1000)
            both.wait()

    threads = [threading.Thread(target=write, args=(text,)) for text in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in ("a" * 1000, "b" * 1000)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in a folder's place: the error names the folder, and the variable to set where it is below the home."""
    monkeypatch.setenv("MDNBENCH_HOME", str(tmp_path / "home"))
    for place, advice in (("home", "point MDNBENCH_HOME"), ("else", "choose another folder")):
        (tmp_path / place).write_text("a file")
        folder = tmp_path / place / "weights"
        with (
            pytest.raises(StoreError, match=rf"{place}/weights cannot be written: .*{advice}"),
            atomic.below(folder),
            atomic.replacing(folder / "file"),
        ):
            pass


def test_several_new_files_are_written_together(tmp_path: Path) -> None:
    """Where one of them cannot be, those before it go again."""
    (tmp_path / "second").mkdir()
    with pytest.raises(OSError, match=r"second"):
        atomic.write_all({tmp_path / "first": "1", tmp_path / "second": "2"})
    assert [path.name for path in tmp_path.iterdir()] == ["second"]
    atomic.write_all({tmp_path / "first": "1", tmp_path / "third": "3"})
    assert [(tmp_path / name).read_text() for name in ("first", "third")] == ["1", "3"]


def test_lines_are_added_to_what_is_there(tmp_path: Path) -> None:
    """The file is made where it is not there; names that are no UTF-8 are written as escapes."""
    path = tmp_path / "log"
    for text in ("one\n", "two \udcff\n"):
        atomic.append(path, text)
    assert path.read_text(encoding="utf-8") == "one\ntwo \\udcff\n"
