"""What is signed, and whose signatures count: in-toto statements, and the keyring somebody pins."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, model_validator

from data_contracts.key_roles import KeyRole
from data_contracts.records.base import Digest, Record, canonical_json

StatementType = Literal["https://in-toto.io/Statement/v1"]
STATEMENT_TYPE: StatementType = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"

DECISION_PREDICATE = "urn:lorafirst:decision:v1"
MANIFEST_PREDICATE = "urn:lorafirst:manifest:v1"
PERMIT_PREDICATE = "urn:lorafirst:permit:v1"
APPROVAL_PREDICATE = "urn:lorafirst:approval:v1"
ROLLBACK_PREDICATE = "urn:lorafirst:rollback:v1"
"""Name the forms of what is signed; a changed form gets another number."""

KEY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
KeyName = Annotated[str, StringConstraints(pattern=KEY_NAME)]


class KeyringEntry(Record):
    """A public key, and what its signatures are good for."""

    name: KeyName
    """Whose key it is."""
    role: KeyRole
    public_key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """The 32 bytes of an Ed25519 public key, in hexadecimal."""
    valid_from: AwareDatetime
    """Signatures of an earlier time do not count."""
    valid_until: AwareDatetime
    """Signatures of this time and later do not count."""

    def valid_at(self, at: datetime) -> bool:
        return self.valid_from <= at < self.valid_until

    def __str__(self) -> str:
        dates = f"{self.valid_from:%Y-%m-%d} to {self.valid_until:%Y-%m-%d}"
        return f"{self.name}, of the role {self.role.value}, valid from {dates}"

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> "KeyringEntry":
        if self.valid_from >= self.valid_until:
            raise ValueError("valid_from must lie before valid_until")
        return self


class Keyring(Record):
    """The keys that whoever verifies has decided to trust."""

    keys: tuple[KeyringEntry, ...]
    """Every name and every public key once: a key has one role, and a role of a name one key."""

    def counting(self, public_key: str, role: KeyRole, at: datetime) -> KeyringEntry | None:
        """The entry of a key, if its signatures of ``role`` count ``at`` that time."""
        found = self.holding(public_key)
        return found if found is not None and found.role is role and found.valid_at(at) else None

    def holding(self, public_key: str) -> KeyringEntry | None:
        return next((each for each in self.keys if each.public_key == public_key), None)

    @model_validator(mode="after")
    def _unique(self) -> "Keyring":
        for what in ("name", "public_key"):
            values = [getattr(entry, what) for entry in self.keys]
            if twice := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"{what} stands there twice: {', '.join(twice)}")
        return self


class SubjectDigest(Record):
    """in-toto's DigestSet, of which one algorithm is used."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Subject(Record):
    """One thing that a statement is about."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    name: str
    digest_set: SubjectDigest = Field(alias="digest")

    @classmethod
    def of(cls, name: str, digest: Digest) -> "Subject":
        return cls(name=name, digest_set=SubjectDigest(sha256=digest.removeprefix("sha256:")))


class Statement(Record):
    """An in-toto Statement v1: a predicate about subjects that are named by their digests."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    statement_type: StatementType = Field(alias="_type")
    subject: Annotated[tuple[Subject, ...], Field(min_length=1)]
    predicate_type: str = Field(alias="predicateType")
    """A URI that says how the predicate is to be read."""
    predicate: dict[str, Any]
    """The record that was signed, as JSON."""

    def canonical_json(self) -> bytes:
        return canonical_json(self.model_dump(mode="json", by_alias=True, exclude_unset=True))
