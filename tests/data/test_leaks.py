"""The leak guard: what it finds, what it leaves alone, and what it remembers."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import skimage

from mdnbench import api, data, registry
from mdnbench.data import images, leaks
from mdnbench.data.leaks import Leak, cache
from mdnbench.errors import DataMissing, StoreError
from mdnbench.spec.specs import DatasetSpec, Image
from mdnbench.util import paths
from mdnbench.util.listener import Listener

PHOTOGRAPHS = ("camera.png", "astronaut.png", "chelsea.png", "coffee.png", "coins.png", "rocket.jpg", "brick.png",
               "grass.png", "gravel.png", "moon.png", "ihc.png", "motorcycle_left.png")  # fmt: skip


def photograph(name: str) -> Image:
    """One of scikit-image's own photographs in gray, its longer side at most 512 pixels."""
    image = images.to_gray(images.read_image(Path(skimage.__file__).parent / "data" / name))
    return scaled(image, min(1.0, 512 / max(image.shape)))


def scaled(image: Image, scale: float) -> Image:
    """The image at another size, by Pillow's bicubic filter."""
    height, width = (round(side * scale) for side in image.shape)
    picture = PIL.Image.fromarray(image).resize((width, height), PIL.Image.Resampling.BICUBIC)
    return np.asarray(picture).clip(0, 1)


def recompressed(image: Image, quality: int) -> Image:
    """The image after a JPEG file."""
    file = io.BytesIO()
    PIL.Image.fromarray((image * 255).round().astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(file), dtype=np.float32) / np.float32(255)


def cut(image: Image, share: float, rng: np.random.Generator) -> Image:
    """A part with this share of the area, of the same shape, from anywhere in the image."""
    height, width = (round(side * share**0.5) for side in image.shape)
    top, left = (int(rng.integers(whole - part + 1)) for whole, part in zip(image.shape, (height, width), strict=True))
    return image[top : top + height, left : left + width]


def laid_over(image: Image, part: Image, top: int, left: int) -> Image:
    """The image with another upon it, whose corner may be outside."""
    result = image.copy()
    there = result[max(0, top) : max(0, top + part.shape[0]), max(0, left) : max(0, left + part.shape[1])]
    there[...] = part[max(0, -top) :, max(0, -left) :][: there.shape[0], : there.shape[1]]
    return result


def dataset(pictures: dict[str, Image], name: str = "own") -> DatasetSpec:
    """A data set of images in memory."""
    return DatasetSpec(name, "made for a test", "train", 0, tuple(pictures), pictures.__getitem__)


def found(train: dict[str, Image], test: Image) -> dict[str, Leak]:
    """The leaks of one test image, by training image."""
    return {leak.train_id: leak for leak in leaks.find_leaks(dataset(train), dataset({"it": test}))}


