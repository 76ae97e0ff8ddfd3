"""What happens within one cell: the noisy image is made, the output is checked and scored.

Its code counts in the identity of every result, so it imports little; `engine` and plugins' tests import it. Start with
`cases.py`, then `scoring.py`.
"""

from __future__ import annotations
