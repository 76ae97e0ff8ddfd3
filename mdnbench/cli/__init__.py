"""The command line: each command parses, calls the Python API, and prints.

Nothing imports it. Start with `app.py`, which lists the commands, and `running.py`, which has `run`.
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
_HIDDEN = (KeyboardInterrupt, EOFError, BrokenPipeError)  # what typer ends the program for, without a word or with one


def main() -> NoReturn:
    """Run the command line and end this process; nothing that a plugin has left behind changes how it ends."""
    code = MdnbenchError.exit_code
    time_limit.enable()
    try:
        command()
        code = 0
    except SystemExit as end:
        code = _code_of(end)
    except KeyboardInterrupt:  # between two lines of `command`
        _complain(STOPPED)
        code = Interrupted.exit_code
    finally:
        ending.leave(code)


def _code_of(end: SystemExit) -> int:
    """The exit code that Python itself would make of it."""
    if end.code is None or isinstance(end.code, int):
        return int(end.code or 0)
    _complain(str(end.code))
    return 1


def command() -> None:
    """Run a command; every error that is meant for a person is one line and an exit code, raised as SystemExit."""
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

        if ranks.first():  # of processes that train together, all are stopped and one says so
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
    """Say of what nobody foresaw whether the store is at fault; if not, all that is known of it."""
    if fault := _fault_in_store():
        advice = "`mdnbench store check` says more; restore the store from a copy, or move it away."
        _complain(f"{fault} {advice} It may be why this failed: {_in_a_line(error)}")
        return
    _write(cut("".join(traceback.format_exception(error))))
    _complain("this is an error in mdnbench or in a plugin, not in what you asked; please report it.")


def _behind(error: BaseException) -> Iterator[BaseException]:
    """What an error was raised in the place of, however many there are between: typer ends the program by two."""
    while before := error.__context__:
        yield before
        error = before


def _flush() -> None:
    """Write what is left of the output; a disk that is full is an error like others."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except MdnbenchError as error:
        _complain(str(error))
        sys.exit(error.exit_code)


def _fault_in_store() -> str:
    """What is wrong with a store that was used, where that may be why something failed: asked only when it did."""
    from mdnbench.store import database, row_checks, workspace

    try:
        stores = dict.fromkeys([*database.opened, workspace.locate() / "results.sqlite"])
        return next(filter(None, map(row_checks.first_fault, stores)), "")
    except Exception:
        return ""


def _in_a_line(error: Exception) -> str:
    """An error and where it was raised, for one who has to tell it from another fault."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({PurePath(place.filename).name}, line {place.lineno})."


def _complain(text: str) -> None:
    _write(f"mdnbench: {printable(cut(text))}\n")


def _write(text: str) -> None:
    if sys.stderr is None:
        return
    encoding = sys.stderr.encoding or "utf-8"
    sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