def test_parts_in_every_orientation_are_found() -> None:
    """A quarter, half and all of an image are found mirrored and turned, and it is said how."""
    test, rng = photograph("chelsea.png"), np.random.default_rng(1)
    train = {
        f"{share} {turns} {flipped}": np.rot90(cut(test, share, rng)[:, :: -1 if flipped else 1], turns)
        for share, turns, flipped in itertools.product((0.25, 0.5, 1.0), range(4), (False, True))
    }
    result = found(train, test)
    assert set(result) == set(train)
    for name, leak in result.items():
        assert name.split()[1:] == [str(leak.rotation_degrees // 90), str(leak.flipped)]
        assert leak.overlap == pytest.approx(float(name.split()[0]), rel=0.05)
        assert leak.scale == pytest.approx(1, abs=0.02)
        assert leak.inliers > 20
        assert leak.correlation > 0.8


def test_a_vertical_flip_is_half_a_turn_of_a_horizontal_one() -> None:
    """An image upside down, not turned, is found as flipped and turned by 180 degrees."""
    test = photograph("coffee.png")
    leak = found({"upside down": test[::-1]}, test)["upside down"]
    assert (leak.flipped, leak.rotation_degrees) == (True, 180)


@pytest.mark.parametrize("name", ["astronaut.png", "gravel.png", "moon.png"])
def test_rescaled_and_recompressed_quarters_are_found(name: str) -> None:
    """A quarter of a 256×256 image is found at every scale and JPEG quality promised: faces, texture, smooth ground."""
    test, rng = scaled(photograph(name), 0.5), np.random.default_rng(2)
    train = {
        f"{scale} {quality}": recompressed(scaled(cut(test, 0.25, rng), scale), quality)
        for scale, quality in itertools.product((0.7, 0.85, 1.0, 1.2, 1.4), (30, 60, 90))
    }
    result = found(train, test)
    assert set(result) == set(train)
    for key, leak in result.items():
        assert leak.scale == pytest.approx(float(key.split()[0]), rel=0.03)


@pytest.mark.full
def test_all_at_once_is_found_in_other_photographs() -> None:
    """Test images that hang over the edges of other photographs, turned, rescaled and recompressed, are found there."""
    rng = np.random.default_rng(3)
    ground = photograph("motorcycle_left.png")
    train, tests, expected = {}, {}, {}
    for name in PHOTOGRAPHS[:8]:
        tests[name] = scaled(photograph(name), 0.5)
        scale, turns, flipped = float(rng.uniform(0.7, 1.4)), int(rng.integers(4)), bool(rng.integers(2))
        part = scaled(np.rot90(tests[name][:, :: -1 if flipped else 1], turns), scale)
        top, left = -(part.shape[0] // 3), ground.shape[1] - 2 * part.shape[1] // 3
        train[f"with {name}"] = recompressed(laid_over(ground, part, top, left), int(rng.integers(30, 91)))
        expected[f"with {name}"] = (name, turns * 90, flipped, scale, top, left)
    result = {leak.train_id: leak for leak in leaks.find_leaks(dataset(train), dataset(tests))}
    assert set(result) == set(train)
    for key, (name, degrees, flipped, scale, top, left) in expected.items():
        leak = result[key]
        assert (leak.test_id, leak.rotation_degrees, leak.flipped) == (name, degrees, flipped)
        assert leak.scale == pytest.approx(scale, rel=0.03)
        assert leak.overlap == pytest.approx(4 / 9, abs=0.03)
        assert (leak.top, leak.left) == pytest.approx((top, left), abs=6)


def tilted(image: Image, degrees: float) -> Image:
    """The image turned by a few degrees, without the corners that turn empty."""
    picture = PIL.Image.fromarray(image).rotate(degrees, PIL.Image.Resampling.BICUBIC)
    margin = int(max(image.shape) * abs(np.sin(np.radians(degrees))) / 2) + 2
    return np.asarray(picture)[margin:-margin, margin:-margin].clip(0, 1)


def stretched(image: Image, down: float, across: float) -> Image:
    """The image at another height and width, by Pillow's bicubic filter."""
    size = round(image.shape[1] * across), round(image.shape[0] * down)
    return np.asarray(PIL.Image.fromarray(image).resize(size, PIL.Image.Resampling.BICUBIC)).clip(0, 1)


def brightened(image: Image, gamma: float) -> Image:
    """The image after another tone curve."""
    return np.asarray(image**gamma, dtype=np.float32)


VARIANTS: dict[str, Callable[[Image, np.random.Generator], Image]] = {
    "half of the area": lambda image, rng: cut(image, 0.5, rng),
    "a quarter of the area": lambda image, rng: cut(image, 0.25, rng),
    "mirrored": lambda image, rng: image[:, ::-1],
    "upside down": lambda image, rng: image[::-1],
    "turned by 90°": lambda image, rng: np.rot90(image),
    "turned by 180°": lambda image, rng: np.rot90(image, 2),
    "turned by 270°": lambda image, rng: np.rot90(image, 3),
    "half size": lambda image, rng: scaled(image, 0.5),
    "double size": lambda image, rng: scaled(image, 2.0),
    "JPEG quality 30": lambda image, rng: recompressed(image, 30),
    "gamma 0.45": lambda image, rng: brightened(image, 0.45),
    "gamma 2.2": lambda image, rng: brightened(image, 2.2),
    "tilted by 3°": lambda image, rng: tilted(image, 3),
    "tilted by -3°": lambda image, rng: tilted(image, -3),
    "wider by 10 %": lambda image, rng: stretched(image, 1, 1.1),
    "higher by 10 %": lambda image, rng: stretched(image, 1.1, 1),
}


def test_variants_of_sk12_are_found_among_other_pictures() -> None:
    """Each image, changed in another way, is found; no image is found in another one or in other photographs."""
    test, rng = registry.load().datasets["sk12"], np.random.default_rng(5)
    train = {name: scaled(photograph(name), 0.5) for name in ("rocket.jpg", "moon.png", "motorcycle_left.png")}
    for number, identity in enumerate(test.images):
        name = list(VARIANTS)[(5 * number + 3) % len(VARIANTS)]
        train[f"{identity} {name}"] = VARIANTS[name](test.load(identity), rng)
    result = leaks.find_leaks(dataset(train), test)
    assert {(leak.train_id[:2], leak.test_id) for leak in result} == {(each, each) for each in test.images}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.full
def test_each_kind_of_variant_is_found(name: str) -> None:
    """At least 95 % of the images of Set12 and Kodak24 are found after each of these changes."""
    known, rng, missed, count = registry.load().datasets, np.random.default_rng(6), [], 0
    for test in (known["set12"], known["kodak24"]):
        if not data.at_hand(test):
            pytest.skip(f"needs {test.name}")
        for identity in test.images:
            image = images.to_gray(test.load(identity))
            count += 1
            if not found({"variant": VARIANTS[name](image, rng)}, image):
                missed.append(f"{test.name} {identity}")
    assert len(missed) <= 0.05 * count, missed


def test_a_tilt_and_a_stretch_are_measured() -> None:
    """A leak has the angle that is left after quarter turns, counter-clockwise, and the stretch of the turned image."""
    test = photograph("coffee.png")
    result = found({"tilted": tilted(np.rot90(test), 3), "wide": stretched(np.rot90(test), 1, 1.1)}, test)
    assert result["tilted"].rotation_degrees == result["wide"].rotation_degrees == 90
    assert (result["tilted"].tilt_degrees, result["tilted"].stretch) == pytest.approx((3, 1), abs=0.1)
    assert (result["wide"].tilt_degrees, result["wide"].stretch) == pytest.approx((0, 1.1), abs=0.1)
    assert result["wide"].scale == pytest.approx(1.1**0.5, abs=0.01)


def test_a_large_photograph_is_searched_in_parts() -> None:
    """A test image is found in a picture that is halved, and has more key points than are compared at once."""
    test, ground = scaled(photograph("astronaut.png"), 0.5), np.tile(photograph("gravel.png"), (5, 5))
    leak = found({"large": laid_over(ground, test, 1700, 2100)}, test)["large"]
    assert (leak.top, leak.left) == pytest.approx((1700, 2100), abs=6)


def test_a_test_image_inside_a_larger_colour_photograph_is_found() -> None:
    """A gray test image cut from a colour photograph is found in the whole photograph, with an overlap of all of it."""
    whole = images.read_image(Path(skimage.__file__).parent / "data" / "coffee.png")
    test = images.to_gray(whole)[100:356, 40:296]
    leak = found({"whole": whole}, test)["whole"]
    assert (leak.overlap, leak.scale) == pytest.approx((1, 1), abs=0.01)
    assert (leak.top, leak.left) == pytest.approx((100, 40), abs=2)


def test_different_photographs_raise_no_alarm() -> None:
    """No photograph is found in another one, however alike the textures."""
    pictures = {name: scaled(photograph(name), 0.75) for name in PHOTOGRAPHS}
    result = leaks.find_leaks(dataset(pictures), dataset({name: pictures[name] for name in PHOTOGRAPHS[4:10]}))
    assert {(leak.train_id, leak.test_id) for leak in result} == {(name, name) for name in PHOTOGRAPHS[4:10]}


@pytest.mark.parametrize("name", ["brick.png", "grass.png", "gravel.png", "moon.png"])
def test_the_other_half_of_a_texture_raises_no_alarm(name: str) -> None:
    """Two parts of one photograph that share nothing are not a leak, though they look alike."""
    image = photograph(name)
    middle = image.shape[1] // 2
    assert not found({"right": image[:, middle:]}, image[:, :middle])


@pytest.mark.full
def test_images_that_show_nothing_raise_no_alarm() -> None:
    """Flat, tiny and narrow images, and pure noise, are compared without harm and never found."""
    rng = np.random.default_rng(4)
    pictures: dict[str, Image] = {
        "flat": np.full((64, 64), 0.5, np.float32),
        "dot": np.ones((1, 1), np.float32),
        "line": rng.random((1, 300), dtype=np.float32),
        "narrow": rng.random((300, 3), dtype=np.float32),
        "tiny": rng.random((9, 9), dtype=np.float32),
        "noise": rng.random((90, 120), dtype=np.float32),
        "photograph": photograph("camera.png"),
    }
    result = leaks.find_leaks(dataset(pictures), dataset(pictures))
    assert {(leak.train_id, leak.test_id) for leak in result} == {("noise", "noise"), ("photograph", "photograph")}


def test_the_number_of_jobs_changes_nothing_and_progress_is_told() -> None:
    """One thread and three find the same, and progress counts the training images to the last."""
    test = scaled(photograph("coins.png"), 0.5)
    train = dataset({"half": test[:80], "other": scaled(photograph("grass.png"), 0.5), "turned": np.rot90(test)})
    told: list[tuple[int, int]] = []
    alone = leaks.find_leaks(train, dataset({"it": test}), jobs=1)
    together = leaks.find_leaks(train, dataset({"it": test}), jobs=3, progress=lambda *step: told.append(step))
    assert alone == together
    assert [leak.train_id for leak in alone] == ["half", "turned"]
    assert told == [(1, 3), (2, 3), (3, 3)]


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def begin(self, phase: str, total: float) -> None:
        """Note it."""
        self.told.append((phase, total))

    def progress(self, phase: str, done: float, doing: Sequence[str] = (), detail: str = "") -> None:
        """Note it."""
        self.told.append((phase, done))


def test_a_search_tells_how_far_it_is_and_what_is_known_tells_nothing(workspace: Path) -> None:
    """A bar can be drawn of it, with the time that is left; the second time there is nothing to wait for."""
    for folder, name in (("train", "coins.png"), ("test", "grass.png")):
        (workspace / folder).mkdir()
        for number in range(2):
            part = scaled(photograph(name), 0.5)[80 * number : 80 * number + 80]
            PIL.Image.fromarray((part * 255).astype(np.uint8)).save(workspace / folder / f"{number}.png")
    first, second = Heard(), Heard()
    for heard in (first, second):
        assert api.find_leaks("train", "test", listener=heard) == ()
    assert first.told == [("training images", 2), ("training images", 1), ("training images", 2)]
    assert second.told == []


def test_an_image_that_cannot_be_loaded_ends_the_search() -> None:
    """The error of a data set's own load reaches the caller."""
    test = dataset({"it": scaled(photograph("coins.png"), 0.5)})
    broken = DatasetSpec("broken", "", "train", 1, ("a", "b"), dict[str, Image]().__getitem__)
    with pytest.raises(KeyError):
        leaks.find_leaks(broken, test)


def test_findings_are_remembered_until_a_pixel_changes() -> None:
    """The second call reads the file, whatever it says; other pixels, or a damaged file, are looked at anew."""
    test = scaled(photograph("coins.png"), 0.5)
    train = {"part": test[:90].copy()}
    first = leaks.cached_leaks(dataset(train), dataset({"it": test}))
    (file,) = (paths.home() / "leaks").iterdir()
    content = json.loads(file.read_text(encoding="utf-8"))
    assert [Leak(**entry) for entry in content["leaks"]] == list(first)
    assert json.loads(json.dumps([asdict(leak) for leak in first])) == content["leaks"]

    file.write_text(json.dumps({**content, "leaks": []}), encoding="utf-8")
    assert leaks.cached_leaks(dataset(train), dataset({"it": test})) == ()
    file.write_text("{", encoding="utf-8")
    assert leaks.cached_leaks(dataset(train), dataset({"it": test})) == first
    train["part"][0, 0] += 0.1
    assert len(leaks.cached_leaks(dataset(train), dataset({"it": test}))) == 1
    assert len(list((paths.home() / "leaks").iterdir())) == 2


def test_key_points_are_remembered_by_the_pixels() -> None:
    """Each image is described once, in whatever set it is; a damaged file is replaced, and the leaks stay the same."""
    test = scaled(photograph("coins.png"), 0.5)
    train = dataset({"part": test[:90], "same": test.copy()})
    first = leaks.cached_leaks(train, dataset({"it": test}))
    files = sorted((paths.home() / "keypoints").iterdir())
    assert len(files) == 2
    files[0].write_bytes(b"PK")
    (paths.home() / "leaks").rename(paths.home() / "old")
    assert leaks.cached_leaks(train, dataset({"it": test})) == first == leaks.find_leaks(train, dataset({"it": test}))
    assert sorted((paths.home() / "keypoints").iterdir()) == files
    assert files[0].stat().st_size > 1000


SHIPPED = sorted(cache.SHIPPED.glob("*.json"))


def shipped(path: Path) -> tuple[DatasetSpec, DatasetSpec, tuple[Leak, ...]]:
    """The two data sets that a file of known leaks is about, and what it says; skips where they are not at hand."""
    content, known = json.loads(path.read_text(encoding="utf-8")), registry.load().datasets
    train, test = known[content["train"]], known[content["test"]]
    assert path.stem == f"{train.name}-{test.name}"
    if not (data.at_hand(train) and data.at_hand(test)):
        pytest.skip(f"{train.name} and {test.name} are not both at hand")
    return train, test, tuple(Leak(**entry) for entry in content["leaks"])


def test_what_is_known_of_our_own_data_is_shipped() -> None:
    """A training on BSD400 need not look for what was found before it was released."""
    assert {path.stem for path in SHIPPED} == {f"bsd400-{test}" for test in ("set12", "sk12", "bsd68", "kodak24")}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_is_taken_for_these_pixels(path: Path) -> None:
    """It is found without looking, nothing is written, and the guard finds the same in the images that it names."""
    train, test, found = shipped(path)
    assert leaks.cached_leaks(train, test) == found
    assert not (paths.home() / "leaks").exists()
    for leak in found:
        few = (replace(spec, images=(name,)) for spec, name in ((train, leak.train_id), (test, leak.test_id)))
        assert leaks.find_leaks(*few) == (leak,)


@pytest.mark.full
@pytest.mark.timeout(2400)  # a minute of a core, by itself
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_is_what_the_guard_finds(path: Path) -> None:
    """All pairs of both sets, looked at anew."""
    train, test, found = shipped(path)
    assert leaks.find_leaks(train, test) == found


def test_a_home_that_cannot_be_written_is_named(workspace: Path) -> None:
    """Where MDNBENCH_HOME is a file, the message says that nothing can be remembered there."""
    (workspace / "home").write_text("", encoding="utf-8")
    test = dataset({"it": scaled(photograph("coins.png"), 0.25)})
    with pytest.raises(StoreError, match="MDNBENCH_HOME"):
        leaks.cached_leaks(test, test)


def test_the_picture_shows_both_images_with_the_overlap_outlined(tmp_path: Path) -> None:
    """The picture holds the training image, a gap and the scaled test image, and only its outlines are in colour."""
    test = dataset({"it": scaled(photograph("camera.png"), 0.5)})
    train = dataset({"part": np.rot90(test.load("it")[:128])})
    (leak,) = leaks.find_leaks(train, test)
    picture = images.read_image(leaks.picture_of(leak, train, test, tmp_path / "leak.png"))
    height, width = picture.shape[:2]
    assert height == pytest.approx(256, abs=2)
    assert width == pytest.approx(128 + 12 + 256, abs=2)
    coloured = (picture[..., 0] - picture[..., 2]) > 0.9
    assert coloured[:2, :126].all()
    assert coloured[3:250, 140:142].all()
    assert not coloured[10:100, 10:100].any()


def test_importing_the_guard_is_cheap() -> None:
    """Neither SciPy nor torch is imported before there is anything to compare."""
    heavy = "[name for name in ('scipy', 'torch', 'skimage') if name in sys.modules]"
    code = f"import sys, mdnbench.data.leaks; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_set12_has_its_starfish_from_bsd400() -> None:
    """The one overlap of the usual training and test sets is found: Starfish is a part of BSD400's 12003."""
    known = registry.load().datasets
    try:
        train, test = {"12003": known["bsd400"].load("12003")}, known["set12"].load("04")
    except DataMissing as error:
        pytest.skip(f"needs bsd400 and set12: {error}")
    leak = found(train, test)["12003"]
    assert (leak.overlap, leak.scale, leak.correlation) == pytest.approx((1, 1, 1), abs=0.03)
    assert (leak.rotation_degrees, leak.flipped) == (0, False)
