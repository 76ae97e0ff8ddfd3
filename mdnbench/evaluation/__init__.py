"""What happens within one cell: the case is made, adapted, its output judged and scored."""

from __future__ import annotations
