"""Protocols: what the four files say, what their rules do to pixels, and what a person's own file may say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mdnbench.errors import BadFile, UnknownName
from mdnbench.evaluation import protocols
from mdnbench.evaluation.protocols import ImageRule

ROUNDED, UNCLIPPED = ImageRule(True, 8), ImageRule(False)
OWN = 'name = "own"\nversion = 1\nsummary = "mine"\n[input]\nclamp = {0}\n[scoring]\nclamp = true\n{1}\n'
VALUES = np.array([[-0.2, 0.0, 0.5, 0.5019], [1.0, 1.7, 0.00195, 0.00197]], dtype=np.float32)


@pytest.mark.parametrize(
    ("name", "noisy", "output"),
    [
        ("standard", UNCLIPPED, ROUNDED),
        ("float", UNCLIPPED, ImageRule(True)),
        ("clipped", ROUNDED, ROUNDED),
        ("masked-paper", ROUNDED, ImageRule(True, 8, 1)),
    ],
)
def test_the_four_protocols_are_as_the_design_defines_them(name: str, noisy: ImageRule, output: ImageRule) -> None:
    """Input rule and scoring rule of each shipped protocol."""
    protocol = protocols.load(name)
    assert (protocol.name, protocol.input, protocol.scoring) == (name, noisy, output)
    assert protocol.summary
    assert protocol.used_by


def test_there_are_four() -> None:
    """No more and no fewer are shipped, and no two share a hash."""
    known = protocols.known()
    assert set(known) == {"standard", "float", "clipped", "masked-paper"}
    assert len({protocol.hash for protocol in known.values()}) == 4
    assert protocols.load("standard").label == f"standard ({known['standard'].hash})"


def test_clamping_and_rounding_are_what_an_8_bit_file_would_hold() -> None:
    """A rule of 8 bits gives k/255 in float32, the nearest; values outside are brought to the edge."""
    before = VALUES.copy()
    result = ROUNDED.apply(VALUES)
    assert result.dtype == np.float32
    assert (np.rint(result.astype(np.float64) * 255) == [[0, 0, 128, 128], [255, 255, 0, 1]]).all()
    assert np.array_equal(result, (np.rint(result * 255) / 255).astype(np.float32))
    assert np.array_equal(VALUES, before)


def test_an_unclipped_rule_changes_nothing_but_gives_its_own_memory() -> None:
    """Without clamping the pixels are the same, in another array."""
    result = UNCLIPPED.apply(VALUES)
    assert np.array_equal(result, VALUES)
    assert not np.shares_memory(result, VALUES)


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3)])
def test_a_border_is_cut_from_all_sides(shape: tuple[int, ...]) -> None:
    """A border of two leaves four pixels less in each direction, gray and colour."""
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    assert np.array_equal(ImageRule(True, 8, 2).crop(image), image[2:7, 2:5])
    assert ImageRule(True).crop(image) is image


def test_a_hash_follows_the_rules(tmp_path: Path) -> None:
    """Any rule or the version changes the hash; the summary does not."""
    path, hashes = tmp_path / "own.toml", set()
    for text in (OWN.format("true", "bits = 8"), OWN.format("false", "bits = 8"), OWN.format("true", "border = 3")):
        path.write_text(text, encoding="utf-8")
        hashes.add(protocols.load(str(path)).hash)
        path.write_text(text.replace('"mine"', '"other words"'), encoding="utf-8")
        hashes.add(protocols.load(str(path)).hash)
        path.write_text(text.replace("version = 1", "version = 2"), encoding="utf-8")
        hashes.add(protocols.load(str(path)).hash)
    assert len(hashes) == 6


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OWN.format("true", "bits = 17"), "bits must be 0 to 16"),
        (OWN.format("true", "bits = -1"), "bits must be 0 to 16"),
        (OWN.format("true", "border = 65"), "border 0 to 64"),
        (OWN.format("false\nbits = 8", ""), "with clamp = true"),
        (OWN.format("true\nborder = 1", ""), "an input rule has no border"),
        ('name = "own"', "lacks the key"),
    ],
)
def test_an_impossible_protocol_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """A file of one's own is checked, and the message names it."""
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile, match=says) as error:
        protocols.load(str(path))
    assert str(path) in str(error.value)


def test_an_unknown_protocol_is_guessed() -> None:
    """A misspelt name gets the likeliest one, and the way to one's own."""
    with pytest.raises(UnknownName, match=r"Did you mean 'standard'\?.*ends in \.toml"):
        protocols.load("standart")
    with pytest.raises(BadFile, match="there is no protocol file"):
        protocols.load("nowhere.toml")
