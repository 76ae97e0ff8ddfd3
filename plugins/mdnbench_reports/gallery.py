"""Choose the pictures of a page within its size: the hardest images are whole, the others are cropped."""

from __future__ import annotations

import base64
import contextlib
import io
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

import PIL.Image

from mdnbench.results import crops
from mdnbench.results.image_source import CLEAN
from mdnbench_reports.scenes import Scene, SceneImages

if TYPE_CHECKING:
    from mdnbench.results.crops import CropBox
    from mdnbench.results.image_source import Levels

Key: TypeAlias = "tuple[str, CropBox | None]"  # identifies a picture: the digest of its image, and its crop

SIDES = (256, 192, 160, 128, 96, 64, 48)
SHARE_OF_CUTS = 0.5  # share of all bytes that stays reserved for crops while whole images are added
NEARLY_ALL = 0.9  # share of the remaining bytes for crops; not all, because sizes are estimates
MOST_MISSES = 8  # after this many scenes that do not fit whole, no more are tried
SMALLER = 4  # a whole image may be this many times smaller than the average
TAG_BYTES = 52  # the markup around a picture in the page
SCENE_BYTES, NAME_BYTES = 110, 14  # a scene in the page's data, and each picture's name in it
WEBP_LARGEST = 16383
SAMPLES, SIDE_OF_SAMPLE = 3, 128


@dataclass(frozen=True, slots=True)
class ShownScene:
    """A scene in the page.

    Attributes:
        noise: The index of the noise.
        case: The index of the case.
        size: The width and height of its images, in pixels.
        box: The crop that the pictures show; None if they show the whole image.
        pictures: The number of each picture, by source.

    """

    noise: int
    case: int
    size: tuple[int, int]
    box: CropBox | None
    pictures: Mapping[str, int]


@dataclass(slots=True)
class Gallery:
    """The pictures of a page.

    Attributes:
        budget: The bytes that the pictures and the data of their scenes may take.
        pictures: The pictures, lossless and as base64, each once.
        shown: The scenes.
        side: The side of crops, in pixels; 0 without crops.
        left_out: The number of scenes that did not fit.
        spent: The bytes that are used.

    """

    budget: int
    pictures: list[str] = field(default_factory=list)
    shown: list[ShownScene] = field(default_factory=list)
    side: int = 0
    left_out: int = 0
    spent: int = 0
    _numbers: dict[Key, int] = field(default_factory=dict)

    def add(self, encoded: EncodedScene, reserve: float) -> bool:
        """Add a scene if it fits and leaves `reserve` bytes for others; return whether it was added."""
        new = {key: text for key, text in encoded.texts.items() if key not in self._numbers}
        cost = sum(len(text) + TAG_BYTES for text in new.values()) + SCENE_BYTES + NAME_BYTES * len(encoded.keys)
        if self.spent + cost + reserve > self.budget:
            return False
        self.spent += cost
        for key, text in new.items():
            self._numbers[key] = len(self.pictures)
            self.pictures.append(text)
        self.shown.append(encoded.shown(self._numbers))
        return True


@dataclass(frozen=True, slots=True)
class EncodedScene:
    """A scene whose pictures are encoded.

    Attributes:
        scene: The scene.
        size: The width and height of its images, in pixels.
        box: The crop that the pictures show; None if they show the whole image.
        keys: The keys of the pictures, by source.
        texts: The pictures as base64, by key.

    """

    scene: Scene
    size: tuple[int, int]
    box: CropBox | None
    keys: Mapping[str, Key]
    texts: Mapping[Key, str]

    def shown(self, numbers: Mapping[Key, int]) -> ShownScene:
        """Return the scene as it is stored in the page, with the number of each picture by its key."""
        pictures = {source: numbers[key] for source, key in self.keys.items()}
        return ShownScene(self.scene.noise, self.scene.case, self.size, self.box, pictures)


def fill(scenes: Sequence[Sequence[Scene]], darkroom: SceneImages, budget: int) -> Gallery:
    """Return a gallery of at most `budget` bytes.

    Scenes are taken in rounds over the noises, the hardest of each noise first. A scene is whole if crops of all
    remaining scenes still fit next to it. Then crops are added until nothing fits.

    Args:
        scenes: The scenes of each noise, hardest first.
        darkroom: The source of their images.
        budget: The bytes that the gallery may take.

    """
    gallery = Gallery(budget)
    listed = [scene for each in zip_longest(*scenes) for scene in each if scene]
    if listed:
        sample = _Sample.of(listed, darkroom)
        reserved = sample.cost(sample.side(len(listed), SHARE_OF_CUTS * budget))
        _with_crops(gallery, _with_whole(gallery, listed, darkroom, sample, reserved), darkroom, sample)
        order = {(scene.noise, scene.case): place for place, scene in enumerate(listed)}
        gallery.shown.sort(key=lambda shown: order[shown.noise, shown.case])
    return gallery


