"""Long sequences in parts, so that a query asks for many at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

CHUNK = 256

Item = TypeVar("Item")


def chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield the items in lists of at most 256."""
    rest = iter(items)
    while part := list(islice(rest, CHUNK)):
        yield part
