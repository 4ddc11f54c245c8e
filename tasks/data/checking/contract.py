"""The contract stage: an ODCS file, and what the rows say to every rule of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

import data_contracts
from data_contracts.errors import InputError, Problem
from data_contracts.progress import Progress, silent
from data_contracts.records.base import digest_bytes
from data_contracts.records.metrics import Task
from data_contracts.records.settings import SplitSettings
from data_contracts.records.snapshot import ContractEvidence
from tasks.data.checking.checked_rows import write_checked
from tasks.data.checking.examination import checks_for, evidence_of, examine
from tasks.data.contracts.checks import Check
from tasks.data.likeness.earlier import EarlierSnapshots
from tasks.data.reading.sources import SourceRows
from tasks.data.rows.columns import CONTENT_COLUMNS, DERIVED_COLUMNS, forms_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHIPPED = Path(data_contracts.__file__).parent / "datasets"

STATED = {"purpose", "limitations", "usage"}

ACCEPTED = "accepted.parquet"
REJECTED = "rejected.parquet"


@dataclass(frozen=True)
class Contract:
    """A contract that can be run."""

    name: str
    digest: str
    """Of the file's bytes."""
    checks: tuple[Check, ...]
    stated: Mapping[str, str] = field(default_factory=dict)
    """What its ``description`` says under ``purpose``, ``limitations`` and ``usage``; for people."""


def load_contract(path: Path | None, task: Task) -> Contract:
    """The contract in an ODCS 3 file, or the one shipped for the task.

    Raises:
        InputError: the file cannot be read, or holds anything that cannot be run; all of it at once.
    """
    path = path or SHIPPED / f"{task.value}.odcs.yaml"
    if not path.is_file():
        raise InputError.single(
            str(path),
            expected="an ODCS 3 contract",
            found="no such file",
            remedy="correct data.contract, or leave it unset to use the contract that is shipped",
        )
    content = path.read_bytes()
    return parse_contract(content, str(path), task)


def parse_contract(content: bytes, where: str, task: Task) -> Contract:
    """The contract in the bytes of an ODCS 3 file; raises as :func:`load_contract` does."""
    import pydantic
    from open_data_contract_standard.model import OpenDataContractStandard

    from tasks.data.contracts.odcs import translate

    raw = _yaml_mapping(content, where)
    try:
        document = OpenDataContractStandard.model_validate(raw)
    except pydantic.ValidationError as error:
        raise InputError(
            Problem(
                where=f"{where}, {'.'.join(str(part) for part in fault['loc'])}",
                expected="ODCS 3",
                found=fault["msg"],
                remedy="correct this key, see https://bitol-io.github.io/open-data-contract-standard",
            )
            for fault in error.errors()
        ) from error
    translation = translate(document, raw, _known_columns(task))
    problems = [*_kind_problems(document), *translation.problems]
    if problems:
        raise InputError(p.model_copy(update={"where": f"{where}, {p.where}"}) for p in problems)
    name = document.name or document.id or Path(where).name
    stated = document.description.model_dump(include=STATED) if document.description else {}
    return Contract(
        name=name,
        digest=digest_bytes(content),
        checks=translation.checks,
        stated={key: value for key, value in stated.items() if value},
    )


def check_contract(
    rows: SourceRows,
    *,
    contract: Contract,
    task: Task,
    tokenizer: "PreTrainedTokenizerBase | None",
    max_tokens: int,
    splits: SplitSettings,
    folder: Path,
    earlier: EarlierSnapshots | None = None,
    progress: Progress = silent,
) -> ContractEvidence:
    """What the rows say to the contract and to the pipeline's own rules.

    Writes ``accepted.parquet`` and ``rejected.parquet`` into ``folder``, both or neither. Rows that break a
    blocking or a quarantine rule are rejected with their reasons; whether the run ends there is for the gate
    to say. The rows are walked over twice and never held in memory together. With ``earlier`` snapshots their
    rows stay before new ones that are nearly alike, and nothing like their gate rows is learned from. Without
    a tokenizer the rules about tokens are left out, which is for the caller to tell; no run does that.

    Raises:
        InputError: the contract speaks of a column these rows lack, or the tokenizer does not suit them.
    """
    checks = checks_for(
        contract.checks, contract.name, task, rows, max_tokens=max_tokens, with_tokens=tokenizer is not None
    )
    found = examine(
        rows,
        checks,
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        splits=splits,
        earlier=earlier or EarlierSnapshots(),
        progress=progress,
    )
    write_checked(rows, found.facts, found.rejections, accepted=folder / ACCEPTED, rejected=folder / REJECTED)
    return evidence_of(
        rows,
        found,
        task=task,
        contract=contract.digest,
        contract_name=contract.name,
        max_tokens=max_tokens,
    )


def _known_columns(task: Task) -> tuple[str, ...]:
    columns = dict.fromkeys(
        column for form in forms_of(task) for column in (*CONTENT_COLUMNS[form], *DERIVED_COLUMNS[form])
    )
    return (*columns, "split")


def _yaml_mapping(content: bytes, where: str) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(content.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}" if mark else where
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError.single(
            place, expected="YAML in UTF-8", found=str(problem), remedy="correct this line"
        ) from error
    if not isinstance(raw, dict):
        raise InputError.single(
            where,
            expected="an ODCS 3 contract",
            found=f"{type(raw).__name__} at the top",
            remedy="start from the contract that is shipped in data_contracts/datasets",
        )
    return raw


def _kind_problems(document: Any) -> list[Problem]:
    problems = []
    for key, fits, expected in (
        ("kind", document.kind == "DataContract", "DataContract"),
        ("apiVersion", str(document.apiVersion).startswith("v3."), "v3.1.0 or another version 3"),
    ):
        if not fits:
            problems.append(
                Problem(
                    where=key,
                    expected=expected,
                    found=repr(getattr(document, key)),
                    remedy=f"write {key}: {expected}",
                )
            )
    return problems
