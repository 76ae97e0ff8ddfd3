"""Weights that others published: tensors out of a PyTorch or safetensors file, and nothing else that is in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import digests, paths
from mdnbench.errors import BadOption, WeightsError
from mdnbench.quiet import without_warnings
from mdnbench.weights.card import Card, Weights
from mdnbench.weights.files import save
from mdnbench.weights.shelf import check_name, trained

if TYPE_CHECKING:
    from mdnbench.specs import DenoiserSpec


def import_weights(spec: DenoiserSpec, path: Path, name: str) -> Weights:
    """Take published PyTorch weights in, under a name, as `spec.name[weights=name]`; the file's digest is recorded.

    Only tensors are ever unpickled. WeightsError where the file is unsafe, damaged, or of another network; BadOption
    where the name cannot be had, as where it is that of other weights on this machine.
    """
    if spec.trainable is None or spec.trainable.convert is None:
        raise WeightsError(f"{spec.name} takes no published weights.")
    check_name(name, spec)
    state, options = spec.trainable.convert(tensors_in(path))
    card = Card(spec.name, options, blind=True, source=path.name, source_sha256=digests.of_file(path))
    _refuse_replacing(name, card)
    return save(paths.home() / "weights" / spec.name, name, state, card)


def _refuse_replacing(name: str, card: Card) -> None:
    """BadOption where weights of that name came from elsewhere: nothing here could make imported ones again."""
    for old in trained(card.method):
        if old.name == name and old.card.source_sha256 != card.source_sha256:
            origin = f"imported from {old.card.source}" if old.card.source else "trained here"
            raise BadOption(
                f"{name!r} is the name of weights of {card.method} that were {origin}; choose another --name, or "
                f"remove {old.path} and the card beside it."
            )


def tensors_in(path: Path) -> dict[str, Any]:
    """The state in a safetensors or PyTorch file, out of the wrapping that some trainers put around it.

    Only tensors are ever unpickled. WeightsError where the file is missing, unsafe or damaged.
    """
    try:
        content = _content(path)
    except FileNotFoundError:
        raise WeightsError(f"there is no weights file {path}.") from None
    except OSError as error:
        raise WeightsError(f"the weights file {path} cannot be read: {error.strerror}.") from None
    except Exception:  # a damaged file makes torch raise nearly anything, in words that advise to load it unsafely
        raise WeightsError(
            f"the weights file {path} holds more than tensors, or is damaged; nothing in it was run. Ask its authors "
            "for the tensors alone (a state_dict)."
        ) from None
    for wrapping in ("state_dict", "params", "model_state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapping), Mapping):
            content = content[wrapping]
    if not isinstance(content, Mapping):
        raise WeightsError(f"the weights file {path} holds {type(content).__name__}, not a table of tensors.")
    return dict(content)


def _content(path: Path) -> Any:
    import torch
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        return load_file(path)
    with without_warnings():  # of pickle protocols: what counts is whether it can be read
        return torch.load(path, map_location="cpu", weights_only=True)
