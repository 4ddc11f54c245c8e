"""What an envelope says, read without asking who signed it; needs no cryptography."""

import base64
import json
from typing import Any, TypeVar

from pydantic import ValidationError

from data_contracts.errors import EnvelopeRefusedError
from data_contracts.records.base import Record, canonical_json
from data_contracts.records.statements import Statement

R = TypeVar("R", bound=Record)


def parse_statement(payload: bytes, faults: list[str]) -> Statement | None:
    """The payload as a statement; what is wrong with it is added to ``faults``."""
    try:
        document: Any = json.loads(payload)
        canonical = canonical_json(document)
    except (ValueError, RecursionError) as error:
        faults.append(f"its payload is no JSON that RFC 8785 knows: {error}")
        return None
    if canonical != payload:
        faults.append("its payload is not canonical JSON (RFC 8785)")
    try:
        return Statement.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        faults.extend(f"its payload is no in-toto statement: {fault}" for fault in _told(error))
        return None


def unverified_statement(content: bytes) -> Statement:
    """The statement in the envelope ``content``, whoever signed it, if anybody did.

    Raises:
        EnvelopeRefusedError: it says nothing that can be read, with every fault.
    """
    faults: list[str] = []
    try:
        payload = base64.b64decode(json.loads(content)["payload"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise EnvelopeRefusedError([f"it is no DSSE envelope: {type(error).__name__}: {error}"]) from error
    statement = parse_statement(payload, faults)
    if statement is None or faults:
        raise EnvelopeRefusedError(faults)
    return statement


def key_ids(content: bytes) -> frozenset[str]:
    """The keys by which an envelope claims to be signed; empty where nobody signed, or it is no envelope."""
    try:
        return frozenset(str(signature["keyid"]) for signature in json.loads(content)["signatures"])
    except (ValueError, KeyError, TypeError):
        return frozenset()


def predicate_of(statement: Statement, predicate_type: str, kind: type[R]) -> R:
    """The record that was signed.

    Raises:
        EnvelopeRefusedError: the statement is of another type, or holds no such record.
    """
    if statement.predicate_type != predicate_type:
        raise EnvelopeRefusedError(
            [f"its predicate is of the type {statement.predicate_type!r}, not {predicate_type!r}"]
        )
    try:
        return kind.as_written(statement.predicate)
    except ValidationError as error:
        raise EnvelopeRefusedError(
            [f"its predicate is no {kind.__name__}: {e}" for e in _told(error)]
        ) from error


def _told(error: ValidationError) -> list[str]:
    return [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
