"""Write a regression check's verdict as JUnit XML, which every CI service can show: one test case per gate.

The XML fits the schemas of both Jenkins and Maven: every case has a class, a name and a time, and every failure and
error has a type.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from mdnbench.analysis.regression import findings
from mdnbench.analysis.regression.tolerances import WORDS
from mdnbench.results import numbers

if TYPE_CHECKING:
    from mdnbench.analysis.regression import Gate, Verdict
    from mdnbench.analysis.regression.slowdown import SpeedChange

_ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 does not allow


def text_of(verdict: Verdict) -> str:
    """Return the whole verdict as one XML document."""
    suite = ElementTree.Element("testsuite", name=f"mdnbench check {_safe(verdict.run)}")
    _properties(suite, verdict)
    for gate in verdict.gates:
        _gate(suite, gate)
    for pace in verdict.speeds:
        _speed(suite, pace)
    for index, line in enumerate(verdict.missing, start=1):
        entry = _test_case(suite, "missing", f"missing {index}")
        _failure(entry, "missing", line)
    if verdict.untimed:
        entry = _test_case(suite, "timing", "timing")
        ElementTree.SubElement(entry, "error", type="nothing compared", message=_safe(verdict.untimed))
    _warnings(suite, verdict)
    _count(suite)
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _properties(suite: ElementTree.Element, verdict: Verdict) -> None:
    parent = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(parent, "property", name="baseline", value=_safe(verdict.baseline))
    for each in verdict.differences:
        value = f"{each.before} -> {each.after}"
        ElementTree.SubElement(parent, "property", name=_safe(each.what), value=_safe(value))


def _gate(suite: ElementTree.Element, gate: Gate) -> None:
    entry = _test_case(suite, f"{gate.noise} {gate.method}", gate.metric)
    before, after = (numbers.fixed(mean, gate.digits + 1) for mean in (gate.baseline, gate.measured))
    change = numbers.fixed(gate.change, gate.digits + 1, signed=True)
    text = (
        f"{gate.metric} of {gate.method} under {gate.noise} {findings.JUDGED[gate.state]}: "
        f"{before} → {after} ({change}; allowed {gate.tolerance:g}, {WORDS[gate.basis]}; {gate.cells} cells); "
        f"{findings.changed(gate.causes)}"
    )
    if gate.state == "regression":
        _failure(entry, "regression", text)
    elif gate.state == "improvement":
        ElementTree.SubElement(entry, "system-out").text = _safe(f"better than the baseline, which is stale: {text}")


def _speed(suite: ElementTree.Element, pace: SpeedChange) -> None:
    entry = _test_case(suite, f"timing {pace.method}", "seconds", pace.measured_s)
    if pace.state == "slower":
        ratio, p = numbers.fixed(pace.ratio, 2), numbers.p_value(pace.p)
        _failure(entry, "slower", f"{pace.method} takes {ratio} times as long (p: {p}); {pace.what}")
    elif pace.state == "undecided":
        ElementTree.SubElement(entry, "skipped", message="too few calls to tell")


def _warnings(suite: ElementTree.Element, verdict: Verdict) -> None:
    lines = [*verdict.notes, *verdict.worst]
    if lines:
        ElementTree.SubElement(suite, "system-out").text = _safe("\n".join(f"warning: {line}" for line in lines))


def _test_case(suite: ElementTree.Element, group: str, name: str, seconds: float = 0.0) -> ElementTree.Element:
    time = f"{seconds:.3f}"
    return ElementTree.SubElement(suite, "testcase", classname=_safe(group), name=_safe(name), time=time)


def _failure(entry: ElementTree.Element, kind: str, text: str) -> None:
    ElementTree.SubElement(entry, "failure", type=kind, message=_safe(text)).text = _safe(text)


def _count(suite: ElementTree.Element) -> None:
    for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(1 for _ in suite.iter(tag))))
    suite.set("time", f"{sum(float(entry.get('time', 0)) for entry in suite.iter('testcase')):.3f}")


def _safe(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
