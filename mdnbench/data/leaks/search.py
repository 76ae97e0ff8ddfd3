"""Compare all images of a training set with all images of a test set."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mdnbench.data import images
from mdnbench.data.leaks import matching
from mdnbench.data.leaks.leak import Leak
from mdnbench.data.leaks.matching import Sought

if TYPE_CHECKING:
    from mdnbench.data.leaks.matching import Match
    from mdnbench.spec.specs import DatasetSpec, Image


def find_leaks(
    train: DatasetSpec,
    test: DatasetSpec,
    *,
    jobs: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Leak, ...]:
    """Return the pairs of a training and a test image that show the same picture, in the order of the data sets.

    Args:
        train: The training set.
        test: The test set.
        jobs: The number of threads; it does not affect the result.
        progress: `progress(done, total)` counts training images and is called from the calling thread.

    """
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        try:
            sought = list(pool.map(lambda name: Sought(_gray(test, name)), test.images))
            pairs = list(zip(test.images, sought, strict=True))
            found: list[Leak] = []
            for done, leaks in enumerate(pool.map(lambda name: _in_image(train, name, pairs), train.images), start=1):
                found += leaks
                if progress:
                    progress(done, len(train.images))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return tuple(found)


def _in_image(train: DatasetSpec, name: str, pairs: list[tuple[str, Sought]]) -> list[Leak]:
    """Return the leaks of one training image: the test images that it shows."""
    image, views, found = _gray(train, name), {}, []
    for test_name, sought in pairs:
        # Test images of the same size need the same views of the training image.
        if sought.side not in views:
            views[sought.side] = matching.Searched(image, sought)
        match = matching.best_match(views[sought.side], sought)
        if match and matching.is_leak(match):
            found.append(_leak(name, test_name, match))
    return found


def _leak(train_id: str, test_id: str, match: Match) -> Leak:
    return Leak(
        train_id=train_id,
        test_id=test_id,
        overlap=round(match.overlap, 4),
        scale=round(match.scale, 4),
        rotation_degrees=90 * match.quarter_turns,
        flipped=match.flipped,
        inliers=match.patches,
        correlation=round(match.detail, 4),
        top=round(match.top, 1),
        left=round(match.left, 1),
    )


def _gray(dataset: DatasetSpec, name: str) -> Image:
    return images.to_gray(dataset.load(name))
