"""A version as MLflow holds it, and as a record of ours."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from data_contracts.records.registry import Alias, Candidate, Crowning, ModelVersion

PREFIX = "lorafirst."
CROWNED = f"{PREFIX}crowned"
WITHDRAWN = f"{PREFIX}withdrawn"


def tags_of(candidate: Candidate) -> dict[str, str]:
    """One tag for each of its fields: digests are to be seen in MLflow's own pages too."""
    return {f"{PREFIX}{name}": value for name, value in candidate.model_dump(mode="json").items()}


def source_of(candidate: Candidate) -> str:
    """MLflow asks for a place; weights stay in the dossier, and a server must not take it for a file's."""
    return f"dossier://{candidate.run_id}/{candidate.artifact}"


def version_from(found: Any, aliases: Mapping[str, str]) -> ModelVersion | None:
    """``None`` for what somebody else has put into the registry.

    Args:
        found: MLflow's ``ModelVersion``.
        aliases: the model's, to numbers of versions.
    """
    tags: Mapping[str, str] = found.tags
    try:
        kept = {name: tags.get(f"{PREFIX}{name}") for name in Candidate.model_fields}
        candidate = Candidate.as_written({name: value for name, value in kept.items() if value is not None})
    except ValidationError:
        return None
    number = int(found.version)
    crowned = tags.get(CROWNED)
    return ModelVersion(
        candidate=candidate,
        version=number,
        aliases=tuple(alias for alias in Alias if aliases.get(alias.value) == str(number)),
        crowned=None if crowned is None else Crowning.as_written(crowned),
        withdrawn=tags.get(WITHDRAWN),
    )
