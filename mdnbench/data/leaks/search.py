"""Compare all images of a training set with all images of a test set."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from mdnbench.data import images
from mdnbench.data.leaks import alignment, candidates, confirmation, keypoints
from mdnbench.data.leaks.leak import Leak

if TYPE_CHECKING:
    from mdnbench.data.leaks.alignment import Overlap
    from mdnbench.data.leaks.geometry import Placement
    from mdnbench.data.leaks.keypoints import Description
    from mdnbench.spec.specs import DatasetSpec, Image


def find_leaks(
    train: DatasetSpec,
    test: DatasetSpec,
    *,
    jobs: int = 2,
    progress: Callable[[int, int], None] | None = None,
    describe: Callable[[Image], Description] = keypoints.describe,
) -> tuple[Leak, ...]:
    """Return the pairs of a training and a test image that show the same picture, in the order of the data sets.

    Args:
        train: The training set.
        test: The test set.
        jobs: The number of threads; it does not affect the result.
        progress: `progress(done, total)` counts training images and is called from the calling thread.
        describe: Returns the key points of an image; a cache may be put here.

    """

    def described(name: str) -> Description:
        return describe(_gray(test, name))

    def leaks_of(name: str) -> list[Leak]:
        return _in_image(train, name, test, sought, describe)

    # Each thread works on its own image, so a product of matrices needs no threads of its own.
    with threadpool_limits(1), ThreadPoolExecutor(max(1, jobs)) as pool:
        try:
            sought = dict(zip(test.images, pool.map(described, test.images), strict=True))
            found: list[Leak] = []
            for done, leaks in enumerate(pool.map(leaks_of, train.images), start=1):
                found += leaks
                if progress:
                    progress(done, len(train.images))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return tuple(found)


def _in_image(
    train: DatasetSpec,
    name: str,
    test: DatasetSpec,
    sought: dict[str, Description],
    describe: Callable[[Image], Description],
) -> list[Leak]:
    """Return the leaks of one training image: the test images that it shows."""
    image = _gray(train, name)
    points, found = describe(image), []
    for test_name, test_points in sought.items():
        guesses = list(candidates.placements(points, test_points))
        # Few pairs have a guess, so their test images are loaded again instead of kept.
        overlap = _best_overlap(image, _gray(test, test_name), guesses) if guesses else None
        if overlap is not None:
            found.append(_leak(name, test_name, overlap))
    return found


def _best_overlap(image: Image, test: Image, guesses: list[Placement]) -> Overlap | None:
    """Return the convincing overlap with the most evidence; None if there is none."""
    best, most = None, 0.0
    for guess in guesses:
        overlap = alignment.aligned(image, test, guess)
        agreement = confirmation.agreement(overlap) if overlap else None
        if overlap and agreement and agreement.convincing and agreement.evidence > most:
            best, most = overlap, agreement.evidence
    return best


def _leak(train_id: str, test_id: str, overlap: Overlap) -> Leak:
    placement, agreement = overlap.whole_placement(), confirmation.agreement(overlap)
    box = placement.box(overlap.test_shape)
    quarter_turns = round(placement.degrees / 90)
    return Leak(
        train_id=train_id,
        test_id=test_id,
        overlap=_rounded(agreement.share, 4),
        scale=_rounded(placement.scale, 4),
        rotation_degrees=90 * quarter_turns % 360,
        flipped=placement.flipped,
        inliers=agreement.patches,
        correlation=_rounded(agreement.detail, 4),
        top=_rounded(box.top, 1),
        left=_rounded(box.left, 1),
        tilt_degrees=_rounded(placement.degrees - 90 * quarter_turns, 1),
        stretch=_rounded(placement.stretch, 3),
    )


def _rounded(value: float, digits: int) -> float:
    return round(value, digits) + 0.0  # never -0.0


def _gray(dataset: DatasetSpec, name: str) -> Image:
    return images.to_gray(dataset.load(name))
