"""What a notebook shows: results as tables and pictures, and how far a long call is."""

from __future__ import annotations

from mdnbench.api.notebook.progress import listener
from mdnbench.api.notebook.results import Results

__all__ = ["Results", "listener"]
