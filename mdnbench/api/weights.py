"""Learned methods: training them, and taking weights and models in and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdnbench import registry, weights
from mdnbench.api import notebook
from mdnbench.registry import Files
from mdnbench.training import ranks, session
from mdnbench.training.deploy import exported
from mdnbench.util.interrupts import on_interrupt
from mdnbench.util.listener import Listener
from mdnbench.weights import inspection

if TYPE_CHECKING:
    from mdnbench.training.deploy.exported import Exported
    from mdnbench.weights import Weights
    from mdnbench.weights.inspection import Inspection


def train(method: str, *, plugins: Files = (), listener: Listener | None = None, **order: Any) -> Weights:
    """Train a learned method, or continue its training, and return its weights.

    `order` takes recipe, minutes, steps or epochs, changes (keys of the recipe), device, threads, resume, name, and
    start, the name of weights to begin with. Interrupted after Ctrl-C, with a checkpoint saved. Processes that torchrun
    started train together; `listener` hears of it in the first.
    """
    known, heard = registry.load(plugins), (listener or notebook.listener()) if ranks.first() else Listener()
    stopping = "Stopping: a checkpoint is saved after this step. Ctrl-C again stops at once."
    with on_interrupt(lambda: heard.note(stopping)) as stop:
        return session.run(session.TrainingRequest(known.method(method), **order), known, heard, lambda: stop.requested)


def import_weights(
    method: str,
    path: Path,
    name: str,
    *,
    state: str = "",
    prefix: str | None = None,
    eps: float | None = None,
    plugins: Files = (),
) -> Weights:
    """Take published PyTorch weights in under a name; the card's notes say what was taken.

    `state` names one of several states in the file, `prefix` is what comes off its keys, `eps` is that of its batch
    normalisation. WeightsError where the file is unsafe, of another network, or leaves a choice.
    """
    spec = registry.load(plugins).denoisers[method]
    return weights.import_weights(spec, path, name, state=state, prefix=prefix, eps=eps)


def inspect_weights(path: Path, *, state: str = "", prefix: str | None = None, plugins: Files = ()) -> Inspection:
    """Look into a weights file: its states, their tensors, and the methods here that they fit; nothing in it is run.

    `state` and `prefix` show a part of it. WeightsError where the file cannot be read.
    """
    return inspection.inspect(path, registry.load(plugins).denoisers.values(), state=state, prefix=prefix)


def export_weights(
    method: str, name: str, folder: Path, *, rename: str = "", half: bool = False, plugins: Files = ()
) -> Path:
    """Copy a method's weights and their card to a folder, under another name if `rename` is given; the copy's path.

    `half` keeps the tensors in half precision, as shipped weights are.
    """
    found = weights.find(registry.load(plugins).denoisers[method], name)
    return weights.export(found, folder, rename or name, half).path


def export_model(
    method: str, out: Path | None = None, *, to: str = "onnx", noise: str = "", plugins: Files = ()
) -> Exported:
    """Write a learned method to a file (default: METHOD.onnx here), for images of any size, and check it.

    The weights are those that a run under `noise` would use; without it, those for Gaussian noise of the widest cover.
    """
    known = registry.load(plugins)
    return exported.write(known, known.method(method), known.noise(noise) if noise else None, to, out)
