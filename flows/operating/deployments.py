"""The deployments of a ``prefect.yaml``: checked here, then registered by Prefect itself."""

import importlib.util
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from data_contracts.errors import InputError, LorafirstError, Problem, one_line
from flows.operating.environment import Installation, deploy_command

_REGISTER_SECONDS = 120.0


@dataclass(frozen=True)
class Entry:
    """One deployment, as far as it must be known beforehand."""

    name: str
    flow: str
    """As Prefect makes it from the flow function's, and as flows here are called."""
    version: str | None


def shipped_file() -> Path:
    """The ``prefect.yaml`` that lies in the package ``deployments``."""
    spec = importlib.util.find_spec("deployments")
    assert spec is not None and spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations))) / "prefect.yaml"


def read_entries(path: Path) -> tuple[Entry, ...]:
    """What the file deploys.

    Raises:
        InputError: it is no such file, or a schedule can never come due; with every problem.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        deployments = [dict(each) for each in document["deployments"]]
        entries = tuple(
            Entry(
                name=str(each["name"]),
                flow=str(each["entrypoint"]).rpartition(":")[2].replace("_", "-"),
                version=each.get("version"),
            )
            for each in deployments
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InputError.single(
            str(path),
            expected="a prefect.yaml: `deployments`, each with name and entrypoint",
            found=one_line(error),
            remedy="correct it; deployments/prefect.yaml is one",
        ) from error
    problems = [problem for each in deployments for problem in _schedule_problems(path, each)]
    if problems:
        raise InputError(problems)
    return entries


def _schedule_problems(path: Path, deployment: dict[str, Any]) -> list[Problem]:
    from prefect.client.schemas.schedules import CronSchedule

    problems = []
    for schedule in deployment.get("schedules") or ():
        if not isinstance(schedule, dict) or "cron" not in schedule:
            continue
        where = f"{path}, deployment {deployment['name']}, schedule {schedule['cron']!r}"
        zone = schedule.get("timezone")
        if zone is None:
            problems.append(
                Problem(
                    where=where,
                    expected="the time zone that it is meant in",
                    found="none",
                    remedy="add one, such as `timezone: Europe/Berlin` or `timezone: UTC`",
                )
            )
            continue
        try:
            CronSchedule(cron=schedule["cron"], timezone=zone)
        except ValidationError as error:
            problems += [
                Problem(
                    where=f"{where}, {'.'.join(str(part) for part in each['loc'])}",
                    expected="a name of the time zone database" if each["loc"] == ("timezone",) else "cron",
                    found=repr(each["input"]),
                    remedy="write it as in Europe/Berlin"
                    if each["loc"] == ("timezone",)
                    else "five fields: minute, hour, day, month, weekday",
                )
                for each in error.errors()
            ]
    return problems


def register(installation: Installation, file: Path) -> None:
    """Has Prefect register what ``file`` deploys, in the environment that the workers have.

    Raises:
        LorafirstError: it could not, for example because a flow cannot be imported there.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            deploy_command(file),
            cwd=installation.work,
            env={**installation.client_environment(), "NO_COLOR": "1", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=_REGISTER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LorafirstError(
            f"The deployments of {file} were not registered within {_REGISTER_SECONDS:g} seconds."
        ) from error
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise LorafirstError(
            f"The deployments of {file} could not be registered, so a worker could not run them either:\n  "
            + "\n  ".join(lines[-8:])
            + "\n  to do: install lorafirst where the workers run, with the package of every flow"
        )
