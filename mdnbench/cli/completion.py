"""What the Tab key offers: names of methods, noises, data sets, runs and the like, quickly and never with an error."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import typer

Completion = Callable[[str], list[tuple[str, str]]]


def one(*kinds: str) -> Completion:
    """Complete one name of these kinds, as `mdnbench list` calls them."""

    def offer(incomplete: str) -> list[tuple[str, str]]:
        return _known(kinds)

    return offer


def several(*kinds: str) -> Completion:
    """Complete the last name of a list by commas, and offer no name twice."""

    def offer(incomplete: str) -> list[tuple[str, str]]:
        before, comma, _ = incomplete.rpartition(",")
        given = before.split(",")
        return [(f"{before}{comma}{name}", summary) for name, summary in _known(kinds) if name not in given]

    return offer


def of_method(kind: str) -> Callable[[typer.Context, str], list[tuple[str, str]]]:
    """Complete the name of a method's `recipes` or `weights`, for the method that is said before."""

    def offer(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        method = ctx.params.get("method") or next(iter(ctx.args), "")  # not parsed yet where an option lacks its value
        return _quietly(lambda known: known.words_of(method, kind))

    return offer


def choice(*words: str) -> Completion:
    """Complete one of a few fixed words."""

    def offer(incomplete: str) -> list[tuple[str, str]]:
        return [(word, "") for word in words]

    return offer


def _known(kinds: Sequence[str]) -> list[tuple[str, str]]:
    """All names of these kinds with their summaries."""
    return _quietly(lambda known: {name: text for kind in kinds for name, text in known.words(kind).items()})


def _quietly(look_up: Callable[[Any], Mapping[str, str]]) -> list[tuple[str, str]]:
    """What is looked up in the catalogue; nothing where anything goes wrong: a prompt is no place to fail.

    What plugins print or warn of while they are loaded would be taken for names, and is swallowed.
    """
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from mdnbench.api import catalogue

            return [*look_up(catalogue).items()]
        except (Exception, SystemExit):
            return []
