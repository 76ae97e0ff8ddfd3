"""Plugins and the installation: writing one, holding one to the rules, looking whether all is well."""

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
    """Write a working plugin to begin with, in a file with its test, or as a package; the paths of its files.

    `kind` is denoiser, learned, noise, metric, dataset or reporter.
    """
    return scaffold.write(name, kind, package=package, folder=Path(folder))


def check_plugin(
    plugin: str | Path, *, plugins: Files = (), timeout: float = 120.0, listener: Listener | None = None
) -> tuple[RuleFinding, ...]:
    """Take what a plugin brings through the conformance kit: one Finding for each rule, kept, broken or skipped.

    `plugin` is a file, the name of a plugin or of anything that one brings, or 'all'; `timeout` is in seconds per rule.
    """
    known, subjects = runner.load(plugin, plugins)
    return runner.check(subjects, known, timeout=timeout, listener=listener)


def doctor(*, plugins: Files = (), workspace_folder: Path | None = None) -> tuple[Diagnosis, ...]:
    """Look at machine, versions, network, plugins, data, weights and the store: what is well and what is not."""
    return diagnosis.examine(registry.load(plugins), workspace.locate(workspace_folder))
