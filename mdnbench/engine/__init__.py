"""The engine: hands cells to workers, survives what they do, and brings their outcomes home."""
