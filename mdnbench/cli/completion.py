"""Complete names of methods, noises, data sets, runs and others with the Tab key, fast and without errors."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import typer

Completion = Callable[[str], list[tuple[str, str]]]


def one(*kinds: str) -> Completion:
    """Return the completion of one name of these kinds, which are called as in `mdnbench list`."""

    def offer(incomplete: str) -> list[tuple[str, str]]:
        return _known(kinds)

    return offer


def several(*kinds: str) -> Completion:
    """Return the completion of the last name in a list with commas, which offers no name twice."""

    def offer(incomplete: str) -> list[tuple[str, str]]:
        before, comma, _ = incomplete.rpartition(",")
        given = before.split(",")
        return [(f"{before}{comma}{name}", summary) for name, summary in _known(kinds) if name not in given]

    return offer


def of_method(kind: str) -> Callable[[typer.Context, str], list[tuple[str, str]]]:
    """Return the completion of a recipe or of weights, for the method earlier in the line.

    Args:
        kind: 'recipes' or 'weights'.
    """

    def offer(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        method = ctx.params.get("method") or next(iter(ctx.args), "")  # not parsed yet if an option lacks its value
        return _quietly(lambda known: known.words_of(method, kind))

    return offer


def choice(*words: str) -> Completion:
    """Return the completion of one of a few fixed words."""

    def offer(incomplete: str) -> list[tuple[str, str]]:
        return [(word, "") for word in words]

    return offer


def _known(kinds: Sequence[str]) -> list[tuple[str, str]]:
    """Return all names of these kinds with their summaries."""
    return _quietly(lambda known: {name: text for kind in kinds for name, text in known.words(kind).items()})


def _quietly(look_up: Callable[[Any], Mapping[str, str]]) -> list[tuple[str, str]]:
    """Return what is looked up in the catalogue, or nothing if anything fails, because no error may disturb the prompt.

    The output and warnings of plugins during loading are discarded, because the shell would take them for names.
    """
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from mdnbench.api import catalogue

            return [*look_up(catalogue).items()]
        except (Exception, SystemExit):
            return []
