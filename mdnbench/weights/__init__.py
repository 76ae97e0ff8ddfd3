"""Weights of learned methods: each is a safetensors file, next to a card that describes it.

`planning`, `training`, `wrappers` and the layers above them import this package. Start with `shelf.py` and
`reading.py`.
"""

from __future__ import annotations

from mdnbench.weights.card import Card, Cover, Weights, covers, read, seen
from mdnbench.weights.choosing import Resolved, named, parent, resolve
from mdnbench.weights.files import export, is_half, load_state, save
from mdnbench.weights.foreign import import_weights, tensors_in
from mdnbench.weights.shelf import AUTO, check_name, find, shipped, trained

__all__ = [
    "AUTO",
    "Card",
    "Cover",
    "Resolved",
    "Weights",
    "check_name",
    "covers",
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
