"""Embed data and code in a page without confusing one with the other."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

# Characters that could end a script element, begin a comment, or end a line in old parsers.
_ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


def embedded_json(content: Any) -> str:
    """Return JSON that can be put into a script element unchanged: ASCII, with nothing that could be read as markup."""
    return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def policy(style: str, script: str) -> str:
    """Return a content security policy that allows only this style and this script, and loads nothing."""
    parts = (
        "default-src 'none'",
        f"style-src '{_hash(style)}'",
        f"script-src '{_hash(script)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(parts)


def _hash(text: str) -> str:
    """Return the hash of a text in the form of a content security policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
