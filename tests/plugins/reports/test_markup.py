"""What a page may hold and do: names are text, nothing is fetched, and only its own style and script act."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest

from mdnbench.spec.names import printable
from mdnbench_reports import (
    escaping,
)


def test_names_are_text_and_never_markup(hostile_page: Any, nasty: Any) -> None:
    """No name becomes an element, an attribute that acts, or the end of a script; all are there to be read."""
    assert not [tag for tag, _ in hostile_page.elements if tag in ("img", "iframe", "object", "embed", "base", "form")]
    acting = [name for _, attributes in hostile_page.elements for name in attributes if name.startswith("on")]
    assert acting == []
    scripts = [attributes for tag, attributes, _ in hostile_page.raw if tag == "script"]
    pictures = [each for each in scripts if each.get("type") == "text/plain"]
    assert len(scripts) == len(pictures) + 2
    text = "".join(hostile_page.words)
    assert nasty.evil in text
    assert printable(nasty.worse) in text
    assert "\u2028" not in text, "what cannot be printed is shown as its code"
    assert {nasty.evil, nasty.worse} <= set(hostile_page.data["methods"])
    assert [nasty.evil, 0] in hostile_page.data["shots"]


def test_embedded_json_holds_nothing_that_markup_is_made_of(nasty: Any) -> None:
    """Angle brackets, ampersands and line separators are escaped, and the text comes back the same."""
    content = {"name": nasty.worse, "other": "\u2029 ]]> é 🙂"}
    text = escaping.embedded_json(content)
    assert not set(text) & set("<>&\u2028\u2029é🙂")
    assert json.loads(text) == content


@pytest.mark.parametrize("which", ["whole", "hostile_page"])
def test_the_policy_allows_this_style_and_this_script_alone(which: str, request: pytest.FixtureRequest) -> None:
    """Everything is forbidden but the style and the script whose digests stand in the policy."""
    found: Any = request.getfixturevalue(which)
    policies = [attributes["content"] for tag, attributes in found.elements if "http-equiv" in attributes]
    assert len(policies) == 1
    rules = dict(part.strip().split(" ", 1) for part in str(policies[0]).split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in str(policies[0])
    assert "http" not in str(policies[0])
    for kind in ("style", "script"):
        texts = [text for tag, attributes, text in found.raw if tag == kind and "type" not in attributes]
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert rules[f"{kind}-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert not [attributes for _, attributes in found.elements if "style" in attributes], "the policy would refuse it"


@pytest.mark.parametrize("which", ["whole", "hostile_page"])
def test_a_page_names_no_address(which: str, request: pytest.FixtureRequest) -> None:
    """No attribute leads out of the page, and neither style nor script could fetch anything."""
    found: Any = request.getfixturevalue(which)
    names = ("src", "href", "xlink:href", "action", "poster", "srcset", "data")
    targets = [attributes[name] for _, attributes in found.elements for name in names if name in attributes]
    assert [target for target in targets if not str(target).startswith(("#", "data:,"))] == []
    code = "".join(text for _, attributes, text in found.raw if "type" not in attributes)
    assert not re.findall(r"https?:|url\(|@import|\bfetch\(|XMLHttpRequest|WebSocket|\bimport\(|\beval\(", code)


def test_charts_keep_known_elements_alone(hostile_page: Any, nasty: Any) -> None:
    """What stands inside a chart is drawing; the names in it are labels."""
    tags = [tag for tag, _ in hostile_page.elements]
    assert "svg" in tags
    assert "a" in tags  # of the page itself, none of which leads out
    labels = [attributes.get("aria-label") or "" for tag, attributes in hostile_page.elements if tag == "path"]
    assert any(nasty.evil in label for label in labels)
