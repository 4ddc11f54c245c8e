"""A contract that asks for every rule there is and puts aside what breaks one, so that every row shows."""

from typing import Any

import yaml

from tasks.data.contracts.checks import Scope
from tasks.data.contracts.rule_catalogue import CATALOGUE
from tasks.data.rows.columns import CONTENT_COLUMNS, Form

LABELS = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
STATISTICAL = frozenset({"likely_label_errors"})
"""Rules that estimate: they are measured by rates, not among those that must raise no false alarm."""

_ABOUT_MODELS = frozenset({"template_marks"})
"""Rules that say something of the model and nothing of the rows."""

_QUARANTINE = [{"property": "lorafirst.severity", "value": "quarantine"}]


def strict_contract(form: Form, *, without: frozenset[str] = STATISTICAL) -> bytes:
    """The YAML of a contract for rows of ``form``, less the catalogue's rules in ``without``."""
    rules = [
        {
            "type": "custom",
            "engine": "lorafirst",
            "implementation": {"rule": name},
            **({"customProperties": _QUARANTINE} if rule.scope is not Scope.TABLE else {}),
        }
        for name, rule in CATALOGUE.items()
        if form in rule.forms and name not in without | _ABOUT_MODELS
    ]
    properties = [_column(name) for name in CONTENT_COLUMNS[form]]
    if form is Form.MESSAGES:
        properties += [_holds("turns_well_formed"), _holds("role_order_ok", "role_order")]
    document = {
        "version": "1.0.0",
        "kind": "DataContract",
        "apiVersion": "v3.1.0",
        "id": "planted-faults",
        "name": "planted faults",
        "status": "active",
        "schema": [{"name": "rows", "quality": rules, "properties": properties}],
    }
    return yaml.safe_dump(document, sort_keys=False).encode()


def _column(name: str) -> dict[str, Any]:
    if name == "messages":
        return {"name": name, "logicalType": "array", "required": True}
    column: dict[str, Any] = {"name": name, "logicalType": "string", "required": True}
    if name == "label":
        return {**column, "enum": [{"value": label} for label in LABELS]}
    return {**column, "logicalTypeOptions": {"minLength": 1, "maxLength": 4000}}


def _holds(name: str, rule: str | None = None) -> dict[str, Any]:
    quality = {
        "name": rule or name,
        "type": "library",
        "metric": "invalidValues",
        "arguments": {"validValues": [True]},
        "mustBe": 0,
    }
    return {"name": name, "logicalType": "boolean", "quality": [quality]}
