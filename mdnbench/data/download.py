"""Downloading one address into a file: bounded in bytes and in time, whatever the server says and sends."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mdnbench.util.limits import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, SLOWEST_BYTES_PER_S

if TYPE_CHECKING:
    import requests

CHUNK_BYTES = 1 << 16
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 47}  # what zlib calls these encodings; 47 finds out by itself


class DownloadError(Exception):
    """What went wrong with an address, in words."""


class UnreachableError(DownloadError):
    """The server does not answer: its other files need not be tried."""


def to_file(url: str, path: Path, most: int) -> None:
    """Write what an address gives to a file, and stop as soon as it is more than `most` bytes.

    What the server announces is compared first, but not believed: the bytes are counted as they come, after they are
    unpacked where the server compresses them. The time allowed is READ_TIMEOUT_S for the next bytes, and for the whole
    what SLOWEST_BYTES_PER_S takes.

    Raises:
        UnreachableError: if the server cannot be reached.
        DownloadError: for anything else that goes wrong on its side or on the way.
        OSError: if the file cannot be written.

    """
    import requests
    import urllib3

    host = urlsplit(url).netloc
    try:
        with _asked(url) as response:
            _write(_content(response, url, most), path, url, most)
    except requests.HTTPError as error:
        status = f"answered {error.response.status_code}" if error.response is not None else "failed"
        raise DownloadError(f"{url} {status}") from None
    except (requests.ConnectionError, requests.Timeout):
        raise UnreachableError(f"{host} cannot be reached") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, zlib.error) as error:
        raise DownloadError(f"{url} broke off ({type(error).__name__})") from None


def _asked(url: str) -> requests.Response:
    """Ask for an address, uncompressed; HTTPError if the answer is no success.

    The connection is not kept: after a redirect, a kept one may be closed by the server just as it is used again.
    """
    import requests

    headers = {"Accept-Encoding": "identity", "Connection": "close"}
    response = requests.get(url, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S), headers=headers)
    response.raise_for_status()
    return response


def _content(response: requests.Response, url: str, most: int) -> Iterator[bytes]:
    """Give the pieces of an answer, unpacked; none of them is much longer than CHUNK_BYTES."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    announced = response.headers.get("Content-Length", "")
    pieces = _pieces(response, url, most)
    if encoding in _WINDOW_BITS:
        yield from _unpacked(pieces, _WINDOW_BITS[encoding])
    elif encoding in ("identity", ""):
        if announced.isdecimal() and int(announced[:20]) > most:
            raise DownloadError(_too_long(url, f"{announced[:20]} bytes", most))
        yield from pieces
    else:
        raise DownloadError(f"{url} sends it encoded as {encoding[:20]!r}, which was not asked for")


def _pieces(response: requests.Response, url: str, most: int) -> Iterator[bytes]:
    """Give the bytes of an answer as they come, and no more than could be wanted."""
    size = 0
    while piece := response.raw.read1(CHUNK_BYTES, decode_content=False):
        size += len(piece)
        if size > most + CHUNK_BYTES:  # a compressed answer may be a little longer than what it stands for
            raise DownloadError(_too_long(url, "more", most))
        yield piece


def _unpacked(pieces: Iterable[bytes], window_bits: int) -> Iterator[bytes]:
    """Unpack a compressed answer piece by piece: a few bytes may stand for very many."""
    unpacker = zlib.decompressobj(window_bits)
    for piece in pieces:
        waiting = piece
        while waiting:
            yield unpacker.decompress(waiting, CHUNK_BYTES)
            waiting = unpacker.unconsumed_tail
    yield unpacker.flush()


def _write(pieces: Iterable[bytes], path: Path, url: str, most: int) -> None:
    begun, size = time.monotonic(), 0
    allowed = READ_TIMEOUT_S + most / SLOWEST_BYTES_PER_S
    with path.open("wb") as file:
        for piece in pieces:
            size += len(piece)
            if size > most:
                raise DownloadError(_too_long(url, "more", most))
            if time.monotonic() - begun > allowed:
                raise DownloadError(f"{url} is too slow: {size:,} of {most:,} bytes came in {allowed:.0f} s")
            file.write(piece)


def _too_long(url: str, given: str, most: int) -> str:
    return f"{url} gives {given} where {most:,} bytes are expected; it was cut off"
