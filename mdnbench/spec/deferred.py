"""Functions that are named in a specification and imported when they are first called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Deferred:
    """A function that is imported when it is first called.

    A specification that names its functions in this way can be listed without the packages that they need.

    Attributes:
        target: The module and the function, as `my_package.network:build`.
    """

    target: str

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the function."""
        return self.function()(*arguments, **keywords)

    def function(self) -> Callable[..., Any]:
        """Import the module and return the function."""
        module, _, name = self.target.partition(":")
        found: Callable[..., Any] = getattr(import_module(module), name)
        return found

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.function())


def deferred(target: str) -> Deferred:
    """Return a function that is imported when it is first called.

    Args:
        target: The module and the function, as `my_package.network:build`.

    Raises:
        ValueError: The target has not this form.
    """
    module, colon, name = target.partition(":")
    if not colon or not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"{target!r} is no module and function; write it as 'my_package.network:build'.")
    return Deferred(target)
