"""Models that were accepted, their versions in the registry, and what was done with them."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from data_contracts.records.base import Digest, Record, UtcTime
from data_contracts.records.decision import Decision, Interval
from data_contracts.records.settings import Name

REASON_LENGTH = 2000
"""Characters of a reason at most."""


class Alias(StrEnum):
    """Names under which versions of one model are found."""

    CHAMPION = "champion"
    """In use."""
    CHALLENGER = "challenger"
    """The last that wanted the champion's place and has not got it."""
    ANCHOR = "anchor"
    """The first champion, frozen: what every later challenger is also held against."""


class PromotionOutcome(StrEnum):
    """How a promotion ends."""

    PROMOTED = "promoted"
    CHAMPION_KEPT = "champion_kept"


class Candidate(Record):
    """An accepted artifact, by reference: where it lies, and the digests of what it is and came from."""

    model: Name
    """The settings' ``name``: runs of one name make versions of one model."""
    run_id: str
    dossier: str
    """Path of the dossier on the machine that registered it."""
    artifact: str
    """Its folder inside the dossier."""
    artifact_digest: Digest
    """Of the content of that folder."""
    base_model: Digest
    snapshot: Digest
    policy: Digest
    metric: str
    """The policy's, which ``score`` is in."""


class Crowning(Record):
    """When and why a version became champion by the gate, the last time that it did."""

    at: UtcTime
    by: str
    """Who asked for it; the gate decided."""
    reason: str
    score: Interval
    """On the gate rows of its promotion."""


class ModelVersion(Record):
    """One version of a model in the registry."""

    candidate: Candidate
    version: Annotated[int, Field(ge=1)]
    aliases: tuple[Alias, ...]
    crowned: Crowning | None
    """``None`` for one that was never champion."""
    withdrawn: str | None
    """Why the champion's place was taken from it by a rollback; ``None`` where it was not."""


class Rollback(Record):
    """A person put an earlier champion back in its place."""

    model: Name
    left_version: int
    """The champion until then."""
    left_artifact: Digest
    version: int
    """The champion from then on."""
    run_id: str
    """That made it."""
    artifact: Digest
    reason: Annotated[str, Field(min_length=1, max_length=REASON_LENGTH)]
    by: str
    at: UtcTime


class PromotionReport(Record):
    """How a promotion ended: what the command line prints."""

    model: Name
    run_id: str
    outcome: PromotionOutcome
    sentence: str
    version: int
    """The challenger's."""
    champion_version: int | None
    """In use from now on; ``None`` where nothing was promoted so far."""
    decision: Decision | None
    """``None`` where the run's model is the champion already, and nothing was to be decided."""
    folder: str | None
    """What was decided on: scores and the signed decision."""