def _with_whole(
    gallery: Gallery, listed: Sequence[Scene], darkroom: SceneImages, sample: _Sample, reserved: float
) -> Sequence[Scene]:
    """Add whole scenes as long as the others still fit as crops of `reserved` bytes each; return the others.

    A large image may not fit although a smaller one after it does. So some misses are allowed before the search ends.
    """
    others: list[Scene] = []
    with contextlib.closing(_encoded(listed, darkroom, None)) as scenes:
        for place, scene in enumerate(listed):
            if len(others) >= MOST_MISSES or not sample.could_fit(gallery.budget - gallery.spent):
                return [*others, *listed[place:]]
            waiting = len(others) + len(listed) - place - 1
            if not gallery.add(next(scenes), waiting * reserved):
                others.append(scene)
    return others


def _with_crops(gallery: Gallery, others: Sequence[Scene], darkroom: SceneImages, sample: _Sample) -> None:
    """Add crops of the other scenes, as large as the remaining bytes allow, until nothing fits."""
    gallery.side = sample.side(len(others), NEARLY_ALL * (gallery.budget - gallery.spent))
    with contextlib.closing(_encoded(others, darkroom, gallery.side)) as scenes:
        for place, scene in enumerate(scenes):
            if not gallery.add(scene, 0):
                gallery.left_out = len(others) - place
                break


@dataclass(frozen=True, slots=True)
class _Sample:
    """An estimate of the size of all scenes from a few of them.

    Attributes:
        rate: The bytes of text per pixel.
        pictures: The pictures per scene.
        pixels: The pixels of a whole image.

    """

    rate: float
    pictures: float
    pixels: float

    @classmethod
    def of(cls, scenes: Sequence[Scene], darkroom: SceneImages) -> _Sample:
        """Return an estimate from a few of these scenes."""
        chosen = scenes[:: max(1, len(scenes) // SAMPLES)][:SAMPLES]
        plates = list(_encoded(chosen, darkroom, SIDE_OF_SAMPLE))
        texts = [text for encoded in plates for text in encoded.texts.values()]
        area = sum(_area(encoded) * len(encoded.texts) for encoded in plates) or 1
        whole = sum(encoded.size[0] * encoded.size[1] for encoded in plates) / len(plates)
        return cls(sum(map(len, texts)) / area, len(texts) / len(plates), whole)

    def cost(self, side: int) -> float:
        """Return the bytes of a scene that is cropped to a square of this side."""
        return self.pictures * (self.rate * min(side * side, self.pixels) + TAG_BYTES)

    def side(self, scenes: int, room: float) -> int:
        """Return the largest side for which crops of so many scenes fit into these bytes."""
        fitting = (side for side in SIDES if scenes * self.cost(side) <= room)
        return next(fitting, SIDES[-1])

    def could_fit(self, room: int) -> bool:
        """Return whether a whole scene might fit into these bytes and is worth encoding; images may differ in size."""
        return self.pictures * self.rate * self.pixels < SMALLER * room


def _area(encoded: EncodedScene) -> int:
    """Return the number of pixels of each picture of a scene."""
    width, height = encoded.box[2:] if encoded.box else encoded.size
    return width * height


def _encoded(scenes: Iterable[Scene], darkroom: SceneImages, side: int | None) -> Generator[EncodedScene, None, None]:
    """Yield scenes with encoded pictures, cropped to a square of this side if there is one.

    The images of a scene are read while the pictures of the scene before it are encoded.
    """
    threads = ThreadPoolExecutor()
    begun: deque[Callable[[], EncodedScene]] = deque()
    try:
        for scene in scenes:
            begun.append(_begin(scene, darkroom, side, threads))
            if len(begun) > 1:
                yield begun.popleft()()
        if begun:
            yield begun.popleft()()
    finally:
        threads.shutdown(cancel_futures=True)


def _begin(
    scene: Scene, darkroom: SceneImages, side: int | None, threads: ThreadPoolExecutor
) -> Callable[[], EncodedScene]:
    """Begin to encode the pictures of a scene, and return a function that waits for them."""
    developed = darkroom.develop(scene)
    images = {source: levels for source, (_, levels) in developed.items()}
    height, width = next(iter(images.values())).shape[:2]
    box = crops.hardest(images.get(CLEAN), images, side) if side and side < max(width, height) else None
    keys = {source: (digest, box) for source, (digest, _) in developed.items()}
    by_key = {key: crops.crop(images[source], box) for source, key in keys.items()}
    texts = threads.map(_text, by_key.values())
    return lambda: EncodedScene(scene, (width, height), box, keys, dict(zip(by_key, texts, strict=True)))


def _text(levels: Levels) -> str:
    """Return a picture without loss, as base64: WebP if its size allows, otherwise PNG."""
    buffer = io.BytesIO()
    # Quality 20 looks as long for matches as pays: 50 takes twice the time, and noisy pictures are no smaller.
    options: dict[str, Any] = {"format": "WEBP", "lossless": True, "quality": 20, "method": 2}
    if max(levels.shape[:2]) > WEBP_LARGEST:
        options = {"format": "PNG", "optimize": True}
    PIL.Image.fromarray(levels).save(buffer, **options)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
