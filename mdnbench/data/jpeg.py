"""Check JPEG files before they are decoded: which ones are refused, and how much work decoding is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mdnbench.data.pixels import RefusalError, check_size
from mdnbench.util.limits import MAX_JPEG_SCAN_PIXELS, MAX_JPEG_SCANS, MAX_JPEG_SEGMENTS

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_ALONE = {0x01, _START, *range(0xD0, 0xD8)}  # markers that have no length and no body
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_HUFFMAN_DCT = {0xC0, 0xC1, 0xC2}
_LONGEST_FILL = 1024  # fill bytes before a marker, which Pillow reads one by one; encoders write none
_FILL = re.compile(rb"\xff+")
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not a stuffed byte, a restart or a fill byte


@dataclass(slots=True)
class _Found:
    """The size and the number of scans, according to the markers so far."""

    width: int = 0
    height: int = 0
    scans: int = 0


def check(content: bytes) -> None:
    """Refuse a JPEG that is not read in full, or that has so many scans that decoding takes long.

    A progressive JPEG may have any number of scans over its pixels: a file of 1 MB can keep a decoder busy for hours.
    """
    found, place = _Found(), 2
    for _ in range(MAX_JPEG_SEGMENTS):
        fill = _FILL.search(content, place)
        if fill is None:
            return
        if fill.end() - fill.start() > _LONGEST_FILL:
            raise RefusalError(f"is damaged: it has {fill.end() - fill.start():,} bytes of padding in one place")
        if fill.end() + 3 > len(content) or content[fill.end()] == _END:
            return
        place = _after(content, fill.end() - 1, found)
    raise RefusalError(f"has more than {MAX_JPEG_SEGMENTS:,} marker segments")


def _after(content: bytes, place: int, found: _Found) -> int:
    """Process the segment that begins at `place`, and return the position at which the next one may begin."""
    marker = content[place + 1]
    if not marker:
        raise RefusalError("is damaged: it has pixels where a marker must be")
    if marker in _ALONE:
        return place + 2
    end = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    if marker in _FRAMES:
        _take_frame(marker, content[place + 4 : end], found)
    if marker != _SCAN:
        return end
    _count_scan(found)
    following = _MARKER_IN_SCAN.search(content, end)
    return following.start() if following else len(content)


def _take_frame(marker: int, body: bytes, found: _Found) -> None:
    if len(body) < 6:
        return  # damaged: the decoder will report it
    bits, channels = body[0], body[5]
    found.height, found.width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if marker not in _HUFFMAN_DCT:
        raise RefusalError("is a lossless, hierarchical or arithmetic-coded JPEG; write it as PNG")
    if bits != 8:
        raise RefusalError(f"is a JPEG of {bits} bits a channel; write deep images as PNG")
    if channels not in (1, 3, 4):
        raise RefusalError(f"is a JPEG of {channels} channels")
    check_size(found.width, found.height)


def _count_scan(found: _Found) -> None:
    found.scans += 1
    work = found.scans * found.width * found.height
    if found.scans > MAX_JPEG_SCANS or work > MAX_JPEG_SCAN_PIXELS:
        raise RefusalError(
            f"is a JPEG of {found.scans} scans or more over {found.width}×{found.height} pixels; at most "
            f"{MAX_JPEG_SCANS} scans, and {MAX_JPEG_SCAN_PIXELS / 1e6:,.0f} megapixels over all scans, are decoded"
        )
