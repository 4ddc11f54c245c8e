"""A plan on the terminal."""

from rich.console import Console
from rich.table import Table

from data_contracts.records.plan import Plan, RungPlan

_GIB = 2**30


def print_plan(plan: Plan) -> None:
    """A line a rung, what the fit gate would take, and what would make the others fit."""
    console = Console()
    console.print(f"[bold]{plan.model}[/bold]  {plan.architecture}, {_count(plan.parameters)} parameters")
    rows = "an unknown number of rows" if plan.rows is None else f"about {plan.rows:,} rows"
    steps = "" if plan.steps is None else f", {plan.steps:,} steps"
    console.print(
        f"[dim]{rows} to train on{steps}; {plan.micro_batch_size} at once, of {plan.max_tokens} tokens at "
        f"most and {plan.mean_tokens:.0f} on average; {_place(plan)} has "
        f"{plan.available_memory_bytes / _GIB:.1f} GiB[/dim]"
    )
    if not plan.exact:
        console.print("[yellow]Its arithmetic is not known here: built without weights, activations guessed.")
    console.print(_rungs(plan))
    console.print(
        "\n[dim]of the peak, with the libraries and what is freed and not handed back as rest[/dim]"
    )
    console.print(_memory(plan), end="\n\n")
    console.print(f"fit gate  {plan.sentence}")
    for rung in plan.rungs:
        if rung.changes:
            console.print(f"{rung.forecast.rung:9} fits with any of: {'; '.join(rung.changes)}")
    console.print(f"[dim]{_about_time(plan)}[/dim]")


def _place(plan: Plan) -> str:
    return "the GPU" if plan.on_gpu else "this machine"


def _rungs(plan: Plan) -> Table:
    priced = plan.machine_hour_price is not None
    table = _empty_table("trained", "share", "peak", "hours", *(("cost",) if priced else ()), "artifact")
    table.add_column("")
    for rung in plan.rungs:
        foreseen = rung.forecast
        cost = "?" if rung.cost is None else f"{rung.cost:.2f}"
        table.add_row(
            foreseen.rung,
            _count(foreseen.trained_parameters),
            f"{foreseen.trained_share:.2%}",
            _size(foreseen.peak_memory_bytes),
            "?" if rung.hours is None else _hours(rung.hours),
            *((cost,) if priced else ()),
            _size(foreseen.artifact_bytes),
            _mark(plan, rung),
            style="bold" if foreseen.rung == plan.chosen else None,
        )
    return table


def _memory(plan: Plan) -> Table:
    table = _empty_table("weights", "gradients", "optimizer", "activations", "logits", "rest")
    for rung in plan.rungs:
        parts = rung.forecast.memory
        figures = (
            parts.weights_bytes + parts.quantised_bytes,
            parts.gradients_bytes,
            parts.optimizer_bytes,
            parts.activations_bytes,
            parts.logits_bytes,
            parts.libraries_bytes + parts.allocator_bytes + parts.reclaimable_bytes,
        )
        table.add_row(rung.forecast.rung, *map(_size, figures))
    return table


def _empty_table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("rung")
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _mark(plan: Plan, rung: RungPlan) -> str:
    if not rung.fits:
        return "[red]does not fit[/red]"
    if rung.forecast.rung == plan.chosen:
        return "[green]the fit gate's[/green]"
    return "[dim]needs a permit[/dim]" if rung.needs_permit else ""


def _about_time(plan: Plan) -> str:
    if plan.timing == "not timed":
        return (
            "Hours: not timed, from arithmetic at an ordinary processor's speed; --probe times a few steps."
        )
    return (
        f"Hours: from {'a probe just now' if plan.timing == 'probe' else 'earlier trainings of this base'}."
    )


def _count(number: int) -> str:
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return str(number)


def _size(count: int) -> str:
    if count >= _GIB:
        return f"{count / _GIB:.2f} GiB"
    return "-" if count == 0 else f"{count / 2**20:.0f} MiB" if count >= 2**20 else f"{count / 2**10:.0f} KiB"


def _hours(hours: float) -> str:
    return f"{hours:.2g}" if hours < 10 else f"{hours:,.0f}"
