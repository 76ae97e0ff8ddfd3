"""Download one address into a file, with limits on bytes and time whatever the server announces and sends."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mdnbench.util import time_limit
from mdnbench.util.limits import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, SLOWEST_BYTES_PER_S

if TYPE_CHECKING:
    import requests

CHUNK_BYTES = 1 << 16
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 47}  # zlib's numbers for these encodings; 47 detects the format


class DownloadError(Exception):
    """A failed download; the message is a phrase."""


class UnreachableError(DownloadError):
    """A server that does not answer; its other files need not be tried."""


def to_file(url: str, path: Path, most: int) -> None:
    """Write the content of an address to a file, and stop as soon as it exceeds `most` bytes.

    The announced size is compared first. It may be wrong, so the bytes are counted as they arrive, after decompression
    if the server compresses them. The next bytes may take READ_TIMEOUT_S. The whole download may take as long as `most`
    bytes at SLOWEST_BYTES_PER_S, plus READ_TIMEOUT_S.

    Args:
        url: The address.
        path: The file to write.
        most: The largest size in bytes.

    Raises:
        UnreachableError: The server cannot be reached.
        DownloadError: Anything else fails on the server's side or on the way.
        OSError: The file cannot be written.

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
    """Request an address without compression; raise HTTPError if the response is not a success.

    The connection is not reused: after a redirect, the server may close an idle connection just when it is used again.
    """
    import requests

    headers = {"Accept-Encoding": "identity", "Connection": "close"}
    response = requests.get(url, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S), headers=headers)
    response.raise_for_status()
    return response


def _content(response: requests.Response, url: str, most: int) -> Iterator[bytes]:
    """Yield the pieces of a response, decompressed; none of them is much longer than CHUNK_BYTES."""
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
    """Yield the bytes of a response as they arrive; raise DownloadError if there are too many."""
    size = 0
    while piece := response.raw.read1(CHUNK_BYTES, decode_content=False):
        size += len(piece)
        if size > most + CHUNK_BYTES:  # a compressed response may be a little longer than its content
            raise DownloadError(_too_long(url, "more", most))
        yield piece


def _unpacked(pieces: Iterable[bytes], window_bits: int) -> Iterator[bytes]:
    """Decompress a response piece by piece, because a few bytes may expand to very many."""
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
            time_limit.renew()  # a plugin's call waits for these bytes
            size += len(piece)
            if size > most:
                raise DownloadError(_too_long(url, "more", most))
            if time.monotonic() - begun > allowed:
                raise DownloadError(f"{url} is too slow: {size:,} of {most:,} bytes came in {allowed:.0f} s")
            file.write(piece)


def _too_long(url: str, given: str, most: int) -> str:
    return f"{url} gives {given} where {most:,} bytes are expected; it was cut off"
