"""The answer of a person to a run that waits for one, from the form of a deployment."""

from pathlib import Path

from prefect import State, flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed

from data_contracts.records.pilots import Reply
from data_contracts.records.settings import RunId
from flows.going_on import go_on
from flows.served import in_served, require_deployed_version
from tasks.audit.approval import answer_escalation
from tasks.audit.waiting import comes_too_late
from tasks.evidence.dossier import find_dossier
from tasks.stages.notifying import tell_fault

_NOT_SAID = "(not said)"
_TOO_LATE = "It comes too late, and is a denial whatever it says."


@flow(
    name="approve",
    flow_run_name="{reply} {run}",
    persist_result=False,
    on_failure=[tell_fault],
    on_crashed=[tell_fault],
)
def approve(
    run: RunId,
    name: str = "",
    reason: str = "",
    reply: Reply = Reply.DENY,
    output: Path = Path("runs"),
) -> State[str]:
    """Answer a run that waits for approval, and let it go on.

    Only a name and a reason are recorded here. Where the policy asks for a signature, answer with
    `lorafirst approve --key`, on a machine that your key may lie on.

    Args:
        run: The id of a run that ended as AwaitingApproval.
        name: Who answers; never who started the run. Without a name it is a denial.
        reason: Why; it stands in the decision for good. Without a reason it is a denial.
        reply: Whether full fine-tuning may be spent.
        output: The folder of dossiers, in the served folder.
    """
    require_deployed_version()
    folder = in_served(output, "output")
    said = bool(name.strip() and reason.strip())
    approved = reply is Reply.APPROVE and said
    answer = answer_escalation(
        folder,
        run,
        approved=approved,
        name=name.strip() or _NOT_SAID,
        reason=reason.strip() or _NOT_SAID,
    )
    dossier = find_dossier(folder, run)
    late = approved and comes_too_late(folder, dossier)
    started = go_on(dossier.request(), because=answer.digest())
    word = "approved" if approved else "denied"
    too_late = f"\n\n{_TOO_LATE}" if late else ""
    link = f"[{started.name}](/runs/flow-run/{started.id})"
    create_markdown_artifact(
        f"{answer.name} {word} it: {answer.reason}{too_late}\n\nThe run goes on as {link}.",
        key="answer",
        description=f"What was answered to {run}",
    )
    get_run_logger().info("%s %s it; the run goes on as flow run %s", answer.name, word, started.name)
    message = f"{word} by {answer.name}: {answer.reason}"
    if late:
        return Completed(name="TooLate", message=f"{_TOO_LATE} {message}", data=str(started.id))
    return Completed(name=word.capitalize(), message=message, data=str(started.id))
