"""Looking for drift, and telling Prefect of it: an automation may then start a retraining."""

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from data_contracts.records.retraining import DriftOutcome
from data_contracts.records.settings import RunSettings
from flows.served import as_served
from tasks.decisions.retraining import drift_signs
from tasks.evidence.files import require_writable
from tasks.stages.drifting import champion_in, examine_data
from tasks.stages.notifying import tell_fault

EVENT = "lorafirst.drift"
RESOURCE = "lorafirst.model"
"""Before the model's name: what the event is about."""


@flow(
    name="drift",
    flow_run_name="drift {settings.name}",
    persist_result=False,
    on_failure=[tell_fault],
    on_crashed=[tell_fault],
)
def drift(settings: RunSettings) -> State[DriftOutcome]:
    """Hold data against the champion's, and the champion against fresh rows; say so where they drifted."""
    settings = as_served(settings)
    output = settings.output.resolve()
    require_writable(output)
    settings = settings.model_copy(update={"output": output})
    found = _look(settings, output)
    if found.signs:
        _emit(settings, found)
    name = "Drifted" if found.signs else "NoChampion" if found.findings is None else "Steady"
    return Completed(name=name, message=" ".join(found.signs) or "Nothing drifted.", data=found)


def _look(settings: RunSettings, output: Path) -> DriftOutcome:
    champion = champion_in(output, settings.name)
    if champion is None:
        return DriftOutcome(model=settings.name, signs=(), findings=None)
    findings = examine_data(settings, champion, always_score=True)
    return DriftOutcome(model=settings.name, signs=drift_signs(findings), findings=findings)


def _emit(settings: RunSettings, found: DriftOutcome) -> None:
    """The event carries what a retraining needs to begin; settings hold no secrets."""
    from prefect.events import emit_event

    emit_event(
        event=EVENT,
        resource={
            "prefect.resource.id": f"{RESOURCE}.{settings.name}",
            "prefect.resource.name": settings.name,
        },
        payload={
            "signs": list(found.signs),
            "occasion": f"Drift was found: {' '.join(found.signs)}"[:1000],
            "settings": settings.model_dump(mode="json"),
        },
    )
