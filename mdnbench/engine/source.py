"""The code that runs inside a source process: the noises, metrics and data sets of a plugin that is not ours.

A bench runs only our own plugins. Other plugins run here, so their changes to the process affect no other score.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from mdnbench import registry
from mdnbench.engine import orders, process_state
from mdnbench.engine.method import Settings, begin, planned
from mdnbench.evaluation.rng import NumpyRng
from mdnbench.registry.file_usage import Usage

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mdnbench.registry.discovery import PluginSource
    from mdnbench.spec.records import UsedFile
    from mdnbench.spec.specs import Image


class SourceOrders:
    """A worker that runs the noises, metrics and data sets of one plugin.

    Its public methods are the orders that the process takes.
    """

    def __init__(self, source: PluginSource, settings: Settings) -> None:
        self._settings = settings
        self._before = process_state.now()
        self._usage = Usage(source.root)
        self._usage.begin()
        self._told: tuple[UsedFile, ...] | None = None
        self._known = registry.load_source(source)
        self._source = source
        self._scorer = cache(self._build_scorer)
        self._planned = cache(self._spec)

    def used(self) -> tuple[UsedFile, ...] | None:
        """Return the files that the process has used so far, or None if they are the same as at the last call."""
        found = self._usage.files()
        news = None if found is self._told else found
        self._told = found
        return news

    def noise(self, name: str, planes: Image, key: bytes, parameters: Mapping[str, float]) -> Image:
        """Return the noisy version of an image.

        Args:
            name: The name of the noise.
            planes: The clean image, float32 (C, H, W).
            key: The key of the random number generator.
            parameters: The parameters of the noise.
        """
        process_state.clean(self._before, 0)
        noisy: Image = self._planned("noise", name).apply(planes, NumpyRng(key), **parameters)
        return noisy

    def std(self, name: str, parameters: Mapping[str, float]) -> float | None:
        """Return the standard deviation of a noise with these parameters, or None if it depends on the image."""
        return self._known.noises[name].std(**parameters)

    def min_size(self, name: str) -> int:
        """Return the shortest side in pixels that a metric accepts."""
        return int(self._known.metric(name).min_size)

    def score(self, name: str, denoised: Image, clean: Image) -> float:
        """Return the score of a denoised image, compared with the clean one."""
        process_state.clean(self._before, 0)
        return float(self._scorer(name)(denoised, clean))

    def _build_scorer(self, name: str) -> Any:
        self._planned("metric", name.partition("[")[0])
        return self._known.metric(name).build("cpu")

    def _spec(self, kind: str, name: str) -> Any:
        """Return a noise or a metric as it was planned, and count the files that it declares."""
        spec = planned(self._known.noises if kind == "noise" else self._known.metrics, name, self._settings)
        self._usage.declare(spec, self._source)
        return spec

    def load(self, dataset: str, image: str) -> Image:
        """Return an image of a data set."""
        pixels: Image = self._known.datasets[dataset].load(image)
        return pixels


def serve(connection: Connection, source: PluginSource, settings: Settings) -> None:
    """Take orders for the parts of a plugin, until the connection is closed.

    If the plugin cannot be imported, each answer is that error.
    """

    def make() -> SourceOrders:
        begin(settings)
        return SourceOrders(source, settings)

    orders.serve(connection, make)
