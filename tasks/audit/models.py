"""The models of a registry, and whether it says what the ledger says."""

from pathlib import Path

from data_contracts.errors import InputError
from data_contracts.records.base import Record
from data_contracts.records.registry import ModelVersion
from tasks.evidence.ledger.book import ledger_at_hand, open_ledger
from tasks.evidence.ledger.crownings import last_crowning
from tasks.registry.models import Registry, champion_of, registry_at_hand


class ModelEntry(Record):
    """One model."""

    model: str
    versions: tuple[ModelVersion, ...]
    """Oldest first."""
    warnings: tuple[str, ...]
    """Where registry and ledger differ; the ledger is the record."""


def list_models(output: Path, model: str | None = None) -> tuple[ModelEntry, ...]:
    """All models, or the one called ``model``.

    Raises:
        InputError: there is none of that name.
        RegistryError: the registry cannot be read.
        LedgerError: the ledger cannot be read.
    """
    registry = registry_at_hand(output)
    names = () if registry is None else registry.models()
    if model is not None and model not in names:
        raise InputError.single(
            f"model {model!r}",
            expected=f"one of {', '.join(names)}" if names else "a model that was promoted",
            found="no such model",
            remedy="`lorafirst models` lists them; `lorafirst promote RUN` makes the first",
        )
    if registry is None:
        return ()
    chosen = names if model is None else (model,)
    found = (_entry(registry, output, name) for name in chosen)
    return tuple(each for each in found if each.versions)


def _entry(registry: Registry, output: Path, model: str) -> ModelEntry:
    versions = registry.versions(model)
    return ModelEntry(model=model, versions=versions, warnings=_warnings(output, versions))


def _warnings(output: Path, versions: tuple[ModelVersion, ...]) -> tuple[str, ...]:
    location = ledger_at_hand(output)
    if location is None:
        return ("no ledger is at hand to hold the registry against",)
    runs = {each.candidate.run_id for each in versions}
    with open_ledger(location, read_only=True) as ledger:
        last = last_crowning(ledger, runs)
    champion = champion_of(versions)
    told = None if champion is None else champion.candidate.run_id
    due = None if last is None else last.run_id
    if told == due:
        return ()
    return (f"the registry calls {told or 'nothing'} champion, and the ledger {due or 'nothing'}",)
