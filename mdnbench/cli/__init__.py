"""The command line: each command parses its arguments, calls the Python API and prints the result.

Nothing imports this package. Start with `app.py`, which lists the commands, and `run.py`, which has `run`.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from pathlib import PurePath
from typing import NoReturn

from mdnbench.cli import streams
from mdnbench.errors import Interrupted, MdnbenchError
from mdnbench.spec.names import printable
from mdnbench.util import ending, time_limit
from mdnbench.util.untrusted import cut

STOPPED = "stopped at once; what was finished is saved."
_HIDDEN = (KeyboardInterrupt, EOFError, BrokenPipeError)  # typer ends the program itself for them


def main() -> NoReturn:
    """Run the command line and end this process. Nothing that a plugin left behind changes how the process ends."""
    code = MdnbenchError.exit_code
    time_limit.enable()
    try:
        command()
        code = 0
    except SystemExit as end:
        code = _code_of(end)
    except KeyboardInterrupt:  # outside of the handlers in `command`
        _complain(STOPPED)
        code = Interrupted.exit_code
    finally:
        ending.leave(code)


def _code_of(end: SystemExit) -> int:
    """Return the exit code that Python would choose for this SystemExit."""
    if end.code is None or isinstance(end.code, int):
        return int(end.code or 0)
    _complain(str(end.code))
    return 1


def command() -> None:
    """Run a command.

    An error that is meant for the user becomes one line on stderr and a SystemExit with its exit code.
    """
    streams.prepare()
    try:
        from mdnbench.cli.app import app_for

        app_for(sys.argv[1:])(prog_name="mdnbench")
    except SystemExit as end:
        hidden = next((each for each in _behind(end) if isinstance(each, _HIDDEN)), None)
        if isinstance(hidden, KeyboardInterrupt):
            _complain(STOPPED)
        elif hidden is not None:
            _report(hidden)
            sys.exit(MdnbenchError.exit_code)
        _flush()
        raise
    except Interrupted as error:
        from mdnbench.training import ranks

        if ranks.first():  # if processes train together, all are stopped but only the first prints it
            _complain(str(error))
        sys.exit(error.exit_code)
    except MdnbenchError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _complain(STOPPED)
        sys.exit(Interrupted.exit_code)
    except Exception as error:
        _report(error)
        sys.exit(MdnbenchError.exit_code)


def _report(error: Exception) -> None:
    """Print an unexpected error. If the store is damaged, print one line about that; otherwise print the traceback."""
    if fault := _fault_in_store():
        advice = "`mdnbench store check` says more; restore the store from a copy, or move it away."
        _complain(f"{fault} {advice} It may be why this failed: {_in_a_line(error)}")
        return
    _write(cut("".join(traceback.format_exception(error))))
    _complain("this is an error in mdnbench or in a plugin, not in what you asked; please report it.")


def _behind(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that led to this one, the latest first; typer ends the program after a chain of two."""
    while before := error.__context__:
        yield before
        error = before


def _flush() -> None:
    """Write the remaining output; a full disk is an error like any other."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except MdnbenchError as error:
        _complain(str(error))
        sys.exit(error.exit_code)


def _fault_in_store() -> str:
    """Return the fault of a damaged store that was used, as the possible cause of an error; empty if there is none.

    This takes time, so it runs only after an unexpected error.
    """
    from mdnbench.store import database, row_checks, workspace

    try:
        stores = dict.fromkeys([*database.opened, workspace.locate() / "results.sqlite"])
        return next(filter(None, map(row_checks.first_fault, stores)), "")
    except Exception:
        return ""


def _in_a_line(error: Exception) -> str:
    """Return an error and the place where it was raised in one line."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({PurePath(place.filename).name}, line {place.lineno})."


def _complain(text: str) -> None:
    """Print a message on stderr in one line, shortened."""
    _write(f"mdnbench: {printable(cut(text))}\n")


def _write(text: str) -> None:
    """Print a text on stderr, with characters that its encoding lacks as escapes."""
    if sys.stderr is None:
        return
    encoding = sys.stderr.encoding or "utf-8"
    sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
