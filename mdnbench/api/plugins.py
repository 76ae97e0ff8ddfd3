"""Write and check plugins, and check the installation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench import registry
from mdnbench.api import diagnosis
from mdnbench.registry import Files
from mdnbench.store import workspace
from mdnbench.testing import scaffold
from mdnbench.testing.rules import runner
from mdnbench.util.listener import Listener

if TYPE_CHECKING:
    from mdnbench.api.diagnosis import Diagnosis
    from mdnbench.testing.rules import Finding as RuleFinding


def new_plugin(name: str, kind: str, *, package: bool = False, folder: Path | str = ".") -> tuple[Path, ...]:
    """Write a working plugin to start from, as a file with its test or as a package.

    Args:
        name: The name of the method, noise or other thing that the plugin brings.
        kind: 'denoiser', 'learned', 'noise', 'metric', 'dataset' or 'reporter'.
        package: Whether to write a package that pip can install.
        folder: The folder to write to.

    Returns:
        The paths of the files.
    """
    return scaffold.write(name, kind, package=package, folder=Path(folder))


def check_plugin(
    plugin: str | Path, *, plugins: Files = (), timeout: float = 120.0, listener: Listener | None = None
) -> tuple[RuleFinding, ...]:
    """Check whether a plugin keeps the rules of conformance.

    Args:
        plugin: A Python file, the name of a plugin or of anything that one brings, or 'all'.
        plugins: Python files with further plugins.
        timeout: The time limit of each rule in seconds.
        listener: It receives the progress.

    Returns:
        A finding for each rule: kept, broken or skipped.
    """
    known, subjects = runner.load(plugin, plugins)
    return runner.check(subjects, known, timeout=timeout, listener=listener)


def doctor(*, plugins: Files = (), workspace_folder: Path | None = None) -> tuple[Diagnosis, ...]:
    """Check versions, machine, network, plugins, data, weights and the store.

    Args:
        plugins: Python files with further plugins.
        workspace_folder: The workspace; by default `.mdnbench` in the current folder.

    Returns:
        The results, including everything that is well.
    """
    return diagnosis.examine(registry.load(plugins), workspace.locate(workspace_folder))
