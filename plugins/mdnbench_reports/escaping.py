"""Putting data and code into a page so that neither can be taken for the other."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

# What could end a script element, begin a comment, or break a line in old parsers.
_ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


def embedded_json(content: Any) -> str:
    """JSON that may stand inside a script element as it is: ASCII, with nothing that markup could be made of."""
    return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def policy(style: str, script: str) -> str:
    """A content-security policy under which this style and this script alone are used, and nothing is fetched."""
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
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
