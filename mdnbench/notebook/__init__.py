"""What a notebook shows: results as tables and pictures, and how far a long call is."""

from __future__ import annotations

from mdnbench.notebook.progress import listener
from mdnbench.notebook.results import Results

__all__ = ["Results", "listener"]
