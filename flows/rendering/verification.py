"""A verification on the terminal: every check with what it looked at, every fault with its place."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from data_contracts.records.verification import EXPLAINED, Check, Verification


@contextmanager
def verifying(name: str, *, quiet: bool) -> Iterator[Callable[[Check], None]]:
    """Shows which check is under way, where somebody is looking."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda check: None
        return
    with console.status(f"verifying {name}") as status:
        yield lambda check: status.update(f"verifying {name}: {check.value}")


def print_verification(found: Verification) -> None:
    console = Console()
    is_run = any(each.check is Check.WAY for each in found.checks)
    outcome = found.outcome.value if found.outcome else "no outcome" if is_run else "promotion"
    console.print(Text.assemble((found.run_id, "bold"), f"  {outcome}"))
    table = Table(show_header=False, box=None, pad_edge=False)
    for each in found.checks:
        mark = Text("✗", "red") if each.faults else Text("-" if not each.looked_at else "✓", "green")
        count = f"{each.looked_at:,}" if each.looked_at else ""
        told = Text(EXPLAINED[each.check])
        if each.note:
            told.append(f" ({each.note})", "yellow")
        table.add_row(mark, each.check.value, Text(count, justify="right"), told)
    console.print(table)
    for fault in found.faults:
        console.print(Padding(Text.assemble((fault.where, "cyan"), f"  {fault.what}"), (0, 0, 0, 2)))
    verdict = "verified" if found.verified else f"{len(found.faults)} faults: do not rely on it"
    signed = "signed by keys of your keyring" if found.signed else "not checked by whom it was signed"
    style = "bold green" if found.verified else "bold red"
    console.print(Text.assemble((verdict, style), f"; {signed}"))
    console.print(Text("Not proven by this:", "dim"))
    for sentence in found.not_proven:
        console.print(Padding(Text(sentence, "dim"), (0, 0, 0, 2)))
