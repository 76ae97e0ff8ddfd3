"""The errors that mdnbench raises on purpose, each with the exit code that the command line ends with.

    MdnbenchError                 3   something failed in mdnbench
    ├── UsageError                2   the request cannot be carried out as given
    │   ├── UnknownName           2   no such method, noise, data set, option, …
    │   ├── BadOption             2   a known option has a value that is not allowed
    │   ├── BadFile               2   a plan, recipe, card or baseline cannot be read
    │   ├── BadImage              2   an image cannot be read, or is of a kind that is not scored
    │   ├── BadPlugin             2   a plugin breaks the rules of the hooks, or two provide one name
    │   └── DataMissing           2   data is neither available nor can be downloaded
    ├── WeightsError              2   weights are damaged, unsafe, or made for another network
    ├── Unavailable               -   a method or metric cannot work here; its cells are skipped with this reason
    ├── TookTooLong               3   a plugin's call did not return within its time limit
    ├── StoreError                3   the results store cannot be read or written
    ├── NothingToDo               5   nothing matched, or nothing was compared
    └── Interrupted             130   the user pressed Ctrl-C

A message states what was given, what is allowed, and what to do next. Only the command line catches these errors.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable

from mdnbench.util.limits import LONGEST_VALUE, MAX_NAMES_COMPARED, MAX_NAMES_LISTED


class MdnbenchError(Exception):
    """The base class of all errors that mdnbench raises on purpose."""

    exit_code = 3


class UsageError(MdnbenchError):
    """A request that cannot be carried out as given."""

    exit_code = 2


def likeliest(given: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'lc'?` with the known text that is closest to the given one; '' if none is close."""
    close = difflib.get_close_matches(
        given[:LONGEST_VALUE], [*itertools.islice(known, MAX_NAMES_COMPARED)], n=1, cutoff=0.5
    )
    return f" Did you mean {close[0]!r}?" if close else ""


class UnknownName(UsageError):
    """A name that does not exist; the message lists the existing names and the closest one."""

    def __init__(self, kind: str, given: str, known: Iterable[str], *, hint: str = "") -> None:
        known = sorted(known)
        meant = likeliest(given, known)
        more = f" and {len(known) - MAX_NAMES_LISTED:,} more" if len(known) > MAX_NAMES_LISTED else ""
        listed = f" Known: {', '.join(known[:MAX_NAMES_LISTED])}{more}." if known else " There are none."
        cut = f"… ({len(given):,} characters)" if len(given) > LONGEST_VALUE else ""
        shown = f"{given[:LONGEST_VALUE]!r}{cut}"
        super().__init__(f"no {kind} is named {shown}.{meant}{listed}{' ' + hint if hint else ''}")


class BadOption(UsageError):
    """A known option with a value that is not allowed."""


class BadFile(UsageError):
    """A plan, recipe, card, protocol or baseline file that cannot be read."""


class BadImage(UsageError):
    """An image that cannot be read, or of a kind that is not scored."""


class BadPlugin(UsageError):
    """A plugin that breaks the rules of the hooks, or two plugins that provide the same name."""


class DataMissing(UsageError):
    """Data that is neither available nor can be downloaded."""


class WeightsError(MdnbenchError):
    """A weights file that is damaged, unsafe to load, or made for another network."""

    exit_code = 2


class Unavailable(MdnbenchError):
    """A method or metric that cannot work here; its cells are skipped with this reason."""


class TookTooLong(MdnbenchError):
    """A call of a plugin that did not return within its time limit."""


class StoreError(MdnbenchError):
    """A results store that cannot be read or written."""


class NothingToDo(MdnbenchError):
    """A request that matched nothing, or a comparison of nothing; this must not count as a pass."""

    exit_code = 5


class Interrupted(MdnbenchError):
    """An end by Ctrl-C; finished work is stored."""

    exit_code = 130
