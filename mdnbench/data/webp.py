"""Check the size and the kind of WebP files, from the first bytes, before they are decoded."""

from __future__ import annotations

from mdnbench.data.pixels import RefusalError, check_size

HEADER_BYTES = 30
_ANIMATED, _ALPHA = 0x02, 0x10


def check(start: bytes) -> None:
    """Refuse a WebP that is too large, is animated, or has an alpha channel.

    Pillow allocates memory for the whole picture when it opens a WebP, and reports its size only afterwards.

    Args:
        start: The first 30 bytes of the file.

    """
    kind = start[12:16]
    if len(start) < HEADER_BYTES or kind not in (b"VP8 ", b"VP8L", b"VP8X"):
        raise RefusalError("is damaged: it has no WebP header")
    if kind == b"VP8X":
        if start[20] & _ANIMATED:
            raise RefusalError("is animated; one picture is wanted")
        width, height = _number(start[24:27]) + 1, _number(start[27:30]) + 1
    elif kind == b"VP8L":
        packed = _number(start[21:25])
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width, height = _number(start[26:28]) & 0x3FFF, _number(start[28:30]) & 0x3FFF
    check_size(width, height)
    if kind == b"VP8X" and start[20] & _ALPHA:
        raise RefusalError("is RGB with an alpha channel")


def _number(little_endian: bytes) -> int:
    return int.from_bytes(little_endian, "little")
