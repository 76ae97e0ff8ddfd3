"""Turn the errors of plugins in this process into BadPlugin, which names the plugin and ends nothing else."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import PurePath

from mdnbench.errors import BadPlugin, MdnbenchError
from mdnbench.util.untrusted import cut


@contextlib.contextmanager
def named_errors(doing: str) -> Iterator[None]:
    """Run a plugin's code in the `with` block; errors of mdnbench itself are passed on unchanged.

    The functions of specs have time limits of their own.

    Args:
        doing: The plugin and its task for the message, for example `the data set photos loads image 'a'`.

    Raises:
        BadPlugin: The code raises any other error or tries to end the program.

    """
    try:
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
