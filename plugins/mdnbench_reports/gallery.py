"""The gallery: which pictures a page holds, so that it stays small. The worst are whole, the others are cut."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

from mdnbench.results import cuts
from mdnbench.results.pictures import CLEAN
from mdnbench_reports.scenes import Darkroom, Scene

if TYPE_CHECKING:
    from mdnbench.results.cuts import Box
    from mdnbench.results.pictures import Levels

Key: TypeAlias = "tuple[str, Box | None]"  # a picture: the digest of its image, and what is cut out of it

SIDES = (256, 192, 160, 128, 96, 64, 48)
SHARE_OF_CUTS = 0.5  # of all room, while whole images are tried
NEARLY_ALL = 0.9  # of what is left after them: sizes are estimates
TAG_BYTES = 52  # the markup around a picture in the page
SCENE_BYTES, NAME_BYTES = 110, 14  # a scene in the page's data, and each name of a picture in it
WEBP_LARGEST = 16383
SAMPLES, SIDE_OF_SAMPLE = 3, 128


@dataclass(frozen=True, slots=True)
class Shown:
    """A scene in the page: the size of its images, what is cut out of them, and its pictures' numbers by source."""

    noise: int
    shot: int
    size: tuple[int, int]
    box: Box | None
    pictures: Mapping[str, int]


@dataclass(slots=True)
class Gallery:
    """The pictures of a page: lossless, base64, each once; `whole` says how many scenes of each noise are whole."""

    budget: int
    pictures: list[str] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    whole: int = 0
    side: int = 0
    left_out: int = 0
    spent: int = 0
    _numbers: dict[Key, int] = field(default_factory=dict)

    def add(self, plates: Sequence[Plate], reserve: float) -> bool:
        """Take all plates in if they fit and leave `reserve` bytes for others; whether they were taken."""
        new = {key: text for plate in plates for key, text in plate.texts.items() if key not in self._numbers}
        cost = sum(len(text) + TAG_BYTES for text in new.values())
        cost += sum(SCENE_BYTES + NAME_BYTES * len(plate.keys) for plate in plates)
        if self.spent + cost + reserve > self.budget:
            return False
        self.spent += cost
        for key, text in new.items():
            self._numbers[key] = len(self.pictures)
            self.pictures.append(text)
        self.shown += [plate.shown(self._numbers) for plate in plates]
        return True


@dataclass(frozen=True, slots=True)
class Plate:
    """A developed scene, encoded: the keys of its pictures by source, and their texts by key."""

    scene: Scene
    size: tuple[int, int]
    box: Box | None
    keys: Mapping[str, Key]
    texts: Mapping[Key, str]

    def shown(self, numbers: Mapping[Key, int]) -> Shown:
        """The scene as the page knows it."""
        pictures = {source: numbers[key] for source, key in self.keys.items()}
        return Shown(self.scene.noise, self.scene.shot, self.size, self.box, pictures)


def fill(scenes: Sequence[Sequence[Scene]], darkroom: Darkroom, budget: int) -> Gallery:
    """Fill a gallery of at most `budget` bytes: rounds over the noises, the worst image of each first.

    As long as a round fits whole beside cuts of all that follow, it is whole; then cuts are taken until nothing fits.
    """
    gallery = Gallery(budget)
    rounds = [[scene for scene in each if scene] for each in zip_longest(*scenes)]
    count = sum(map(len, rounds))
    if not count:
        return gallery
    sample = _Sample.of([scene for each in rounds for scene in each], darkroom)
    reserved = sample.cost(sample.side(count, SHARE_OF_CUTS * budget))
    for each in rounds:
        count -= len(each)
        near = sample.could_fit(len(each), budget - gallery.spent)
        if not near or not gallery.add(_plates(each, darkroom, None), count * reserved):
            break
        gallery.whole += 1
    return _with_cuts(gallery, rounds[gallery.whole :], darkroom, sample)


def _with_cuts(gallery: Gallery, rounds: Sequence[Sequence[Scene]], darkroom: Darkroom, sample: _Sample) -> Gallery:
    """Add cuts of the remaining rounds, as large as the room that is left allows, until nothing fits."""
    count = sum(map(len, rounds))
    gallery.side = sample.side(count, NEARLY_ALL * (gallery.budget - gallery.spent))
    for each in rounds:
        if not gallery.add(_plates(each, darkroom, gallery.side), 0):
            gallery.left_out = count
            break
        count -= len(each)
    return gallery


@dataclass(frozen=True, slots=True)
class _Sample:
    """What a few scenes tell of all: bytes of text per pixel, pictures per scene, pixels of a whole image."""

    rate: float
    pictures: float
    pixels: float

    @classmethod
    def of(cls, scenes: Sequence[Scene], darkroom: Darkroom) -> _Sample:
        chosen = scenes[:: max(1, len(scenes) // SAMPLES)][:SAMPLES]
        plates = _plates(chosen, darkroom, SIDE_OF_SAMPLE)
        texts = [text for plate in plates for text in plate.texts.values()]
        area = sum(_area(plate) * len(plate.texts) for plate in plates) or 1
        whole = sum(plate.size[0] * plate.size[1] for plate in plates) / len(plates)
        return cls(sum(map(len, texts)) / area, len(texts) / len(plates), whole)

    def cost(self, side: int) -> float:
        """The bytes of a scene that is cut to a square of this side."""
        return self.pictures * (self.rate * min(side * side, self.pixels) + TAG_BYTES)

    def side(self, scenes: int, room: float) -> int:
        """The largest cut of which so many fit into the room."""
        fitting = (side for side in SIDES if scenes * self.cost(side) <= room)
        return next(fitting, SIDES[-1])

    def could_fit(self, scenes: int, room: int) -> bool:
        """Whether whole scenes are near enough to what is left to be worth encoding."""
        return scenes * self.pictures * self.rate * self.pixels < 2 * room


def _area(plate: Plate) -> int:
    width, height = plate.box[2:] if plate.box else plate.size
    return width * height


def _plates(scenes: Sequence[Scene], darkroom: Darkroom, side: int | None) -> list[Plate]:
    with ThreadPoolExecutor() as threads:
        return [_plate(scene, darkroom.develop(scene), side, threads) for scene in scenes]


def _plate(
    scene: Scene, developed: Mapping[str, tuple[str, Levels]], side: int | None, threads: ThreadPoolExecutor
) -> Plate:
    images = {source: levels for source, (_, levels) in developed.items()}
    height, width = next(iter(images.values())).shape[:2]
    box = cuts.hardest(images.get(CLEAN), images, side) if side and side < max(width, height) else None
    keys = {source: (digest, box) for source, (digest, _) in developed.items()}
    by_key = {key: cuts.cut(images[source], box) for source, key in keys.items()}
    texts = dict(zip(by_key, threads.map(_text, by_key.values()), strict=True))
    return Plate(scene, (width, height), box, keys, texts)


def _text(levels: Levels) -> str:
    """A picture without loss, as base64: WebP where its size allows, else PNG."""
    import PIL.Image

    buffer = io.BytesIO()
    options: dict[str, Any] = {"format": "WEBP", "lossless": True, "quality": 50, "method": 2}
    if max(levels.shape[:2]) > WEBP_LARGEST:
        options = {"format": "PNG", "optimize": True}
    PIL.Image.fromarray(levels).save(buffer, **options)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
