"""The type of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

# float32 (H, W) or (H, W, 3), in [0, 1] unless something else is said.
Image: TypeAlias = "np.ndarray[Any, np.dtype[np.float32]]"
