"""The staged run: contract, baseline, pilot, gate, and full fine-tuning only with a permit.

``tasks.decisions.ladder`` says which step comes next; here each step is carried out.
"""

import time
from datetime import UTC, datetime

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from data_contracts.cache import cache_folder
from data_contracts.errors import InputError
from data_contracts.records.base import digest_json
from data_contracts.records.decision import Outcome, RunReport
from data_contracts.records.evidence import Environment, RunRequest
from data_contracts.records.settings import RunSettings
from data_contracts.records.snapshot import Split
from flows.served import as_served
from flows.stopping import broken_off_told, cancelling_told
from tasks.decisions.ladder import Step, next_step
from tasks.decisions.outcomes import explain_outcome
from tasks.evidence.dossier import open_dossier
from tasks.evidence.environment import capture_environment, user_name
from tasks.evidence.files import require_writable
from tasks.stages.artifacts import show_report
from tasks.stages.base import ask_base
from tasks.stages.computing import memory_of_each, resolved
from tasks.stages.context import RunContext
from tasks.stages.continuing import require_continuable
from tasks.stages.data import check_data, find_base_model, freeze_data, require_readable
from tasks.stages.elsewhere import require_deployment
from tasks.stages.explaining import explain_ended
from tasks.stages.findings import Findings
from tasks.stages.full import accepted_artifact, train_permitted
from tasks.stages.gates import (
    contract_gate,
    escalation_gate,
    fairness_gate,
    fit_gate,
    justification_gate,
    need_gate,
    permit_full,
    power_gate,
    quality_gate,
)
from tasks.stages.guardrails import require_slices
from tasks.stages.lm_eval import require_lm_eval_tasks
from tasks.stages.looks import has_reserve, register
from tasks.stages.measure import measured
from tasks.stages.notifying import blocks_for, notify, run_notice, tell_fault
from tasks.stages.pilots import train_another_seed, train_next_pilot
from tasks.stages.recording import note_fault, record_attempt, record_end
from tasks.stages.replay import prepare_replay
from tasks.stages.scorers import find_scorers, try_scorers
from tasks.stages.signatures import require_signers
from tasks.stages.watching import listener
from tasks.training.devices import accelerator


@flow(
    name="finetune",
    flow_run_name="{settings.name}",
    persist_result=False,
    on_failure=[tell_fault],
    on_crashed=[tell_fault],
)
def finetune(settings: RunSettings) -> State[RunReport]:
    """Fine-tune a language model, LoRA first, with a decision at every step.

    Ends in one named outcome; the flow run's state carries its name, and the dossier all of its reasons.
    """
    started = time.monotonic()
    settings = as_served(settings)
    require_signers(settings)
    output = settings.output.resolve()
    require_writable(output)
    require_readable(settings)
    find_scorers(settings.scoring)
    require_lm_eval_tasks(settings)
    require_deployment(settings)
    settings = resolved(settings.model_copy(update={"output": output}))
    require_continuable(settings)
    with broken_off_told(), open_dossier(output, settings.name, settings_digest(settings)) as dossier:
        resumed = (dossier.folder / "request.yaml").exists()
        environment = capture_environment(accelerator())
        memory = memory_of_each(settings.compute.processes)
        context = RunContext(dossier.folder.name, settings, dossier, cache_folder(), memory)
        request = _request(context, environment)
        if resumed:
            first = dossier.request()
            dossier.clear()
            asked = {"requested_by": first.requested_by, "requested_at": first.requested_at}
            request = request.model_copy(update=asked)
        dossier.write_request(request)
        record_attempt(context)
        listener().run_started(context.run_id, resumed)
        try:
            with measured() as measurement, cancelling_told():
                findings = Findings(base=find_base_model(context))
                outcome = _climb(context, findings)
        except InputError as error:
            if dossier.decisions():
                note_fault(context, error)
            dossier.discard_if_undecided()
            raise
        except Exception as error:
            note_fault(context, error)
            raise
        decisions = findings.history.decisions
        report = RunReport(
            run_id=context.run_id,
            name=settings.name,
            outcome=outcome,
            sentence=explain_outcome(outcome, decisions),
            decisions=decisions,
            accepted_artifact=accepted_artifact(context, findings, outcome),
            seconds=round(time.monotonic() - started, 3),
            peak_memory_bytes=measurement.cost.peak_memory_bytes,
            dossier=str(dossier.folder),
        )
        explain_ended(dossier, report)
        record_end(context, report)
    show_report(report)
    notify(blocks_for(settings.notifications), run_notice(report))
    return ended_as(report)


def ended_as(report: RunReport) -> State[RunReport]:
    """The state of a flow run that ends in the report's outcome, whose name it has."""
    name = "".join(word.capitalize() for word in report.outcome.value.split("_"))
    return Completed(name=name, message=report.sentence, data=report)


def _climb(context: RunContext, findings: Findings) -> Outcome:
    """Takes one step after the other until the run has ended in an outcome."""
    while True:
        step = next_step(findings.history, policy=context.settings.policy, has_reserve=has_reserve(findings))
        if isinstance(step, Outcome):
            return step
        _take(step, context, findings)


def _take(step: Step, context: RunContext, findings: Findings) -> None:
    match step:
        case Step.CONTRACT:
            findings.checked = check_data(context, findings.base)
            contract_gate(context, findings)
        case Step.POWER:
            assert findings.checked is not None
            findings.snapshot = freeze_data(context, findings.checked)
            require_slices(context, findings)
            prepare_replay(context, findings)
            try_scorers(context, findings)
            findings.registration = register(context, findings)
            power_gate(context, findings)
        case Step.NEED:
            ask_base(context, findings)
            need_gate(context, findings)
        case Step.FIT:
            fit_gate(context, findings)
        case Step.PILOT:
            train_next_pilot(context, findings)
        case Step.FAIRNESS:
            fairness_gate(context, findings)
        case Step.SEEDS:
            train_another_seed(context, findings)
        case Step.LOOK:
            quality_gate(context, findings, Split.GATE)
        case Step.SECOND_LOOK:
            quality_gate(context, findings, Split.RESERVE)
        case Step.ESCALATION:
            escalation_gate(context, findings)
        case Step.FULL:
            permit_full(context, findings)
            train_permitted(context, findings)
        case Step.JUSTIFICATION:
            justification_gate(context, findings)


def settings_digest(settings: RunSettings) -> str:
    """Two requests with this digest in common ask for the same work in the same place."""
    return digest_json(settings.json_value())


def _request(context: RunContext, environment: Environment) -> RunRequest:
    return RunRequest(
        run_id=context.run_id,
        settings=context.settings.json_value(),
        settings_digest=settings_digest(context.settings),
        requested_by=user_name(),
        requested_at=datetime.now(UTC),
        environment=environment,
    )
