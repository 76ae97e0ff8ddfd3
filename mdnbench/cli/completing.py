"""What the Tab key offers: names of methods, noises, data sets, runs and the like, quickly and never with an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Completion = Callable[[str], list[tuple[str, str]]]


def one(*kinds: str) -> Completion:
    """Complete one name of these kinds, as `mdnbench list` calls them."""

    def offer(incomplete: str) -> list[tuple[str, str]]:
        return list(_known(kinds))

    return offer


def several(*kinds: str) -> Completion:
    """Complete the last name of a list by commas, and offer no name twice."""

    def offer(incomplete: str) -> list[tuple[str, str]]:
        before, comma, _ = incomplete.rpartition(",")
        given = before.split(",")
        return [(f"{before}{comma}{name}", summary) for name, summary in _known(kinds) if name not in given]

    return offer


def choice(*words: str) -> Completion:
    """Complete one of a few fixed words."""

    def offer(incomplete: str) -> list[tuple[str, str]]:
        return [(word, "") for word in words]

    return offer


def _known(kinds: Iterable[str]) -> Iterable[tuple[str, str]]:
    """All names of these kinds with their summaries; nothing where anything goes wrong: a prompt is no place to fail.

    What plugins print or warn of while they are loaded would be taken for names, and is swallowed.
    """
    import io
    import warnings
    from contextlib import redirect_stderr, redirect_stdout

    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from mdnbench import catalogue

            return [pair for kind in kinds for pair in catalogue.words(kind).items()]
        except (Exception, SystemExit):
            return []
