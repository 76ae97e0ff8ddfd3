"""Guarding: what plugins raise in this process becomes an error that names them, and ends nothing else."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import PurePath

from mdnbench.errors import BadPlugin, MdnbenchError


@contextlib.contextmanager
def guarded(doing: str) -> Iterator[None]:
    """Call a plugin's code in here: BadPlugin where it raises anything but our own errors, or ends the program.

    `doing` says who was at work, as `the data set photos loads image 'a'`.
    """
    try:
        yield
    except MdnbenchError:
        raise
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(str(error).split())
        raise BadPlugin(
            f"{doing}: {type(error).__name__}{f': {said}' if said else ''} ({PurePath(place.filename).name}, line "
            f"{place.lineno})."
        ) from error
