"""The plan: what every rung would take, and which one the fit gate would take, from the settings alone."""

from data_contracts.model_configs import read_model_config
from data_contracts.records.forecast import Forecast
from data_contracts.records.plan import Plan, RungPlan
from data_contracts.records.settings import RunSettings
from tasks.decisions.forecast import RUNGS, Speed, first_that_fits, what_would_fit
from tasks.decisions.forecast.work import operations_per_step
from tasks.decisions.gates.fit import memory_rule
from tasks.stages.computing import memory_bytes, resolved
from tasks.stages.forecasting import Job, job_of, pilot_candidates, pilot_method
from tasks.stages.plan_rows import Glance, glance_at
from tasks.stages.plan_speed import speed_from_history, speed_from_probe, untimed
from tasks.training.devices import accelerator
from tasks.training.fit import planned_steps


def make_plan(settings: RunSettings, *, probe: bool = False) -> Plan:
    """Reads the model's configuration and glances at the data; trains nothing unless ``probe``.

    Raises:
        InputError: the model or the data cannot be read.
    """
    settings = resolved(settings)
    config = read_model_config(settings.model.source)
    glance = glance_at(settings)
    job = job_of(settings, config, labels=glance.labels)
    speed = _speed(settings, job, glance, probe)
    available = memory_bytes()
    candidates = pilot_candidates(settings)
    forecasts = [job.of(method) for method in candidates]
    rule = memory_rule(
        forecasts, what_would_fit(job.shape, candidates[0], job.batch, job.system, available), available
    )
    chosen = first_that_fits(forecasts, available)
    training = settings.training
    return Plan(
        model=settings.model.source,
        architecture=job.shape.architecture,
        exact=job.exact,
        parameters=job.shape.parameters,
        rows=glance.train_rows,
        steps=steps_of(settings, glance.train_rows),
        micro_batch_size=training.rows_in_memory,
        max_tokens=settings.model.max_tokens,
        mean_tokens=glance.mean_tokens,
        timing=speed.timing.value,
        available_memory_bytes=available,
        on_gpu=accelerator() is not None,
        machine_hour_price=settings.machine_hour_price,
        rungs=tuple(_rung(settings, job, glance, speed, rung, available) for rung in RUNGS),
        chosen=None if chosen is None else chosen.rung,
        sentence=rule.sentence,
    )


def _speed(settings: RunSettings, job: Job, glance: Glance, probe: bool) -> Speed:
    if probe:
        return speed_from_probe(settings, job, glance.mean_tokens, glance.labels)
    return speed_from_history(settings, job, glance.mean_tokens) or untimed()


def steps_of(settings: RunSettings, rows: int | None) -> int | None:
    """Optimizer steps; as far as the settings tell where the number of rows is unknown."""
    return settings.training.max_steps if rows is None else planned_steps(rows, settings.training)


def _rung(
    settings: RunSettings, job: Job, glance: Glance, speed: Speed, rung: str, available: int
) -> RungPlan:
    method = pilot_method(settings, rung)
    foreseen: Forecast = job.of(method)
    steps = steps_of(settings, glance.train_rows)
    hours = processor_hours = None
    if steps is not None:
        operations = steps * operations_per_step(
            job.shape, method, rows=settings.training.effective_batch_size, tokens=glance.mean_tokens
        )
        processor_hours = operations / speed.operations_per_second / 3600.0
        hours = processor_hours / speed.processors
    price = settings.machine_hour_price
    return RungPlan(
        forecast=foreseen,
        fits=foreseen.needed_memory_bytes <= available,
        changes=what_would_fit(job.shape, method, job.batch, job.system, available),
        needs_permit=not method.adapts,
        hours=hours,
        processor_hours=processor_hours,
        cost=None if price is None or hours is None else price * hours,
    )
