"""Define protocols: how noisy images are made and what is scored.

A protocol is a small TOML file with a name, a version and a hash.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mdnbench.errors import BadFile, UnknownName
from mdnbench.spec import tomlfile
from mdnbench.util.digests import of_parts

if TYPE_CHECKING:
    from mdnbench.spec.specs import Image

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class ImageRule:
    """How an image is prepared: clamped to [0, 1], then rounded to `bits` bits (0: not rounded), then cropped.

    `border` is the number of pixels that are removed at each side.
    """

    clamp: bool
    bits: int = 0
    border: int = 0

    @property
    def digest(self) -> str:
        """Return the digest of this rule for keys."""
        return of_parts("rule", asdict(self))

    def apply(self, image: Image) -> Image:
        """Return a clamped and rounded copy of the image as float32."""
        import numpy as np

        result: Image = np.clip(image, 0, 1) if self.clamp else image.copy()
        if self.bits:
            levels = np.float32(2**self.bits - 1)
            result = (np.round(result * levels) / levels).astype(np.float32, copy=False)
        return result

    @property
    def words(self) -> str:
        """Return a description of the rule for the user."""
        parts = ["clamped to [0, 1]" if self.clamp else "unclipped"]
        parts.append(f"rounded to {self.bits} bit" if self.bits else "not rounded")
        if self.border:
            parts.append(f"{self.border} pixel{'s' if self.border > 1 else ''} of border left out")
        return ", ".join(parts)

    def crop(self, image: Image) -> Image:
        """Return the image without its border."""
        edge = self.border
        return image[edge:-edge, edge:-edge] if edge else image


@dataclass(frozen=True, slots=True)
class Protocol:
    """An input rule, which defines the noisy images, and a scoring rule."""

    name: str
    version: int
    summary: str
    input: ImageRule
    scoring: ImageRule
    used_by: str = ""

    @property
    def hash(self) -> str:
        """Return the eight characters that follow the protocol's name in every table."""
        return of_parts(self.name, self.version, self.input.digest, self.scoring.digest)[:8]

    @property
    def label(self) -> str:
        """Return name and hash as tables show them."""
        return f"{self.name} ({self.hash})"


def known() -> dict[str, Protocol]:
    """Return the protocols that are part of mdnbench, by name."""
    return {path.stem: read(path) for path in sorted(FOLDER.glob("*.toml"))}


def load(name: str) -> Protocol:
    """Return a protocol by name, or from a user's own file if the name ends in `.toml`.

    Raises:
        UnknownName: There is no such protocol.
        BadFile: The file is not a valid protocol.

    """
    if name.endswith(".toml"):
        return read(Path(name))
    path = FOLDER / f"{name}.toml"
    if name not in {each.stem for each in FOLDER.glob("*.toml")}:
        raise UnknownName("protocol", name, known(), hint="Or give a file of your own that ends in .toml.")
    return read(path)


def read(path: Path) -> Protocol:
    """Read and check a protocol file; raise BadFile if it is not valid."""
    protocol = tomlfile.build(Protocol, tomlfile.read(path, "protocol"), f"protocol {path}")
    for rule in (protocol.input, protocol.scoring):
        if not 0 <= rule.bits <= 16 or not 0 <= rule.border <= 64 or (rule.bits and not rule.clamp):
            raise BadFile(f"protocol {path}: bits must be 0 to 16 (with clamp = true), and border 0 to 64.")
    if protocol.input.border:
        raise BadFile(f"protocol {path}: an input rule has no border; only the scoring rule has.")
    return protocol
