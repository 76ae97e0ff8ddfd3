"""Weights of learned methods: a safetensors file each, beside the card that says where it comes from."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import digests, paths, tomlfile, variants
from mdnbench.errors import BadOption, StoreError, UnknownName, WeightsError
from mdnbench.names import Named, show

if TYPE_CHECKING:
    import torch

    from mdnbench.specs import DenoiserSpec, Trainable
    from mdnbench.training.recipe import Recipe

AUTO = "auto"  # the value of the option `weights` that lets the harness choose
USUAL = "gaussian"  # the family that weights are for where no noise is named


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Cover:
    """A noise that weights were trained for: a family, and from where to where each parameter ran."""

    family: str
    ranges: dict[str, tuple[float, float]]

    def holds(self, noise: Named) -> bool:
        """Whether the noise is of this family with every parameter within the ranges."""
        inside = (low <= noise.numbers().get(name, low) <= high for name, (low, high) in self.ranges.items())
        return noise.name == self.family and all(inside)

    def width(self) -> float:
        """How wide the ranges are, summed: 0 for a single level."""
        return sum(high - low for low, high in self.ranges.values())

    def __str__(self) -> str:
        spans = (f"{name} {low:g}" + (f"–{high:g}" if high > low else "") for name, (low, high) in self.ranges.items())
        return " ".join([self.family, ", ".join(spans)]).strip()


@dataclass(frozen=True, slots=True)
class Card:
    """Where weights come from and what they are for.

    `options` are those the network was made from; `blind` says that it takes no noise level; `noise` is what it was
    trained for; `mask` says in words what was hidden in training; `recipe` is followed to train it again (a table, as
    in a recipe file); `data` maps each training file to its SHA-256, `left_out` are the images not used although the
    data set has them; `minutes`, `steps` and `device` say what training took; `validation_psnr` is in dB, over images
    held out of the training data; `source` and `source_sha256` are of imported weights; `sha256` and `bytes` are the
    safetensors file's own. Of a pruned network `keep` is the share of channels that was kept, and `pruned_from` the
    SHA-256 of the weights that it was pruned from; `begun_from` is that of the weights that training began with.
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    blind: bool = False
    noise: tuple[Cover, ...] = ()
    mask: str = ""
    revision: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    recipe_digest: str = ""
    data: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    packages: dict[str, str] = field(default_factory=dict)
    device: str = ""
    minutes: float = 0.0
    steps: int = 0
    validation_psnr: float | None = None
    source: str = ""
    source_sha256: str = ""
    sha256: str = ""
    bytes: int = 0
    notes: str = ""
    keep: float = 1.0
    pruned_from: str = ""
    begun_from: str = ""


@dataclass(frozen=True, slots=True)
class Weights:
    """A weights file, ready to be read: the name a person gives, the path, its SHA-256 and its card."""

    name: str
    path: Path
    sha256: str
    card: Card


@dataclass(frozen=True, slots=True)
class Resolved:
    """The weights that a method uses for a noise, and a note where they were trained for another one."""

    weights: Weights
    note: str = ""


def load_state(weights: Weights) -> dict[str, torch.Tensor]:
    """The tensors in a weights file, float32 on the CPU; WeightsError where the file is not the one of its card."""
    path, card, advice = weights.path, weights.card, _advice(weights)
    if not path.is_file():
        raise WeightsError(f"the weights file {path} is missing; {advice}")
    if (size := path.stat().st_size) != card.bytes:
        raise WeightsError(f"the weights file {path} has {size} bytes where its card says {card.bytes}; {advice}")
    if (digest := digests.of_file(path)) != weights.sha256:
        raise WeightsError(
            f"the weights file {path} has SHA-256 {digest} where its card says {weights.sha256}; {advice}"
        )
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"the weights file {path} is no safetensors file ({error}); {advice}") from None
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in found.items()}


def _advice(weights: Weights) -> str:
    """How to get sound weights where these are not."""
    if weights.card.source:
        return f"import {weights.card.source} again."
    command = f"mdnbench train {weights.card.method}"
    if weights.path.is_relative_to(paths.home()):
        return f"train it again: `{command} --name {weights.name}`."
    return f"install its plugin again, or train others: `{command} --name NAME`, to use as [weights=NAME]."


def check_name(name: str, spec: DenoiserSpec) -> None:
    """Refuse names for new weights that are no plain file name, not fit for METHOD[weights=NAME], or taken: BadOption.

    Weights that are shipped with the method are found first, so that others of their name never would be.
    """
    if not _NAME.fullmatch(name) or name == AUTO:
        raise BadOption(
            f"{name!r} cannot be the name of weights; names are letters, digits, '-', '_' and '.', and not {AUTO!r}."
        )
    if spec.trainable and name in (each.name for each in shipped(spec.trainable)):
        raise BadOption(f"{name!r} is the name of weights that are shipped with {spec.name}; choose another one.")


