"""Train learned methods, and import and export weights and models."""

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
    """Train a learned method, or continue its training.

    Processes that torchrun started train together. Then only the first one reports to `listener`.

    Args:
        method: The method, with options if needed.
        plugins: Python files with further plugins.
        listener: It receives notes and progress.
        **order: `recipe`; the budget as `minutes`, `steps` or `epochs`; `changes`, a table of keys of the recipe;
            `device`; `threads`; `resume`, whether to continue from a checkpoint; `name`, the name of the weights; and
            `start`, the name of the weights to begin with.

    Returns:
        The trained weights.

    Raises:
        Interrupted: After Ctrl-C. A checkpoint is saved.
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
    """Import published PyTorch weights under a name. The notes of the card list what was taken.

    Args:
        method: The learned method that the weights are for.
        path: A PyTorch or safetensors file; no code in it is run.
        name: The name for the weights.
        state: The state to take, if the file has several.
        prefix: The beginning to remove from the keys of the tensors.
        eps: The eps of the batch normalisation.
        plugins: Python files with further plugins.

    Returns:
        The imported weights.

    Raises:
        WeightsError: If the file is unsafe, is for another network, or could be read in several ways.
    """
    spec = registry.load(plugins).denoisers[method]
    return weights.import_weights(spec, path, name, state=state, prefix=prefix, eps=eps)


def inspect_weights(path: Path, *, state: str = "", prefix: str | None = None, plugins: Files = ()) -> Inspection:
    """Return what a weights file contains: its states, their tensors, and the installed methods that they fit.

    Args:
        path: A PyTorch or safetensors file; no code in it is run.
        state: If given, only this state is shown.
        prefix: If given, only the tensors whose keys begin with it are shown.
        plugins: Python files with further plugins.

    Raises:
        WeightsError: If the file cannot be read.
    """
    return inspection.inspect(path, registry.load(plugins).denoisers.values(), state=state, prefix=prefix)


def export_weights(
    method: str, name: str, folder: Path, *, rename: str = "", half: bool = False, plugins: Files = ()
) -> Path:
    """Copy a method's weights and their card to a folder.

    Args:
        method: The learned method.
        name: The name of the weights.
        folder: The folder for the copy.
        rename: The name of the copy; by default the same name.
        half: Whether to store the tensors in half precision, as in shipped weights.
        plugins: Python files with further plugins.

    Returns:
        The path of the copy.
    """
    found = weights.find(registry.load(plugins).denoisers[method], name)
    return weights.export(found, folder, rename or name, half).path


def export_model(
    method: str, out: Path | None = None, *, to: str = "onnx", noise: str = "", plugins: Files = ()
) -> Exported:
    """Write a learned method to a file for images of any size, and check the file.

    Args:
        method: The learned method, with options if needed.
        out: The file; by default METHOD.onnx in the current folder.
        to: The format, 'onnx'.
        noise: The noise for which a run would choose the weights. By default the weights for the widest range of
            Gaussian noise are used.
        plugins: Python files with further plugins.

    Returns:
        The file, its weights, and its largest difference from the network in torch.
    """
    known = registry.load(plugins)
    return exported.write(known, known.method(method), known.noise(noise) if noise else None, to, out)
