"""Load and save the tensors of weights files. A file is used only if its card describes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as packed

from mdnbench.errors import WeightsError
from mdnbench.spec.weights import Card, Weights
from mdnbench.util import atomic, digests, paths


def load_state(weights: Weights) -> dict[str, torch.Tensor]:
    """Load the tensors of a weights file, as float32 on the CPU.

    Raises:
        WeightsError: The file is missing, or is not the one that its card describes.
    """
    path, card, advice = weights.path, weights.card, _advice(weights)
    if not path.is_file():
        raise WeightsError(f"the weights file {path} is missing; {advice}")
    if (size := path.stat().st_size) != card.bytes:
        raise WeightsError(f"the weights file {path} has {size} bytes where its card says {card.bytes}; {advice}")
    if (digest := digests.of_file(path)) != weights.sha256:
        raise WeightsError(
            f"the weights file {path} has SHA-256 {digest} where its card says {weights.sha256}; {advice}"
        )
    try:
        found = load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"the weights file {path} is no safetensors file ({error}); {advice}") from None
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in found.items()}


def _advice(weights: Weights) -> str:
    """Return a sentence about how to replace a missing or damaged file."""
    if weights.card.source:
        return f"import {weights.card.source} again."
    command = f"mdnbench train {weights.card.method}"
    if weights.path.is_relative_to(paths.home()):
        return (
            f"train it again, with the command that made it: `{command} … --name {weights.name}`; the card next to it "
            "has the recipe, the options, and what it was begun or pruned from."
        )
    return f"install its plugin again, or train others: `{command} --name NAME`, to use as [weights=NAME]."


def save(folder: Path, name: str, state: Mapping[str, torch.Tensor], card: Card, half: bool = False) -> Weights:
    """Write NAME.safetensors and NAME.toml, each atomically.

    Args:
        folder: The folder to write to.
        name: The name of the weights.
        state: The tensors by name.
        card: The card; size and digest are filled in.
        half: Whether to store the tensors in half precision.

    Returns:
        The weights with their complete card.

    Raises:
        StoreError: The folder cannot be written.
    """
    path = folder / f"{name}.safetensors"
    # Not save_file, because only the owner can read the files that it writes.
    content = packed({key: _to_disk(tensor, half) for key, tensor in state.items()})
    # Both files are written before either gets its name, because they belong together.
    with atomic.below(folder), atomic.replacing(path.with_suffix(".toml")) as table, atomic.replacing(path) as part:
        part.write_bytes(content)
        card = dataclasses.replace(card, sha256=digests.of_file(part), bytes=part.stat().st_size)
        table.write_text(tomli_w.dumps(_table(dataclasses.asdict(card))), encoding="utf-8")
    return Weights(name, path, card.sha256, card)


def _to_disk(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    """Return a copy of a tensor in the precision to store, which shares no memory with others.

    Integers stay integers.
    """
    plain = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return plain.to(torch.float16 if half else torch.float32) if plain.is_floating_point() else plain


def export(weights: Weights, folder: Path, name: str, half: bool) -> Weights:
    """Write a copy of weights and their card under another name, after checking the file.

    The copy is in half precision if `half` is set or the file already is.
    """
    return save(folder, name, load_state(weights), weights.card, half or is_half(weights))


def is_half(weights: Weights) -> bool:
    """Return whether a file's tensors are in half precision."""
    with safe_open(weights.path, "pt") as file:
        return any(file.get_slice(key).get_dtype() == "F16" for key in file.keys())  # noqa: SIM118 (not a dict)


def _table(value: Any) -> Any:
    """Return a value in TOML's types: tuples as lists, and without entries that are None."""
    if isinstance(value, dict):
        return {key: _table(item) for key, item in value.items() if item is not None}
    return [_table(item) for item in value] if isinstance(value, list | tuple) else value
