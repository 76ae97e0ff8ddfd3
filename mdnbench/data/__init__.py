"""Data sets: their files at hand or fetched, folders of one's own, images read in full."""

from __future__ import annotations

from mdnbench.data.files import at_hand, fetch, files_of, find, locate, noting, verify

__all__ = ["at_hand", "fetch", "files_of", "find", "locate", "noting", "verify"]
