"""Use a user's own folder of images as a data set."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from mdnbench.data import gray, images
from mdnbench.errors import UsageError
from mdnbench.spec.names import counted
from mdnbench.spec.specs import DatasetSpec
from mdnbench.util import paths
from mdnbench.util.limits import MAX_IMAGE_NAMES


def find(text: str) -> DatasetSpec | None:
    """Return the images of a folder as a data set; None if there is no such folder.

    Args:
        text: The path of the folder. `FOLDER[gray]` converts its images to gray.

    """
    folder, in_gray = _split(text)
    if not folder.is_dir():
        return None
    return gray.dataset(folder_dataset(folder)) if in_gray else folder_dataset(folder)


def files(text: str) -> tuple[Path, ...]:
    """Return the image files of the folder that a text names."""
    return tuple(_image_files(_split(text)[0].resolve()))


def absolute(text: str) -> str:
    """Return the text with the folder's absolute path, so that it is valid in every working directory."""
    folder, in_gray = _split(text)
    return str(folder.resolve()) + (gray.SUFFIX if in_gray else "")


def _split(text: str) -> tuple[Path, bool]:
    """Return the folder, and whether its images are to be converted to gray.

    If the name of an existing folder ends in the suffix itself, it is that folder and nothing is converted.
    """
    plain, in_gray = gray.split(text)
    if in_gray and not Path(text).is_dir():
        return paths.expanded(plain), True
    return paths.expanded(text), False


def folder_dataset(path: Path | str) -> DatasetSpec:
    """Return the images directly in a folder, in natural order of their file names (`2.png` before `10.png`).

    An image's id is its file name without the ending. If two files differ only in the ending, both keep it. The header
    of every file is read, so a file that cannot be scored is refused before any work is done.

    Raises:
        BadImage: One of the files cannot be scored.
        UsageError: The folder cannot be read, or has no images or too many.

    """
    folder = Path(path)
    files = _image_files(folder)
    by_id = dict(zip(_ids(files), files, strict=True))
    kinds = {images.channels(file) for file in files}
    return DatasetSpec(
        name=_slug(folder.resolve().name),
        summary=f"{counted(len(files), 'image')} in {_printable(str(folder))}",
        split="test",
        channels=kinds.pop() if len(kinds) == 1 else 0,
        images=tuple(by_id),
        load=lambda identity: images.read_image(by_id[identity]),
    )


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Return a sort key that orders numbers inside names by value; different names have different keys."""
    pieces = re.split(r"([0-9]+)", name)
    parts = [(int(piece), piece) if index % 2 else (-1, piece.lower()) for index, piece in enumerate(pieces)]
    return (*parts, (-1, name))


def _image_files(folder: Path) -> list[Path]:
    """Return the folder's image files without hidden ones; raise UsageError if there are none."""
    endings = f"files that end in {', '.join(images.ENDINGS)}"
    shown = repr(str(folder))
    try:
        files = [file for file in folder.iterdir() if _is_image(file)]
    except OSError as error:
        raise UsageError(
            f"the folder {shown} cannot be read: {error.strerror}. Name a folder with {endings}."
        ) from None
    if len(files) > MAX_IMAGE_NAMES:
        raise UsageError(f"the folder {shown} holds {len(files):,} images, and at most {MAX_IMAGE_NAMES:,} are taken.")
    if not files:
        raise UsageError(f"the folder {shown} holds no images. Put {endings} into it; folders inside are not searched.")
    return sorted(files, key=lambda file: natural_key(file.name))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in images.ENDINGS and not file.name.startswith(".") and file.is_file()


def _ids(files: list[Path]) -> list[str]:
    """Return one unique id for each file: the stem if it is unique, otherwise the file name."""
    stems, names = [_printable(file.stem) for file in files], [_printable(file.name) for file in files]
    times = Counter(stems)
    ids = [stem if times[stem] == 1 else name for stem, name in zip(stems, names, strict=True)]
    ids = ids if len(set(ids)) == len(ids) else names
    if len(set(ids)) < len(ids):
        raise UsageError(f"two images would both be called {Counter(ids).most_common(1)[0][0]!r}; rename one of them.")
    return ids


def _printable(name: str) -> str:
    """Return the name as text that can be stored and encoded; bytes that are not UTF-8 are written in hexadecimal."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _slug(name: str) -> str:
    """Return a data set name made from a folder's: at most 60 lower-case letters, digits, dots and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:60].rstrip("-.") or "folder"
