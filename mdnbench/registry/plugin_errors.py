"""Turn the errors of plugins in this process into BadPlugin, which names the plugin and ends nothing else."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import PurePath

from mdnbench.errors import BadPlugin, MdnbenchError
from mdnbench.util.limits import PLUGIN_CALL_S
from mdnbench.util.time_limit import time_limit
from mdnbench.util.untrusted import cut


@contextlib.contextmanager
def named_errors(doing: str, seconds: float = PLUGIN_CALL_S) -> Iterator[None]:
    """Run a plugin's code in the `with` block, with a time limit; errors of mdnbench itself are passed on unchanged.

    Args:
        doing: The plugin and its task for the message, for example `the data set photos loads image 'a'`.
        seconds: The time limit.

    Raises:
        BadPlugin: The code raises any other error or tries to end the program.
        TookTooLong: The code does not return in time.

    """
    try:
        with time_limit(doing, seconds):
            yield
    except MdnbenchError:
        raise
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(cut(str(error)).split())
        raise BadPlugin(
            f"{doing}: {type(error).__name__}{f': {said}' if said else ''} ({PurePath(place.filename).name}, line "
            f"{place.lineno})."
        ) from error
