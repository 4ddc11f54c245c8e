"""The staged run: contract, baseline, pilot, gate, and full fine-tuning only with a permit."""

import os
import time
from datetime import UTC, datetime
from getpass import getuser

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from data_contracts.errors import InputError
from data_contracts.records.base import digest_json
from data_contracts.records.decision import Decision, RunReport, Verdict
from data_contracts.records.evidence import Rung, RunRequest
from data_contracts.records.settings import PilotMethod, RunSettings
from tasks.decisions.outcomes import conclude
from tasks.evidence.dossier import open_dossier
from tasks.evidence.environment import capture_environment
from tasks.evidence.files import require_writable
from tasks.stages.artifacts import show_report
from tasks.stages.context import RunContext
from tasks.stages.data import check_data, find_base_model, freeze_data, require_readable
from tasks.stages.gates import (
    contract_gate,
    escalation_gate,
    justification_gate,
    permit_full,
    quality_gate,
)
from tasks.stages.measure import measured
from tasks.stages.scoring import score_artifact
from tasks.stages.training import ARTIFACT, pilot_folder, train_baseline, train_full, train_pilot
from tasks.stages.watching import listener
from tasks.training.base_model import cache_folder


@flow(name="finetune", flow_run_name="{settings.name}", persist_result=False)
def finetune(settings: RunSettings) -> State[RunReport]:
    """Fine-tune a language model, LoRA first, with a decision at every step.

    Ends in one named outcome; the flow run's state carries its name, and the dossier all of its reasons.
    """
    started = time.monotonic()
    output = settings.output.resolve()
    require_writable(output)
    require_readable(settings)
    settings = settings.model_copy(update={"output": output})
    with open_dossier(output, settings.name, settings_digest(settings)) as dossier:
        resumed = (dossier.folder / "request.yaml").exists()
        context = RunContext(dossier.folder.name, settings, dossier, cache_folder())
        request = _request(context)
        if resumed:
            first = dossier.request()
            dossier.clear()
            asked = {"requested_by": first.requested_by, "requested_at": first.requested_at}
            request = request.model_copy(update=asked)
        dossier.write_request(request)
        listener().run_started(context.run_id, resumed)
        try:
            with measured() as measurement:
                decisions, accepted = _climb(context)
        except InputError:
            dossier.discard_if_undecided()
            raise
        ending = conclude(decisions)
        report = RunReport(
            run_id=context.run_id,
            name=settings.name,
            outcome=ending.outcome,
            sentence=ending.sentence,
            decisions=tuple(decisions),
            accepted_artifact=accepted if ending.outcome.accepted else None,
            seconds=round(time.monotonic() - started, 3),
            peak_memory_bytes=measurement.cost.peak_memory_bytes,
            dossier=str(dossier.folder),
        )
        dossier.finish(report)
    show_report(report)
    return Completed(
        name="".join(word.capitalize() for word in report.outcome.value.split("_")),
        message=report.sentence,
        data=report,
    )


def _climb(context: RunContext) -> tuple[list[Decision], str]:
    """The decisions in order, and the dossier folder of the last artifact that was trained."""
    base = find_base_model(context)
    checked = check_data(context, base)
    decisions = [contract_gate(context, checked)]
    if decisions[-1].verdict is not Verdict.PASS:
        return decisions, ""
    snapshot = freeze_data(context, checked)

    probe = train_baseline(context, base, snapshot)
    baseline = score_artifact(
        context, base, snapshot, Rung.BASELINE, probe.folder if probe else None, "baseline"
    )

    pilot_rung = Rung.QLORA if context.settings.pilot.method is PilotMethod.QLORA else Rung.LORA
    folder = pilot_folder(context)
    trained = train_pilot(context, base, snapshot)
    pilot = score_artifact(context, base, snapshot, pilot_rung, trained.folder, folder)
    decisions.append(quality_gate(context, pilot, baseline))
    if decisions[-1].verdict is Verdict.PASS:
        return decisions, f"{folder}/{ARTIFACT[pilot_rung]}"

    decisions.append(escalation_gate(context, decisions[-1]))
    if decisions[-1].verdict is not Verdict.PASS:
        return decisions, ""
    permit = permit_full(context, decisions[-1], base, snapshot)
    trained = train_full(context, base, snapshot, permit)
    full = score_artifact(context, base, snapshot, Rung.FULL, trained.folder, "full")
    decisions.append(justification_gate(context, full, pilot, baseline))
    return decisions, f"full/{ARTIFACT[Rung.FULL]}"


def settings_digest(settings: RunSettings) -> str:
    """Two requests with this digest in common ask for the same work in the same place."""
    return digest_json(settings.model_dump(mode="json"))


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"  # a container without a passwd entry


def _request(context: RunContext) -> RunRequest:
    return RunRequest(
        run_id=context.run_id,
        settings=context.settings.model_dump(mode="json"),
        settings_digest=settings_digest(context.settings),
        requested_by=_user(),
        requested_at=datetime.now(UTC),
        environment=capture_environment(),
    )
