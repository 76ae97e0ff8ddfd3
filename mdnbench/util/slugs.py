"""Make slugs: file names that are valid on every system."""

from __future__ import annotations

import re

from mdnbench.util import limits
from mdnbench.util.digests import of_parts
from mdnbench.util.limits import MAX_SLUG_CHARACTERS

_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


def slug(text: str) -> str:
    """Return a text as a file name of letters, digits, dots and dashes.

    It has at most 80 characters and is not the name of a device of Windows. If letters of the text are lost, a digest
    makes the name unique.
    """
    plain = re.sub(r"[^a-zA-Z0-9.]+", "-", text.replace("sigma=", "")).strip("-.")
    lossy = plain and any(letter.isalnum() and not letter.isascii() for letter in text)
    if lossy or len(plain) > MAX_SLUG_CHARACTERS:
        plain = f"{plain[: MAX_SLUG_CHARACTERS - 9].rstrip('-.')}-{of_parts(text)[:8]}"
    if _DEVICE.fullmatch(plain.partition(".")[0]):
        plain = f"run-{plain}"
    return plain or f"run-{of_parts(text)[:8]}"


def is_slug(text: object) -> bool:
    """Return whether a value can be the name of a run: a slug, or a slug followed by a number."""
    if not isinstance(text, str) or len(text) > limits.MAX_STORE_NAME:
        return False
    plain = re.fullmatch(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?", text)
    return plain is not None and not _DEVICE.fullmatch(text.partition(".")[0])