def save(folder: Path, name: str, state: Mapping[str, torch.Tensor], card: Card, half: bool = False) -> Weights:
    """Write NAME.safetensors and NAME.toml, each atomically, the tensors in half precision if asked.

    StoreError where the folder cannot be written.
    """
    import tomli_w
    from safetensors.torch import save as packed

    path = folder / f"{name}.safetensors"
    fresh = folder / f"{name}.{os.getpid()}.part"
    # Not save_file: nobody but the owner could read what it writes.
    content = packed({key: _to_disk(tensor, half) for key, tensor in state.items()})
    with written(folder), gone_after(fresh):
        folder.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(content)
        card = dataclasses.replace(card, sha256=digests.of_file(fresh), bytes=fresh.stat().st_size)
        fresh.replace(path)
        fresh.write_text(tomli_w.dumps(_table(dataclasses.asdict(card))), encoding="utf-8")
        fresh.replace(path.with_suffix(".toml"))
    return Weights(name, path, card.sha256, card)


@contextlib.contextmanager
def written(folder: Path) -> Iterator[None]:
    """What is done in here writes below a folder: StoreError, which says what to do, where the system refuses."""
    try:
        yield
    except OSError as error:
        ours = folder.is_relative_to(paths.home())
        other = "point MDNBENCH_HOME at a folder that can be written" if ours else "choose another folder"
        raise StoreError(f"{folder} cannot be written: {error.strerror or error}. Make room, or {other}.") from None


@contextlib.contextmanager
def gone_after(part: Path) -> Iterator[None]:
    """A file that is written in here, to be moved to its place, is not left behind by an error."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _to_disk(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    """A copy that shares no memory with other tensors, in the precision that goes to disk; counters stay whole."""
    import torch

    plain = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return plain.to(torch.float16 if half else torch.float32) if plain.is_floating_point() else plain


def export(weights: Weights, folder: Path, name: str, half: bool) -> Weights:
    """A copy of checked weights with their card under a name of its own, in half precision if `half`: for shipping."""
    return save(folder, name, load_state(weights), weights.card, half)


def read(card_path: Path) -> Weights:
    """The weights that a card (NAME.toml) stands beside; the tensors stay on disk."""
    card = tomlfile.build(Card, tomlfile.read(card_path, "card"), f"the card {card_path}")
    return Weights(card_path.stem, card_path.with_suffix(".safetensors"), card.sha256, card)


def shipped(trainable: Trainable) -> list[Weights]:
    """The weights inside a method's plugin package."""
    return _in(trainable.weights)


def trained(method: str) -> list[Weights]:
    """The weights of a method that were trained or imported on this machine."""
    return _in(paths.home() / "weights" / method)


def find(spec: DenoiserSpec, name: str) -> Weights:
    """The weights of a method by name, shipped or on this machine; UnknownName if there are none."""
    known = [*shipped(spec.trainable), *trained(spec.name)] if spec.trainable else []
    for each in known:
        if each.name == name:
            return each
    raise UnknownName(f"weights file of {spec.name}", name, (each.name for each in known))


def named(spec: DenoiserSpec, name: str, method: Named) -> Weights:
    """The weights of that name; UnknownName if there are none, WeightsError where they are of another network."""
    weights = find(spec, name)
    if weights.card.keep not in (1, variants.of(spec, method).keep):
        raise WeightsError(
            f"the weights {weights.name} are pruned; write {method.name}[weights={weights.name},"
            f"keep={show(weights.card.keep)}] for them, or name the weights that they were pruned from."
        )
    if not _fits(weights.card, method, only_given=True):
        made = ", ".join(f"{key}={value}" for key, value in weights.card.options.items())
        raise WeightsError(f"the weights {weights.name} are of another network ({made}) than {method} asks for.")
    return weights


def covers(recipe: Recipe) -> tuple[Cover, ...]:
    """The noises that a recipe trains for."""
    return tuple(Cover(item.family, dict(item.ranges)) for item in recipe.noise)


