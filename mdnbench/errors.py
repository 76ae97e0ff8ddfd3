"""Every error that mdnbench raises on purpose, and the exit code that each one ends the command line with.

    MdnbenchError                 3   something broke here
    ├── UsageError                2   what was asked cannot be done as asked
    │   ├── UnknownName           2   no such method, noise, data set, option, …
    │   ├── BadOption             2   a known option with a value that it does not take
    │   ├── BadFile               2   a plan, recipe, card or baseline that cannot be read
    │   ├── BadImage              2   an image that cannot be read, or that is not one we score
    │   ├── BadPlugin             2   a plugin that breaks the hooks' rules, or two that claim one name
    │   └── DataMissing           2   data that is neither here nor to be downloaded
    ├── WeightsError              2   weights that are damaged, unsafe, or of another network
    ├── Unavailable               -   this part cannot work here; its cells are skipped with this reason
    ├── StoreError                3   the results store cannot be read or written
    ├── NothingToDo               5   nothing matched, nothing compared
    └── Interrupted             130   the person pressed Ctrl-C

A message says what was given, what is allowed, and what to do next. Only the command line catches these.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable

from mdnbench.util.limits import LONGEST_VALUE

MOST_LISTED = 500  # names that a message lists
MOST_COMPARED = 2000  # names among which the likeliest is looked for: each takes up to a millisecond


class MdnbenchError(Exception):
    """The root of all errors that mdnbench raises on purpose."""

    exit_code = 3


class UsageError(MdnbenchError):
    """What was asked for cannot be done as asked."""

    exit_code = 2


def likeliest(given: str, known: Iterable[str]) -> str:
    """` Did you mean 'lc'?` with the known text that is nearest to what was given, or nothing where none is near."""
    close = difflib.get_close_matches(given[:LONGEST_VALUE], [*itertools.islice(known, MOST_COMPARED)], n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


class UnknownName(UsageError):
    """A name that nothing here bears; the message lists what exists and the likeliest meaning."""

    def __init__(self, kind: str, given: str, known: Iterable[str], *, hint: str = "") -> None:
        known = sorted(known)
        meant = likeliest(given, known)
        more = f" and {len(known) - MOST_LISTED:,} more" if len(known) > MOST_LISTED else ""
        listed = f" Known: {', '.join(known[:MOST_LISTED])}{more}." if known else " There are none."
        cut = f"… ({len(given):,} characters)" if len(given) > LONGEST_VALUE else ""
        shown = f"{given[:LONGEST_VALUE]!r}{cut}"
        super().__init__(f"no {kind} is named {shown}.{meant}{listed}{' ' + hint if hint else ''}")


class BadOption(UsageError):
    """A known option with a value that it does not take."""


class BadFile(UsageError):
    """A plan, recipe, card, protocol or baseline file that cannot be read as one."""


class BadImage(UsageError):
    """An image that cannot be read, or that is not of a kind that we score."""


class BadPlugin(UsageError):
    """A plugin that breaks the rules of the hooks, or two plugins that claim one name."""


class DataMissing(UsageError):
    """Data that is neither at hand nor to be downloaded."""


class WeightsError(MdnbenchError):
    """A weights file that is damaged, unsafe to load, or made for another network."""

    exit_code = 2


class Unavailable(MdnbenchError):
    """A method or metric that cannot work here; its cells are skipped with this reason."""


class StoreError(MdnbenchError):
    """The results store cannot be read or written."""


class NothingToDo(MdnbenchError):
    """Nothing matched, or nothing was compared: never mistaken for a pass."""

    exit_code = 5


class Interrupted(MdnbenchError):
    """The person pressed Ctrl-C; what was finished is stored."""

    exit_code = 130
