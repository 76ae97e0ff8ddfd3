"""A person's own folder of images as a data set."""

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
    """The images of the folder that a text names, in gray for `FOLDER[gray]`; None where there is no such folder."""
    folder, in_gray = _split(text)
    if not folder.is_dir():
        return None
    return gray.dataset(folder_dataset(folder)) if in_gray else folder_dataset(folder)


def files(text: str) -> tuple[Path, ...]:
    """The image files of the folder that a text names."""
    return tuple(_image_files(_split(text)[0].resolve()))


def absolute(text: str) -> str:
    """The same folder by its full path, to be found again from anywhere."""
    folder, in_gray = _split(text)
    return str(folder.resolve()) + (gray.SUFFIX if in_gray else "")


def _split(text: str) -> tuple[Path, bool]:
    """A folder and whether its images are to be turned gray; a folder that has the suffix in its own name is itself."""
    plain, in_gray = gray.split(text)
    if in_gray and not Path(text).is_dir():
        return paths.expanded(plain), True
    return paths.expanded(text), False


def folder_dataset(path: Path | str) -> DatasetSpec:
    """The images directly in a folder, in natural order of their file names (`2.png` before `10.png`).

    An image's id is its file name without the ending; where two files differ in the ending alone, both keep theirs.
    Every header is looked at, so that a file that cannot be scored is refused (BadImage) before any work is done.
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
    """A sort key under which numbers inside names count as numbers, and names that differ never tie."""
    pieces = re.split(r"([0-9]+)", name)
    parts = [(int(piece), piece) if index % 2 else (-1, piece.lower()) for index, piece in enumerate(pieces)]
    return (*parts, (-1, name))


def _image_files(folder: Path) -> list[Path]:
    """The folder's image files, hidden ones left out; UsageError where there are none."""
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
    """One id for each file, all different: stems where they are unique, else file names."""
    stems, names = [_printable(file.stem) for file in files], [_printable(file.name) for file in files]
    times = Counter(stems)
    ids = [stem if times[stem] == 1 else name for stem, name in zip(stems, names, strict=True)]
    ids = ids if len(set(ids)) == len(ids) else names
    if len(set(ids)) < len(ids):
        raise UsageError(f"two images would both be called {Counter(ids).most_common(1)[0][0]!r}; rename one of them.")
    return ids


def _printable(name: str) -> str:
    """The name as text that can be stored and encoded: bytes that are not UTF-8 are written out in hexadecimal."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _slug(name: str) -> str:
    """A data set name made from a folder's: lower-case letters, digits, dots and dashes, at most 60 long."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:60].rstrip("-.") or "folder"