def import_weights(spec: DenoiserSpec, path: Path, name: str) -> Weights:
    """Take published PyTorch weights in, under a name, as `spec.name[weights=name]`; the file's digest is recorded.

    Only tensors are ever unpickled. WeightsError where the file is unsafe, damaged, or of another network.
    """
    if spec.trainable is None or spec.trainable.convert is None:
        raise WeightsError(f"{spec.name} takes no published weights.")
    check_name(name, spec)
    state, options = spec.trainable.convert(tensors_in(path))
    card = Card(spec.name, options, blind=True, source=path.name, source_sha256=digests.of_file(path))
    return save(paths.home() / "weights" / spec.name, name, state, card)


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
    import warnings

    import torch
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        return load_file(path)
    with warnings.catch_warnings(action="ignore"):  # of pickle protocols: what counts is whether it can be read
        return torch.load(path, map_location="cpu", weights_only=True)


def resolve(spec: DenoiserSpec, method: Named, noise: Named | None, *, fallback: bool = True) -> Resolved | None:
    """The weights that a method uses for a noise; None where it must be trained, or pruned and fine-tuned, first.

    In order: those named by the method's option `weights`, a shipped set that covers the noise (the narrowest cover
    wins), one trained earlier on this machine. With `fallback`, weights for another noise are better than none: those
    for the same family first, shipped before trained ones, then the widest cover; the note says so. Imported weights
    are used by their name alone, since nothing tells what they were trained for. Without a noise, those for Gaussian
    noise are taken, shipped ones first.

    A method that keeps a share of its channels uses what was pruned to it from the weights that the whole one uses.
    """
    found, keep = _whole(spec, method, noise, fallback), variants.of(spec, method).keep
    return found if found is None or found.weights.card.keep == keep else _pruned(spec, found, keep)


def parent(spec: DenoiserSpec, method: Named, noise: Named | None) -> Weights | None:
    """The weights that a method with fewer channels is pruned from: those that the whole one uses."""
    found = _whole(spec, method, noise, fallback=True)
    return found.weights if found else None


def _whole(spec: DenoiserSpec, method: Named, noise: Named | None, fallback: bool) -> Resolved | None:
    """The weights of the whole network; pruned ones only where they are named."""
    assert spec.trainable is not None
    wanted = method.values().get("weights", AUTO)
    if wanted != AUTO:
        return Resolved(named(spec, str(wanted), method))
    groups = [shipped(spec.trainable), [each for each in trained(spec.name) if not each.card.source]]
    groups = [[each for each in group if each.card.keep == 1 and _fits(each.card, method)] for group in groups]
    for group in groups if noise else ():
        covering = [(cover.width(), item) for item in group for cover in item.card.noise if cover.holds(noise)]  # type: ignore[arg-type]
        if covering:
            return Resolved(min(covering, key=lambda pair: (pair[0], len(pair[1].card.noise), pair[1].name))[1])
    return _nearest(groups[0], groups[1], noise) if fallback else None


def _nearest(ours: list[Weights], theirs: list[Weights], noise: Named | None) -> Resolved | None:
    """The best of shipped (`ours`) and trained weights that were made for another noise."""
    family = noise.name if noise else USUAL
    nearest = max(
        (*ours, *theirs),
        key=lambda item: (_knows(item.card, family), item in ours, _width(item.card), item.name),
        default=None,
    )
    if nearest is None:
        return None
    learnt = "; ".join(map(str, nearest.card.noise)) or "a noise that its card does not name"
    return Resolved(nearest, f"trained for {learnt}, not for {noise}" if noise else "")


def _pruned(spec: DenoiserSpec, found: Resolved, keep: float) -> Resolved | None:
    """What was pruned from these weights to that share of their channels, fine-tuned the longest."""
    assert spec.trainable is not None
    sha256 = found.weights.sha256
    made = [
        each
        for each in (*shipped(spec.trainable), *trained(spec.name))
        if each.card.keep == keep and each.card.pruned_from == sha256
    ]
    best = max(made, key=lambda each: (each.card.minutes, each.card.steps, each.name), default=None)
    return Resolved(best, found.note) if best else None


def _in(folder: Path) -> list[Weights]:
    return [read(path) for path in sorted(folder.glob("*.toml"))]


def _fits(card: Card, method: Named, only_given: bool = False) -> bool:
    """Whether a card's network is the one that the method's options describe."""
    given = method.text if only_given else ""
    for key, value in method.values().items():
        if key == "weights" or (only_given and f"{key}=" not in given):
            continue
        if key in card.options and card.options[key] != value:
            return False
    return True


def _knows(card: Card, family: str) -> bool:
    return any(cover.family == family for cover in card.noise)


def _width(card: Card) -> float:
    return max((cover.width() for cover in card.noise), default=0.0)


def _table(value: Any) -> Any:
    """Plain TOML values: tuples as lists, None left out."""
    if isinstance(value, dict):
        return {key: _table(item) for key, item in value.items() if item is not None}
    return [_table(item) for item in value] if isinstance(value, list | tuple) else value
