"""``lorafirst decisions``: a table of every decision of every run."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.failing import EXIT_FAULT, EXIT_INPUT, fail
from flows.commands.options import JsonOption, OutputOption


def decisions(
    to: Annotated[Path, typer.Option(help="The table: FILE.csv or FILE.parquet.")],
    output: OutputOption = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """Write every decision of every run as one table, a row a rule.

    Columns and their types are always the same. A dossier that cannot be read is named, and the command then
    ends with 1 after it has written the others.
    """
    from data_contracts.errors import InputError
    from data_contracts.records.decision_table import DecisionTableReport
    from tasks.audit.decision_table import FORMATS, table_bytes, tabulate_decisions
    from tasks.evidence.files import write_where_asked

    try:
        if to.suffix not in FORMATS:
            raise InputError.single(
                f"--to {to}",
                expected=f"a file that ends in {' or '.join(FORMATS)}",
                found=to.suffix or "no ending",
                remedy="say with its ending which of them it shall be",
            )
        found = tabulate_decisions(output)
        write_where_asked(to, table_bytes(found.table, to.suffix), "--to")
    except InputError as error:
        fail(error, EXIT_INPUT, as_json)
    made = DecisionTableReport(
        path=str(to),
        runs=found.runs,
        decisions=found.decisions,
        rows=found.table.num_rows,
        unreadable=found.unreadable,
    )
    if as_json:
        typer.echo(made.model_dump_json(indent=2))
    else:
        typer.echo(f"{made.path}  {made.rows:,} rules of {made.decisions:,} decisions of {made.runs:,} runs")
        for each in made.unreadable:
            typer.echo(f"not in it: {each.run_id}: {each.why}", err=True)
    if made.unreadable:
        raise typer.Exit(EXIT_FAULT)
