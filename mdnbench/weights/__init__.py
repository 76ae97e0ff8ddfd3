"""Weights of learned methods: each is a safetensors file, next to a card that describes it.

`planning`, `training`, `wrappers` and the layers above them import this package. Start with `shelf.py` and
`reading.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as lazy

if TYPE_CHECKING:
    from mdnbench.spec.weights import Card, Weights
    from mdnbench.weights.available import AUTO, check_name, find, shipped, trained
    from mdnbench.weights.card import read, seen
    from mdnbench.weights.files import export, is_half, load_state, save
    from mdnbench.weights.published import import_weights, tensors_in
    from mdnbench.weights.selection import Resolved, named, parent, resolve

__all__ = [
    "AUTO",
    "Card",
    "Resolved",
    "Weights",
    "check_name",
    "export",
    "find",
    "import_weights",
    "is_half",
    "load_state",
    "named",
    "parent",
    "read",
    "resolve",
    "save",
    "seen",
    "shipped",
    "tensors_in",
    "trained",
]

# What reads or writes tensors needs torch. Choosing weights does not, and `mdnbench list` does not even choose.
__getattr__, _, _ = lazy.attach(
    __name__,
    submod_attrs={
        "available": ["AUTO", "check_name", "find", "shipped", "trained"],
        "card": ["Card", "Weights", "read", "seen"],
        "files": ["export", "is_half", "load_state", "save"],
        "published": ["import_weights", "tensors_in"],
        "selection": ["Resolved", "named", "parent", "resolve"],
    },
)
