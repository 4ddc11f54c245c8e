"""``lorafirst approve`` and ``deny``: a person's answer to an escalation."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.failing import errors_told
from flows.commands.options import OutputOption, RunArgument

NameOption = Annotated[
    str | None,
    typer.Option("--name", help="Who answers, never who started the run. Left out: the name of the key."),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it stands in the decision for good.")]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="Sign with this key of an approver, which the keyring in LORAFIRST_KEYRING must hold. "
        "LORAFIRST_KEY_PASSWORD gives its password unasked.",
    ),
]


def approve(
    run: RunArgument,
    reason: ReasonOption,
    name: NameOption = None,
    key: KeyOption = None,
    output: OutputOption = Path("runs"),
) -> None:
    """Allow the full fine-tuning that a run waits for.

    Without `--key` only a name and a reason are recorded, which is what somebody typed.
    """
    _answer(run, output, name, reason, key, approved=True)


def deny(
    run: RunArgument,
    reason: ReasonOption,
    name: NameOption = None,
    key: KeyOption = None,
    output: OutputOption = Path("runs"),
) -> None:
    """Deny it. A denial is kept like an approval, and the last answer counts."""
    _answer(run, output, name, reason, key, approved=False)


def _answer(
    run: str, output: Path, name: str | None, reason: str, key: Path | None, *, approved: bool
) -> None:
    from flows.commands.keys import signer_from
    from flows.going_on import go_on_if_served
    from tasks.audit.approval import answer_escalation
    from tasks.audit.waiting import comes_too_late
    from tasks.evidence.dossier import find_dossier

    with errors_told(as_json=False):
        signer = None if key is None else signer_from(key)
        answer = answer_escalation(output, run, approved=approved, name=name, reason=reason, signer=signer)
        dossier = find_dossier(output, run)
        late = comes_too_late(output, dossier)
        started = go_on_if_served(dossier.request(), because=answer.digest())
    word = "approved" if approved else "denied"
    how = "not signed" if answer.key is None else f"signed by {answer.key}"
    typer.echo(f"Recorded, {how}: {word}.")
    if late:
        typer.echo("It comes too late, and is a denial whatever it says.")
    if started is None:
        typer.echo("Start the run again with the same command; it goes on from here.")
    else:
        typer.echo(f"The run goes on as flow run {started}.")
