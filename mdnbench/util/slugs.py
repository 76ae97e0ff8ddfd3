"""Slugs: texts as names of files that every system takes."""

from __future__ import annotations

import re

from mdnbench.util import limits
from mdnbench.util.digests import of_parts

LONGEST = 80
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


def slug(text: str) -> str:
    """A text as a file name: letters, digits, dots and dashes, at most 80 long, and no device of Windows.

    Where letters of the text are lost, a digest keeps it apart from others.
    """
    plain = re.sub(r"[^a-zA-Z0-9.]+", "-", text.replace("sigma=", "")).strip("-.")
    lossy = plain and any(letter.isalnum() and not letter.isascii() for letter in text)
    if lossy or len(plain) > LONGEST:
        plain = f"{plain[: LONGEST - 9].rstrip('-.')}-{of_parts(text)[:8]}"
    if _DEVICE.fullmatch(plain.partition(".")[0]):
        plain = f"run-{plain}"
    return plain or f"run-{of_parts(text)[:8]}"


def is_slug(text: object) -> bool:
    """Whether a value could be the name of a run: a slug, or one with a number behind it."""
    if not isinstance(text, str) or len(text) > limits.MAX_STORE_NAME:
        return False
    plain = re.fullmatch(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?", text)
    return plain is not None and not _DEVICE.fullmatch(text.partition(".")[0])
