"""The JSON documents that commands print: their names, versions, records and JSON Schemas.

The version of a document increases if a key is removed or changes its meaning. Keys may be added. `docs/json.md`
describes all documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from msgspec import json

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Document:
    """A kind of JSON document.

    Attributes:
        command: The command that prints it.
        version: Its version.
        record: The module and the name of its record.
        exit_code: Whether the command's exit code is added to the record.
    """

    command: str
    version: int
    record: str
    exit_code: bool = False


DOCUMENTS: Mapping[str, Document] = {
    "run": Document("run", 1, "mdnbench.cli.run_document:RunDocument"),
    "plan": Document("plan", 1, "mdnbench.planning.estimate:Estimate"),
    "list": Document("list", 1, "mdnbench.api.catalogue:Listing"),
    "describe": Document("describe", 1, "mdnbench.api.catalogue:Description"),
    "check": Document("check", 1, "mdnbench.analysis.regression.findings:Verdict", exit_code=True),
    "update": Document("check --update", 1, "mdnbench.analysis.regression.findings:Update"),
    "compare": Document("compare", 1, "mdnbench.cli.comparison_document:ComparisonDocument"),
    "claims": Document("claims", 1, "mdnbench.cli.claims:ClaimsDocument"),
    "rescore": Document("rescore", 1, "mdnbench.cli.rescore:RescoreDocument"),
    "time": Document("time", 1, "mdnbench.spec.timings:TimingRecord"),
    "export": Document("export", 1, "mdnbench.cli.export:ExportDocument"),
    "doctor": Document("doctor", 1, "mdnbench.api.diagnosis:Examination"),
    "weights-list": Document("weights list", 1, "mdnbench.api.catalogue:WeightsListing"),
    "weights-inspect": Document("weights inspect", 1, "mdnbench.weights.inspection:Inspection"),
    "data-verify": Document("data verify", 1, "mdnbench.cli.data:VerifyDocument"),
    "data-leaks": Document("data leaks", 1, "mdnbench.data.leaks.leak:Leaks"),
    "store-check": Document("store check", 1, "mdnbench.store.row_checks:Health"),
    "store-compact": Document("store compact", 1, "mdnbench.cli.store:CompactDocument"),
    "store-merge": Document("store merge", 1, "mdnbench.store.merging:Merged"),
    "plugin-new": Document("plugin new", 1, "mdnbench.cli.plugin:NewPlugin"),
    "plugin-check": Document("plugin check", 1, "mdnbench.testing.rules.rule:Checked", exit_code=True),
}


def schema_name(name: str) -> str:
    """Return the value of the key `schema` in a document, such as `mdnbench.plan/1`."""
    return f"mdnbench.{name}/{DOCUMENTS[name].version}"


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a document: it requires all keys and forbids others, and any number may be null."""
    document = DOCUMENTS[name]
    module, _, record = document.record.partition(":")
    found = json.schema(getattr(import_module(module), record))
    definitions = found["$defs"]
    top = definitions.pop(found["$ref"].rpartition("/")[2])
    added = {"schema": {"const": schema_name(name)}}
    if document.exit_code:
        added["exit_code"] = {"type": "integer"}
    top["properties"] = added | top["properties"]
    schema: dict[str, Any] = _strict({"$schema": DIALECT, **top, "$defs": definitions})
    return schema


def _strict(schema: Any) -> Any:
    """Return a schema that requires all keys of records and forbids others, and allows null for numbers."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items() if key != "default"}
    if made.get("type") == "number":
        made["type"] = ["number", "null"]
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        made["properties"] = {key: _strict(value) for key, value in schema["properties"].items()}
        made |= {"required": sorted(made["properties"]), "additionalProperties": False}
    return made
