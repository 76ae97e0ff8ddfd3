"""Slugs: texts as names of files that every system takes."""

from __future__ import annotations

import re

from mdnbench.digests import of_parts

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
